import GeoIndex
import HoursIndex
import Partition
import Primitives
import Query
import Schema

/// What a lookup asks of the nearest rows only, and those that have passed.
struct NearbyCheck {
    /// Whether documents may be left to be asked here: nothing has to be counted.
    let mayReadDocuments: Bool
    /// Whether documents decide.
    var readsDocuments = false
    /// Whether opening hours are asked row by row.
    var asksHours: Bool
    /// Hits that a first round looks at.
    let countAtFirst: Int
    /// The row behind which the next round goes on.
    var after: PlaceAfter?
    /// Rows that passed, nearest first.
    var passed: [PlaceRanking.Row] = []
    /// Rows of this round, those that are closed without a partition; how many have been asked,
    /// and the last.
    var round: [PlaceRanking.Row] = []
    var askedCount = 0
    var lastRow: PlaceRanking.Row?
    var roundCount = 0

    /// More hits than that are better found among all that is open.
    private static let hoursLimitMax = 100
    /// Rounds without enough that is open, after which all rows are asked in one go.
    static let hoursRoundsMax = 4
    /// Hits of one partition and round.
    static let countMax = 8_192
    /// Documents that are read in one go.
    static let batch = 64

    var isNeeded: Bool { readsDocuments || asksHours }

    init(_ request: NearbyRequest) {
        // With a radius all matches are counted, and on an ellipsoid the nearest are not known yet.
        let countsNothing = request.radiusMeters == nil && request.target.earth == .sphere
        mayReadDocuments = countsNothing && request.filter != nil
        asksHours =
            countsNothing && request.opening != nil && request.stock == nil
            && request.limit <= Self.hoursLimitMax
        countAtFirst = 2 * request.limit + 16
    }

    /// Begins a round with the rows that a search has found.
    mutating func begin(_ rows: [PlaceRanking.Row]) {
        round = rows
        lastRow = rows.last
        askedCount = 0
        roundCount += 1
    }
}

extension NearbyExecution {
    /// Asks the next of the nearest rows; goes on searching behind them where they are too few.
    func checkNearest() throws(EngineError) {
        if check.round.isEmpty {
            view.partitions.lockForReading()
            var rows = PlaceRanking.rows(searches, view.partitions, count: asked)
            view.partitions.unlock()
            if rows.count > asked { rows.removeLast(rows.count - asked) }
            check.begin(rows)
            if check.asksHours { try keepOpen() }
        }
        let end = min(check.round.count, check.askedCount + NearbyCheck.batch)
        if check.readsDocuments, let filter {
            for row in check.round[check.askedCount..<end] where row.partition >= 0 {
                if check.passed.count > request.limit { break }
                guard !filter.isExact[Int(row.partition)] else {
                    check.passed.append(row)
                    continue
                }
                outcome.plan.documentsRead += 1
                if try filter.match(key(of: row)) { check.passed.append(row) }
            }
        } else {
            for row in check.round[check.askedCount..<end] where row.partition >= 0 {
                check.passed.append(row)
            }
        }
        check.askedCount = end
        if check.passed.count > request.limit { return finishCheck() }
        if end == check.round.count { try nextRound() }
    }

    private func key(of row: PlaceRanking.Row) -> LogKey {
        let partition = view.partitions[Int(row.partition)]
        partition.lock.lockForReading()
        defer { partition.lock.unlock() }
        return partition.key(row.slot)
    }

    private func nextRound() throws(EngineError) {
        guard check.round.count == asked, let last = check.lastRow else { return finishCheck() }
        if check.asksHours, check.roundCount >= NearbyCheck.hoursRoundsMax {
            // Little is open: better to know of all rows.
            check.asksHours = false
            check.after = nil
            check.passed = []
            asked = check.isNeeded ? check.countAtFirst : request.limit + 1
            phase = .narrow(partition: 0)
        } else {
            let partition = view.partitions[Int(last.partition)]
            partition.lock.lockForReading()
            check.after = PlaceAfter(
                chord2: last.chord2, id: [UInt8](partition.id(last.slot)))
            partition.lock.unlock()
            asked = min(asked * 2, NearbyCheck.countMax)
            phase = .search(partition: 0)
        }
        check.round = []
        searches = []
    }

    private func finishCheck() {
        note(
            "check", check.readsDocuments ? "documents of the nearest" : "hours of the nearest",
            rows: check.passed.count)
        phase = .rank
    }

    /// Marks the rows of the round that are closed.
    private func keepOpen() throws(EngineError) {
        guard let opening = request.opening else { return }
        for (index, partition) in view.partitions.enumerated() {
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            guard let hours = partition.hoursField(opening.field.number) else {
                throw hoursAreNotReady
            }
            context.hoursMoment.set(milliseconds: opening.milliseconds, for: hours.table)
            for place in check.round.indices where check.round[place].partition == index {
                let slot = check.round[place].slot
                if !hours.table.isOpen(slot, context.hoursMoment) {
                    check.round[place].partition = -1
                }
            }
        }
    }
}
