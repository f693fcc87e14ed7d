import DocumentStore
import Partition
import Primitives
import Schema

/// What the committer keeps beside the partitions, kept up while they are built from the log: so
/// that they can be swapped in without going through all documents once more.
// SAFETY of `@unchecked Sendable`: used by the thread of the job that builds, which waits while it
// lets the committer add the rest and take it over.
final class ReplayTables: @unchecked Sendable {
    private(set) var uniques: [UInt32: [FieldNumber: UniqueTable]] = [:]
    private(set) var expiries = ExpiryQueue()
    /// Tombstones that may have been trimmed since they were read: document numbers by collection
    /// and partition.
    private(set) var tombstones: [(collection: UInt32, partition: Int, number: UInt32)] = []

    /// Allocated bytes.
    var byteCount: Int {
        uniques.values.reduce(expiries.byteCount + tombstones.capacity * 16) { sum, tables in
            tables.values.reduce(sum) { $0 + $1.byteCount }
        }
    }

    func insert(_ expiry: ExpiryQueue.Item) { expiries.insert(expiry) }

    /// A document is about to be replaced or removed. Complexity: O(unique fields).
    func release(
        _ view: CollectionView, _ index: Int, hash: UInt64, id: UnsafeRawBufferPointer
    ) {
        guard let (number, slot) = row(view, index, hash: hash, id: id) else { return }
        let holder = UniqueTable.Holder(partition: index, number: number)
        for field in view.trackedUniques {
            guard let value = view.partitions[index].uniqueHash(field: field, slot: slot) else {
                continue
            }
            uniques[view.id]?[field]?.remove(view.uniqueKey(field, value).key, holder)
        }
    }

    /// A document has been applied. Complexity: O(unique fields).
    func hold(_ view: CollectionView, _ index: Int, hash: UInt64, id: UnsafeRawBufferPointer) {
        guard let (number, slot) = row(view, index, hash: hash, id: id) else { return }
        let holder = UniqueTable.Holder(partition: index, number: number)
        for field in view.trackedUniques {
            guard let value = view.partitions[index].uniqueHash(field: field, slot: slot) else {
                continue
            }
            uniques[view.id, default: [:]][field, default: UniqueTable()].add(
                view.uniqueKey(field, value).key, holder)
        }
    }

    private func row(
        _ view: CollectionView, _ index: Int, hash: UInt64, id: UnsafeRawBufferPointer
    ) -> (number: UInt32, slot: Slot)? {
        if view.trackedUniques.isEmpty { return nil }
        let heads = view.partitions[index].heads
        guard let number = heads.number(hash: hash, id: id), heads.slot(number) != Heads.noSlot
        else { return nil }
        return (number, heads.slot(number))
    }

    /// Notes the tombstones up to `version`: later ones are protected by a pin. REQUIRES: nobody
    /// else sees the partitions.
    func noteTombstones(of catalog: Catalog, upTo version: Version) {
        tombstones = []
        for view in catalog.collections.values {
            for (index, partition) in view.partitions.enumerated() {
                let heads = partition.heads
                for number in 0..<UInt32(heads.numberBound)
                where heads.key(number) != .none && heads.slot(number) == Heads.noSlot
                    && heads.key(number).version <= version
                {
                    tombstones.append((view.id, index, number))
                }
            }
        }
    }
}
