package import Primitives

/// One entry of the log, read in place.
///
/// It borrows the map: every pointer it gives is valid until its reader's transaction ends or is
/// renewed, and no longer.
package struct LogEntryView {
    /// The entry's key.
    package let key: LogKey
    /// All bytes of the entry.
    package let bytes: UnsafeRawBufferPointer
    @usableFromInline let base: UnsafeRawPointer

    /// A view of `bytes`, whose lengths, format and operation are checked, but not the checksum.
    /// - Throws: ``StoreError/Corruption/entry(_:)`` where they do not add up.
    /// - Complexity: O(1).
    package init(key: LogKey, bytes: UnsafeRawBufferPointer) throws(StoreError) {
        guard let base = bytes.baseAddress, bytes.count >= LogEntryLayout.headerByteCount else {
            throw .corrupt(.entry(key))
        }
        self.key = key
        self.bytes = bytes
        self.base = base
        let expected = LogEntryLayout.byteCount(
            idByteCount: idByteCount,
            vectorCount: vectorCount,
            documentByteCount: documentByteCount
        )
        guard bytes.count == expected, base.load(as: UInt8.self) == LogEntryLayout.format,
            LogOperation(rawValue: base.load(fromByteOffset: 1, as: UInt8.self)) != nil
        else { throw .corrupt(.entry(key)) }
    }

    // SAFETY: every offset below is within the header, whose presence `init` proved; the parts
    // behind it were proved to fill `bytes` exactly.
    @inlinable
    func load<T: FixedWidthInteger>(_ offset: Int, as type: T.Type = T.self) -> T {
        T(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// What the entry did.
    @inlinable package var operation: LogOperation {
        guard let operation = LogOperation(rawValue: load(1)) else {
            preconditionFailure("checked when the view was made")
        }
        return operation
    }

    /// Bits that the engine defines.
    @inlinable package var flags: UInt16 { load(2) }
    /// Number of the collection.
    @inlinable package var collection: UInt32 { load(4) }
    /// The entry of the same id before this one, or ``LogKey/none``.
    @inlinable package var previous: LogKey { LogKey(rawValue: load(8)) }
    /// When the commit was made, in milliseconds since 1970.
    @inlinable package var timestampMilliseconds: Int64 { load(16) }
    /// When the document expires, in milliseconds since 1970; 0 for never.
    @inlinable package var expiryMilliseconds: Int64 { load(24) }
    /// Bytes of the id.
    @inlinable package var idByteCount: Int { Int(load(32, as: UInt16.self)) }
    /// Count of vector references.
    @inlinable package var vectorCount: Int { Int(load(34, as: UInt16.self)) }
    /// Bytes of the document.
    @inlinable package var documentByteCount: Int { Int(load(36, as: UInt32.self)) }
    /// The stored checksum.
    @inlinable package var checksum: UInt32 { load(40) }

    /// All fixed-size facts at once.
    package var header: LogEntryHeader {
        LogEntryHeader(
            operation: operation,
            flags: flags,
            collection: collection,
            previous: previous,
            timestampMilliseconds: timestampMilliseconds,
            expiryMilliseconds: expiryMilliseconds
        )
    }

    /// The id's bytes.
    @inlinable package var id: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + LogEntryLayout.headerByteCount, count: idByteCount)
    }

    /// The document's bytes; empty for a tombstone.
    @inlinable package var document: UnsafeRawBufferPointer {
        let count = documentByteCount
        return UnsafeRawBufferPointer(start: base + (bytes.count - count), count: count)
    }

    /// The reference at `index`, which is below ``vectorCount``.
    @inlinable package func vector(at index: Int) -> VectorReference {
        precondition(index >= 0 && index < vectorCount, "an entry has vectorCount references")
        let offset =
            LogEntryLayout.headerByteCount + idByteCount + index * LogEntryLayout.referenceByteCount
        return VectorReference(
            field: load(offset),
            dimensions: load(offset + 2),
            key: LogKey(rawValue: load(offset + 4))
        )
    }

    /// Whether the entry refers to `reference`.
    /// - Complexity: O(``vectorCount``).
    package func refers(to reference: VectorReference) -> Bool {
        for index in 0..<vectorCount {
            let own = vector(at: index)
            if own.key == reference.key && own.field == reference.field { return true }
        }
        return false
    }

    /// Checks the bytes against the checksum.
    /// - Throws: ``StoreError/Corruption/checksum(_:)`` where they differ.
    /// - Complexity: O(n) in the entry's bytes, about 0.3 ns each.
    package func verify() throws(StoreError) {
        guard LogEntryLayout.checksum(bytes, key: key) == checksum else {
            throw .corrupt(.checksum(key))
        }
    }
}
