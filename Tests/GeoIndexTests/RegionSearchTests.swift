import GeoIndex
import Primitives
import Testing

@Suite struct RegionSearchTests {
    private func sample(
        _ random: inout SplitMix64, count: Int, around polygons: [[LatLng]] = []
    ) -> (PointIndex, BruteForce) {
        let index = PointIndex()
        var brute = BruteForce()
        var places = (0..<count).map { _ in RandomPlaces.place(&random) }
        // Vertices, and places next to them, are what goes wrong first.
        for vertex in polygons.joined() {
            places.append(vertex)
            places.append(
                LatLng(
                    latitude: max(-90, min(90, vertex.latitude + 1e-9)),
                    longitude: vertex.longitude))
        }
        for (slot, place) in places.enumerated() {
            index.set(Slot(slot), place)
            brute.points[Slot(slot)] = [SpherePoint(place)]
        }
        return (index, brute)
    }

    @Test(arguments: [91, 92] as [UInt64])
    func pointsInPolygonsEqualBruteForce(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let scratch = GeoScratch()
        for round in 0..<12 {
            let center = RandomPlaces.place(&random)
            let size = [60.0, 10, 1, 0.1][round % 4]
            let count = [4, 9, 60, 400][Int(random.next() % 4)]
            let ring = Rings.star(
                around: center, degrees: size * 0.4...size, count: count, &random)
            let hole = Rings.star(
                around: center, degrees: size * 0.1...size * 0.2, count: 7, &random)
            let polygon = try Polygon(rings: [ring, hole])
            let cells = PolygonCells(polygon)
            let (index, brute) = sample(&random, count: 1_500, around: [ring, hole])
            // Dense around the polygon.
            index.collect(within: polygon, scratch: scratch)
            let expected = brute.slots { polygon.contains($0) }
            #expect(scratch.allSlots == expected, "seed \(seed) round \(round)")
            #expect(brute.slots { cells.contains($0) } == expected, "seed \(seed) round \(round)")
            let words: [UInt64] = (0..<16).map { _ in random.next() }
            words.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                let accepted = AcceptedSlots(words: base, wordCount: buffer.count)
                index.collect(within: polygon, accepted: accepted, scratch: scratch)
                let some = expected.filter {
                    $0 < 1_024 && words[Int($0) / 64] >> UInt64($0 % 64) & 1 == 1
                }
                #expect(scratch.allSlots == some)
            }
        }
    }

    @Test func pointsInBoxesEqualBruteForce() {
        var random = SplitMix64(seed: 93)
        let (index, brute) = sample(&random, count: 3_000)
        let scratch = GeoScratch()
        for round in 0..<60 {
            let box = Places.box(&random)
            index.collect(within: box, scratch: scratch)
            #expect(scratch.allSlots == brute.slots { box.contains($0) }, "\(round) \(box)")
        }
        index.collect(within: LatLngRect.full, scratch: scratch)
        #expect(scratch.slotCount == 3_000)
        index.collect(
            within: LatLngRect(south: 2, west: 0, north: 1, east: 9), scratch: scratch)
        #expect(scratch.slotCount == 0)
    }

    @Test func bordersOfABoxAreInAndItMayCrossTheAntimeridian() {
        let index = PointIndex()
        let scratch = GeoScratch()
        let box = LatLngRect(south: -10, west: 170, north: 47.6062, east: -170)
        let places = [
            (-10.0, 170.0), (47.6062, -170), (0, 180), (0, -180), (47.6062, 170), (-10, -170),
            (0, 169.9999999), (0, -169.9999999), (47.6062001, 175), (-10.0000001, 175),
        ]
        for (slot, place) in places.enumerated() {
            index.set(Slot(slot), LatLng(latitude: place.0, longitude: place.1))
        }
        index.collect(within: box, scratch: scratch)
        #expect(scratch.allSlots == [0, 1, 2, 3, 4, 5])
    }

    @Test func coveringsOfPolygonsHoldThemAndInteriorsAreInside() throws {
        var random = SplitMix64(seed: 94)
        for round in 0..<24 {
            let center = RandomPlaces.place(&random)
            let size = [40.0, 3, 0.05][round % 3]
            let ring = Rings.star(
                around: center, degrees: size * 0.4...size, count: 40, &random)
            let polygon = try Polygon(rings: [ring])
            let cells = PolygonCells(polygon)
            let covering = RegionCoverer(cellCountMax: 20).covering(of: cells)
            let inner = RegionCoverer(cellCountMax: 20).interiorCovering(of: cells)
            #expect(covering.count <= 20)
            #expect(inner.reduce(0) { $0 + Cell($1).area } < polygon.area)
            for cell in inner { #expect(polygon.contains(cell.center)) }
            for _ in 0..<100 {
                let p = Places.within(polygon.bound, &random)
                let leaf = CellID(p)
                if polygon.contains(p) { #expect(covering.contains { $0.contains(leaf) }) }
                if inner.contains(where: { $0.contains(leaf) }) { #expect(polygon.contains(p)) }
            }
        }
    }
}

@Suite struct LongEdgeTests {
    @Test func polygonsWithLongEdgesAreCutRightly() throws {
        // Edges of 130° and more are handled in halves.
        var random = SplitMix64(seed: 95)
        for _ in 0..<20 {
            let west = -179 + RandomPlaces.unit(&random) * 30
            let ring = Rings.ring([
                (west, 3), (west + 140 + RandomPlaces.unit(&random) * 30, -4), (west + 80, 40),
                (west, 3),
            ])
            let polygon = try Polygon(rings: [ring])
            let cells = PolygonCells(polygon)
            let index = PointIndex()
            var expected: [Slot] = []
            for slot in 0..<800 as Range<Slot> {
                let place = RandomPlaces.place(&random)
                index.set(slot, place)
                let isInside = polygon.contains(SpherePoint(place))
                if isInside { expected.append(slot) }
                #expect(cells.contains(SpherePoint(place)) == isInside, "\(west) \(place)")
            }
            let scratch = GeoScratch()
            index.collect(within: polygon, scratch: scratch)
            #expect(scratch.allSlots == expected)
        }
    }
}
