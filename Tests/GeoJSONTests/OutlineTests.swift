import Documents
import Foundation
import GeoIndex
import GeoJSON
import Testing

private func place(_ longitude: Double, _ latitude: Double) -> SpherePoint {
    SpherePoint(LatLng(latitude: latitude, longitude: longitude))
}

/// Whether a position of the map lies in an outline, by crossings of a line to the west.
private func holds(_ outline: Outline, _ x: Double, _ y: Double) -> Bool {
    outline.polygons.contains { rings in
        var isInside = false
        for ring in rings {
            for (a, b) in zip(ring, ring.dropFirst())
            where (a.latitude > y) != (b.latitude > y)
                && x < a.longitude + (y - a.latitude) / (b.latitude - a.latitude)
                    * (b.longitude - a.longitude)
            {
                isInside.toggle()
            }
        }
        return isInside
    }
}

@Suite struct OutlineTests {
    /// Random positions are in the outline of a shape where they are in the shape, but for those so
    /// near to the border that a straight line between points of the border decides.
    private func check(
        _ outline: Outline, _ name: String, _ contains: (SpherePoint) -> Bool
    ) {
        var random = Random(seed: 7)
        var inside = 0
        for _ in 0..<4_000 {
            let (x, y) = (random.next(in: -180...180), random.next(in: -90...90))
            let expected = contains(place(x, y))
            inside += expected ? 1 : 0
            if holds(outline, x, y) == expected { continue }
            let isNearBorder = [(-1.0, 0.0), (1, 0), (0, -1), (0, 1)].contains { dx, dy in
                contains(place(x + dx, min(90, max(-90, y + dy)))) != expected
            }
            #expect(isNearBorder, "\(name): \(x) \(y) in the shape: \(expected)")
        }
        for ring in outline.polygons.flatMap(\.self) {
            #expect(ring.count >= 4 && ring.first == ring.last, "\(name)")
            for p in ring { #expect(p.isValid, "\(name): \(p)") }
        }
        #expect(inside > 0, "\(name) holds some positions")
    }

    @Test func circlesAreOutlinedEverywhere() {
        for (x, y, degrees) in [
            (0, 0, 20), (179, 10, 15), (-179, -40, 30), (30, 85, 12), (-100, -80, 25),
            (180, 0, 60), (50, 20, 89), (10, 90, 30), (0, -90, 5), (40, 10, 120), (170, 60, 150),
        ] as [(Double, Double, Double)] {
            let cap = Cap(
                center: place(x, y), radiusMeters: degrees * .pi / 180 * Sphere.radiusMeters)
            check(Outline(cap), "circle \(x) \(y) \(degrees)") { cap.contains($0) }
        }
        #expect(Outline(Cap(center: place(0, 0), radiusMeters: -1)).polygons.isEmpty)
        let all = Outline(Cap(center: place(0, 0), radiusMeters: 3e7))
        #expect(holds(all, 179, 89) && holds(all, -179, -89))
    }

    @Test func polygonsAreOutlinedEverywhere() throws {
        for text in [
            "[[[0,0],[40,0],[40,40],[0,40],[0,0]],[[10,10],[10,30],[30,30],[30,10],[10,10]]]",
            "[[[170,-20],[-170,-20],[-170,20],[170,20],[170,-20]]]",
            // Around the pole, across the antimeridian, a hole over it.
            "[[[0,60],[90,60],[180,60],[-90,60],[0,60]]]",
            "[[[0,-60],[90,-50],[180,-60],[-90,-70],[0,-60]]]",
            "[[[150,-30],[-150,-30],[-150,30],[150,30],[150,-30]],"
                + "[[170,-10],[170,10],[-170,10],[-170,-10],[170,-10]]]",
        ] {
            let json = try JSON(parsing: #"{"type":"Polygon","coordinates":"# + text + "}")
            guard case .polygon(let polygon) = try GeoJSON.shape(json) else {
                return #expect(Bool(false), "a polygon is one")
            }
            check(Outline(polygon), text) { polygon.contains($0) }
        }
    }

    @Test func boxesAndCellsAreOutlined() {
        for box in [
            LatLngRect(south: -10, west: 20, north: 30, east: 60),
            LatLngRect(south: -10, west: 160, north: 30, east: -150),
            LatLngRect.full,
        ] {
            check(Outline(box), "\(box)") { box.contains($0) }
        }
        // The six faces: two have a pole in the middle, one is cut by the antimeridian.
        for face in 0..<6 {
            let cell = CellID(face: face)
            check(Outline([cell]), "face \(face)") { Cell(cell).contains($0) }
        }
        let cells = CellID(face: 2).children
        check(Outline(cells), "children") { Cell(CellID(face: 2)).contains($0) }
    }

    @Test func aCollectionIsValidGeoJSON() throws {
        var writer = GeoJSONWriter()
        let point = LatLng(latitude: 47.61, longitude: -122.33)
        writer.add(point, properties: JSONObject([(key: "id", value: .string("a\"b"))]))
        writer.add(
            Outline(Cap(center: SpherePoint(point), radiusMeters: 25_000)), properties: .init())
        writer.add(
            Outline(LatLngRect(south: 0, west: 170, north: 5, east: -170)), properties: .init())
        writer.add(.lineString([point, LatLng(latitude: 0, longitude: 0)]), properties: .init())
        writer.add(.multiPoint([point]), properties: .init())
        writer.add(Outline([]), properties: .init())
        writer.finish()
        let json = try JSON(parsing: writer.bytes)
        #expect(json["type"]?.string == "FeatureCollection")
        let features = try #require(json["features"]?.array)
        let types = features.map { $0["geometry"]?["type"]?.string }
        #expect(types == ["Point", "Polygon", "MultiPolygon", "LineString", "MultiPoint"])
        #expect(features[0]["properties"]?["id"]?.string == "a\"b")
        #expect(features[0]["geometry"]?["coordinates"]?.text == "[-122.33,47.61]")
        for feature in features {
            #expect(feature["type"]?.string == "Feature")
            _ = try GeoJSON.shape(try #require(feature["geometry"]))
        }
    }
}

/// A generator of its own, so that failures repeat.
private struct Random {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next(in range: ClosedRange<Double>) -> Double {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let unit = Double(state >> 11) * 0x1p-53
        return range.lowerBound + unit * (range.upperBound - range.lowerBound)
    }
}
