import Documents
import GeoIndex
import GeoJSON
import Testing

/// The error of a text read as a geometry; nil if it is one.
private func error(_ text: String, limit: Int = GeoJSON.positionCountMax) throws -> GeoJSONError? {
    let parser = JSONParser()
    let value = try parser.parse(text)
    do throws(GeoJSONError) {
        _ = try GeoJSON.shape(value, positionCountMax: limit)
        return nil
    } catch {
        return error
    }
}

/// The same for a point.
private func pointError(_ text: String) throws -> GeoJSONError? {
    let parser = JSONParser()
    let value = try parser.parse(text)
    do throws(GeoJSONError) {
        _ = try GeoJSON.point(value)
        return nil
    } catch {
        return error
    }
}

private func polygon(_ rings: String) -> String {
    #"{"type":"Polygon","coordinates":"# + rings + "}"
}

private func multi(_ polygons: String) -> String {
    #"{"type":"MultiPolygon","coordinates":"# + polygons + "}"
}

/// A ring around the box from (w, s) to (e, n).
private func box(_ w: Double, _ s: Double, _ e: Double, _ n: Double) -> String {
    "[[\(w),\(s)],[\(e),\(s)],[\(e),\(n)],[\(w),\(n)],[\(w),\(s)]]"
}

@Suite struct GeoJSONTests {
    @Test func pointsAreReadInBothForms() throws {
        for text in [
            "[-122.33, 47.61]", "[-122.33, 47.61, 12]",
            #"{"type":"Point","coordinates":[-122.33,47.61]}"#,
            #"{"coordinates":[-122.33,47.61,5.5],"type":"Point","bbox":[0,0,1,1]}"#,
            #"{"type":"Point","coordinates":[-122.33,47.61],"crs":null}"#,
            #"{"type":"Point","coordinates":[-122.33,47.61],"crs":{"type":"name","#
                + #""properties":{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}}}"#,
        ] {
            let point = try GeoJSON.point(JSON(parsing: text))
            #expect(point == LatLng(latitude: 47.61, longitude: -122.33), "\(text)")
        }
        for text in ["[180,90]", "[-180,-90]", "[0,0]", "[1e1,-0.0]"] {
            #expect(try pointError(text) == nil, "\(text)")
        }
    }

    @Test(
        arguments: [
            ("5", "", .notPoint), (#""1,2""#, "", .notPoint), ("null", "", .notPoint),
            (#"{"lng":1,"lat":2}"#, "", .notPoint), (#"{"type":"Point"}"#, "", .notPoint),
            (#"{"type":"Polygon","coordinates":[]}"#, "", .notPoint),
            (#"{"type":5,"coordinates":[1,2]}"#, "", .notPoint),
            ("[]", "", .coordinateCount(0)), ("[1]", "", .coordinateCount(1)),
            ("[1,2,3,4]", "", .coordinateCount(4)),
            (#"["1",2]"#, "0", .notNumber), ("[1,null]", "1", .notNumber),
            ("[1,2,true]", "2", .notNumber), ("[[1,2],3]", "0", .nestedTooDeep),
            ("[1e999,2]", "0", .notFinite), ("[2,-1e999]", "1", .notFinite),
            ("[0,91]", "", .latitudeOutOfRange(looksSwapped: true)),
            ("[47.6,-122.3]", "", .latitudeOutOfRange(looksSwapped: true)),
            ("[100,-122.3]", "", .latitudeOutOfRange(looksSwapped: false)),
            ("[0,200]", "", .latitudeOutOfRange(looksSwapped: false)),
            ("[181,0]", "", .longitudeOutOfRange), ("[-180.0001,90]", "", .longitudeOutOfRange),
            (
                #"{"type":"Point","coordinates":[0,-90.5]}"#, "coordinates",
                .latitudeOutOfRange(looksSwapped: true)
            ),
            (#"{"type":"Point","coordinates":[1,"2"]}"#, "coordinates.1", .notNumber),
            (#"{"type":"Point","coordinates":7}"#, "coordinates", .notArray(of: .coordinates)),
            (
                #"{"type":"Point","coordinates":[1,2],"crs":{"type":"name","properties":{"name":"x"}}}"#,
                "crs", .unknownReferenceSystem
            ),
        ] as [(String, String, GeoJSONError.Fault)])
    func aWrongPointHasItsOwnError(text: String, path: String, fault: GeoJSONError.Fault) throws {
        let found = try #require(try pointError(text))
        #expect(found.fault == fault)
        #expect(found.path == path)
    }

    @Test func flatPointsHaveBothCoordinatesTo180() throws {
        func flat(_ text: String) throws -> FlatPoint { try GeoJSON.flatPoint(JSON(parsing: text)) }
        #expect(try flat("[1,-170]") == FlatPoint(x: 1, y: -170))
        #expect(try flat(#"{"type":"Point","coordinates":[180,180]}"#) == FlatPoint(x: 180, y: 180))
        for (text, fault) in [
            ("[180.5,0]", .flatOutOfRange), ("[0,-181]", .flatOutOfRange), ("7", .notFlatPoint),
            ("[1]", .coordinateCount(1)),
        ] as [(String, GeoJSONError.Fault)] {
            #expect {
                try flat(text)
            } throws: {
                ($0 as? GeoJSONError)?.fault == fault
            }
        }
    }

    @Test func everyTypeOfGeometryIsRead() throws {
        func shape(_ text: String) throws -> Geometry { try GeoJSON.shape(JSON(parsing: text)) }
        for (text, name) in [
            (#"{"type":"Point","coordinates":[1,2]}"#, "Point"),
            (#"{"type":"MultiPoint","coordinates":[[1,2]]}"#, "MultiPoint"),
            (#"{"type":"LineString","coordinates":[[1,2],[3,4,5]]}"#, "LineString"),
            (polygon("[\(box(0, 0, 9, 9)),\(box(1, 1, 2, 2))]"), "Polygon"),
            (multi("[[\(box(0, 0, 9, 9))],[\(box(20, 1, 22, 2))]]"), "MultiPolygon"),
        ] {
            #expect(try shape(text).typeName == name)
        }
        guard case .polygon(let one) = try shape(polygon("[\(box(0, 0, 9, 9)),\(box(1, 1, 2, 2))]"))
        else { return #expect(Bool(false), "a polygon is one") }
        #expect(one.edgeCount == 8)
        #expect(one.contains(SpherePoint(LatLng(latitude: 5, longitude: 5))))
        #expect(!one.contains(SpherePoint(LatLng(latitude: 1.5, longitude: 1.5))))
    }

    @Test(
        arguments: [
            ("5", "", .notGeometry), ("[1,2]", "", .notGeometry),
            (#"{"coordinates":[1,2]}"#, "", .notGeometry),
            (#"{"type":"Polygon"}"#, "", .notGeometry),
            (#"{"type":"Blob","coordinates":[]}"#, "type", .unknownType),
            (#"{"type":"Feature","geometry":{}}"#, "type", .unknownType),
            (#"{"type":"point","coordinates":[1,2]}"#, "type", .unknownType),
            (
                #"{"type":"MultiPoint","coordinates":[]}"#, "coordinates",
                .tooFew(of: .positions, minimum: 1)
            ),
            (
                #"{"type":"LineString","coordinates":[[1,2]]}"#, "coordinates",
                .tooFew(of: .positions, minimum: 2)
            ),
            (
                #"{"type":"LineString","coordinates":[[1,2],[3]]}"#, "coordinates.1",
                .coordinateCount(1)
            ),
            (
                #"{"type":"LineString","coordinates":[[0,0],[180,0]]}"#, "coordinates.0",
                .lineTooLong
            ),
            (polygon("5"), "coordinates", .notArray(of: .rings)),
            (polygon("[5]"), "coordinates", .nestedTooShallow(.rings)),
            (polygon("[{}]"), "coordinates.0", .notArray(of: .positions)),
            (polygon(box(0, 0, 1, 1)), "coordinates.0", .nestedTooShallow(.positions)),
            (polygon("[[\(box(0, 0, 1, 1))]]"), "coordinates.0.0.0", .nestedTooDeep),
            (multi("[\(box(0, 0, 1, 1))]"), "coordinates.0.0", .nestedTooShallow(.positions)),
            (
                polygon("[[[0,0],[1,0],[1,99],[0,0]]]"), "coordinates.0.2",
                .latitudeOutOfRange(looksSwapped: true)
            ),
            (polygon("[[[0,0],[1,0],[1,1,1,1],[0,0]]]"), "coordinates.0.2", .coordinateCount(4)),
            (polygon("[[[0,0],[1,0],[1e400,1],[0,0]]]"), "coordinates.0.2.0", .notFinite),
            (
                multi("[[\(box(0, 0, 1, 1))],[[[0,0],[1,0],[1,\"1\"],[0,0]]]]"),
                "coordinates.1.0.2.1",
                .notNumber
            ),
        ] as [(String, String, GeoJSONError.Fault)])
    func aWrongFormHasItsOwnError(text: String, path: String, fault: GeoJSONError.Fault) throws {
        let found = try #require(try error(text))
        #expect(found.fault == fault)
        #expect(found.path == path)
        #expect(!found.message.isEmpty)
    }

    @Test(
        arguments: [
            (polygon("[]"), "coordinates", .empty(polygon: 0)),
            (multi("[]"), "coordinates.0", .empty(polygon: 0)),
            (multi("[[\(box(0, 0, 1, 1))],[]]"), "coordinates.1", .empty(polygon: 1)),
            (
                polygon("[[[0,0],[1,1],[0,0]]]"), "coordinates.0",
                .tooFewPositions(polygon: 0, ring: 0, count: 3)
            ),
            (
                polygon("[[[0,0],[1,0],[1,1],[0,1]]]"), "coordinates.0",
                .unclosedRing(polygon: 0, ring: 0)
            ),
            (
                polygon("[[[0,0],[2,2],[2,0],[0,2],[0,0]]]"), "coordinates.0.0",
                .selfCrossing(
                    .init(polygon: 0, ring: 0, vertex: 0),
                    with: .init(polygon: 0, ring: 0, vertex: 2))
            ),
            (
                polygon("[\(box(0, 0, 5, 5)),\(box(7, 7, 8, 8))]"), "coordinates.1",
                .holeOutsideShell(polygon: 0, ring: 1)
            ),
            (
                polygon("[\(box(0, 0, 9, 9)),\(box(1, 1, 8, 8)),\(box(2, 2, 3, 3))]"),
                "coordinates.2",
                .nestedHole(polygon: 0, ring: 2, inside: 1)
            ),
            (
                polygon("[\(box(0, 0, 9, 9)),\(box(0, 0, 9, 9))]"), "coordinates.1",
                .holeCoversShell(polygon: 0, ring: 1)
            ),
            (
                multi("[[\(box(0, 0, 5, 5))],[\(box(1, 1, 2, 2))]]"), "coordinates.1",
                .overlappingPolygons(first: 0, second: 1)
            ),
            (
                polygon("[[[0,0],[1,0],[1,1],[1,0],[0,0]]]"), "coordinates.0.3",
                .duplicateVertex(.init(polygon: 0, ring: 0, vertex: 3), first: 1)
            ),
            (
                polygon("[[[0,0],[180,0],[90,80],[0,0]]]"), "coordinates.0.0",
                .edgeTooLong(.init(polygon: 0, ring: 0, vertex: 0))
            ),
            (polygon("[[[0,0],[1,0],[2,0],[0,0]]]"), "coordinates.0", .noArea(polygon: 0, ring: 0)),
        ] as [(String, String, GeoError)])
    func ringsThatMakeNoPolygonHaveTheirOwnErrors(
        text: String, path: String, fault: GeoError
    ) throws {
        let found = try #require(try error(text))
        #expect(found.fault == .rings(fault))
        #expect(found.path == path)
        #expect(!found.rule.isEmpty)
    }

    @Test func crossingRingsNameBothEdges() throws {
        let found = try #require(
            try error(polygon("[\(box(0, 0, 5, 5)),\(box(4, 1, 8, 2))]")))
        guard case .rings(.crossingRings(let first, let second)) = found.fault else {
            return #expect(Bool(false), "\(found)")
        }
        #expect(first.ring + second.ring == 1)
        #expect(found.path == "coordinates.\(first.ring).\(first.vertex)")
        #expect(found.rule.contains("position \(second.vertex) of ring \(second.ring)"))
    }

    @Test func theLimitCountsThePositionsOfAllRings() throws {
        let text = multi("[[\(box(0, 0, 5, 5)),\(box(1, 1, 2, 2))],[\(box(20, 1, 22, 2))]]")
        #expect(try error(text, limit: 15) == nil)
        let found = try #require(try error(text, limit: 14))
        #expect(found.fault == .tooManyPositions(limit: 14))
        #expect(found.path == "coordinates.1.0")
    }

    @Test func swappedCoordinatesAreNamed() throws {
        let found = try #require(try pointError("[47.61,-122.33]"))
        #expect(
            found.message
                == "latitude is from -90 to 90; looks swapped: longitude comes first, "
                + "got [47.61,-122.33]")
    }

    @Test func longValuesAreCutInMessages() throws {
        let found = try #require(try pointError("\"" + String(repeating: "ä", count: 300) + "\""))
        #expect(found.value.utf8.count < 110)
        #expect(!found.value.unicodeScalars.contains("\u{FFFD}"))
    }
}
