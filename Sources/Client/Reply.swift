/// One answer of a server, in RESP2 or RESP3.
package enum Reply: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    /// Digits of an integer of any size.
    case bigNumber(String)
    /// A status such as `OK`.
    case simple(String)
    /// A code and its text: `NOTFOUND products: …`.
    case error(String)
    /// Bytes as they are: documents, ids, vectors.
    case bulk([UInt8])
    /// Text with its three-letter format, `txt` or `mkd`.
    case verbatim(format: String, [UInt8])
    case array([Reply])
    /// Pairs in the order of the wire.
    case map([Pair])
    case set([Reply])
    /// Out of band: not the answer to a request.
    case push([Reply])

    /// A key and its value.
    package struct Pair: Sendable, Equatable {
        package var key: Reply
        package var value: Reply

        package init(key: Reply, value: Reply) {
            self.key = key
            self.value = value
        }
    }

    /// The text of a string of any kind, repaired where it is no UTF-8; nil for other kinds.
    package var text: String? {
        switch self {
        case .simple(let text), .bigNumber(let text): text
        case .bulk(let bytes), .verbatim(_, let bytes): String(decoding: bytes, as: UTF8.self)
        default: nil
        }
    }

    /// The bytes of a bulk string; nil for other kinds.
    package var bytes: [UInt8]? {
        switch self {
        case .bulk(let bytes), .verbatim(_, let bytes): bytes
        case .simple(let text): Array(text.utf8)
        default: nil
        }
    }

    /// An integer, also one written as a string; nil for other kinds.
    package var int: Int? {
        switch self {
        case .integer(let value): Int(value)
        default: text.flatMap { Int($0) }
        }
    }

    /// The elements of an array, set or push; nil for other kinds.
    package var elements: [Reply]? {
        switch self {
        case .array(let elements), .set(let elements), .push(let elements): elements
        default: nil
        }
    }

    /// The text of an error; nil for other kinds.
    package var errorText: String? {
        if case .error(let text) = self { text } else { nil }
    }

    /// The value of `key` in a map, or in a flat array of pairs as RESP2 has them.
    ///
    /// - Complexity: O(pairs).
    package subscript(key: String) -> Reply? {
        switch self {
        case .map(let pairs): return pairs.first { $0.key.text == key }?.value
        case .array(let flat):
            var at = 0
            while at + 1 < flat.count {
                if flat[at].text == key { return flat[at + 1] }
                at += 2
            }
            return nil
        default: return nil
        }
    }
}
