import CLMDB
import Glibc
import Primitives
import Synchronization

/// A data directory that is open: the log, its vectors and the meta table, in one LMDB environment.
///
/// Threads: any thread may make a reader and use it; exactly one thread makes a ``LogWriter`` and
/// uses it. The directory is locked until the store and all of its readers and writers are gone.
// SAFETY of `@unchecked Sendable`: all stored properties are immutable after `init` but for the
// atomics, and LMDB's environment may be used from any thread.
package final class LogStore: @unchecked Sendable {
    /// How the store was opened.
    package let options: StoreOptions
    let environment: OpaquePointer
    let tables: Tables
    /// Bytes of a page.
    package let pageByteCount: Int
    let descriptor: Int32
    private let lockDescriptor: Int32
    private let stateCode = Atomic<UInt64>(0)
    let hasWriter = Atomic<Bool>(false)

    /// Whether the store takes writes.
    package enum State: Equatable, Sendable {
        /// It does.
        case writable
        /// The last transaction did not fit on the disk; the next one may.
        case full
        /// A commit failed with this code: reads only until the store is reopened.
        case failed(code: Int32)
        /// Opened for reading only.
        case readOnly
    }

    static let formatVersion: UInt32 = 1
    static let formatKey = "store.format"
    /// Holds the newest key of a log whose last entry was deleted.
    static let lastKeyKey = "store.lastKey"

    /// Opens the store in `options.directory`, making it where there is none (unless read-only).
    /// - Throws: `invalidPath`, `notFound`, `locked` (somebody has it open), `formatTooNew`,
    ///   `corrupt` (foreign, torn or damaged files), `full` and `io`.
    /// - Complexity: O(1): nothing but a few pages is read.
    package init(_ options: StoreOptions) throws(StoreError) {
        let directory = options.directory
        if options.readOnly {
            guard StoreFiles.isDirectory(directory) else { throw .notFound }
        } else {
            try StoreFiles.createDirectory(directory)
        }
        let dataPath = StoreFiles.path(directory, StoreFiles.data)
        guard StoreFiles.exists(dataPath) || !options.readOnly else { throw .notFound }
        let lock = try StoreFiles.lock(directory, exclusive: !options.readOnly)
        var opened: OpaquePointer?
        do throws(StoreError) {
            if !options.readOnly {
                // What is left of a creation or compaction that did not finish.
                try Self.removeTemporaries(directory)
            }
            if !StoreFiles.exists(dataPath) { try Self.create(directory) }
            let environment = try Environment.open(
                dataPath,
                mapByteCount: options.mapByteCount,
                readerCountMax: options.readerCountMax,
                flags: options.readOnly ? MDB_RDONLY : 0
            )
            opened = environment
            pageByteCount = try Environment.pageByteCount(environment)
            descriptor = try Environment.descriptor(environment)
            try Self.checkLength(environment, descriptor, pageByteCount)
            tables = try Self.openTables(environment)
            self.environment = environment
            lockDescriptor = lock
            self.options = options
        } catch {
            if let opened { mdb_env_close(opened) }
            close(lock)
            throw error
        }
        if options.readOnly { store(.readOnly) }
    }

    deinit {
        mdb_env_close(environment)
        close(lockDescriptor)
    }

    /// Whether the store takes writes now. Any thread may ask.
    package var state: State {
        let raw = stateCode.load(ordering: .acquiring)
        switch raw & 3 {
        case 0: return .writable
        case 1: return .full
        case 2: return .readOnly
        default: return .failed(code: Int32(truncatingIfNeeded: raw >> 32))
        }
    }

    func store(_ state: State) {
        let raw: UInt64 =
            switch state {
            case .writable: 0
            case .full: 1
            case .readOnly: 2
            case .failed(let code): 3 | UInt64(UInt32(bitPattern: code)) << 32
            }
        stateCode.store(raw, ordering: .releasing)
    }

    /// A reader for the calling thread's use: one per event loop.
    /// - Throws: `tooManyReaders`, `io`.
    package func makeReader() throws(StoreError) -> LogReader { try LogReader(self) }

    /// The writer. Call it on the thread that will use it; there is at most one at a time.
    /// - Throws: `readOnly` where the store was opened so; otherwise as a read does.
    package func makeWriter() throws(StoreError) -> LogWriter {
        if case .readOnly = state { throw .readOnly }
        precondition(
            !hasWriter.exchange(true, ordering: .acquiringAndReleasing),
            "a store has one writer at a time"
        )
        do throws(StoreError) {
            return try LogWriter(self)
        } catch {
            hasWriter.store(false, ordering: .releasing)
            throw error
        }
    }

    // MARK: - Opening

    private static func removeTemporaries(_ directory: String) throws(StoreError) {
        let temporary = StoreFiles.path(directory, StoreFiles.temporary)
        try StoreFiles.remove(temporary)
        try StoreFiles.remove(temporary + "-lock")
    }

    /// Makes the data file under another name first: a file called `data.mdb` is always whole.
    private static func create(_ directory: String) throws(StoreError) {
        let temporary = StoreFiles.path(directory, StoreFiles.temporary)
        let environment = try Environment.open(
            temporary,
            mapByteCount: 1 << 30,
            readerCountMax: 1,
            flags: MDB_NOLOCK
        )
        do throws(StoreError) {
            let transaction = try Environment.begin(environment, readOnly: false)
            do throws(StoreError) {
                let tables = try Tables(transaction, create: true)
                var version = formatVersion.littleEndian
                try putMeta(transaction, tables.meta, formatKey, &version)
            } catch {
                mdb_txn_abort(transaction)
                throw error
            }
            try Environment.commit(transaction)
        } catch {
            mdb_env_close(environment)
            throw error
        }
        mdb_env_close(environment)
        try StoreFiles.syncFile(temporary)
        try StoreFiles.replace(
            temporary,
            StoreFiles.path(directory, StoreFiles.data),
            in: directory
        )
    }

    static func putMeta<T>(
        _ transaction: OpaquePointer,
        _ table: MDB_dbi,
        _ key: String,
        _ value: inout T
    ) throws(StoreError) {
        try withBytes(Array(key.utf8)) { (name) throws(StoreError) in
            try withValue(name) { (key) throws(StoreError) in
                try withUnsafeBytes(of: &value) { (raw) throws(StoreError) in
                    try withValue(raw) { (value) throws(StoreError) in
                        try Environment.check(mdb_put(transaction, table, &key, &value, 0))
                    }
                }
            }
        }
    }

    private static func checkLength(
        _ environment: OpaquePointer,
        _ descriptor: Int32,
        _ pageByteCount: Int
    ) throws(StoreError) {
        let lastPage = UInt64(try Environment.info(environment).me_last_pgno)
        let expected = (lastPage + 1) * UInt64(pageByteCount)
        let found = try StoreFiles.byteCount(descriptor)
        // Reading beyond the end of a mapped file is a signal, not an error: refuse it here.
        guard found >= expected else {
            throw .corrupt(.fileTooShort(expected: expected, found: found))
        }
    }

    private static func openTables(_ environment: OpaquePointer) throws(StoreError) -> Tables {
        let transaction = try Environment.begin(environment, readOnly: true)
        let tables: Tables
        do throws(StoreError) {
            tables = try Tables(transaction, create: false)
            try checkFormat(transaction, tables.meta)
        } catch {
            mdb_txn_abort(transaction)
            throw error
        }
        // A commit, not an abort: only so do the handles outlive the transaction.
        try Environment.commit(transaction)
        return tables
    }

    private static func checkFormat(
        _ transaction: OpaquePointer,
        _ meta: MDB_dbi
    ) throws(StoreError) {
        guard let format = try readMeta(transaction, meta, formatKey, UInt32.self) else {
            throw .corrupt(.format)
        }
        let found = UInt32(littleEndian: format)
        guard found <= formatVersion else {
            throw .formatTooNew(found: found, known: formatVersion)
        }
        guard found > 0 else { throw .corrupt(.format) }
    }

    static func readMeta<T: FixedWidthInteger>(
        _ transaction: OpaquePointer,
        _ table: MDB_dbi,
        _ key: String,
        _ type: T.Type
    ) throws(StoreError) -> T? {
        try withBytes(Array(key.utf8)) { (name) throws(StoreError) -> T? in
            try withValue(name) { (key) throws(StoreError) -> T? in
                var value = MDB_val()
                let code = mdb_get(transaction, table, &key, &value)
                if code == MDB_NOTFOUND { return nil }
                try Environment.check(code)
                guard value.mv_size == MemoryLayout<T>.size, let data = value.mv_data else {
                    throw .corrupt(.format)
                }
                return data.loadUnaligned(as: T.self)
            }
        }
    }

    /// The key of the newest entry that was ever appended: what is in the log, or what the meta
    /// table remembers of a deleted end.
    func newestKey(_ transaction: OpaquePointer) throws(StoreError) -> LogKey {
        let remembered = try Self.readMeta(
            transaction,
            tables.meta,
            Self.lastKeyKey,
            UInt64.self
        )
        var newest = UInt64(littleEndian: remembered ?? 0)
        var cursor: OpaquePointer?
        try Environment.check(mdb_cursor_open(transaction, tables.log, &cursor))
        defer { mdb_cursor_close(cursor) }
        var key = MDB_val()
        var value = MDB_val()
        let code = mdb_cursor_get(cursor, &key, &value, MDB_LAST)
        if code != MDB_NOTFOUND {
            try Environment.check(code)
            newest = max(newest, try logKey(key).rawValue)
        }
        return LogKey(rawValue: newest)
    }
}

/// The log key that LMDB gave.
@inline(__always)
func logKey(_ value: MDB_val) throws(StoreError) -> LogKey {
    guard value.mv_size == 8, let data = value.mv_data else { throw .corrupt(.key) }
    return LogKey(rawValue: data.loadUnaligned(as: UInt64.self))
}
