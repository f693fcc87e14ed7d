package import Documents
package import Primitives

/// A filter in MongoDB's syntax as a tree of plain values, not yet bound to a schema.
package indirect enum Filter: Sendable, Equatable {
    /// Matches every document: `{}`.
    case all
    case and([Filter])
    case or([Filter])
    case nor([Filter])
    /// All conditions hold for the values at a dotted path.
    case field(path: String, conditions: [Condition])

    /// Whether it is `{}`.
    package var matchesAll: Bool { self == .all }

    /// One operator and its operand.
    package indirect enum Condition: Sendable, Equatable {
        case equal(JSON)
        case notEqual(JSON)
        case less(JSON)
        case lessOrEqual(JSON)
        case greater(JSON)
        case greaterOrEqual(JSON)
        case oneOf([JSON])
        case noneOf([JSON])
        case allOf([JSON])
        /// `$all` whose elements are `$elemMatch`.
        case allMatching([Condition])
        case size(Int)
        case exists(Bool)
        case type(ValueTypes)
        case not([Condition])
        case regex(Regex)
        /// `$near`, `$geoWithin` or `$geoIntersects`.
        case place(PlaceCondition)
        /// `$elemMatch` with a filter for elements that are objects.
        case elementMatches(Filter)
        /// `$elemMatch` with conditions for the elements themselves.
        case elementIs([Condition])
    }
}

/// A set of value types as `$type` names them.
///
/// JSON has one kind of number. Here `int` is an integer that fits 32 bits, `long` one that fits 64
/// but not 32, `double` a number with point or exponent, `decimal` a larger integer or any value of
/// a field declared decimal; `date` is any value of a field declared datetime.
package struct ValueTypes: OptionSet, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let double = ValueTypes(rawValue: 1)
    package static let string = ValueTypes(rawValue: 2)
    package static let object = ValueTypes(rawValue: 4)
    package static let array = ValueTypes(rawValue: 8)
    package static let bool = ValueTypes(rawValue: 16)
    package static let null = ValueTypes(rawValue: 32)
    package static let int = ValueTypes(rawValue: 64)
    package static let long = ValueTypes(rawValue: 128)
    package static let decimal = ValueTypes(rawValue: 256)
    package static let date = ValueTypes(rawValue: 512)
    package static let number: ValueTypes = [.double, .int, .long, .decimal]

    /// The type with MongoDB's name or number; nil for one that JSON does not have.
    init?(_ json: JSON) {
        switch json {
        case .string("double"): self = .double
        case .string("string"): self = .string
        case .string("object"): self = .object
        case .string("array"): self = .array
        case .string("bool"): self = .bool
        case .string("date"): self = .date
        case .string("null"): self = .null
        case .string("int"): self = .int
        case .string("long"): self = .long
        case .string("decimal"): self = .decimal
        case .string("number"): self = .number
        case .number(let number):
            let known: [Int64: ValueTypes] = [
                1: .double, 2: .string, 3: .object, 4: .array, 8: .bool, 9: .date, 10: .null,
                16: .int, 18: .long, 19: .decimal,
            ]
            guard let type = number.int64.flatMap({ known[$0] }) else { return nil }
            self = type
        case .string, .null, .bool, .array, .object: return nil
        }
    }

    /// The type of a value on the tape, declarations aside.
    @inline(__always)
    static func of(_ value: TapeValue) -> ValueTypes {
        switch value.kind {
        case .null: .null
        case .bool: .bool
        case .string: .string
        case .array: .array
        case .object: .object
        case .number:
            if let int = value.int64 {
                Int32(exactly: int) != nil ? .int : .long
            } else {
                value.isInteger ? .decimal : .double
            }
        }
    }
}

extension Filter {
    /// Reads a filter. Complexity: linear.
    ///
    /// Throws ``QueryError``: `invalid` for unknown operators and malformed operands, `limit`
    /// beyond the bounds on depth and on operators, `needsIndex` for operators of words.
    package init(parsing json: JSON, limits: Limits = Limits()) throws(QueryError) {
        var parser = FilterParser(limits: limits)
        self = try parser.filter(json, path: "", depth: 0)
        guard parser.nearCount > 0 else { return }
        guard parser.nearCount == 1, topNear != nil else {
            throw .invalid(
                path: "$near",
                rule: "stands once, and at the top of a filter or in $and: it orders the hits",
                value: "")
        }
    }

    /// The `$near` at the top of the filter, and the path that it is about.
    var topNear: (path: String, near: NearCondition)? {
        switch self {
        case .and(let parts):
            for part in parts {
                if let found = part.topNear { return found }
            }
            return nil
        case .field(let path, let conditions):
            for case .place(let condition) in conditions {
                if case .near(let near) = condition.kind { return (path, near) }
            }
            return nil
        case .all, .or, .nor: return nil
        }
    }
}
