// Hierarchical navigable small world graph: approximate nearest neighbours.
//
// Yu. A. Malkov, D. A. Yashunin: Efficient and robust approximate nearest neighbor search using
// Hierarchical Navigable Small World graphs (IEEE TPAMI 2020). Neighbours are chosen by the
// paper's heuristic (algorithm 4) without extending the candidates; pruned ones are not kept.
// Different from the paper: above the base an insertion makes m / 2 links; a search takes what it
// compared on its way down along into the base level's candidates, not the nearest alone; deletion
// (see the sweep) and the tree of parents are not in the paper.
//
//   node    0        1        2        …        a vector's slot, reused after release
//   codes   [row 0 | row 1 | row 2 | …          what walks compare (VectorRows)
//   links   [2m ids| 2m ids| 2m ids| …          base level, ends with `none`
//   upper   [m ids| m ids| …                    rows of the nodes with levels above the base, in
//                                               blocks of as many rows as the node has such levels
//
// Life of a node: `append` stores its vector and queues its link; until that is done it is in the
// *tail*, which searches scan whole. `retire` takes it out of the results at once and queues its
// unlink: it is then *dead*, walked through but never found. When dead nodes are many enough, a
// *sweep* takes their links out of all rows, repairs those, and empties theirs. A node that is
// swept and released is free for the next `append`.
//
// Invariants:
// 1. Links are in operation order: the graph is a function of the settings and of the sequence of
//    append, retire and release calls with the nodes they got. Threads and slices do not matter.
// 2. A row holds no node twice, not its own, only linked nodes of that level or above.
// 3. Every linked node but the root has a parent, linked to it in both directions, and parents
//    form a tree: so every node can be reached from every other along the base level.
//    Parents' and children's links are never pruned.
//
// Thread rule: append, retire, release and apply need the owner's writer lock; search,
// `nextOperation` and the figures need its reader lock; `plan` needs no lock, but only one thread
// may be between `nextOperation` and `apply`: the builder, and only it changes links. Rows never
// move and a node's codes do not change while it is in the graph, so planning reads safely.

import CKernels
import Primitives

/// What the builder has to do next.
package struct HNSWOperation: Equatable, Sendable {
    /// Kinds of operations.
    package enum Kind: UInt8, Sendable {
        case link
        case unlink
        case sweep
    }
    package let kind: Kind
    /// The node; for a sweep the row it goes on from.
    package let node: UInt32
    /// How many nodes had been appended before.
    let sequence: UInt64
}

/// One graph over vectors of one shape.
///
/// Sharing it is safe by the thread rule above, which its owner's lock enforces: what `plan` reads
/// without the lock is written by `apply` alone, or was before the operation was taken.
// @unchecked Sendable: proof above.
package final class HNSWGraph: @unchecked Sendable {
    /// No node.
    package static var none: UInt32 { .max }

    package let configuration: HNSWConfiguration
    let rows: VectorRows
    /// The walks' view of the memory below: fixed addresses.
    let view: GraphView

    var links: ReservedArray<UInt32>
    var upper: ReservedArray<UInt32>
    var upperRows: ReservedArray<UInt32>
    var parentRows: ReservedArray<UInt32>
    var levelRows: ReservedArray<UInt8>
    var liveWords: ReservedArray<UInt64>
    var stateRows: ReservedArray<UInt8>
    var releasedRows: ReservedArray<Bool>

    // Fixed addresses, so that reads need no access to the owning arrays.
    let parents: UnsafeMutablePointer<UInt32>
    let levels: UnsafeMutablePointer<UInt8>
    let states: UnsafeMutablePointer<UInt8>
    /// One bit per node: in the index and not retired. Zero from `nodeCount` to the word's end.
    package let live: UnsafeMutablePointer<UInt64>

    // Changed by append, retire and release.
    /// Slots in use or free: nodes are below it.
    package internal(set) var nodeCount = 0
    /// Nodes in the index and not retired.
    package internal(set) var liveCount = 0
    var sequence: UInt64 = 0
    var free: [UInt32] = []
    var operations: [HNSWOperation] = []
    var operationHead = 0
    /// Nodes that wait for their link, in order, from `tailHead` on.
    var tail: [UInt32] = []
    var tailHead = 0

    // Changed by apply alone.
    /// Where searches start, or `none`.
    package internal(set) var entry = HNSWGraph.none
    /// The node that has no parent, or `none`.
    var root = HNSWGraph.none
    /// The entry's level.
    var top = 0
    /// Nodes in the graph, dead ones too.
    package internal(set) var linkedCount = 0
    /// Dead nodes in the graph.
    package internal(set) var deadCount = 0
    /// The row that the sweep under way goes on from, or nil.
    package internal(set) var sweepCursor: UInt32?
    /// Nodes in the graph are below it.
    var linkedEnd = 0
    /// The dead nodes of the graph, in the order of their unlinks.
    var deadNodes: [UInt32] = []
    var upperCount = 0
    /// Rows above the base that waiting links will take.
    var upperPending = 0
    var upperFree: [[UInt32]] = Array(repeating: [], count: 32)

    /// States of a slot, as bits; changed by apply alone.
    enum State {
        static var linked: UInt8 { 1 }
        static var dead: UInt8 { 2 }
    }

    /// An empty graph.
    ///
    /// - Throws: `setting`, `outOfMemory`.
    package init(_ configuration: HNSWConfiguration) throws(VectorIndexError) {
        try configuration.check()
        self.configuration = configuration
        let (capacity, m) = (configuration.nodeCountMax, configuration.m)
        rows = try VectorRows(
            dimensions: configuration.dimensions, metric: configuration.metric,
            storage: configuration.storage, originals: configuration.originals,
            rowCountMax: capacity)
        links = try ReservedArray(capacity: capacity * 2 * m)
        // Levels are drawn at 1/m, so rows above the base are 1/(m - 1) of the nodes on average.
        upper = try ReservedArray(capacity: (capacity * 2 + 64) * m)
        upperRows = try ReservedArray(capacity: capacity)
        parentRows = try ReservedArray(capacity: capacity)
        levelRows = try ReservedArray(capacity: capacity)
        liveWords = try ReservedArray(capacity: (capacity + 511) / 512 * 8)
        stateRows = try ReservedArray(capacity: capacity)
        releasedRows = try ReservedArray(capacity: capacity)
        (parents, levels, states) = (parentRows.base, levelRows.base, stateRows.base)
        live = liveWords.base
        view = GraphView(
            codes: rows.view, links: links.base, baseCapacity: 2 * m, upper: upper.base,
            upperCapacity: m, upperRows: upperRows.base)
    }

    // MARK: The writer's part

    /// Makes room for `count` more vectors, so that as many calls of `append` with valid vectors
    /// cannot fail.
    ///
    /// - Throws: `full`, `outOfMemory`; nothing has changed then.
    package func reserve(_ count: Int) throws(VectorIndexError) {
        let needed = nodeCount + max(0, count - free.count)
        try rows.grow(to: needed)
        try links.grow(to: needed * view.baseCapacity)
        try upperRows.grow(to: needed)
        try parentRows.grow(to: needed)
        try levelRows.grow(to: needed)
        try stateRows.grow(to: needed)
        try releasedRows.grow(to: needed)
        try liveWords.grow(to: (needed + 511) / 512 * 8)
        // Levels are known before they are needed, so linking never lacks rows.
        var upperNeeded = upperCount + upperPending
        for next in sequence..<sequence + UInt64(count) { upperNeeded += level(sequence: next) }
        guard upperNeeded * m <= upper.capacity else {
            throw .full(nodeCountMax: configuration.nodeCountMax)
        }
        try upper.grow(to: upperNeeded * m)
    }

    private var m: Int { configuration.m }

    /// Whether `append` would take the vector.
    ///
    /// - Throws: `dimensions`, `notFinite`, `outOfRange`, `zeroVector`.
    package func check(_ vector: UnsafeBufferPointer<Float>) throws(VectorIndexError) {
        _ = try rows.check(vector)
    }

    /// Adds a vector, to be found at once, and queues its link.
    ///
    /// - Returns: the node: a slot that no vector has now.
    /// - Throws: as `check`, `full`, `outOfMemory`; nothing has changed then.
    /// - Complexity: O(dimensions).
    package func append(
        _ vector: UnsafeBufferPointer<Float>
    ) throws(VectorIndexError) -> UInt32 {
        try reserve(1)
        let node = free.last ?? UInt32(nodeCount)
        try rows.write(Int(node), vector)
        if free.isEmpty { nodeCount += 1 } else { free.removeLast() }
        upperPending += level(sequence: sequence)
        releasedRows.base[Int(node)] = false
        levels[Int(node)] = 0
        parents[Int(node)] = Self.none
        let row = view.links + Int(node) * view.baseCapacity
        row.update(repeating: Self.none, count: view.baseCapacity)
        live[Int(node >> 6)] |= 1 << UInt64(node & 63)
        liveCount += 1
        operations.append(HNSWOperation(kind: .link, node: node, sequence: sequence))
        tail.append(node)
        sequence += 1
        return node
    }

    /// Takes a node out of the results and queues its unlink.
    ///
    /// - Complexity: O(1).
    package func retire(_ node: UInt32) {
        precondition(isLive(node), "a node is retired once")
        live[Int(node >> 6)] &= ~(1 << UInt64(node & 63))
        liveCount -= 1
        operations.append(HNSWOperation(kind: .unlink, node: node, sequence: sequence))
    }

    /// Says that no reader needs a retired node: its slot is reused once it is swept.
    ///
    /// - Complexity: O(1).
    package func release(_ node: UInt32) {
        precondition(Int(node) < nodeCount && !isLive(node), "live nodes are not released")
        precondition(!releasedRows.base[Int(node)], "a node is released once")
        releasedRows.base[Int(node)] = true
        if isUnlinked(node) { free.append(node) }
    }

    /// Whether nothing queued or linked holds the retired node.
    private func isUnlinked(_ node: UInt32) -> Bool { levels[Int(node)] == Self.unlinkedLevel }

    /// The level of a node that is swept.
    static var unlinkedLevel: UInt8 { .max }

    /// Whether the node is in the index and not retired.
    package func isLive(_ node: UInt32) -> Bool {
        Int(node) < nodeCount && live[Int(node >> 6)] >> UInt64(node & 63) & 1 == 1
    }

    // MARK: The builder's part

    /// What `plan` is to do next, or nil if nothing waits.
    ///
    /// - Complexity: O(1).
    package var nextOperation: HNSWOperation? {
        if let cursor = sweepCursor {
            return HNSWOperation(kind: .sweep, node: cursor, sequence: 0)
        }
        return operationHead < operations.count ? operations[operationHead] : nil
    }

    /// Operations that wait, without sweeps.
    package var operationCount: Int { operations.count - operationHead }

    /// Vectors that wait for their link: each search scans them.
    package var tailCount: Int { tail.count - tailHead }

    /// The level that the paper's rule draws for a node: −ln(u) / ln(m), u from (0, 1].
    func level(sequence: UInt64) -> Int {
        // u < m^-l is the same as level ≥ l: integers alone, equal on all machines.
        var draw = Hash64.hash(sequence, seed: configuration.seed)
        var level = 0
        while level < 15 {
            let (quotient, rest) = draw.quotientAndRemainder(dividingBy: UInt64(m))
            if rest != 0 { break }
            draw = quotient
            level += 1
        }
        return level
    }

    func finishOperation() {
        if operations[operationHead].kind == .link { tailHead += 1 }
        operationHead += 1
        if operationHead > 1024 && operationHead * 2 > operations.count {
            operations.removeFirst(operationHead)
            operationHead = 0
        }
        if tailHead > 1024 && tailHead * 2 > tail.count {
            tail.removeFirst(tailHead)
            tailHead = 0
        }
    }

    /// Gives a node rows for its levels above the base, empty.
    func allocateUpper(_ node: UInt32, levels count: Int) {
        levels[Int(node)] = UInt8(count)
        guard count > 0 else { return }
        var first = UInt32(upperCount)
        upperPending -= count
        if let reused = upperFree[count].popLast() { first = reused } else { upperCount += count }
        view.upperRows[Int(node)] = first
        let row = view.upper + Int(first) * m
        row.update(repeating: Self.none, count: count * m)
    }

    /// Empties the rows of a swept node.
    func vacate(_ node: UInt32) {
        let level = Int(levels[Int(node)])
        if level > 0 { upperFree[level].append(view.upperRows[Int(node)]) }
        let row = view.links + Int(node) * view.baseCapacity
        row.update(repeating: Self.none, count: view.baseCapacity)
        parents[Int(node)] = Self.none
        levels[Int(node)] = Self.unlinkedLevel
        states[Int(node)] = 0
        linkedCount -= 1
        deadCount -= 1
        if releasedRows.base[Int(node)] { free.append(node) }
    }

    // MARK: Figures

    /// Bytes of memory: vectors, links and lists.
    ///
    /// - Complexity: O(1).
    package var byteCount: Int {
        rows.byteCount(of: nodeCount)
            + links.byteCount(of: nodeCount * view.baseCapacity)
            + upper.byteCount(of: upperCount * m)
            + upperRows.byteCount(of: nodeCount) + parentRows.byteCount(of: nodeCount)
            + levelRows.byteCount(of: nodeCount) + stateRows.byteCount(of: nodeCount)
            + releasedRows.byteCount(of: nodeCount)
            + liveWords.byteCount(of: (nodeCount + 63) / 64)
            + operations.capacity * MemoryLayout<HNSWOperation>.stride
            + (tail.capacity + free.capacity) * 4
    }
}
