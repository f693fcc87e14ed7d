import Primitives
import Testing

@testable import VectorIndex

/// Vectors that tests make, and the plain answer to every search.
struct FlatOracle {
    var random: Xoshiro256
    let dimensions: Int
    let metric: VectorMetric
    /// The vector of each node that a search may find.
    var vectors: [UInt32: [Float]] = [:]

    init(dimensions: Int, metric: VectorMetric, seed: UInt64) {
        random = Xoshiro256(seed: seed)
        self.dimensions = dimensions
        self.metric = metric
    }

    /// A vector near one of `clusters` middles.
    mutating func vector(clusters: Int = 10) -> [Float] {
        var middle = Xoshiro256(seed: UInt64(Int.random(in: 0..<clusters, using: &random)))
        return (0..<dimensions).map { _ in
            Float.random(in: -3...3, using: &middle) + Float.random(in: -1...1, using: &random)
        }
    }

    func distance(_ a: [Float], _ b: [Float]) -> Double {
        var (dot, l2, aa, bb) = (0.0, 0.0, 0.0, 0.0)
        for index in 0..<dimensions {
            let (x, y) = (Double(a[index]), Double(b[index]))
            dot += x * y
            l2 += (x - y) * (x - y)
            aa += x * x
            bb += y * y
        }
        switch metric {
        case .dot: return -dot
        case .l2: return l2
        case .cosine: return 1 - dot / (aa * bb).squareRoot()
        }
    }

    /// Distances of the nearest `k` among the nodes for which `accepts` holds, ascending.
    func nearest(_ query: [Float], _ k: Int, where accepts: (UInt32) -> Bool) -> [Double] {
        let all = vectors.filter { accepts($0.key) }.map { distance(query, $0.value) }
        return Array(all.sorted().prefix(k))
    }

    /// How many of the hits are as near as the k nearest, and each once.
    func right(_ query: [Float], _ hits: [VectorHit], _ truth: [Double]) -> Int {
        guard let limit = truth.last else { return 0 }
        let slack = 1e-3 * max(1, abs(limit))
        return Set(hits.map(\.node)).count {
            vectors[$0].map { distance(query, $0) <= limit + slack } ?? false
        }
    }
}

/// A bitmap over nodes for the length of a call.
func withBits<T>(_ nodes: Set<UInt32>, _ count: Int, _ body: (UnsafePointer<UInt64>) throws -> T)
    rethrows -> T?
{
    var words = [UInt64](repeating: 0, count: (count + 511) / 512 * 8 + 8)
    for node in nodes { words[Int(node >> 6)] |= 1 << UInt64(node & 63) }
    return try words.withUnsafeBufferPointer { try $0.baseAddress.map(body) }
}

@Suite struct FlatIndexTests {
    private static func search(
        _ index: FlatIndex,
        _ query: [Float],
        k: Int,
        isExact: Bool = false,
        accept: UnsafePointer<UInt64>? = nil,
        _ scratch: SearchScratch
    ) throws -> [VectorHit] {
        var out = [VectorHit](repeating: VectorHit(node: 0, distance: 0), count: k)
        let count = try query.withUnsafeBufferPointer { vector in
            try out.withUnsafeMutableBufferPointer {
                guard isExact else {
                    return try index.search(
                        vector,
                        k: k,
                        accept: accept,
                        scratch: scratch,
                        into: $0
                    )
                }
                return try index.exactSearch(
                    vector,
                    k: k,
                    among: accept ?? index.live,
                    wordCount: (index.nodeCount + 63) / 64,
                    scratch: scratch,
                    into: $0
                )
            }
        }
        return Array(out.prefix(count))
    }

    private static func append(_ index: FlatIndex, _ vector: [Float]) throws -> UInt32 {
        try vector.withUnsafeBufferPointer { (buffer) throws(VectorIndexError) in
            try index.append(buffer)
        }
    }

    @Test(arguments: VectorMetric.allCases, VectorStorage.allCases)
    func everySearchIsExact(metric: VectorMetric, storage: VectorStorage) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var oracle = FlatOracle(dimensions: 33, metric: metric, seed: seed)
        let index = try FlatIndex(
            FlatConfiguration(
                dimensions: 33,
                metric: metric,
                storage: storage,
                originals: .f32,
                nodeCountMax: 4_000
            )
        )
        let scratch = SearchScratch()
        for _ in 0..<1_500 {
            let vector = oracle.vector()
            oracle.vectors[try Self.append(index, vector)] = vector
        }
        for turn in 0..<30 {
            for node in oracle.vectors.keys.sorted() where Int(node) % 40 == turn {
                oracle.vectors[node] = nil
                index.retire(node)
                if turn % 2 == 0 { index.release(node) }
            }
            let vector = oracle.vector()
            oracle.vectors[try Self.append(index, vector)] = vector
            index.checkInvariants()
            let query = oracle.vector()
            let truth = oracle.nearest(query, 10) { _ in true }
            for isExact in [true, false] {
                let hits = try Self.search(index, query, k: 10, isExact: isExact, scratch)
                #expect(hits.count == 10, "seed \(seed)")
                #expect(hits.map(\.distance) == hits.map(\.distance).sorted(), "seed \(seed)")
                #expect(oracle.right(query, hits, truth) == 10, "seed \(seed)")
            }
            let chosen = Set(oracle.vectors.keys.filter { Int($0) % 7 == turn % 7 })
            let accepted = oracle.nearest(query, 10) { chosen.contains($0) }
            let hits = try withBits(chosen, index.nodeCount) {
                try Self.search(index, query, k: 10, accept: $0, scratch)
            }
            #expect(oracle.right(query, hits ?? [], accepted) == 10, "seed \(seed)")
            #expect(hits?.allSatisfy { chosen.contains($0.node) } == true, "seed \(seed)")
        }
    }

    @Test func anEmptyIndexFindsNothing() throws {
        let index = try FlatIndex(FlatConfiguration(dimensions: 4, metric: .l2, nodeCountMax: 10))
        #expect(try Self.search(index, [1, 2, 3, 4], k: 3, SearchScratch()).isEmpty)
    }

    @Test func fewerVectorsThanAskedForAreAllFound() throws {
        let index = try FlatIndex(FlatConfiguration(dimensions: 2, metric: .dot, nodeCountMax: 10))
        for value in 1...3 { _ = try Self.append(index, [Float(value), 1]) }
        let hits = try Self.search(index, [1, 0], k: 8, SearchScratch())
        #expect(hits.map(\.node) == [2, 1, 0])
    }

    @Test func aReleasedSlotIsReusedAndARetiredOneIsNot() throws {
        let index = try FlatIndex(FlatConfiguration(dimensions: 2, metric: .l2, nodeCountMax: 3))
        let nodes = try (0..<3).map { try Self.append(index, [Float($0), 0]) }
        #expect(nodes == [0, 1, 2])
        index.retire(1)
        #expect(throws: VectorIndexError.full(nodeCountMax: 3)) { try Self.append(index, [9, 9]) }
        index.release(1)
        #expect(try Self.append(index, [9, 9]) == 1)
        #expect(index.liveCount == 3)
        index.checkInvariants()
    }

    @Test func vectorsThatCannotBeComparedAreRefused() throws {
        let index = try FlatIndex(
            FlatConfiguration(dimensions: 2, metric: .cosine, nodeCountMax: 3)
        )
        #expect(throws: VectorIndexError.zeroVector) { try Self.append(index, [0, 0]) }
        #expect(throws: VectorIndexError.notFinite(index: 1)) { try Self.append(index, [0, .nan]) }
        #expect(throws: VectorIndexError.dimensions(expected: 2, received: 3)) {
            try Self.append(index, [1, 2, 3])
        }
        #expect(index.nodeCount == 0)
    }
}
