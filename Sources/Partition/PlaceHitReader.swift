package import GeoIndex
package import Primitives
package import Schema

/// What a reply says of one near row.
package struct PlaceHitView: BitwiseCopyable {
    package var partition: Int32
    package var slot: Slot
    /// Where the id is; valid while the partition is locked.
    package var id = UnsafeRawBufferPointer(start: nil, count: 0)
    package var key = LogKey.none.rawValue
    /// Of the id: read so that its text is in the cache when it is copied.
    var firstByte: UInt8 = 0
    /// To the row's nearest point, in radians.
    package var angle = 0.0

    package init(partition: Int32, slot: Slot) {
        self.partition = partition
        self.slot = slot
    }
}

extension CollectionPartition {
    /// Reads the ids and distances of those hits that are in this partition, and with `wantsKeys`
    /// where their documents are.
    ///
    /// What is read of each lies scattered over large tables: one thing of all rows at a time, so
    /// that the processor waits for many places of memory at once; and one partition at a time, for
    /// counting a reference that other threads count too costs as much as reading a row.
    /// REQUIRES: the lock is held for reading; each slot is a row with a point.
    package func read(
        _ hits: UnsafeMutableBufferPointer<PlaceHitView>, of partition: Int32,
        field: FieldNumber, to center: SpherePoint, wantsKeys: Bool
    ) {
        let (rows, heads) = (rows, heads)
        for place in 0..<hits.count where hits[place].partition == partition {
            // For now the number stands where the key will.
            hits[place].key = UInt64(rows.number(hits[place].slot))
        }
        for place in 0..<hits.count where hits[place].partition == partition {
            hits[place].id = heads.id(UInt32(truncatingIfNeeded: hits[place].key))
        }
        for place in 0..<hits.count where hits[place].partition == partition {
            hits[place].firstByte = hits[place].id.first ?? 0
        }
        let points = placeField(field)?.points
        for place in 0..<hits.count where hits[place].partition == partition {
            let slot = hits[place].slot
            hits[place].key = wantsKeys ? rows.key(slot).rawValue : LogKey.none.rawValue
            hits[place].angle = points?.angle(of: slot, to: center) ?? 0
        }
    }
}
