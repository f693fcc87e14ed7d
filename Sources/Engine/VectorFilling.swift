import DocumentStore
import Documents
import Partition
import Primitives
import Schema

/// Brings the vectors of live rows into indexes that are not used yet; writes bring their own.
struct VectorFilling {
    let fields: [FieldNumber]
    let schema: Schema

    /// Rows that are read in one slice.
    private static let slice = 128

    /// - Throws: what the store says, `CANCELLED`.
    func run(_ view: CollectionView, _ context: JobContext) throws {
        let total = view.documentCount
        var seen = 0
        for partition in view.partitions {
            var slot: Slot = 0
            while true {
                let rows = partition.liveRows(from: &slot, after: .zero, limit: Self.slice)
                if rows.isEmpty { break }
                let found = try vectors(of: rows, context)
                partition.lock.lockForWriting()
                for row in found { partition.backfill(row.slot, key: row.key, row.arrivals) }
                partition.lock.unlock()
                context.engine.wakeBuilders()
                seen += rows.count
                context.progress(min(seen, total), of: total)
                try context.checkpoint()
            }
        }
    }

    private func vectors(
        of rows: [(slot: Slot, key: LogKey)], _ context: JobContext
    ) throws -> [(slot: Slot, key: LogKey, arrivals: [VectorArrival])] {
        // Nothing that is live now is trimmed before it is read.
        let version = context.read.pins.acquire()
        defer { context.read.pins.release(version) }
        let preparer = DocumentPreparer()
        let depth = context.engine.shared.options.limits.documentDepthMax + 1
        var found: [(slot: Slot, key: LogKey, arrivals: [VectorArrival])] = []
        for row in rows {
            var references: [VectorReference] = []
            var arrivals: [VectorArrival] = []
            let isThere: Bool? = try context.read.withEntryIfThere(row.key) { entry in
                references = entry.vectors.filter { fields.contains($0.field) }
                guard let root = try? context.read.parser.parse(entry.document, depthMax: depth)
                else { return true }
                // Members that were there before the field was declared.
                let document = preparer.extract(
                    from: root, minified: context.read.parser.minified, schema: schema)
                arrivals = document.vectors.filter { fields.contains($0.field) }.map {
                    VectorArrival(field: $0.field, source: row.key, values: $0.values)
                }
                return true
            }
            // Replaced and trimmed since it was listed.
            if isThere == nil { continue }
            for reference in references {
                guard let values = try? context.read.vector(reference) else { continue }
                arrivals.append(
                    VectorArrival(
                        field: reference.field, source: reference.key, values: values))
            }
            if !arrivals.isEmpty { found.append((row.slot, row.key, arrivals)) }
        }
        context.read.endTransaction()
        return found
    }
}
