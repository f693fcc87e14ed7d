import Client
import Glibc

/// Runs bodies on threads of their own and waits for them.
enum Workers {
    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// A thread that was started and must be joined.
    struct Started {
        fileprivate var thread: pthread_t
        func join() { pthread_join(thread, nil) }
    }

    /// Starts one thread.
    static func start(_ body: @escaping @Sendable () -> Void) -> Started {
        let box = Unmanaged.passRetained(Box(body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread,
            nil,
            { raw in
                // SAFETY: the pointer is the box retained above, and released here once.
                if let raw { Unmanaged<Box>.fromOpaque(raw).takeRetainedValue().body() }
                return nil
            },
            box.toOpaque()
        )
        precondition(code == 0, "no thread could be started")
        return Started(thread: thread)
    }
}

/// A value that threads hand over under a lock.
///
/// SAFETY: every access goes through `with`, which holds the lock: that is the proof of `Sendable`.
final class Shared<Value>: @unchecked Sendable {
    private var value: Value
    private let lock: UnsafeMutablePointer<pthread_mutex_t>

    init(_ value: Value) {
        self.value = value
        lock = .allocate(capacity: 1)
        lock.initialize(to: pthread_mutex_t())
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    func with<Result>(_ body: (inout Value) -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body(&value)
    }
}

extension LoadPlan {
    /// Runs the plan, its connections dealt out to `threadCount` threads.
    func run(client: ClientConfiguration, threadCount: Int) throws(BenchError) -> LoadResult {
        let threadCount = min(max(threadCount, 1), connections)
        let outcome = Shared<(result: LoadResult, error: ClientError?)>((LoadResult(), nil))
        var threads: [Workers.Started] = []
        for worker in 0..<threadCount {
            var own = self
            own.connections =
                connections / threadCount + (worker < connections % threadCount ? 1 : 0)
            own.rate = rate.map { $0 * Double(own.connections) / Double(connections) }
            let plan = own
            threads.append(
                Workers.start {
                    do throws(ClientError) {
                        let done = try LoadRun(plan, client: client, worker: worker).run()
                        outcome.with { $0.result.merge(done) }
                    } catch {
                        outcome.with { $0.error = error }
                    }
                }
            )
        }
        for thread in threads { thread.join() }
        let (result, error) = outcome.with { $0 }
        if let error { throw .connection(error) }
        return result
    }
}

/// CPU time of a process, from the system's accounting.
enum ProcessTime {
    /// User and system seconds of all threads; nil when the process cannot be seen.
    static func seconds(of pid: Int) -> Double? {
        guard let file = fopen("/proc/\(pid)/stat", "r") else { return nil }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = fread(&buffer, 1, buffer.count, file)
        let text = String(decoding: buffer[..<count], as: UTF8.self)
        // The name may hold spaces and parentheses; the fields follow its last one.
        guard let name = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: name)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12])
        else {
            return nil
        }
        return (user + system) / Double(sysconf(CInt(_SC_CLK_TCK)))
    }
}
