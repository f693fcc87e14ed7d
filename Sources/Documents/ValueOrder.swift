import Glibc

/// The order of values across types, as MongoDB has it:
/// absent and null < numbers < strings < objects < arrays < booleans.
///
/// Numbers compare exactly by value whatever their text (`1`, `1.0` and `1e0` are equal; 64 bits
/// are no bound), strings by UTF-8 bytes, objects member by member in their order (type, then key,
/// then value), arrays element by element, a prefix before the longer one. All functions answer
/// below 0, 0 or above 0.
package enum ValueOrder {
    /// The rank of a type; equal ranks compare by value. Null and absent are 0.
    @inlinable
    package static func rank(_ kind: TapeValue.Kind) -> Int {
        switch kind {
        case .null: 0
        case .number: 1
        case .string: 2
        case .object: 3
        case .array: 4
        case .bool: 5
        }
    }

    /// The rank of a tree's type: see ``rank(_:)-(TapeValue.Kind)``.
    package static func rank(_ value: JSON) -> Int { rank(value.kind) }

    /// Compares bytes as unsigned, a prefix before the longer one.
    package static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        let common = min(a.count, b.count)
        if common > 0, let first = a.baseAddress, let second = b.baseAddress {
            let order = memcmp(first, second, common)
            if order != 0 { return Int(order) }
        }
        return a.count - b.count
    }

    /// Compares two values of parsed documents; nil is absent and orders as null. No allocation.
    package static func compare(_ a: TapeValue?, _ b: TapeValue?) -> Int {
        switch (a, b) {
        case (let a?, let b?): compare(a, b)
        case (let a?, nil): rank(a.kind)
        case (nil, let b?): -rank(b.kind)
        case (nil, nil): 0
        }
    }

    /// Compares two values of parsed documents. No allocation.
    /// - Complexity: O(bytes).
    package static func compare(_ a: TapeValue, _ b: TapeValue) -> Int {
        let kind = a.kind
        guard kind == b.kind else { return rank(kind) - rank(b.kind) }
        switch kind {
        case .null: return 0
        case .bool: return (a.bool ? 1 : 0) - (b.bool ? 1 : 0)
        case .number:
            if let x = a.int64, let y = b.int64 { return x < y ? -1 : x > y ? 1 : 0 }
            return compareNumbers(a.rawText, b.rawText)
        case .string: return compare(a.stringBytes, b.stringBytes)
        case .array, .object: return compareChildren(a, b)
        }
    }

    private static func compareChildren(_ a: TapeValue, _ b: TapeValue) -> Int {
        var first = a.children
        var second = b.children
        while true {
            switch (first.next(), second.next()) {
            case (nil, nil): return 0
            case (nil, _): return -1
            case (_, nil): return 1
            case (let x?, let y?):
                let types = rank(x.value.kind) - rank(y.value.kind)
                if types != 0, a.kind == .object { return types }
                let keys = compare(x.key, y.key)
                if keys != 0 { return keys }
                let order = compare(x.value, y.value)
                if order != 0 { return order }
            }
        }
    }

    /// Compares number texts of the JSON grammar exactly; a text outside of it orders first.
    package static func compareNumbers(
        _ a: UnsafeRawBufferPointer,
        _ b: UnsafeRawBufferPointer
    ) -> Int {
        switch (NumberText(a), NumberText(b)) {
        case (let x?, let y?): NumberText.compare(x, y)
        case (nil, nil): 0
        case (nil, _): -1
        case (_, nil): 1
        }
    }

    /// Compares a value of a parsed document with a tree's. No allocation for native strings.
    package static func compare(_ a: TapeValue, _ b: JSON) -> Int {
        let kind = a.kind
        switch b {
        case .number(let number) where kind == .number:
            return compare(a, number)
        case .string(let string) where kind == .string:
            return withBytes(string) { compare(a.stringBytes, $0) }
        case .bool(let bool) where kind == .bool:
            return (a.bool ? 1 : 0) - (bool ? 1 : 0)
        case .array(let elements) where kind == .array:
            var index = 0
            for child in a.children {
                guard index < elements.count else { return 1 }
                let order = compare(child.value, elements[index])
                if order != 0 { return order }
                index += 1
            }
            return index - elements.count
        case .object(let object) where kind == .object:
            var index = 0
            for child in a.children {
                guard index < object.members.count else { return 1 }
                let member = object.members[index]
                let types = rank(child.value.kind) - rank(member.value)
                if types != 0 { return types }
                let keys = withBytes(member.key) { compare(child.key, $0) }
                if keys != 0 { return keys }
                let order = compare(child.value, member.value)
                if order != 0 { return order }
                index += 1
            }
            return index - object.members.count
        default:
            return rank(kind) - rank(b)
        }
    }

    private static func compare(_ a: TapeValue, _ b: JSONNumber) -> Int {
        if let x = a.int64, let y = b.int64 { return x < y ? -1 : x > y ? 1 : 0 }
        return withBytes(b.text) { compareNumbers(a.rawText, $0) }
    }

    /// Compares two trees.
    package static func compare(_ a: JSON, _ b: JSON) -> Int {
        switch (a, b) {
        case (.number(let x), .number(let y)):
            return compare(x, y)
        case (.string(let x), .string(let y)):
            return compareStrings(x, y)
        case (.bool(let x), .bool(let y)):
            return (x ? 1 : 0) - (y ? 1 : 0)
        case (.array(let x), .array(let y)):
            for (first, second) in zip(x, y) {
                let order = compare(first, second)
                if order != 0 { return order }
            }
            return x.count - y.count
        case (.object(let x), .object(let y)):
            for (first, second) in zip(x.members, y.members) {
                let types = rank(first.value) - rank(second.value)
                if types != 0 { return types }
                let keys = compareStrings(first.key, second.key)
                if keys != 0 { return keys }
                let order = compare(first.value, second.value)
                if order != 0 { return order }
            }
            return x.members.count - y.members.count
        default:
            return rank(a) - rank(b)
        }
    }

    /// Compares two numbers exactly.
    package static func compare(_ a: JSONNumber, _ b: JSONNumber) -> Int {
        if let x = a.int64, let y = b.int64 { return x < y ? -1 : x > y ? 1 : 0 }
        return withBytes(a.text) { first in withBytes(b.text) { compareNumbers(first, $0) } }
    }

    /// Compares strings by UTF-8 bytes; Swift's own order is by canonical equivalence.
    package static func compareStrings(_ a: String, _ b: String) -> Int {
        withBytes(a) { first in withBytes(b) { compare(first, $0) } }
    }
}

/// Lends the UTF-8 of a string; copies only strings that are not native.
@inlinable
package func withBytes<Result>(
    _ string: String,
    _ body: (UnsafeRawBufferPointer) -> Result
) -> Result {
    var string = string
    return string.withUTF8 { body(UnsafeRawBufferPointer($0)) }
}
