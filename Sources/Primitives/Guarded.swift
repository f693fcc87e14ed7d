#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// A value behind a lock, for state that threads wait for each other over.
///
/// The standard library's `Mutex` takes its slow path where sanitizers of races cannot see it, so
/// that a contended one is reported; this is the system's own lock, which they know. Use `Mutex`
/// where contention is rare and a class would cost.
// SAFETY of `@unchecked Sendable`: the value is read and written under the lock only.
package final class Guarded<Value>: @unchecked Sendable {
    private var value: Value
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    package init(_ value: sending Value) {
        self.value = value
        mutex = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Runs `body` on the value. Not recursive.
    package func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }
}
