package import Documents

/// The parameters of a command: `PARAMS {json}` and `BLOB name <bytes>`.
///
/// With at least one of them given, a string value that is exactly `$name` is replaced; keys are
/// not, and what was put in is not looked at again. `{"$literal": v}` stands for v as it is,
/// always.
package struct Params: Sendable {
    private let values: [String: Value]
    private let isActive: Bool

    /// A parameter's value.
    package enum Value: Sendable {
        case json(JSON)
        case blob([UInt8])
    }

    /// No parameters: `$x` is plain text.
    package static let none = Params()

    private init() {
        values = [:]
        isActive = false
    }

    /// - Parameters:
    ///   - json: the object behind `PARAMS`, nil when absent.
    ///   - blobs: names and bytes behind each `BLOB`.
    /// - Throws: ``QueryError`` for a bad name, a name given twice, anything but an object.
    package init(json: JSON?, blobs: [(name: String, bytes: [UInt8])]) throws(QueryError) {
        var values: [String: Value] = [:]
        if let json {
            guard case .object(let object) = json else {
                throw .invalid(path: "PARAMS", rule: "is an object", value: shortened(json.text))
            }
            for (name, value) in object.members { values[name] = .json(value) }
        }
        for (name, bytes) in blobs {
            guard values.updateValue(.blob(bytes), forKey: name) == nil else {
                throw .syntax(option: "BLOB", rule: "\(name) is given once")
            }
        }
        for name in values.keys.sorted() where !Params.isIdentifier(name[...]) {
            throw .invalid(path: "PARAMS", rule: "a name is an identifier", value: shortened(name))
        }
        self.values = values
        isActive = json != nil || !blobs.isEmpty
    }

    private static func isIdentifier(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, first < 48 || first > 57 else { return false }
        return text.utf8.allSatisfy { c in
            (c | 32 >= 97 && c | 32 <= 122) || (c >= 48 && c <= 57) || c == 95
        }
    }

    /// The JSON with parameters put in. A blob becomes base64 text, which vector fields read.
    ///
    /// Throws ``QueryError`` `invalid` for a name that is not given. Complexity: linear.
    package func substitute(_ json: JSON) throws(QueryError) -> JSON {
        switch json {
        case .null, .bool, .number: return json
        case .string(let text):
            guard isActive, text.utf8.first == UInt8(ascii: "$"),
                Params.isIdentifier(text.dropFirst())
            else { return json }
            switch try value(ofName: String(text.dropFirst())) {
            case .json(let value): return value
            case .blob(let bytes): return .string(Base64Text.encode(bytes, isURL: false))
            }
        case .array(let items):
            var result: [JSON] = []
            result.reserveCapacity(items.count)
            for item in items { result.append(try substitute(item)) }
            return .array(result)
        case .object(let object):
            if object.count == 1, object.members[0].key == "$literal" {
                return object.members[0].value
            }
            var result: [(key: String, value: JSON)] = []
            for (key, value) in object.members {
                result.append((key: key, value: try substitute(value)))
            }
            return .object(JSONObject(result))
        }
    }

    /// The parameter that an option's value names, nil if the value does not begin with `$`.
    ///
    /// Throws ``QueryError`` `invalid` for a name that is not given.
    package func option(_ text: String) throws(QueryError) -> Value? {
        guard text.utf8.first == UInt8(ascii: "$") else { return nil }
        return try value(ofName: String(text.dropFirst()))
    }

    private func value(ofName name: String) throws(QueryError) -> Value {
        guard let value = values[name] else {
            throw .invalid(
                path: "PARAMS",
                rule: "has no parameter \(shortened(name))",
                value: ""
            )
        }
        return value
    }
}
