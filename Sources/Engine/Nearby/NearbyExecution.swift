import GeoIndex
import Partition
import Primitives
import Query
import Schema

/// Carries out one lookup of near places in slices, at one version.
///
/// ```
/// stock ─> filter ─> narrow ─> search ─┬────────────> rank ─> finished
///                               ^   │  └─> check ─┘    │
///                               │   │       │  next    │ wider, on an ellipsoid
///                               └───┼───────┴──────────┘
///                                   └─> scan ─> finished      no index yet
/// ```
/// - stock: the ids that another collection's documents name.
/// - filter: which rows may be hits, as a bitmap for each partition; see ``FindExecution``.
/// - narrow: per partition, of these, what has the stock and what is open.
/// - search: per partition, the nearest; see ``PlaceSearch``.
/// - check: where nothing has to be counted, what costs much to ask of all rows is asked of the
///   nearest: the documents that a filter without columns reads, and the opening hours. The search
///   goes on behind them until there are enough.
/// - rank: the partitions' hits merged by distance and id, and cut. Distances on an ellipsoid are
///   measured here: until the furthest hit surely comes before all that was not found, the search
///   is made wider.
/// - scan: while an `ALTER` builds the index, documents are read and measured.
///
/// The version stays pinned until ``finish()``. Not Sendable: runs on the thread of its context.
package final class NearbyExecution {
    enum Phase: Equatable {
        case stock
        case filter
        case narrow(partition: Int)
        case search(partition: Int)
        case check
        case rank
        case scan(partition: Int, from: Slot)
        case finished
    }

    package let request: NearbyRequest
    let context: ReadContext
    let view: CollectionView
    let version: Version
    let center: SpherePoint
    var phase: Phase
    package internal(set) var outcome: NearbyOutcome
    /// Rows that match; nil where all that have a place do.
    let filter: FindExecution?
    let stock: HistoryReader?
    /// Rows that may be hits, by partition; empty where the filter alone says so.
    var allowed: [Bitmap] = []
    /// Whether only rows within the radius were asked for their hours.
    var askedWithinRadius = false
    var searches: [PlaceSearch] = []
    /// Hits that each partition is asked for.
    var asked: Int
    /// What is asked of the nearest only.
    var check: NearbyCheck
    /// Documents that were measured without an index.
    var scanned = NearbyScan()
    private var holdsPin: Bool
    private var phaseStarted: UInt64

    var earth: EarthModel { request.target.earth }

    /// Pins the newest version and prepares.
    ///
    /// - Throws: what ``FindExecution/init(_:context:)`` and ``ReadContext/pin(_:)`` throw.
    package init(_ request: NearbyRequest, context: ReadContext) throws(EngineError) {
        self.request = request
        self.context = context
        center = SpherePoint(request.center)
        asked = request.limit + 1
        check = NearbyCheck(request)
        stock = try request.stock.map { (stock) throws(EngineError) in
            try HistoryReader(stock, context: context)
        }
        if let filter = request.filter {
            var find = FindRequest(view: request.view, filter: filter, limit: 0)
            find.isCount = true
            find.leavesUnverified = check.mayReadDocuments
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
        outcome = NearbyOutcome(version: version)
        phase = .stock
        phaseStarted = 0
        phaseStarted = now
    }

    deinit { finish() }

    private var now: UInt64 { request.isExplained ? Clock.monotonicNanoseconds() : 0 }

    /// Gives back the pins and the bitmaps. May be called twice.
    package func finish() {
        filter?.finish()
        stock?.finish()
        dropAllowed()
        guard holdsPin else { return }
        holdsPin = false
        context.pins.release(version)
    }

    func dropAllowed() {
        if allowed.isEmpty { return }
        for bitmap in allowed { context.bitmaps.giveBack(bitmap) }
        allowed = []
    }

    /// Works until it is finished or `deadline` on the monotonic clock has passed.
    ///
    /// - Returns: whether it is finished.
    /// - Throws: `TIMEOUT` when the request's own time is over, unless it allows partial answers.
    package func run(until deadline: UInt64) throws(EngineError) -> Bool {
        if let current = context.catalog.byID[view.id],
            current.schemaGeneration != view.schemaGeneration, phase != .finished
        {
            throw .schemaChanged(view.name)
        }
        while phase != .finished {
            try step(until: deadline)
            // What follows takes no time, or none was taken.
            if phase == .finished { break }
            if phase == .rank || phase == .search(partition: 0) { continue }
            let now = Clock.monotonicNanoseconds()
            if now >= request.deadlineNanoseconds {
                guard request.allowsPartial else {
                    throw EngineError(
                        .timeout, "", "the time for this lookup is over",
                        hint: "raise TIMEOUT, ask for PARTIAL, or index the fields of WHERE")
                }
                outcome.isPartial = true
                if case .scan = phase { finishScan() } else { rank() }
                break
            }
            if now >= deadline { return false }
        }
        return true
    }

    private func step(until deadline: UInt64) throws(EngineError) {
        switch phase {
        case .stock:
            if let stock {
                guard try stock.run(until: deadline) else { return }
                note("stock", "ids with enough of it", rows: stock.found.count)
            }
            phase = .filter
            // Nothing to do, mostly.
            try step(until: deadline)
        case .filter:
            if let filter {
                guard try filter.run(until: deadline) else { return }
                if filter.outcome.isPartial {
                    // It has not come to every partition, or not read every document.
                    outcome.isPartial = true
                    rank()
                    phase = .finished
                    return
                }
                outcome.plan.stages += filter.outcome.plan.stages
                outcome.plan.warnings += filter.outcome.plan.warnings
                outcome.plan.documentsRead += filter.outcome.plan.documentsRead
                phaseStarted = now
                if filter.isExact.contains(false), check.mayReadDocuments {
                    check.readsDocuments = true
                }
            }
            if check.isNeeded { asked = check.countAtFirst }
            let mustNarrow =
                stock != nil || (request.opening != nil && !check.asksHours)
            phase = mustNarrow ? .narrow(partition: 0) : .search(partition: 0)
        case .narrow(let index): try narrow(index)
        case .search(let index): try search(index)
        case .check: try checkNearest()
        case .rank: rank()
        case .scan(let index, let slot): try scan(index, from: slot)
        case .finished: return
        }
    }

    func note(_ name: String, _ detail: @autoclosure () -> String, rows: Int) {
        guard request.isExplained else { return }
        let now = now
        outcome.plan.stages.append(
            FindPlan.Stage(
                name: name, detail: detail(), rows: rows,
                microseconds: Int((now - phaseStarted) / 1000)))
        phaseStarted = now
    }

    // MARK: - Search

    private func search(_ index: Int) throws(EngineError) {
        if searches.count == index {
            if index == 0 { searches.reserveCapacity(view.partitions.count) }
            var query = query
            query.hitMax = hitMax
            searches.append(
                PlaceSearch(
                    partition: view.partitions[index], query: query, version: version,
                    match: match(index), pool: context.bitmaps, scratch: context.geoScratch))
        }
        guard searches[index].step() else { return }
        if !searches[index].hasIndex {
            startScan()
        } else if index + 1 < view.partitions.count {
            phase = .search(partition: index + 1)
        } else {
            phase = check.isNeeded ? .check : .rank
        }
    }

    /// How far the hits are at most, as the partitions say that are searched.
    private var hitMax: Double {
        // On an ellipsoid the furthest hit of each says how far it has looked.
        guard earth == .sphere, asked > 0 else { return 4 }
        var least = 4.0
        for search in searches where search.hits.count >= asked {
            least = min(least, search.hits[asked - 1].chord2)
        }
        return least
    }

    private var query: PlaceQuery {
        var query = PlaceQuery(
            field: request.target.number, center: center, chord2Max: 4, count: asked,
            wantsTotal: false)
        switch earth {
        case .sphere:
            if let radius = request.radiusMeters {
                query.chord2Max = Sphere.chord2(meters: radius)
                query.wantsTotal = true
            }
            query.after =
                check.after ?? request.after.map { PlaceAfter(chord2: $0.distance, id: $0.id) }
        case .wgs84:
            // The filter holds the radius. What is nearer on the ellipsoid is nearer than this.
            if let after = request.after {
                let least = after.distance * (Sphere.radiusMeters / 6_399_594) - 1e-3
                query.chord2Min = max(0, Sphere.chord2(meters: max(0, least)))
            }
        }
        return query
    }

    func match(_ index: Int) -> PlaceSearch.Match {
        if !allowed.isEmpty { return .rows(allowed[index]) }
        guard let filter, !filter.matchesAll[index] else { return .all }
        return .rows(filter.matches[index])
    }
}
