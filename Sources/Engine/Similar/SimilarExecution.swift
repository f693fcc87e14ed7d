import Partition
import Primitives
import Query
import Schema
import Synchronization

/// Carries out one lookup by nearness in slices, at one version.
///
/// ```
/// history ─> target (─> examples) ─> filter (─> exclude) ─> search or compare (each partition)
///         (─> originals) ─> rank (─> spread)
/// ```
/// - history: the documents of another collection that name what was liked.
/// - target: the vector that hits are to be near to.
/// - examples: the mean of what is liked and disliked.
/// - filter: which rows may be hits, as a bitmap for each partition.
/// - exclude: which rows are no hits, where there are many.
/// - search: the nearest of each partition; see ``NearestSearch``.
/// - compare: every match by its stored vector, while no index of them is complete (it is the
///   field's first, or made anew after a start), or where the index holds only codes and all
///   matches count.
/// - originals: where the index holds only codes, the best are compared by the stored vectors.
/// - rank: the partitions' hits merged and cut.
/// - spread: hits chosen so that they differ, where it is asked for; see ``Spread``.
///
/// The version stays pinned until ``finish()``, and the lookup keeps the indexes that it began
/// with: those of the options that its target was checked for, whatever an `ALTER` does meanwhile.
/// Not Sendable: runs on the thread of its context.
package final class SimilarExecution {
    enum Phase: Equatable {
        case history
        case target
        case examples
        case filter
        case exclude(from: Int)
        case search(partition: Int)
        case compare(partition: Int)
        case originals(from: Int)
        case rank
        case spread
        case finished
    }

    let request: SimilarRequest
    let options: VectorOptions
    let context: ReadContext
    let view: CollectionView
    let version: Version
    var phase: Phase
    package internal(set) var outcome: SimilarOutcome
    /// Rows that may be hits; nil where all that have a vector may.
    private let filter: FindExecution?
    var history: HistoryReader?
    /// The examples that are being read.
    var examples: ExampleMean?
    /// By partition: the indexes to search; none while the first one is being built.
    private(set) var indexes: [VectorField] = []
    /// Compares stored vectors while no index of them is complete.
    private(set) var unindexed: UnindexedVectors?
    /// What hits are to be near to.
    var target: [Float] = []
    /// Ids that are no hits, those of the examples among them.
    var excluded: [[UInt8]]
    /// By partition: their rows, where they are many.
    private(set) var excludedRows: [[Slot]] = []
    let isMeasured: Bool
    var searches: [NearestSearch] = []
    /// Of fields that are ranked by the store: what compares, what was found by codes, and what was
    /// compared.
    var originals: StoredOriginals?
    var found: [StoredOriginals.Item] = []
    var compared: [StoredOriginals.Item] = []
    /// What the hits are chosen from while they are spread out.
    var candidates: [Candidate] = []
    var spread: Spread?
    private var holdsPin: Bool
    private var phaseStarted: UInt64

    /// Pins the newest version and prepares.
    package convenience init(
        _ request: SimilarRequest, context: ReadContext
    ) throws(EngineError) {
        try self.init(request, context: context, isMeasured: false)
    }

    /// - Parameter isMeasured: it repeats a lookup to measure it.
    init(
        _ request: SimilarRequest, context: ReadContext, isMeasured: Bool
    ) throws(EngineError) {
        guard let options = request.field.vectorOptions else {
            preconditionFailure("a vector field")
        }
        self.options = options
        // Before a version is pinned: an index that becomes complete behind that may lack rows
        // that it sees.
        let isRebuilding =
            context.shared.isRebuilding.load(ordering: .acquiring)
            && request.view.isRebuilding(request.field)
        self.isMeasured = isMeasured
        self.request = request
        self.context = context
        if let filter = request.filter {
            var find = FindRequest(view: request.view, filter: filter, limit: 0)
            find.isCount = true
            find.deadlineNanoseconds = request.deadlineNanoseconds
            find.allowsPartial = request.allowsPartial
            find.isExplained = request.isExplained
            let execution = try FindExecution(find, context: context)
            self.filter = execution
            version = execution.version
            view = execution.request.view
            holdsPin = false
        } else {
            filter = nil
            (version, view) = try context.pin(request.view)
            holdsPin = true
        }
        outcome = SimilarOutcome(version: version)
        excluded = request.excluded
        phase = .target
        phaseStarted = Clock.monotonicNanoseconds()
        if case .history(let history) = request.target {
            phase = .history
            self.history = try HistoryReader(history, context: context)
        }
        if isRebuilding || view.isBuildingFirstIndex(of: request.field) {
            unindexed = UnindexedVectors(context, request.field, options, view)
        } else {
            try bindIndexes()
        }
    }

    /// Takes each partition's index of the options that the request was made for.
    ///
    /// - Throws: `BUSY` where another one has just taken its place.
    private func bindIndexes() throws(EngineError) {
        for partition in view.partitions {
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            guard let index = partition.vectorField(request.field.number, built: options) else {
                throw .schemaChanged(view.name)
            }
            indexes.append(index)
        }
    }

    deinit { finish() }

    /// Gives back the pins and the bitmaps. May be called twice.
    package func finish() {
        filter?.finish()
        history?.finish()
        guard holdsPin else { return }
        holdsPin = false
        context.pins.release(version)
    }

    /// Works until it is finished or `deadline` on the monotonic clock has passed.
    ///
    /// - Returns: whether it is finished.
    /// - Throws: `TIMEOUT` when the request's own time is over, unless it allows partial answers;
    ///   `NOTFOUND`, `NOVECTOR` and `NOHISTORY` where there is nothing to be near to; `BUSY` where
    ///   the schema changes while the filter is answered.
    package func run(until deadline: UInt64) throws(EngineError) -> Bool {
        while phase != .finished {
            do throws(EngineError) {
                try step(until: deadline)
            } catch  where error.code == .corrupt {
                // A collection that was dropped meanwhile takes its entries with it.
                let isThere = context.shared.catalog.byID[view.id] != nil
                throw isThere ? error : context.missing(view, version)
            }
            if phase == .finished { break }
            let now = Clock.monotonicNanoseconds()
            if now >= request.deadlineNanoseconds {
                guard request.allowsPartial else {
                    throw EngineError(
                        .timeout, "", "the time for this lookup is over",
                        hint: "raise TIMEOUT, ask for PARTIAL, or leave EXACT out")
                }
                outcome.isPartial = true
                try phase == .spread ? finishSpread() : rank()
                break
            }
            if now >= deadline { return false }
        }
        return true
    }

    private func step(until deadline: UInt64) throws(EngineError) {
        switch phase {
        case .history:
            guard let history else { preconditionFailure("a history to read") }
            guard try history.run(until: deadline) else { return }
            let ids = try history.ids()
            note("history", "documents that name ids", rows: ids.count)
            takeExamples(likes: ids, unlikes: [], mustExist: false)
        case .target: try resolveTarget()
        case .examples: try readExamples()
        case .filter:
            if let filter {
                guard try filter.run(until: deadline) else { return }
                if filter.outcome.isPartial { outcome.isPartial = true }
                outcome.plan.stages += filter.outcome.plan.stages
                outcome.plan.warnings += filter.outcome.plan.warnings
                outcome.plan.documentsRead += filter.outcome.plan.documentsRead
                outcome.plan.estimate = filter.outcome.total
            } else {
                outcome.plan.estimate = view.documentCount
            }
            phaseStarted = Clock.monotonicNanoseconds()
            phase =
                excluded.count > Self.excludedCountMax
                ? .exclude(from: 0) : .search(partition: 0)
        case .exclude(let start): exclude(from: start)
        case .search(let index): search(index, until: deadline)
        case .compare(let index): try compare(index, until: deadline)
        case .originals(let start): try rankByOriginals(from: start)
        case .rank: try rank()
        case .spread: if spread?.run(until: deadline) ?? true { finishSpread() }
        case .finished: return
        }
    }

    func note(_ name: String, _ detail: @autoclosure () -> String, rows: Int) {
        guard request.isExplained else { return }
        let now = Clock.monotonicNanoseconds()
        outcome.plan.stages.append(
            FindPlan.Stage(
                name: name, detail: detail(), rows: rows,
                microseconds: Int((now - phaseStarted) / 1000)))
        phaseStarted = now
    }

    // MARK: - Search

    /// Up to so many ids that are no hits, as many more neighbours are asked for; beyond it their
    /// rows are kept out of the search, which then walks under a bitmap.
    private static let excludedCountMax = 64
    /// Ids that are looked up in one go.
    private static let excludeBatch = 512

    private func exclude(from start: Int) {
        if start == 0 { excludedRows = view.partitions.map { _ in [] } }
        let end = min(start + Self.excludeBatch, excluded.count)
        for id in excluded[start..<end] {
            if let (index, slot) = row(of: id) { excludedRows[index].append(slot) }
        }
        phase = end == excluded.count ? .search(partition: 0) : .exclude(from: end)
    }

    /// The row in which the version sees a document.
    func row(of id: [UInt8]) -> (partition: Int, slot: Slot)? {
        id.withUnsafeBytes { bytes in
            let hash = view.hash(bytes)
            let index = view.partitionIndex(hash: hash)
            let partition = view.partitions[index]
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            guard let number = partition.heads.number(hash: hash, id: bytes),
                let slot = partition.slot(of: number, at: version)
            else { return nil }
            return (index, slot)
        }
    }

    /// Neighbours that each partition is asked for: what may fall away later comes on top.
    var neededCount: Int {
        let wanted = request.count
        return (excludedRows.isEmpty ? excluded.count : 0)
            + (request.diversity == nil ? wanted : Self.spreadCount(wanted))
    }

    /// The rows of a partition that are kept out of its search.
    func excludedRows(_ index: Int) -> [Slot] {
        excludedRows.isEmpty ? [] : excludedRows[index]
    }

    /// Candidates that a search keeps; nil for the default.
    var width: Int? { request.width ?? options.searchWidth }

    private func search(_ index: Int, until deadline: UInt64) {
        if let unindexed {
            unindexed.begin(index, target: target)
            phase = .compare(partition: index)
            return
        }
        if searches.count == index {
            if index == 0 {
                originals = StoredOriginals(
                    context: context, field: request.field, target: target)
            }
            let count =
                originals == nil
                ? neededCount : VectorGraph.rankedCount(neededCount, width: width)
            searches.append(
                NearestSearch(
                    partition: view.partitions[index], field: indexes[index],
                    query: NearestQuery(
                        target: target, count: count,
                        width: request.width ?? options.defaultWidth, isExact: request.isExact),
                    version: version, match: match(index), excluded: excludedRows(index),
                    pool: context.bitmaps, scratch: context.nearestScratch))
        }
        while !searches[index].step() {
            if Clock.monotonicNanoseconds() >= deadline { return }
        }
        if searches[index].leavesComparing {
            phase = .compare(partition: index)
        } else {
            searchIsDone(index)
        }
    }

    func searchIsDone(_ index: Int) {
        if index + 1 < view.partitions.count {
            phase = .search(partition: index + 1)
            return
        }
        note(
            "search",
            unindexed == nil
                ? Set(searches.map(\.method.rawValue)).sorted().joined(separator: ", ")
                : "exact scan of stored vectors",
            rows: searches.reduce(compared.count) { $0 + $1.hits.count })
        phase = originals == nil ? .rank : .originals(from: 0)
    }

    func match(_ index: Int) -> NearestSearch.Match {
        guard let filter, !filter.matchesAll[index] else { return .all }
        return .rows(filter.matches[index])
    }
}
