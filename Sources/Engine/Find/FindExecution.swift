import ColumnIndex
import Documents
import Partition
import Primitives
import Query
import Schema

/// Carries out one lookup in slices, at one version.
///
/// ```
/// filter ─> verify ─> aggregate ─> scan ─> select ─> finished
/// ```
/// - places: per partition, the indexes of places answer their predicates, in slices.
/// - filter: per partition, the columns answer what they can as a bitmap, and say whether that is
///   exact or a superset.
/// - verify: where it is a superset, each candidate's document is read and matched.
/// - aggregate: facets, statistics and distinct values over the bitmaps.
/// - scan: what no column can answer (an unindexed sort, facet or statistic) reads the matches.
/// - near: per partition, the matches that are nearest, where `$near` asks for that order.
/// - select: the page.
///
/// The version stays pinned until ``finish()``: rows that it sees are neither changed nor freed, so
/// that bitmaps stay true between slices. A partition's lock is held within a slice only.
///
/// Not Sendable: runs on the thread that owns its context.
package final class FindExecution {
    enum Phase: Equatable {
        case places(partition: Int)
        case filter(partition: Int)
        case verify(partition: Int, from: Slot)
        case history(partition: Int, from: UInt32)
        case aggregate(partition: Int)
        case scan(partition: Int, from: Slot)
        case near(partition: Int)
        case select
        case finished
    }

    let request: FindRequest
    let context: ReadContext
    let version: Version
    var phase: Phase
    package internal(set) var outcome: FindOutcome
    /// Matching rows, by partition.
    var matches: [Bitmap] = []
    /// How many there are, by partition.
    var counts: [Int] = []
    /// Whether a partition's matches are all rows that the version sees.
    var matchesAll: [Bool] = []
    /// Whether a partition's bitmap is exact; otherwise it is a superset to be verified.
    var isExact: [Bool] = []
    let levels: [OrderLevel]?
    /// The predicates of the filter that are about places.
    private var placePredicates: [Predicate] = []
    /// What the indexes of places say of the partition whose turn it is.
    private var collectors: [PlaceCollector] = []
    /// The searches that put matches in the order of `$near`.
    var nearSearches: [PlaceSearch] = []
    var aggregation: Aggregation
    var scan: DocumentScan?
    /// The matches of an older version, where they are kept.
    var historyKeys: [LogKey] = []
    /// Whether the page was read off from rows that are kept in its order.
    var isReadOff = false
    private var isPinned = true
    private var phaseStarted: UInt64

    /// Pins the newest version and prepares.
    ///
    /// - Throws: `GAP` or `INVALID` for an `AT` version that cannot be read; `INVALID` for a cursor
    ///   of another query.
    package init(_ request: FindRequest, context: ReadContext) throws(EngineError) {
        if let version = request.version { try context.check(version, request.view) }
        let (version, view) = try context.pin(request.view)
        var request = request
        request.view = view
        self.request = request
        self.context = context
        self.version = version
        levels = OrderPlan.levels(request)
        outcome = FindOutcome(version: request.version ?? version)
        aggregation = Aggregation(request, context.shared.options.limits)
        request.filter.root.placePredicates(into: &placePredicates)
        phase = placePredicates.isEmpty ? .filter(partition: 0) : .places(partition: 0)
        phaseStarted = Clock.monotonicNanoseconds()
        if let older = request.version, older != version {
            phase = .history(partition: 0, from: 0)
        }
    }

    deinit { finish() }

    /// Gives back the pin and the bitmaps. May be called twice.
    package func finish() {
        guard isPinned else { return }
        isPinned = false
        context.pins.release(version)
        for bitmap in matches { context.bitmaps.giveBack(bitmap) }
        matches = []
    }

    /// Works until it is finished or `deadline` on the monotonic clock has passed.
    ///
    /// - Returns: whether it is finished.
    /// - Throws: `TIMEOUT` when the request's own time is over, unless it allows partial answers.
    package func run(until deadline: UInt64) throws(EngineError) -> Bool {
        // Columns may have been dropped since the last slice.
        if let current = context.catalog.byID[request.view.id],
            current.schemaGeneration != request.view.schemaGeneration, phase != .finished
        {
            throw .schemaChanged(request.view.name)
        }
        while phase != .finished {
            do throws(EngineError) {
                try step()
            } catch  where error.code == .corrupt {
                // A collection that was dropped meanwhile takes its entries with it.
                let isThere = context.shared.catalog.byID[request.view.id] != nil
                throw isThere ? error : context.missing(request.view, version)
            }
            if phase == .finished { break }
            let now = Clock.monotonicNanoseconds()
            if now >= request.deadlineNanoseconds {
                guard request.allowsPartial else {
                    throw EngineError(
                        .timeout, "", "the time for this lookup is over",
                        hint: "raise TIMEOUT, ask for PARTIAL, or index the field")
                }
                outcome.isPartial = true
                phase = .finished
                break
            }
            if now >= deadline { return false }
        }
        return true
    }

    private func step() throws(EngineError) {
        switch phase {
        case .places(let index): collectPlaces(index)
        case .near(let index): searchNear(index)
        case .filter(let index): filterPartition(index)
        case .verify(let index, let slot): try verify(index, from: slot)
        case .history(let index, let number): try walkHistory(index, from: number)
        case .aggregate(let index): try aggregate(index)
        case .scan(let index, let slot): try scanDocuments(index, from: slot)
        case .select: select()
        case .finished: return
        }
    }

    var partitions: [CollectionPartition] { request.view.partitions }
    /// The number of the collection that is looked at.
    package var viewID: UInt32 { request.view.id }

    /// Keeps what a stage did, where somebody asks: making the words costs more than some stages.
    func noteStage(_ name: String, _ detail: @autoclosure () -> String, rows: Int) {
        guard request.isExplained else { return }
        let now = Clock.monotonicNanoseconds()
        outcome.plan.stages.append(
            FindPlan.Stage(
                name: name, detail: detail(), rows: rows,
                microseconds: Int((now - phaseStarted) / 1000)))
        phaseStarted = now
    }

    // MARK: - Places

    /// One step of one predicate's index.
    private func collectPlaces(_ index: Int) {
        if collectors.isEmpty {
            collectors = placePredicates.compactMap {
                PlaceCollector(
                    $0, partition: partitions[index], version: version, pool: context.bitmaps,
                    scratch: context.geoScratch)
            }
        }
        for collector in collectors where !collector.step() { return }
        phase = .filter(partition: index)
    }

    // MARK: - Filter

    private func filterPartition(_ index: Int) {
        let partition = partitions[index]
        let bitmap = context.bitmaps.borrow(capacity: 512)
        partition.lock.lockForReading()
        let scratch = context.bitmaps.borrow(capacity: partition.slotBound)
        let visible = partition.visible(at: version, scratch: scratch)
        let evaluator = FilterEvaluator(
            partition: partition, visible: visible, version: version, pool: context.bitmaps,
            places: collectors, hash: request.view.hash)
        let exactness = evaluator.evaluate(request.filter, into: bitmap)
        matchesAll.append(exactness == .all)
        isExact.append(exactness != .superset)
        partition.lock.unlock()
        context.bitmaps.giveBack(scratch)
        matches.append(bitmap)
        if index + 1 < partitions.count {
            collectors = []
            phase =
                placePredicates.isEmpty
                ? .filter(partition: index + 1) : .places(partition: index + 1)
            return
        }
        counts = matches.map { $0.countFast() }
        let rows = counts.reduce(0, +)
        outcome.plan.estimate = rows
        noteStage("filter", evaluator.description(of: request.filter), rows: rows)
        if let first = isExact.firstIndex(of: false), !request.leavesUnverified {
            outcome.plan.warnings += evaluator.unindexedPaths(request.filter).map {
                "\($0) has no usable index: a scan reads documents and checks them one by one"
            }
            phase = .verify(partition: first, from: 0)
        } else {
            filterIsDone(rows)
        }
    }

    private func filterIsDone(_ total: Int) {
        outcome.total = total
        if request.isCount {
            phase = .finished
        } else if aggregation.isNeeded {
            phase = .aggregate(partition: 0)
        } else {
            aggregationIsDone()
        }
    }

    // MARK: - Verify

    /// Candidates whose documents are checked in one go.
    private static let batch = 64

    private func verify(_ index: Int, from start: Slot) throws(EngineError) {
        let partition = partitions[index]
        let bitmap = matches[index]
        var rows: [(slot: Slot, key: LogKey)] = []
        rows.reserveCapacity(Self.batch)
        var next: Slot? = start
        partition.lock.lockForReading()
        while rows.count < Self.batch, let from = next, let slot = bitmap.first(from: from) {
            rows.append((slot, partition.key(slot)))
            next = slot + 1
        }
        partition.lock.unlock()
        for row in rows {
            let matches = try match(row.key)
            if !matches { bitmap.clear(row.slot) }
        }
        outcome.plan.documentsRead += rows.count
        if rows.count == Self.batch, let next {
            phase = .verify(partition: index, from: next)
            return
        }
        var following = index + 1
        while following < isExact.count, isExact[following] { following += 1 }
        if following < isExact.count {
            phase = .verify(partition: following, from: 0)
        } else {
            counts = matches.map { $0.countFast() }
            let total = counts.reduce(0, +)
            noteStage("verify", "scan of documents", rows: total)
            filterIsDone(total)
        }
    }

    /// Whether the document of an entry matches.
    func match(_ key: LogKey) throws(EngineError) -> Bool {
        let depth = context.shared.options.limits.documentDepthMax + 1
        let result: Bool? = try context.withEntry(key) { entry in
            guard let root = try? context.parser.parse(entry.document, depthMax: depth) else {
                return nil
            }
            return request.filter.matches(root, id: entry.id)
        }
        guard let result else {
            throw EngineError(
                .corrupt, "", "a stored document cannot be read", hint: "run aisle verify")
        }
        return result
    }

    // MARK: - Aggregate

    private func aggregate(_ index: Int) throws(EngineError) {
        let partition = partitions[index]
        partition.lock.lockForReading()
        let isDone = aggregation.step(partition, matches[index])
        partition.lock.unlock()
        try aggregation.checkGroups()
        guard isDone else { return }
        if index + 1 < partitions.count {
            phase = .aggregate(partition: index + 1)
        } else {
            noteStage("aggregate", "facets and statistics from columns", rows: outcome.total)
            aggregationIsDone()
        }
    }

    private func aggregationIsDone() {
        let needsOrder = request.limit > 0 && levels == nil && !isNearByIndex
        if needsOrder || aggregation.needsDocuments {
            scan = DocumentScan(request, ordersRows: needsOrder)
            phase = .scan(partition: 0, from: 0)
        } else {
            phase = isNearByIndex && request.limit > 0 ? .near(partition: 0) : .select
        }
    }

    // MARK: - Scan

    private func scanDocuments(_ index: Int, from start: Slot) throws(EngineError) {
        let partition = partitions[index]
        var rows: [(slot: Slot, key: LogKey)] = []
        var next: Slot? = start
        partition.lock.lockForReading()
        while rows.count < Self.batch, let from = next,
            let slot = matches[index].first(from: from)
        {
            rows.append((slot, partition.key(slot)))
            next = slot + 1
        }
        partition.lock.unlock()
        let depth = context.shared.options.limits.documentDepthMax + 1
        for row in rows {
            try context.withEntry(row.key) { entry in
                guard let root = try? context.parser.parse(entry.document, depthMax: depth) else {
                    return
                }
                aggregation.add(root)
                scan?.add(root, key: row.key, id: entry.id)
            }
        }
        try aggregation.checkGroups()
        outcome.plan.documentsRead += rows.count
        if rows.count == Self.batch, let next {
            phase = .scan(partition: index, from: next)
        } else if index + 1 < partitions.count {
            phase = .scan(partition: index + 1, from: 0)
        } else {
            outcome.plan.warnings.append(
                "no column for the sort, a facet or a statistic: the matching documents were read")
            noteStage("scan", "matching documents read", rows: outcome.total)
            phase = isNearByIndex && request.limit > 0 ? .near(partition: 0) : .select
        }
    }

    // MARK: - Select

    private func select() {
        aggregation.finish(into: &outcome)
        if request.limit > 0 {
            if let scan, scan.ordersRows {
                scan.finish(into: &outcome)
            } else if isNearByIndex {
                selectNear()
            } else if let levels {
                selectPage(levels)
            }
        }
        let order =
            request.sort == nil ? (request.near == nil ? "by id" : "by distance") : "by the sort"
        noteStage(
            "select", isReadOff ? "\(order), read off from rows in its order" : order,
            rows: outcome.hits.count)
        phase = .finished
    }
}
