import CLMDB
import Glibc

/// Opens and describes LMDB environments; turns LMDB's codes into errors.
enum Environment {
    /// LMDB's codes and `errno` values that come out of any call but a commit.
    static func error(_ code: Int32) -> StoreError {
        switch code {
        case MDB_MAP_FULL, ENOSPC, EDQUOT: .full
        case MDB_TXN_FULL: .tooLarge
        case MDB_READERS_FULL: .tooManyReaders
        case MDB_PANIC: .failed(code: code)
        default: code > 0 ? .io(code: code) : .corrupt(.environment(code: code))
        }
    }

    static func check(_ code: Int32) throws(StoreError) {
        guard code == MDB_SUCCESS else { throw error(code) }
    }

    /// Opens the environment file at `path`. Where the system refuses the address space, smaller
    /// maps are tried.
    static func open(
        _ path: String,
        mapByteCount: Int,
        readerCountMax: Int,
        flags: Int32
    ) throws(StoreError) -> OpaquePointer {
        var byteCount = mapByteCount
        while true {
            do {
                return try openOnce(
                    path,
                    mapByteCount: byteCount,
                    readerCountMax: readerCountMax,
                    flags: flags
                )
            } catch StoreError.io(let code) where code == ENOMEM && byteCount > 1 << 30 {
                byteCount = max(1 << 30, byteCount / 4)
            }
        }
    }

    private static func openOnce(
        _ path: String,
        mapByteCount: Int,
        readerCountMax: Int,
        flags: Int32
    ) throws(StoreError) -> OpaquePointer {
        var created: OpaquePointer?
        try check(mdb_env_create(&created))
        guard let environment = created else { throw .io(code: ENOMEM) }
        do throws(StoreError) {
            try check(mdb_env_set_mapsize(environment, mapByteCount))
            try check(mdb_env_set_maxreaders(environment, UInt32(readerCountMax)))
            try check(mdb_env_set_maxdbs(environment, 4))
            // Read transactions belong to objects, not threads: a loop keeps one and renews it.
            let all = UInt32(MDB_NOSUBDIR | MDB_NOTLS | flags)
            try check(mdb_env_open(environment, path, all, 0o600))
        } catch {
            mdb_env_close(environment)
            throw error
        }
        return environment
    }

    /// A transaction of `environment`.
    static func begin(_ environment: OpaquePointer, readOnly: Bool) throws(StoreError)
        -> OpaquePointer
    {
        var transaction: OpaquePointer?
        try check(
            mdb_txn_begin(environment, nil, readOnly ? UInt32(MDB_RDONLY) : 0, &transaction)
        )
        guard let transaction else { throw .io(code: ENOMEM) }
        return transaction
    }

    /// Commits `transaction`, which is over whatever the result.
    static func commit(_ transaction: OpaquePointer) throws(StoreError) {
        try check(mdb_txn_commit(transaction))
    }

    static func info(_ environment: OpaquePointer) throws(StoreError) -> MDB_envinfo {
        var info = MDB_envinfo()
        try check(mdb_env_info(environment, &info))
        return info
    }

    static func pageByteCount(_ environment: OpaquePointer) throws(StoreError) -> Int {
        var status = MDB_stat()
        try check(mdb_env_stat(environment, &status))
        return Int(status.ms_psize)
    }

    static func descriptor(_ environment: OpaquePointer) throws(StoreError) -> Int32 {
        var descriptor: mdb_filehandle_t = -1
        try check(mdb_env_get_fd(environment, &descriptor))
        return descriptor
    }
}

/// The handles of the three tables.
struct Tables {
    var log: MDB_dbi = 0
    var vectors: MDB_dbi = 0
    var meta: MDB_dbi = 0

    /// Opens the tables within `transaction`; `create` makes those that are missing.
    init(_ transaction: OpaquePointer, create: Bool) throws(StoreError) {
        let flag = create ? UInt32(MDB_CREATE) : 0
        try Self.check(mdb_dbi_open(transaction, "log", flag | UInt32(MDB_INTEGERKEY), &log))
        try Self.check(mdb_dbi_open(transaction, "vectors", flag, &vectors))
        try Self.check(mdb_dbi_open(transaction, "meta", flag, &meta))
    }

    private static func check(_ code: Int32) throws(StoreError) {
        // An LMDB file without our tables is somebody else's.
        guard code != MDB_NOTFOUND && code != MDB_INCOMPATIBLE else { throw .corrupt(.format) }
        try Environment.check(code)
    }
}

/// Calls `body` with an LMDB value that borrows `bytes`. LMDB never writes through it.
@inline(__always)
func withValue<T>(
    _ bytes: UnsafeRawBufferPointer,
    _ body: (inout MDB_val) throws(StoreError) -> T
) throws(StoreError) -> T {
    var value = MDB_val(
        mv_size: bytes.count,
        mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress)
    )
    return try body(&value)
}

/// Calls `body` with the bytes of `array`, keeping the error's type.
func withBytes<T>(
    _ array: [UInt8],
    _ body: (UnsafeRawBufferPointer) throws(StoreError) -> T
) throws(StoreError) -> T {
    let result: Result<T, StoreError> = array.withUnsafeBytes { bytes in
        do throws(StoreError) {
            return .success(try body(bytes))
        } catch {
            return .failure(error)
        }
    }
    return try result.get()
}

/// The 10 bytes under which a vector is stored: its entry's key and its field, big-endian, so that
/// they sort as the log does.
@inline(__always)
func withVectorKey<T>(
    _ key: UInt64,
    _ field: UInt16,
    _ body: (inout MDB_val) throws(StoreError) -> T
) throws(StoreError) -> T {
    var storage: (UInt64, UInt16) = (key.bigEndian, field.bigEndian)
    return try withUnsafeMutableBytes(of: &storage) { (raw) throws(StoreError) -> T in
        // SAFETY: the tuple is laid out as 8 bytes, then 2: the test of the layout says so.
        var value = MDB_val(mv_size: 10, mv_data: raw.baseAddress)
        return try body(&value)
    }
}
