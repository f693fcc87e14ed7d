import Primitives
import Testing
import VectorIndex

/// Goal: a filter costs neither results nor recall, whatever it lets through.
/// Method: brute force over the matches, at shares of every size, for filters that have nothing
/// to do with the query and for such that hold only vectors far from it.
@Suite struct HNSWFilterTests {
    private func built(_ count: Int, seed: UInt64) throws -> (VectorSet, Model) {
        let set = VectorSet(count: count, dimensions: 16, clusters: 8, metric: .cosine, seed: seed)
        var model = try Model(
            HNSWConfiguration(
                dimensions: 16, metric: .cosine, m: 8, efConstruction: 60, seed: 1))
        for vector in set.vectors { _ = try model.add(vector) }
        model.link()
        return (set, model)
    }

    @Test func recallHoldsAtEveryShare() throws {
        var (set, model) = try built(2500, seed: 31)
        let queries = (0..<15).map { _ in set.next() }
        let plain = try model.recall(set, queries, k: 10, ef: 60)
        for percent in [0.1, 1.0, 5, 10, 20, 40, 70, 95, 100] {
            let accepts = { (node: UInt32) in
                Double(Hash64.hash(UInt64(node)) % 10_000) < percent * 100
            }
            let ways: [VectorSearchPlan?] = [nil, .exact, .filteredGraph, .widened(ef: 120)]
            let recalls = try model.recalls(
                set, queries, k: 10, ef: 60, ways: ways, where: accepts)
            #expect(recalls[0] >= plain - 0.02, "\(percent) % \(recalls)")
            // Ways that nobody would choose lose little.
            #expect(recalls.allSatisfy { $0 >= plain - 0.05 }, "\(percent) % \(recalls)")
        }
    }

    @Test func kResultsComeWheneverKMatchExist() throws {
        var (set, model) = try built(1200, seed: 32)
        let query = set.next()
        let order = model.held.sorted {
            set.distance(query, $0.value) > set.distance(query, $1.value)
        }
        // The farthest nodes of all: no walk leads to them by itself.
        for count in [0, 1, 9, 10, 11, 50, 300, 600, 1199, 1200] {
            var accept = [UInt64](repeating: 0, count: (model.graph.nodeCount + 63) / 64)
            for (node, _) in order[..<count] { accept[Int(node) / 64] |= 1 << UInt64(node % 64) }
            let ways: [VectorSearchPlan?] = [nil, .exact, .filteredGraph, .widened(ef: 10)]
            for how in ways {
                let hits = try model.search(query, k: 10, ef: 10, accept: accept, how: how)
                #expect(hits.count == min(10, count), "\(count) \(String(describing: how))")
                #expect(
                    hits.allSatisfy { hit in
                        accept[Int(hit.node) / 64] >> UInt64(hit.node % 64) & 1 == 1
                    })
                #expect(Set(hits.map(\.node)).count == hits.count)
                #expect(hits.map(\.distance) == hits.map(\.distance).sorted())
            }
        }
    }

    @Test func filtersThatPointAwayKeepTheirRecall() throws {
        var (set, model) = try built(2500, seed: 33)
        let queries = (0..<15).map { _ in set.next() }
        for query in queries {
            let near = set.bound(query, k: 1500, among: set.vectors)
            let accepts = { (node: UInt32) in
                model.held[node].map { set.distance(query, $0) > near } ?? false
            }
            let recalls = try model.recalls(
                set, [query], k: 10, ef: 40, ways: [nil, .filteredGraph, .widened(ef: 100)],
                where: accepts)
            #expect(recalls.allSatisfy { $0 >= 0.9 }, "\(recalls)")
        }
    }

    /// Where a filter points away, more candidates are kept than the search's width; what is
    /// written meanwhile and lies behind them must not get in their way.
    @Test func farNodesOfTheTailFollowAWideWalk() throws {
        var model = try Model(
            HNSWConfiguration(dimensions: 4, metric: .l2, m: 8, efConstruction: 60, seed: 1))
        var random = Xoshiro256(seed: 36)
        func around(_ x: Float) -> [Float] {
            (0..<4).map { ($0 == 0 ? x : 0) + Float.random(in: -1...1, using: &random) }
        }
        // The matches are the second of two crowds; those behind it are not linked yet.
        for _ in 0..<9_000 { _ = try model.add(around(0)) }
        for _ in 0..<2_000 { _ = try model.add(around(50)) }
        model.link()
        for _ in 0..<300 { _ = try model.add(around(90)) }
        let accepts = { (node: UInt32) in node >= 9_000 }
        let set = VectorSet(count: 0, dimensions: 4, metric: .l2, seed: 1)
        let queries = (0..<20).map { _ in around(0) }
        let recall = try model.recall(set, queries, k: 1, ef: 1, where: accepts)
        #expect(recall >= 0.5)
    }

    @Test func plansFollowTheShareOfMatches() throws {
        let (_, model) = try built(1200, seed: 34)
        let graph = model.graph
        #expect(graph.searchPlan(matchCount: 100, k: 10, ef: 10) == .exact)
        #expect(graph.searchPlan(matchCount: 0, k: 10, ef: 10) == .exact)
        // A caller may know of more matches than there are nodes.
        #expect(graph.searchPlan(matchCount: 9000, k: 10, ef: 40) == .widened(ef: 40))
        #expect(graph.searchPlan(matchCount: 1199, k: 1, ef: 1) == .widened(ef: 3))
    }

    @Test func tailNodesAreFilteredToo() throws {
        var (set, model) = try built(1500, seed: 35)
        for _ in 0..<200 { _ = try model.add(set.next()) }
        #expect(model.graph.tailCount == 200)
        let queries = (0..<15).map { _ in set.next() }
        for percent in [5.0, 15, 40, 80] {
            let accepts = { (node: UInt32) in
                Double(Hash64.hash(UInt64(node)) % 10_000) < percent * 100
            }
            let recalls = try model.recalls(
                set, queries, k: 10, ef: 60, ways: [nil, .filteredGraph], where: accepts)
            #expect(recalls.allSatisfy { $0 >= 0.95 }, "\(percent) % \(recalls)")
        }
    }
}
