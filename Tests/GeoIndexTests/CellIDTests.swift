import GeoIndex
import Primitives
import Testing

@Suite struct CellIDTests {
    @Test func leafIDsAndTokensEqualTheReference() throws {
        let rows = try GoldenFiles.rows("cells.tsv")
        #expect(rows.count >= 300)
        for row in rows {
            let place = LatLng(
                latitude: try #require(Double(row[0])), longitude: try #require(Double(row[1])))
            let leaf = CellID(place)
            #expect(leaf.rawValue == UInt64(row[2]), "\(row)")
            for (column, level) in [0, 5, 10, 15, 20, 25].enumerated() {
                #expect(leaf.parent(level: level).token == row[3 + column], "\(row)")
            }
        }
    }

    @Test func relationsEqualTheReference() throws {
        let rows = try GoldenFiles.rows("relations.tsv")
        #expect(rows.count >= 250)
        for row in rows {
            let cell = try #require(CellID(token: row[0]))
            #expect(cell.token == row[0])
            #expect(cell.level == Int(row[1]), "\(row)")
            #expect((cell.parent?.token ?? "") == row[2], "\(row)")
            let around = cell.edgeNeighbours.map(\.token).joined(separator: ",")
            #expect(around == row[3], "\(row)")
            #expect(cell.children.map(\.token).joined(separator: ",") == row[4], "\(row)")
            #expect(cell.rangeMin.token == row[5], "\(row)")
            #expect(cell.rangeMax.token == row[6], "\(row)")
        }
    }

    @Test func theMiddleOfACellLiesInIt() {
        var random = SplitMix64(seed: 41)
        for _ in 0..<5_000 {
            let leaf = CellID(RandomPlaces.point(&random))
            #expect(leaf.isValid)
            for level in 0...30 {
                let cell = leaf.parent(level: level)
                #expect(cell.level == level)
                #expect(cell.isValid)
                #expect(cell.contains(leaf))
                #expect(CellID(cell.center).parent(level: level) == cell, "\(cell.token)")
                if level < 30 {
                    let children = cell.children
                    #expect(children.map { $0.parent ?? cell } == [cell, cell, cell, cell])
                    #expect(children[0].rangeMin == cell.rangeMin)
                    #expect(children[3].rangeMax == cell.rangeMax)
                    #expect(children[1].rangeMin.rawValue == children[0].rangeMax.rawValue + 2)
                }
            }
        }
    }

    @Test func theCurveVisitsNeighbours() {
        // Two cells that follow each other on the curve share an edge, also from face to face.
        for level in 0...5 {
            var cell = CellID(face: 0).rangeMin.parent(level: level)
            while cell.next.isValid {
                #expect(cell.edgeNeighbours.contains(cell.next), "\(cell.token)")
                cell = cell.next
            }
        }
    }

    @Test func neighboursAreMutualAndComplete() {
        var random = SplitMix64(seed: 42)
        for round in 0..<1_000 {
            let level = round % 31
            let cell = CellID(RandomPlaces.point(&random)).parent(level: level)
            for other in cell.edgeNeighbours {
                #expect(other.edgeNeighbours.contains(cell), "\(cell.token)")
                #expect(!cell.intersects(other))
            }
            let all = cell.allNeighbours(level: level)
            #expect(level == 0 ? all.count == 4 : all.count == 7 || all.count == 8)
            #expect(Set(cell.edgeNeighbours).isSubset(of: all))
            for other in all {
                #expect(other.allNeighbours(level: level).contains(cell), "\(cell.token)")
            }
            if level > 0 {
                let around = cell.vertexNeighbours(level: level - 1)
                #expect(around.first == cell.parent)
                #expect(Set(around).count == around.count)
                #expect(around.count == 3 || around.count == 4)
            }
        }
    }

    @Test func commonAncestorsHoldBoth() {
        var random = SplitMix64(seed: 43)
        for _ in 0..<2_000 {
            let a = CellID(RandomPlaces.point(&random)).parent(level: Int(random.next() % 31))
            let b = CellID(RandomPlaces.point(&random)).parent(level: Int(random.next() % 31))
            guard let both = a.commonAncestor(with: b) else {
                #expect(a.face != b.face)
                continue
            }
            #expect(both.contains(a) && both.contains(b))
            #expect(
                both == a || both == b
                    || !both.children.contains { $0.contains(a) && $0.contains(b) })
        }
    }

    @Test func wordsThatAreNotTokensAreRefused() {
        for word in ["", "X", "g", "0", "12345678901234567", "c000000000000001", "8x", "3 ", "é"] {
            #expect(CellID(token: word) == nil, "\(word)")
        }
        #expect(CellID(token: "1") == CellID(face: 0))
        #expect(CellID(token: "89C25") == CellID(token: "89c25"))
    }

    @Test func anglesEqualTheReference() throws {
        for row in try GoldenFiles.rows("distances.tsv") {
            let n = row.map { Double($0) ?? .nan }
            let a = SpherePoint(LatLng(latitude: n[0], longitude: n[1]))
            let b = SpherePoint(LatLng(latitude: n[2], longitude: n[3]))
            #expect((a.angle(to: b) - n[4]).magnitude <= max(1e-9 * n[4], 1e-12), "\(row)")
            let meters = Sphere.meters(angle: n[4])
            #expect((a.meters(to: b) - meters).magnitude <= max(1e-9 * meters, 6e-6))
        }
    }

    @Test func placesComeBack() {
        var random = SplitMix64(seed: 44)
        for _ in 0..<5_000 {
            let place = RandomPlaces.place(&random)
            let back = SpherePoint(place).latLng
            #expect((back.latitude - place.latitude).magnitude < 1e-13 * 90)
            let turn = (back.longitude - place.longitude).magnitude
            #expect(min(turn, 360 - turn) * max(1e-9, 90 - place.latitude.magnitude) < 1e-11)
        }
    }
}
