package import CSIMDJSON
import Glibc

/// A value of a parsed document: a view of the parser's tape.
///
/// Trivial: three pointers, no reference counting. Valid until the parser that made it parses again
/// or is deallocated; using it afterwards is a bug that nothing detects.
package struct TapeValue {
    // SAFETY: the three pointers lead into the parser's buffers, which hold still between parses.
    // `node` stays inside the tape because `span` and `count` come from the walk that wrote it.
    @usableFromInline let node: UnsafePointer<aisle_json_node>
    @usableFromInline let text: UnsafePointer<UInt8>
    @usableFromInline let strings: UnsafePointer<UInt8>

    @inlinable
    init(
        node: UnsafePointer<aisle_json_node>,
        text: UnsafePointer<UInt8>,
        strings: UnsafePointer<UInt8>
    ) {
        self.node = node
        self.text = text
        self.strings = strings
    }

    /// JSON's six types.
    package enum Kind: UInt8, Sendable {
        case null = 0
        case bool = 1
        case number = 2
        case string = 3
        case array = 4
        case object = 5
    }

    /// The value's type.
    @inlinable package var kind: Kind {
        // SAFETY: the walk writes 0...5 only, the raw values of Kind, which is one byte.
        unsafeBitCast(node.pointee.type, to: Kind.self)
    }

    /// Whether the value is `null`.
    @inlinable package var isNull: Bool { node.pointee.type == Kind.null.rawValue }

    /// The value of a bool; false for every other kind.
    @inlinable package var bool: Bool {
        node.pointee.type == Kind.bool.rawValue && node.pointee.flags & 1 != 0
    }

    /// Whether this is a number written without point and exponent.
    @inlinable package var isInteger: Bool {
        node.pointee.type == Kind.number.rawValue && node.pointee.flags & 2 != 0
    }

    /// The value of a number that is written as an integer and fits; nil for all else (`1.0` too).
    @inlinable package var int64: Int64? {
        guard node.pointee.type == Kind.number.rawValue, node.pointee.flags & 4 != 0 else {
            return nil
        }
        return Int64(bitPattern: node.pointee.value)
    }

    /// The double nearest to a number; beyond the range ±infinity. NaN for every other kind.
    package var double: Double {
        guard kind == .number else { return .nan }
        if let small = int64, small != 0, small.magnitude < 1 << 53 { return Double(small) }
        let start = text + Int(node.pointee.text_offset)
        return aisle_json_double(start, Int(node.pointee.text_length))
    }

    /// The minified text of this value, brackets and quotes included, numbers as written.
    @inlinable package var rawText: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: text + Int(node.pointee.text_offset),
            count: Int(node.pointee.text_length)
        )
    }

    /// The text of a number as written. Empty for every other kind.
    @inlinable package var numberText: UnsafeRawBufferPointer {
        kind == .number ? rawText : UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// The unescaped UTF-8 of a string. Empty for every other kind.
    @inlinable package var stringBytes: UnsafeRawBufferPointer {
        let pointee = node.pointee
        guard pointee.type == Kind.string.rawValue else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        let base = pointee.flags & 8 != 0 ? strings : text
        return UnsafeRawBufferPointer(
            start: base + Int(pointee.value >> 32),
            count: Int(UInt32(truncatingIfNeeded: pointee.value))
        )
    }

    /// A copy of the string; empty for every other kind.
    package var string: String { String(decoding: stringBytes, as: UTF8.self) }

    /// Elements of an array or members of an object; 0 for every other kind.
    @inlinable package var count: Int {
        node.pointee.type >= Kind.array.rawValue ? Int(node.pointee.value) : 0
    }

    /// Where the minified text of this value lies in ``JSONParser/minified``, in bytes.
    @inlinable package var textRange: Range<Int> {
        let offset = Int(node.pointee.text_offset)
        return offset..<offset + Int(node.pointee.text_length)
    }

    /// The value of a member, nil when there is none or this is no object.
    /// - Complexity: O(members).
    package func member(_ key: UnsafeRawBufferPointer) -> TapeValue? {
        guard kind == .object else { return nil }
        let length = UInt32(truncatingIfNeeded: key.count)
        var remaining = node.pointee.value
        var cursor = node + 1
        while remaining > 0 {
            let name = cursor.pointee
            if UInt32(truncatingIfNeeded: name.value) == length {
                let base = name.flags & 8 != 0 ? strings : text
                let found = base + Int(name.value >> 32)
                if bytesEqual(UnsafeRawBufferPointer(start: found, count: Int(length)), key) {
                    return TapeValue(node: cursor + 1, text: text, strings: strings)
                }
            }
            cursor += 1 + Int(cursor[1].span)
            remaining &-= 1
        }
        return nil
    }

    /// The value of a member, nil when there is none or this is no object.
    /// - Complexity: O(members).
    package func member(_ key: StaticString) -> TapeValue? {
        member(UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount))
    }

    /// The value of a member, nil when there is none or this is no object.
    /// - Complexity: O(members).
    @_disfavoredOverload
    package func member(_ key: String) -> TapeValue? {
        var key = key
        return key.withUTF8 { member(UnsafeRawBufferPointer($0)) }
    }

    /// The element at an index of an array, nil beyond its end or when this is no array.
    /// - Complexity: O(index).
    package func element(_ index: Int) -> TapeValue? {
        guard kind == .array, index >= 0, index < count else { return nil }
        var children = children
        var remaining = index
        while let child = children.next() {
            if remaining == 0 { return child.value }
            remaining -= 1
        }
        return nil
    }

    /// The elements or members in their order; nothing for scalars.
    @inlinable package var children: Children { Children(of: self) }

    /// One child: the value, and in an object its key's unescaped UTF-8 (empty in an array).
    package struct Child {
        package let key: UnsafeRawBufferPointer
        package let value: TapeValue

        @inlinable init(key: UnsafeRawBufferPointer, value: TapeValue) {
            self.key = key
            self.value = value
        }
    }

    /// Iterates over a container without allocating.
    package struct Children: Sequence, IteratorProtocol {
        @usableFromInline var cursor: UnsafePointer<aisle_json_node>
        @usableFromInline var remaining: Int
        @usableFromInline let isObject: Bool
        @usableFromInline let owner: TapeValue

        @inlinable init(of owner: TapeValue) {
            self.owner = owner
            cursor = owner.node + 1
            remaining = owner.count
            isObject = owner.kind == .object
        }

        /// The next child, nil at the end.
        @inlinable package mutating func next() -> Child? {
            guard remaining > 0 else { return nil }
            remaining &-= 1
            var key = UnsafeRawBufferPointer(start: nil, count: 0)
            if isObject {
                key = TapeValue(node: cursor, text: owner.text, strings: owner.strings).stringBytes
                cursor += 1
            }
            let value = TapeValue(node: cursor, text: owner.text, strings: owner.strings)
            cursor += Int(value.node.pointee.span)
            return Child(key: key, value: value)
        }
    }
}

/// Whether two byte strings are equal.
package func bytesEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard a.count > 0, let first = a.baseAddress, let second = b.baseAddress else { return true }
    return memcmp(first, second, a.count) == 0
}
