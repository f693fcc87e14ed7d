package import Primitives

/// A partition that was read from a snapshot and is to go on under other versions.
extension CollectionPartition {
    /// Frees what no read from the version `horizon` on sees, and forgets removed documents: for a
    /// partition that no earlier version is read from.
    package func settleAlone(horizon: Version) {
        reclaim(horizon: horizon, limit: .max)
        for number in 0..<UInt32(heads.numberBound)
        where heads.key(number) != .none && heads.slot(number) == Heads.noSlot {
            heads.remove(number)
        }
    }

    /// Moves every key.
    ///
    /// REQUIRES: `moved` keeps the order of keys. Complexity: O(rows + documents + nodes).
    package func shiftKeys(_ moved: (UInt64) -> UInt64) {
        func shift(_ keys: GrowableBuffer<UInt64>) {
            for index in 0..<keys.count where keys[index] != 0 { keys[index] = moved(keys[index]) }
        }
        shift(rows.born)
        shift(rows.died)
        for index in 0..<rows.births.count {
            rows.births[index].key = moved(rows.births[index].key)
        }
        if rows.lastChange != 0 { rows.lastChange = moved(rows.lastChange) }
        shift(heads.keys)
        for field in vectorFields { shift(field.sources) }
    }
}
