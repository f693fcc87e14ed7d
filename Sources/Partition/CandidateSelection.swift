/// Selection among candidates by their keys alone.
package enum CandidateSelection {
    /// Cuts `rows` down to the `count` first by key, and all that tie with the last of these.
    ///
    /// - Complexity: O(rows).
    package static func keepFirst(_ rows: inout [Candidate], count: Int) {
        guard count > 0, rows.count > count else { return }
        var kept = 0
        rows.withUnsafeMutableBufferPointer { all in
            partition(all, rank: count - 1)
            let last = all[count - 1].key
            for position in 0..<all.count where all[position].key <= last {
                all.swapAt(position, kept)
                kept += 1
            }
        }
        rows.removeLast(rows.count - kept)
    }

    /// Quickselect: afterwards `rows[rank]` holds the row of that rank, smaller ones before it.
    package static func partition(_ rows: UnsafeMutableBufferPointer<Candidate>, rank: Int) {
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
