package import Documents
package import Primitives
package import Query

/// A lookup over one collection, parsed and compiled.
package struct FindRequest: Sendable {
    package var view: CollectionView
    package var filter: CompiledFilter
    package var sort: SortSpec?
    package var limit: Int
    package var skip = 0
    /// The order by distance that the filter's `$near` asks for, where there is no sort.
    package var near: NearOrder? { sort == nil && !isCount ? filter.near : nil }
    /// The page behind this place; excludes `skip`.
    package var after: CursorPlace?
    package var facets: [FacetRequest] = []
    package var stats: [String] = []
    package var statsBy: String?
    package var distinct: String?
    /// An older version, within the retention window.
    package var version: Version?
    /// With an older version: keep where its matches are, for an export.
    package var keepsHistoryKeys = false
    /// How it was carried out is wanted: `EXPLAIN`.
    package var isExplained = false
    /// Only the count is wanted.
    package var isCount = false
    /// With `isCount`: no documents are read. Where columns cannot answer the whole filter its
    /// matches are then those that may match.
    package var leavesUnverified = false
    /// When to give up, on the monotonic clock.
    package var deadlineNanoseconds: UInt64 = .max
    /// Answer with what there is when the time is over.
    package var allowsPartial = false

    package init(view: CollectionView, filter: CompiledFilter, limit: Int) {
        self.view = view
        self.filter = filter
        self.limit = limit
    }
}

/// A place in an order: the values of its sort keys, and its id.
package struct CursorPlace: Sendable {
    package var keys: [SortKeyValue]
    package var id: [UInt8]

    package init(keys: [SortKeyValue], id: [UInt8]) {
        self.keys = keys
        self.id = id
    }
}

/// One facet that was asked for.
package struct FacetRequest: Sendable {
    package var path: String
    /// Values at most.
    package var limit: Int
    /// Edges of ranges as JSON numbers or datetimes; empty for counts of values.
    package var edges: [JSON]
    /// The edges as keys of a declared numeric field's column; empty where there is none.
    package var edgeKeys: [Int64]

    package init(path: String, limit: Int, edges: [JSON], edgeKeys: [Int64]) {
        self.path = path
        self.limit = limit
        self.edges = edges
        self.edgeKeys = edgeKeys
    }
}

/// One hit: where its document is.
package struct FindHit: Sendable {
    package var key: LogKey
    package var id: [UInt8]
}

/// A value in a facet, a group or a list of distinct values.
package enum FacetValue: Sendable, Hashable {
    case int(Int64)
    /// Scaled Int64 and scale.
    case decimal(Int64, scale: Int)
    case double(Double)
    case bool(Bool)
    case string([UInt8])
    case null
    /// Milliseconds since 1970.
    case datetime(Int64)
}

/// A facet's counts, most frequent first.
package struct FacetResult: Sendable {
    package var path: String
    package var values: [(value: FacetValue, count: Int)]
    /// Set instead of `values` where ranges were asked for.
    package var ranges: [(from: JSON, to: JSON, count: Int)]
}

/// Figures of one numeric field.
package struct StatsFigures: Sendable {
    package var count = 0
    package var min: FacetValue?
    package var max: FacetValue?
    /// Exact for ints and decimals.
    package var sum: StatsSum = .none
    package var average: StatsSum = .none
}

/// A sum or an average as it is to be printed.
package enum StatsSum: Sendable, Equatable {
    case none
    case text(String)
    case double(Double)
    case int(Int64)
}

package struct StatsResult: Sendable {
    package var path: String
    package var overall: StatsFigures?
    /// By group, ties by value, largest count first.
    package var groups: [(value: FacetValue, figures: StatsFigures)]
}

/// How a lookup was carried out, for `EXPLAIN`.
package struct FindPlan: Sendable {
    package struct Stage: Sendable {
        package var name: String
        package var detail: String
        package var rows: Int
        package var microseconds: Int

        package init(name: String, detail: String, rows: Int, microseconds: Int) {
            self.name = name
            self.detail = detail
            self.rows = rows
            self.microseconds = microseconds
        }
    }
    package var stages: [Stage] = []
    package var warnings: [String] = []
    package var estimate = 0
    /// Documents that were read to check the filter or to sort.
    package var documentsRead = 0

    package init() {}
}

package struct FindOutcome: Sendable {
    package var version: Version
    package var total = 0
    package var isPartial = false
    package var hits: [FindHit] = []
    /// The place behind the last hit, if there is more.
    package var next: CursorPlace?
    package var facets: [FacetResult] = []
    package var stats: [StatsResult] = []
    package var distinct: [FacetValue]?
    package var plan = FindPlan()
}
