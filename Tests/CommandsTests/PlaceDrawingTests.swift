import Documents
import GeoIndex
import GeoJSON
import Testing

@testable import Commands

@Suite struct PlaceDrawingTests {
    private static let across: [(name: String, region: PlaceRegion)] = {
        let ring = [(178.0, -1.0), (-178, -1), (-178, 1), (178, 1), (178, -1)]
        let polygon = try? Polygon(rings: [
            ring.map { LatLng(latitude: $0.1, longitude: $0.0) }
        ])
        let center = SpherePoint(LatLng(latitude: 0, longitude: 179.5))
        return [
            ("box", .box(LatLngRect(south: -1, west: 178, north: 1, east: -178))),
            ("circle", .cap(Cap(center: center, radiusMeters: 200_000), from: 0)),
        ] + (polygon.map { [("polygon", .polygon(PolygonRegion($0)))] } ?? [])
    }()

    /// The longitudes and latitudes of every ring of a text's features.
    private func rings(_ text: [UInt8]) throws -> [[[Double]]] {
        var found: [[[Double]]] = []
        func walk(_ json: JSON) {
            guard let items = json.array else { return }
            let positions = items.compactMap { $0.array?.compactMap { $0.number?.double } }
            if positions.count == items.count, positions.allSatisfy({ $0.count == 2 }) {
                found.append(positions)
            } else {
                items.forEach(walk)
            }
        }
        for feature in try JSON(parsing: text)["features"]?.array ?? [] {
            if let coordinates = feature["geometry"]?["coordinates"] { walk(coordinates) }
        }
        return found
    }

    @Test func noRingOfADrawingGoesAcrossTheMap() throws {
        #expect(Self.across.count == 3)
        for (name, region) in Self.across {
            var drawing = PlaceDrawing()
            drawing.add(region)
            let rings = try rings(drawing.geoJSON)
            #expect(rings.count >= 4, "\(name): both halves, of the region and of its cells")
            for ring in rings {
                for (a, b) in zip(ring, ring.dropFirst()) {
                    #expect(abs(a[0] - b[0]) < 90, "\(name): \(a) to \(b)")
                }
            }
        }
    }

    @Test func aSheetHoldsBothSidesOfTheAntimeridianTogether() throws {
        for (name, region) in Self.across {
            var drawing = PlaceDrawing()
            drawing.add(region)
            drawing.add(hit: Array("west".utf8), .point(LatLng(latitude: 0, longitude: 179.9)))
            drawing.add(hit: Array("east".utf8), .point(LatLng(latitude: 0, longitude: -179.9)))
            let svg = String(decoding: drawing.svg, as: UTF8.self)
            let dots = svg.matches(of: #/class="hit"[^>]*cx="([0-9.]+)"/#).compactMap {
                Double($0.1)
            }
            #expect(dots.count == 2 && dots[0] < dots[1] && dots[1] - dots[0] < 100, "\(name)")
            // The region is drawn over most of the sheet, not in two strips at its ends.
            let region = try #require(svg.firstMatch(of: #/class="region"[^>]* d="([^"]*)"/#))
            let xs = region.1.matches(of: #/[ML](-?[0-9.]+) /#).compactMap { Double($0.1) }
            let middle = xs.filter { $0 > 300 && $0 < 700 }
            #expect(middle.count >= 2, "\(name): \(xs)")
            #expect(xs.allSatisfy { $0 >= 0 && $0 <= 1_000 }, "\(name)")
        }
    }

    @Test func aSheetOfTheWholeMapBeginsInTheWest() {
        var drawing = PlaceDrawing()
        drawing.add(.box(.full))
        drawing.add(center: LatLng(latitude: 0, longitude: -90))
        let svg = String(decoding: drawing.svg, as: UTF8.self)
        let x = svg.firstMatch(of: #/class="center"[^>]*cx="([0-9.]+)"/#).flatMap { Double($0.1) }
        #expect(x.map { $0 > 250 && $0 < 300 } ?? false)
    }

    /// Cells reach beyond their region, to the west of the sheet's first longitude too.
    @Test func cellsAreDrawnWhereTheirRegionIs() {
        let centers = [
            LatLng(latitude: 47.61, longitude: -122.33), LatLng(latitude: 0, longitude: 0),
            LatLng(latitude: -20, longitude: 179.99), LatLng(latitude: 10, longitude: -179.99),
        ]
        for center in centers {
            for meters in [5_000.0, 600_000] {
                var drawing = PlaceDrawing()
                drawing.add(
                    .cap(Cap(center: SpherePoint(center), radiusMeters: meters), from: 0))
                let svg = String(decoding: drawing.svg, as: UTF8.self)
                let cells = svg.firstMatch(of: #/class="cells"[^>]* d="([^"]*)"/#)?.1 ?? ""
                let xs = cells.matches(of: #/[ML](-?[0-9.]+) /#).compactMap { Double($0.1) }
                #expect(xs.count >= 12 && xs.allSatisfy { $0 > -1_500 && $0 < 2_500 }, "\(xs)")
            }
        }
    }
}
