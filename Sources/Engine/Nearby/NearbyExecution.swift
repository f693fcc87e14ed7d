import GeoIndex
import HoursIndex
import Partition
import Primitives
import Query
import Schema

/// Carries out one lookup of near places in slices, at one version.
///
/// ```
/// stock ─> filter ─> narrow (each partition) ─> search (each partition) ─> rank ─> finished
///                                                └──────── wider <──────────┘ on an ellipsoid
/// ```
/// - stock: the ids that another collection's documents name.
/// - filter: which rows may be hits, as a bitmap for each partition; see ``FindExecution``.
/// - narrow: of these, what has the stock and what is open.
/// - search: the nearest of each partition; see ``PlaceSearch``.
/// - rank: the partitions' hits merged by distance and id, and cut. Distances on an ellipsoid are
///   measured here: until the furthest hit surely comes before all that was not found, the search
///   is made wider.
///
/// The version stays pinned until ``finish()``. Not Sendable: runs on the thread of its context.
package final class NearbyExecution {
    private enum Phase: Equatable {
        case stock
        case filter
        case narrow(partition: Int)
        case search(partition: Int)
        case rank
        case finished
    }

    package let request: NearbyRequest
    private let context: ReadContext
    private let view: CollectionView
    private let version: Version
    private let center: SpherePoint
    private let earth: EarthModel
    private var phase: Phase
    package private(set) var outcome: NearbyOutcome
    /// Rows that match; nil where all that have a place do.
    private let filter: FindExecution?
    private let stock: HistoryReader?
    /// Rows that may be hits, by partition; empty where the filter alone says so.
    private var allowed: [Bitmap] = []
    private var searches: [PlaceSearch] = []
    /// Hits that each partition is asked for.
    private var asked: Int
    private var holdsPin: Bool
    private var phaseStarted: UInt64

    /// Pins the newest version and prepares.
    ///
    /// - Throws: what ``FindExecution/init(_:context:)`` and ``ReadContext/pin(_:)`` throw; `BUSY`
    ///   while the index is being built.
    package init(_ request: NearbyRequest, context: ReadContext) throws(EngineError) {
        self.request = request
        self.context = context
        center = SpherePoint(request.center)
        earth = request.field.definition.place.earth
        asked = request.limit + 1
        stock = try request.stock.map { (stock) throws(EngineError) in
            try HistoryReader(stock, context: context)
        }
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
        outcome = NearbyOutcome(version: version)
        phase = .stock
        phaseStarted = 0
        phaseStarted = now
        guard view.hasReadyPlaces(request.field) else {
            throw EngineError(
                .busy, request.field.path, "its index is being built",
                hint: "wait until JOBS says that it is done")
        }
    }

    deinit { finish() }

    private var now: UInt64 { request.isExplained ? Clock.monotonicNanoseconds() : 0 }

    /// Gives back the pins and the bitmaps. May be called twice.
    package func finish() {
        filter?.finish()
        stock?.finish()
        for bitmap in allowed { context.bitmaps.giveBack(bitmap) }
        allowed = []
        guard holdsPin else { return }
        holdsPin = false
        context.pins.release(version)
    }

    /// Works until it is finished or `deadline` on the monotonic clock has passed.
    ///
    /// - Returns: whether it is finished.
    /// - Throws: `TIMEOUT` when the request's own time is over, unless it allows partial answers.
    package func run(until deadline: UInt64) throws(EngineError) -> Bool {
        if let current = context.catalog.byID[view.id],
            current.schemaGeneration != view.schemaGeneration, phase != .finished
        {
            throw EngineError(
                .busy, view.name, "the schema changed meanwhile", hint: "send it again")
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
                rank()
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
                if filter.outcome.isPartial { outcome.isPartial = true }
                outcome.plan.stages += filter.outcome.plan.stages
                outcome.plan.warnings += filter.outcome.plan.warnings
                outcome.plan.documentsRead += filter.outcome.plan.documentsRead
                phaseStarted = now
            }
            let mustNarrow = stock != nil || request.opening != nil
            phase = mustNarrow ? .narrow(partition: 0) : .search(partition: 0)
        case .narrow(let index): try narrow(index)
        case .search(let index): search(index)
        case .rank: rank()
        case .finished: return
        }
    }

    private func note(_ name: String, _ detail: @autoclosure () -> String, rows: Int) {
        guard request.isExplained else { return }
        let now = now
        outcome.plan.stages.append(
            FindPlan.Stage(
                name: name, detail: detail(), rows: rows,
                microseconds: Int((now - phaseStarted) / 1000)))
        phaseStarted = now
    }

    // MARK: - Narrow

    private func narrow(_ index: Int) throws(EngineError) {
        let partition = view.partitions[index]
        let rows = context.bitmaps.borrow(capacity: 512)
        partition.lock.lockForReading()
        let scratch = context.bitmaps.borrow(capacity: partition.slotBound)
        if let filter, !filter.matchesAll[index] {
            rows.assign(filter.matches[index])
        } else {
            rows.assign(partition.visible(at: version, scratch: scratch))
        }
        if let stock {
            scratch.clearAll()
            for id in stock.found {
                id.withUnsafeBytes { bytes in
                    let hash = view.hash(bytes)
                    guard view.partitionIndex(hash: hash) == index,
                        let number = partition.heads.number(hash: hash, id: bytes),
                        let slot = partition.slot(of: number, at: version)
                    else { return }
                    scratch.set(slot)
                }
            }
            rows.formIntersection(scratch)
        }
        var isReady = true
        if let opening = request.opening {
            if let hours = partition.hoursField(opening.field.number) {
                context.hoursMoment.set(milliseconds: opening.milliseconds, for: hours.table)
                hours.table.collectOpen(context.hoursMoment, into: scratch)
                rows.formIntersection(scratch)
            } else {
                isReady = false
            }
        }
        partition.lock.unlock()
        context.bitmaps.giveBack(scratch)
        allowed.append(rows)
        guard isReady else {
            throw EngineError(
                .busy, request.opening?.field.path ?? "", "its hours are being brought in",
                hint: "wait until JOBS says that it is done")
        }
        if index + 1 < view.partitions.count {
            phase = .narrow(partition: index + 1)
        } else {
            note(
                "narrow", stock == nil ? "what is open" : "what has the stock",
                rows: allowed.reduce(0) { $0 + $1.count })
            phase = .search(partition: 0)
        }
    }

    // MARK: - Search

    private func search(_ index: Int) {
        if searches.count == index {
            searches.append(
                PlaceSearch(
                    partition: view.partitions[index], query: query, version: version,
                    match: match(index), pool: context.bitmaps, scratch: context.geoScratch))
        }
        guard searches[index].step() else { return }
        phase = index + 1 < view.partitions.count ? .search(partition: index + 1) : .rank
    }

    private var query: PlaceQuery {
        var query = PlaceQuery(
            field: request.field.number, center: center, chord2Max: 4, count: asked,
            wantsTotal: false)
        switch earth {
        case .sphere:
            if let radius = request.radiusMeters {
                query.chord2Max = Sphere.chord2(meters: radius)
                query.wantsTotal = true
            }
            query.after = request.after.map { PlaceAfter(chord2: $0.distance, id: $0.id) }
        case .wgs84:
            // The filter holds the radius. What is nearer on the ellipsoid is nearer than this.
            if let after = request.after {
                let least = after.distance * (Sphere.radiusMeters / 6_399_594) - 1e-3
                query.chord2Min = max(0, Sphere.chord2(meters: max(0, least)))
            }
        }
        return query
    }

    private func match(_ index: Int) -> PlaceSearch.Match {
        if !allowed.isEmpty { return .rows(allowed[index]) }
        guard let filter, !filter.matchesAll[index] else { return .all }
        return .rows(filter.matches[index])
    }

    // MARK: - Rank

    private func rank() {
        if request.isExplained {
            outcome.plan.estimate = searches.reduce(0) { $0 + $1.estimate }
            note(
                "search", Set(searches.map(\.method.rawValue)).sorted().joined(separator: ", "),
                rows: searches.reduce(0) { $0 + $1.hits.count })
        }
        if earth == .wgs84 { return rankOnEllipsoid() }
        if request.radiusMeters != nil { outcome.total = searches.reduce(0) { $0 + $1.total } }
        PlaceRanking.merge(searches, view.partitions) { rows, _ in
            outcome.hits.reserveCapacity(min(request.limit, rows.count))
            for row in rows.prefix(request.limit) {
                let angle = places(row.partition)?.points.angle(of: row.slot, to: center) ?? 0
                outcome.hits.append(hit(row, meters: Sphere.meters(angle: angle)))
            }
            if rows.count > request.limit, let last = outcome.hits.last {
                outcome.next = PlaceCursor(
                    distance: rows[request.limit - 1].chord2, id: last.id)
            }
        }
        finishRanking()
    }

    private func finishRanking() {
        note("rank", "by distance", rows: outcome.hits.count)
        phase = .finished
    }

    private func places(_ partition: Int) -> PlaceField? {
        view.partitions[partition].placeField(request.field.number)
    }

    private func hit(_ row: PlaceRanking.Row, meters: Double) -> NearbyHit {
        let partition = view.partitions[row.partition]
        return NearbyHit(
            key: partition.key(row.slot), id: [UInt8](partition.id(row.slot)), meters: meters)
    }

    /// Measures the hits on the ellipsoid; searches on, wider, where one that was not found may
    /// come before the last.
    private func rankOnEllipsoid() {
        var measured: [NearbyHit] = []
        PlaceRanking.merge(searches, view.partitions) { rows, _ in
            for row in rows {
                let points = places(row.partition)?.points.positions(of: row.slot) ?? []
                let meters = points.map { earth.meters(request.center, $0.latLng) }.min() ?? 0
                measured.append(hit(row, meters: meters))
            }
        }
        if let after = request.after {
            measured.removeAll {
                $0.meters < after.distance
                    || ($0.meters == after.distance
                        && !after.id.lexicographicallyPrecedes($0.id))
            }
        }
        measured.sort {
            $0.meters != $1.meters
                ? $0.meters < $1.meters : $0.id.lexicographicallyPrecedes($1.id)
        }
        let isWhole = searches.allSatisfy { search in
            guard search.hits.count >= asked, let last = search.hits.last else { return true }
            guard measured.count > request.limit else { return false }
            let covered = earth.sphereMeters(covering: measured[request.limit].meters)
            return Sphere.meters(angle: Sphere.angle(chord2: last.chord2)) > covered
        }
        if !isWhole, !outcome.isPartial {
            asked *= 2
            searches = []
            phase = .search(partition: 0)
            return
        }
        if request.radiusMeters != nil {
            outcome.total =
                allowed.isEmpty
                ? filter?.outcome.total ?? 0 : allowed.reduce(0) { $0 + $1.count }
        }
        outcome.hits = Array(measured.prefix(request.limit))
        if measured.count > request.limit, let last = outcome.hits.last {
            outcome.next = PlaceCursor(distance: last.meters, id: last.id)
        }
        finishRanking()
    }
}
