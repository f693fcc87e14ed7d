import Partition
package import Primitives

/// The matches themselves, for exports and removals. Only until ``FindExecution/finish()``.
extension FindExecution {
    /// Whether the collection has been dropped since: its entries may be gone.
    package var collectionIsGone: Bool { context.catalog.byID[request.view.id] == nil }

    /// Up to `limit` matches from a place on; moves the place on. Empty at the end.
    ///
    /// Partition by partition, in the order of their rows.
    package func matchingRows(
        partition index: inout Int, from slot: inout Slot, limit: Int
    ) -> [LogKey] {
        if request.keepsHistoryKeys, request.version.map({ $0 != version }) ?? false {
            let start = min(Int(slot), historyKeys.count)
            let end = min(historyKeys.count, start + limit)
            slot = Slot(end)
            return Array(historyKeys[start..<end])
        }
        var keys: [LogKey] = []
        while keys.count < limit, index < matches.count {
            let partition = partitions[index]
            partition.lock.lockForReading()
            while keys.count < limit, let next = matches[index].first(from: slot) {
                keys.append(partition.key(next))
                slot = next + 1
            }
            partition.lock.unlock()
            if keys.count < limit {
                index += 1
                slot = 0
            }
        }
        return keys
    }

    /// Whether ``matchingRows(partition:from:limit:)`` would give any.
    package func hasMatchingRows(partition: Int, from slot: Slot) -> Bool {
        var index = partition
        var place = slot
        return !matchingRows(partition: &index, from: &place, limit: 1).isEmpty
    }

    /// The ids of up to `limit` matches.
    package func matchingIDs(limit: Int) -> [[UInt8]] {
        var ids: [[UInt8]] = []
        for (index, bitmap) in matches.enumerated() {
            let partition = partitions[index]
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            bitmap.forEach { slot in
                if ids.count < limit { ids.append([UInt8](partition.id(slot))) }
            }
        }
        return ids
    }
}
