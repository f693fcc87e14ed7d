import GeoIndex
import Primitives
import Testing

@Suite struct CovererTests {
    private func holds(_ cells: [CellID], _ p: SpherePoint) -> Bool {
        let leaf = CellID(p)
        return cells.contains { $0.contains(leaf) }
    }

    @Test func coveringsOfCapsAreAsTightAsTheReference() throws {
        var (own, theirs) = (0.0, 0.0)
        var ratios: [Double] = []
        var random = SplitMix64(seed: 81)
        for row in try GoldenFiles.rows("caps.tsv") {
            let n = row.map { Double($0) ?? .nan }
            let center = SpherePoint(LatLng(latitude: n[0], longitude: n[1]))
            let cap = Cap(center: center, radiusMeters: n[2])
            let limit = try #require(Int(row[3]))
            let cells = RegionCoverer(cellCountMax: limit).covering(of: cap)
            #expect(cells.count <= max(limit, 4), "\(row)")
            #expect(cells == cells.sorted())
            let reference = row[4].split(separator: ",").compactMap { CellID(token: String($0)) }
            let area = cells.reduce(0) { $0 + Cell($1).area }
            let referenceArea = reference.reduce(0) { $0 + Cell($1).area }
            own += area
            theirs += referenceArea
            ratios.append(area / referenceArea)
            for _ in 0..<100 {
                let p = Places.within(cap, &random)
                #expect(holds(cells, p), "\(row)")
                #expect(holds(reference, p), "\(row)")
            }
        }
        let mean = ratios.reduce(0, +) / Double(ratios.count)
        #expect(mean <= 1.2, "\(mean)")
        #expect(own <= 1.2 * theirs)
    }

    @Test func levelsAreKeptAndInteriorCoveringsAreInside() {
        var random = SplitMix64(seed: 82)
        for round in 0..<100 {
            let radius = [3.0, 5e3, 9e5, 1.2e7][round % 4]
            let cap = Cap(center: RandomPlaces.point(&random), radiusMeters: radius)
            let inner = RegionCoverer(cellCountMax: 30).interiorCovering(of: cap)
            #expect(inner.count <= 32)
            for cell in inner {
                for vertex in Cell(cell).vertices { #expect(cap.contains(vertex)) }
                #expect(cap.contains(cell.center))
            }
            let area = inner.reduce(0) { $0 + Cell($1).area }
            #expect(area > 0.5 * cap.area && area < cap.area)
            let coverer = RegionCoverer(levelMin: 3, levelMax: 9, cellCountMax: 20)
            for cell in coverer.covering(of: cap) {
                #expect((3...9).contains(cell.level))
            }
        }
        let nothing = Cap(center: SpherePoint(x: 1, y: 0, z: 0), radiusMeters: -1)
        #expect(RegionCoverer().covering(of: nothing).isEmpty)
        let everything = Cap(center: SpherePoint(x: 1, y: 0, z: 0), radiusMeters: 1e9)
        #expect(RegionCoverer().covering(of: everything).count == 6)
        #expect(RegionCoverer().interiorCovering(of: everything).count == 6)
    }

    @Test func coveringsOfBoxesHoldTheirPlaces() {
        var random = SplitMix64(seed: 83)
        for _ in 0..<150 {
            let box = Places.box(&random)
            let cells = RegionCoverer(cellCountMax: 16).covering(of: box)
            #expect(cells.count <= 16)
            for _ in 0..<50 {
                let place = Places.within(box, &random)
                #expect(box.contains(SpherePoint(place)), "\(box) \(place)")
                #expect(holds(cells, SpherePoint(place)), "\(box) \(place)")
            }
            let inner = RegionCoverer(cellCountMax: 40).interiorCovering(of: box)
            for cell in inner {
                for vertex in Cell(cell).vertices { #expect(box.contains(vertex), "\(box)") }
            }
        }
    }
}

/// Places in regions, for tests.
enum Places {
    static func within(_ cap: Cap, _ random: inout SplitMix64) -> SpherePoint {
        while true {
            let degrees = max(1e-9, cap.angle * 180 / .pi)
            let ring = Rings.star(
                around: cap.center.latLng, degrees: 0...min(degrees, 179), count: 3, &random)
            let p = SpherePoint(ring[Int(random.next() % 3)])
            if cap.contains(p) { return p }
        }
    }

    static func box(_ random: inout SplitMix64) -> LatLngRect {
        let (a, b) = (RandomPlaces.place(&random), RandomPlaces.place(&random))
        return LatLngRect(
            south: min(a.latitude, b.latitude), west: a.longitude,
            north: max(a.latitude, b.latitude), east: b.longitude)
    }

    static func within(_ box: LatLngRect, _ random: inout SplitMix64) -> LatLng {
        let width = box.east >= box.west ? box.east - box.west : box.east - box.west + 360
        // Corners and borders too.
        func share() -> Double {
            let n = random.next() % 8
            return n == 0 ? 0 : n == 1 ? 1 : RandomPlaces.unit(&random)
        }
        var longitude = box.west + share() * width
        if longitude > 180 { longitude -= 360 }
        let latitude = box.south + share() * (box.north - box.south)
        return LatLng(latitude: min(box.north, latitude), longitude: longitude)
    }
}
