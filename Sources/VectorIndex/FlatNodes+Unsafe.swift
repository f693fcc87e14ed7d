// The slots of an index whose vectors have no links: who lives in them, and which are free.
//
//   node    0        1        2        …        a vector's slot, reused after release
//   rows    [row 0 | row 1 | row 2 | …          codes and originals (VectorRows)
//   live    one bit per node                    in the index and not retired
//   states  one byte per node                   held: a list or a queue still names it
//                                               released: no reader can need it
//
// Life of a slot: free → `append` → live → `retire` → retired → `release` → free, at once if it is
// not held, else when `letGo` says that nothing names it any more.
//
// Thread rule: everything that changes needs the owner's writer lock, the figures its reader lock.
// Rows never move and a slot's row does not change while it is held or live, so a builder may read
// the rows of held nodes with no lock.

import CKernels

/// The slots of one index.
final class FlatNodes {
    let rows: VectorRows
    var liveWords: ReservedArray<UInt64>
    var stateRows: ReservedArray<UInt8>
    /// One bit per node; whole words, zero beyond the last node.
    let live: UnsafeMutablePointer<UInt64>
    let states: UnsafeMutablePointer<UInt8>
    var free: [UInt32] = []
    /// Slots in use or free: nodes are below it.
    var nodeCount = 0
    /// Nodes that are live.
    var liveCount = 0

    static var used: UInt8 { 1 }
    static var held: UInt8 { 2 }
    static var released: UInt8 { 4 }

    /// No slots yet.
    ///
    /// - Throws: `setting`, `outOfMemory`.
    init(_ configuration: FlatConfiguration) throws(VectorIndexError) {
        let most = configuration.nodeCountMax
        guard (1...1 << 30).contains(most) else {
            throw .setting(name: "nodeCountMax", value: most, lowest: 1, highest: 1 << 30)
        }
        rows = try VectorRows(
            dimensions: configuration.dimensions,
            metric: configuration.metric,
            storage: configuration.storage,
            originals: configuration.originals,
            rowCountMax: most
        )
        liveWords = try ReservedArray(capacity: FlatNodes.wordCount(most))
        stateRows = try ReservedArray(capacity: most)
        (live, states) = (liveWords.base, stateRows.base)
    }

    /// Words of a bitmap over `count` nodes, in whole cache lines.
    static func wordCount(_ count: Int) -> Int { (count + 511) / 512 * 8 }

    /// Makes room for `count` more vectors.
    ///
    /// - Throws: `full`, `outOfMemory`; nothing has changed then.
    func reserve(_ count: Int) throws(VectorIndexError) {
        let needed = nodeCount + max(0, count - free.count)
        try rows.grow(to: needed)
        try liveWords.grow(to: FlatNodes.wordCount(needed))
        try stateRows.grow(to: needed)
    }

    /// Stores a vector in a free slot, or a new one.
    ///
    /// - Throws: as `VectorRows.check`, `full`, `outOfMemory`; nothing has changed then.
    /// - Complexity: O(dimensions).
    func append(
        _ vector: UnsafeBufferPointer<Float>,
        isHeld: Bool
    ) throws(VectorIndexError) -> UInt32 {
        try reserve(1)
        let node = free.last ?? UInt32(nodeCount)
        try rows.write(Int(node), vector)
        if free.isEmpty { nodeCount += 1 } else { free.removeLast() }
        // SAFETY: `reserve` made the node's byte and word usable.
        states[Int(node)] = isHeld ? FlatNodes.used | FlatNodes.held : FlatNodes.used
        live[Int(node >> 6)] |= 1 << UInt64(node & 63)
        liveCount += 1
        return node
    }

    /// Takes a node out of the live ones. - Complexity: O(1).
    func retire(_ node: UInt32) {
        precondition(isLive(node), "a node is retired once")
        live[Int(node >> 6)] &= ~(1 << UInt64(node & 63))
        liveCount -= 1
    }

    /// Says that no reader needs a retired node. - Complexity: O(1).
    func release(_ node: UInt32) {
        precondition(Int(node) < nodeCount && !isLive(node), "live nodes are not released")
        let state = states[Int(node)]
        precondition(state & FlatNodes.used != 0, "a free slot is not released")
        precondition(state & FlatNodes.released == 0, "a node is released once")
        states[Int(node)] |= FlatNodes.released
        if state & FlatNodes.held == 0 { vacate(node) }
    }

    /// Says that nothing in the index names a held node any more. - Complexity: O(1).
    func letGo(_ node: UInt32) {
        let state = states[Int(node)]
        precondition(state & FlatNodes.held != 0, "only what is held is let go")
        states[Int(node)] &= ~FlatNodes.held
        if state & FlatNodes.released != 0 { vacate(node) }
    }

    private func vacate(_ node: UInt32) {
        states[Int(node)] = 0
        free.append(node)
    }

    /// Is the node in the index and not retired? - Complexity: O(1).
    func isLive(_ node: UInt32) -> Bool {
        Int(node) < nodeCount && live[Int(node >> 6)] >> UInt64(node & 63) & 1 == 1
    }

    /// Bytes of memory.
    var byteCount: Int {
        rows.byteCount(of: nodeCount) + stateRows.byteCount(of: nodeCount)
            + liveWords.byteCount(of: FlatNodes.wordCount(nodeCount)) + free.capacity * 4
    }

    /// Traps if slots are counted wrongly. - Complexity: O(nodes).
    func checkInvariants() {
        var seen = 0
        for node in 0..<nodeCount where isLive(UInt32(node)) {
            precondition(states[node] & FlatNodes.used != 0, "live slots are used")
            precondition(states[node] & FlatNodes.released == 0, "live nodes are not released")
            seen += 1
        }
        precondition(seen == liveCount, "live nodes are counted")
        precondition(Set(free).count == free.count, "a slot is free once")
        precondition(free.allSatisfy { states[Int($0)] == 0 }, "free slots are empty")
        for node in nodeCount..<FlatNodes.wordCount(nodeCount) * 64 {
            precondition(live[node >> 6] >> UInt64(node & 63) & 1 == 0, "no bits past the nodes")
        }
    }
}

extension FlatNodes {
    /// The `k` nearest of the nodes in `words` by the originals: each is compared.
    ///
    /// - Throws: as `VectorRows.check`.
    /// - Complexity: O(wordCount + nodes · dimensions).
    func exactSearch(
        _ query: UnsafeBufferPointer<Float>,
        k: Int,
        among words: UnsafePointer<UInt64>,
        wordCount: Int,
        scratch: SearchScratch,
        into out: UnsafeMutableBufferPointer<VectorHit>
    ) throws(VectorIndexError) -> Int {
        precondition(k > 0, "a search is for something")
        scratch.prepare(nodeCount: nodeCount, ef: k, dimensions: rows.dimensions)
        let s = scratch.view
        let view = try rows.query(query, s.floats, s.codes)
        var count = 0
        scratch.usedPlan = .exact
        scratch.evaluatedCount = FlatScan.rows(
            rows.exactView,
            view,
            words,
            wordCount,
            s,
            &count,
            k
        )
        return FlatScan.finish(rows, view, s, count, k, isExact: true, into: out)
    }
}
