/// Why a query was refused. Every case is a user's mistake.
package enum QueryError: Error, Equatable, Sendable {
    /// The words of an option do not make sense (`SYNTAX`).
    case syntax(option: String, rule: String)
    /// A value is wrong (`INVALID`): where, which rule, and its JSON text, cut short.
    case invalid(path: String, rule: String, value: String)
    /// A bound was crossed (`LIMIT`).
    case limit(name: String, maximum: Int)
    /// The operator needs an index that the field does not have (`NOINDEX`).
    case needsIndex(path: String, operation: String)

    /// One line for people.
    package var message: String {
        switch self {
        case .syntax(let option, let rule): "\(option): \(rule)"
        case .invalid(let path, let rule, let value):
            value.isEmpty ? "\(path): \(rule)" : "\(path): \(rule), got \(value)"
        case .limit(let name, let maximum): "\(name): at most \(maximum)"
        case .needsIndex(let path, let operation): "\(path): \(operation) needs an index"
        }
    }
}

/// A text for a message, cut to about 100 bytes.
func shortened(_ text: String) -> String {
    text.utf8.count <= 100 ? text : String(text.prefix(90)) + "…"
}
