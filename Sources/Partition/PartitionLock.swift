#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// The reader–writer lock of one partition.
///
/// Event loops read a partition under the reader side, for at most a slice (about a millisecond);
/// the committer applies under the writer side, for at most a small batch. A waiting writer goes
/// before new readers, so that a stream of lookups cannot starve the commits. Not recursive: a
/// thread that holds the reader side must not ask for it again.
// SAFETY of `@unchecked Sendable`: the only state is the lock itself, which exists to be shared.
package final class PartitionLock: @unchecked Sendable {
    private let lock: UnsafeMutablePointer<pthread_rwlock_t>

    package init() {
        lock = .allocate(capacity: 1)
        var attributes = pthread_rwlockattr_t()
        pthread_rwlockattr_init(&attributes)
        // glibc's PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP.
        pthread_rwlockattr_setkind_np(&attributes, 2)
        let status = pthread_rwlock_init(lock, &attributes)
        precondition(status == 0, "a lock can be made")
        pthread_rwlockattr_destroy(&attributes)
    }

    deinit {
        pthread_rwlock_destroy(lock)
        lock.deallocate()
    }

    package func lockForReading() {
        let status = pthread_rwlock_rdlock(lock)
        precondition(status == 0, "a reader lock that this thread does not hold for writing")
    }

    package func lockForWriting() {
        let status = pthread_rwlock_wrlock(lock)
        precondition(status == 0, "a writer lock that this thread does not hold")
    }

    package func unlock() { pthread_rwlock_unlock(lock) }
}
