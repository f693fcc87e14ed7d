package import Documents
package import Schema

/// One sort key's value, owned: for cursors, heaps and columns.
///
/// Order: empty array, then null and absent, then the rest. `key` and `bytes` stand for declared
/// fields, `json` for the others; one sort key never mixes them.
package enum SortKeyValue: Sendable, Equatable {
    case emptyArray
    case null
    /// A column's key: see ``OrderedKey``.
    case key(Int64)
    case bytes([UInt8])
    case json(JSON)

    private var rank: Int {
        switch self {
        case .emptyArray: 0
        case .null: 1
        case .key: 2
        case .bytes: 3
        case .json: 4
        }
    }

    /// Below 0, 0 or above 0, ascending. Complexity: O(bytes).
    package static func compare(_ a: SortKeyValue, _ b: SortKeyValue) -> Int {
        switch (a, b) {
        case (.key(let x), .key(let y)): x < y ? -1 : x > y ? 1 : 0
        case (.bytes(let x), .bytes(let y)):
            x.withUnsafeBytes { x in y.withUnsafeBytes { ValueOrder.compare(x, $0) } }
        case (.json(let x), .json(let y)): ValueOrder.compare(x, y)
        default: a.rank - b.rank
        }
    }
}

/// Reads one sort key's value from documents: the path, the declared type and the direction.
///
/// As in MongoDB an array counts by its least element ascending and by its greatest descending;
/// missing branches count as null.
package struct SortKeyReader: Sendable {
    package let path: String
    package let isDescending: Bool
    /// The field declared at the path.
    package let field: Field?
    /// Whether the key is the document's id.
    package let isID: Bool
    private let reader: ValueReader
    private let steps: [[UInt8]]
    private let indexes: [Int]

    /// A reader for one key of a ``SortSpec``.
    package init(_ key: SortSpec.Key, schema: Schema) {
        path = key.path
        isDescending = key.isDescending
        isID = key.path == "_id"
        field = isID ? nil : schema.field(at: key.path)
        reader = isID ? .bytes : ValueReader(field?.type)
        steps = key.path.split(separator: ".").map { Array($0.utf8) }
        indexes = key.path.split(separator: ".").map { step in
            step == "0" || step.utf8.first != UInt8(ascii: "0") ? Int(step) ?? -1 : -1
        }
    }

    /// A value on the tape with its order, valid as long as the tape.
    private enum Found {
        case emptyArray
        case null
        case key(Int64)
        case value(TapeValue)
    }

    /// The document's value. Complexity: O(members and elements passed).
    package func value(_ document: TapeValue, id: UnsafeRawBufferPointer) -> SortKeyValue {
        if isID { return .bytes(Array(id)) }
        var best: Found?
        collect(document, step: 0, into: &best)
        return owned(best ?? .null)
    }

    private func owned(_ found: Found) -> SortKeyValue {
        switch found {
        case .emptyArray: .emptyArray
        case .null: .null
        case .key(let key): .key(key)
        case .value(let value):
            reader == .bytes ? .bytes(Array(value.stringBytes)) : .json(value.json)
        }
    }

    private func collect(_ value: TapeValue, step: Int, into best: inout Found?) {
        guard step < steps.count else { return leaf(value, into: &best) }
        switch value.kind {
        case .object:
            if let child = steps[step].withUnsafeBytes({ value.member($0) }) {
                collect(child, step: step + 1, into: &best)
            } else {
                take(.null, into: &best)
            }
        case .array:
            if indexes[step] >= 0, let element = value.element(indexes[step]) {
                return collect(element, step: step + 1, into: &best)
            }
            if value.count == 0 { take(.null, into: &best) }
            var children = value.children
            while let child = children.next() {
                if child.value.kind == .object {
                    collect(child.value, step: step, into: &best)
                } else {
                    take(.null, into: &best)
                }
            }
        case .null, .bool, .number, .string: take(.null, into: &best)
        }
    }

    private func leaf(_ value: TapeValue, into best: inout Found?) {
        guard value.kind == .array else { return take(scalar(value), into: &best) }
        if value.count == 0 { return take(.emptyArray, into: &best) }
        var children = value.children
        while let child = children.next() { take(scalar(child.value), into: &best) }
    }

    private func scalar(_ value: TapeValue) -> Found {
        if value.isNull { return .null }
        switch reader {
        case .json: return .value(value)
        case .bytes: return value.kind == .string ? .value(value) : .null
        case .int, .float, .bool, .datetime, .decimal:
            return reader.key(of: value).map(Found.key) ?? .null
        }
    }

    private func take(_ candidate: Found, into best: inout Found?) {
        guard let current = best else {
            best = candidate
            return
        }
        let order = SortKeyReader.compare(candidate, current)
        if isDescending ? order > 0 : order < 0 { best = candidate }
    }

    private static func compare(_ a: Found, _ b: Found) -> Int {
        func rank(_ found: Found) -> Int {
            switch found {
            case .emptyArray: 0
            case .null: 1
            case .key, .value: 2
            }
        }
        switch (a, b) {
        case (.key(let x), .key(let y)): return x < y ? -1 : x > y ? 1 : 0
        case (.value(let x), .value(let y)): return ValueOrder.compare(x, y)
        default: return rank(a) - rank(b)
        }
    }
}

/// Compares whole sort keys, ties by id.
package struct SortOrder: Sendable {
    package let keys: [SortKeyReader]

    /// The order of a spec.
    package init(_ spec: SortSpec, schema: Schema) {
        keys = spec.keys.map { SortKeyReader($0, schema: schema) }
    }

    /// A document's values, one per key.
    package func values(_ document: TapeValue, id: UnsafeRawBufferPointer) -> [SortKeyValue] {
        keys.map { $0.value(document, id: id) }
    }

    /// Below 0 when `a` comes before `b`. REQUIRES: one value per key.
    package func compare(
        _ a: [SortKeyValue],
        id aID: UnsafeRawBufferPointer,
        _ b: [SortKeyValue],
        id bID: UnsafeRawBufferPointer
    ) -> Int {
        precondition(a.count == keys.count && b.count == keys.count, "one value per key")
        for index in keys.indices {
            let order = SortKeyValue.compare(a[index], b[index])
            if order != 0 { return keys[index].isDescending ? -order : order }
        }
        return ValueOrder.compare(aID, bID)
    }
}
