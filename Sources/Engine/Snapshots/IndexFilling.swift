import DocumentStore
import Documents
import Partition
import Primitives
import Schema

/// Fills indexes that a snapshot could not give from the documents, before anybody asks for them:
/// the columns of unique fields, and hours. Lookups do without the others until ``RebuildJob`` has
/// made them.
struct IndexFilling {
    let store: LogStore
    let limits: Limits

    /// Rows that are read in one transaction.
    private static let slice = 256

    /// - Throws: what the store says.
    func run(
        _ work: [(view: CollectionView, partition: Int, fields: [FieldNumber])], threadCount: Int
    ) throws(StoreError) {
        let failure = Guarded<StoreError?>(nil)
        Workers.forEach(work.count, threadCount: threadCount) { index in
            do throws(StoreError) {
                try fill(work[index].view, work[index].partition, work[index].fields)
            } catch {
                failure.withLock { $0 = error }
            }
        }
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    private func fill(
        _ view: CollectionView, _ index: Int, _ fields: [FieldNumber]
    ) throws(StoreError) {
        let partition = view.partitions[index]
        let reader = try store.makeReader()
        let (parser, preparer) = (JSONParser(), DocumentPreparer())
        var slot: Slot = 0
        while true {
            let rows = partition.liveRows(from: &slot, after: .zero, limit: Self.slice)
            if rows.isEmpty { break }
            try reader.begin()
            defer { reader.end() }
            for row in rows {
                guard let entry = try reader.get(row.key) else {
                    throw .corrupt(.entry(row.key))
                }
                let prepared: PreparedDocument
                do throws(JSONError) {
                    let root = try parser.parse(
                        entry.document, depthMax: limits.documentDepthMax + 1)
                    prepared = preparer.extract(
                        from: root, minified: parser.minified, schema: view.schema)
                } catch {
                    throw .corrupt(.entry(row.key))
                }
                for field in fields { partition.fill(row.slot, from: prepared, only: field) }
                // Places are left to the job, whose cutting into cells nobody should wait for.
                partition.backfill(row.slot, key: row.key, [PlaceArrival](), from: prepared)
            }
        }
        for field in fields {
            partition.markReady(field)
            partition.markHoursReady(field)
        }
    }
}
