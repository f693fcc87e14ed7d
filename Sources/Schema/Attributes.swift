import Documents
import GeoIndex
import Primitives

/// JSON text for a message, cut to about 100 bytes at a character's border.
func shortText(_ json: JSON) -> String {
    if case .null = json { return "" }
    return shortened(json.text)
}

/// A text for a message, cut to about 100 bytes.
func shortened(_ text: String) -> String {
    text.utf8.count <= 100 ? text : String(text.prefix(90)) + "…"
}

/// The members of one field's definition, read by name.
struct Attributes {
    let members: [(key: String, value: JSON)]
    let path: String
    /// Read from a store: what was accepted once is accepted for good.
    var isStored = false

    subscript(name: String) -> JSON? { members.first { $0.key == name }?.value }

    func error(_ rule: String, _ value: JSON, at name: String = "") -> SchemaError {
        .invalid(
            path: name.isEmpty ? path : path + "." + name,
            rule: rule,
            value: shortText(value)
        )
    }

    func flag(_ name: String) throws(SchemaError) -> Bool {
        switch self[name] {
        case nil: return false
        case .bool(let value)?: return value
        case let other?: throw error("is true or false", other, at: name)
        }
    }

    func integer(
        _ name: String,
        in range: ClosedRange<Int>,
        of source: [(key: String, value: JSON)]? = nil
    ) throws(SchemaError) -> Int? {
        guard let value = (source ?? members).first(where: { $0.key == name })?.value else {
            return nil
        }
        guard case .number(let number) = value, let int = Int(number.text), range.contains(int)
        else {
            throw error(
                "is an integer from \(range.lowerBound) to \(range.upperBound)",
                value,
                at: name
            )
        }
        return int
    }

    private func word(
        _ name: String,
        of words: [String],
        in source: [(key: String, value: JSON)]
    ) throws(SchemaError) -> String? {
        guard let value = source.first(where: { $0.key == name })?.value else { return nil }
        guard case .string(let text) = value, words.contains(text) else {
            throw error("is one of " + words.joined(separator: ", "), value, at: name)
        }
        return text
    }

    func type(named name: String, limits: Limits) throws(SchemaError) -> FieldType {
        switch name {
        case "keyword": return .keyword
        case "text": return .text
        case "int": return .int
        case "float": return .float
        case "decimal":
            guard let scale = try integer("scale", in: 0...9) else {
                throw error("a decimal has a scale from 0 to 9", .null, at: "scale")
            }
            return .decimal(scale: scale)
        case "bool": return .bool
        case "datetime": return .datetime
        case "geopoint", "2d": return .geopoint
        case "geoshape": return .geoshape
        case "vector": return .vector(try vector(limits: limits))
        case "hours": return .hours
        case "object": return .object
        case "json": return .json
        default: throw error("is a known type", .string(name), at: "type")
        }
    }

    private func vector(limits: Limits) throws(SchemaError) -> VectorOptions {
        guard let dimensions = try integer("dimensions", in: 1...limits.dimensionsMax) else {
            throw error("a vector has dimensions", .null, at: "dimensions")
        }
        let metrics = VectorMetric.allCases.map(\.rawValue)
        let metric = try word("metric", of: metrics, in: members) ?? "cosine"
        var options = VectorOptions(
            dimensions: dimensions,
            metric: VectorMetric(rawValue: metric) ?? .cosine
        )
        switch self["index"] {
        case nil, .bool(false)?: return options
        case .bool(true)?: options.indexKind = "hnsw"
        case .object(let object)?:
            let known = [
                "kind", "m", "efConstruction", "efSearch", "storage", "originals", "numLists",
                "nProbes",
            ]
            if let stranger = object.members.first(where: { !known.contains($0.key) }) {
                throw error("is no option of a vector index", stranger.value, at: stranger.key)
            }
            let source = object.members
            options.indexKind = try word("kind", of: ["hnsw", "ivf", "flat"], in: source) ?? "hnsw"
            options.m = try integer("m", in: 2...100, of: source)
            options.listCount = try integer("numLists", in: 1...65_536, of: source)
            options.probeCount = try integer("nProbes", in: 1...65_536, of: source)
            options.efConstruction = try integer("efConstruction", in: 4...4_096, of: source)
            options.storage = try word("storage", of: ["f32", "f16", "int8"], in: source)
            options.originals = try word("originals", of: ["f32", "f16", "store"], in: source)
            options.searchWidth = try integer(
                "efSearch", in: 1...limits.searchWidthMax, of: source)
            if !isStored { try refuseOptionsOfOtherKinds(options, source) }
        case let other?: throw error("is true, false or an object", other, at: "index")
        }
        return options
    }

    /// How places of a geopoint or geoshape are measured; `index` of a point may be `"2d"`, which
    /// makes it flat, or `"2dsphere"`, which is true.
    func place(of type: FieldType) throws(SchemaError) -> PlaceOptions {
        var options = PlaceOptions()
        guard type == .geopoint else { return options }
        options.isFlat = self["type"]?.string == "2d" || self["index"]?.string == "2d"
        if options.isFlat, let name = ["earth", "radius"].first(where: { self[$0] != nil }) {
            throw error("is no attribute of type 2d", self[name] ?? .null, at: name)
        }
        let models = ["sphere", "wgs84"]
        if try word("earth", of: models, in: members) == "wgs84" { options.earth = .wgs84 }
        if let radius = self["radius"] {
            guard case .string(let path) = radius else {
                throw error("is the path of a number of kilometres", radius, at: "radius")
            }
            options.radiusPath = path
        }
        return options
    }

    /// Whether a field of this type, not a vector, is indexed.
    func isIndexed(_ type: FieldType) throws(SchemaError) -> Bool {
        if type == .geopoint, let text = self["index"]?.string {
            guard text == "2dsphere" || text == "2d" else {
                throw error("is true, false, 2d or 2dsphere", .string(text), at: "index")
            }
            guard text == "2d" || self["type"]?.string != "2d" else {
                throw error("is 2d where the type is", .string(text), at: "index")
            }
            return true
        }
        return try flag("index")
    }

    /// Refuses options of an index that would say nothing.
    private func refuseOptionsOfOtherKinds(
        _ options: VectorOptions,
        _ source: [(key: String, value: JSON)]
    ) throws(SchemaError) {
        let kinds = [
            "m": "hnsw", "efConstruction": "hnsw", "efSearch": "hnsw", "numLists": "ivf",
            "nProbes": "ivf",
        ]
        for (name, value) in source {
            guard let kind = kinds[name], kind != options.indexKind else { continue }
            throw error("is an option of kind \(kind)", value, at: name)
        }
        let lists = options.listCount ?? VectorOptions.listCountDefault
        if let probes = options.probeCount, probes > lists {
            throw error("is at most numLists, \(lists)", .int(Int64(probes)), at: "nProbes")
        }
    }

    /// Refuses attributes that the type does not know.
    func refuseUnknown(for type: FieldType) throws(SchemaError) {
        for (name, value) in members where !Attributes.allows(name, for: type) {
            throw error("is no attribute of type \(type.name)", value, at: name)
        }
    }

    private static func allows(_ name: String, for type: FieldType) -> Bool {
        switch name {
        case "type", "array", "required": return true
        case "default": if case .vector = type { return false } else { return true }
        case "index":
            switch type {
            case .hours, .object, .json: return false
            case .keyword, .text, .int, .float, .decimal, .bool, .datetime, .geopoint, .geoshape,
                .vector:
                return true
            }
        case "sort": return type.isNumeric || type.isString
        case "facet": return type.isNumeric || type == .keyword
        case "unique": return type == .keyword || (type.isNumeric && type != .bool)
        case "min", "max": return type.isNumeric && type != .bool
        case "enum": return type.isString || (type.isNumeric && type != .bool)
        case "scale": if case .decimal = type { return true } else { return false }
        case "stamp": return type == .datetime
        case "dimensions", "metric":
            if case .vector = type { return true } else { return false }
        case "fields": return type == .object
        case "earth", "radius": return type == .geopoint
        default: return false
        }
    }
}
