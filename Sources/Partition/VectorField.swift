package import Primitives
package import Schema
import VectorIndex

/// One vector of a document that is being applied.
package struct VectorArrival {
    package var field: FieldNumber
    /// The log entry that brought the vector: an older one where a document left it alone.
    package var source: LogKey
    /// The components. Empty where the vector is known to be here with the row that is replaced.
    package var values: [Float]

    package init(field: FieldNumber, source: LogKey, values: [Float]) {
        self.field = field
        self.source = source
        self.values = values
    }
}

/// The vectors of one declared field in one partition, and which rows they belong to.
///
/// The index knows *nodes*, the partition knows rows. A row that leaves its document's vector alone
/// shares the node of the row before it: a change of stock relinks no graph.
///
/// ```
/// nodes    [UInt32]  by row: its node, or none
/// rows     [Slot]    by node: the newest row that has it
/// uses     [UInt32]  by node: rows that have it and are not freed
/// sources  [UInt64]  by node: the log entry that brought it
/// ```
/// Invariants:
/// 1. A node is live in the index exactly while the newest row that has it is live.
/// 2. A node is released when the last row that has it is freed.
///
/// Thread rule: as for the partition, whose lock covers it; the index's builder may plan without.
/// A lookup may hold on to it after an `ALTER` has put another in its place: it is as it was then,
/// which is right for every version that was pinned before.
package final class VectorField {
    package let field: Field
    package let options: VectorOptions
    package let index: VectorGraph
    /// False while an `ALTER` brings in the vectors of old rows: queries must not use it yet.
    package internal(set) var isReady: Bool
    /// Vectors that an index being built cannot hold: its schema was not theirs.
    private(set) var rejectedCount = 0
    let nodes = GrowableBuffer<UInt32>(fill: VectorField.none)
    let rows = GrowableBuffer<Slot>(fill: 0)
    let uses = GrowableBuffer<UInt32>(fill: 0)
    let sources = GrowableBuffer<UInt64>(fill: 0)
    /// Rows in use whose node has another number than they have, or that have none. Where documents
    /// come once and all bring vectors there are none: a bitmap of rows then is one of nodes.
    let strangers = Bitmap()

    /// No node.
    static var none: UInt32 { .max }

    /// - Parameter rowCount: rows that are there already, and have no node yet.
    init(field: Field, options: VectorOptions, seed: UInt64, isReady: Bool, rowCount: Int) {
        strangers.fill(rowCount)
        self.field = field
        self.options = options
        self.isReady = isReady
        index = VectorGraph(options, seed: seed)
    }

    /// Does once what writing an index down does: see the rehearsal of snapshots.
    package static func rehearseWriting() { VectorSections.rehearse() }

    package var byteCount: Int {
        index.byteCount + nodes.byteCount + rows.byteCount + uses.byteCount + sources.byteCount
    }

    /// The row's node.
    func node(_ slot: Slot) -> UInt32? {
        guard Int(slot) < nodes.count, nodes[Int(slot)] != Self.none else { return nil }
        return nodes[Int(slot)]
    }

    /// The row's vector; under cosine, of unit length.
    package func vector(of slot: Slot) -> [Float]? { node(slot).map { index.vector($0) } }

    /// The log entry that brought the row's vector.
    package func source(ofRow slot: Slot) -> LogKey? { node(slot).map { source(of: $0) } }

    /// The newest row that has the node.
    func row(_ node: UInt32) -> Slot { rows[Int(node)] }

    /// The log entry that brought the node's vector.
    func source(of node: UInt32) -> LogKey { LogKey(rawValue: sources[Int(node)]) }

    /// The first node from `first` on that is in `accepted`, or live where that is nil.
    func nextNode(in accepted: Bitmap?, from first: Int) -> UInt32? {
        guard first < index.nodeCount else { return nil }
        if let accepted { return accepted.first(from: Slot(first)) }
        return index.firstLive(from: first)
    }

    /// Turns rows into the nodes that they have.
    ///
    /// - Returns: how many.
    /// - Complexity: O(rows / 64 + rows whose node has another number).
    func fillNodes(of rows: Bitmap, into nodes: Bitmap) -> Int {
        nodes.assign(rows)
        nodes.subtract(strangers)
        nodes.reserve(index.nodeCount)
        let own = nodes.count
        // SAFETY: words are read below both capacities; `nodes` has room for every node, and
        // `self.nodes` for every row that was ever given one.
        let (some, odd, target) = (rows.words, strangers.words, nodes.words)
        let (map, bound) = (self.nodes.base, self.nodes.count)
        var added = 0
        for index in 0..<min(rows.wordCapacity, strangers.wordCapacity) {
            var word = some[index] & odd[index]
            while word != 0 {
                let slot = index &* 64 &+ word.trailingZeroBitCount
                word &= word &- 1
                guard slot < bound, map[slot] != Self.none else { continue }
                let node = Int(map[slot])
                target[node >> 6] |= 1 &<< UInt64(node & 63)
                added &+= 1
            }
        }
        return own + added
    }

    // MARK: - Applying

    /// A document's row has been replaced by another, or removed.
    /// - Parameters:
    ///   - old: the row that has died, if there was one.
    ///   - new: the row that took its place, if there is one.
    ///   - arrival: the vector that the new row has, if it has one.
    func replace(_ old: Slot?, with new: Slot?, _ arrival: VectorArrival?) {
        let held = old.flatMap { node($0) }
        if let new, let arrival {
            if let held, sources[Int(held)] == arrival.source.rawValue {
                assign(held, to: new)
                return
            }
            if !arrival.values.isEmpty { add(arrival, to: new) }
        }
        if let new, node(new) == nil { strangers.set(new) }
        if let held { index.retire(held) }
    }

    private func add(_ arrival: VectorArrival, to slot: Slot) {
        guard let node = index.append(arrival.values) else {
            precondition(!isReady, "a write's vectors were checked against the index's schema")
            rejectedCount += 1
            return
        }
        if Int(node) >= rows.count {
            rows.resize(to: Int(node) + 1)
            uses.resize(to: Int(node) + 1)
            sources.resize(to: Int(node) + 1)
        }
        uses[Int(node)] = 0
        sources[Int(node)] = arrival.source.rawValue
        assign(node, to: slot)
    }

    private func assign(_ node: UInt32, to slot: Slot) {
        if Int(slot) >= nodes.count { nodes.resize(to: Int(slot) + 1) }
        nodes[Int(slot)] = node
        if node == slot { strangers.clear(slot) } else { strangers.set(slot) }
        rows[Int(node)] = slot
        uses[Int(node)] += 1
    }

    /// A dead row is freed.
    func clear(_ slot: Slot) {
        strangers.clear(slot)
        guard let node = node(slot) else { return }
        nodes[Int(slot)] = Self.none
        uses[Int(node)] -= 1
        if uses[Int(node)] == 0 { index.release(node) }
    }
}
