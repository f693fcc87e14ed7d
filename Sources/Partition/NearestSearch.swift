package import Primitives
import Schema
import VectorIndex

/// What a search by nearness asks of each partition.
package struct NearestQuery: Sendable {
    /// `dimensions` finite components, not all zero under cosine.
    package var target: [Float]
    /// Neighbours at most.
    package var count: Int
    /// Candidates that an approximate search keeps; nil for the default.
    package var width: Int?
    package var isExact: Bool

    package init(target: [Float], count: Int, width: Int?, isExact: Bool) {
        self.target = target
        self.count = count
        self.width = width
        self.isExact = isExact
    }
}

/// One neighbour: a row and its distance, smaller being nearer.
package struct NearestHit: Equatable, Sendable {
    package var slot: Slot
    package var distance: Float
}

/// Buffers that searches of one thread share.
package final class NearestScratch {
    let search = SearchScratch()
    /// Room for the hits of one search.
    var found: [VectorHit] = []
    /// Nodes of one window of a scan; empty between scans.
    let window = Bitmap()

    package init() {}

    func reserve(_ count: Int) {
        while found.count < count { found.append(VectorHit(node: 0, distance: 0)) }
    }
}

/// The nearest rows of one partition at one version, found in slices.
///
/// ```
/// all rows, nothing newer than the version ──> the index's own live nodes
/// else rows ──> nodes as a bitmap ─┬─ few or EXACT ──> every node compared, a window at a time
///                                  └─ many ─────────> the index, searched under the bitmap
/// ```
/// The caller holds a pin of the version until it is done: rows that it sees keep their nodes.
package final class NearestSearch {
    /// Which rows may be hits.
    package enum Match {
        /// All that the version sees.
        case all
        /// Those in the bitmap.
        case rows(Bitmap)
    }

    /// How the neighbours were found.
    package enum Method: String, Sendable {
        case none = "no vectors"
        case graph = "graph"
        case filteredGraph = "graph under the filter"
        case lists = "inverted lists"
        /// By codes, the best of them by the originals.
        case scan = "scan of codes"
        case exact = "exact scan"
    }

    private let partition: CollectionPartition
    private let field: VectorField
    private let query: NearestQuery
    private let version: Version
    private let match: Match
    /// Rows that are no hits, whatever else they are.
    private let excluded: [Slot]
    private let pool: BitmapPool
    private let scratch: NearestScratch
    /// Nodes that may be hits; nil for the index's live ones.
    private var accepted: Bitmap?
    private var acceptedCount = 0
    private var isPrepared = false
    /// Nodes are below it: those that have come since belong to later versions.
    private var nodeBound = 0
    /// The first node of the next window of an exact scan.
    private var cursor = 0
    /// Neighbours that a scan keeps: those that are asked for and, if it is exact, some equals.
    private var wantedCount: Int
    private var nearest: [VectorHit] = []
    private var isFinished = false

    /// Nearest first, with the last one's equals where all were compared; complete once
    /// ``step()`` has said so, sound before.
    package private(set) var hits: [NearestHit] = []
    /// Documents with a vector that could have been hits.
    package private(set) var matchCount = 0
    package private(set) var method = Method.none
    /// Whether every match is to be compared, and that by vectors which the index does not hold:
    /// then ``step()`` gives no hits, ``nextMatches(_:)`` gives what to compare.
    package private(set) var leavesComparing = false
    /// Whether every match was compared.
    package var isExact: Bool { method == .exact || method == .none }

    /// - Parameters:
    ///   - field: the partition's, of the options that the target was checked for.
    ///   - excluded: rows that are no hits, though they count as matches.
    package init(
        partition: CollectionPartition, field: VectorField, query: NearestQuery, version: Version,
        match: Match, excluded: [Slot] = [], pool: BitmapPool, scratch: NearestScratch
    ) {
        self.partition = partition
        self.field = field
        self.excluded = excluded
        self.query = query
        wantedCount = query.count
        self.version = version
        self.match = match
        self.pool = pool
        self.scratch = scratch
    }

    deinit { giveBack() }

    private func giveBack() {
        if let accepted { pool.giveBack(accepted) }
        accepted = nil
    }

    /// Searches on: a walk whole, a scan by one window.
    ///
    /// - Returns: whether it is finished.
    package func step() -> Bool {
        if isFinished { return true }
        partition.lock.lockForReading()
        defer { partition.lock.unlock() }
        guard field.index.nodeCount > 0 else {
            isFinished = true
            return true
        }
        if isPrepared { keepToVersion() } else { prepare() }
        if leavesComparing {
            isFinished = true
            return true
        }
        switch method {
        case .none: break
        case .graph, .filteredGraph, .lists: searchIndex()
        case .exact, .scan:
            scanWindow()
            if cursor < nodeBound || mustWiden() {
                giveHits()
                return false
            }
        }
        giveHits()
        giveBack()
        isFinished = true
        return true
    }

    // MARK: - Which nodes

    private func prepare() {
        isPrepared = true
        nodeBound = field.index.nodeCount
        switch match {
        case .all where partition.isCurrent(at: version) && field.isReady && excluded.isEmpty:
            acceptedCount = field.index.liveCount
        case .all:
            let rows = pool.borrow(capacity: partition.slotBound)
            accept(partition.visible(at: version, scratch: rows))
            pool.giveBack(rows)
        case .rows(let bitmap):
            accept(bitmap)
        }
        matchCount = acceptedCount
        exclude()
        method = chooseMethod()
        if method == .exact { wantedCount += Self.equalCount }
        leavesComparing = method == .exact && field.options.ranksByStore
    }

    /// Between two windows of a scan writes may come: what is live in the index then is no longer
    /// what the version sees.
    private func keepToVersion() {
        guard accepted == nil, method != .none, !partition.isCurrent(at: version) else { return }
        let rows = pool.borrow(capacity: partition.slotBound)
        accept(partition.visible(at: version, scratch: rows))
        pool.giveBack(rows)
    }

    /// A row that is to be compared, and the log entry that brought its vector.
    package struct StoredMatch {
        package var slot: Slot
        package var source: LogKey
    }

    /// The next matches of a search that ``leavesComparing``.
    ///
    /// - Returns: at least one, about `limit` at most; none at the end.
    package func nextMatches(_ limit: Int) -> [StoredMatch] {
        partition.lock.lockForReading()
        defer { partition.lock.unlock() }
        keepToVersion()
        var found: [StoredMatch] = []
        while found.count < limit, let node = field.nextNode(in: accepted, from: cursor) {
            cursor = Int(node) + 1
            if let slot = slot(of: node) {
                found.append(StoredMatch(slot: slot, source: field.source(of: node)))
            }
        }
        if found.isEmpty { giveBack() }
        return found
    }

    /// The row of the node that the version sees.
    private func slot(of node: UInt32) -> Slot? {
        let newest = field.row(node)
        if partition.isVisible(newest, at: version) { return newest }
        guard let slot = partition.slot(of: partition.number(newest), at: version),
            field.node(slot) == node
        else { return nil }
        return slot
    }

    /// Turns rows into the nodes that they have.
    private func accept(_ rows: Bitmap) {
        let nodes = pool.borrow(capacity: field.index.nodeCount)
        acceptedCount = field.fillNodes(of: rows, into: nodes)
        accepted = nodes
    }

    /// Takes the nodes of excluded rows out.
    private func exclude() {
        guard let accepted else { return }
        for slot in excluded {
            guard let node = field.node(slot), accepted.test(node) else { continue }
            accepted.clear(node)
            acceptedCount -= 1
        }
    }

    /// So few matches are compared exactly, whatever the index would do.
    private static let exactCountMax = 512

    private func chooseMethod() -> Method {
        if acceptedCount == 0 { return .none }
        if query.isExact || acceptedCount <= Self.exactCountMax { return .exact }
        return field.index.isScanned ? .scan : .graph
    }

    // MARK: - Searching

    private func searchIndex() {
        let found = field.index.search(
            query.target, count: query.count, width: query.width, accepted: accepted,
            acceptedCount: acceptedCount, scratch: scratch)
        nearest = Array(found)
        method = field.index.method(scratch)
    }

    /// Equals beyond the last neighbour that an exact scan looks out for, so that ids decide which
    /// of them are hits; where there are more, those that were written first are.
    private static let (equalCount, wantedCountMax) = (8, 4_096)

    /// Starts a finished exact scan anew with more room where the last neighbour may have equals
    /// that found none.
    private func mustWiden() -> Bool {
        guard method == .exact, nearest.count == wantedCount, wantedCount < acceptedCount,
            wantedCount < Self.wantedCountMax, let last = nearest.last,
            nearest[query.count - 1].distance == last.distance
        else { return false }
        wantedCount *= 4
        cursor = 0
        nearest = []
        return true
    }

    /// Nodes of one window of an exact scan: well under a millisecond at 384 dimensions.
    private static let window = 16_384

    private func scanWindow() {
        let end = min(cursor + Self.window, nodeBound)
        nearest = field.index.scan(
            query.target, cursor..<end, count: wantedCount, isExact: method == .exact,
            accepted: accepted, merging: nearest, scratch: scratch)
        cursor = end
    }

    /// Turns nodes into the rows that the version sees.
    private func giveHits() {
        hits.removeAll(keepingCapacity: true)
        for hit in nearest {
            // Where the index's own live nodes were searched, the version sees their newest rows.
            if let slot = accepted == nil ? field.row(hit.node) : slot(of: hit.node) {
                hits.append(NearestHit(slot: slot, distance: hit.distance))
            }
        }
    }
}
