import Primitives
import Testing
import VectorIndex

/// Goal: the graph finds what brute force finds, whatever the storage and the metric, and is sound
/// after every step.
@Suite struct HNSWGraphTests {
    private func configuration(
        _ set: VectorSet, _ storage: VectorStorage = .int8,
        _ originals: VectorOriginals = .f32, m: Int = 8, efConstruction: Int = 60
    ) -> HNSWConfiguration {
        HNSWConfiguration(
            dimensions: set.dimensions, metric: set.metric, m: m,
            efConstruction: efConstruction, seed: 5, storage: storage, originals: originals,
            nodeCountMax: 100_000)
    }

    @Test func emptyGraphFindsNothing() throws {
        let set = VectorSet(count: 1, dimensions: 4, metric: .l2, seed: 1)
        let model = try Model(configuration(set))
        #expect(try model.search([1, 2, 3, 4], k: 3, ef: 10).isEmpty)
        #expect(model.graph.nextOperation == nil)
        #expect(model.graph.invariantViolations() == [])
    }

    @Test(arguments: VectorMetric.allCases, VectorStorage.allCases)
    func everyStorageFindsWhatBruteForceFinds(
        metric: VectorMetric, storage: VectorStorage
    ) throws {
        var set = VectorSet(count: 600, dimensions: 24, metric: metric, seed: 2)
        let queries = (0..<20).map { _ in set.next() }
        for originals in VectorOriginals.allCases {
            var model = try Model(configuration(set, storage, originals))
            for vector in set.vectors { _ = try model.add(vector) }
            model.link()
            #expect(model.graph.invariantViolations() == [])
            let recall = try model.recall(set, queries, k: 10, ef: 60)
            let least = originals == .none && storage == .int8 ? 0.9 : 0.97
            #expect(recall >= least, "\(metric) \(storage) \(originals) \(recall)")
        }
    }

    @Test func tailIsFoundAtOnceAndGraphIsSoundAfterEveryStep() throws {
        var set = VectorSet(count: 300, dimensions: 16, metric: .cosine, seed: 3)
        let query = set.next()
        var model = try Model(configuration(set, m: 4, efConstruction: 20))
        for (i, vector) in set.vectors.enumerated() {
            let node = try model.add(vector)
            #expect(try model.search(vector, k: 1, ef: 10).first?.node == node)
            if i % 3 == 0 {
                #expect(model.graph.step(model.plan))
                #expect(model.graph.invariantViolations() == [])
            }
        }
        #expect(model.graph.tailCount == 200)
        #expect(try model.recall(set, [query], k: 10, ef: 100) >= 0.9)
        while model.graph.step(model.plan) {
            #expect(model.graph.invariantViolations() == [])
        }
        #expect(model.graph.linkedCount == 300)
    }

    @Test func retiredNodesAreNeverFoundAndGraphIsSoundAfterEveryStep() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var set = VectorSet(count: 150, dimensions: 8, metric: .l2, seed: seed)
        var model = try Model(configuration(set, m: 4, efConstruction: 20))
        for vector in set.vectors { _ = try model.add(vector) }
        for _ in 0..<800 {
            switch UInt8.random(in: 0..<5, using: &random) {
            case 0: _ = try model.add(set.next())
            case 1:
                if let node = model.held.keys.sorted().randomElement(using: &random) {
                    model.remove(node)
                }
            default:
                _ = model.graph.step(model.plan)
                let wrong = model.graph.invariantViolations()
                try #require(wrong == [], "seed \(seed)")
            }
            let hits = try model.search(set.next(), k: 5, ef: 20)
            #expect(hits.count == min(5, model.held.count), "seed \(seed)")
            #expect(hits.allSatisfy { model.held[$0.node] != nil }, "seed \(seed)")
        }
        let queries = (0..<30).map { _ in set.next() }
        model.link()
        #expect(model.graph.invariantViolations() == [])
        #expect(try model.recall(set, queries, k: 5, ef: 60) >= 0.97, "seed \(seed)")
    }

    @Test func everythingCanBeRemovedAndAddedAgain() throws {
        var set = VectorSet(count: 100, dimensions: 8, metric: .cosine, seed: 9)
        var model = try Model(configuration(set, m: 3, efConstruction: 20))
        for round in 0..<3 {
            for vector in set.vectors { _ = try model.add(vector) }
            model.link()
            #expect(model.graph.liveCount == 100)
            for node in model.held.keys.sorted() {
                model.remove(node)
                while model.graph.step(model.plan) {
                    #expect(model.graph.invariantViolations() == [], "\(round) \(node)")
                }
            }
            #expect(try model.search(set.next(), k: 5, ef: 20).isEmpty)
            #expect(model.graph.linkedCount == 0)
        }
        #expect(model.graph.nodeCount <= 140)
    }

    @Test func thousandsOfEqualVectorsStayReachable() throws {
        let set = VectorSet(count: 1, dimensions: 8, metric: .l2, seed: 4)
        var model = try Model(configuration(set, m: 2, efConstruction: 4))
        for _ in 0..<600 { _ = try model.add(set.vectors[0]) }
        model.link()
        #expect(model.graph.invariantViolations() == [])
        #expect(try model.search(set.vectors[0], k: 600, ef: 600).count == 600)
        for node in 0..<UInt32(500) { model.remove(node) }
        while model.graph.step(model.plan) {}
        #expect(model.graph.invariantViolations() == [])
        #expect(try model.search(set.vectors[0], k: 200, ef: 10).count == 100)
    }

    @Test func sameHistoryGivesTheSameGraphHoweverItIsSliced() throws {
        let set = VectorSet(count: 600, dimensions: 12, metric: .cosine, seed: 6)
        var graphs: [[UInt32]] = []
        for slice in [1, 7, 10_000] {
            var model = try Model(configuration(set, m: 4, efConstruction: 30))
            for (i, vector) in set.vectors.enumerated() {
                _ = try model.add(vector)
                // Slots are not reused here: their numbers would be part of the history.
                if i % 5 == 4 { model.graph.retire(UInt32(i - 2)) }
                if i % slice == 0 {
                    for _ in 0..<slice { _ = model.graph.step(model.plan) }
                }
            }
            model.link()
            graphs.append(model.graph.fingerprint())
        }
        #expect(graphs[0] == graphs[1])
        #expect(graphs[0] == graphs[2])
    }

    @Test func badVectorsAndSettingsAreNamed() throws {
        let set = VectorSet(count: 1, dimensions: 3, metric: .cosine, seed: 1)
        var model = try Model(configuration(set, .int8, .f16))
        #expect(throws: VectorIndexError.dimensions(expected: 3, received: 2)) {
            _ = try model.add([1, 2])
        }
        #expect(throws: VectorIndexError.dimensions(expected: 3, received: 0)) {
            _ = try model.search([], k: 1, ef: 1)
        }
        #expect(throws: VectorIndexError.notFinite(index: 1)) { _ = try model.add([1, .nan, 0]) }
        #expect(throws: VectorIndexError.notFinite(index: 2)) {
            _ = try model.add([1, 0, -.infinity])
        }
        #expect(throws: VectorIndexError.zeroVector) { _ = try model.add([0, -0, 0]) }
        #expect(model.graph.nodeCount == 0)
        for tiny: Float in [.leastNonzeroMagnitude, 1e-38, 1e-20, 1e20, 3e38] {
            let node = try model.add([tiny, 0, tiny])
            let hits = try model.search([2, 0, 2], k: 20, ef: 20)
            #expect(hits.contains { $0.node == node && abs($0.distance) < 1e-3 }, "\(tiny)")
        }
        let long = try Model(
            HNSWConfiguration(dimensions: 2, metric: .l2, originals: .f16, nodeCountMax: 2))
        var small = long
        #expect(throws: VectorIndexError.outOfRange(index: 1)) { _ = try small.add([1, 1e5]) }
        _ = try small.add([1, 1])
        _ = try small.add([1, 2])
        #expect(throws: VectorIndexError.full(nodeCountMax: 2)) { _ = try small.add([1, 3]) }
        #expect(throws: VectorIndexError.setting(name: "m", value: 1, lowest: 2, highest: 100)) {
            _ = try HNSWGraph(HNSWConfiguration(dimensions: 2, metric: .l2, m: 1))
        }
    }
}
