import DocumentStore
import Primitives

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// What the world sees of one background job.
package struct JobStatus: Sendable {
    package enum State: String, Sendable {
        case queued, running, paused, done, failed, cancelled
    }
    package let id: UInt64
    /// `ALTER`, `RESHARD`, `COMPACT` or `CLEAN`.
    package let kind: String
    package let collection: String
    package var state: State
    package var done: Int
    package var of: Int
    package var text: String
    package let startedMilliseconds: Int64
    package var endedMilliseconds: Int64

    /// How much is done, 0...100.
    package var percent: Int { of > 0 ? min(100, max(0, done * 100 / of)) : 0 }
}

/// All jobs of the process: the newest few hundred are kept after they end.
package final class JobTable: Sendable {
    private struct Table {
        var jobs: [JobStatus] = []
        var next: UInt64 = 1
        var cancelled: Set<UInt64> = []
        var paused: Set<UInt64> = []
    }

    private let table = Guarded(Table())

    package init() {}

    /// All jobs, oldest first.
    package var all: [JobStatus] { table.withLock { $0.jobs } }

    package func status(_ id: UInt64) -> JobStatus? {
        table.withLock { $0.jobs.first { $0.id == id } }
    }

    /// A job of this kind on this collection that has not ended.
    package func active(kind: String, collection: String) -> UInt64? {
        table.withLock { table in
            table.jobs.first {
                $0.kind == kind && $0.collection == collection && $0.endedMilliseconds == 0
            }?.id
        }
    }

    /// A new job in state `queued`.
    package func add(kind: String, collection: String) -> UInt64 {
        table.withLock { table in
            let id = table.next
            table.next += 1
            if table.jobs.count > 300 {
                table.jobs.removeAll { $0.endedMilliseconds != 0 && $0.id + 200 < id }
            }
            table.jobs.append(
                JobStatus(
                    id: id, kind: kind, collection: collection, state: .queued, done: 0, of: 0,
                    text: "", startedMilliseconds: Clock.wallMilliseconds(), endedMilliseconds: 0))
            return id
        }
    }

    func update(_ id: UInt64, _ body: (inout JobStatus) -> Void) {
        table.withLock { table in
            guard let place = table.jobs.firstIndex(where: { $0.id == id }) else { return }
            body(&table.jobs[place])
        }
    }

    func end(_ id: UInt64, _ state: JobStatus.State, text: String) {
        update(id) { job in
            job.state = state
            job.text = text
            // Totals are estimates: what is done is done.
            if state == .done {
                job.of = max(1, job.of)
                job.done = job.of
            }
            job.endedMilliseconds = Clock.wallMilliseconds()
        }
    }

    /// Asks a job to stop. Returns false if it has ended or never was.
    package func cancel(_ id: UInt64) -> Bool { mark(id) { $0.cancelled.insert(id) } }

    package func pause(_ id: UInt64) -> Bool { mark(id) { $0.paused.insert(id) } }

    package func resume(_ id: UInt64) -> Bool { mark(id) { $0.paused.remove(id) } }

    private func mark(_ id: UInt64, _ body: (inout Table) -> Void) -> Bool {
        table.withLock { table in
            guard let job = table.jobs.first(where: { $0.id == id }), job.endedMilliseconds == 0
            else { return false }
            body(&table)
            return true
        }
    }

    /// Jobs that may be under way or waiting before `RESHARD` and `COMPACT` are refused.
    package static let unfinishedMax = 64

    /// Jobs that have not ended.
    package var unfinishedCount: Int {
        table.withLock { $0.jobs.reduce(0) { $0 + ($1.endedMilliseconds == 0 ? 1 : 0) } }
    }

    func isCancelled(_ id: UInt64) -> Bool { table.withLock { $0.cancelled.contains(id) } }

    func isPaused(_ id: UInt64) -> Bool { table.withLock { $0.paused.contains(id) } }
}

/// One background job: what it does, and under which number it is seen.
package struct Job: Sendable {
    package let id: UInt64
    package let body: @Sendable (JobContext) throws -> String

    package init(id: UInt64, body: @escaping @Sendable (JobContext) throws -> String) {
        self.id = id
        self.body = body
    }
}

/// What a running job works with. Owned by the background thread.
package final class JobContext {
    package let engine: Engine
    package let read: ReadContext
    let id: UInt64
    private let runner: JobRunner
    /// Set by a job that would be wrong if another one ran in between: it is not paused.
    var keepsTurn = false

    init(engine: Engine, read: ReadContext, id: UInt64, runner: JobRunner) {
        self.engine = engine
        self.read = read
        self.id = id
        self.runner = runner
    }

    /// Whether the server is stopping.
    var isStopping: Bool { runner.isStopping }

    /// Says in words what is done.
    func describe(_ text: String) { engine.shared.jobs.update(id) { $0.text = text } }

    /// Shows progress.
    package func progress(_ done: Int, of total: Int) {
        engine.shared.jobs.update(id) { job in
            job.done = done
            job.of = total
        }
    }

    /// Shows progress, from any thread.
    var reporter: @Sendable (_ done: Int, _ total: Int) -> Void {
        { [jobs = engine.shared.jobs, id] done, total in
            jobs.update(id) { job in (job.done, job.of) = (done, total) }
        }
    }

    /// Whether the job should end, for any thread: ``checkpoint()`` will throw then.
    var stopped: @Sendable () -> Bool {
        { [jobs = engine.shared.jobs, runner, id] in runner.isStopping || jobs.isCancelled(id) }
    }

    /// Waits while paused; other jobs have their turn meanwhile, and may change the catalogue. Call
    /// between slices, without locks.
    ///
    /// - Returns: whether it was paused.
    /// - Throws: `CANCELLED` when the job is cancelled or the server stops.
    @discardableResult
    package func checkpoint() throws(EngineError) -> Bool {
        let jobs = engine.shared.jobs
        var wasPaused = false
        if !keepsTurn, jobs.isPaused(id), !jobs.isCancelled(id), !isStopping {
            wasPaused = true
            read.endTransaction()
            jobs.update(id) { $0.state = .paused }
            runner.giveUpTurn(id)
            while jobs.isPaused(id), !jobs.isCancelled(id), !isStopping { usleep(20_000) }
            // Also to be cancelled: what is put back is not put back beside another job.
            runner.awaitTurn(id)
            jobs.update(id) { $0.state = .running }
        }
        if isStopping || jobs.isCancelled(id) {
            throw EngineError(.cancelled, "job \(id)", "cancelled")
        }
        return wasPaused
    }

    /// The same for a job that pins a version: a pause pins nothing, and afterwards `version` is
    /// the newest one.
    @discardableResult
    func checkpoint(pinning version: inout Version) throws(EngineError) -> Bool {
        guard !keepsTurn, engine.shared.jobs.isPaused(id) else { return try checkpoint() }
        read.pins.release(version)
        defer { version = read.pins.acquire() }
        return try checkpoint()
    }

    /// Waits, a second at most, until nobody sees an older version than the newest.
    ///
    /// Call between swapping a view and letting lookups use what was filled for it: rows that had
    /// died before the filling began are not in it, and a lookup that began earlier may see them.
    /// Its next slice notices the other view and begins anew, so that this one slice is all that
    /// has to end; whatever holds a version for longer uses no columns or takes many slices.
    func awaitEarlierLookups() {
        let newest = engine.publishedVersion
        var roundsLeft = 1_000
        while roundsLeft > 0, !isStopping, engine.shared.pins.horizon() < newest {
            usleep(1_000)
            roundsLeft -= 1
        }
    }

    /// Runs `body` on the committer's thread between two groups and waits for it.
    ///
    /// - Throws: the error that `body` threw.
    package func onCommitter(
        _ body: @escaping @Sendable (Committer) throws -> Void
    ) throws(EngineError) {
        try engine.onCommitter { committer in
            try body(committer)
            return .done
        }
    }
}

extension Engine {
    /// Runs `body` on the committer's thread between two groups; blocks the caller, which must not
    /// be an event loop.
    package func onCommitter(
        _ body: @escaping @Sendable (Committer) throws -> WriteResult
    ) throws(EngineError) {
        let gate = CommitterGate()
        let request = WriteRequest(
            .administrative { committer in
                do {
                    let result = try body(committer)
                    gate.open(nil)
                    return result
                } catch let error as EngineError {
                    gate.open(error)
                    throw error
                } catch let error as StoreError {
                    gate.open(committer.shared.report(error))
                    throw error
                } catch {
                    gate.open(EngineError(.generic, "", "the change failed: \(error)"))
                    throw error
                }
            }, ticket: nil)
        while !submit([request]) {
            if committer.queue.isShut { throw EngineError(.cancelled, "", "the server stops") }
            usleep(1000)
        }
        if let error = gate.wait() { throw error }
    }
}

/// A one-shot gate between the committer and a thread that waits for it.
// SAFETY of `@unchecked Sendable`: the two variables are read and written under `mutex` only.
private final class CommitterGate: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isOpen = false
    private var error: EngineError?

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func open(_ error: EngineError?) {
        pthread_mutex_lock(mutex)
        isOpen = true
        self.error = error
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Blocks until it is open; gives what it was opened with.
    func wait() -> EngineError? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isOpen { pthread_cond_wait(condition, mutex) }
        return error
    }
}
