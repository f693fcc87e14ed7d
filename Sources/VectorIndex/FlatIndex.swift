// No structure at all: every search compares the query with every vector that may be found.
//
// For small collections, for few matches of a filter, and as the answer that others are judged by.

/// The settings of a flat index: fixed for its life.
package struct FlatConfiguration: Sendable, Equatable {
    /// Components of a vector: 1...65,536.
    package var dimensions: Int
    package var metric: VectorMetric
    /// What a scan that need not be exact goes over.
    package var storage: VectorStorage
    /// What exact scans go over and the last candidates are ranked by.
    package var originals: VectorOriginals
    /// Vectors at most, 1...2^30; addresses are reserved for so many, memory is not.
    package var nodeCountMax: Int

    /// Settings with the defaults of ``HNSWConfiguration``.
    package init(
        dimensions: Int,
        metric: VectorMetric,
        storage: VectorStorage = .int8,
        originals: VectorOriginals = .f16,
        nodeCountMax: Int = 1 << 24
    ) {
        self.dimensions = dimensions
        self.metric = metric
        self.storage = storage
        self.originals = originals
        self.nodeCountMax = nodeCountMax
    }
}

/// Vectors of one shape, searched by scanning.
///
/// Thread rule: `append`, `retire` and `release` need the owner's writer lock; `search` and the
/// figures need its reader lock.
// Sharing between threads follows the rule above, which the owner's lock enforces: that is the
// proof that the class may be called Sendable.
package final class FlatIndex: @unchecked Sendable {
    package let configuration: FlatConfiguration
    let nodes: FlatNodes

    /// An empty index.
    ///
    /// - Throws: `setting`, `outOfMemory`.
    package init(_ configuration: FlatConfiguration) throws(VectorIndexError) {
        self.configuration = configuration
        nodes = try FlatNodes(configuration)
    }

    // MARK: The writer's part

    /// Makes room for `count` more vectors, so that as many calls of `append` with valid vectors
    /// cannot fail.
    ///
    /// - Throws: `full`, `outOfMemory`; nothing has changed then.
    package func reserve(_ count: Int) throws(VectorIndexError) { try nodes.reserve(count) }

    /// Whether `append` would take the vector.
    ///
    /// - Throws: `dimensions`, `notFinite`, `outOfRange`, `zeroVector`.
    package func check(_ vector: UnsafeBufferPointer<Float>) throws(VectorIndexError) {
        _ = try nodes.rows.check(vector)
    }

    /// Adds a vector, to be found at once.
    ///
    /// - Returns: the node: a slot that no vector has now.
    /// - Throws: as `check`, `full`, `outOfMemory`; nothing has changed then.
    /// - Complexity: O(dimensions).
    package func append(_ vector: UnsafeBufferPointer<Float>) throws(VectorIndexError) -> UInt32 {
        try nodes.append(vector, isHeld: false)
    }

    /// Takes a node out of the results of searches that name no nodes themselves.
    ///
    /// - Complexity: O(1).
    package func retire(_ node: UInt32) { nodes.retire(node) }

    /// Says that no reader needs a retired node: its slot may be reused.
    ///
    /// - Complexity: O(1).
    package func release(_ node: UInt32) { nodes.release(node) }

    // MARK: Searching

    /// The `k` nearest nodes to `query`, nearest first: by codes, the best `ef` (at least 4k) then
    /// by the originals.
    ///
    /// `accept`: one bit per node, `nodeCount` of them, padded to whole words; only these are
    /// found; nil: the live ones.
    ///
    /// - Returns: how many were written to `out`, which has room for k: k, or all there are.
    /// - Throws: as `check`.
    /// - Complexity: O(accepted · dimensions).
    package func search(
        _ query: UnsafeBufferPointer<Float>,
        k: Int,
        ef: Int = 64,
        accept: UnsafePointer<UInt64>? = nil,
        scratch: SearchScratch,
        into out: UnsafeMutableBufferPointer<VectorHit>
    ) throws(VectorIndexError) -> Int {
        precondition(k > 0, "a search is for something")
        let rows = nodes.rows
        let limit = rows.hasOriginals ? max(ef, k * 4) : k
        scratch.prepare(nodeCount: nodes.nodeCount, ef: limit, dimensions: rows.dimensions)
        let s = scratch.view
        let view = try rows.query(query, s.floats, s.codes)
        let (accepted, words) = (accept ?? live, (nodes.nodeCount + 63) / 64)
        var count = 0
        scratch.usedPlan = .exact
        scratch.evaluatedCount = FlatScan.rows(
            rows.view,
            view,
            accepted,
            words,
            s,
            &count,
            limit
        )
        return FlatScan.finish(rows, view, s, count, k, isExact: false, into: out)
    }

    /// The `k` nearest of the nodes in `words` by the originals, nearest first: each is compared.
    ///
    /// `words`: a bit per node, `wordCount` words. Retired nodes may be among them until they are
    /// released.
    ///
    /// - Returns: how many were written to `out`: k, or all there are.
    /// - Throws: as `check`.
    /// - Complexity: O(wordCount + nodes · dimensions).
    package func exactSearch(
        _ query: UnsafeBufferPointer<Float>,
        k: Int,
        among words: UnsafePointer<UInt64>,
        wordCount: Int,
        scratch: SearchScratch,
        into out: UnsafeMutableBufferPointer<VectorHit>
    ) throws(VectorIndexError) -> Int {
        try nodes.exactSearch(
            query,
            k: k,
            among: words,
            wordCount: wordCount,
            scratch: scratch,
            into: out
        )
    }

    /// Writes the node's vector to `out`, as it is compared: under cosine of unit length.
    /// REQUIRES: room for `dimensions` components; a node that is not released.
    ///
    /// - Complexity: O(dimensions).
    package func vector(_ node: UInt32, into out: UnsafeMutablePointer<Float>) {
        nodes.rows.exactView.vector(node, into: out)
    }

    // MARK: Figures

    /// Whether the node is in the index and not retired.
    package func isLive(_ node: UInt32) -> Bool { nodes.isLive(node) }
    /// One bit per node: in the index and not retired.
    package var live: UnsafePointer<UInt64> { UnsafePointer(nodes.live) }
    /// Slots in use or free: nodes are below it.
    package var nodeCount: Int { nodes.nodeCount }
    /// Nodes in the index and not retired.
    package var liveCount: Int { nodes.liveCount }
    /// Bytes of memory.
    package var byteCount: Int { nodes.byteCount + MemoryLayout<FlatIndex>.size }
    /// Traps if the index contradicts itself. - Complexity: O(nodes).
    package func checkInvariants() { nodes.checkInvariants() }
}
