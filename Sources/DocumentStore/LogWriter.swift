import CLMDB
import Glibc
package import Primitives
import Synchronization

/// The one writer of a store. All of its methods belong to the thread that made it.
///
/// ```
/// begin ─► append · appendVector · delete · trim · putMeta · deleteMeta ─► commit │ abort
/// ```
/// Any call between `begin` and `commit` that throws has ended the transaction: nothing of it is
/// kept, and the next `begin` starts over. A commit that throws `full` kept nothing either and may
/// be tried again. Any other failure of a commit makes the store read-only until it is reopened,
/// because the kernel may have dropped the pages that it could not write.
package final class LogWriter {
    private let store: LogStore
    private var transaction: OpaquePointer?
    /// The newest committed key, and the newest of the open transaction.
    private var committedKey: LogKey
    private var appendedKey: LogKey
    private var deletesNewest = false
    /// An upper bound of the bytes of pages that the open transaction may add to the file.
    private var growthByteCount = 0
    /// Where the disk space ends that the file has for certain.
    private var allocatedByteCount: UInt64

    init(_ store: LogStore) throws(StoreError) {
        self.store = store
        allocatedByteCount = try StoreFiles.byteCount(store.descriptor)
        let reading = try Environment.begin(store.environment, readOnly: true)
        defer { mdb_txn_abort(reading) }
        committedKey = try store.newestKey(reading)
        appendedKey = committedKey
    }

    deinit {
        if let transaction { mdb_txn_abort(transaction) }
        store.hasWriter.store(false, ordering: .releasing)
    }

    /// The key of the newest committed entry; ``LogKey/none`` before the first.
    package var lastKey: LogKey { committedKey }

    /// Whether the last commit found the disk full.
    package var isFull: Bool { store.state == .full }

    // MARK: - Transactions

    /// Begins a transaction. REQUIRES: none is open.
    /// - Throws: `failed` after a failed commit; `io`.
    package func begin() throws(StoreError) {
        precondition(transaction == nil, "one transaction at a time")
        if case .failed(let code) = store.state { throw .failed(code: code) }
        do throws(StoreError) {
            transaction = try Environment.begin(store.environment, readOnly: false)
        } catch {
            if case .failed(let code) = error { store.store(.failed(code: code)) }
            throw error
        }
        appendedKey = committedKey
        deletesNewest = false
        growthByteCount = 1 << 18
    }

    /// Drops the open transaction, if there is one.
    package func abort() {
        guard let transaction else { return }
        mdb_txn_abort(transaction)
        self.transaction = nil
    }

    /// Makes the transaction durable: when this returns, its pages and the page that names them
    /// have been synced to the disk.
    /// - Throws: `full` (nothing kept, may be tried again), `failed` (read-only from now on).
    /// - Complexity: O(changed pages), and two syncs.
    package func commit() throws(StoreError) {
        let transaction = try active()
        if deletesNewest {
            var newest = appendedKey.rawValue.littleEndian
            try ending { () throws(StoreError) in
                try LogStore.putMeta(
                    transaction,
                    store.tables.meta,
                    LogStore.lastKeyKey,
                    &newest
                )
            }
        }
        try claimSpace()
        // Whatever happens, LMDB has freed the transaction when the call returns.
        self.transaction = nil
        let code = mdb_txn_commit(transaction)
        guard code == MDB_SUCCESS else { throw failure(code) }
        committedKey = appendedKey
        store.store(.writable)
    }

    /// What a failed commit means for the store.
    ///
    /// A full disk is told apart: LMDB writes pages that no committed state refers to, syncs them,
    /// and only then overwrites the page that names the new state. If either of the first two steps
    /// fails, the old state is whole and nothing will ever refer to the pages that were lost. If
    /// the last step fails, LMDB refuses every later transaction, which the probe finds out.
    private func failure(_ code: Int32) -> StoreError {
        guard Environment.error(code) == .full else {
            store.store(.failed(code: code))
            return .failed(code: code)
        }
        do throws(StoreError) {
            mdb_txn_abort(try Environment.begin(store.environment, readOnly: false))
            store.store(.full)
            return .full
        } catch {
            store.store(.failed(code: code))
            return .failed(code: code)
        }
    }

    private func active() throws(StoreError) -> OpaquePointer {
        guard let transaction else { preconditionFailure("begin() comes first") }
        return transaction
    }

    /// Runs a step of the transaction, which ends if the step fails.
    private func ending<T>(_ step: () throws(StoreError) -> T) throws(StoreError) -> T {
        do throws(StoreError) {
            return try step()
        } catch {
            abort()
            if error == .full { store.store(.full) }
            throw error
        }
    }

    // MARK: - Disk space

    /// Claims the disk space that the commit may need by writing zeros behind the file's end.
    ///
    /// So a full disk shows here, where nothing has been written yet. And commits then overwrite
    /// blocks that exist, which spares the file system a journal commit in each sync: 50 documents
    /// of 1 KB took 250 µs instead of 420–480 on ext4; `fallocate` alone gained a tenth.
    private func claimSpace() throws(StoreError) {
        guard store.options.preallocationByteCount > 0 else { return }
        try ending { () throws(StoreError) in
            let page = UInt64(store.pageByteCount)
            let used = UInt64(try Environment.info(store.environment).me_last_pgno) + 1
            let needed = used * page + UInt64(growthByteCount)
            guard needed > allocatedByteCount else { return }
            if growthByteCount > 1 << 20 {
                // One journal commit among so many pages costs less than writing them twice.
                return try reserve(through: needed)
            }
            do throws(StoreError) {
                try writeZeros(
                    through: needed + UInt64(store.options.preallocationByteCount)
                )
            } catch StoreError.full {
                // Not enough for a whole piece: what this commit needs may still fit.
                try writeZeros(through: needed)
            }
        }
    }

    /// Reserves blocks up to `end` without writing them.
    private func reserve(through end: UInt64) throws(StoreError) {
        let start = try StoreFiles.byteCount(store.descriptor)
        allocatedByteCount = max(start, end)
        guard start < end else { return }
        while true {
            let code = posix_fallocate(store.descriptor, off_t(start), off_t(end - start))
            switch code {
            // Where a file system cannot reserve, the commit itself finds out.
            case 0, EOPNOTSUPP, ENOSYS, EINVAL: return
            case EINTR: continue
            default:
                allocatedByteCount = start
                throw StoreFiles.error(code)
            }
        }
    }

    /// Nothing can be overwritten: this thread alone writes to the file, and whatever LMDB wrote
    /// lies before the end that the system gives.
    private func writeZeros(through end: UInt64) throws(StoreError) {
        allocatedByteCount = try StoreFiles.byteCount(store.descriptor)
        let zeros = [UInt8](repeating: 0, count: 1 << 18)
        while allocatedByteCount < end {
            let count = min(zeros.count, Int(end - allocatedByteCount))
            let written = pwrite(store.descriptor, zeros, count, off_t(allocatedByteCount))
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw written == 0 ? .full : StoreFiles.lastError }
            allocatedByteCount += UInt64(written)
        }
    }

    /// Adds to the bound what a value of `byteCount` bytes may take: whole pages for a large one,
    /// twice its bytes for one that shares a page.
    private func willGrow(_ byteCount: Int) {
        let page = store.pageByteCount
        growthByteCount += byteCount < page / 2 ? 2 * (byteCount + 24) : byteCount + 2 * page
    }

    // MARK: - Log

    /// Appends an entry. The bytes are copied once, into the page.
    /// - Parameters:
    ///   - key: greater than every key before it, deleted ones included: REQUIRED.
    ///   - header: its fixed-size facts.
    ///   - id: 0–65,535 bytes.
    ///   - document: fewer than 2^32 bytes; empty for a tombstone.
    ///   - vectors: where its vectors are stored; those of older entries may be named.
    /// - Throws: `full`, `tooLarge`, `io`, `corrupt`; the transaction is then over.
    /// - Complexity: O(bytes + log n).
    package func append(
        _ key: LogKey,
        _ header: LogEntryHeader,
        id: UnsafeRawBufferPointer,
        document: UnsafeRawBufferPointer,
        vectors: [VectorReference] = []
    ) throws(StoreError) {
        precondition(key > appendedKey, "keys only rise")
        precondition(id.count <= Int(UInt16.max), "an id's length is 16 bits")
        precondition(document.count <= Int(UInt32.max), "a document's length is 32 bits")
        precondition(vectors.count <= Int(UInt16.max), "a count of vectors is 16 bits")
        let transaction = try active()
        let byteCount = LogEntryLayout.byteCount(
            idByteCount: id.count,
            vectorCount: vectors.count,
            documentByteCount: document.count
        )
        willGrow(byteCount)
        try ending { () throws(StoreError) in
            var raw = key.rawValue
            var value = MDB_val(mv_size: byteCount, mv_data: nil)
            let code = withUnsafeMutableBytes(of: &raw) { bytes in
                var name = MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
                return mdb_put(
                    transaction,
                    store.tables.log,
                    &name,
                    &value,
                    UInt32(MDB_APPEND | MDB_RESERVE)
                )
            }
            try Environment.check(code)
            // SAFETY: LMDB reserved `byteCount` writable bytes, valid until its next write.
            let target = UnsafeMutableRawBufferPointer(start: value.mv_data, count: byteCount)
            LogEntryLayout.write(
                into: target,
                key: key,
                header: header,
                id: id,
                document: document,
                vectors: vectors
            )
        }
        appendedKey = key
    }

    /// Stores the bytes of a vector of `field` under `key`; both rise within the store.
    /// - Throws: as ``append(_:_:id:document:vectors:)``.
    package func appendVector(
        _ key: LogKey,
        field: UInt16,
        _ bytes: UnsafeRawBufferPointer
    ) throws(StoreError) {
        let transaction = try active()
        willGrow(bytes.count)
        try ending { () throws(StoreError) in
            try withVectorKey(key.rawValue, field) { (name) throws(StoreError) in
                try withValue(bytes) { (value) throws(StoreError) in
                    let code = mdb_put(
                        transaction,
                        store.tables.vectors,
                        &name,
                        &value,
                        UInt32(MDB_APPEND)
                    )
                    precondition(code != MDB_KEYEXIST, "vector keys only rise")
                    try Environment.check(code)
                }
            }
        }
    }

    /// Deletes the entry under `key`.
    /// - Returns: whether there was one.
    /// - Throws: as ``append(_:_:id:document:vectors:)``.
    /// - Complexity: O(log n).
    @discardableResult
    package func delete(_ key: LogKey) throws(StoreError) -> Bool {
        let transaction = try active()
        growthByteCount += store.pageByteCount
        return try ending { () throws(StoreError) -> Bool in
            var raw = key.rawValue
            let code = withUnsafeMutableBytes(of: &raw) { bytes in
                var name = MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
                return mdb_del(transaction, store.tables.log, &name, nil)
            }
            if code == MDB_NOTFOUND { return false }
            try Environment.check(code)
            // The log alone would forget its newest version, which must never be given twice.
            if key == appendedKey { deletesNewest = true }
            return true
        }
    }

    /// Deletes a vector's bytes.
    /// - Returns: whether there were any.
    @discardableResult
    package func deleteVector(_ key: LogKey, field: UInt16) throws(StoreError) -> Bool {
        let transaction = try active()
        growthByteCount += store.pageByteCount
        return try ending { () throws(StoreError) -> Bool in
            try withVectorKey(key.rawValue, field) { (name) throws(StoreError) -> Bool in
                let code = mdb_del(transaction, store.tables.vectors, &name, nil)
                if code == MDB_NOTFOUND { return false }
                try Environment.check(code)
                return true
            }
        }
    }

    /// Deletes the entries of a batch of ``LogTrimmer``, and of their vectors those to which the
    /// entry that superseded them does not refer. Entries that are gone already are passed over.
    ///
    /// An id's entries leave in the order in which they were superseded, so that a vector is
    /// unreferenced as soon as an entry leaves whose successor does not share it.
    /// - Complexity: O(b log n) for b entries.
    package func trim(_ batch: LogTrimmer.Batch) throws(StoreError) {
        let transaction = try active()
        for entry in batch.entries {
            let dropped = try ending { () throws(StoreError) -> [VectorReference] in
                try unsharedVectors(transaction, entry)
            }
            for vector in dropped { try deleteVector(vector.key, field: vector.field) }
            try delete(entry.key)
        }
    }

    private func unsharedVectors(
        _ transaction: OpaquePointer,
        _ entry: LogTrimmer.Batch.Entry
    ) throws(StoreError) -> [VectorReference] {
        guard let view = try LogReader.entry(transaction, store.tables.log, entry.key),
            view.vectorCount > 0
        else { return [] }
        let successor =
            entry.successor == entry.key
            ? nil : try LogReader.entry(transaction, store.tables.log, entry.successor)
        var dropped: [VectorReference] = []
        for index in 0..<view.vectorCount {
            let reference = view.vector(at: index)
            if let successor, successor.refers(to: reference) { continue }
            dropped.append(reference)
        }
        return dropped
    }

    // MARK: - Meta

    /// Sets `key` (1–511 bytes, not beginning with `store.`) in the meta table.
    /// - Throws: as ``append(_:_:id:document:vectors:)``.
    package func putMeta(
        _ key: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer
    ) throws(StoreError) {
        checkMetaKey(key)
        let transaction = try active()
        willGrow(key.count + value.count)
        growthByteCount += 4 * store.pageByteCount
        try ending { () throws(StoreError) in
            try withValue(key) { (name) throws(StoreError) in
                try withValue(value) { (value) throws(StoreError) in
                    try Environment.check(
                        mdb_put(transaction, store.tables.meta, &name, &value, 0)
                    )
                }
            }
        }
    }

    /// Sets `key` in the meta table.
    package func putMeta(_ key: String, _ value: [UInt8]) throws(StoreError) {
        try withBytes(Array(key.utf8)) { (name) throws(StoreError) in
            try withBytes(value) { (bytes) throws(StoreError) in try putMeta(name, bytes) }
        }
    }

    /// Deletes `key` from the meta table.
    /// - Returns: whether it was there.
    @discardableResult
    package func deleteMeta(_ key: UnsafeRawBufferPointer) throws(StoreError) -> Bool {
        checkMetaKey(key)
        let transaction = try active()
        growthByteCount += 4 * store.pageByteCount
        return try ending { () throws(StoreError) -> Bool in
            try withValue(key) { (name) throws(StoreError) -> Bool in
                let code = mdb_del(transaction, store.tables.meta, &name, nil)
                if code == MDB_NOTFOUND { return false }
                try Environment.check(code)
                return true
            }
        }
    }

    /// Deletes `key` from the meta table.
    @discardableResult
    package func deleteMeta(_ key: String) throws(StoreError) -> Bool {
        try withBytes(Array(key.utf8)) { (name) throws(StoreError) in try deleteMeta(name) }
    }

    private func checkMetaKey(_ key: UnsafeRawBufferPointer) {
        precondition(!key.isEmpty && key.count <= 511, "a meta key has 1–511 bytes")
        precondition(!key.starts(with: "store.".utf8), "these keys are the store's own")
    }
}
