import Primitives
import Schema
import VectorIndex

/// A vector index of whatever kind a schema asks for, behind one door.
///
/// Thread rule: that of the indexes: `append`, `retire`, `release` and `apply` under the writer
/// lock, searches and figures under the reader lock, `plan` by one builder without a lock.
package final class VectorGraph {
    private let graph: HNSWGraph
    private let plan: HNSWPlan
    private let dimensions: Int

    init(_ options: VectorOptions, seed: UInt64) {
        let metric: VectorIndex.VectorMetric =
            switch options.metric {
            case .cosine: .cosine
            case .ip: .dot
            case .l2: .l2
            }
        let storage: VectorStorage =
            switch options.storage {
            case "f32": .f32
            case "f16": .f16
            default: .int8
            }
        let configuration = HNSWConfiguration(
            dimensions: options.dimensions, metric: metric, m: options.m ?? 16,
            efConstruction: options.efConstruction ?? 200, seed: seed, storage: storage,
            originals: options.originals == "f32" ? .f32 : .f16)
        do {
            graph = try HNSWGraph(configuration)
        } catch {
            preconditionFailure("a schema's settings are within bounds: \(error)")
        }
        plan = HNSWPlan(graph)
        dimensions = options.dimensions
    }

    // MARK: - Figures

    /// One past the largest node ever used.
    var nodeCount: Int { graph.nodeCount }
    /// Nodes that are not retired.
    package var liveCount: Int { graph.liveCount }
    /// Vectors that searches compare one by one until the builder has linked them.
    package var tailCount: Int { graph.tailCount }
    package var byteCount: Int { graph.byteCount }
    /// Whether there are links to walk.
    var isGraph: Bool { true }
    /// Candidates that a search keeps where a request does not say.
    var defaultWidth: Int { 96 }

    // MARK: - Writing

    /// Adds a vector that the schema has checked.
    func append(_ values: [Float]) -> UInt32 {
        do {
            return try values.withUnsafeBufferPointer { (buffer) throws(VectorIndexError) in
                try graph.append(buffer)
            }
        } catch {
            preconditionFailure("a checked vector fits: \(error)")
        }
    }

    func retire(_ node: UInt32) { graph.retire(node) }

    func release(_ node: UInt32) { graph.release(node) }

    // MARK: - Building

    /// Whether the builder has something to do. Under the reader lock.
    package var hasWork: Bool { graph.nextOperation != nil }

    /// Works out the next change without a lock; nil if there is none. Only one builder at a time.
    ///
    /// - Parameter lock: the partition's, to look for what is next.
    /// - Returns: whether there is something to ``apply()``.
    package func planNext(_ lock: PartitionLock) -> Bool {
        lock.lockForReading()
        let operation = graph.nextOperation
        lock.unlock()
        guard let operation else { return false }
        graph.plan(operation, into: plan)
        return true
    }

    /// Does what was planned. Under the writer lock.
    package func apply() { graph.apply(plan) }

    // MARK: - Searching

    /// Whether comparing all accepted nodes is less work than a walk.
    func prefersScan(of count: Int, count k: Int, width: Int) -> Bool {
        graph.searchPlan(matchCount: count, k: k, ef: width) == .exact
    }

    /// The nearest nodes as good as `width` makes them, nearest first.
    func search(
        _ target: [Float], count: Int, width: Int, accepted: Bitmap?, acceptedCount: Int,
        scratch: NearestScratch
    ) -> ArraySlice<VectorHit> {
        scratch.reserve(count)
        let found = with(target, scratch) { (query, out) throws(VectorIndexError) in
            try graph.search(
                query, k: count, ef: width, accept: accepted.map { UnsafePointer($0.words) },
                matchCount: acceptedCount, scratch: scratch.search, into: out)
        }
        return scratch.found[..<found]
    }

    /// The nearest of some nodes by their vectors, each compared, merged with `earlier`.
    ///
    /// - Parameter window: nodes, from a multiple of 64 on.
    func scan(
        _ target: [Float], _ window: Range<Int>, count: Int, accepted: Bitmap?,
        merging earlier: [VectorHit], scratch: NearestScratch
    ) -> [VectorHit] {
        scratch.reserve(count)
        let (first, last) = (window.lowerBound / 64, (window.upperBound + 63) / 64)
        scratch.window.reserve(last * 64)
        let words = scratch.window.words
        // SAFETY: both bitmaps hold at least `last` words; the accepted one was made for all nodes.
        let source = accepted.map { UnsafePointer($0.words) } ?? UnsafePointer(graph.live)
        (words + first).update(from: source + first, count: last - first)
        let found = with(target, scratch) { (query, out) throws(VectorIndexError) in
            try graph.exactSearch(
                query, k: count, among: words, wordCount: last, scratch: scratch.search, into: out)
        }
        (words + first).update(repeating: 0, count: last - first)
        if earlier.isEmpty { return Array(scratch.found[..<found]) }
        return Array(
            (earlier + scratch.found[..<found])
                .sorted { ($0.distance, $0.node) < ($1.distance, $1.node) }.prefix(count))
    }

    /// Searches for a target that the schema has checked; the hits go to `scratch.found`.
    private func with(
        _ target: [Float], _ scratch: NearestScratch,
        _ search: (UnsafeBufferPointer<Float>, UnsafeMutableBufferPointer<VectorHit>)
            throws(VectorIndexError) -> Int
    ) -> Int {
        do {
            return try target.withUnsafeBufferPointer { (query) throws(VectorIndexError) in
                try scratch.found.withUnsafeMutableBufferPointer {
                    (out) throws(VectorIndexError) in try search(query, out)
                }
            }
        } catch {
            preconditionFailure("a checked vector can be searched for: \(error)")
        }
    }

    /// The node's vector as it is compared.
    func vector(_ node: UInt32) -> [Float] {
        [Float](unsafeUninitializedCapacity: dimensions) { buffer, count in
            // SAFETY: the buffer has room for `dimensions` floats, all of which are written.
            if let base = buffer.baseAddress { graph.vector(node, into: base) }
            count = dimensions
        }
    }
}
