import Foundation
import GeoIndex
import Primitives
import Testing

/// Rings for tests.
enum Rings {
    /// A closed ring around a place: `count` vertices at distances drawn from the range.
    static func star(
        around center: LatLng, degrees: ClosedRange<Double>, count: Int,
        _ random: inout SplitMix64
    ) -> [LatLng] {
        let c = SpherePoint(center)
        let z = SpherePoint(x: 0, y: 0, z: 1)
        let pole = c.z.magnitude > 0.9 ? SpherePoint(x: 1, y: 0, z: 0) : z
        let east = unit(cross(pole, c))
        let north = cross(c, east)
        var ring: [LatLng] = []
        for index in 0..<count {
            let turn = 2 * Double.pi * Double(index) / Double(count)
            let width = degrees.upperBound - degrees.lowerBound
            let r = (degrees.lowerBound + RandomPlaces.unit(&random) * width) * .pi / 180
            let (a, b) = (cos(turn) * sin(r), sin(turn) * sin(r))
            let p = SpherePoint(
                x: c.x * cos(r) + east.x * a + north.x * b,
                y: c.y * cos(r) + east.y * a + north.y * b,
                z: c.z * cos(r) + east.z * a + north.z * b)
            ring.append(p.latLng)
        }
        ring.append(ring[0])
        return ring
    }

    static func cross(_ a: SpherePoint, _ b: SpherePoint) -> SpherePoint {
        SpherePoint(
            x: a.y * b.z - a.z * b.y, y: a.z * b.x - a.x * b.z, z: a.x * b.y - a.y * b.x)
    }

    static func unit(_ a: SpherePoint) -> SpherePoint {
        let length = (a.x * a.x + a.y * a.y + a.z * a.z).squareRoot()
        return SpherePoint(x: a.x / length, y: a.y / length, z: a.z / length)
    }

    /// (longitude, latitude) pairs, as GeoJSON writes them.
    static func ring(_ positions: [(Double, Double)]) -> [LatLng] {
        positions.map { LatLng(latitude: $0.1, longitude: $0.0) }
    }
}

@Suite struct PolygonTests {
    @Test func containmentEqualsTheReference() throws {
        let polygons = try GoldenFiles.polygons()
        #expect(polygons.count >= 10)
        for golden in polygons {
            let polygon: Polygon
            do throws(GeoError) {
                polygon = try Polygon(rings: golden.rings)
            } catch {
                Issue.record("\(golden.name) \(golden.rings): \(error)")
                continue
            }
            for (place, inside) in golden.points {
                let found = polygon.contains(SpherePoint(place))
                #expect(found == inside, "\(golden.name) \(place)")
            }
            // The reference kept one nearly flat ring inside out.
            let area = min(golden.area, 4 * Double.pi - golden.area)
            if golden.name != "south-pole" {
                #expect((polygon.area - area).magnitude <= 1e-9 * area, "\(golden.name)")
            }
        }
    }

    @Test func directionOfARingDoesNotMatter() throws {
        var random = SplitMix64(seed: 51)
        for _ in 0..<100 {
            let ring = Rings.star(
                around: RandomPlaces.place(&random), degrees: 0.5...30, count: 12, &random)
            let hole = Rings.star(around: ring[0], degrees: 0.01...0.02, count: 5, &random)
            _ = hole
            let a = try Polygon(rings: [ring])
            let b = try Polygon(rings: [ring.reversed()])
            #expect((a.area - b.area).magnitude <= 1e-12 * a.area)
            for _ in 0..<50 {
                let p = RandomPlaces.point(&random)
                #expect(a.contains(p) == b.contains(p))
            }
        }
    }

    @Test func eachPlaceOfATilingIsInExactlyOneTile() throws {
        // A fan of triangles around a vertex, closed by their outer neighbours: every vertex, and
        // places on or next to every edge, belong to exactly one tile.
        var random = SplitMix64(seed: 52)
        for round in 0..<60 {
            let size = pow(10, -Double(round % 7))
            let center = RandomPlaces.place(&random)
            let inner = Rings.star(
                around: center, degrees: size...size * 2, count: 7, &random)
            let outer = Rings.star(
                around: center, degrees: size * 4...size * 6, count: 7, &random)
            var tiles: [Polygon] = []
            for k in 0..<7 {
                tiles.append(try Polygon(rings: [[center, inner[k], inner[k + 1], center]]))
                tiles.append(
                    try Polygon(rings: [[inner[k], outer[k], inner[k + 1], inner[k]]]))
                tiles.append(
                    try Polygon(rings: [[outer[k + 1], inner[k + 1], outer[k], outer[k + 1]]]))
            }
            var places = [SpherePoint(center)] + inner.map { SpherePoint($0) }
            for k in 0..<7 {
                for (a, b) in [(center, inner[k]), (inner[k], inner[k + 1]), (inner[k], outer[k])] {
                    let (p, q) = (SpherePoint(a), SpherePoint(b))
                    for _ in 0..<10 {
                        let t = RandomPlaces.unit(&random)
                        places.append(
                            Rings.unit(
                                SpherePoint(
                                    x: p.x + t * (q.x - p.x), y: p.y + t * (q.y - p.y),
                                    z: p.z + t * (q.z - p.z))))
                    }
                }
            }
            for place in places {
                #expect(tiles.filter { $0.contains(place) }.count == 1, "\(round) \(place)")
            }
        }
    }

    @Test func placesOnMeridiansAndTheEquatorAreInOneTile() throws {
        // Edges on which all places are on one great circle exactly.
        var tiles: [Polygon] = []
        for west in stride(from: -180.0, to: 180, by: 30) {
            for south in stride(from: -90.0, to: 90, by: 30) {
                let (e, n) = (west + 30, south + 30)
                var ring = [(west, south), (e, south), (e, n), (west, n), (west, south)]
                if south == -90 { ring.remove(at: 1) }
                if n == 90 { ring.remove(at: 2) }
                tiles.append(try Polygon(rings: [Rings.ring(ring)]))
            }
        }
        #expect((tiles.reduce(0) { $0 + $1.area } - 4 * Double.pi).magnitude < 1e-10)
        for longitude in stride(from: -180.0, through: 180, by: 7.5) {
            for latitude in stride(from: -90.0, through: 90, by: 7.5) {
                let p = SpherePoint(LatLng(latitude: latitude, longitude: longitude))
                let holders = tiles.filter { $0.contains(p) }.count
                #expect(holders == 1, "\(longitude) \(latitude)")
            }
        }
    }

    @Test func holesAreOutAndTheirFillingIsIn() throws {
        let outer = Rings.ring([(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)])
        let hole = Rings.ring([(2, 2), (2, 8), (8, 8), (8, 2), (2, 2)])
        let polygon = try Polygon(rings: [outer, hole])
        let filling = try Polygon(rings: [hole])
        let both = try Polygon(polygons: [[outer, hole], [hole]])
        var random = SplitMix64(seed: 53)
        for _ in 0..<2_000 {
            let place = LatLng(
                latitude: RandomPlaces.unit(&random) * 12 - 1,
                longitude: RandomPlaces.unit(&random) * 12 - 1)
            let p = SpherePoint(place)
            #expect(!(polygon.contains(p) && filling.contains(p)))
            #expect(both.contains(p) == (polygon.contains(p) || filling.contains(p)))
        }
        for vertex in hole {
            let p = SpherePoint(vertex)
            #expect(polygon.contains(p) != filling.contains(p))
        }
        #expect(polygon.contains(SpherePoint(LatLng(latitude: 1, longitude: 1))))
        #expect(filling.contains(SpherePoint(LatLng(latitude: 5, longitude: 5))))
        let p = SpherePoint(LatLng(latitude: 5, longitude: 5))
        #expect((polygon.meters(from: p) - 332_000).magnitude < 3_000)
        #expect((polygon.area + filling.area - both.area).magnitude < 1e-15)
    }

    @Test func polygonsThatTouchTheAntimeridianFromBothSidesLeaveNoGap() throws {
        let east = try Polygon(
            rings: [Rings.ring([(170, -10), (180, -10), (180, 10), (170, 10), (170, -10)])])
        let west = try Polygon(
            rings: [
                Rings.ring([(-180, -10), (-170, -10), (-170, 10), (-180, 10), (-180, -10)])
            ])
        for longitude in [179.999999999, 180, -180, -179.999999999] {
            for latitude in stride(from: -9.5, through: 9.5, by: 0.5) {
                let p = SpherePoint(LatLng(latitude: latitude, longitude: longitude))
                #expect(east.contains(p) != west.contains(p), "\(longitude) \(latitude)")
            }
        }
    }
}
