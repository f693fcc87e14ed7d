/// What an operation of the engine can answer instead of a result.
///
/// Each case maps to one error code of the protocol. `retryable` cases say so in their text.
package struct EngineError: Error, Equatable, Sendable {
    /// The protocol's error codes.
    package enum Code: String, Sendable {
        case syntax = "SYNTAX"
        case invalid = "INVALID"
        case notFound = "NOTFOUND"
        case duplicate = "DUPLICATE"
        case conflict = "CONFLICT"
        case noVector = "NOVECTOR"
        case noIndex = "NOINDEX"
        case gap = "GAP"
        case timeout = "TIMEOUT"
        case busy = "BUSY"
        case limit = "LIMIT"
        case readOnly = "READONLY"
        case full = "FULL"
        case corrupt = "CORRUPT"
        case loading = "LOADING"
        case execAbort = "EXECABORT"
        case noHistory = "NOHISTORY"
        case cancelled = "CANCELLED"
        case noPermission = "NOPERM"
        case generic = "ERR"
    }

    package let code: Code
    /// The field, option or name that the error is about; may be empty.
    package let path: String
    /// What is wrong.
    package let text: String
    /// What to do about it; may be empty.
    package let hint: String

    package init(_ code: Code, _ path: String, _ text: String, hint: String = "") {
        self.code = code
        self.path = path
        self.text = text
        self.hint = hint
    }

    /// A schema that changed while a lookup was carried out: it can be begun anew.
    static func schemaChanged(_ collection: String) -> EngineError {
        EngineError(.busy, collection, schemaChangedText, hint: "send it again")
    }

    /// A lookup's collection is not there any more: dropped, or another has its name, since a
    /// restore mostly, and the lookup may begin anew.
    static func gone(_ view: CollectionView, in catalog: Catalog) -> EngineError {
        catalog.collections[view.name] == nil
            ? EngineError(.notFound, view.name, "the collection has been dropped")
            : .schemaChanged(view.name)
    }

    package var isSchemaChange: Bool { code == .busy && text == Self.schemaChangedText }

    private static let schemaChangedText = "the schema changed meanwhile"

    /// What an operation answers whose connection or server is gone.
    package static let cancelled = EngineError(.cancelled, "", "the server is stopping")

    /// One line: `CODE path: text; hint`.
    package var line: String {
        var line = code.rawValue
        line += path.isEmpty ? " " : " \(path): "
        line += text
        if !hint.isEmpty { line += "; \(hint)" }
        return line
    }

    /// The same error with `#n ` at the start of its text: the n-th command of a transaction.
    package func numbered(_ n: Int) -> EngineError {
        EngineError(code, "", "#\(n) " + (path.isEmpty ? text : "\(path): \(text)"), hint: hint)
    }
}
