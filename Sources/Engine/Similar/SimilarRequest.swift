package import Documents
package import Primitives
package import Query
package import Schema

/// A lookup by nearness of vectors, parsed and compiled.
package struct SimilarRequest: Sendable {
    /// What hits are to be near to.
    package enum Target: Sendable {
        /// The vector of the collection's document with this id.
        case document([UInt8])
        /// A vector: `dimensions` finite components.
        case vector([Float])
        /// Documents that are liked and disliked, by id.
        case examples(likes: [[UInt8]], unlikes: [[UInt8]])
        /// Documents that another collection's documents name.
        case history(HistoryRequest)
    }

    package var view: CollectionView
    package var field: Field
    package var target: Target
    /// Nil for all documents that have a vector.
    package var filter: CompiledFilter?
    /// Hits at most.
    package var count: Int
    /// How wide an approximate search looks; nil for the server's choice.
    package var width: Int?
    /// Every match is compared.
    package var isExact = false
    /// Hits with a lower score are left out.
    package var scoreMin: Double?
    /// 0 … 1: how much being unlike earlier hits counts against being near; nil for not at all.
    package var diversity: Double?
    /// Ids that are no hits.
    package var excluded: [[UInt8]] = []
    /// When to give up, on the monotonic clock.
    package var deadlineNanoseconds: UInt64 = .max
    /// Answer with what there is when the time is over.
    package var allowsPartial = false
    /// How it was carried out is wanted: `EXPLAIN`.
    package var isExplained = false

    package init(view: CollectionView, field: Field, target: Target, count: Int) {
        self.view = view
        self.field = field
        self.target = target
        self.count = count
    }
}

/// Which documents of another collection name what somebody liked.
package struct HistoryRequest: Sendable {
    package var find: FindRequest
    /// Where they hold the ids.
    package var path: FieldPath
    /// Documents and ids that are looked at at most.
    package var documentCountMax = 10_000
    package var idCountMax = 10_000

    package init(find: FindRequest, path: FieldPath) {
        self.find = find
        self.path = path
    }
}

/// One hit of a lookup by nearness.
package struct SimilarHit: Sendable {
    package var key: LogKey
    package var id: [UInt8]
    /// Higher is better: cosine similarity in [-1, 1], the inner product, or 1 / (1 + distance).
    package var score: Double
    /// The Euclidean distance, where that is the metric.
    package var distance: Double?
}

package struct SimilarOutcome: Sendable {
    package var version: Version
    /// Documents that match the filter and have a vector.
    package var total = 0
    /// Whether every match was compared.
    package var isExact = false
    package var isPartial = false
    package var hits: [SimilarHit] = []
    /// The ids that a recommendation rests on.
    package var basis: [[UInt8]] = []
    package var plan = FindPlan()
}
