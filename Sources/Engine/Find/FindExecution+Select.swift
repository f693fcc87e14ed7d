import Documents
import Partition
import Primitives
import Query
import Schema

/// Choosing the page from columns: candidates of every partition, the window between two ranks,
/// the full order within it.
extension FindExecution {
    func selectPage(_ levels: [OrderLevel]) {
        let partitions = partitions
        for partition in partitions { partition.lock.lockForReading() }
        defer { for partition in partitions { partition.lock.unlock() } }
        let after = request.after.map { OrderPlan.values(of: $0, levels: levels) }
        if let window = readOff(levels, partitions, after: after) {
            isReadOff = true
            give(window, levels, partitions)
            return
        }
        let start = PageStart.find(self, partitions, levels)
        var candidates: [Candidate] = []
        for (index, partition) in partitions.enumerated() {
            let scratch = context.bitmaps.borrow(capacity: partition.slotBound)
            defer { context.bitmaps.giveBack(scratch) }
            let visible =
                matchesAll[index]
                ? partition.visible(at: version, scratch: scratch) : matches[index]
            var collector = CandidateCollector(
                partition: partition, index: index, levels: levels,
                count: request.skip - start.passed + request.limit + 1, pool: context.bitmaps)
            collector.collect(
                match: matchesAll[index] ? nil : matches[index], visible: visible, after: after,
                from: start.key)
            if candidates.isEmpty {
                candidates = collector.found
            } else {
                candidates += collector.found
            }
        }
        if case .id(let descending) = levels[0] {
            CollectionPartition.alignIDKeys(&candidates, partitions, descending: descending)
        }
        let window = PageWindow.rows(
            &candidates, from: request.skip - start.passed, count: request.limit + 1, partitions,
            levels)
        give(window, levels, partitions)
    }

    /// The page, where the partitions keep their rows in its order and it is not far to go.
    ///
    /// An order that is not there is asked for: the next lookups find it.
    private func readOff(
        _ levels: [OrderLevel], _ partitions: [CollectionPartition], after: [OrderValue]?
    ) -> [Candidate]? {
        let rowCount = partitions.reduce(0) { $0 + $1.slotBound }
        guard rowCount >= context.shared.options.orderedRowCountMin,
            let page = OrderedPage.Request(
                levels, filter: request.filter, after: after, skip: request.skip,
                count: request.limit + 1)
        else { return nil }
        let rows = OrderedPage.rows(
            page, partitions, matches: matches, counts: counts, pool: context.bitmaps)
        if rows == nil, partitions.contains(where: { $0.hasMissedOrder(page.field) }) {
            context.shared.builderBell.ring()
        }
        return rows
    }

    /// Makes the window's rows the hits, and the last one the place of the next page if there is
    /// one.
    private func give(
        _ window: [Candidate], _ levels: [OrderLevel], _ partitions: [CollectionPartition]
    ) {
        outcome.hits.reserveCapacity(min(window.count, request.limit))
        for row in window.prefix(request.limit) {
            let partition = partitions[Int(row.partition)]
            outcome.hits.append(
                FindHit(key: partition.key(row.slot), id: [UInt8](partition.id(row.slot))))
        }
        guard window.count > request.limit, let hit = outcome.hits.last else { return }
        let last = window[request.limit - 1]
        let partition = partitions[Int(last.partition)]
        // One key for each of SORT: a sort by id has its own, the tie-break has none.
        let keys = levels.prefix(request.sort?.keys.count ?? 0).map {
            partition.orderValue($0, last.slot).sortKey
        }
        outcome.next = CursorPlace(keys: keys, id: hit.id)
    }
}

/// Where a deep page may begin to look, so that the rows before it are counted and not collected.
struct PageStart {
    /// The first key to collect; nil for the beginning.
    var key: Int64?
    /// Rows that come before that key.
    var passed: Int

    private static let beginning = PageStart(key: nil, passed: 0)
    /// Below this many skipped rows counting does not pay.
    private static let skipMin = 256

    /// A key at or before the page's first row, from the columns' live counts, and exactly how many
    /// matches come before it.
    static func find(
        _ execution: FindExecution, _ partitions: [CollectionPartition], _ levels: [OrderLevel]
    ) -> PageStart {
        let request = execution.request
        guard request.skip >= skipMin, request.after == nil, let first = levels.first else {
            return beginning
        }
        var matching = 0
        var live = 0
        for (index, partition) in partitions.enumerated() {
            matching += execution.counts[index]
            live += partition.documentCount
        }
        guard matching > request.skip, live > 0 else { return beginning }
        // A little less than the page's share of all live rows; checked by counting.
        let rank = Double(request.skip) * Double(live) / Double(matching)
        let share = Int(rank * 0.97) / partitions.count
        var key: Int64?
        for partition in partitions {
            guard let cut = partition.cut(first, rank: share) else { return beginning }
            key = key.map { first.isDescending ? max($0, cut) : min($0, cut) } ?? cut
        }
        guard let key else { return beginning }
        var passed = 0
        for (index, partition) in partitions.enumerated() {
            guard
                let count = partition.countBefore(
                    first, key: key, match: execution.matches[index],
                    scratch: execution.context.bitmaps)
            else { return beginning }
            passed += count
        }
        return passed <= request.skip ? PageStart(key: key, passed: passed) : beginning
    }
}
