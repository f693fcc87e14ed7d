package import Documents
package import Primitives
package import Schema

/// The facets of a query: `FACET a,b:20,price:[0,50,100]`.
package struct FacetSpec: Sendable, Equatable {
    /// One facet.
    package struct Facet: Sendable, Equatable {
        package let path: String
        /// The most values to list; nil for the server's default. Not used with ranges.
        package let limit: Int?
        /// Borders of the ranges [from, to), ascending as given; nil counts values.
        package let edges: [JSON]?

        /// The borders as keys of a field's column: a value of key k lies in range i exactly if
        /// `keys[i] <= k < keys[i + 1]`.
        ///
        /// Throws ``QueryError`` `invalid` for a field without an order of numbers, for borders
        /// that are no values of it, and for borders that do not ascend.
        package func edgeKeys(
            for field: Field,
            nowMilliseconds: Int64
        ) throws(QueryError) -> [Int64] {
            var keys: [Int64] = []
            for edge in edges ?? [] {
                let target = FilterCompiler.Target(declared: field)
                guard let place = try Place(edge, target, nowMilliseconds: nowMilliseconds) else {
                    throw .invalid(
                        path: "FACET \(path)",
                        rule: "ranges hold values of type \(field.type.name)",
                        value: shortened(edge.text)
                    )
                }
                let isOnKey = place.isExact || place.floor == .max
                let key = place.isBelowRange ? .min : isOnKey ? place.floor : place.floor + 1
                if let last = keys.last, last > key {
                    throw .invalid(
                        path: "FACET \(path)",
                        rule: "ranges ascend",
                        value: shortened(edge.text)
                    )
                }
                keys.append(key)
            }
            return keys
        }
    }

    package let facets: [Facet]

    /// Facets of one query, at most.
    package static let facetCountMax = 32
    /// Borders of one facet, at most.
    package static let edgeCountMax = 1_001

    /// Reads the plain form or `["a",{"field":"price","ranges":[0,50],"limit":5}]`. Throws
    /// ``QueryError``.
    package init(parsing text: String, limits: Limits = Limits()) throws(QueryError) {
        var facets: [Facet] = []
        for item in try ListText.items(text, option: "FACET") {
            switch item {
            case .string(let text):
                let (name, rest) = ListText.split(text)
                let json = try rest.map { (text) throws(QueryError) -> JSON in
                    guard let json = try? JSON(parsing: text, depthMax: 1) else {
                        throw .syntax(option: "FACET", rule: "behind : stand a count or [ranges]")
                    }
                    return json
                }
                facets.append(try FacetSpec.facet(name, json, json, limits))
            case .object(let object):
                let known = ["field", "ranges", "limit"]
                guard let name = object["field"]?.string,
                    object.members.allSatisfy({ known.contains($0.key) })
                else { throw .syntax(option: "FACET", rule: "an object has field, ranges, limit") }
                facets.append(try FacetSpec.facet(name, object["limit"], object["ranges"], limits))
            case .null, .bool, .number, .array:
                throw .syntax(option: "FACET", rule: "an item is a field or an object")
            }
        }
        guard facets.count <= FacetSpec.facetCountMax else {
            throw .limit(name: "facets of a query", maximum: FacetSpec.facetCountMax)
        }
        guard Set(facets.map(\.path)).count == facets.count else {
            throw .syntax(option: "FACET", rule: "names a field once")
        }
        self.facets = facets
    }

    private static func facet(
        _ name: String,
        _ limit: JSON?,
        _ ranges: JSON?,
        _ limits: Limits
    ) throws(QueryError) -> Facet {
        let path = try ListText.path(name, option: "FACET")
        if case .array(let edges)? = ranges {
            guard edges.count >= 2, edges.count <= edgeCountMax else {
                throw .invalid(
                    path: "FACET \(path)",
                    rule: "ranges have 2 to \(edgeCountMax) borders",
                    value: ""
                )
            }
            return Facet(path: path, limit: nil, edges: edges)
        }
        guard let limit else { return Facet(path: path, limit: nil, edges: nil) }
        guard let count = limit.int64, count >= 1, count <= limits.facetValueCountMax else {
            throw .invalid(
                path: "FACET \(path)",
                rule: "lists 1 to \(limits.facetValueCountMax) values",
                value: shortened(limit.text)
            )
        }
        return Facet(path: path, limit: Int(count), edges: nil)
    }
}

/// The statistics of a query: `STATS a,b [BY c]`.
package struct StatsSpec: Sendable, Equatable {
    package let paths: [String]
    /// The field whose values group the statistics.
    package let by: String?

    /// Reads the list and the field behind `BY`. Throws ``QueryError``.
    package init(parsing text: String, by: String?) throws(QueryError) {
        var paths: [String] = []
        for name in try ListText.strings(text, option: "STATS") {
            let path = try ListText.path(name, option: "STATS")
            guard !paths.contains(path) else {
                throw .syntax(option: "STATS", rule: "names \(path) once")
            }
            paths.append(path)
        }
        guard paths.count <= FacetSpec.facetCountMax else {
            throw .limit(name: "fields of STATS", maximum: FacetSpec.facetCountMax)
        }
        self.paths = paths
        self.by = try by.map { (name) throws(QueryError) in
            try ListText.path(name, option: "BY")
        }
    }
}

/// The field whose different values are asked for: `DISTINCT a`.
package struct DistinctSpec: Sendable, Equatable {
    package let path: String

    /// Reads the field. Throws ``QueryError``.
    package init(parsing text: String) throws(QueryError) {
        path = try ListText.path(text, option: "DISTINCT")
    }
}

extension FilterCompiler.Target {
    /// The values of a declared field.
    init(declared field: Field) {
        path = field.path
        fullPath = field.path
        self.field = field
        declared = field
        isID = false
        reader = ValueReader(field.type)
    }
}
