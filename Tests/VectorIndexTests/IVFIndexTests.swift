import Primitives
import Testing

@testable import VectorIndex

/// An index, its builder's plan, and the plain answer to every search.
private final class Rig {
    let index: IVFIndex
    let plan: IVFPlan
    let scratch = SearchScratch()
    var oracle: FlatOracle

    init(
        dimensions: Int = 24,
        metric: VectorMetric,
        storage: VectorStorage = .f32,
        lists: Int = 40,
        seed: UInt64
    ) throws {
        let vectors = FlatConfiguration(
            dimensions: dimensions,
            metric: metric,
            storage: storage,
            originals: .f32,
            nodeCountMax: 20_000
        )
        index = try IVFIndex(
            IVFConfiguration(vectors: vectors, listCount: lists, seed: seed, trainingCountMin: 300)
        )
        plan = IVFPlan(index)
        oracle = FlatOracle(dimensions: dimensions, metric: metric, seed: seed)
    }

    @discardableResult
    func append(clusters: Int = 10) throws -> UInt32 {
        let vector = oracle.vector(clusters: clusters)
        let node = try vector.withUnsafeBufferPointer { (buffer) throws(VectorIndexError) in
            try index.append(buffer)
        }
        oracle.vectors[node] = vector
        return node
    }

    func remove(_ node: UInt32) {
        oracle.vectors[node] = nil
        index.retire(node)
        index.release(node)
    }

    func build() { while index.step(plan) {} }

    func search(
        _ query: [Float],
        k: Int = 10,
        probes: Int,
        accept: UnsafePointer<UInt64>? = nil
    ) throws -> [VectorHit] {
        var out = [VectorHit](repeating: VectorHit(node: 0, distance: 0), count: k)
        let count = try query.withUnsafeBufferPointer { vector in
            try out.withUnsafeMutableBufferPointer {
                try index.search(
                    vector,
                    k: k,
                    probeCount: probes,
                    accept: accept,
                    scratch: scratch,
                    into: $0
                )
            }
        }
        return Array(out.prefix(count))
    }

    func exact(_ query: [Float]) throws -> [VectorHit] {
        var out = [VectorHit](repeating: VectorHit(node: 0, distance: 0), count: 10)
        let count = try query.withUnsafeBufferPointer { vector in
            try out.withUnsafeMutableBufferPointer {
                try index.exactSearch(
                    vector,
                    k: 10,
                    among: index.live,
                    wordCount: (index.nodeCount + 63) / 64,
                    scratch: scratch,
                    into: $0
                )
            }
        }
        return Array(out.prefix(count))
    }

    /// Share of the 10 nearest that is found, over queries like the vectors.
    func recall(probes: Int, queries: Int = 20) throws -> Double {
        var right = 0
        for _ in 0..<queries {
            let query = oracle.vector()
            let hits = try search(query, probes: probes)
            right += oracle.right(query, hits, oracle.nearest(query, 10) { _ in true })
        }
        return Double(right) / Double(queries * 10)
    }

    /// All that searches depend on, in order.
    var structure: [[UInt32]] {
        let centres = index.lists.centroids.map { centroids in
            (0..<centroids.rows.count).map { centroids.rows[$0].bitPattern }
        }
        return [centres ?? []] + (0..<index.lists.count).map { Array(index.lists.members($0)) }
    }
}

@Suite struct IVFIndexTests {
    @Test(arguments: VectorMetric.allCases, VectorStorage.allCases)
    func recallGrowsWithProbesAndIsWholeWithAllLists(
        metric: VectorMetric,
        storage: VectorStorage
    ) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let rig = try Rig(metric: metric, storage: storage, seed: seed)
        for _ in 0..<2_000 { try rig.append() }
        rig.build()
        rig.index.checkInvariants()
        #expect(rig.index.listCount > 30, "seed \(seed)")
        var last = 0.0
        for probes in [1, 5, 20, rig.index.listCount] {
            let recall = try rig.recall(probes: probes)
            #expect(recall >= last - 0.05, "seed \(seed), probes \(probes)")
            last = recall
        }
        #expect(last >= (storage == .int8 ? 0.995 : 1), "seed \(seed)")
    }

    @Test func theTailIsFoundWithoutAnyBuilding() throws {
        let rig = try Rig(metric: .l2, seed: 1)
        for _ in 0..<900 { try rig.append() }
        #expect(rig.index.tailCount == 900)
        #expect(try rig.recall(probes: 1) == 1)
        rig.build()
        #expect(rig.index.tailCount == 0)
        #expect(rig.index.trainingCount > 0)
        let first = try rig.append()
        let vector = try #require(rig.oracle.vectors[first])
        #expect(try rig.search(vector, k: 1, probes: 1).first?.node == first)
    }

    @Test(arguments: VectorMetric.allCases)
    func churnKeepsSearchesRight(metric: VectorMetric) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let rig = try Rig(metric: metric, storage: .int8, lists: 16, seed: seed)
        var random = Xoshiro256(seed: seed)
        var present: [UInt32] = []
        for turn in 0..<6_000 {
            if present.count < 800 || (present.count < 1_000 && Bool.random(using: &random)) {
                present.append(try rig.append())
            } else {
                let chosen = Int.random(in: 0..<present.count, using: &random)
                present.swapAt(chosen, present.count - 1)
                rig.remove(present.removeLast())
            }
            if Int.random(in: 0..<9, using: &random) > 0 { _ = rig.index.step(rig.plan) }
            if turn % 500 == 499 {
                rig.index.checkInvariants()
                #expect(try rig.recall(probes: 16, queries: 10) >= 0.98, "seed \(seed)")
            }
        }
        rig.build()
        rig.index.checkInvariants()
        #expect(rig.index.linkedCount == rig.oracle.vectors.count, "seed \(seed)")
        #expect(rig.index.nodeCount < 2_500, "slots are reused, seed \(seed)")
        #expect(rig.index.trainingCount >= 2, "seed \(seed)")
    }

    @Test(arguments: VectorMetric.allCases)
    func theSameHistoryGivesTheSameIndexWheneverItIsBuilt(metric: VectorMetric) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var structures: [[[UInt32]]] = []
        for eagerness in [0, 1, 5] {
            let rig = try Rig(metric: metric, lists: 30, seed: seed)
            var pace = Xoshiro256(seed: seed &+ UInt64(eagerness))
            // Slots are chosen by the caller's history too: none is released before all is built.
            for _ in 0..<1_500 {
                try rig.append()
                let steps = eagerness == 0 ? 0 : Int.random(in: 0...eagerness, using: &pace)
                for _ in 0..<steps { _ = rig.index.step(rig.plan) }
            }
            rig.build()
            for node in 0..<700 { rig.remove(UInt32(node)) }
            rig.build()
            for _ in 0..<900 { try rig.append() }
            rig.build()
            structures.append(rig.structure)
        }
        #expect(structures[0] == structures[1], "seed \(seed)")
        #expect(structures[0] == structures[2], "seed \(seed)")
    }

    @Test(arguments: VectorMetric.allCases)
    func filtersFindKOfWhatTheyAccept(metric: VectorMetric) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let rig = try Rig(metric: metric, seed: seed)
        for _ in 0..<4_000 { try rig.append() }
        rig.build()
        for _ in 0..<50 { try rig.append() }
        var random = Xoshiro256(seed: seed)
        for matches in [1, 5, 10, 40, 400, 2_000, 3_900] {
            let chosen = Set(rig.oracle.vectors.keys.sorted().shuffled(using: &random)[..<matches])
            var right = 0
            for _ in 0..<20 {
                let query = rig.oracle.vector()
                let truth = rig.oracle.nearest(query, 10) { chosen.contains($0) }
                let found = try withBits(chosen, rig.index.nodeCount) {
                    try rig.search(query, probes: 12, accept: $0)
                }
                let hits = found ?? []
                #expect(hits.count == min(10, matches), "seed \(seed), matches \(matches)")
                #expect(hits.allSatisfy { chosen.contains($0.node) }, "seed \(seed)")
                right += rig.oracle.right(query, hits, truth)
            }
            let recall = Double(right) / Double(20 * min(10, matches))
            #expect(recall > 0.9, "seed \(seed), matches \(matches)")
        }
    }

    @Test(arguments: VectorMetric.allCases)
    func filtersThatPointAwayFromTheQueryKeepTheirRecall(metric: VectorMetric) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let rig = try Rig(metric: metric, seed: seed)
        for _ in 0..<4_000 { try rig.append() }
        rig.build()
        var (right, asked) = (0, 0)
        for _ in 0..<20 {
            let query = rig.oracle.vector()
            let limit = rig.oracle.nearest(query, 2_400) { _ in true }.last ?? 0
            let chosen = Set(
                rig.oracle.vectors.filter { rig.oracle.distance(query, $0.value) > limit }.keys
            )
            let truth = rig.oracle.nearest(query, 10) { chosen.contains($0) }
            let found = try withBits(chosen, rig.index.nodeCount) {
                try rig.search(query, probes: 4, accept: $0)
            }
            #expect(found?.count == 10, "seed \(seed)")
            right += rig.oracle.right(query, found ?? [], truth)
            asked += 10
        }
        #expect(Double(right) > 0.9 * Double(asked), "seed \(seed)")
    }

    @Test func retiredNodesAreFoundOnlyByName() throws {
        let rig = try Rig(metric: .l2, seed: 4)
        for _ in 0..<600 { try rig.append() }
        rig.build()
        let vector = try #require(rig.oracle.vectors[77])
        rig.index.retire(77)
        rig.build()
        #expect(try rig.search(vector, k: 1, probes: 16).first?.node != 77)
        let named = try withBits(Set(0..<600), 600) {
            try rig.search(vector, k: 1, probes: 16, accept: $0)
        }
        #expect(named?.first?.node == 77)
        rig.index.release(77)
        rig.build()
        #expect(try rig.append() == 77)
    }

    @Test func exactSearchesAreExactWhateverTheLists() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let rig = try Rig(metric: .cosine, storage: .int8, seed: seed)
        for _ in 0..<1_000 { try rig.append() }
        rig.build()
        for _ in 0..<20 {
            let query = rig.oracle.vector()
            let truth = rig.oracle.nearest(query, 10) { _ in true }
            #expect(rig.oracle.right(query, try rig.exact(query), truth) == 10, "seed \(seed)")
        }
    }

    @Test func vectorsFromElsewhereBringNewCentres() throws {
        let rig = try Rig(metric: .l2, seed: 5)
        for _ in 0..<2_000 { try rig.append(clusters: 3) }
        rig.build()
        let before = rig.index.trainingCount
        for _ in 0..<700 { try rig.append(clusters: 40) }
        rig.build()
        #expect(rig.index.trainingCount > before, "before the vectors have doubled")
    }

    /// Training knows of the nodes before it; those that wait behind it need places all the same.
    @Test func aLongTailIsLinkedAfterTraining() throws {
        let rig = try Rig(dimensions: 3, metric: .l2, seed: 8)
        for _ in 0..<19_000 { try rig.append() }
        rig.build()
        rig.index.checkInvariants()
        #expect(rig.index.linkedCount == 19_000)
    }

    @Test func emptyAndSmallIndexesAnswer() throws {
        let rig = try Rig(metric: .dot, seed: 6)
        #expect(try rig.search(rig.oracle.vector(), probes: 3).isEmpty)
        for _ in 0..<4 { try rig.append() }
        #expect(try rig.search(rig.oracle.vector(), probes: 3).count == 4)
        rig.build()
        #expect(try rig.search(rig.oracle.vector(), probes: 3).count == 4)
        for node in 0..<4 { rig.remove(UInt32(node)) }
        rig.build()
        #expect(try rig.search(rig.oracle.vector(), probes: 3).isEmpty)
        rig.index.checkInvariants()
    }

    @Test func settingsOutsideTheirBoundsAreRefused() {
        let vectors = FlatConfiguration(dimensions: 3, metric: .l2)
        #expect(throws: VectorIndexError.self) {
            try IVFIndex(IVFConfiguration(vectors: vectors, listCount: 0))
        }
        #expect(throws: VectorIndexError.self) {
            try IVFIndex(IVFConfiguration(vectors: vectors, listCount: 70_000))
        }
    }
}
