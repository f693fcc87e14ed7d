import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Wakes threads that wait for something to do.
// SAFETY of `@unchecked Sendable`: all mutable state is behind `mutex`.
final class Bell: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var isClosed = false
    private var ringCount = 0

    init() {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    private func locked<T>(_ body: () -> T) -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// There may be something to do.
    func ring() {
        locked {
            ringCount &+= 1
            pthread_cond_broadcast(condition)
        }
    }

    /// There will be nothing to do any more.
    func close() {
        locked {
            isClosed = true
            pthread_cond_broadcast(condition)
        }
    }

    var mustStop: Bool { locked { isClosed } }

    /// Rises with each ring, so that none is lost between a look around and the wait.
    var rings: Int { locked { ringCount } }

    /// Waits until it has rung since ``rings`` was `seen`.
    func wait(since seen: Int) {
        locked {
            while !isClosed, ringCount == seen { pthread_cond_wait(condition, mutex) }
        }
    }
}
