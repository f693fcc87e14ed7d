import DocumentStore
import Partition
import Primitives
import Schema

/// Compares a target with vectors in the store, for fields whose index holds only codes of them.
///
/// Not Sendable: runs on the thread of its context.
final class StoredOriginals {
    /// One vector that is to be compared or was.
    struct Item {
        var partition: Int
        var slot: Slot
        /// The log entry that brought the vector.
        var source: LogKey
        var distance: Float
    }

    /// Vectors that are compared in one go: a small part of a millisecond at 384 dimensions.
    static let batch = 128

    private let context: ReadContext
    private let field: FieldNumber
    private let dimensions: Int
    private let ranker: OriginalsRanker
    private var references: [VectorReference] = []

    init?(context: ReadContext, field: Field, target: [Float]) {
        guard case .vector(let options) = field.type, options.ranksByStore else { return nil }
        self.context = context
        self.field = field.number
        dimensions = options.dimensions
        ranker = OriginalsRanker(options, target: target)
    }

    /// Sets the items' distances.
    ///
    /// - Throws: `CORRUPT` where a vector is missing.
    /// - Complexity: a look-up in the store for each.
    func measure(_ items: inout ArraySlice<Item>) throws(EngineError) {
        references.removeAll(keepingCapacity: true)
        for item in items {
            references.append(
                VectorReference(
                    field: field, dimensions: UInt16(dimensions), key: item.source))
        }
        let first = items.startIndex
        try context.withVectors(references) { vectors in
            ranker.rank(vectors) { items[first + $0].distance = $1 }
        }
    }

    /// One stored vector's components.
    static func vector(
        _ context: ReadContext, _ field: Field, _ source: LogKey
    ) throws(EngineError) -> [Float] {
        guard case .vector(let options) = field.type else { return [] }
        return try context.vector(
            VectorReference(
                field: field.number, dimensions: UInt16(options.dimensions), key: source))
    }
}
