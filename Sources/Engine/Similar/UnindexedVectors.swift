import DocumentStore
import Documents
import Partition
import Primitives
import Schema

/// Compares a target with the stored vectors of documents, whose first index is being built.
///
/// Slower than any index: two look-ups in the store for each document. Not Sendable: runs on the
/// thread of its context.
final class UnindexedVectors {
    private let context: ReadContext
    private let field: Field
    private let options: VectorOptions
    private let view: CollectionView
    private let preparer = DocumentPreparer()
    private var ranker: OriginalsRanker?
    private var partition = 0
    private var slot: Slot = 0
    /// Documents with a vector that were compared.
    private(set) var matchCount = 0

    private static let batch = 64

    init(
        _ context: ReadContext, _ field: Field, _ options: VectorOptions, _ view: CollectionView
    ) {
        self.context = context
        self.field = field
        self.options = options
        self.view = view
    }

    /// Starts with a partition.
    func begin(_ index: Int, target: [Float]) {
        (partition, slot) = (index, 0)
        if ranker == nil { ranker = OriginalsRanker(options, target: target) }
    }

    /// The partition's next documents with a vector, compared; nil at its end.
    ///
    /// - Complexity: two look-ups in the store for each of the batch.
    func next(
        _ match: NearestSearch.Match, at version: Version
    ) throws(EngineError) -> [StoredOriginals.Item]? {
        let rows = rows(match, at: version)
        if rows.isEmpty { return nil }
        var items: [StoredOriginals.Item] = []
        var values: [Float] = []
        for row in rows {
            guard let vector = try vector(of: row.key) else { continue }
            values += vector
            items.append(
                StoredOriginals.Item(
                    partition: partition, slot: row.slot, source: row.key, distance: 0))
        }
        values.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            // SAFETY: the vectors lie one after the other, each of the field's dimensions.
            let places = items.indices.map { base + $0 * options.dimensions * 4 }
            ranker?.rank(places) { items[$0].distance = $1 }
        }
        matchCount += items.count
        return items
    }

    private func rows(
        _ match: NearestSearch.Match, at version: Version
    ) -> [(slot: Slot, key: LogKey)] {
        let partition = view.partitions[partition]
        partition.lock.lockForReading()
        defer { partition.lock.unlock() }
        var found: [(slot: Slot, key: LogKey)] = []
        while found.count < Self.batch {
            switch match {
            case .all:
                guard Int(slot) < partition.slotBound else { return found }
            case .rows(let bitmap):
                guard let next = bitmap.first(from: slot) else { return found }
                slot = next
            }
            if partition.isVisible(slot, at: version) {
                found.append((slot, partition.key(slot)))
            }
            slot += 1
        }
        return found
    }

    /// The vector of the document in a log entry: the one that the entry refers to, or one that has
    /// stood in its text since before the field was declared.
    func vector(of key: LogKey) throws(EngineError) -> [Float]? {
        var reference: VectorReference?
        var written: [Float]?
        let depth = context.shared.options.limits.documentDepthMax + 1
        try context.withStoredEntry(key) { entry in
            reference = entry.vectors.first { $0.field == field.number }
            guard reference == nil,
                let root = try? context.parser.parse(entry.document, depthMax: depth)
            else { return }
            written =
                preparer.extract(
                    from: root, minified: context.parser.minified, schema: view.schema
                ).vectors.first { $0.field == field.number }?.values
        }
        if let reference { written = try context.vector(reference) }
        guard let written, written.count == options.dimensions else { return nil }
        return written
    }
}
