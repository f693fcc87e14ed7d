/// A JSON value as a tree of plain values: for filters, updates, schemas and replies.
///
/// Documents on the hot path are never made into trees: see ``TapeValue``. Objects keep the order
/// of their keys; numbers keep their source text. Equality is by value: numbers whatever their text
/// (`1` = `1.0`), strings by their bytes, objects with the same members in the same order.
package enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSON])
    case object(JSONObject)

    /// Parses one document.
    /// - Throws: `JSONError`: see ``JSONParser/parse(_:depthMax:)``.
    package init(parsing text: String, depthMax: Int = 64) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), depthMax: depthMax)
    }

    /// Parses one document.
    /// - Throws: `JSONError`: see ``JSONParser/parse(_:depthMax:)``.
    package init(parsing bytes: [UInt8], depthMax: Int = 64) throws(JSONError) {
        let parser = JSONParser()
        self = try parser.parse(bytes, depthMax: depthMax).json
    }

    /// Equality by value: see the type.
    package static func == (a: JSON, b: JSON) -> Bool { ValueOrder.compare(a, b) == 0 }

    /// The value's type.
    package var kind: TapeValue.Kind {
        switch self {
        case .null: .null
        case .bool: .bool
        case .number: .number
        case .string: .string
        case .array: .array
        case .object: .object
        }
    }

    /// A number.
    package static func int(_ value: Int64) -> JSON { .number(JSONNumber(value)) }

    /// A number in its shortest form that reads back equal; null for NaN and infinities.
    package static func double(_ value: Double) -> JSON {
        JSONNumber(value).map(JSON.number) ?? .null
    }

    /// The members of an object.
    package var object: JSONObject? {
        if case .object(let object) = self { object } else { nil }
    }

    /// The elements of an array.
    package var array: [JSON]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// The text of a string.
    package var string: String? {
        if case .string(let string) = self { string } else { nil }
    }

    /// A number.
    package var number: JSONNumber? {
        if case .number(let number) = self { number } else { nil }
    }

    /// A boolean.
    package var bool: Bool? {
        if case .bool(let bool) = self { bool } else { nil }
    }

    /// A number that is written as an integer and fits.
    package var int64: Int64? { number?.int64 }

    /// Whether the value is `null`.
    package var isNull: Bool {
        if case .null = self { true } else { false }
    }

    /// The value of an object's member; nil when absent or no object. Setting nil removes; setting
    /// on anything but an object does nothing.
    /// - Complexity: O(members).
    package subscript(_ key: String) -> JSON? {
        get { object?[key] }
        set {
            guard case .object(var object) = self else { return }
            object[key] = newValue
            self = .object(object)
        }
    }

    /// An array's element; nil beyond its end or when this is no array.
    package subscript(_ index: Int) -> JSON? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// Levels of arrays and objects: 0 for a scalar, 1 for `[]`.
    package var depth: Int {
        switch self {
        case .null, .bool, .number, .string: 0
        case .array(let elements): 1 + elements.reduce(0) { max($0, $1.depth) }
        case .object(let object): 1 + object.members.reduce(0) { max($0, $1.value.depth) }
        }
    }
}

/// The members of a JSON object in their order. Keys are unique.
package struct JSONObject: Sendable, Equatable {
    package var members: [(key: String, value: JSON)]

    package init(_ members: [(key: String, value: JSON)] = []) { self.members = members }

    /// Same keys and equal values in the same order.
    package static func == (a: JSONObject, b: JSONObject) -> Bool {
        ValueOrder.compare(.object(a), .object(b)) == 0
    }

    /// Members.
    package var count: Int { members.count }

    /// Whether there are no members.
    package var isEmpty: Bool { members.isEmpty }

    /// The position of a member; keys are compared by their bytes.
    /// - Complexity: O(members).
    package func index(of key: String) -> Int? {
        // Swift's equality is fast but by canonical equivalence, so equal ones are checked by
        // bytes.
        members.firstIndex { $0.key == key && $0.key.utf8.elementsEqual(key.utf8) }
    }

    /// A member's value. Setting replaces in place or appends; setting nil removes.
    /// - Complexity: O(members).
    package subscript(_ key: String) -> JSON? {
        get { index(of: key).map { members[$0].value } }
        set {
            switch (index(of: key), newValue) {
            case (let index?, let value?): members[index].value = value
            case (let index?, nil): members.remove(at: index)
            case (nil, let value?): members.append((key: key, value: value))
            case (nil, nil): break
            }
        }
    }

    /// Removes a member and returns its value, nil when absent.
    @discardableResult
    package mutating func remove(_ key: String) -> JSON? {
        index(of: key).map { members.remove(at: $0).value }
    }
}

/// A JSON number: its source text, read on demand as Int64, Double or exact decimal.
package struct JSONNumber: Sendable, Equatable {
    /// Matches the JSON grammar of numbers.
    package let text: String

    /// REQUIRES: the text matches the JSON grammar of numbers.
    package init(validText text: String) { self.text = text }

    /// A number of the JSON grammar; nil for any other text.
    package init?(_ text: String) {
        guard withBytes(text, { NumberText($0) != nil }) else { return nil }
        self.text = text
    }

    /// An integer.
    package init(_ value: Int64) { text = String(value) }

    /// The shortest text that reads back equal; nil for NaN and infinities, which JSON lacks.
    package init?(_ value: Double) {
        guard value.isFinite else { return nil }
        text = value.description
    }

    /// Equality by value: `1`, `1.0` and `1e0` are equal.
    package static func == (a: JSONNumber, b: JSONNumber) -> Bool { ValueOrder.compare(a, b) == 0 }

    /// The value of a number that is written without point and exponent and fits.
    package var int64: Int64? { Int64(text) }

    /// Whether the number is written without point and exponent.
    package var isInteger: Bool {
        text.utf8.allSatisfy { $0 != 0x2E && $0 | 0x20 != 0x65 }
    }

    /// The nearest double; beyond the range ±infinity.
    package var double: Double { Double(text) ?? .nan }
}
