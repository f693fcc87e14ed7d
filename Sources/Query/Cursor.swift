/// The place where a page ended: what `AFTER` takes. Stateless and opaque to clients.
///
/// ```
/// base64url( version u8 · query hash u64 · key count u8 · keys · id length u16 · id · checksum u64
/// ) key        tag u8 · (key: i64 | bytes, json: length u32 · bytes | nothing)
/// ```
/// Little-endian. The checksum is SipHash-2-4 of all before it under the server's secret, so that a
/// cursor that was altered or made elsewhere is refused.
package struct Cursor: Sendable, Equatable {
    package let queryHash: UInt64
    /// The last hit's sort values, one per key.
    package let keys: [SortKeyValue]
    /// The last hit's id.
    package let id: [UInt8]

    /// A cursor behind the hit with these values.
    package init(queryHash: UInt64, keys: [SortKeyValue], id: [UInt8]) {
        precondition(keys.count <= SortSpec.keyCountMax, "as many values as an order has keys")
        precondition(id.count <= Int(UInt16.max), "ids are bounded")
        self.queryHash = queryHash
        self.keys = keys
        self.id = id
    }

    /// A hash of what makes a query: collection, filter and order, in their canonical texts.
    package static func queryHash(_ parts: [String]) -> UInt64 {
        var bytes: [UInt8] = []
        for part in parts {
            ByteWriter.append(UInt32(part.utf8.count), to: &bytes)
            bytes.append(contentsOf: part.utf8)
        }
        return SipHash.hash(bytes[...], key: (0x6169_736C_6563_7572, 0x736F_7271_7565_7279))
    }

    /// The same of numbers and texts.
    package static func queryHash(_ numbers: [UInt64], _ texts: [String]) -> UInt64 {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(64 + numbers.count * 8)
        for number in numbers { ByteWriter.append(number, to: &bytes) }
        for text in texts {
            ByteWriter.append(UInt32(text.utf8.count), to: &bytes)
            bytes.append(contentsOf: text.utf8)
        }
        return SipHash.hash(bytes[...], key: (0x6169_736C_6563_7572, 0x736F_7271_7565_7279))
    }

    /// The text for clients. Complexity: O(bytes).
    package func encoded(secret: (UInt64, UInt64)) -> String {
        String(decoding: encodedBytes(secret: secret), as: UTF8.self)
    }

    /// The same as ASCII.
    package func encodedBytes(secret: (UInt64, UInt64)) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(40 + id.count + 16 * keys.count)
        bytes.append(1)
        ByteWriter.append(queryHash, to: &bytes)
        bytes.append(UInt8(keys.count))
        for key in keys { Cursor.append(key, to: &bytes) }
        ByteWriter.append(UInt16(id.count), to: &bytes)
        bytes.append(contentsOf: id)
        ByteWriter.append(SipHash.hash(bytes[...], key: secret), to: &bytes)
        return Base64Text.encoded(bytes, isURL: true)
    }

    /// Reads a cursor back. Throws ``QueryError`` `invalid` for one that was altered, comes from
    /// another server, or belongs to another query.
    package init(
        decoding text: String,
        secret: (UInt64, UInt64),
        queryHash expected: UInt64
    ) throws(QueryError) {
        let foreign = QueryError.invalid(
            path: "AFTER",
            rule: "is a cursor of this query as it was given",
            value: ""
        )
        guard text.utf8.count <= Cursor.textByteCountMax, let bytes = Base64Text.decode(text),
            bytes.count >= 20
        else { throw foreign }
        var reader = ByteReader(bytes[..<(bytes.count - 8)])
        var tail = ByteReader(bytes[(bytes.count - 8)...])
        guard let checksum: UInt64 = tail.integer(),
            checksum == SipHash.hash(bytes[..<(bytes.count - 8)], key: secret),
            let version: UInt8 = reader.integer(), version == 1,
            let hash: UInt64 = reader.integer(), hash == expected,
            let count: UInt8 = reader.integer(), count <= SortSpec.keyCountMax
        else { throw foreign }
        var keys: [SortKeyValue] = []
        for _ in 0..<count {
            guard let key = Cursor.key(&reader) else { throw foreign }
            keys.append(key)
        }
        guard let length: UInt16 = reader.integer(), let id = reader.bytes(Int(length)),
            reader.isAtEnd
        else { throw foreign }
        self.init(queryHash: hash, keys: keys, id: Array(id))
    }

    /// The longest text that is looked at, in bytes.
    package static let textByteCountMax = 2 << 20
}
