package import Documents
package import Primitives

/// What `ALTER` asks for: `{"add":{name:field}, "drop":[name], "set":{name:{attribute:value}},
/// "unknown":…}`.
///
/// Names may be dotted paths into objects. In `set` an attribute given as null is removed.
package struct SchemaChange: Sendable {
    let added: [(key: String, value: JSON)]
    let dropped: [String]
    let attributes: [(key: String, value: JSON)]
    let unknown: JSON?

    /// Reads a change. Throws ``SchemaError`` where its form is wrong; names are looked up by
    /// ``applied(to:limits:)``.
    package init(parsing json: JSON) throws(SchemaError) {
        guard let members = json.object?.members else {
            throw .invalid(path: "change", rule: "is an object", value: shortText(json))
        }
        var added: [(key: String, value: JSON)] = []
        var attributes: [(key: String, value: JSON)] = []
        var dropped: [String] = []
        var unknown: JSON?
        for (key, value) in members {
            switch (key, value) {
            case ("add", .object(let object)): added = object.members
            case ("set", .object(let object)): attributes = object.members
            case ("drop", .array(let names)):
                for name in names {
                    guard let text = name.string else {
                        throw .invalid(
                            path: "drop",
                            rule: "is an array of names",
                            value: shortText(name)
                        )
                    }
                    dropped.append(text)
                }
            case ("unknown", _): unknown = value
            default:
                throw .invalid(
                    path: key,
                    rule: "a change has add and set (objects), drop (array), unknown",
                    value: shortText(value)
                )
            }
        }
        self.added = added
        self.attributes = attributes
        self.dropped = dropped
        self.unknown = unknown
    }

    /// A changed schema and the work that it means.
    package struct Result: Sendable {
        package let schema: Schema
        /// Fields whose values in stored documents must be checked against the new rules.
        package let fieldsToValidate: [FieldNumber]
        /// Undeclared members are refused from now on, so all stored documents must be checked.
        package let mustValidateAll: Bool
        /// Fields that now have entries and had none, or whose column changes its form.
        package let columnsToBuild: [FieldNumber]
        /// Fields that had entries and have none now.
        package let columnsToDrop: [FieldNumber]
        /// Fields whose vectors get an index, or one of another kind.
        package let vectorsToBuild: [FieldNumber]
        /// Fields whose vectors had an index and have none now.
        package let vectorsToDrop: [FieldNumber]
        /// Fields whose places get an index, or one of another kind.
        package let placesToBuild: [FieldNumber]
        /// Fields whose places had an index and have none now.
        package let placesToDrop: [FieldNumber]
        /// Fields of opening hours that are new, and those that are gone.
        package let hoursToBuild: [FieldNumber]
        package let hoursToDrop: [FieldNumber]
        /// By the number that they have had: vector fields that become others, which may refuse
        /// vectors that documents hold.
        package let strictVectors: [FieldNumber: Field]
        package let uniqueToBuild: [FieldNumber]
        package let uniqueToDrop: [FieldNumber]
        /// Whether stored documents have to be looked at before this may take hold.
        package var needsValidation: Bool {
            mustValidateAll || !fieldsToValidate.isEmpty || !uniqueToBuild.isEmpty
        }
    }

    /// Makes the new schema. Throws ``SchemaError`` for unknown and doubled names and for whatever
    /// a definition may be refused for.
    package func applied(
        to schema: Schema,
        limits: Limits = Limits()
    ) throws(SchemaError) -> Result {
        var root = schema.json
        var numbers = Dictionary(uniqueKeysWithValues: schema.fields.map { ($0.path, $0.number) })
        for path in dropped {
            guard schema.field(at: path) != nil, numbers[path] != nil else {
                throw .unknownField(path: path)
            }
            edit(&root, path: path[...]) { parent, name in parent.remove(name) }
            for key in numbers.keys where key == path || key.hasPrefix(path + ".") {
                numbers[key] = nil
            }
        }
        for (path, value) in attributes {
            guard numbers[path] != nil else { throw .unknownField(path: path) }
            guard let changes = value.object else {
                throw .invalid(path: path, rule: "is an object", value: shortText(value))
            }
            var changesForm = false
            edit(&root, path: path[...]) { parent, name in
                var field = parent[name] ?? .null
                let before = Self.form(of: field)
                for (key, value) in changes.members { field[key] = value.isNull ? nil : value }
                parent[name] = field
                changesForm = Self.form(of: field) != before
            }
            // A field whose values change their form is a new one to the indexes.
            if changesForm { numbers[path] = nil }
        }
        for (path, value) in added {
            var isDone = false
            edit(&root, path: path[...]) { parent, name in
                guard parent[name] == nil else { return }
                parent[name] = value
                isDone = true
            }
            guard isDone else {
                throw .invalid(path: path, rule: "is a new name in a declared object", value: "")
            }
        }
        if let unknown { root["unknown"] = unknown }
        let new = try Schema(
            json: root,
            numbers: numbers,
            nextFieldNumber: schema.nextFieldNumber,
            limits: limits
        )
        let filling = Self.filling(from: schema, to: new)
        return difference(from: schema, to: filling.isEmpty ? new : new.filling(filling))
    }

    /// What the form of a field's values hangs on; saying what holds already is no change.
    private static func form(of field: JSON) -> [JSON] {
        ["type", "array", "scale", "dimensions"].map { name in
            switch field[name] {
            case nil, .bool(false)?: .null
            case let value?: value
            }
        }
    }

    /// Fields whose default stored documents may lack: it is new or has changed, now or earlier.
    private static func filling(from old: Schema, to new: Schema) -> Set<FieldNumber> {
        var numbers: Set<FieldNumber> = []
        for field in new.fields {
            guard let value = field.definition.defaultValue else { continue }
            let before = old.field(numbered: field.number)?.definition
            if before?.fillsReads == true || before?.defaultValue != value {
                numbers.insert(field.number)
            }
        }
        return numbers
    }

    /// Runs `body` on the `fields` object that holds the last step of `path`, if it exists.
    private func edit(
        _ node: inout JSON,
        path: Substring,
        _ body: (inout JSONObject, String) -> Void
    ) {
        guard var fields = node["fields"]?.object ?? (node.object != nil ? JSONObject() : nil)
        else { return }
        if let dot = path.firstIndex(of: ".") {
            let head = String(path[..<dot])
            guard var child = fields[head] else { return }
            edit(&child, path: path[path.index(after: dot)...], body)
            fields[head] = child
        } else {
            body(&fields, String(path))
        }
        node["fields"] = .object(fields)
    }

    private func difference(from old: Schema, to new: Schema) -> Result {
        var validate: [FieldNumber] = []
        var build: [FieldNumber] = []
        var unique: [FieldNumber] = []
        for field in new.fields {
            let before = old.field(numbered: field.number)
            if field.isStricter(than: before) { validate.append(field.number) }
            let sameForm =
                before.map {
                    $0.hasEntries && $0.definition.isSortable == field.definition.isSortable
                        && $0.definition.isFacet == field.definition.isFacet
                        && $0.definition.filledValue == field.definition.filledValue
                } ?? false
            if field.hasEntries && !sameForm { build.append(field.number) }
            if field.definition.isUnique && before?.definition.isUnique != true {
                unique.append(field.number)
            }
        }
        var drop: [FieldNumber] = []
        var uniqueDrop: [FieldNumber] = []
        for field in old.fields {
            let after = new.field(numbered: field.number)
            if field.hasEntries && after?.hasEntries != true { drop.append(field.number) }
            if field.definition.isUnique && after?.definition.isUnique != true {
                uniqueDrop.append(field.number)
            }
        }
        var strict: [FieldNumber: Field] = [:]
        for field in old.fields where field.vectorOptions != nil {
            // Whoever drops a field and declares it anew gives up its vectors.
            guard !dropped.contains(field.path), let after = new.field(at: field.path),
                after.refusesVectors(of: field)
            else { continue }
            strict[field.number] = after
        }
        return Result(
            schema: new,
            fieldsToValidate: validate,
            mustValidateAll: new.unknown == .refuse && (old.unknown != .refuse || !drop.isEmpty),
            columnsToBuild: build,
            columnsToDrop: drop,
            vectorsToBuild: new.fields.filter { field in
                guard field.hasVectorIndex else { return false }
                return old.field(numbered: field.number)?.vectorOptions?.built
                    != field.vectorOptions?.built
            }.map(\.number),
            vectorsToDrop: old.fields.filter {
                $0.hasVectorIndex && new.field(numbered: $0.number)?.hasVectorIndex != true
            }.map(\.number),
            placesToBuild: new.fields.filter {
                guard $0.hasPlaceIndex else { return false }
                let before = old.field(numbered: $0.number)
                return before?.hasPlaceIndex != true
                    || before?.definition.place != $0.definition.place
            }.map(\.number),
            placesToDrop: old.fields.filter {
                $0.hasPlaceIndex && new.field(numbered: $0.number)?.hasPlaceIndex != true
            }.map(\.number),
            hoursToBuild: new.fields.filter {
                $0.hasHours && old.field(numbered: $0.number)?.hasHours != true
            }.map(\.number),
            hoursToDrop: old.fields.filter {
                $0.hasHours && new.field(numbered: $0.number)?.hasHours != true
            }.map(\.number),
            strictVectors: strict,
            uniqueToBuild: unique,
            uniqueToDrop: uniqueDrop
        )
    }
}

extension FieldDefinition {
    /// What reads fill in where the field is absent.
    fileprivate var filledValue: JSON? { fillsReads ? defaultValue : nil }
}

extension Field {
    /// Whether a value that `old` allowed may break this field's rules. `old` is nil for a new
    /// field: stored documents may hold anything there.
    fileprivate func isStricter(than old: Field?) -> Bool {
        guard let old else { return true }
        let (a, b) = (old.definition, definition)
        return (b.isRequired && !a.isRequired) || (hasEntries && !old.hasEntries)
            || refusesVectors(of: old)
            || (b.minimum?.key ?? .min) > (a.minimum?.key ?? .min)
            || (b.maximum?.key ?? .max) < (a.maximum?.key ?? .max)
            || (b.allowed != nil && b.allowed != a.allowed)
            || (b.place.isFlat != a.place.isFlat)
            || (b.place.radiusPath != nil && b.place.radiusPath != a.place.radiusPath)
    }
}
