/// Builds ``Reply`` values from bytes.
package enum ReplyParser {
    /// Nesting of one reply at most.
    package static let depthMax = 128

    /// Builds the reply that fills `bytes` exactly, as ``ReplyScanner`` found it.
    ///
    /// - Complexity: O(bytes).
    /// - Throws: ``ClientError/malformed(offset:byte:)``, ``ClientError/tooDeep(limit:)``.
    package static func parse(_ bytes: UnsafeRawBufferPointer) throws(ClientError) -> Reply {
        var at = 0
        return try value(bytes, &at, depth: 0)
    }

    private static func value(
        _ bytes: UnsafeRawBufferPointer,
        _ at: inout Int,
        depth: Int
    ) throws(ClientError) -> Reply {
        guard depth < depthMax else { throw .tooDeep(limit: depthMax) }
        let start = at
        let kind = try byte(bytes, start)
        let line = try line(bytes, &at)
        switch kind {
        case UInt8(ascii: "+"): return .simple(line)
        case UInt8(ascii: "-"): return .error(line)
        case UInt8(ascii: ":"):
            guard let number = Int64(line) else { throw .malformed(offset: start, byte: kind) }
            return .integer(number)
        case UInt8(ascii: "_"): return .null
        case UInt8(ascii: "#"): return .bool(line == "t")
        case UInt8(ascii: "("): return .bigNumber(line)
        case UInt8(ascii: ","):
            guard let number = Double(line) else { throw .malformed(offset: start, byte: kind) }
            return .double(number)
        default: break
        }
        guard let count = Int(line), count >= -1 else {
            throw .malformed(offset: start, byte: kind)
        }
        switch kind {
        case UInt8(ascii: "$"): return try count < 0 ? .null : .bulk(body(bytes, &at, count))
        case UInt8(ascii: "="):
            let text = try body(bytes, &at, max(count, 0))
            let format = String(decoding: text.prefix(3), as: UTF8.self)
            return .verbatim(format: format, Array(text.dropFirst(4)))
        case UInt8(ascii: "!"):
            return .error(String(decoding: try body(bytes, &at, max(count, 0)), as: UTF8.self))
        case UInt8(ascii: "*"):
            return try count < 0 ? .null : .array(list(bytes, &at, count, depth))
        case UInt8(ascii: "~"): return .set(try list(bytes, &at, max(count, 0), depth))
        case UInt8(ascii: ">"): return .push(try list(bytes, &at, max(count, 0), depth))
        case UInt8(ascii: "%"): return .map(try pairs(bytes, &at, max(count, 0), depth))
        case UInt8(ascii: "|"):
            _ = try pairs(bytes, &at, max(count, 0), depth)
            return try value(bytes, &at, depth: depth + 1)
        default: throw .malformed(offset: start, byte: kind)
        }
    }

    private static func byte(_ bytes: UnsafeRawBufferPointer, _ at: Int) throws(ClientError)
        -> UInt8
    {
        guard at < bytes.count else { throw .malformed(offset: at, byte: 0) }
        return bytes[at]
    }

    private static func line(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) throws(ClientError)
        -> String
    {
        let start = at + 1
        guard start <= bytes.count, let newline = bytes[start...].firstIndex(of: 0x0A),
            newline > start, bytes[newline - 1] == 0x0D
        else { throw .malformed(offset: at, byte: try byte(bytes, at)) }
        at = newline + 1
        return String(decoding: bytes[start..<newline - 1], as: UTF8.self)
    }

    private static func body(
        _ bytes: UnsafeRawBufferPointer,
        _ at: inout Int,
        _ count: Int
    ) throws(ClientError) -> [UInt8] {
        guard count <= bytes.count - at - 2 else { throw .malformed(offset: at, byte: 0) }
        let body = [UInt8](bytes[at..<at + count])
        at += count + 2
        return body
    }

    private static func list(
        _ bytes: UnsafeRawBufferPointer,
        _ at: inout Int,
        _ count: Int,
        _ depth: Int
    ) throws(ClientError) -> [Reply] {
        var elements: [Reply] = []
        // Every element takes three bytes at least, so a lying count reserves nothing large.
        elements.reserveCapacity(min(count, (bytes.count - at) / 3))
        for _ in 0..<count { elements.append(try value(bytes, &at, depth: depth + 1)) }
        return elements
    }

    private static func pairs(
        _ bytes: UnsafeRawBufferPointer,
        _ at: inout Int,
        _ count: Int,
        _ depth: Int
    ) throws(ClientError) -> [Reply.Pair] {
        var pairs: [Reply.Pair] = []
        pairs.reserveCapacity(min(count, (bytes.count - at) / 6))
        for _ in 0..<count {
            let key = try value(bytes, &at, depth: depth + 1)
            pairs.append(Reply.Pair(key: key, value: try value(bytes, &at, depth: depth + 1)))
        }
        return pairs
    }
}
