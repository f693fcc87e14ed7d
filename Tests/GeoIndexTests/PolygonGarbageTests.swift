import GeoIndex
import Primitives
import Testing

@Suite struct PolygonGarbageTests {
    /// Rings of random places, few of them distinct: most are refused; what is taken behaves.
    @Test(arguments: [121, 122] as [UInt64])
    func whatIsNotRefusedIsConsistent(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var taken = 0
        var last: Polygon?
        for round in 0..<1_500 {
            let shared = (0..<6).map { _ in RandomPlaces.place(&random) }
            var rings: [[LatLng]] = []
            for _ in 0..<1 + random.next() % 2 {
                var ring: [LatLng] = (0..<3 + random.next() % 4).map { _ in
                    random.next() % 2 == 0
                        ? shared[Int(random.next() % 6)] : RandomPlaces.place(&random)
                }
                ring.append(ring[0])
                if random.next() % 20 == 0 {
                    ring[Int(random.next() % UInt64(ring.count))] = LatLng(
                        latitude: [Double.nan, 91, .infinity, -90, 1e-300][
                            Int(random.next() % 5)],
                        longitude: [0, 180, -180, 181, 90][Int(random.next() % 5)])
                }
                rings.append(ring)
            }
            guard let polygon = try? Polygon(polygons: rings.map { [$0] }) else { continue }
            taken += 1
            let cells = PolygonCells(polygon)
            for place in rings.joined() {
                let p = SpherePoint(place)
                #expect(polygon.contains(p) == cells.contains(p), "seed \(seed) round \(round)")
            }
            for _ in 0..<10 {
                let p = RandomPlaces.point(&random)
                #expect(polygon.contains(p) == cells.contains(p), "seed \(seed) round \(round)")
            }
            #expect(polygon.contains(polygon), "seed \(seed) round \(round)")
            if let last {
                let intersects = polygon.intersects(last)
                #expect(intersects == last.intersects(polygon), "seed \(seed) round \(round)")
                #expect(intersects || !polygon.contains(last), "seed \(seed) round \(round)")
            }
            last = polygon
        }
        #expect(taken > 50)
    }

    @Test func polygonsThatTouchAtAVertexContainThemselves() throws {
        let a = Rings.ring([(0, 0), (10, 0), (10, 10), (0, 0)])
        let b = Rings.ring([(0, 0), (-10, 0), (-10, -10), (0, 0)])
        let both = try Polygon(polygons: [[a], [b]])
        let one = try Polygon(rings: [a])
        #expect(both.contains(both) && both.contains(one) && !one.contains(both))
        let between = try Polygon(rings: [Rings.ring([(0, 0), (-3, 10), (-10, 4), (0, 0)])])
        #expect(!both.intersects(between) && !between.contains(one))
    }

    @Test func aRingThatTouchesItselfByRoundingHoldsNothingFarAway() throws {
        // The last edge runs along the meridian of a vertex, a hair beside it.
        let ring = Rings.ring([
            (96.30083336086211, 26.780497059254827), (90, -90),
            (44.99999999607743, 62.28625823764066), (27.371554833671773, 49.20044990971996),
            (27.375550961758847, 20.818300500022033), (44.99999999607742, -21.2761765029996),
            (63.875629632899724, 19.19083719172114), (96.30083336086211, 26.780497059254827),
        ])
        let polygon = try Polygon(rings: [ring])
        let cells = PolygonCells(polygon)
        var random = SplitMix64(seed: 123)
        for _ in 0..<2_000 {
            let p = RandomPlaces.point(&random)
            #expect(polygon.contains(p) == cells.contains(p))
            #expect(polygon.bound.contains(p) || !cells.contains(p))
        }
    }
}
