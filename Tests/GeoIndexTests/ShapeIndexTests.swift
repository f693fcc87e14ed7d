import GeoIndex
import Primitives
import Testing

@Suite struct ShapeIndexTests {
    private func star(
        _ center: LatLng, _ degrees: ClosedRange<Double>, _ count: Int,
        _ random: inout SplitMix64
    ) throws -> PolygonCells {
        let ring = Rings.star(around: center, degrees: degrees, count: count, &random)
        return PolygonCells(try Polygon(rings: [ring]))
    }

    /// Shapes of all sizes come and go; each place is looked up by asking every shape.
    @Test(arguments: [101, 102] as [UInt64])
    func coveringEqualsAskingEachShape(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let index = ShapeIndex()
        let scratch = GeoScratch()
        var shapes: [Slot: Shape] = [:]
        for round in 0..<6 {
            for _ in 0..<30 {
                let slot = Slot(random.next() % 120)
                let center = RandomPlaces.place(&random)
                let size = [50.0, 5, 0.5, 0.001][Int(random.next() % 4)]
                switch random.next() % 4 {
                case 0:
                    #expect(index.remove(slot) == (shapes.removeValue(forKey: slot) != nil))
                case 1:
                    let cap = Cap(center: SpherePoint(center), radiusMeters: size * 111_000)
                    index.set(slot, cap)
                    shapes[slot] = .cap(cap)
                default:
                    let count = 4 + Int(random.next() % 60)
                    let cells = try star(center, size * 0.3...size, count, &random)
                    index.set(slot, cells)
                    shapes[slot] = .polygon(cells)
                }
            }
            index.checkInvariants()
            #expect(index.count == shapes.count)
            for _ in 0..<100 {
                let p = RandomPlaces.point(&random)
                index.covering(p, scratch: scratch)
                let expected = shapes.filter { shape in
                    switch shape.value {
                    case .polygon(let cells): cells.polygon.contains(p)
                    case .cap(let cap): cap.contains(p)
                    }
                }
                #expect(scratch.allSlots == expected.keys.sorted(), "seed \(seed) \(round)")
                let words: [UInt64] = [0xAAAA_AAAA_AAAA_AAAA]
                words.withUnsafeBufferPointer { buffer in
                    guard let base = buffer.baseAddress else { return }
                    index.covering(
                        p, accepted: AcceptedSlots(words: base, wordCount: 1), scratch: scratch)
                }
                #expect(
                    scratch.allSlots == expected.keys.filter { $0 < 64 && $0 % 2 == 1 }.sorted())
            }
        }
        for slot in shapes.keys { #expect(index.remove(slot)) }
        index.checkInvariants()
    }

    @Test func eachPlaceOfATilingIsCoveredOnce() throws {
        let index = ShapeIndex()
        let scratch = GeoScratch()
        var slot: Slot = 0
        for west in stride(from: 0.0, to: 10, by: 1) {
            for south in stride(from: 40.0, to: 50, by: 1) {
                let ring = Rings.ring([
                    (west, south), (west + 1, south), (west + 1, south + 1), (west, south + 1),
                    (west, south),
                ])
                index.set(slot, PolygonCells(try Polygon(rings: [ring])))
                slot += 1
            }
        }
        for longitude in stride(from: 0.0, through: 10, by: 0.25) {
            for latitude in stride(from: 40.5, through: 49.75, by: 0.25) {
                let p = SpherePoint(LatLng(latitude: latitude, longitude: longitude))
                index.covering(p, scratch: scratch)
                let isInner = longitude > 0 && longitude < 10
                #expect(scratch.slotCount == 1 || !isInner, "\(longitude) \(latitude)")
            }
        }
    }

    @Test func neighboursDoNotIntersectAndTheSameContainsItself() throws {
        func tile(_ west: Double, _ south: Double, _ size: Double) throws -> Polygon {
            try Polygon(rings: [
                Rings.ring([
                    (west, south), (west + size, south), (west + size, south + size),
                    (west, south + size), (west, south),
                ])
            ])
        }
        let a = try tile(0, 0, 10)
        #expect(a.intersects(a) && a.contains(a))
        let beside = try tile(10, 0, 10)
        #expect(!a.intersects(beside) && !a.contains(beside))
        let diagonal = try tile(10, 10, 10)
        #expect(!a.intersects(diagonal))
        let overlapping = try tile(9, 9, 10)
        #expect(a.intersects(overlapping) && !a.contains(overlapping))
        let inner = try tile(2, 2, 3)
        #expect(a.contains(inner) && a.intersects(inner) && inner.intersects(a))
        #expect(!inner.contains(a))
        // Sharing a corner and edges from inside.
        let corner = try Polygon(rings: [Rings.ring([(0, 0), (10, 0), (5, 5), (0, 0)])])
        #expect(a.contains(corner) && corner.intersects(a) && !corner.contains(a))
        let frame = try Polygon(rings: [
            Rings.ring([(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)]),
            Rings.ring([(2, 2), (5, 2), (5, 5), (2, 5), (2, 2)]),
        ])
        #expect(!frame.intersects(inner) && !inner.intersects(frame) && !frame.contains(inner))
        #expect(a.contains(frame) && !frame.contains(a) && frame.intersects(a))
        let inHole = try tile(3, 3, 1)
        #expect(!frame.intersects(inHole))
        let aroundHole = try tile(1, 1, 6)
        #expect(frame.intersects(aroundHole) && !frame.contains(aroundHole))
        let besideHole = try tile(6, 6, 2)
        #expect(frame.contains(besideHole))
        let far = try tile(40, 40, 1)
        #expect(!a.intersects(far))
    }

    @Test func relationsOfRandomStarsAgreeWithTheirPlaces() throws {
        var random = SplitMix64(seed: 103)
        var (meeting, holding) = (0, 0)
        for round in 0..<150 {
            let size = [30.0, 1, 0.01][round % 3]
            let center = RandomPlaces.place(&random)
            let a = try star(center, size * 0.5...size, 5 + round % 40, &random).polygon
            let near = Rings.star(around: center, degrees: 0...size * 1.8, count: 3, &random)
            let reach = size * [0.05, 0.3, 0.9][Int(random.next() % 3)]
            let b = try star(near[0], reach * 0.5...reach, 12, &random).polygon
            let (intersects, contains) = (a.intersects(b), a.contains(b))
            #expect(intersects == b.intersects(a))
            #expect(!contains || intersects)
            if intersects { meeting += 1 }
            if contains { holding += 1 }
            for _ in 0..<60 {
                let p = Places.within(b.bound, &random)
                guard b.contains(p) else { continue }
                if a.contains(p) { #expect(intersects, "\(round)") }
                if !a.contains(p) { #expect(!contains, "\(round)") }
            }
        }
        #expect(meeting > 30 && meeting < 150 && holding > 10)
    }

    @Test func shapesAreFoundByPolygonCapAndBox() throws {
        var random = SplitMix64(seed: 104)
        let index = ShapeIndex()
        let scratch = GeoScratch()
        var shapes: [Slot: Shape] = [:]
        for slot in 0..<150 as Range<Slot> {
            let center = RandomPlaces.place(&random)
            let size = [20.0, 3, 0.3][Int(random.next() % 3)]
            if slot % 5 == 0 {
                shapes[slot] = .cap(
                    Cap(center: SpherePoint(center), radiusMeters: size * 111_000))
            } else {
                shapes[slot] = .polygon(try star(center, size * 0.4...size, 9, &random))
            }
            if let shape = shapes[slot] { index.set(slot, shape) }
        }
        func expect(_ relation: ShapeRelation, _ test: (Shape) -> Bool) {
            #expect(scratch.allSlots == shapes.filter { test($0.value) }.keys.sorted())
        }
        for _ in 0..<12 {
            let region = try star(RandomPlaces.place(&random), 10...50, 20, &random)
            index.search(.intersects, region, scratch: scratch)
            expect(.intersects) {
                switch $0 {
                case .polygon(let own): own.polygon.intersects(region.polygon)
                case .cap(let cap): region.polygon.intersects(cap)
                }
            }
            index.search(.within, region, scratch: scratch)
            expect(.within) {
                switch $0 {
                case .polygon(let own): region.polygon.contains(own.polygon)
                case .cap(let cap): region.polygon.contains(cap)
                }
            }
            let cap = Cap(center: RandomPlaces.point(&random), radiusMeters: 2e6)
            index.search(.intersects, cap, scratch: scratch)
            expect(.intersects) {
                switch $0 {
                case .polygon(let own): own.polygon.intersects(cap)
                case .cap(let own): own.intersects(cap)
                }
            }
            let box = Places.box(&random)
            index.search(.intersects, box, scratch: scratch)
            expect(.intersects) {
                switch $0 {
                case .polygon(let own): own.polygon.intersects(box)
                case .cap(let own): own.intersects(box)
                }
            }
        }
    }

    /// What relations with circles and boxes say is compared with places drawn from both.
    @Test func circlesAndBoxesAgreeWithTheirPlaces() throws {
        var random = SplitMix64(seed: 105)
        for round in 0..<150 {
            let size = [40.0, 2, 0.01][round % 3]
            let center = RandomPlaces.place(&random)
            let polygon = try star(center, size * 0.5...size, 15, &random).polygon
            let near = Rings.star(around: center, degrees: 0...size * 2, count: 3, &random)
            let cap = Cap(
                center: SpherePoint(near[0]),
                radiusMeters: size * 111_000 * RandomPlaces.unit(&random))
            let box = Places.box(&random)
            for _ in 0..<40 {
                let p = Places.within(polygon.bound, &random)
                let q = Places.within(cap, &random)
                let r = SpherePoint(Places.within(box, &random))
                if polygon.contains(p) {
                    if cap.contains(p) { #expect(polygon.intersects(cap)) }
                    if box.contains(p) { #expect(polygon.intersects(box), "\(round) \(box)") }
                    if !cap.contains(p) { #expect(!cap.contains(polygon)) }
                    if !box.contains(p) { #expect(!box.contains(polygon), "\(round) \(box)") }
                }
                if polygon.contains(q) { #expect(polygon.intersects(cap)) }
                if polygon.contains(r) { #expect(polygon.intersects(box)) }
                if !polygon.contains(q) { #expect(!polygon.contains(cap)) }
                if !polygon.contains(r) { #expect(!polygon.contains(box), "\(round) \(box)") }
                if cap.contains(r) || box.contains(q) { #expect(cap.intersects(box)) }
                if !cap.contains(r) { #expect(!cap.contains(box), "\(round) \(box)") }
                if !box.contains(q) { #expect(!box.contains(cap), "\(round) \(box)") }
            }
        }
    }
}
