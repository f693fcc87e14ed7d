// Inverted file: vectors in lists by their nearest centre, of which a search scans a few.
//
// J. Sivic, A. Zisserman, "Video Google: a text retrieval approach to object matching in videos",
// ICCV 2003, for the structure; IVFTrainer names what the centres come of.
//
//   nodes     codes and originals per slot (FlatNodes)
//   lists     members of each list (IVFLists), under centres or, while there are few vectors,
//             one list that every search scans
//   queue     operations that wait, in order; the nodes to be linked by them are the *tail*
//
// Life of a node: `append` stores its vector and queues its link; until that is done it is in the
// tail, which searches scan whole. `retire` takes it out of the results of searches that name no
// nodes themselves. `release` queues its unlink; when that is done the slot is free.
//
// Training: when the vectors have doubled, or were replaced several times, or new ones lie much
// farther from their centres than those that the centres were made of, the builder takes a sample
// of the members, finds new centres, sorts all members into lists of their own and puts those in
// the place of the old ones. The operations that come meanwhile wait.
//
// Invariants:
// 1. Operations are in the order of the calls that queued them, and training begins between two of
//    them for reasons that only they and the vectors give: the index is a function of settings and
//    history. Threads and slices do not matter.
// 2. A node is in the queue's links, or in one list, or free.
//
// Thread rule: append, retire, release and apply need the owner's writer lock; search,
// `nextOperation` and the figures need its reader lock; `plan` needs no lock, but only one thread
// may be between `nextOperation` and `apply`: the builder, and only it changes lists. Rows never
// move and a node's row does not change while it is held, so planning reads safely.

import Primitives

/// What the builder has to do next.
package struct IVFOperation: Equatable, Sendable {
    /// Kinds of operations.
    package enum Kind: UInt8, Sendable {
        case link
        case unlink
        case train
    }
    package let kind: Kind
    /// The node; of no meaning for training.
    package let node: UInt32
}

/// Vectors of one shape in lists by nearness.
// Sharing between threads follows the thread rule above, which the owner's lock enforces: that is
// the proof that the class may be called Sendable.
package final class IVFIndex: @unchecked Sendable {
    package let configuration: IVFConfiguration
    let nodes: FlatNodes
    /// Changed by apply alone.
    var lists: IVFLists

    // Changed by append and release; the heads by apply.
    var operations: [IVFOperation] = []
    var operationHead = 0
    var tail: [UInt32] = []
    var tailHead = 0

    // What training is decided by; changed by apply alone.
    /// Members when the centres were made.
    var trainedCount = 0
    /// Mean distance of members from their centres when those were made.
    var trainedDistance = 0.0
    var linksSince = 0
    var unlinksSince = 0
    var distanceSince = 0.0
    var postponedUntil = 0
    /// Trainings that are done.
    package internal(set) var trainingCount = 0
    /// The training under way: the builder's alone.
    var training: IVFTraining?

    /// An empty index.
    ///
    /// - Throws: `setting`, `outOfMemory`.
    package init(_ configuration: IVFConfiguration) throws(VectorIndexError) {
        try configuration.check()
        self.configuration = configuration
        nodes = try FlatNodes(configuration.vectors)
        lists = try IVFLists(
            centroids: nil,
            nodeCountMax: configuration.vectors.nodeCountMax
        )
    }

    // MARK: The writer's part

    /// Makes room for `count` more vectors, so that as many calls of `append` with valid vectors
    /// cannot fail.
    ///
    /// - Throws: `full`, `outOfMemory`; nothing has changed then.
    package func reserve(_ count: Int) throws(VectorIndexError) {
        try nodes.reserve(count)
        try lists.reserve(nodeCount: min(nodes.nodeCount + count, nodes.rows.rowCountMax))
    }

    /// Whether `append` would take the vector.
    ///
    /// - Throws: `dimensions`, `notFinite`, `outOfRange`, `zeroVector`.
    package func check(_ vector: UnsafeBufferPointer<Float>) throws(VectorIndexError) {
        _ = try nodes.rows.check(vector)
    }

    /// Adds a vector, to be found at once, and queues its link.
    ///
    /// - Returns: the node: a slot that no vector has now.
    /// - Throws: as `check`, `full`, `outOfMemory`; nothing has changed then.
    /// - Complexity: O(dimensions).
    package func append(_ vector: UnsafeBufferPointer<Float>) throws(VectorIndexError) -> UInt32 {
        try reserve(1)
        let node = try nodes.append(vector, isHeld: true)
        operations.append(IVFOperation(kind: .link, node: node))
        tail.append(node)
        return node
    }

    /// Takes a node out of the results of searches that name no nodes themselves.
    ///
    /// - Complexity: O(1).
    package func retire(_ node: UInt32) { nodes.retire(node) }

    /// Says that no reader needs a retired node, and queues its unlink: then its slot is reused.
    ///
    /// - Complexity: O(1).
    package func release(_ node: UInt32) {
        nodes.release(node)
        operations.append(IVFOperation(kind: .unlink, node: node))
    }

    // MARK: The builder's part

    /// What `plan` is to do next, or nil if nothing waits.
    ///
    /// - Complexity: O(1).
    package var nextOperation: IVFOperation? {
        if needsTraining { return IVFOperation(kind: .train, node: .max) }
        return operationHead < operations.count ? operations[operationHead] : nil
    }

    /// Operations that wait, without training.
    package var operationCount: Int { operations.count - operationHead }

    /// Vectors that wait for their link: each search scans them.
    package var tailCount: Int { tail.count - tailHead }

    /// Is it time for new centres? A function of what was applied, not of what waits.
    ///
    /// - Complexity: O(1).
    private var needsTraining: Bool {
        let members = lists.memberCount
        guard members >= max(configuration.trainingCountMin, postponedUntil) else { return false }
        if lists.centroids == nil { return true }
        if members >= trainedCount * 2 { return true }
        // Replaced four times over: little is left of what the centres were made of.
        if min(linksSince, unlinksSince) >= trainedCount * 4 { return true }
        // Drift: new vectors half as far again from their centres as the old ones were.
        guard linksSince >= max(trainedCount / 4, 256) else { return false }
        return distanceSince / Double(linksSince) > trainedDistance * 1.5
    }

    /// Links a node to a list. `distance`: from its centre.
    func applyLink(_ node: UInt32, list: Int, distance: Float) {
        lists.insert(node, into: list)
        linksSince += 1
        distanceSince += Double(distance)
        tailHead += 1
        finishOperation()
    }

    /// Takes a node out of its list and frees its slot.
    func applyUnlink(_ node: UInt32) {
        lists.remove(node)
        unlinksSince += 1
        nodes.letGo(node)
        finishOperation()
    }

    /// Stays with the lists there are until there is reason anew: training found no memory.
    func postponeTraining() {
        trainedCount = lists.memberCount
        (linksSince, unlinksSince, distanceSince) = (0, 0, 0)
        if lists.centroids == nil { postponedUntil = lists.memberCount * 2 }
        training = nil
    }

    /// Puts trained lists, which hold the same members, in the place of those in use; returns what
    /// is of no use any more, to be freed when the lock is not held.
    func applyTraining(_ trained: IVFLists, distance: Double) -> (IVFLists, IVFTraining?)? {
        precondition(trained.memberCount == lists.memberCount, "training moves all members")
        do {
            // Nodes may have come since that training did not know of.
            try trained.reserve(nodeCount: nodes.nodeCount)
        } catch {
            postponeTraining()
            return nil
        }
        let replaced = (lists, training)
        lists = trained
        trainedCount = trained.memberCount
        trainedDistance = distance
        (linksSince, unlinksSince, distanceSince) = (0, 0, 0)
        trainingCount += 1
        training = nil
        return replaced
    }

    private func finishOperation() {
        operationHead += 1
        if operationHead > 1_024 && operationHead * 2 > operations.count {
            operations.removeFirst(operationHead)
            operationHead = 0
        }
        if tailHead > 1_024 && tailHead * 2 > tail.count {
            tail.removeFirst(tailHead)
            tailHead = 0
        }
    }

    // MARK: Figures

    /// Writes the node's vector to `out`, as it is compared: under cosine of unit length.
    /// REQUIRES: room for `dimensions` components; a node that is not released.
    ///
    /// - Complexity: O(dimensions).
    package func vector(_ node: UInt32, into out: UnsafeMutablePointer<Float>) {
        nodes.rows.exactView.vector(node, into: out)
    }

    /// Whether the node is in the index and not retired.
    package func isLive(_ node: UInt32) -> Bool { nodes.isLive(node) }
    /// One bit per node: in the index and not retired.
    package var live: UnsafePointer<UInt64> { UnsafePointer(nodes.live) }
    /// Slots in use or free: nodes are below it.
    package var nodeCount: Int { nodes.nodeCount }
    /// Nodes in the index and not retired.
    package var liveCount: Int { nodes.liveCount }
    /// Nodes in lists.
    package var linkedCount: Int { lists.memberCount }
    /// Lists there are now.
    package var listCount: Int { lists.count }

    /// Bytes of memory, without what training uses while it goes on.
    ///
    /// - Complexity: O(1).
    package var byteCount: Int {
        nodes.byteCount + lists.byteCount(nodeCount: nodes.nodeCount)
            + operations.capacity * MemoryLayout<IVFOperation>.stride + tail.capacity * 4
    }

    /// Traps if the index contradicts itself. - Complexity: O(nodes + lists).
    package func checkInvariants() {
        nodes.checkInvariants()
        lists.checkInvariants()
        precondition(tailHead <= tail.count, "the tail's head is within it")
        let links = operations[operationHead...].filter { $0.kind == .link }.map(\.node)
        precondition(links == Array(tail[tailHead...]), "the tail is what waits for its link")
    }
}
