import CLMDB
package import Primitives

extension LogReader {
    /// Walks stored vectors in the order of their entries within the open transaction.
    ///
    /// A vector outlives the entry that brought it as long as a later one refers to it, so a walk
    /// over entries does not meet all of them.
    /// - Parameters:
    ///   - from: the entry's key and the field to begin with, themselves included.
    ///   - through: the last entry's key.
    ///   - countMax: how many vectors at most.
    ///   - body: the bytes are valid during the call.
    /// - Returns: where to go on, in this or a later transaction; nil when the walk is complete.
    package func scanVectors(
        from: (key: LogKey, field: UInt16), through: LogKey, countMax: Int,
        _ body: (LogKey, UInt16, UnsafeRawBufferPointer) throws(StoreError) -> Void
    ) throws(StoreError) -> (key: LogKey, field: UInt16)? {
        precondition(isActive, "reads need a transaction")
        precondition(countMax > 0, "a batch has vectors")
        let cursor = try openVectors()
        defer { mdb_cursor_close(cursor) }
        var value = MDB_val()
        var name = MDB_val()
        var code = try withVectorKey(from.key.rawValue, from.field) { (key) throws(StoreError) in
            let code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
            name = key
            return code
        }
        var count = 0
        while code == MDB_SUCCESS {
            guard name.mv_size == 10, let data = name.mv_data else { throw .corrupt(.key) }
            // SAFETY: ten bytes, as was just checked.
            let key = LogKey(rawValue: UInt64(bigEndian: data.loadUnaligned(as: UInt64.self)))
            let field = UInt16(
                bigEndian: data.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
            if key > through { return nil }
            if count == countMax { return (key, field) }
            try body(key, field, UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
            count += 1
            code = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)
        }
        if code != MDB_NOTFOUND { throw Environment.error(code) }
        return nil
    }
}
