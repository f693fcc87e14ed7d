import GeoIndex
import Partition
import Primitives
import Query
import Schema

/// Carries out one lookup of near places in slices, at one version.
///
/// ```
/// filter ─> search (each partition) ─> rank ─> finished
/// ```
/// - filter: which rows may be hits, as a bitmap for each partition; see ``FindExecution``.
/// - search: the nearest of each partition; see ``PlaceSearch``.
/// - rank: the partitions' hits merged by distance and id, and cut.
///
/// The version stays pinned until ``finish()``. Not Sendable: runs on the thread of its context.
package final class NearbyExecution {
    private enum Phase: Equatable {
        case filter
        case search(partition: Int)
        case rank
        case finished
    }

    let request: NearbyRequest
    private let context: ReadContext
    private let view: CollectionView
    private let version: Version
    private let center: SpherePoint
    private var phase: Phase
    package private(set) var outcome: NearbyOutcome
    /// Rows that may be hits; nil where all that have a place may.
    private let filter: FindExecution?
    private var searches: [PlaceSearch] = []
    private var holdsPin: Bool
    private var phaseStarted: UInt64

    /// Pins the newest version and prepares.
    ///
    /// - Throws: what ``FindExecution/init(_:context:)`` and ``ReadContext/pin(_:)`` throw.
    package init(_ request: NearbyRequest, context: ReadContext) throws(EngineError) {
        self.request = request
        self.context = context
        center = SpherePoint(request.center)
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
            phase = .filter
        } else {
            filter = nil
            (version, view) = try context.pin(request.view)
            holdsPin = true
            phase = .search(partition: 0)
        }
        outcome = NearbyOutcome(version: version)
        phaseStarted = request.isExplained ? Clock.monotonicNanoseconds() : 0
    }

    deinit { finish() }

    /// Gives back the pin and the bitmaps. May be called twice.
    package func finish() {
        filter?.finish()
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
            if phase == .finished { break }
            // Most lookups end with the search of their last partition: no need for the time.
            if phase == .rank { continue }
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
        case .filter:
            guard let filter, try filter.run(until: deadline) else { return }
            if filter.outcome.isPartial { outcome.isPartial = true }
            outcome.plan.stages += filter.outcome.plan.stages
            outcome.plan.warnings += filter.outcome.plan.warnings
            outcome.plan.documentsRead += filter.outcome.plan.documentsRead
            phaseStarted = request.isExplained ? Clock.monotonicNanoseconds() : 0
            phase = .search(partition: 0)
        case .search(let index): search(index)
        case .rank: rank()
        case .finished: return
        }
    }

    private func note(_ name: String, _ detail: @autoclosure () -> String, rows: Int) {
        guard request.isExplained else { return }
        let now = Clock.monotonicNanoseconds()
        outcome.plan.stages.append(
            FindPlan.Stage(
                name: name, detail: detail(), rows: rows,
                microseconds: Int((now - phaseStarted) / 1000)))
        phaseStarted = now
    }

    // MARK: - Search

    private func search(_ index: Int) {
        if searches.count == index {
            let after = request.after.map { PlaceAfter(chord2: $0.chord2, id: $0.id) }
            searches.append(
                PlaceSearch(
                    partition: view.partitions[index],
                    query: PlaceQuery(
                        field: request.field.number, center: center,
                        chord2Max: request.radiusMeters.map { Sphere.chord2(meters: $0) } ?? 4,
                        after: after, count: request.limit + 1,
                        wantsTotal: request.radiusMeters != nil),
                    version: version, match: match(index), pool: context.bitmaps,
                    scratch: context.geoScratch))
        }
        guard searches[index].step() else { return }
        phase = index + 1 < view.partitions.count ? .search(partition: index + 1) : .rank
    }

    private func match(_ index: Int) -> PlaceSearch.Match {
        guard let filter, !filter.matchesAll[index] else { return .all }
        return .rows(filter.matches[index])
    }

    // MARK: - Rank

    private struct Candidate {
        var chord2: Double
        var partition: Int32
        var slot: Slot
    }

    private func rank() {
        if request.isExplained {
            outcome.plan.estimate = searches.reduce(0) { $0 + $1.estimate }
            note(
                "search", Set(searches.map(\.method.rawValue)).sorted().joined(separator: ", "),
                rows: searches.reduce(0) { $0 + $1.hits.count })
        }
        var candidates: [Candidate] = []
        candidates.reserveCapacity(searches.reduce(0) { $0 + $1.hits.count })
        for (index, search) in searches.enumerated() {
            for hit in search.hits {
                candidates.append(
                    Candidate(chord2: hit.chord2, partition: Int32(index), slot: hit.slot))
            }
        }
        if request.radiusMeters != nil { outcome.total = searches.reduce(0) { $0 + $1.total } }
        for partition in view.partitions { partition.lock.lockForReading() }
        defer { for partition in view.partitions { partition.lock.unlock() } }
        candidates.sort {
            $0.chord2 != $1.chord2 ? $0.chord2 < $1.chord2 : compareBytes(id($0), id($1)) < 0
        }
        outcome.hits.reserveCapacity(min(request.limit, candidates.count))
        for candidate in candidates.prefix(request.limit) { outcome.hits.append(hit(candidate)) }
        if candidates.count > request.limit, let last = outcome.hits.last {
            outcome.next = PlaceCursor(chord2: candidates[request.limit - 1].chord2, id: last.id)
        }
        note("rank", "by distance", rows: outcome.hits.count)
        phase = .finished
    }

    /// The id's bytes, while the partitions are locked.
    private func id(_ candidate: Candidate) -> UnsafeRawBufferPointer {
        view.partitions[Int(candidate.partition)].id(candidate.slot)
    }

    private func hit(_ candidate: Candidate) -> NearbyHit {
        let partition = view.partitions[Int(candidate.partition)]
        let angle =
            partition.placeField(request.field.number)?.points.angle(
                of: candidate.slot, to: center) ?? 0
        return NearbyHit(
            key: partition.key(candidate.slot), id: [UInt8](partition.id(candidate.slot)),
            meters: Sphere.meters(angle: angle))
    }
}
