import Primitives
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Work that is dealt out to threads for its duration: at start-up, where nobody else has any.
final class Workers: Sendable {
    private let next = Atomic<Int>(0)
    private let count: Int
    private let body: @Sendable (Int) -> Void

    private init(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        self.count = count
        self.body = body
    }

    /// Calls `body` once with each of `0..<count`, on up to `threadCount` threads, and waits.
    static func forEach(
        _ count: Int, threadCount: Int, _ body: @escaping @Sendable (Int) -> Void
    ) {
        let workers = Workers(count, body)
        var threads: [pthread_t] = []
        for _ in 1..<max(1, min(count, threadCount)) {
            var thread = pthread_t()
            let box = Unmanaged.passRetained(workers)
            guard pthread_create(&thread, nil, workerMain, box.toOpaque()) == 0 else {
                box.release()
                break
            }
            threads.append(thread)
        }
        workers.run()
        for thread in threads { pthread_join(thread, nil) }
    }

    fileprivate func run() {
        while true {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            if index >= count { return }
            body(index)
        }
    }
}

/// Work that one more thread does beside the caller's.
final class SideWork: Sendable {
    private let failure = Guarded<(any Error)?>(nil)
    private let isGivenUp = Atomic<Bool>(false)
    private let body: @Sendable (SideWork) throws -> Void
    private let thread = Guarded<pthread_t?>(nil)

    private init(of body: @escaping @Sendable (SideWork) throws -> Void) { self.body = body }

    /// Begins. Where there is no thread to be had, the work is done right here.
    static func begin(_ body: @escaping @Sendable (SideWork) throws -> Void) -> SideWork {
        let work = SideWork(of: body)
        if !work.start() { work.run() }
        return work
    }

    /// Begins; nil where there is no thread to be had.
    static func ifThreaded(
        _ body: @escaping @Sendable (SideWork) throws -> Void
    ) -> SideWork? {
        let work = SideWork(of: body)
        return work.start() ? work : nil
    }

    private func start() -> Bool {
        var made = pthread_t()
        let box = Unmanaged.passRetained(self)
        guard pthread_create(&made, nil, sideWorkMain, box.toOpaque()) == 0 else {
            box.release()
            return false
        }
        thread.withLock { $0 = made }
        return true
    }

    /// Whether nobody needs the work any more: it should end soon.
    var isCancelled: Bool { isGivenUp.load(ordering: .relaxed) }

    /// Waits for the end.
    ///
    /// - Throws: what the work threw.
    func wait() throws {
        let thread = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let thread { pthread_join(thread, nil) }
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    /// Lets the work end early, and waits for that.
    func cancel() {
        isGivenUp.store(true, ordering: .relaxed)
        try? wait()
    }

    fileprivate func run() {
        do { try body(self) } catch { failure.withLock { $0 = error } }
    }
}

private func sideWorkMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<SideWork>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}

private func workerMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<Workers>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
