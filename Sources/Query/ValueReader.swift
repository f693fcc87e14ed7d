import Documents
import Schema

/// How the values at a path are read: by the declared type, or as the JSON they are.
enum ValueReader: Sendable, Equatable {
    case int, float, bool, datetime
    case decimal(scale: Int)
    /// Keyword, text and `_id`.
    case bytes
    /// Undeclared, or a type without an order of its own.
    case json

    init(_ type: FieldType?) {
        switch type {
        case .int?: self = .int
        case .float?: self = .float
        case .bool?: self = .bool
        case .datetime?: self = .datetime
        case .decimal(let scale)?: self = .decimal(scale: scale)
        case .keyword?, .text?: self = .bytes
        case .geopoint?, .geoshape?, .vector?, .hours?, .object?, .json?, nil: self = .json
        }
    }

    /// Whether values are keys.
    var isNumeric: Bool { self != .bytes && self != .json }

    /// The key of a stored value, nil when it has another type.
    @inline(__always)
    func key(of value: TapeValue) -> Int64? {
        switch self {
        case .int:
            if let int = value.int64 { return int }
            guard value.kind == .number else { return nil }
            return try? ScaledDecimal.parse(value.numberText, scale: 0)
        case .float: return value.kind == .number ? OrderedKey.key(value.double) : nil
        case .bool: return value.kind == .bool ? (value.bool ? 1 : 0) : nil
        case .datetime: return try? DateTime.parse(value)
        case .decimal(let scale):
            switch value.kind {
            case .number: return try? ScaledDecimal.parse(value.numberText, scale: scale)
            case .string: return try? ScaledDecimal.parse(value.stringBytes, scale: scale)
            case .null, .bool, .array, .object: return nil
            }
        case .bytes, .json: return nil
        }
    }

    /// The types that a value has by its declaration, beside its JSON type.
    func declaredTypes(of value: TapeValue) -> ValueTypes {
        switch (self, value.kind) {
        case (.decimal, .number), (.decimal, .string): .decimal
        case (.datetime, .number), (.datetime, .string): .date
        case (.int, _), (.float, _), (.bool, _), (.bytes, _), (.json, _), (.decimal, _),
            (.datetime, _):
            []
        }
    }
}
