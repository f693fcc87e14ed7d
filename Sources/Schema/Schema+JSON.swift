package import Documents
import GeoIndex
import Primitives

extension Schema {
    /// The definition as users write it, in one canonical form: attributes that have their default
    /// are left out. Parsing it gives an equal schema, field numbers apart.
    package var json: JSON { makeJSON(numbers: false) }

    /// The definition with the fields' numbers, for storing. See ``init(internalJSON:)``.
    package var internalJSON: JSON { makeJSON(numbers: true) }

    /// Reads what ``internalJSON`` wrote. Throws ``SchemaError`` for anything else.
    package init(internalJSON json: JSON) throws(SchemaError) {
        var numbers: [String: FieldNumber] = [:]
        var next: FieldNumber = 0
        if case .object(let table)? = json["numbers"] {
            for (path, value) in table.members {
                guard let number = value.int64.flatMap(FieldNumber.init(exactly:)) else {
                    throw .invalid(path: path, rule: "has a number", value: shortText(value))
                }
                numbers[path] = number
            }
        }
        if let given = json["next_number"]?.int64.flatMap(FieldNumber.init(exactly:)) {
            next = given
        }
        guard var object = json.object else {
            throw .invalid(path: "schema", rule: "is an object", value: shortText(json))
        }
        object.remove("numbers")
        object.remove("next_number")
        let filling = (object["fills_reads"]?.array ?? []).compactMap {
            $0.int64.flatMap(FieldNumber.init(exactly:))
        }
        object.remove("fills_reads")
        let schema = try Schema(
            json: .object(object),
            numbers: numbers,
            nextFieldNumber: next,
            limits: .init(),
            isStored: true
        )
        self = filling.isEmpty ? schema : schema.filling(Set(filling))
    }

    private func makeJSON(numbers: Bool) -> JSON {
        var members: [(key: String, value: JSON)] = [
            (key: "fields", value: Schema.json(of: definitions))
        ]
        if !compounds.isEmpty {
            let all = compounds.map { index in
                (
                    key: index.name,
                    value: JSON.array(
                        index.parts.map { .string(($0.isDescending ? "-" : "") + $0.path) }
                    )
                )
            }
            members.append((key: "indexes", value: .object(JSONObject(all))))
        }
        members.append((key: "unknown", value: .string(unknown.rawValue)))
        if let stock = stockOf {
            members.append(
                (
                    key: "stock_of",
                    value: .object(
                        JSONObject([
                            (key: "store", value: .string(stock.store)),
                            (key: "sku", value: .string(stock.sku)),
                            (key: "quantity", value: .string(stock.quantity)),
                        ])
                    )
                )
            )
        }
        if numbers {
            let table = fields.map { (key: $0.path, value: JSON.int(Int64($0.number))) }
            members.append((key: "numbers", value: .object(JSONObject(table))))
            members.append((key: "next_number", value: .int(Int64(nextFieldNumber))))
            let filling = fields.filter(\.definition.fillsReads).map { JSON.int(Int64($0.number)) }
            if !filling.isEmpty { members.append((key: "fills_reads", value: .array(filling))) }
        }
        return .object(JSONObject(members))
    }

    private static func json(of definitions: [FieldDefinition]) -> JSON {
        .object(JSONObject(definitions.map { (key: $0.name, value: json(of: $0)) }))
    }

    /// The definition of one field, as in ``json``.
    static func json(of d: FieldDefinition) -> JSON {
        var members: [(key: String, value: JSON)] = [
            (key: "type", value: .string(d.place.isFlat ? "2d" : d.type.name))
        ]
        func flag(_ name: String, _ value: Bool) {
            if value { members.append((key: name, value: .bool(true))) }
        }
        if case .decimal(let scale) = d.type {
            members.append((key: "scale", value: .int(Int64(scale))))
        }
        flag("array", d.isArray)
        flag("required", d.isRequired)
        flag("unique", d.isUnique)
        for (name, bound) in [("min", d.minimum), ("max", d.maximum)] {
            if let bound, let value = try? JSON(parsing: bound.text) {
                members.append((key: name, value: value))
            }
        }
        if let allowed = d.allowed { members.append((key: "enum", value: .array(allowed))) }
        if let value = d.defaultValue { members.append((key: "default", value: value)) }
        if let stamp = d.stamp { members.append((key: "stamp", value: .string(stamp.rawValue))) }
        if case .vector(let options) = d.type {
            members += json(of: options)
        } else {
            flag("index", d.isIndexed)
        }
        if d.place.earth == .wgs84 { members.append((key: "earth", value: .string("wgs84"))) }
        if let radius = d.place.radiusPath {
            members.append((key: "radius", value: .string(radius)))
        }
        flag("sort", d.isSortable)
        flag("facet", d.isFacet)
        if !d.children.isEmpty { members.append((key: "fields", value: json(of: d.children))) }
        return .object(JSONObject(members))
    }

    private static func json(of options: VectorOptions) -> [(key: String, value: JSON)] {
        var members: [(key: String, value: JSON)] = [
            (key: "dimensions", value: .int(Int64(options.dimensions))),
            (key: "metric", value: .string(options.metric.rawValue)),
        ]
        guard let kind = options.indexKind else { return members }
        var index: [(key: String, value: JSON)] = [(key: "kind", value: .string(kind))]
        // A schema of old may have options of another kind, which say nothing.
        let (isGraph, hasLists) = (kind == "hnsw", kind == "ivf")
        if isGraph, let m = options.m { index.append((key: "m", value: .int(Int64(m)))) }
        if isGraph, let ef = options.efConstruction {
            index.append((key: "efConstruction", value: .int(Int64(ef))))
        }
        if let storage = options.storage {
            index.append((key: "storage", value: .string(storage)))
        }
        if let originals = options.originals {
            index.append((key: "originals", value: .string(originals)))
        }
        if hasLists, let lists = options.listCount {
            index.append((key: "numLists", value: .int(Int64(lists))))
        }
        if hasLists, let probes = options.probeCount {
            index.append((key: "nProbes", value: .int(Int64(probes))))
        }
        if isGraph, let width = options.searchWidth {
            index.append((key: "efSearch", value: .int(Int64(width))))
        }
        members.append((key: "index", value: .object(JSONObject(index))))
        return members
    }
}

extension Schema {
    /// The rules as a JSON Schema document (2020-12). What JSON Schema cannot say, such as scale
    /// and uniqueness, stands in members that begin with `x-`.
    package func jsonSchema(title: String) -> JSON {
        var object = Schema.objectSchema(definitions, allowsOthers: unknown != .refuse)
        object.members.insert(
            contentsOf: [
                (
                    key: "$schema",
                    value: .string("https://json-schema.org/draft/2020-12/schema")
                ),
                (key: "title", value: .string(title)),
            ],
            at: 0
        )
        return .object(object)
    }

    private static func objectSchema(
        _ definitions: [FieldDefinition],
        allowsOthers: Bool
    ) -> JSONObject {
        var object = JSONObject([(key: "type", value: .string("object"))])
        let properties = definitions.map { d in
            (key: d.name, value: property(d, allowsOthers: allowsOthers))
        }
        object["properties"] = .object(JSONObject(properties))
        let required = definitions.filter(\.isRequired).map { JSON.string($0.name) }
        if !required.isEmpty { object["required"] = .array(required) }
        if !allowsOthers { object["additionalProperties"] = .bool(false) }
        return object
    }

    private static func property(_ d: FieldDefinition, allowsOthers: Bool) -> JSON {
        var value = valueSchema(d, allowsOthers: allowsOthers)
        if d.isArray {
            value = JSONObject([
                (key: "type", value: .string("array")), (key: "items", value: .object(value)),
            ])
        } else if !d.isRequired, case .string(let type)? = value["type"] {
            value["type"] = .array([.string(type), .string("null")])
        }
        if let preset = d.defaultValue { value["default"] = preset }
        if d.stamp != nil { value["readOnly"] = .bool(true) }
        value["x-type"] = .string(d.place.isFlat ? "2d" : d.type.name)
        if d.place.earth == .wgs84 { value["x-earth"] = .string("wgs84") }
        if let radius = d.place.radiusPath { value["x-radius"] = .string(radius) }
        let flags = [
            ("x-unique", d.isUnique), ("x-index", d.isIndexed), ("x-sort", d.isSortable),
            ("x-facet", d.isFacet),
        ]
        for (name, isSet) in flags where isSet { value[name] = .bool(true) }
        return .object(value)
    }

    private static func valueSchema(_ d: FieldDefinition, allowsOthers: Bool) -> JSONObject {
        var value = JSONObject()
        switch d.type {
        case .keyword, .text: value["type"] = .string("string")
        case .int: value["type"] = .string("integer")
        case .float: value["type"] = .string("number")
        case .decimal(let scale):
            value["type"] = .array([.string("number"), .string("string")])
            value["x-scale"] = .int(Int64(scale))
        case .bool: value["type"] = .string("boolean")
        case .datetime:
            value["type"] = .array([.string("string"), .string("integer")])
            value["format"] = .string("date-time")
        case .geopoint: value["type"] = .array([.string("object"), .string("array")])
        case .geoshape, .hours: value["type"] = .string("object")
        case .vector(let options):
            value["type"] = .array([.string("array"), .string("string")])
            value["items"] = .object(JSONObject([(key: "type", value: .string("number"))]))
            value["minItems"] = .int(Int64(options.dimensions))
            value["maxItems"] = .int(Int64(options.dimensions))
            value["x-metric"] = .string(options.metric.rawValue)
        case .object:
            value =
                d.children.isEmpty
                ? JSONObject([(key: "type", value: .string("object"))])
                : objectSchema(d.children, allowsOthers: allowsOthers)
        case .json: break
        }
        if let bound = d.minimum { value["minimum"] = try? JSON(parsing: bound.text) }
        if let bound = d.maximum { value["maximum"] = try? JSON(parsing: bound.text) }
        if let allowed = d.allowed { value["enum"] = .array(allowed) }
        return value
    }
}
