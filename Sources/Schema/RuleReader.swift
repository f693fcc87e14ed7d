import Documents

/// Reads `min`, `max`, `enum` and `default`, which are values of the field's own type.
struct RuleReader {
    let attributes: Attributes

    func read(into d: inout FieldDefinition) throws(SchemaError) {
        d.minimum = try bound("min", of: d)
        d.maximum = try bound("max", of: d)
        if let low = d.minimum, let high = d.maximum, low.key > high.key {
            throw attributes.error("min is at most max", attributes["min"] ?? .null, at: "min")
        }
        if let list = attributes["enum"] { try readAllowed(list, into: &d) }
        if let value = attributes["default"] { try readDefault(value, into: &d) }
    }

    private func bound(
        _ name: String,
        of d: FieldDefinition
    ) throws(SchemaError) -> FieldDefinition.Bound? {
        guard let value = attributes[name] else { return nil }
        guard let key = key(of: value, type: d.type) else {
            throw attributes.error("is a value of type \(d.type.name)", value, at: name)
        }
        return .init(text: value.text, key: key)
    }

    /// The key of a numeric value; nil when it has another type or does not fit.
    private func key(of value: JSON, type: FieldType) -> Int64? {
        let parser = JSONParser()
        guard let root = try? parser.parse(value.text, depthMax: 0) else { return nil }
        return ScalarReader.key(of: root, type: type)
    }

    private func readAllowed(_ list: JSON, into d: inout FieldDefinition) throws(SchemaError) {
        guard case .array(let values) = list, !values.isEmpty, values.count <= 1_000 else {
            throw attributes.error("is an array of 1 to 1000 values", list, at: "enum")
        }
        for value in values {
            if d.type.isString, case .string(let text) = value {
                d.allowedStrings.append(Array(text.utf8))
            } else if d.type.isNumeric, let key = key(of: value, type: d.type) {
                d.allowedKeys.append(key)
            } else {
                throw attributes.error("holds values of type \(d.type.name)", value, at: "enum")
            }
        }
        d.allowedStrings.sort { $0.lexicographicallyPrecedes($1) }
        d.allowedKeys.sort()
        d.allowed = values
    }

    private func readDefault(_ value: JSON, into d: inout FieldDefinition) throws(SchemaError) {
        if case .null = value {
            throw attributes.error("null is what absent fields have", value, at: "default")
        }
        // The default is held to the field's own rules by checking a document that has it.
        var rules = d
        rules.isRequired = false
        rules.defaultValue = nil
        let probe = Schema(
            definitions: [rules],
            unknown: .keep,
            compounds: [],
            stockOf: nil,
            nextFieldNumber: 0
        )
        let document = JSON.object(JSONObject([(key: d.name, value: value)])).text
        do throws(ValidationError) {
            let preparer = DocumentPreparer()
            _ = try preparer.prepare(
                Array(document.utf8),
                schema: probe,
                parser: JSONParser(),
                nowMilliseconds: 0
            )
        } catch {
            throw attributes.error(error.rule, value, at: "default")
        }
        d.defaultValue = value
    }
}
