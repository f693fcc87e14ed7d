/// Why a schema or a change of one was refused. Every case is a user's mistake.
package enum SchemaError: Error, Equatable, Sendable {
    /// A definition at `path` breaks `rule`; `value` is the JSON text that was given.
    case invalid(path: String, rule: String, value: String)
    /// A change names a field that is not declared.
    case unknownField(path: String)
    /// More of something than the server allows.
    case limit(name: String, maximum: Int)

    /// One line for people: path, rule and value.
    package var message: String {
        switch self {
        case .invalid(let path, let rule, let value):
            value.isEmpty ? "\(path): \(rule)" : "\(path): \(rule), got \(value)"
        case .unknownField(let path): "\(path): is not a declared field"
        case .limit(let name, let maximum): "\(name): at most \(maximum)"
        }
    }
}

/// Why a document was refused: the place, the rule it breaks and the value found there.
///
/// `path` is dotted with array indexes (`items.2.sku`), empty for the document itself. `value` is
/// JSON text, cut to about 100 bytes; empty where there is none.
package struct ValidationError: Error, Equatable, Sendable {
    package var path: String
    package let rule: String
    package let value: String

    /// An error at `path`.
    package init(path: String, rule: String, value: String) {
        self.path = path
        self.rule = rule
        self.value = value
    }

    /// One line for people.
    package var message: String {
        let place = path.isEmpty ? "document" : path
        return value.isEmpty ? "\(place): \(rule)" : "\(place): \(rule), got \(value)"
    }

    func prefixed(by step: String) -> ValidationError {
        ValidationError(path: path.isEmpty ? step : step + "." + path, rule: rule, value: value)
    }
}
