import Client
import Glibc

/// Finds one top-level member of a JSON object's bytes without parsing the rest.
///
/// The scan trusts the text to be JSON: the server validates it. On text that is none it answers
/// something wrong or nothing, but never leaves the bytes given.
package struct JSONMember: Sendable, Equatable {
    /// What the value is.
    package enum Kind: Sendable { case string, number, object, other }

    /// From the key's first quote to the end of the value.
    package var member: Range<Int>
    /// The value; for a string without its quotes.
    package var value: Range<Int>
    package var kind: Kind
    /// The string holds a backslash.
    package var isEscaped: Bool

    /// Finds the first member named `key`.
    ///
    /// - Returns: nil when there is none, or `text` is no object.
    /// - Complexity: O(bytes before the member's end); a few GB/s within strings.
    package static func find(_ key: [UInt8], in text: UnsafeRawBufferPointer) -> JSONMember? {
        guard let base = text.baseAddress else { return nil }
        return key.withUnsafeBytes { key in
            guard let keyBase = key.baseAddress else { return nil }
            return find(keyBase, key.count, base, text.count)
        }
    }

    /// All members of the object `text`, keys without escapes undone; empty when it is no object.
    package static func all(in text: UnsafeRawBufferPointer) -> [(key: String, JSONMember)] {
        guard let base = text.baseAddress else { return [] }
        let end = text.count
        var members: [(key: String, JSONMember)] = []
        var at = skipSpace(base, 0, end)
        guard at < end, byte(base, at) == 0x7B else { return [] }
        at = skipSpace(base, at &+ 1, end)
        while at < end, byte(base, at) == 0x22 {
            let keyStart = at &+ 1
            let keyEnd = stringEnd(base, keyStart, end)
            at = skipSpace(base, keyEnd &+ 1, end)
            guard at < end, byte(base, at) == 0x3A else { return members }
            at = skipSpace(base, at &+ 1, end)
            guard at < end else { return members }
            let valueStart = at
            at = valueEnd(base, at, end)
            guard at <= end, let member = make(base, keyStart &- 1, valueStart, at) else {
                return members
            }
            members.append((String(decoding: text[keyStart..<keyEnd], as: UTF8.self), member))
            at = skipSpace(base, at, end)
            if at < end, byte(base, at) == 0x2C { at = skipSpace(base, at &+ 1, end) }
        }
        return members
    }

    private static func find(
        _ key: UnsafeRawPointer,
        _ keyCount: Int,
        _ base: UnsafeRawPointer,
        _ end: Int
    ) -> JSONMember? {
        var at = skipSpace(base, 0, end)
        guard at < end, byte(base, at) == 0x7B else { return nil }
        at = skipSpace(base, at &+ 1, end)
        while at < end, byte(base, at) == 0x22 {
            let keyStart = at &+ 1
            let keyEnd = stringEnd(base, keyStart, end)
            at = skipSpace(base, keyEnd &+ 1, end)
            guard at < end, byte(base, at) == 0x3A else { return nil }
            at = skipSpace(base, at &+ 1, end)
            guard at < end else { return nil }
            let valueStart = at
            at = valueEnd(base, at, end)
            guard at <= end else { return nil }
            if keyEnd &- keyStart == keyCount, memcmp(base + keyStart, key, keyCount) == 0 {
                return make(base, keyStart &- 1, valueStart, at)
            }
            at = skipSpace(base, at, end)
            guard at < end, byte(base, at) == 0x2C else { return nil }
            at = skipSpace(base, at &+ 1, end)
        }
        return nil
    }

    private static func make(
        _ base: UnsafeRawPointer,
        _ keyStart: Int,
        _ valueStart: Int,
        _ end: Int
    ) -> JSONMember? {
        let member = keyStart..<end
        switch byte(base, valueStart) {
        case 0x22:
            let count = end &- valueStart &- 2
            guard count >= 0 else { return nil }
            let escaped = memchr(base + (valueStart &+ 1), 0x5C, count) != nil
            return JSONMember(
                member: member,
                value: valueStart + 1..<end - 1,
                kind: .string,
                isEscaped: escaped
            )
        case 0x2D, 0x30...0x39:
            return JSONMember(
                member: member,
                value: valueStart..<end,
                kind: .number,
                isEscaped: false
            )
        case 0x7B:
            return JSONMember(
                member: member,
                value: valueStart..<end,
                kind: .object,
                isEscaped: false
            )
        default:
            return JSONMember(
                member: member,
                value: valueStart..<end,
                kind: .other,
                isEscaped: false
            )
        }
    }

    @inline(__always)
    private static func byte(_ base: UnsafeRawPointer, _ at: Int) -> UInt8 {
        base.load(fromByteOffset: at, as: UInt8.self)
    }

    @inline(__always)
    private static func skipSpace(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
        var at = start
        while at < end, byte(base, at) <= 0x20 { at &+= 1 }
        return at
    }

    /// The offset of the closing quote of the string whose text begins at `start`, or `end`.
    private static func stringEnd(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
        var at = start
        while at < end {
            guard let quote = memchr(base + at, 0x22, end &- at) else { return end }
            let found = base.distance(to: UnsafeRawPointer(quote))
            var slashes = found
            while slashes > start, byte(base, slashes &- 1) == 0x5C { slashes &-= 1 }
            if (found &- slashes) & 1 == 0 { return found }
            at = found &+ 1
        }
        return end
    }

    /// One past the value at `start`; beyond `end` when it does not end.
    private static func valueEnd(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) -> Int {
        switch byte(base, start) {
        case 0x22: return stringEnd(base, start &+ 1, end) &+ 1
        case 0x7B, 0x5B:
            var depth = 0
            var at = start
            while at < end {
                switch byte(base, at) {
                case 0x7B, 0x5B: depth &+= 1
                case 0x7D, 0x5D:
                    depth &-= 1
                    if depth == 0 { return at &+ 1 }
                case 0x22: at = stringEnd(base, at &+ 1, end)
                default: break
                }
                at &+= 1
            }
            return end &+ 1
        default:
            var at = start
            while at < end {
                switch byte(base, at) {
                case 0x2C, 0x7D, 0x5D, 0x00...0x20: return at
                default: at &+= 1
                }
            }
            return at
        }
    }
}

extension JSONMember {
    /// Adds the object that this was found in, without it and one of the commas beside it.
    func appendRest(of bytes: UnsafeRawBufferPointer, to output: ByteQueue) {
        var end = member.upperBound
        while end < bytes.count, bytes[end] <= 0x20 { end += 1 }
        var start = member.lowerBound
        if end < bytes.count, bytes[end] == 0x2C {
            end += 1
        } else {
            while start > 0, bytes[start - 1] <= 0x20 { start -= 1 }
            if start > 0, bytes[start - 1] == 0x2C { start -= 1 }
        }
        output.append(UnsafeRawBufferPointer(rebasing: bytes[..<start]))
        output.append(UnsafeRawBufferPointer(rebasing: bytes[end...]))
    }

    /// The text of a JSON string's inside, its escapes undone. Broken escapes are kept as they are.
    package static func unescape(_ text: some Sequence<UInt8>) -> [UInt8] {
        let source = Array(text)
        var out: [UInt8] = []
        var at = 0
        while at < source.count {
            guard source[at] == 0x5C, at + 1 < source.count else {
                out.append(source[at])
                at += 1
                continue
            }
            at += 2
            switch source[at - 1] {
            case UInt8(ascii: "n"): out.append(10)
            case UInt8(ascii: "t"): out.append(9)
            case UInt8(ascii: "r"): out.append(13)
            case UInt8(ascii: "b"): out.append(8)
            case UInt8(ascii: "f"): out.append(12)
            case UInt8(ascii: "u"):
                guard let first = codeUnit(source, at) else { continue }
                at += 4
                var units = [first]
                if first & 0xFC00 == 0xD800, at + 1 < source.count, source[at] == 0x5C,
                    source[at + 1] == UInt8(ascii: "u"), let second = codeUnit(source, at + 2)
                {
                    units.append(second)
                    at += 6
                }
                out += String(decoding: units, as: UTF16.self).utf8
            case let other: out.append(other)
            }
        }
        return out
    }

    private static func codeUnit(_ source: [UInt8], _ at: Int) -> UInt16? {
        guard at + 4 <= source.count else { return nil }
        return UInt16(String(decoding: source[at..<at + 4], as: UTF8.self), radix: 16)
    }
}
