package import Documents
package import Primitives

extension Schema {
    /// Reads a schema as users write it (see the commands' reference).
    ///
    /// Complexity: linear in the text. Throws ``SchemaError`` for the first thing that is wrong:
    /// unknown attributes, attributes that do not go together, values out of range, too many
    /// fields.
    package init(parsing json: JSON, limits: Limits = Limits()) throws(SchemaError) {
        try self.init(json: json, numbers: [:], nextFieldNumber: 0, limits: limits)
    }

    /// Reads a schema; fields whose path is in `numbers` keep that number.
    ///
    /// - Parameter isStored: it was accepted once, maybe by looser rules.
    init(
        json: JSON,
        numbers: [String: FieldNumber],
        nextFieldNumber: FieldNumber,
        limits: Limits,
        isStored: Bool = false
    ) throws(SchemaError) {
        var reader = DefinitionReader(
            numbers: numbers,
            nextFieldNumber: nextFieldNumber,
            limits: limits,
            isStored: isStored
        )
        let members = try reader.object(json, path: "schema")
        var definitions: [FieldDefinition] = []
        var unknown = UnknownFields.keep
        for (key, value) in members {
            switch key {
            case "fields":
                definitions = try reader.fields(value, path: "", isInsideArray: false, depth: 0)
            case "unknown":
                guard case .string(let text) = value, let rule = UnknownFields(rawValue: text)
                else { throw reader.error("unknown", "is keep, drop or refuse", value) }
                unknown = rule
            case "indexes", "stock_of", "next_number": break
            default: throw reader.error(key, "is no part of a schema", value)
            }
        }
        let paths = Set(reader.declared)
        let compounds = try members.first { $0.key == "indexes" }
            .map { (entry) throws(SchemaError) in try reader.compounds(entry.value, paths: paths) }
        let stockOf = try members.first { $0.key == "stock_of" }
            .map { (entry) throws(SchemaError) in try reader.stock(entry.value, paths: paths) }
        self.init(
            definitions: definitions,
            unknown: unknown,
            compounds: compounds ?? [],
            stockOf: stockOf,
            nextFieldNumber: reader.nextFieldNumber
        )
        try checkRadii()
        try checkStock()
    }

    /// A zone's radius is a number that a document has once.
    private func checkRadii() throws(SchemaError) {
        for field in fields {
            guard let path = field.definition.place.radiusPath else { continue }
            func error(_ rule: String) -> SchemaError {
                .invalid(
                    path: field.path + ".radius", rule: rule,
                    value: shortText(.string(path)))
            }
            guard !field.isInsideArray else { throw error("is for a point outside arrays") }
            guard let radius = self.field(at: path), radius.type.isQuantity, !radius.isMultiValued
            else {
                throw error("is the path of an int, float or decimal outside arrays, kilometres")
            }
        }
    }

    private func checkStock() throws(SchemaError) {
        guard let stockOf else { return }
        func check(_ name: String, _ path: String, _ rule: String, _ fits: (FieldType) -> Bool)
            throws(SchemaError)
        {
            guard let field = field(at: path), fits(field.type), !field.isMultiValued else {
                throw .invalid(
                    path: "stock_of." + name, rule: rule, value: shortText(.string(path)))
            }
        }
        let keyword = "is the path of a keyword outside arrays"
        try check("store", stockOf.store, keyword) { $0 == .keyword }
        try check("sku", stockOf.sku, keyword) { $0 == .keyword }
        try check(
            "quantity", stockOf.quantity, "is the path of an int, float or decimal outside arrays"
        ) { $0.isQuantity }
    }
}

/// Reads definitions and hands out field numbers.
struct DefinitionReader {
    let numbers: [String: FieldNumber]
    var nextFieldNumber: FieldNumber
    let limits: Limits
    let isStored: Bool
    /// Paths declared so far.
    var declared: [String] = []

    init(
        numbers: [String: FieldNumber],
        nextFieldNumber: FieldNumber,
        limits: Limits,
        isStored: Bool
    ) {
        self.isStored = isStored
        self.numbers = numbers
        self.nextFieldNumber = nextFieldNumber
        self.limits = limits
    }

    func error(_ path: String, _ rule: String, _ value: JSON) -> SchemaError {
        .invalid(path: path, rule: rule, value: shortText(value))
    }

    func object(
        _ json: JSON,
        path: String
    ) throws(SchemaError) -> [(key: String, value: JSON)] {
        guard case .object(let object) = json else { throw error(path, "is an object", json) }
        return object.members
    }

    mutating func fields(
        _ json: JSON,
        path: String,
        isInsideArray: Bool,
        depth: Int
    ) throws(SchemaError) -> [FieldDefinition] {
        guard depth < 16 else { throw .limit(name: "nesting of fields", maximum: 16) }
        var result: [FieldDefinition] = []
        for (name, value) in try object(json, path: path.isEmpty ? "fields" : path) {
            let full = path.isEmpty ? name : path + "." + name
            guard name != "_id" else { throw error(full, "is reserved", .null) }
            guard Schema.isValidName(name) else {
                throw error(full, "name matches [A-Za-z_][A-Za-z0-9_-]{0,63}", .string(name))
            }
            if result.contains(where: { $0.name == name }) {
                throw error(full, "is declared twice", .null)
            }
            result.append(
                try field(
                    value,
                    name: name,
                    path: full,
                    isInsideArray: isInsideArray,
                    depth: depth
                )
            )
        }
        return result
    }

    private mutating func number(for path: String, given: JSON?) throws(SchemaError) -> FieldNumber
    {
        declared.append(path)
        guard declared.count <= limits.fieldCountMax else {
            throw .limit(name: "fields of a schema", maximum: limits.fieldCountMax)
        }
        if let number = numbers[path] { return number }
        guard nextFieldNumber < FieldNumber.max else {
            throw .limit(name: "fields ever declared", maximum: Int(FieldNumber.max))
        }
        defer { nextFieldNumber += 1 }
        return nextFieldNumber
    }

    private mutating func field(
        _ json: JSON,
        name: String,
        path: String,
        isInsideArray: Bool,
        depth: Int
    ) throws(SchemaError) -> FieldDefinition {
        var members = try object(json, path: path)
        var isArray = false
        if case .string("array")? = members.first(where: { $0.key == "type" })?.value {
            (members, isArray) = (try unwrapArray(members, path: path), true)
        }
        let attributes = Attributes(members: members, path: path, isStored: isStored)
        guard case .string(let typeName)? = attributes["type"] else {
            throw error(path, "has a type", attributes["type"] ?? .null)
        }
        var definition = FieldDefinition(
            name: name,
            number: try number(for: path, given: nil),
            type: try attributes.type(named: typeName, limits: limits)
        )
        let saysArray = try attributes.flag("array")
        definition.isArray = isArray || saysArray
        try attributes.refuseUnknown(for: definition.type)
        try readFlags(attributes, into: &definition, isInsideArray: isInsideArray)
        if let children = attributes["fields"] {
            definition.children = try fields(
                children,
                path: path,
                isInsideArray: isInsideArray || definition.isArray,
                depth: depth + 1
            )
        }
        try RuleReader(attributes: attributes).read(into: &definition)
        return definition
    }

    /// `{"type":"array","items":{…}, more}` → the items' members and more.
    private func unwrapArray(
        _ members: [(key: String, value: JSON)],
        path: String
    ) throws(SchemaError) -> [(key: String, value: JSON)] {
        guard let items = members.first(where: { $0.key == "items" })?.value else {
            throw error(path, "an array has items", .null)
        }
        var inner = try object(items, path: path + ".items")
        if case .string("array")? = inner.first(where: { $0.key == "type" })?.value {
            throw error(path, "arrays of arrays are not indexable; use type json", items)
        }
        for member in members where member.key != "type" && member.key != "items" {
            guard !inner.contains(where: { $0.key == member.key }) else {
                throw error(path, "\(member.key) is given twice", member.value)
            }
            inner.append(member)
        }
        return inner
    }

    private func readFlags(
        _ attributes: Attributes,
        into d: inout FieldDefinition,
        isInsideArray: Bool
    ) throws(SchemaError) {
        d.isRequired = try attributes.flag("required")
        d.isUnique = try attributes.flag("unique")
        d.isSortable = try attributes.flag("sort")
        d.isFacet = try attributes.flag("facet")
        if case .vector(let options) = d.type {
            d.isIndexed = options.indexKind != nil
            if d.isArray || isInsideArray {
                throw error(d.name, "a vector is not inside an array", .null)
            }
        } else {
            d.isIndexed = try attributes.isIndexed(d.type)
            d.place = try attributes.place(of: d.type)
        }
        let path = attributes.path
        if d.isUnique && (d.isArray || isInsideArray) {
            throw error(path, "unique is not for arrays", .null)
        }
        if d.type == .hours, d.isArray, !isStored {
            throw error(
                path + ".array", "is not for hours: one value holds every span of every day", .null)
        }
        if let stamp = attributes["stamp"] {
            guard case .string(let text) = stamp, let parsed = Stamp(rawValue: text) else {
                throw error(path + ".stamp", "is created or updated", stamp)
            }
            guard d.type == .datetime, !d.isArray, !isInsideArray else {
                throw error(path + ".stamp", "is for a datetime outside arrays", stamp)
            }
            guard attributes["default"] == nil, !d.isUnique else {
                throw error(path + ".stamp", "has neither default nor unique beside it", stamp)
            }
            d.stamp = parsed
        }
    }

    func compounds(
        _ json: JSON,
        paths: Set<String>
    ) throws(SchemaError) -> [Schema.CompoundIndex] {
        var result: [Schema.CompoundIndex] = []
        for (name, value) in try object(json, path: "indexes") {
            let path = "indexes." + name
            guard Schema.isValidName(name) else { throw error(path, "is a valid name", .null) }
            guard case .array(let items) = value, items.count >= 2, items.count <= 8 else {
                throw error(path, "is an array of 2 to 8 fields", value)
            }
            var parts: [Schema.CompoundIndex.Part] = []
            for item in items {
                guard case .string(let text) = item else {
                    throw error(path, "holds field names", item)
                }
                let isDescending = text.hasPrefix("-")
                let field = isDescending ? String(text.dropFirst()) : text
                guard paths.contains(field) else {
                    throw error(path, "names declared fields", item)
                }
                parts.append(.init(path: field, isDescending: isDescending))
            }
            result.append(.init(name: name, parts: parts))
        }
        return result
    }

    func stock(_ json: JSON, paths: Set<String>) throws(SchemaError) -> Schema.StockNames {
        var names: [String: String] = [:]
        for (key, value) in try object(json, path: "stock_of") {
            guard ["store", "sku", "quantity"].contains(key) else {
                throw error("stock_of." + key, "is store, sku or quantity", value)
            }
            guard case .string(let field) = value, paths.contains(field) else {
                throw error("stock_of." + key, "is the path of a declared field", value)
            }
            names[key] = field
        }
        guard let store = names["store"], let sku = names["sku"], let quantity = names["quantity"]
        else { throw error("stock_of", "names store, sku and quantity", json) }
        return Schema.StockNames(store: store, sku: sku, quantity: quantity)
    }
}
