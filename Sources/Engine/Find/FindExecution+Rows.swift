import Partition
package import Primitives

/// The matches themselves, for exports and removals. Only until ``FindExecution/finish()``.
extension FindExecution {
    /// Why a match's entry is not there: its collection was dropped, what an older version saw has
    /// been trimmed, or the log is damaged.
    package var reasonForMissing: EngineError {
        context.missing(request.view, request.version ?? version)
    }

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

    /// Appends the ids of matches from `place` on to `ids` until there are `limit` of them or
    /// `deadline` on the monotonic clock has passed.
    ///
    /// Partition by partition, in the order of their rows; a lock is held for 256 of them.
    /// - Returns: whether that was all.
    package func gatherIDs(
        from place: inout RowPlace, into ids: inout [[UInt8]], limit: Int, until deadline: UInt64
    ) -> Bool {
        while ids.count < limit, place.partition < matches.count {
            let partition = partitions[place.partition]
            let bitmap = matches[place.partition]
            let end = min(limit, ids.count + 256)
            var isAtEnd = false
            partition.lock.lockForReading()
            while ids.count < end {
                guard let slot = bitmap.first(from: place.slot) else {
                    isAtEnd = true
                    break
                }
                ids.append([UInt8](partition.id(slot)))
                place.slot = slot + 1
            }
            partition.lock.unlock()
            if isAtEnd { place = RowPlace(partition: place.partition + 1, slot: 0) }
            if Clock.monotonicNanoseconds() >= deadline { break }
        }
        return ids.count >= limit || place.partition >= matches.count
    }
}

/// How far the matches of a lookup have been gone through.
package struct RowPlace: Sendable {
    package var partition: Int
    package var slot: Slot

    /// The first row of all.
    package static let start = RowPlace(partition: 0, slot: 0)
}
