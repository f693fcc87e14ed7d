/// What a CSV cell of a column becomes in JSON.
package enum FieldKind: Sendable, Equatable {
    /// A number where the text is one, a string otherwise: the server then says what is wrong.
    case number
    /// `true` or `false`.
    case bool
    /// RFC 3339 text, or milliseconds where the text is an integer.
    case datetime
    /// Text as it is.
    case string
    /// JSON where the text begins with `{` or `[`, text otherwise.
    case json
}

/// A column's kind and whether a cell holds many values.
package struct FieldType: Sendable, Equatable {
    package var kind: FieldKind
    /// Values are parted by `|`, or written as a JSON array.
    package var isArray: Bool

    package init(kind: FieldKind, isArray: Bool = false) {
        self.kind = kind
        self.isArray = isArray
    }
}

/// The types of a collection's fields by path, read from a schema.
package struct FieldTypes: Sendable {
    /// Types by dotted path.
    package private(set) var byPath: [String: FieldType] = [:]
    /// The types' names in the schema, by path; those of the items for arrays.
    private var namesByPath: [String: String] = [:]

    /// No field is declared.
    package init() {}

    /// Reads a schema as `CREATE` takes it and `DESCRIBE` gives it back.
    ///
    /// Looks for `fields` at the top or under `schema` or `definition`. What is not understood is
    /// taken for text: a CSV cell then stays a string.
    package init(schema text: [UInt8]) {
        text.withUnsafeBytes { text in
            if let fields = Self.object("fields", in: text) {
                add(fields, prefix: "")
                return
            }
            for name in ["schema", "definition"] {
                guard let inner = Self.object(name, in: text),
                    let fields = Self.object("fields", in: inner)
                else { continue }
                return add(fields, prefix: "")
            }
        }
    }

    /// The type of a column; text when it is not declared.
    package subscript(path: String) -> FieldType {
        byPath[path] ?? FieldType(kind: .string)
    }

    /// The paths of the fields that have a type of this name and hold one value.
    func names(of type: String) -> [String] {
        namesByPath.keys.filter { namesByPath[$0] == type && byPath[$0]?.isArray != true }
    }

    private static func object(_ key: String, in text: UnsafeRawBufferPointer)
        -> UnsafeRawBufferPointer?
    {
        guard let found = JSONMember.find(Array(key.utf8), in: text), found.kind == .object else {
            return nil
        }
        return UnsafeRawBufferPointer(rebasing: text[found.value])
    }

    private mutating func add(_ fields: UnsafeRawBufferPointer, prefix: String) {
        for (key, member) in JSONMember.all(in: fields) where member.kind == .object {
            let field = UnsafeRawBufferPointer(rebasing: fields[member.value])
            let path = prefix + key
            var type = "object"
            if let found = JSONMember.find(Array("type".utf8), in: field) {
                type = String(decoding: field[found.value], as: UTF8.self)
            }
            var isArray = type == "array"
            if isArray, let items = Self.object("items", in: field) {
                type = "object"
                if let found = JSONMember.find(Array("type".utf8), in: items) {
                    type = String(decoding: items[found.value], as: UTF8.self)
                }
            }
            if let found = JSONMember.find(Array("array".utf8), in: field) {
                isArray = field[found.value].elementsEqual("true".utf8)
            }
            namesByPath[path] = type
            byPath[path] = FieldType(kind: Self.kind(type), isArray: isArray)
            for name in ["fields", "properties"] {
                if let inner = Self.object(name, in: field) { add(inner, prefix: path + ".") }
            }
        }
    }

    private static func kind(_ type: String) -> FieldKind {
        switch type {
        case "int", "integer", "float", "double", "decimal", "number": .number
        case "bool", "boolean": .bool
        case "datetime": .datetime
        case "keyword", "text", "string": .string
        default: .json
        }
    }
}
