package import Documents
package import Schema

/// A path and what is asked of its values.
///
/// Lookup follows MongoDB: arrays on the way are entered, each element that is an object; a step
/// that is a number also names an element; an array at the end stands for its elements and itself.
// SAFETY: `steps` and `names` are written in init only and freed in deinit, so threads may share
// it.
package final class Predicate: @unchecked Sendable {
    /// Dotted path from the document's root; within `$elemMatch` from the element.
    package let path: String
    /// The field declared at this path, if there is one whose column may answer. Nil for `_id`,
    /// undeclared paths, and paths that name an array's element by its number.
    package let field: Field?
    /// Whether the path is `_id`: the test is then one of bytes.
    package let isID: Bool
    package let test: CompiledPredicate
    let reader: ValueReader
    /// False within `$elemMatch` on values: an element that is an array is not entered again.
    private let entersLeafArrays: Bool
    private let steps: UnsafeMutablePointer<Step>
    private let stepCount: Int
    private let names: UnsafeMutablePointer<UInt8>

    private struct Step {
        let start: Int
        let count: Int
        /// The array index it may mean, -1 for none.
        let index: Int
    }

    init(
        path: String,
        field: Field?,
        isID: Bool,
        reader: ValueReader,
        test: CompiledPredicate,
        entersLeafArrays: Bool
    ) {
        self.path = path
        self.field = field
        self.isID = isID
        self.reader = reader
        self.test = test
        self.entersLeafArrays = entersLeafArrays
        let bytes = Array(path.utf8)
        var places: [Step] = []
        if !bytes.isEmpty {
            var start = 0
            for part in bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            {
                let isNumber =
                    !part.isEmpty && part.count <= 9 && (part.count == 1 || part.first != 48)
                    && part.allSatisfy { $0 >= 48 && $0 <= 57 }
                let index = isNumber ? part.reduce(0) { $0 * 10 + Int($1 - 48) } : -1
                places.append(Step(start: start, count: part.count, index: index))
                start += part.count + 1
            }
        }
        stepCount = places.count
        steps = .allocate(capacity: max(1, places.count))
        steps.initialize(from: places, count: places.count)
        names = .allocate(capacity: max(1, bytes.count))
        names.initialize(from: bytes, count: bytes.count)
    }

    deinit {
        steps.deallocate()
        names.deallocate()
    }

    func replacing(test: CompiledPredicate) -> Predicate {
        Predicate(
            path: path,
            field: field,
            isID: isID,
            reader: reader,
            test: test,
            entersLeafArrays: entersLeafArrays
        )
    }

    /// Whether the document's values at the path, or its id, meet the test.
    package func matches(_ document: TapeValue, id: UnsafeRawBufferPointer) -> Bool {
        if isID { return idMeets(id) }
        if case .place(let place) = test, case .zone = place.kind {
            guard let path = try? FieldPath(path) else { return false }
            return place.meets(document, at: path)
        }
        return lookup(document, step: 0)
    }

    private func lookup(_ value: TapeValue, step: Int) -> Bool {
        guard step < stepCount else { return leafMeets(value) }
        switch value.kind {
        case .object:
            let name = UnsafeRawBufferPointer(
                start: names + steps[step].start,
                count: steps[step].count
            )
            guard let child = value.member(name) else { return absentMeets }
            return lookup(child, step: step + 1)
        case .array:
            let index = steps[step].index
            var position = 0
            var children = value.children
            while let child = children.next() {
                let element = child.value
                if element.kind == .object && lookup(element, step: step) { return true }
                if position == index {
                    let isLast = step + 1 == stepCount
                    let isContainer = element.kind == .object || element.kind == .array
                    if (isLast || isContainer) && lookup(element, step: step + 1) { return true }
                }
                position += 1
            }
            return false
        case .null, .bool, .number, .string: return absentMeets
        }
    }

    private var absentMeets: Bool {
        if case .isNullOrAbsent = test { return true }
        return false
    }

    @inline(__always)
    private func leafMeets(_ value: TapeValue) -> Bool {
        guard value.kind == .array, entersLeafArrays, !asksWholeArray else { return meets(value) }
        var children = value.children
        while let child = children.next() {
            if meets(child.value) { return true }
        }
        return meets(value)
    }

    /// Conditions on an array as such, which its elements do not answer.
    private var asksWholeArray: Bool {
        switch test {
        case .exists: true
        case .other(let other):
            switch other {
            case .size, .elementMatches, .elementIs: true
            case .equal, .less, .greater, .oneOf, .type: false
            }
        case .keyEqual, .keyRange, .keyIn, .bytesEqual, .bytesRange, .bytesIn, .prefix, .regex,
            .isNullOrAbsent, .place:
            false
        }
    }

    private func meets(_ value: TapeValue) -> Bool {
        switch test {
        case .keyEqual(let key): return reader.key(of: value) == key
        case .keyRange(let lower, let upper):
            guard let key = reader.key(of: value) else { return false }
            return key >= lower && key <= upper
        case .keyIn(let keys):
            guard let key = reader.key(of: value) else { return false }
            return Predicate.contains(keys, key)
        case .bytesEqual, .bytesRange, .bytesIn, .prefix, .regex:
            return value.kind == .string && bytesMeet(value.stringBytes)
        case .isNullOrAbsent: return value.isNull
        case .exists: return true
        case .place(let place): return place.meets(value)
        case .other(let other): return meets(value, other)
        }
    }

    private func bytesMeet(_ bytes: UnsafeRawBufferPointer) -> Bool {
        switch test {
        case .bytesEqual(let expected):
            return expected.withUnsafeBytes { bytesEqual($0, bytes) }
        case .bytesRange(let lower, let upper):
            if let lower {
                let order = lower.bytes.withUnsafeBytes { ValueOrder.compare(bytes, $0) }
                if order < 0 || (order == 0 && !lower.isInclusive) { return false }
            }
            if let upper {
                let order = upper.bytes.withUnsafeBytes { ValueOrder.compare(bytes, $0) }
                if order > 0 || (order == 0 && !upper.isInclusive) { return false }
            }
            return true
        case .bytesIn(let all):
            var (low, high) = (0, all.count)
            while low < high {
                let middle = (low + high) / 2
                let order = all[middle].withUnsafeBytes { ValueOrder.compare($0, bytes) }
                if order == 0 { return true }
                if order < 0 { low = middle + 1 } else { high = middle }
            }
            return false
        case .prefix(let prefix):
            guard bytes.count >= prefix.count else { return false }
            let head = UnsafeRawBufferPointer(rebasing: bytes[..<prefix.count])
            return prefix.withUnsafeBytes { bytesEqual($0, head) }
        case .regex(let regex): return regex.matches(bytes)
        case .keyEqual, .keyRange, .keyIn, .isNullOrAbsent, .exists, .place, .other: return false
        }
    }

    private static func contains(_ keys: [Int64], _ key: Int64) -> Bool {
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low < keys.count && keys[low] == key
    }

    private func meets(_ value: TapeValue, _ other: OtherPredicate) -> Bool {
        switch other {
        case .equal(let operand): return Predicate.order(value, operand) == 0
        case .less(let operand, let orEqual):
            return Predicate.order(value, operand).map { $0 < 0 || (orEqual && $0 == 0) } ?? false
        case .greater(let operand, let orEqual):
            return Predicate.order(value, operand).map { $0 > 0 || (orEqual && $0 == 0) } ?? false
        case .oneOf(let operands):
            return operands.contains { Predicate.order(value, $0) == 0 }
        case .size(let size): return value.kind == .array && value.count == size
        case .type(let types):
            return !types.isDisjoint(
                with: ValueTypes.of(value).union(reader.declaredTypes(of: value))
            )
        case .elementMatches(let node):
            return anyElement(of: value) { $0.kind == .object && Predicate.ask(node, $0) }
        case .elementIs(let node):
            return anyElement(of: value) { Predicate.ask(node, $0) }
        }
    }

    /// The order of values of one type; nil across types.
    @inline(__always)
    private static func order(_ value: TapeValue, _ operand: JSON) -> Int? {
        ValueOrder.rank(value.kind) == ValueOrder.rank(operand)
            ? ValueOrder.compare(value, operand) : nil
    }

    @inline(__always)
    private func anyElement(of value: TapeValue, _ body: (TapeValue) -> Bool) -> Bool {
        guard value.kind == .array else { return false }
        var children = value.children
        while let child = children.next() {
            if body(child.value) { return true }
        }
        return false
    }

    private static func ask(_ node: CompiledNode, _ element: TapeValue) -> Bool {
        node.matches(element, id: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    private func idMeets(_ id: UnsafeRawBufferPointer) -> Bool {
        switch test {
        case .exists: return true
        case .other(.type(let types)): return types.contains(.string)
        case .bytesEqual, .bytesRange, .bytesIn, .prefix, .regex: return bytesMeet(id)
        case .keyEqual, .keyRange, .keyIn, .isNullOrAbsent, .place, .other: return false
        }
    }
}
