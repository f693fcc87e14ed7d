#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// The bounded queue between the event loops and the committer.
///
/// Loops append what one read brought in with one lock; the committer takes all of it at once, so
/// that a group commit is as large as the load makes it.
// SAFETY of `@unchecked Sendable`: every member is read and written under `mutex` only.
final class CommitQueue: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var waiting: [WriteRequest] = []
    private var waitingByteCount = 0
    private var isClosed = false
    private let byteCountMax: Int

    init(byteCountMax: Int) {
        self.byteCountMax = byteCountMax
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Appends requests in their order.
    ///
    /// - Returns: false, and nothing is taken, when the queue is closed or beyond its bound.
    func submit(_ requests: [WriteRequest]) -> Bool {
        let added = requests.reduce(0) { $0 + $1.byteCount }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed, waitingByteCount + added <= byteCountMax || waiting.isEmpty else {
            return false
        }
        let wasEmpty = waiting.isEmpty
        waiting.append(contentsOf: requests)
        waitingByteCount += added
        if wasEmpty { pthread_cond_signal(condition) }
        return true
    }

    /// Takes what waits, or waits for it until `deadlineNanoseconds` on the monotonic clock.
    ///
    /// It never lingers for more: waiting for clients to come together was measured (150 µs for as
    /// many as came before) and cost a fifth of the rate, since their work then no longer overlaps
    /// the sync.
    ///
    /// - Returns: nil once the queue is closed and empty.
    func take(deadlineNanoseconds: UInt64) -> [WriteRequest]? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while waiting.isEmpty {
            if isClosed { return nil }
            if !wait(until: deadlineNanoseconds) { break }
        }
        let taken = waiting
        waiting = []
        waitingByteCount = 0
        return taken
    }

    /// Waits on the condition; false when the time is over. REQUIRES: the mutex is held.
    private func wait(until nanoseconds: UInt64) -> Bool {
        var deadline = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        return pthread_cond_timedwait(condition, mutex, &deadline) != ETIMEDOUT
    }

    /// No request is taken in from now on; those that wait are still handed out.
    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Whether the queue takes nothing in any more.
    var isShut: Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return isClosed
    }

    /// Requests and bytes that wait.
    var depth: (count: Int, byteCount: Int) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return (waiting.count, waitingByteCount)
    }
}

/// Clocks: read here, and passed on as values to whatever must be deterministic.
package enum Clock {
    /// Milliseconds since 1970.
    package static func wallMilliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    /// Nanoseconds that only rise.
    package static func monotonicNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
