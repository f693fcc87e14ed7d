import Primitives
import VectorIndex

/// Vectors in clusters, and brute force over them: the oracle of recall.
struct VectorSet {
    let dimensions: Int
    let metric: VectorMetric
    var vectors: [[Float]]
    private var random: Xoshiro256
    private var centres: [[Float]] = []

    init(count: Int, dimensions: Int, clusters: Int = 20, metric: VectorMetric, seed: UInt64) {
        self.dimensions = dimensions
        self.metric = metric
        random = Xoshiro256(seed: seed)
        vectors = []
        for _ in 0..<clusters {
            centres.append((0..<dimensions).map { _ in Float.random(in: -1...1, using: &random) })
        }
        for _ in 0..<count { vectors.append(next()) }
    }

    /// One more vector of the same kind.
    mutating func next() -> [Float] {
        let centre = centres[Int.random(in: 0..<centres.count, using: &random)]
        return centre.map { $0 + Float.random(in: -0.7...0.7, using: &random) }
    }

    func distance(_ a: [Float], _ b: [Float]) -> Double {
        switch metric {
        case .cosine: 1 - Twin.dot(a, b) / (Twin.dot(a, a) * Twin.dot(b, b)).squareRoot()
        case .dot: -Twin.dot(a, b)
        case .l2: Twin.l2(a, b)
        }
    }

    /// The distance of the k-th nearest of `among` to the query.
    func bound(_ query: [Float], k: Int, among: [[Float]]) -> Double {
        let sorted = among.map { distance(query, $0) }.sorted()
        return sorted.isEmpty ? 0 : sorted[min(k, sorted.count) - 1]
    }
}

/// A graph with what it should hold, by node.
struct Model {
    let graph: HNSWGraph
    let plan: HNSWPlan
    let scratch = SearchScratch()
    var held: [UInt32: [Float]] = [:]

    init(_ configuration: HNSWConfiguration) throws {
        graph = try HNSWGraph(configuration)
        plan = HNSWPlan(graph)
    }

    mutating func add(_ vector: [Float]) throws -> UInt32 {
        let node = try vector.withUnsafeBufferPointer { try graph.append($0) }
        held[node] = vector
        return node
    }

    mutating func remove(_ node: UInt32) {
        graph.retire(node)
        graph.release(node)
        held[node] = nil
    }

    func link() { while graph.step(plan) {} }

    func search(
        _ query: [Float], k: Int, ef: Int, accept: [UInt64]? = nil, how: VectorSearchPlan? = nil
    ) throws -> [VectorHit] {
        let out = UnsafeMutableBufferPointer<VectorHit>.allocate(capacity: k)
        defer { out.deallocate() }
        let count = try query.withUnsafeBufferPointer { q in
            guard let accept else {
                return try graph.search(q, k: k, ef: ef, plan: how, scratch: scratch, into: out)
            }
            return try accept.withUnsafeBufferPointer {
                try graph.search(
                    q, k: k, ef: ef, accept: $0.baseAddress, plan: how, scratch: scratch,
                    into: out)
            }
        }
        return Array(out[..<count])
    }

    /// Mean share of the true k nearest that are found, by distance, over the queries.
    func recall(
        _ set: VectorSet, _ queries: [[Float]], k: Int, ef: Int, how: VectorSearchPlan? = nil,
        where accepts: ((UInt32) -> Bool)? = nil
    ) throws -> Double {
        try recalls(set, queries, k: k, ef: ef, ways: [how], where: accepts)[0]
    }

    /// The recall of each way to search.
    func recalls(
        _ set: VectorSet, _ queries: [[Float]], k: Int, ef: Int, ways: [VectorSearchPlan?],
        where accepts: ((UInt32) -> Bool)? = nil
    ) throws -> [Double] {
        var bits: [UInt64]?
        if let accepts {
            var words = [UInt64](repeating: 0, count: (graph.nodeCount + 63) / 64)
            for node in held.keys where accepts(node) {
                words[Int(node) / 64] |= 1 << UInt64(node % 64)
            }
            bits = words
        }
        let among = held.filter { accepts?($0.key) ?? true }
        let vectors = Array(among.values)
        var (found, wanted) = ([Int](repeating: 0, count: ways.count), 0)
        for query in queries {
            let bound = set.bound(query, k: k, among: vectors)
            wanted += min(k, among.count)
            for (i, how) in ways.enumerated() {
                for hit in try search(query, k: k, ef: ef, accept: bits, how: how) {
                    // A node that the filter does not let through is worse than none.
                    guard let vector = among[hit.node] else { return ways.map { _ in -1 } }
                    if set.distance(query, vector) <= bound + 1e-6 { found[i] += 1 }
                }
            }
        }
        return found.map { wanted == 0 ? 1 : Double($0) / Double(wanted) }
    }
}
