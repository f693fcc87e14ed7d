import CLMDB
import Glibc
package import Primitives

/// Reads the store at one version of it. One per thread, kept and renewed: a renewal costs well
/// under a microsecond.
///
/// A transaction holds pages that the writer could reuse otherwise, so that none should live longer
/// than ``ageMillisecondsMax``: long walks are cut into many transactions (``scan(from:through:
/// countMax:_:)``), which is safe because entries never change.
package final class LogReader {
    /// The bound on a transaction's age that callers are to keep.
    package static let ageMillisecondsMax: Int64 = 10

    private let store: LogStore
    private let transaction: OpaquePointer
    private let cursor: OpaquePointer
    private var begunNanoseconds: Int64 = 0
    /// Whether a transaction is open now.
    package private(set) var isActive = false

    init(_ store: LogStore) throws(StoreError) {
        self.store = store
        transaction = try Environment.begin(store.environment, readOnly: true)
        var opened: OpaquePointer?
        let code = mdb_cursor_open(transaction, store.tables.log, &opened)
        guard code == MDB_SUCCESS, let opened else {
            mdb_txn_abort(transaction)
            throw Environment.error(code)
        }
        cursor = opened
        mdb_txn_reset(transaction)
    }

    deinit {
        mdb_cursor_close(cursor)
        mdb_txn_abort(transaction)
    }

    // MARK: - Transactions

    /// Begins a transaction on the newest committed state. REQUIRES: none is open.
    package func begin() throws(StoreError) {
        precondition(!isActive, "one transaction at a time")
        try Environment.check(mdb_txn_renew(transaction))
        let code = mdb_cursor_renew(transaction, cursor)
        guard code == MDB_SUCCESS else {
            mdb_txn_reset(transaction)
            throw Environment.error(code)
        }
        begunNanoseconds = Self.now()
        isActive = true
    }

    /// Ends the transaction; what was read through it may no longer be touched.
    package func end() {
        precondition(isActive, "no transaction is open")
        mdb_txn_reset(transaction)
        isActive = false
    }

    /// Runs `body` in a transaction of its own. Nothing borrowed may leave it.
    package func withTransaction<T>(
        _ body: () throws(StoreError) -> T
    ) throws(StoreError) -> T {
        try begin()
        defer { end() }
        return try body()
    }

    /// Makes the transaction a fresh one if it is older than `milliseconds` (or none is open).
    /// - Returns: whether it did: views read before are then invalid.
    @discardableResult
    package func renewIfOlder(
        than milliseconds: Int64 = LogReader.ageMillisecondsMax
    ) throws(StoreError) -> Bool {
        if isActive {
            guard Self.now() - begunNanoseconds > milliseconds * 1_000_000 else { return false }
            end()
        }
        try begin()
        return true
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    // MARK: - Reading

    /// The entry under `key`, or nil. REQUIRES: a transaction is open.
    /// - Throws: `corrupt`. The checksum is not looked at: see ``LogEntryView/verify()``.
    /// - Complexity: O(log n) in the log's entries.
    package func get(_ key: LogKey) throws(StoreError) -> LogEntryView? {
        precondition(isActive, "reads need a transaction")
        return try Self.entry(transaction, store.tables.log, key)
    }

    // SAFETY: LMDB reads the key from `raw` during the call only; the value borrows the map.
    @inline(__always)
    static func entry(
        _ transaction: OpaquePointer,
        _ table: MDB_dbi,
        _ key: LogKey
    ) throws(StoreError) -> LogEntryView? {
        var raw = key.rawValue
        var value = MDB_val()
        let code = withUnsafeMutableBytes(of: &raw) { bytes in
            var name = MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
            return mdb_get(transaction, table, &name, &value)
        }
        if code == MDB_NOTFOUND { return nil }
        try Environment.check(code)
        return try LogEntryView(
            key: key,
            bytes: UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
        )
    }

    /// The bytes of the vector of `field` stored under `key`, or nil. They are valid until the
    /// transaction ends. REQUIRES: a transaction is open.
    /// - Complexity: O(log n) in the stored vectors.
    package func vector(_ key: LogKey, field: UInt16) throws(StoreError)
        -> UnsafeRawBufferPointer?
    {
        precondition(isActive, "reads need a transaction")
        return try withVectorKey(key.rawValue, field) { (name) throws(StoreError) in
            try value(store.tables.vectors, &name)
        }
    }

    /// The bytes that a reference points to, or nil.
    package func vector(_ reference: VectorReference) throws(StoreError)
        -> UnsafeRawBufferPointer?
    {
        try vector(reference.key, field: reference.field)
    }

    /// The value of `key` in the meta table, or nil; valid until the transaction ends.
    /// - Complexity: O(log n) in the meta entries.
    package func meta(_ key: UnsafeRawBufferPointer) throws(StoreError) -> UnsafeRawBufferPointer? {
        precondition(isActive, "reads need a transaction")
        return try withValue(key) { (name) throws(StoreError) in
            try value(store.tables.meta, &name)
        }
    }

    /// A copy of the value of `key` in the meta table, or nil.
    package func meta(_ key: String) throws(StoreError) -> [UInt8]? {
        try withBytes(Array(key.utf8)) { (name) throws(StoreError) in
            try meta(name).map { [UInt8]($0) }
        }
    }

    /// Walks the meta entries of the engine (not the store's own) whose keys begin with `prefix`,
    /// in byte order, until `body` returns false. The bytes are valid during the call.
    package func forEachMeta(
        prefix: String = "",
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer)
            throws(StoreError) -> Bool
    ) throws(StoreError) {
        precondition(isActive, "reads need a transaction")
        var opened: OpaquePointer?
        try Environment.check(mdb_cursor_open(transaction, store.tables.meta, &opened))
        defer { mdb_cursor_close(opened) }
        let start = Array(prefix.utf8)
        let own = Array("store.".utf8)
        var value = MDB_val()
        var key = MDB_val()
        var code = start.withUnsafeBytes { bytes -> Int32 in
            key = MDB_val(
                mv_size: bytes.count,
                mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress)
            )
            return mdb_cursor_get(opened, &key, &value, bytes.isEmpty ? MDB_FIRST : MDB_SET_RANGE)
        }
        while code == MDB_SUCCESS {
            let name = UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size)
            guard name.starts(with: start) else { return }
            let bytes = UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
            if !name.starts(with: own), try !body(name, bytes) { return }
            code = mdb_cursor_get(opened, &key, &value, MDB_NEXT)
        }
        if code != MDB_NOTFOUND { throw Environment.error(code) }
    }

    private func value(_ table: MDB_dbi, _ key: inout MDB_val) throws(StoreError)
        -> UnsafeRawBufferPointer?
    {
        var value = MDB_val()
        let code = mdb_get(transaction, table, &key, &value)
        if code == MDB_NOTFOUND { return nil }
        try Environment.check(code)
        return UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
    }

    /// The key of the newest entry that was ever committed, even if it has been deleted since;
    /// ``LogKey/none`` before the first. REQUIRES: a transaction is open.
    package func lastKey() throws(StoreError) -> LogKey {
        precondition(isActive, "reads need a transaction")
        return try store.newestKey(transaction)
    }

    // MARK: - Scanning

    /// Walks entries in key order within the open transaction.
    /// - Parameters:
    ///   - from: where to begin, itself included.
    ///   - through: where to stop, itself included.
    ///   - countMax: how many entries at most.
    ///   - body: returns false to stop after the entry that it was given.
    /// - Returns: where to go on, in this or a later transaction; nil when the walk is complete.
    /// - Complexity: O(log n) to begin, then O(1) per entry.
    package func scan(
        from: LogKey = .none,
        through: LogKey = LogKey(rawValue: .max),
        countMax: Int,
        _ body: (LogEntryView) throws(StoreError) -> Bool
    ) throws(StoreError) -> LogKey? {
        precondition(isActive, "reads need a transaction")
        precondition(countMax > 0, "a batch has entries")
        var raw = from.rawValue
        var name = MDB_val()
        var value = MDB_val()
        var code = withUnsafeMutableBytes(of: &raw) { bytes -> Int32 in
            name = MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
            return mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE)
        }
        var count = 0
        while code == MDB_SUCCESS {
            let key = try logKey(name)
            if key > through { return nil }
            if count == countMax { return key }
            let view = try LogEntryView(
                key: key,
                bytes: UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
            )
            count += 1
            if try !body(view) {
                return key < through ? LogKey(rawValue: key.rawValue + 1) : nil
            }
            code = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)
        }
        if code != MDB_NOTFOUND { throw Environment.error(code) }
        return nil
    }

    /// Walks entries in key order in many short transactions of its own, each of at most
    /// `batchCount` entries. REQUIRES: no transaction is open.
    ///
    /// Entries that are committed behind `through` while it runs are not seen; those that are
    /// trimmed before it reaches them are missing, so that a walk that needs them pins its version.
    package func forEach(
        from: LogKey = .none,
        through: LogKey = LogKey(rawValue: .max),
        batchCount: Int = 1_024,
        _ body: (LogEntryView) throws(StoreError) -> Bool
    ) throws(StoreError) {
        var next: LogKey? = from
        var goesOn = true
        while goesOn, let start = next {
            next = try withTransaction { () throws(StoreError) -> LogKey? in
                try scan(from: start, through: through, countMax: batchCount) {
                    (view) throws(StoreError) -> Bool in
                    goesOn = try body(view)
                    return goesOn
                }
            }
        }
    }

    // MARK: - Figures

    /// The store's size. REQUIRES: a transaction is open.
    /// - Complexity: O(f) in the pages of the free list.
    package func statistics() throws(StoreError) -> StoreStatistics {
        precondition(isActive, "reads need a transaction")
        let info = try Environment.info(store.environment)
        return StoreStatistics(
            pageByteCount: store.pageByteCount,
            pageCount: Int(info.me_last_pgno) + 1,
            freePageCount: try freePageCount(),
            fileByteCount: Int(try StoreFiles.byteCount(store.descriptor)),
            mapByteCount: Int(info.me_mapsize),
            logEntryCount: try entryCount(store.tables.log),
            vectorCount: try entryCount(store.tables.vectors),
            metaCount: try entryCount(store.tables.meta)
        )
    }

    /// A cursor of the vectors' table, which is the caller's to close.
    func openVectors() throws(StoreError) -> OpaquePointer {
        var opened: OpaquePointer?
        try Environment.check(mdb_cursor_open(transaction, store.tables.vectors, &opened))
        guard let opened else { throw .io(code: ENOMEM) }
        return opened
    }

    private func entryCount(_ table: MDB_dbi) throws(StoreError) -> Int {
        var status = MDB_stat()
        try Environment.check(mdb_stat(transaction, table, &status))
        return Int(status.ms_entries)
    }

    /// The free list is table 0: each value is a count, then that many page numbers.
    private func freePageCount() throws(StoreError) -> Int {
        var opened: OpaquePointer?
        try Environment.check(mdb_cursor_open(transaction, 0, &opened))
        defer { mdb_cursor_close(opened) }
        var total = 0
        var key = MDB_val()
        var value = MDB_val()
        var code = mdb_cursor_get(opened, &key, &value, MDB_FIRST)
        while code == MDB_SUCCESS {
            guard value.mv_size >= 8, let data = value.mv_data else {
                throw .corrupt(.environment(code: MDB_CORRUPTED))
            }
            total += data.loadUnaligned(as: Int.self)
            code = mdb_cursor_get(opened, &key, &value, MDB_NEXT)
        }
        if code != MDB_NOTFOUND { throw Environment.error(code) }
        return total
    }
}

/// Sizes of a store.
package struct StoreStatistics: Equatable, Sendable {
    /// Bytes of one page.
    package var pageByteCount: Int
    /// Pages in use or free, the two meta pages included.
    package var pageCount: Int
    /// Pages that the next commits reuse.
    package var freePageCount: Int
    /// Bytes of the file, space claimed ahead included.
    package var fileByteCount: Int
    /// Bytes of reserved address space.
    package var mapByteCount: Int
    /// Entries of the log.
    package var logEntryCount: Int
    /// Stored vectors.
    package var vectorCount: Int
    /// Entries of the meta table, the store's own included.
    package var metaCount: Int

    /// Bytes of the pages that hold something.
    package var usedByteCount: Int { (pageCount - freePageCount) * pageByteCount }
}
