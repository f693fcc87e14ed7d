import Partition
import Primitives

/// Rows of several partitions in the order of distance and id.
enum PlaceRanking {
    struct Row: BitwiseCopyable {
        var chord2: Double
        var partition: Int32
        var slot: Slot
    }

    /// The first `count` hits of all searches in their order, and all that are as far as the last.
    ///
    /// Ids are looked at only where distances are equal, which they seldom are.
    /// REQUIRES: the searches are finished, the partitions are locked for reading.
    /// - Complexity: O(count · searches) and the sorting of equals.
    static func rows(
        _ searches: [PlaceSearch], _ partitions: [CollectionPartition], count: Int
    ) -> [Row] {
        let lists = searches.map(\.hits)
        var sum = 0
        for list in lists { sum += list.count }
        var rows: [Row] = []
        rows.reserveCapacity(min(sum, count))
        withUnsafeTemporaryAllocation(of: Int.self, capacity: lists.count) { next in
            next.initialize(repeating: 0)
            while rows.count < sum {
                var best = 0
                var nearest = Double.infinity
                for index in 0..<lists.count where next[index] < lists[index].count {
                    let chord2 = lists[index][next[index]].chord2
                    if chord2 < nearest { (best, nearest) = (index, chord2) }
                }
                if rows.count >= count, rows[rows.count - 1].chord2 < nearest { break }
                rows.append(
                    Row(
                        chord2: nearest, partition: Int32(truncatingIfNeeded: best),
                        slot: lists[best][next[best]].slot))
                next[best] += 1
            }
        }
        orderEquals(&rows, partitions)
        return rows
    }

    private static func orderEquals(_ rows: inout [Row], _ partitions: [CollectionPartition]) {
        var start = 0
        while start + 1 < rows.count {
            var end = start + 1
            while end < rows.count, rows[end].chord2 == rows[start].chord2 { end += 1 }
            if end - start > 1 {
                rows[start..<end].sort {
                    compareBytes(
                        partitions[Int($0.partition)].id($0.slot),
                        partitions[Int($1.partition)].id($1.slot)) < 0
                }
            }
            start = end
        }
    }
}

extension [CollectionPartition] {
    /// Takes the reader lock of each.
    func lockForReading() { for partition in self { partition.lock.lockForReading() } }

    func unlock() { for partition in self { partition.lock.unlock() } }
}
