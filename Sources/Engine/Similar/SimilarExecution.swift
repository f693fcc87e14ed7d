import Partition
import Primitives
import Query
import Schema

/// Carries out one lookup by nearness in slices, at one version.
///
/// ```
/// history ─> target ─> filter ─> search (each partition) (─> originals) ─> rank (─> spread)
/// ```
/// - history: the documents of another collection that name what was liked.
/// - target: the vector that hits are to be near to.
/// - filter: which rows may be hits, as a bitmap for each partition.
/// - search: the nearest of each partition; see ``NearestSearch``.
/// - originals: where the index holds only codes, the best are compared by the stored vectors.
/// - rank: the partitions' hits merged and cut.
/// - spread: hits chosen so that they differ, where it is asked for; see ``Spread``.
///
/// The version stays pinned until ``finish()``. Not Sendable: runs on the thread of its context.
package final class SimilarExecution {
    enum Phase: Equatable {
        case history
        case target
        case filter
        case search(partition: Int)
        case compare(partition: Int)
        case originals(from: Int)
        case rank
        case spread
        case finished
    }

    let request: SimilarRequest
    let context: ReadContext
    let view: CollectionView
    let version: Version
    var phase: Phase
    package internal(set) var outcome: SimilarOutcome
    /// Rows that may be hits; nil where all that have a vector may.
    private let filter: FindExecution?
    var history: HistoryReader?
    /// What hits are to be near to.
    var target: [Float] = []
    /// Ids that are no hits, those of the examples among them.
    var excluded: [[UInt8]]
    private let isMeasured: Bool
    var searches: [NearestSearch] = []
    /// Of fields that are ranked by the store: what compares, what was found by codes, and what was
    /// compared.
    var originals: StoredOriginals?
    var found: [StoredOriginals.Item] = []
    var compared: [StoredOriginals.Item] = []
    /// What the hits are chosen from while they are spread out.
    private var candidates: [Candidate] = []
    private var spread: Spread?
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
    ///   `NOTFOUND`, `NOVECTOR` and `NOHISTORY` where there is nothing to be near to.
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
            try takeExamples(likes: ids, unlikes: [], mustExist: false)
            phase = .filter
        case .target:
            try resolveTarget()
            phase = .filter
        case .filter:
            if let filter {
                guard try filter.run(until: deadline) else { return }
                if filter.outcome.isPartial { outcome.isPartial = true }
                outcome.plan.stages += filter.outcome.plan.stages
                outcome.plan.warnings += filter.outcome.plan.warnings
                outcome.plan.documentsRead += filter.outcome.plan.documentsRead
                outcome.plan.estimate = filter.outcome.total
            }
            phaseStarted = Clock.monotonicNanoseconds()
            phase = .search(partition: 0)
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

    /// Neighbours that each partition is asked for: what may fall away later comes on top.
    var neededCount: Int {
        let wanted = request.count
        return excluded.count + (request.diversity == nil ? wanted : Self.spreadCount(wanted))
    }

    private func search(_ index: Int, until deadline: UInt64) {
        if searches.count == index {
            if index == 0 {
                originals = StoredOriginals(
                    context: context, field: request.field, target: target)
            }
            let count =
                originals == nil
                ? neededCount : VectorGraph.rankedCount(neededCount, width: request.width)
            searches.append(
                NearestSearch(
                    partition: view.partitions[index],
                    query: NearestQuery(
                        field: request.field.number, target: target, count: count,
                        width: request.width, isExact: request.isExact),
                    version: version, match: match(index), pool: context.bitmaps,
                    scratch: context.nearestScratch))
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
            "search", Set(searches.map(\.method.rawValue)).sorted().joined(separator: ", "),
            rows: searches.reduce(compared.count) { $0 + $1.hits.count })
        phase = originals == nil ? .rank : .originals(from: 0)
    }

    private func match(_ index: Int) -> NearestSearch.Match {
        guard let filter, !filter.matchesAll[index] else { return .all }
        return .rows(filter.matches[index])
    }

    // MARK: - Rank

    private struct Candidate {
        var partition: Int
        var slot: Slot
        var distance: Float
    }

    /// Runs `body` with all partitions locked for reading, so that ids and rows can be looked at.
    func withLocks<T>(_ body: () -> T) -> T {
        for partition in view.partitions { partition.lock.lockForReading() }
        defer { for partition in view.partitions { partition.lock.unlock() } }
        return body()
    }

    /// The id's bytes; under ``withLocks(_:)``.
    private func id(_ candidate: Candidate) -> UnsafeRawBufferPointer {
        view.partitions[candidate.partition].id(candidate.slot)
    }

    private func rank() throws(EngineError) {
        var candidates: [Candidate] = []
        candidates.reserveCapacity(searches.reduce(0) { $0 + $1.hits.count })
        for (index, search) in searches.enumerated() {
            outcome.total += search.matchCount
            guard originals == nil else { continue }
            for hit in search.hits {
                candidates.append(
                    Candidate(partition: index, slot: hit.slot, distance: hit.distance))
            }
        }
        for item in found + compared {
            candidates.append(
                Candidate(partition: item.partition, slot: item.slot, distance: item.distance))
        }
        outcome.isExact = searches.allSatisfy(\.isExact) && !outcome.isPartial
        withLocks {
            candidates.sort {
                $0.distance != $1.distance
                    ? $0.distance < $1.distance : id($0).lexicographicallyPrecedes(id($1))
            }
            drop(&candidates)
        }
        guard let diversity = request.diversity, !outcome.isPartial else {
            return answer(candidates.prefix(request.count))
        }
        self.candidates = Array(candidates.prefix(Self.spreadCount(request.count)))
        spread = try makeSpread(diversity)
        phase = .spread
    }

    private func finishSpread() {
        let chosen = spread?.chosen ?? []
        answer(chosen.map { candidates[$0] }[...])
    }

    private func answer(_ chosen: ArraySlice<Candidate>) {
        outcome.hits = withLocks { chosen.map { hit($0) } }
        offerForRecall()
        note("rank", request.diversity == nil ? "by score" : "spread out", rows: outcome.hits.count)
        phase = .finished
    }

    /// Drops the candidates that are no hits.
    private func drop(_ candidates: inout [Candidate]) {
        if !excluded.isEmpty {
            let gone = Set(excluded)
            candidates.removeAll { gone.contains([UInt8](id($0))) }
        }
        if let least = request.scoreMin {
            candidates.removeAll { score($0.distance).score < least }
        }
    }

    private func hit(_ candidate: Candidate) -> SimilarHit {
        let (score, distance) = score(candidate.distance)
        return SimilarHit(
            key: view.partitions[candidate.partition].key(candidate.slot),
            id: [UInt8](id(candidate)), score: score, distance: distance)
    }

    /// Lets one lookup in so many be measured later, with the vector that it came to.
    private func offerForRecall() {
        if isMeasured || request.isExact || outcome.isPartial { return }
        context.nearnessCount &+= 1
        guard context.nearnessCount % RecallMonitor.every == 1 else { return }
        var request = request
        request.target = .vector(target)
        request.excluded = []
        request.scoreMin = nil
        request.diversity = nil
        context.shared.recall.offer(request)
    }

    /// What an index's distance means to a client.
    private func score(_ distance: Float) -> (score: Double, distance: Double?) {
        switch request.field.type {
        case .vector(let options):
            switch options.metric {
            // Rounding may lead a little beyond the bounds.
            case .cosine: return (min(max(1 - Double(distance), -1), 1), nil)
            case .ip: return (0 - Double(distance), nil)
            case .l2:
                let root = Double(max(0, distance)).squareRoot()
                return (1 / (1 + root), root)
            }
        default: preconditionFailure("a vector field")
        }
    }

    /// Candidates that a number of spread-out hits is chosen from.
    private static func spreadCount(_ count: Int) -> Int { max(4 * count, 64) }

    private func makeSpread(_ diversity: Double) throws(EngineError) -> Spread? {
        guard case .vector(let options) = request.field.type else { return nil }
        // The locks are held for one vector at a time: there may be thousands.
        var vectors: [[Float]] = []
        vectors.reserveCapacity(candidates.count)
        for candidate in candidates {
            vectors.append(
                try vector(view.partitions[candidate.partition], of: candidate.slot) ?? [])
        }
        return Spread(
            scores: candidates.map { score($0.distance).score }, vectors: vectors, options,
            diversity: diversity, count: request.count)
    }
}
