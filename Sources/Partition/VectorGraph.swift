import Primitives
import Schema
import VectorIndex

/// A vector index of whatever kind a schema asks for, behind one door.
///
/// Thread rule: that of the indexes: `append`, `retire`, `release` and `apply` under the writer
/// lock, searches and figures under the reader lock, `plan` by one builder without a lock.
package final class VectorGraph {
    enum Kind {
        case hnsw(HNSWGraph, HNSWPlan)
        case ivf(IVFIndex, IVFPlan)
        case flat(FlatIndex)
    }

    let kind: Kind
    private let dimensions: Int

    /// An empty index of the kind that a checked schema asks for.
    init(_ options: VectorOptions, seed: UInt64) {
        dimensions = options.dimensions
        do throws(VectorIndexError) {
            kind = try Self.make(options, seed: seed)
        } catch {
            preconditionFailure("a schema's settings are within bounds: \(error)")
        }
    }

    private static func make(
        _ options: VectorOptions, seed: UInt64
    ) throws(VectorIndexError) -> Kind {
        let (metric, storage) = (metric(options), storage(options))
        let originals: VectorOriginals =
            options.ranksByStore ? .none : (options.originals == "f32" ? .f32 : .f16)
        switch options.indexKind {
        case "flat":
            return .flat(
                try FlatIndex(
                    FlatConfiguration(
                        dimensions: options.dimensions, metric: metric, storage: storage,
                        originals: originals)))
        case "ivf":
            let vectors = FlatConfiguration(
                dimensions: options.dimensions, metric: metric, storage: storage,
                originals: originals)
            let index = try IVFIndex(
                IVFConfiguration(
                    vectors: vectors,
                    listCount: options.listCount ?? VectorOptions.listCountDefault, seed: seed))
            return .ivf(index, IVFPlan(index))
        default:
            let graph = try HNSWGraph(
                HNSWConfiguration(
                    dimensions: options.dimensions, metric: metric, m: options.m ?? 16,
                    efConstruction: options.efConstruction ?? 200, seed: seed, storage: storage,
                    originals: originals))
            return .hnsw(graph, HNSWPlan(graph))
        }
    }

    static func metric(_ options: VectorOptions) -> VectorIndex.VectorMetric {
        switch options.metric {
        case .cosine: .cosine
        case .ip: .dot
        case .l2: .l2
        }
    }

    private static func storage(_ options: VectorOptions) -> VectorStorage {
        switch options.storage {
        case "f32": .f32
        case "f16": .f16
        default: .int8
        }
    }

    // MARK: - Figures

    /// One past the largest node ever used.
    var nodeCount: Int {
        switch kind {
        case .hnsw(let index, _): index.nodeCount
        case .ivf(let index, _): index.nodeCount
        case .flat(let index): index.nodeCount
        }
    }

    /// Nodes of one index at most: addresses are set apart for so many.
    package static var nodeCountMax: Int { 1 << 24 }

    /// Whether `count` more vectors may not fit.
    package func isFull(for count: Int) -> Bool { nodeCount + count > Self.nodeCountMax }

    /// Nodes that are not retired.
    package var liveCount: Int {
        switch kind {
        case .hnsw(let index, _): index.liveCount
        case .ivf(let index, _): index.liveCount
        case .flat(let index): index.liveCount
        }
    }

    /// Vectors that searches compare one by one until the builder has linked them.
    package var tailCount: Int {
        switch kind {
        case .hnsw(let index, _): index.tailCount
        case .ivf(let index, _): index.tailCount
        case .flat: 0
        }
    }

    package var byteCount: Int {
        switch kind {
        case .hnsw(let index, _): index.byteCount
        case .ivf(let index, _): index.byteCount
        case .flat(let index): index.byteCount
        }
    }

    var live: UnsafePointer<UInt64> {
        switch kind {
        case .hnsw(let index, _): UnsafePointer(index.live)
        case .ivf(let index, _): index.live
        case .flat(let index): index.live
        }
    }

    /// The first node from `first` on that is not retired. REQUIRES: `first` < ``nodeCount``.
    func firstLive(from first: Int) -> UInt32? {
        // SAFETY: the bitmap has a bit for each node, in whole words.
        let wordCount = (nodeCount + 63) / 64
        var index = first / 64
        var word = live[index] & (~0 << UInt64(first % 64))
        while word == 0 {
            index += 1
            guard index < wordCount else { return nil }
            word = live[index]
        }
        return UInt32(index * 64 + word.trailingZeroBitCount)
    }

    /// Whether every search compares all vectors, so that it is done in windows.
    var isScanned: Bool {
        if case .flat = kind { true } else { false }
    }

    /// Candidates that a search keeps where a request does not say.
    private static var defaultWidth: Int { 96 }

    /// Lists of an inverted file that a search looks at where a request does not say.
    private static var defaultProbeCount: Int { 16 }

    // MARK: - Writing

    /// Adds a vector; nil if it is none that the index can hold.
    func append(_ values: [Float]) -> UInt32? {
        do throws(VectorIndexError) {
            return try values.withUnsafeBufferPointer { (buffer) throws(VectorIndexError) in
                switch kind {
                case .hnsw(let index, _): try index.append(buffer)
                case .ivf(let index, _): try index.append(buffer)
                case .flat(let index): try index.append(buffer)
                }
            }
        } catch {
            switch error {
            case .dimensions, .notFinite, .outOfRange, .zeroVector: return nil
            case .full, .outOfMemory, .setting: fatalError("out of memory: a vector's rows")
            }
        }
    }

    /// Whether the index can hold a vector.
    func canHold(_ values: [Float]) -> Bool {
        let result: Void? = try? values.withUnsafeBufferPointer {
            switch kind {
            case .hnsw(let index, _): try index.check($0)
            case .ivf(let index, _): try index.check($0)
            case .flat(let index): try index.check($0)
            }
        }
        return result != nil
    }

    func retire(_ node: UInt32) {
        switch kind {
        case .hnsw(let index, _): index.retire(node)
        case .ivf(let index, _): index.retire(node)
        case .flat(let index): index.retire(node)
        }
    }

    func release(_ node: UInt32) {
        switch kind {
        case .hnsw(let index, _): index.release(node)
        case .ivf(let index, _): index.release(node)
        case .flat(let index): index.release(node)
        }
    }

    // MARK: - Building

    /// Works out the next change without a lock. Only one builder at a time.
    ///
    /// - Parameter lock: the partition's, to look for what is next.
    /// - Returns: whether there is something to ``apply()``.
    package func planNext(_ lock: PartitionLock) -> Bool {
        switch kind {
        case .hnsw(let graph, let plan):
            lock.lockForReading()
            let operation = graph.nextOperation
            lock.unlock()
            guard let operation else { return false }
            graph.plan(operation, into: plan)
        case .ivf(let index, let plan):
            lock.lockForReading()
            let operation = index.nextOperation
            lock.unlock()
            guard let operation else { return false }
            index.plan(operation, into: plan)
        case .flat: return false
        }
        return true
    }

    /// Does what was planned. Under the writer lock.
    package func apply() {
        switch kind {
        case .hnsw(let graph, let plan): graph.apply(plan)
        case .ivf(let index, let plan): index.apply(plan)
        case .flat: return
        }
    }

    // MARK: - Searching

    /// The nearest nodes as good as `width` makes them, nearest first.
    ///
    /// - Parameter width: candidates of a graph; lists of an inverted file, where it is given.
    func search(
        _ target: [Float], count: Int, width: Int?, accepted: Bitmap?, acceptedCount: Int,
        scratch: NearestScratch
    ) -> ArraySlice<VectorHit> {
        scratch.reserve(count)
        // SAFETY: an accepted bitmap was made for all nodes.
        let bits = accepted.map { UnsafePointer($0.words) }
        let found = with(target, scratch) { (query, out) throws(VectorIndexError) in
            switch kind {
            case .hnsw(let graph, _):
                try graph.search(
                    query, k: count, ef: max(width ?? Self.defaultWidth, count), accept: bits,
                    matchCount: acceptedCount, scratch: scratch.search, into: out)
            case .ivf(let index, _):
                try index.search(
                    query, k: count, probeCount: width ?? Self.defaultProbeCount, accept: bits,
                    scratch: scratch.search, into: out)
            case .flat(let index):
                try index.search(
                    query, k: count, ef: max(width ?? Self.defaultWidth, count), accept: bits,
                    scratch: scratch.search, into: out)
            }
        }
        return scratch.found[..<found]
    }

    /// Candidates that whoever ranks them by the store should ask for, to be sure of `count`.
    package static func rankedCount(_ count: Int, width: Int?) -> Int {
        HNSWGraph.rankedCount(k: count, ef: max(width ?? defaultWidth, count))
    }

    /// What the last search of the scratch did.
    func method(_ scratch: NearestScratch) -> NearestSearch.Method {
        switch kind {
        case .hnsw:
            switch scratch.search.usedPlan {
            case .exact: .scan
            case .filteredGraph: .filteredGraph
            case .widened: .graph
            }
        case .ivf: .lists
        case .flat: .scan
        }
    }

    /// The nearest of some nodes, each compared, merged with `earlier`.
    ///
    /// - Parameters:
    ///   - window: nodes, from a multiple of 64 on.
    ///   - isExact: compare the originals; else those that their codes make likely.
    func scan(
        _ target: [Float], _ window: Range<Int>, count: Int, isExact: Bool, accepted: Bitmap?,
        merging earlier: [VectorHit], scratch: NearestScratch
    ) -> [VectorHit] {
        scratch.reserve(count)
        let (first, last) = (window.lowerBound / 64, (window.upperBound + 63) / 64)
        scratch.window.reserve(nodeCount)
        let words = scratch.window.words
        // SAFETY: both bitmaps hold at least `last` words; the accepted one was made for all nodes.
        let source = accepted.map { UnsafePointer($0.words) } ?? live
        (words + first).update(from: source + first, count: last - first)
        let found = with(target, scratch) { (query, out) throws(VectorIndexError) in
            try scan(query, words, last, count, isExact: isExact, scratch.search, out)
        }
        (words + first).update(repeating: 0, count: last - first)
        if earlier.isEmpty { return Array(scratch.found[..<found]) }
        return Array(
            (earlier + scratch.found[..<found])
                .sorted { ($0.distance, $0.node) < ($1.distance, $1.node) }.prefix(count))
    }

    private func scan(
        _ query: UnsafeBufferPointer<Float>, _ words: UnsafePointer<UInt64>, _ wordCount: Int,
        _ count: Int, isExact: Bool, _ scratch: SearchScratch,
        _ out: UnsafeMutableBufferPointer<VectorHit>
    ) throws(VectorIndexError) -> Int {
        switch kind {
        case .hnsw(let index, _):
            try index.exactSearch(
                query, k: count, among: words, wordCount: wordCount, scratch: scratch, into: out)
        case .ivf(let index, _):
            try index.exactSearch(
                query, k: count, among: words, wordCount: wordCount, scratch: scratch, into: out)
        case .flat(let index):
            isExact
                ? try index.exactSearch(
                    query, k: count, among: words, wordCount: wordCount, scratch: scratch,
                    into: out)
                : try index.search(query, k: count, accept: words, scratch: scratch, into: out)
        }
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
            if let base = buffer.baseAddress {
                switch kind {
                case .hnsw(let index, _): index.vector(node, into: base)
                case .ivf(let index, _): index.vector(node, into: base)
                case .flat(let index): index.vector(node, into: base)
                }
            }
            count = dimensions
        }
    }
}
