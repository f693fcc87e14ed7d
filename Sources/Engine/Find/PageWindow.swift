import Partition
import Primitives

/// Picks the rows between two ranks out of unordered candidates.
enum PageWindow {
    /// The rows of ranks [from, from + count) in the order of `levels`.
    ///
    /// Candidates are first cut down by their keys alone, which costs O(candidates); only those
    /// that can lie in the window are ordered in full. The partitions' reader locks are held.
    static func rows(
        _ candidates: inout [Candidate], from start: Int, count: Int,
        _ partitions: [CollectionPartition], _ levels: [OrderLevel]
    ) -> [Candidate] {
        guard start < candidates.count else { return [] }
        let end = min(candidates.count, start + count)
        var first = 0
        var last = candidates.count
        if candidates.count > 64 {
            candidates.withUnsafeMutableBufferPointer { rows in
                CandidateSelection.partition(rows, rank: start)
                let low = rows[start].key
                CandidateSelection.partition(
                    UnsafeMutableBufferPointer(rebasing: rows[start...]), rank: end - 1 - start)
                let high = rows[end - 1].key
                // Everything that could tie with the window's edges joins it.
                first = gather(rows, upTo: start) { $0.key < low }
                last =
                    end
                    + gather(
                        UnsafeMutableBufferPointer(rebasing: rows[end...]), upTo: rows.count - end
                    ) { $0.key <= high }
            }
        }
        var ordered = Array(candidates[first..<last])
        sort(&ordered, partitions, levels)
        return Array(ordered[(start - first)..<(end - first)])
    }

    private static func sort(
        _ rows: inout [Candidate], _ partitions: [CollectionPartition], _ levels: [OrderLevel]
    ) {
        guard CollectionPartition.orderIsKeyAndID(levels, partitions) else {
            rows.sort {
                if $0.key != $1.key { return $0.key < $1.key }
                return CollectionPartition.compare(
                    $0.slot, in: partitions[Int($0.partition)], $1.slot,
                    in: partitions[Int($1.partition)], by: levels) < 0
            }
            return
        }
        // The common case. Rows of one value alone need no look at their ids; of equal values there
        // may be thousands.
        rows.sort { $0.key < $1.key }
        let shared = CollectionPartition.sharedIDPrefixCount(partitions)
        var start = 0
        while start < rows.count {
            var end = start + 1
            while end < rows.count, rows[end].key == rows[start].key { end += 1 }
            if end - start > 1 { sortTies(&rows[start..<end], shared, partitions, levels) }
            start = end
        }
    }

    /// Orders rows of one key. Each row's id is looked up once, and compared by the eight bytes in
    /// which ids first differ.
    private static func sortTies(
        _ rows: inout ArraySlice<Candidate>, _ shared: Int, _ partitions: [CollectionPartition],
        _ levels: [OrderLevel]
    ) {
        guard let key = rows.first?.key, key != .min, key != .max else {
            // A missing value has the key of the end at which it stands, as a value may have.
            rows.sort {
                CollectionPartition.compare(
                    $0.slot, in: partitions[Int($0.partition)], $1.slot,
                    in: partitions[Int($1.partition)], by: levels) < 0
            }
            return
        }
        let isDescending = if case .id(let descending)? = levels.last { descending } else { false }
        var keyed = rows.map { row in
            let id = partitions[Int(row.partition)].id(row.slot)
            return KeyedRow(row: row, id: id, idKey: CollectionPartition.idKey(id, from: shared))
        }
        keyed.sort {
            if $0.idKey != $1.idKey { return ($0.idKey < $1.idKey) != isDescending }
            let order = compareBytes($0.id, $1.id)
            return isDescending ? order > 0 : order < 0
        }
        for (place, row) in zip(rows.indices, keyed) { rows[place] = row.row }
    }

    /// A row with its id, borrowed under the reader lock, and what of it is compared first.
    private struct KeyedRow {
        var row: Candidate
        var id: UnsafeRawBufferPointer
        var idKey: Int64
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
}
