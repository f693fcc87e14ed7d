package import Primitives

/// What a log entry did. Raw values are on disk: never reuse one.
package enum LogOperation: UInt8, Sendable, CaseIterable {
    /// A whole document was stored.
    case put = 1
    /// A document was patched; the entry holds the whole result.
    case patch = 2
    /// A document was removed: the entry is its tombstone and holds no document.
    case remove = 3
    /// A document's time ran out: a tombstone as `remove`.
    case expire = 4
    /// A collection was made; the document is its schema.
    case create = 5
    /// A collection's schema changed; the document is the new one.
    case alter = 6
    /// A collection was dropped.
    case drop = 7
    /// An alias was set; the id is its name, the document the collection's name.
    case alias = 8
    /// Anything else of the engine's; the document says what.
    case note = 9
}

/// Where the bytes of one vector live: an entry may refer to those of an older version.
package struct VectorReference: Hashable, Sendable {
    /// Number of the field in its collection's schema.
    package var field: UInt16
    /// Count of components.
    package var dimensions: UInt16
    /// The entry under whose key the bytes were stored.
    package var key: LogKey

    /// A reference to `dimensions` components of `field`, stored under `key`.
    @inlinable package init(field: UInt16, dimensions: UInt16, key: LogKey) {
        self.field = field
        self.dimensions = dimensions
        self.key = key
    }
}

/// The fixed-size facts of a log entry.
package struct LogEntryHeader: Equatable, Sendable {
    /// What the entry did.
    package var operation: LogOperation
    /// Bits that the engine defines; the store only keeps them.
    package var flags: UInt16
    /// Number of the collection.
    package var collection: UInt32
    /// The entry of the same id before this one, or ``LogKey/none``.
    package var previous: LogKey
    /// When the commit was made, in milliseconds since 1970.
    package var timestampMilliseconds: Int64
    /// When the document expires, in milliseconds since 1970; 0 for never.
    package var expiryMilliseconds: Int64

    /// A header with these facts.
    @inlinable package init(
        operation: LogOperation,
        flags: UInt16 = 0,
        collection: UInt32,
        previous: LogKey = .none,
        timestampMilliseconds: Int64,
        expiryMilliseconds: Int64 = 0
    ) {
        self.operation = operation
        self.flags = flags
        self.collection = collection
        self.previous = previous
        self.timestampMilliseconds = timestampMilliseconds
        self.expiryMilliseconds = expiryMilliseconds
    }
}

/// The byte layout of an entry: see docs/formats/log-entry.md.
///
/// ```
/// 0 format u8 │ 1 operation u8 │ 2 flags u16 │ 4 collection u32 │ 8 previous u64 │
/// 16 timestamp i64 │ 24 expiry i64 │ 32 id length u16 │ 34 vector count u16 │
/// 36 document length u32 │ 40 checksum u32 │ 44 id … vector references … document …
/// ```
@usableFromInline
enum LogEntryLayout {
    @usableFromInline static let format: UInt8 = 1
    @usableFromInline static let headerByteCount = 44
    @usableFromInline static let checksumOffset = 40
    @usableFromInline static let referenceByteCount = 12

    /// Bytes of an entry with these parts.
    static func byteCount(idByteCount: Int, vectorCount: Int, documentByteCount: Int) -> Int {
        headerByteCount + idByteCount + vectorCount * referenceByteCount + documentByteCount
    }

    /// The checksum of an entry's bytes: of its key, then of everything but the checksum itself.
    /// The key is part of it so that an entry found under another key does not pass.
    static func checksum(_ bytes: UnsafeRawBufferPointer, key: LogKey) -> UInt32 {
        var littleEndianKey = key.rawValue.littleEndian
        var sum = withUnsafeBytes(of: &littleEndianKey) { CRC32C.checksum($0) }
        sum = CRC32C.checksum(
            UnsafeRawBufferPointer(rebasing: bytes[..<checksumOffset]),
            seed: sum
        )
        return CRC32C.checksum(
            UnsafeRawBufferPointer(rebasing: bytes[headerByteCount...]),
            seed: sum
        )
    }

    /// Writes an entry into `target`, which has exactly its byte count.
    // SAFETY: the precondition proves that every store below lies within `target`.
    static func write(
        into target: UnsafeMutableRawBufferPointer,
        key: LogKey,
        header: LogEntryHeader,
        id: UnsafeRawBufferPointer,
        document: UnsafeRawBufferPointer,
        vectors: [VectorReference]
    ) {
        precondition(
            target.count
                == byteCount(
                    idByteCount: id.count,
                    vectorCount: vectors.count,
                    documentByteCount: document.count
                ),
            "an entry fills its place exactly"
        )
        target.storeBytes(of: format, toByteOffset: 0, as: UInt8.self)
        target.storeBytes(of: header.operation.rawValue, toByteOffset: 1, as: UInt8.self)
        put(header.flags, target, 2)
        put(header.collection, target, 4)
        put(header.previous.rawValue, target, 8)
        put(header.timestampMilliseconds, target, 16)
        put(header.expiryMilliseconds, target, 24)
        put(UInt16(id.count), target, 32)
        put(UInt16(vectors.count), target, 34)
        put(UInt32(document.count), target, 36)
        var offset = headerByteCount
        UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: id)
        offset += id.count
        for vector in vectors {
            put(vector.field, target, offset)
            put(vector.dimensions, target, offset + 2)
            put(vector.key.rawValue, target, offset + 4)
            offset += referenceByteCount
        }
        UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: document)
        put(checksum(UnsafeRawBufferPointer(target), key: key), target, checksumOffset)
    }

    @inline(__always)
    private static func put<T: FixedWidthInteger>(
        _ value: T,
        _ target: UnsafeMutableRawBufferPointer,
        _ offset: Int
    ) {
        target.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
}
