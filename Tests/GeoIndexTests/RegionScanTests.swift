import GeoIndex
import Primitives
import Testing

/// Goal: whatever the size of its steps, and whatever comes and goes between them, a scan of a
/// region finds every point of it that stays, and none outside.
@Suite struct RegionScanTests {
    @Test(arguments: [1, 7, 100, 100_000])
    func stepsOfAnySizeFindWhatIsInside(budget: Int) throws {
        var random = SplitMix64(seed: 0x5CA7)
        for round in 0..<24 {
            let index = PointIndex()
            var points: [SpherePoint] = []
            for slot in 0..<600 {
                // Every other one at a place that others have too.
                let place = slot % 2 == 0 ? RandomPlaces.place(&random) : points[slot / 2].latLng
                points.append(SpherePoint(place))
                index.set(Slot(slot), place)
            }
            let region = try makeRegion(round, &random)
            var found: Set<Slot> = []
            var scan = RegionScan(region)
            var next = Slot(600)
            while !scan.step(index, budget: budget, { found.insert($0) }) {
                index.set(next, RandomPlaces.place(&random))
                if next > 700 { index.remove(next - 60) }
                next += 1
            }
            let expected = (0..<600).filter { region.contains(points[$0]) }
            #expect(
                found.filter { $0 < 600 }.sorted() == expected.map { Slot($0) },
                "round \(round)")
        }
    }

    private func makeRegion(_ round: Int, _ random: inout SplitMix64) throws -> PlaceRegion {
        let center = RandomPlaces.place(&random)
        switch round % 3 {
        case 0:
            let meters = RandomPlaces.unit(&random) * 1.2e7
            let from = round % 2 == 0 ? 0 : Sphere.chord2(meters: meters / 2)
            return .cap(Cap(center: SpherePoint(center), radiusMeters: meters), from: from)
        case 1:
            let south = -90 + RandomPlaces.unit(&random) * 120
            return .box(
                LatLngRect(
                    south: south, west: center.longitude, north: south + 60,
                    east: -center.longitude / 2))
        default:
            let ring = Rings.star(around: center, degrees: 10...50, count: 30, &random)
            return .polygon(PolygonRegion(try Polygon(rings: [ring])))
        }
    }

    @Test(arguments: [0.0, 0.3])
    func nearestOfARangeAreThoseOfAll(share: Double) {
        var random = SplitMix64(seed: 0xA11)
        let index = PointIndex()
        for slot in 0..<900 {
            if slot % 11 == 0 { continue }
            let first = RandomPlaces.place(&random)
            index.set(
                Slot(slot),
                slot % 10 == 0 && share > 0 ? [first, RandomPlaces.place(&random)] : [first])
        }
        let words = (0..<15).map { _ in random.next() }
        words.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            let accepted = AcceptedSlots(words: base, wordCount: buffer.count)
            let scratch = GeoScratch()
            for _ in 0..<50 {
                let center = RandomPlaces.point(&random)
                let most = Sphere.chord2(meters: RandomPlaces.unit(&random) * 2e7)
                index.nearest(
                    to: center, limit: 900, chord2Max: most, accepted: accepted, scratch: scratch)
                let expected = (0..<scratch.hitCount).map { scratch.hit($0) }
                var found: [GeoHit] = []
                var count = 0
                for start in stride(from: 0, to: 960, by: 320) {
                    count += index.nearest(
                        to: center, in: start..<start + 320, limit: 900, chord2Max: most,
                        chord2Min: 0, hitMin: 0, accepted: accepted, scratch: scratch)
                    found += (0..<scratch.hitCount).map { scratch.hit($0) }
                }
                found.sort { ($0.chord2, $0.slot) < ($1.chord2, $1.slot) }
                if share == 0 {
                    let few = Int(random.next() % 40) + 1
                    let all = index.nearestAndCount(
                        to: center, limit: few, chord2Max: most, accepted: accepted,
                        scratch: scratch)
                    let hits = (0..<scratch.hitCount).map { scratch.hit($0) }
                    #expect(hits == Array(expected.prefix(few)))
                    // Hits beyond those that are known to be further only count.
                    let middle = expected.isEmpty ? most : expected[expected.count / 2].chord2
                    let again = index.nearestAndCount(
                        to: center, limit: few, chord2Max: most, hitMax: middle,
                        accepted: accepted, scratch: scratch)
                    let bounded = (0..<scratch.hitCount).map { scratch.hit($0) }
                    #expect(again == all)
                    #expect(bounded == Array(expected.filter { $0.chord2 <= middle }.prefix(few)))
                    #expect(
                        all
                            == index.pointCount(
                                within: Cap(center: center, chord2: most), scratch: scratch))
                }
                #expect(found == expected)
                #expect(count == expected.count)
                #expect(
                    index.count(
                        within: Cap(center: center, chord2: most), accepted: accepted,
                        scratch: scratch) == expected.count)
            }
        }
    }
}
