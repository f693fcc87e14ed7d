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

private func workerMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<Workers>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
