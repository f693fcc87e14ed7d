import CLMDB
import Glibc

extension LogStore {
    /// Writes a copy of the store's current state, without free pages, to the file at `path`, which
    /// must not exist, and syncs it. The writer may go on meanwhile.
    ///
    /// One read transaction is held throughout, so that pages freed meanwhile are not reused: the
    /// file grows by what is written during the copy.
    /// - Throws: `full` and `io` (an existing file is `io(EEXIST)`); no file is left then.
    /// - Complexity: O(live bytes).
    package func copyCompact(to path: String) throws(StoreError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreFiles.lastError }
        do throws(StoreError) {
            try Environment.check(
                mdb_env_copyfd2(environment, descriptor, UInt32(MDB_CP_COMPACT))
            )
            guard fsync(descriptor) == 0 else { throw StoreFiles.lastError }
        } catch {
            close(descriptor)
            unlink(path)
            throw error
        }
        close(descriptor)
    }
}

/// Bytes of the data file before and after a compaction.
package struct CompactionResult: Equatable, Sendable {
    /// Bytes before.
    package var byteCountBefore: Int
    /// Bytes after.
    package var byteCountAfter: Int
}

/// Rewrites the data file of `directory` without its free pages. Nobody may have it open.
///
/// The new file takes the old one's name when it is whole and synced, so that a crash at any moment
/// leaves one or the other.
/// - Throws: as ``LogStore/init(_:)``; `full` where the disk cannot hold both files.
/// - Complexity: O(live bytes).
package func compactStore(_ directory: String) throws(StoreError) -> CompactionResult {
    guard StoreFiles.exists(StoreFiles.path(directory, StoreFiles.data)) else { throw .notFound }
    let store = try LogStore(StoreOptions(directory: directory))
    let before = try StoreFiles.byteCount(store.descriptor)
    let temporary = StoreFiles.path(directory, StoreFiles.temporary)
    try store.copyCompact(to: temporary)
    let data = StoreFiles.path(directory, StoreFiles.data)
    try StoreFiles.replace(temporary, data, in: directory)
    let descriptor = open(data, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw StoreFiles.lastError }
    defer { close(descriptor) }
    let after = try StoreFiles.byteCount(descriptor)
    // The store, and with it the lock, is held until here.
    return withExtendedLifetime(store) {
        CompactionResult(byteCountBefore: Int(before), byteCountAfter: Int(after))
    }
}
