// GeoJSON geometries (RFC 7946) and positions, from JSON to shapes on the sphere.
//
// Longitude comes first. A third coordinate is altitude and is ignored. Members other than `type`,
// `coordinates` and `crs` are ignored, as the RFC says. Edges are geodesics; a ring encloses the
// smaller area whatever its direction: see Polygon.
//
// A point on its own is read without allocating. Errors gather their path on the way out, so that
// the path costs nothing while all is well.

package import Documents
package import GeoIndex

/// Reads places and geometries.
package enum GeoJSON {
    /// Positions of one geometry, at most.
    package static let positionCountMax = 100_000

    /// Reads a point: a GeoJSON Point or `[longitude, latitude]`.
    ///
    /// - Throws: ``GeoJSONError`` for the first thing that is wrong. Complexity: O(1).
    package static func point(_ value: TapeValue) throws(GeoJSONError) -> LatLng {
        switch value.kind {
        case .array: return try position(value)
        case .object:
            let coordinates = try pointCoordinates(value, else: .notPoint)
            do throws(GeoJSONError) {
                return try position(coordinates)
            } catch {
                throw error.prefixed(by: "coordinates")
            }
        case .null, .bool, .number, .string: throw fault(.notPoint, value)
        }
    }

    /// Reads a place on a plane: `[x, y]` or a GeoJSON Point with such coordinates.
    ///
    /// - Throws: ``GeoJSONError`` for the first thing that is wrong. Complexity: O(1).
    package static func flatPoint(_ value: TapeValue) throws(GeoJSONError) -> FlatPoint {
        switch value.kind {
        case .array: return try flatPosition(value)
        case .object:
            let coordinates = try pointCoordinates(value, else: .notFlatPoint)
            do throws(GeoJSONError) {
                return try flatPosition(coordinates)
            } catch {
                throw error.prefixed(by: "coordinates")
            }
        case .null, .bool, .number, .string: throw fault(.notFlatPoint, value)
        }
    }

    /// Reads a geometry of any type.
    ///
    /// - Parameter positionCountMax: positions it may have; also each ring's closing one counts.
    /// - Throws: ``GeoJSONError`` for the first thing that is wrong: forms and coordinates before
    ///   rings, rings before how they lie to each other.
    /// - Complexity: O(n log n) for n positions of polygons, else O(n).
    package static func shape(
        _ value: TapeValue, positionCountMax: Int = GeoJSON.positionCountMax
    ) throws(GeoJSONError) -> Geometry {
        guard value.kind == .object, let type = value.member("type"), type.kind == .string else {
            throw fault(.notGeometry, value)
        }
        guard let known = GeometryType(type) else {
            throw fault(.unknownType, type).prefixed(by: "type")
        }
        guard let coordinates = value.member("coordinates") else {
            throw fault(.notGeometry, value)
        }
        try checkReferenceSystem(value)
        var reader = GeometryReader(positionCountMax: positionCountMax)
        do throws(GeoJSONError) {
            switch known {
            case .point: return .point(try position(coordinates))
            case .multiPoint: return .multiPoint(try reader.positions(coordinates, atLeast: 1))
            case .lineString: return .lineString(try reader.line(coordinates))
            case .polygon:
                return try reader.polygon([try reader.rings(coordinates)], isMultiple: false)
            case .multiPolygon:
                return try reader.polygon(try reader.polygons(coordinates), isMultiple: true)
            }
        } catch {
            throw error.prefixed(by: "coordinates")
        }
    }

    /// The same for a tree, which is written out and parsed. See ``point(_:)-(TapeValue)``.
    package static func point(_ json: JSON) throws(GeoJSONError) -> LatLng {
        try withTape(of: json, else: .notPoint) { value throws(GeoJSONError) in try point(value) }
    }

    /// The same for a tree. See ``flatPoint(_:)-(TapeValue)``.
    package static func flatPoint(_ json: JSON) throws(GeoJSONError) -> FlatPoint {
        try withTape(of: json, else: .notFlatPoint) { value throws(GeoJSONError) in
            try flatPoint(value)
        }
    }

    /// The same for a tree. See ``shape(_:positionCountMax:)-(TapeValue,_)``.
    package static func shape(
        _ json: JSON, positionCountMax: Int = GeoJSON.positionCountMax
    ) throws(GeoJSONError) -> Geometry {
        try withTape(of: json, else: .notGeometry) { value throws(GeoJSONError) in
            try shape(value, positionCountMax: positionCountMax)
        }
    }

    /// A tree cannot have what the parser refuses, but for a key that is there twice.
    private static func withTape<Result>(
        of json: JSON, else fault: GeoJSONError.Fault,
        _ body: (TapeValue) throws(GeoJSONError) -> Result
    ) throws(GeoJSONError) -> Result {
        let parser = JSONParser()
        guard let value = try? parser.parse(json.text) else {
            throw GeoJSONError(path: "", fault: fault, value: "")
        }
        return try body(value)
    }

    /// An error at a value.
    static func fault(_ fault: GeoJSONError.Fault, _ value: TapeValue) -> GeoJSONError {
        GeoJSONError(path: "", fault: fault, value: excerpt(value.rawText))
    }

    /// A text cut to about 100 bytes, at a character's border.
    private static func excerpt(_ text: UnsafeRawBufferPointer) -> String {
        guard text.count > 100 else { return String(decoding: text, as: UTF8.self) }
        var end = 90
        while end > 0 && text[end] & 0xC0 == 0x80 { end -= 1 }
        return String(decoding: text[..<end], as: UTF8.self) + "…"
    }

    /// The coordinates of an object that is to be a Point.
    private static func pointCoordinates(
        _ value: TapeValue, else rule: GeoJSONError.Fault
    ) throws(GeoJSONError) -> TapeValue {
        guard let type = value.member("type"), GeometryType(type) == .point,
            let coordinates = value.member("coordinates")
        else { throw fault(rule, value) }
        // Most points have two members and no `crs` among them.
        if value.count > 2 { try checkReferenceSystem(value) }
        return coordinates
    }

    /// RFC 7946 did away with `crs`; older writers name the one system that GeoJSON has.
    private static func checkReferenceSystem(_ value: TapeValue) throws(GeoJSONError) {
        guard let crs = value.member("crs"), !crs.isNull else { return }
        if let name = crs.member("properties")?.member("name"), name.kind == .string,
            ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326"]
                .contains(name.string)
        {
            return
        }
        throw fault(.unknownReferenceSystem, crs).prefixed(by: "crs")
    }
}

/// The types of geometries that are taken.
enum GeometryType {
    case point, multiPoint, lineString, polygon, multiPolygon

    init?(_ value: TapeValue) {
        func isEqual(_ name: StaticString) -> Bool {
            bytesEqual(
                value.stringBytes,
                UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        }
        guard value.kind == .string else { return nil }
        if isEqual("Point") {
            self = .point
        } else if isEqual("Polygon") {
            self = .polygon
        } else if isEqual("MultiPolygon") {
            self = .multiPolygon
        } else if isEqual("MultiPoint") {
            self = .multiPoint
        } else if isEqual("LineString") {
            self = .lineString
        } else {
            return nil
        }
    }
}

extension GeoJSON {
    /// Two coordinates of an array of two or three numbers.
    @inline(__always)
    private static func pair(_ value: TapeValue) throws(GeoJSONError) -> (Double, Double) {
        guard value.kind == .array else { throw fault(.notArray(of: .coordinates), value) }
        let count = value.count
        var children = value.children
        var (first, second) = (0.0, 0.0)
        var index = 0
        while let child = children.next() {
            do throws(GeoJSONError) {
                let number = try coordinate(child.value)
                if index == 0 { first = number } else if index == 1 { second = number }
            } catch {
                throw error.prefixed(by: String(index))
            }
            index += 1
        }
        guard count == 2 || count == 3 else { throw fault(.coordinateCount(count), value) }
        return (first, second)
    }

    @inline(__always)
    private static func coordinate(_ value: TapeValue) throws(GeoJSONError) -> Double {
        guard value.kind == .number else {
            throw fault(value.kind == .array ? .nestedTooDeep : .notNumber, value)
        }
        let number = value.double
        guard number.isFinite else { throw fault(.notFinite, value) }
        return number
    }

    /// `[longitude, latitude]`, perhaps with an altitude.
    static func position(_ value: TapeValue) throws(GeoJSONError) -> LatLng {
        let (longitude, latitude) = try pair(value)
        guard latitude.magnitude <= 90 else {
            let looksSwapped = latitude.magnitude <= 180 && longitude.magnitude <= 90
            throw fault(.latitudeOutOfRange(looksSwapped: looksSwapped), value)
        }
        guard longitude.magnitude <= 180 else { throw fault(.longitudeOutOfRange, value) }
        return LatLng(latitude: latitude, longitude: longitude)
    }

    private static func flatPosition(_ value: TapeValue) throws(GeoJSONError) -> FlatPoint {
        let (x, y) = try pair(value)
        guard max(x.magnitude, y.magnitude) <= FlatPoint.coordinateMax else {
            throw fault(.flatOutOfRange, value)
        }
        return FlatPoint(x: x, y: y)
    }
}
