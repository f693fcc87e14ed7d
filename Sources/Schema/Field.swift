package import Documents
package import GeoIndex
import Primitives

/// A field's stable number within its collection: given once, never reused, kept by `ALTER`.
package typealias FieldNumber = UInt16

/// How the distance of two vectors is taken.
package enum VectorMetric: String, Sendable, CaseIterable {
    case cosine, ip, l2
}

/// A vector field's shape and how it is to be indexed.
package struct VectorOptions: Sendable, Equatable {
    /// 1 … `Limits.dimensionsMax`.
    package var dimensions: Int
    package var metric: VectorMetric
    /// `hnsw`, `ivf` or `flat`; nil where the field has no index.
    package var indexKind: String?
    /// The `index` object's other members, as given and checked.
    package var m: Int?
    package var efConstruction: Int?
    /// `f32`, `f16` or `int8`: what the index traverses.
    package var storage: String?
    /// `f32` or `f16`: what the index keeps for exact re-ranking; `store`: nothing, the vectors in
    /// the store are read.
    package var originals: String?
    /// Lists of an inverted file, and how many of them a search looks at.
    package var listCount: Int?
    package var probeCount: Int?
    /// Candidates that a search of a graph keeps where a request does not say; nil for the default.
    package var searchWidth: Int?

    /// Without what only searches look at: indexes of equal ones are alike.
    package var built: VectorOptions {
        var options = self
        (options.searchWidth, options.probeCount) = (nil, nil)
        return options
    }

    /// How wide a search looks where a request does not say: candidates of a graph, lists of an
    /// inverted file; nil for the server's choice.
    package var defaultWidth: Int? { searchWidth ?? probeCount }

    /// Lists of an inverted file where none are given.
    package static let listCountDefault = 1_024

    /// Whether the last candidates are ranked by the vectors in the store.
    package var ranksByStore: Bool { originals == "store" }

    /// The largest component that the index can hold, where the metric is not cosine, under which
    /// vectors come to unit length: that of a half, or what cannot overflow when it is squared.
    package var magnitudeMax: Float {
        let isHalf = storage == "f16" || !(originals == "f32" || ranksByStore)
        return indexKind != nil && isHalf ? 65_504 : 1e15
    }
}

/// How the places of a geopoint or geoshape field are measured and found.
package struct PlaceOptions: Sendable, Equatable {
    /// The field's points lie on a plane: type `2d`.
    package var isFlat = false
    /// What distances from the field's points are measured on.
    package var earth = EarthModel.sphere
    /// The path of a number of kilometres: each point is the middle of a zone as wide as that.
    package var radiusPath: String?

    /// Points on the sphere without zones.
    package init() {}
}

/// What values a field holds.
package enum FieldType: Sendable, Equatable {
    case keyword, text, int, float
    /// Exact money: Int64 scaled by 10^scale, scale 0 … 9.
    case decimal(scale: Int)
    case bool, datetime, geopoint, geoshape
    case vector(VectorOptions)
    case hours, object, json

    /// The type's name in a schema.
    package var name: String {
        switch self {
        case .keyword: "keyword"
        case .text: "text"
        case .int: "int"
        case .float: "float"
        case .decimal: "decimal"
        case .bool: "bool"
        case .datetime: "datetime"
        case .geopoint: "geopoint"
        case .geoshape: "geoshape"
        case .vector: "vector"
        case .hours: "hours"
        case .object: "object"
        case .json: "json"
        }
    }

    /// Whether values are order-preserving Int64 keys in a column.
    package var isNumeric: Bool {
        switch self {
        case .int, .float, .decimal, .bool, .datetime: true
        case .keyword, .text, .geopoint, .geoshape, .vector, .hours, .object, .json: false
        }
    }

    /// Whether values are numbers that count or measure something.
    package var isQuantity: Bool {
        switch self {
        case .int, .float, .decimal: true
        case .keyword, .text, .bool, .datetime, .geopoint, .geoshape, .vector, .hours, .object,
            .json:
            false
        }
    }

    /// Whether values are UTF-8 strings compared by bytes.
    package var isString: Bool { self == .keyword || self == .text }
}

/// Which moment the server writes into a datetime field itself.
package enum Stamp: String, Sendable {
    case created, updated
}

/// One declared field with its rules, and the fields inside it when it is an object.
package struct FieldDefinition: Sendable {
    package var name: String
    package var number: FieldNumber
    package var type: FieldType
    /// An array of `type`.
    package var isArray = false
    package var isRequired = false
    package var isUnique = false
    package var isIndexed = false
    package var isSortable = false
    package var isFacet = false
    package var stamp: Stamp?
    /// Bounds as written, and as keys (see ``OrderedKey``).
    package var minimum: Bound?
    package var maximum: Bound?
    /// Allowed values as written; nil allows all.
    package var allowed: [JSON]?
    /// Allowed values of a string field, as bytes in ascending order.
    var allowedStrings: [[UInt8]] = []
    /// Allowed values of a numeric field, as keys in ascending order.
    var allowedKeys: [Int64] = []
    package var defaultValue: JSON?
    /// The default came with an `ALTER`: stored documents may lack it, so reads fill it in.
    package internal(set) var fillsReads = false
    package var children: [FieldDefinition] = []
    /// Only of geopoints and geoshapes.
    package var place = PlaceOptions()

    /// A bound of a numeric field.
    package struct Bound: Sendable, Equatable {
        /// JSON text as in the schema.
        package var text: String
        package var key: Int64
    }

    init(name: String, number: FieldNumber, type: FieldType) {
        self.name = name
        self.number = number
        self.type = type
    }
}

/// One declared field as the rest of the server sees it: flat, by its full path.
package struct Field: Sendable {
    /// Dotted path from the document's root.
    package let path: String
    package let definition: FieldDefinition
    /// True if this field or any object around it is an array: a document may hold many values.
    package let isMultiValued: Bool
    /// True if an object around it is an array. Nulls and gaps of single elements then have no
    /// entry of their own, so `isNullOrAbsent` cannot be answered from a column.
    package let isInsideArray: Bool

    /// A hash of all that the field's index depends on: path, number and definition. Equal in all
    /// processes, so that it may be stored. Known from the start: a forked child that writes it
    /// down must not make any JSON.
    package let shape: UInt64

    package var number: FieldNumber { definition.number }
    package var type: FieldType { definition.type }

    init(path: String, definition: FieldDefinition, isMultiValued: Bool, isInsideArray: Bool) {
        self.path = path
        self.definition = definition
        self.isMultiValued = isMultiValued
        self.isInsideArray = isInsideArray
        let number = definition.number
        var bytes = Array("\(path)\u{0}\(number)\u{0}\(isMultiValued)\(isInsideArray)\u{0}".utf8)
        Schema.json(of: definition).serialize(into: &bytes)
        shape = bytes.withUnsafeBytes { Hash64.hash($0, seed: 0x7368_6170) }
    }

    /// The options of a vector field; nil for any other.
    package var vectorOptions: VectorOptions? {
        if case .vector(let options) = type { options } else { nil }
    }

    /// Whether the field's vectors are indexed.
    package var hasVectorIndex: Bool { vectorOptions?.indexKind != nil }

    /// Whether a vector that `old` allowed may be none of this field's.
    package func refusesVectors(of old: Field) -> Bool {
        guard let before = old.vectorOptions else { return false }
        guard let after = vectorOptions else { return true }
        if after.dimensions != before.dimensions { return true }
        // Under cosine there is no bound but no zero, elsewhere there is a bound but zero is fine.
        if after.metric == .cosine || before.metric == .cosine {
            return after.metric != before.metric
        }
        return after.magnitudeMax < before.magnitudeMax
    }

    /// Whether the field's places are indexed: documents give them, see
    /// ``PreparedDocument/places``.
    package var hasPlaceIndex: Bool {
        (type == .geopoint || type == .geoshape) && definition.isIndexed
    }

    /// Whether the field's opening hours can be asked for: documents give them, see
    /// ``PreparedDocument/hours``.
    package var hasHours: Bool { type == .hours && !isMultiValued }

    /// Whether documents give entries for this field (see ``PreparedDocument``): it has a type that
    /// fits a column and is indexed, sorted, faceted or unique.
    package var hasEntries: Bool {
        let d = definition
        guard d.type.isNumeric || d.type.isString else { return false }
        // A text field's own index is one of words: another structure.
        let indexed = d.isIndexed && d.type != .text
        return indexed || d.isSortable || d.isFacet || d.isUnique
    }
}

/// Order-preserving Int64 keys of the numeric types: int itself, decimals scaled, datetimes in
/// milliseconds, bools 0 and 1, floats by their bits.
package enum OrderedKey {
    /// The key of a finite or infinite double: `a < b` exactly if `key(a) < key(b)`; -0 is 0.
    @inlinable package static func key(_ value: Double) -> Int64 {
        let bits = Int64(bitPattern: (value == 0 ? 0.0 : value).bitPattern)
        return bits >= 0 ? bits : bits ^ Int64.max
    }

    /// The double whose key is `key`.
    @inlinable package static func double(_ key: Int64) -> Double {
        Double(bitPattern: UInt64(bitPattern: key >= 0 ? key : key ^ Int64.max))
    }
}
