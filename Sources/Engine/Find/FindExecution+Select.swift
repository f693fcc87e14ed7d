import Documents
import Partition
import Primitives
import Query
import Schema

/// Choosing the page from columns: candidates of every partition, the window between two ranks,
/// the full order within it.
extension FindExecution {
    func selectPage(_ levels: [OrderLevel]) {
        let need = request.skip + request.limit + 1
        for partition in partitions { partition.lock.lockForReading() }
        defer { for partition in partitions { partition.lock.unlock() } }
        let after = request.after.map { OrderPlan.values(of: $0, levels: levels) }
        var candidates: [Candidate] = []
        for (index, partition) in partitions.enumerated() {
            let scratch = context.bitmaps.borrow(capacity: partition.slotBound)
            defer { context.bitmaps.giveBack(scratch) }
            let visible =
                matchesAll[index]
                ? partition.visible(at: version, scratch: scratch) : matches[index]
            var collector = CandidateCollector(
                partition: partition, index: index, levels: levels, count: need,
                pool: context.bitmaps)
            collector.collect(
                match: matchesAll[index] ? nil : matches[index], visible: visible, after: after)
            if candidates.isEmpty {
                candidates = collector.found
            } else {
                candidates += collector.found
            }
        }
        var window = PageWindow.rows(&candidates, from: request.skip, count: request.limit + 1) {
            CollectionPartition.compare(
                $0.slot, in: partitions[Int($0.partition)], $1.slot,
                in: partitions[Int($1.partition)], by: levels) < 0
        }
        let hasMore = window.count > request.limit
        if hasMore { window.removeLast() }
        outcome.hits = window.map { row in
            let partition = partitions[Int(row.partition)]
            return FindHit(key: partition.key(row.slot), id: [UInt8](partition.id(row.slot)))
        }
        if hasMore, let last = window.last, let hit = outcome.hits.last {
            let partition = partitions[Int(last.partition)]
            // One key for each of SORT: a sort by id has its own, the tie-break has none.
            let keys = levels.prefix(request.sort?.keys.count ?? 0).map {
                partition.orderValue($0, last.slot).sortKey
            }
            outcome.next = CursorPlace(keys: keys, id: hit.id)
        }
    }
}

/// Picks the rows between two ranks out of unordered candidates.
enum PageWindow {
    /// The rows of ranks [from, from + count) in the order that `isBefore` gives.
    ///
    /// Candidates are first cut down by class and key alone, which costs O(candidates); only those
    /// that can lie in the window are ordered in full.
    static func rows(
        _ candidates: inout [Candidate], from start: Int, count: Int,
        isBefore: (Candidate, Candidate) -> Bool
    ) -> [Candidate] {
        guard start < candidates.count else { return [] }
        let end = min(candidates.count, start + count)
        var first = 0
        var last = candidates.count
        if candidates.count > 256 {
            candidates.withUnsafeMutableBufferPointer { rows in
                partition(rows, rank: start)
                let low = rows[start]
                if end < rows.count {
                    partition(
                        UnsafeMutableBufferPointer(rebasing: rows[start...]), rank: end - 1 - start)
                }
                let high = rows[end - 1]
                // Everything that could tie with the window's edges joins it.
                first = gather(rows, upTo: start) { precedes($0, low) }
                last =
                    end
                    + gather(
                        UnsafeMutableBufferPointer(rebasing: rows[end...]), upTo: rows.count - end
                    ) { !precedes(high, $0) }
            }
        }
        let ordered = candidates[first..<last].sorted(by: isBefore)
        return Array(ordered[(start - first)..<(end - first)])
    }

    /// Whether `a` comes before `b` by class and key alone.
    @inline(__always)
    private static func precedes(_ a: Candidate, _ b: Candidate) -> Bool {
        a.key < b.key
    }

    /// Moves the rows of `rows[..<count]` that satisfy `test` to the front.
    ///
    /// - Returns: how many there are.
    private static func gather(
        _ rows: UnsafeMutableBufferPointer<Candidate>, upTo count: Int,
        where test: (Candidate) -> Bool
    ) -> Int {
        var kept = 0
        for position in 0..<count where test(rows[position]) {
            rows.swapAt(position, kept)
            kept += 1
        }
        return kept
    }

    /// Quickselect: afterwards `rows[rank]` holds the row of that rank, smaller ones before it.
    private static func partition(_ rows: UnsafeMutableBufferPointer<Candidate>, rank: Int) {
        var low = 0
        var high = rows.count - 1
        while low < high {
            let middle = low + (high - low) / 2
            let pivot = median(rows[low].key, rows[middle].key, rows[high].key)
            var left = low
            var right = high
            while left <= right {
                while rows[left].key < pivot { left += 1 }
                while rows[right].key > pivot { right -= 1 }
                if left <= right {
                    rows.swapAt(left, right)
                    left += 1
                    right -= 1
                }
            }
            if rank <= right {
                high = right
            } else if rank >= left {
                low = left
            } else {
                return
            }
        }
    }

    private static func median(_ a: Int64, _ b: Int64, _ c: Int64) -> Int64 {
        max(min(a, b), min(max(a, b), c))
    }
}
