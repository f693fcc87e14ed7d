/// One reply, as a client reads it.
package indirect enum ReplyValue: Equatable, Sendable {
    /// `+text`
    case simple(String)
    /// `-text`
    case error(String)
    /// `:n`
    case integer(Int64)
    /// `$n` and bytes
    case bulk([UInt8])
    /// `$-1`, `*-1` or `_`
    case null
    /// `*n`
    case array([ReplyValue])
    /// `%n`, in the order sent
    case map([Pair])
    /// `~n`
    case set([ReplyValue])
    /// `>n`
    case push([ReplyValue])
    /// `,x`
    case double(Double)
    /// `#t` or `#f`
    case bool(Bool)
    /// `=n` with its format
    case verbatim(format: String, text: String)

    /// One pair of a map.
    package struct Pair: Equatable, Sendable {
        package let key: ReplyValue
        package let value: ReplyValue

        package init(_ key: ReplyValue, _ value: ReplyValue) {
            self.key = key
            self.value = value
        }
    }

    /// A bulk string of `text`.
    package static func text(_ text: String) -> ReplyValue { .bulk(Array(text.utf8)) }

    /// The text of a simple, bulk, error or verbatim reply.
    package var string: String? {
        switch self {
        case .simple(let text), .error(let text), .verbatim(_, let text): text
        case .bulk(let bytes): String(decoding: bytes, as: UTF8.self)
        case .integer, .null, .array, .map, .set, .push, .double, .bool: nil
        }
    }
}

/// Why bytes are not a reply.
package enum ReplyParseError: Error, Equatable, Sendable {
    /// The first byte is no marker.
    case unknownMarker(UInt8)
    /// A number or a constant is malformed.
    case malformed(marker: UInt8)
    /// Aggregates nest deeper than 64.
    case tooDeep
}

/// Reads replies of both protocols from bytes: for tests and simple clients.
package struct ReplyParser {
    private var bytes: [UInt8] = []
    private var position = 0

    /// A parser at the start of a stream.
    package init() {}

    /// Adds bytes received.
    package mutating func append(_ more: some Sequence<UInt8>) {
        if position > 0, position == bytes.count {
            bytes.removeAll(keepingCapacity: true)
            position = 0
        }
        bytes.append(contentsOf: more)
    }

    /// Bytes that belong to no reply taken so far.
    package var byteCountLeft: Int { bytes.count - position }

    /// The next complete reply, or `nil` when more bytes are needed.
    /// - Complexity: O(bytes of the reply) per call.
    /// - Throws: ``ReplyParseError``.
    package mutating func next() throws(ReplyParseError) -> ReplyValue? {
        var cursor = position
        guard let value = try value(&cursor, depth: 0) else { return nil }
        position = cursor
        return value
    }

    private func line(_ cursor: inout Int) -> ArraySlice<UInt8>? {
        guard cursor < bytes.count, let end = bytes[cursor...].firstIndex(of: 0x0D),
            end + 1 < bytes.count
        else { return nil }
        defer { cursor = end + 2 }
        return bytes[cursor..<end]
    }

    private func value(_ cursor: inout Int, depth: Int) throws(ReplyParseError) -> ReplyValue? {
        guard depth < 64 else { throw .tooDeep }
        guard cursor < bytes.count else { return nil }
        let marker = bytes[cursor]
        cursor += 1
        guard let line = line(&cursor) else { return nil }
        let text = String(decoding: line, as: UTF8.self)
        switch marker {
        case 0x2B: return .simple(text)
        case 0x2D: return .error(text)
        case 0x5F: return .null
        case 0x23:
            guard text == "t" || text == "f" else { throw .malformed(marker: marker) }
            return .bool(text == "t")
        case 0x2C:
            guard let double = Double(text) else { throw .malformed(marker: marker) }
            return .double(double)
        case 0x3A:
            guard let integer = Int64(text) else { throw .malformed(marker: marker) }
            return .integer(integer)
        case 0x24, 0x3D, 0x2A, 0x25, 0x7E, 0x3E:
            guard let count = Int(text), count >= -1, count < 1 << 40 else {
                throw .malformed(marker: marker)
            }
            if count < 0 { return .null }
            if marker == 0x24 || marker == 0x3D { return blob(marker, count, &cursor) }
            return try aggregate(marker, count, &cursor, depth)
        default: throw .unknownMarker(marker)
        }
    }

    private func blob(_ marker: UInt8, _ count: Int, _ cursor: inout Int) -> ReplyValue? {
        guard cursor + count + 2 <= bytes.count else { return nil }
        defer { cursor += count + 2 }
        let content = bytes[cursor..<cursor + count]
        guard marker == 0x3D, count >= 4 else { return .bulk(Array(content)) }
        return .verbatim(
            format: String(decoding: content.prefix(3), as: UTF8.self),
            text: String(decoding: content.dropFirst(4), as: UTF8.self)
        )
    }

    private func aggregate(
        _ marker: UInt8,
        _ count: Int,
        _ cursor: inout Int,
        _ depth: Int
    ) throws(ReplyParseError) -> ReplyValue? {
        var values: [ReplyValue] = []
        for _ in 0..<(marker == 0x25 ? 2 * count : count) {
            guard let next = try value(&cursor, depth: depth + 1) else { return nil }
            values.append(next)
        }
        switch marker {
        case 0x25:
            return .map(
                stride(from: 0, to: values.count, by: 2).map {
                    ReplyValue.Pair(values[$0], values[$0 + 1])
                }
            )
        case 0x7E: return .set(values)
        case 0x3E: return .push(values)
        default: return .array(values)
        }
    }
}
