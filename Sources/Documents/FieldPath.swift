/// Why a text is not a field path.
package enum FieldPathError: Error, Equatable, Sendable {
    case empty
    /// Two points in a row, or one at an end.
    case emptyStep(path: String)
    /// A step that begins with `$`, which belongs to operators.
    case dollar(path: String)
    /// More steps than documents may have levels.
    case tooDeep(path: String, maximum: Int)
}

/// The way to values in a document: steps separated by points, `variants.0.color`.
package struct FieldPath: Sendable, Hashable {
    /// Steps of a path.
    package static let stepCountMax = 64

    /// The path as written.
    package let text: String
    /// The unescaped keys one after the other, without points.
    private let bytes: [UInt8]
    private let steps: [Step]

    private struct Step: Sendable, Hashable {
        let start: Int
        let end: Int
        /// The array index that the step may mean, -1 when it is no canonical number.
        let index: Int
    }

    /// Parses a path.
    /// - Throws: `FieldPathError`.
    package init(_ text: String) throws(FieldPathError) {
        guard !text.isEmpty else { throw .empty }
        var bytes: [UInt8] = []
        var steps: [Step] = []
        for part in text.utf8.split(separator: 0x2E, omittingEmptySubsequences: false) {
            guard let first = part.first else { throw .emptyStep(path: text) }
            guard first != 0x24 else { throw .dollar(path: text) }
            guard steps.count < Self.stepCountMax else {
                throw .tooDeep(path: text, maximum: Self.stepCountMax)
            }
            let start = bytes.count
            bytes.append(contentsOf: part)
            steps.append(Step(start: start, end: bytes.count, index: Self.arrayIndex(part)))
        }
        self.text = text
        self.bytes = bytes
        self.steps = steps
    }

    /// A decimal without leading zeros of at most 9 digits, else -1.
    private static func arrayIndex(_ part: Substring.UTF8View) -> Int {
        guard part.count <= 9, part.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
            part.count == 1 || part.first != 0x30
        else { return -1 }
        return part.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    /// Steps.
    package var count: Int { steps.count }

    /// The keys in their order.
    package var keys: [String] {
        steps.map { String(decoding: bytes[$0.start..<$0.end], as: UTF8.self) }
    }

    /// The array index that a step may mean, nil when it is no canonical number.
    package func arrayIndex(at step: Int) -> Int? {
        steps[step].index < 0 ? nil : steps[step].index
    }

    /// What a lookup found; reuse one to avoid allocation.
    package struct Matches {
        /// The values reached, in document order. An array at the end of the path is itself here;
        /// its elements are not.
        package var values: [TapeValue] = []
        /// Whether some branch ended before the path did, at an object without the key or at a
        /// scalar that is not an array's element. As in MongoDB, `{"a":[]}` and `{"a":[1]}` have
        /// neither a value nor a missing branch for `a.b`.
        package var isMissing = false

        package init() {}
    }

    /// Finds all values at this path, MongoDB's way: arrays between are entered, each element that
    /// is an object; a numeric step also picks that element. Arrays in arrays are entered only by
    /// index.
    /// - Complexity: O(members and elements passed).
    package func lookup(in root: TapeValue, into matches: inout Matches) {
        matches.values.removeAll(keepingCapacity: true)
        matches.isMissing = false
        bytes.withUnsafeBytes { bytes in
            steps.withUnsafeBufferPointer { steps in
                Self.walk(root, 0, steps, bytes, &matches)
            }
        }
    }

    /// The one value at this path when no array lies between; nil when it is missing or one does.
    /// - Complexity: O(members passed); no allocation.
    package func single(in root: TapeValue) -> TapeValue? {
        bytes.withUnsafeBytes { bytes in
            var value = root
            for step in steps {
                let key = UnsafeRawBufferPointer(rebasing: bytes[step.start..<step.end])
                guard let member = value.member(key) else { return nil }
                value = member
            }
            return value
        }
    }

    /// Recursion is bounded by the number of steps.
    private static func walk(
        _ value: TapeValue,
        _ at: Int,
        _ steps: UnsafeBufferPointer<Step>,
        _ bytes: UnsafeRawBufferPointer,
        _ matches: inout Matches
    ) {
        guard at < steps.count else {
            matches.values.append(value)
            return
        }
        let step = steps[at]
        switch value.kind {
        case .object:
            let key = UnsafeRawBufferPointer(rebasing: bytes[step.start..<step.end])
            guard let member = value.member(key) else {
                matches.isMissing = true
                return
            }
            walk(member, at + 1, steps, bytes, &matches)
        case .array:
            var position = 0
            for child in value.children {
                if position == step.index {
                    walk(child.value, at + 1, steps, bytes, &matches)
                }
                if child.value.kind == .object {
                    // A numeric step means the index first: elements without such a key are not
                    // missing anything.
                    let wasMissing = matches.isMissing
                    walk(child.value, at, steps, bytes, &matches)
                    if step.index >= 0 { matches.isMissing = wasMissing }
                }
                position += 1
            }
        case .null, .bool, .number, .string:
            matches.isMissing = true
        }
    }

    /// Whether one path leads through the other: such paths cannot be updated together.
    package func conflicts(with other: FieldPath) -> Bool {
        let common = min(count, other.count)
        return keys.prefix(common).elementsEqual(
            other.keys.prefix(common),
            by: { ValueOrder.compareStrings($0, $1) == 0 }
        )
    }
}
