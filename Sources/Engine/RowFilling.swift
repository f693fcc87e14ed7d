import DocumentStore
import Documents
import Partition
import Primitives
import Schema

/// Brings what documents hold into columns, and into indexes of places and hours, that are not used
/// yet; writes bring their own.
struct RowFilling {
    /// Fields whose columns are filled.
    let columns: [FieldNumber]
    /// Whether the indexes of places and hours that are not used yet are filled.
    let bringsPlaces: Bool
    let schema: Schema
    /// Where set, the filling ends as soon as the collection's schema is of another generation: its
    /// columns may be others then.
    var schemaGeneration: UInt64?

    /// Rows that are read in one slice.
    private static let slice = 128

    private struct Row {
        var slot: Slot
        var key: LogKey
        var document: PreparedDocument
        var places: [PlaceArrival]
    }

    /// - Parameter canPause: whether the job may be paused and cancelled meanwhile.
    /// - Throws: what the store says, `CANCELLED`; `BUSY` where the schema changes.
    func run(_ view: CollectionView, _ context: JobContext, canPause: Bool = true) throws {
        if columns.isEmpty, !bringsPlaces { return }
        var version = context.read.pins.acquire()
        defer { context.read.pins.release(version) }
        let total = view.partitions.reduce(0) { $0 + $1.slotBound }
        var seen = 0
        for partition in view.partitions {
            partition.lock.lockForReading()
            let targets = columns.compactMap { number in
                partition.readyColumn(number) == nil ? partition.column(number) : nil
            }
            let waitsForPlaces = bringsPlaces && partition.hasUnreadyPlaces
            partition.lock.unlock()
            if targets.isEmpty, !waitsForPlaces { continue }
            var slot: Slot = 0
            while true {
                try requireCurrent(view, context)
                let rows = partition.allRows(from: &slot, since: version, limit: Self.slice)
                if rows.isEmpty { break }
                let found = try extract(rows, context)
                try fill(partition, targets, found, of: view, context)
                seen += rows.count
                context.progress(min(seen, total), of: total)
                // After a pause a newer version is pinned: rows that it does not see are seen by
                // no lookup that begins once the columns are used.
                if canPause { try context.checkpoint(pinning: &version) }
                if context.isStopping {
                    throw EngineError(.cancelled, view.name, "the server stops")
                }
            }
        }
    }

    /// Whether it is still these partitions that are to be filled, and by this schema.
    private func requireCurrent(
        _ view: CollectionView, _ context: JobContext
    ) throws(EngineError) {
        guard let schemaGeneration else { return }
        let current = context.engine.shared.catalog.byID[view.id]
        guard let current, current.schemaGeneration == schemaGeneration,
            current.partitions[0] === view.partitions[0]
        else { throw .schemaChanged(view.name) }
    }

    private func fill(
        _ partition: CollectionPartition, _ columns: [FieldColumn], _ found: [Row],
        of view: CollectionView, _ context: JobContext
    ) throws(EngineError) {
        partition.lock.lockForWriting()
        defer { partition.lock.unlock() }
        try requireCurrent(view, context)
        for row in found where partition.key(row.slot) == row.key {
            // A change may have put another column in one's place just now.
            for column in columns where partition.column(column.field.number) === column {
                partition.fill(row.slot, from: row.document, only: column.field.number)
            }
            if bringsPlaces {
                partition.backfill(row.slot, key: row.key, row.places, from: row.document)
            }
        }
    }

    private func extract(
        _ rows: [(slot: Slot, key: LogKey)], _ context: JobContext
    ) throws -> [Row] {
        let preparer = DocumentPreparer()
        let depth = context.engine.shared.options.limits.documentDepthMax + 1
        var found: [Row] = []
        for row in rows {
            let document: PreparedDocument? = try context.read.withStoredEntry(row.key) { entry in
                guard let root = try? context.read.parser.parse(entry.document, depthMax: depth)
                else { return nil }
                return preparer.extract(
                    from: root, minified: context.read.parser.minified, schema: schema)
            }
            guard let document else { continue }
            found.append(
                Row(
                    slot: row.slot, key: row.key, document: document,
                    places: bringsPlaces ? PlaceArrival.all(of: document) : []))
        }
        context.read.endTransaction()
        return found
    }
}
