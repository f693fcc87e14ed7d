import Foundation
import GeoIndex
import Primitives
import Testing

/// The same questions answered by looking at every point.
struct BruteForce {
    var points: [Slot: [SpherePoint]] = [:]

    func nearest(
        to center: SpherePoint, limit: Int, chord2Max: Double,
        where accepts: (Slot) -> Bool = { _ in true }
    ) -> [GeoHit] {
        var hits: [GeoHit] = []
        for (slot, own) in points where accepts(slot) {
            let best = own.map { BruteForce.chord2($0, center) }.min() ?? 9
            if best <= chord2Max { hits.append(GeoHit(chord2: best, slot: slot)) }
        }
        hits.sort { $0.chord2 < $1.chord2 || ($0.chord2 == $1.chord2 && $0.slot < $1.slot) }
        return Array(hits.prefix(limit))
    }

    func slots(where holds: (SpherePoint) -> Bool) -> [Slot] {
        points.filter { $0.value.contains(where: holds) }.keys.sorted()
    }

    static func chord2(_ a: SpherePoint, _ b: SpherePoint) -> Double {
        let (x, y, z) = (a.x - b.x, a.y - b.y, a.z - b.z)
        return x * x + y * y + z * z
    }
}

extension GeoScratch {
    var allHits: [GeoHit] { (0..<hitCount).map(hit) }
    var allSlots: [Slot] { Array(slotBuffer) }
}

@Suite struct PointIndexTests {
    @Test func emptyIndexFindsNothing() {
        let index = PointIndex()
        let scratch = GeoScratch()
        let center = SpherePoint(LatLng(latitude: 1, longitude: 2))
        index.nearest(to: center, limit: 10, scratch: scratch)
        #expect(scratch.hitCount == 0)
        #expect(index.count(within: Cap(center: center, radiusMeters: 1e9), scratch: scratch) == 0)
        #expect(!index.remove(3))
        #expect(index.position(of: 3) == nil)
    }

    /// Random insertions, moves and removals, with questions in between that are answered by brute
    /// force too. Three quarters of the points are where geometry is hard; many are equal.
    @Test(arguments: [71, 72, 73] as [UInt64])
    func searchesEqualBruteForceWhilePointsComeAndGo(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let index = PointIndex()
        var brute = BruteForce()
        let scratch = GeoScratch()
        let severalPoints = seed == 73
        var last = LatLng(latitude: 0, longitude: 0)
        for round in 0..<6 {
            for _ in 0..<600 {
                let slot = Slot(random.next() % 3_000)
                if random.next() % 4 == 0 {
                    #expect(index.remove(slot) == (brute.points.removeValue(forKey: slot) != nil))
                    continue
                }
                if random.next() % 8 != 0 { last = RandomPlaces.place(&random) }
                if severalPoints && random.next() % 2 == 0 {
                    let places = (0..<random.next() % 5).map { _ in RandomPlaces.place(&random) }
                    index.set(slot, places)
                    brute.points[slot] = places.isEmpty ? nil : places.map { SpherePoint($0) }
                    #expect(index.positions(of: slot) == places.map { SpherePoint($0) })
                } else {
                    index.set(slot, last)
                    brute.points[slot] = [SpherePoint(last)]
                }
            }
            index.checkInvariants()
            #expect(index.slotCount == brute.points.count)
            #expect(index.pointCount == brute.points.values.reduce(0) { $0 + $1.count })
            ask(index, brute, scratch, &random, "seed \(seed) round \(round)")
        }
        for slot in brute.points.keys { #expect(index.remove(slot)) }
        #expect(index.pointCount == 0)
        index.checkInvariants()
    }

    private func ask(
        _ index: PointIndex, _ brute: BruteForce, _ scratch: GeoScratch,
        _ random: inout SplitMix64, _ context: String
    ) {
        for _ in 0..<10 {
            let center = RandomPlaces.point(&random)
            let radius = pow(10, Double(random.next() % 8)) * (1 + RandomPlaces.unit(&random))
            let chord2 = random.next() % 3 == 0 ? 4 : Sphere.chord2(meters: radius)
            let limit = [1, 10, 100, 10_000][Int(random.next() % 4)]
            index.nearest(to: center, limit: limit, chord2Max: chord2, scratch: scratch)
            let expected = brute.nearest(to: center, limit: limit, chord2Max: chord2)
            #expect(scratch.allHits == expected, "\(context)")

            let words = (0..<48).map { _ in random.next() & random.next() }
            func accepts(_ slot: Slot) -> Bool {
                Int(slot) < words.count * 64 && words[Int(slot) / 64] >> UInt64(slot % 64) & 1 == 1
            }
            words.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                let accepted = AcceptedSlots(words: base, wordCount: buffer.count)
                index.nearest(
                    to: center, limit: limit, chord2Max: chord2, accepted: accepted,
                    scratch: scratch)
                let some = brute.nearest(
                    to: center, limit: limit, chord2Max: chord2, where: accepts)
                #expect(scratch.allHits == some, "\(context)")
                let all = brute.nearest(
                    to: center, limit: .max, chord2Max: chord2, where: accepts)
                let cap = Cap(center: center, chord2: chord2)
                #expect(
                    index.count(within: cap, accepted: accepted, scratch: scratch) == all.count)
                index.collect(within: cap, accepted: accepted, scratch: scratch)
                #expect(scratch.allSlots == all.map(\.slot).sorted(), "\(context)")
            }
            let cap = Cap(center: center, chord2: chord2)
            let all = brute.nearest(to: center, limit: .max, chord2Max: chord2)
            #expect(index.count(within: cap, scratch: scratch) == all.count, "\(context)")
        }
    }

    @Test func theRadiusIsIncludedAndTheNextPageBeginsBeyondTheLast() {
        let index = PointIndex()
        let scratch = GeoScratch()
        let center = SpherePoint(LatLng(latitude: 10, longitude: 10))
        for slot in 0..<100 {
            index.set(Slot(slot), LatLng(latitude: 10, longitude: 10 + Double(slot) * 0.01))
        }
        index.nearest(to: center, limit: 100, scratch: scratch)
        let hits = scratch.allHits
        #expect(hits.map(\.slot) == Array(0..<100))
        index.nearest(to: center, limit: 100, chord2Max: hits[40].chord2, scratch: scratch)
        #expect(scratch.allHits == Array(hits[...40]))
        index.nearest(to: center, limit: 7, chord2Min: hits[41].chord2, scratch: scratch)
        #expect(scratch.allHits == Array(hits[41..<48]))
        index.nearest(to: center, limit: 0, scratch: scratch)
        #expect(scratch.hitCount == 0)
    }

    @Test func aMillionInOneCityAreFoundInOrder() {
        // Smaller in debug builds by a factor of 50: what matters is that many share chunks and
        // ids.
        var random = SplitMix64(seed: 74)
        let index = PointIndex()
        let scratch = GeoScratch()
        for slot in 0..<10_000 {
            // A grid of 4,096 corners: about five points on each.
            let (x, y) = (Double(random.next() % 64), Double(random.next() % 64))
            index.set(
                Slot(slot), LatLng(latitude: 47.5 + x * 0.002, longitude: -122.4 + y * 0.002))
        }
        index.checkInvariants()
        let center = SpherePoint(LatLng(latitude: 47.55, longitude: -122.35))
        index.nearest(to: center, limit: 1_000, scratch: scratch)
        let hits = scratch.allHits
        #expect(hits.count == 1_000)
        for (a, b) in zip(hits, hits.dropFirst()) {
            #expect(a.chord2 < b.chord2 || (a.chord2 == b.chord2 && a.slot < b.slot))
        }
        let cap = Cap(center: center, chord2: hits[999].chord2)
        #expect(index.count(within: cap, scratch: scratch) >= 1_000)
    }

    @Test(arguments: ["spread", "a city", "one place", "moved"])
    func aPointTakesAtMost24BytesBeyondItsCoordinates(_ kind: String) {
        var random = SplitMix64(seed: 75)
        let index = PointIndex()
        let count = 100_000
        func place() -> LatLng {
            switch kind {
            case "spread", "moved": RandomPlaces.place(&random)
            case "one place": LatLng(latitude: 1, longitude: 2)
            default:
                LatLng(
                    latitude: 47 + Double(random.next() % 1_000_000) / 1e7,
                    longitude: -122 + Double(random.next() % 1_000_000) / 1e7)
            }
        }
        for slot in 0..<count { index.set(Slot(slot), place()) }
        if kind == "moved" { for slot in 0..<count { index.set(Slot(slot), place()) } }
        let bytes = Double(index.byteCount) / Double(count) - 16
        #expect(bytes <= 24, "\(kind): \(bytes)")
    }
}
