import CKernels
import Primitives
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Runs jobs at low priority: one at a time has its *turn*, in the order of their submission.
///
/// ```
/// waiting ── turn is free ──> a thread of its own ──> runs ──┬──> ends, the turn is free
///                                  ▲                         │ paused: the turn is free
///                                  └── first in line ──── resumed or cancelled
/// ```
/// Each job has a thread, so that a paused one keeps its place while others run. Two jobs never
/// work at the same time.
// SAFETY of `@unchecked Sendable`: `state` and `stopping` lock for themselves; `engine` and
// `thread` are set before any other thread is started and cleared when all have been joined; the
// rest belongs to the runner's thread.
final class JobRunner: @unchecked Sendable {
    private struct State {
        var waiting: [Job] = []
        /// The job whose turn it is.
        var holder: UInt64?
        /// Jobs that were paused and want to go on.
        var resumed: [UInt64] = []
        /// Threads of jobs by their number, and those of them that have nothing left to do.
        var threads: [UInt64: pthread_t] = [:]
        var ended: [UInt64] = []
    }

    private let state = Guarded(State())
    private let stopping = Atomic<Bool>(false)
    private let shared: EngineShared
    private var engine: Engine?
    private var thread: pthread_t?
    private var lastVersion: UInt64 = 0
    private var trimmedVersion: UInt64 = 0

    init(shared: EngineShared) { self.shared = shared }

    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    func start(_ engine: Engine) {
        self.engine = engine
        var handle = pthread_t()
        let status = pthread_create(
            &handle, nil, runnerMain, Unmanaged.passRetained(self).toOpaque())
        precondition(status == 0, "a thread for background jobs")
        thread = handle
    }

    func submit(_ job: Job) { state.withLock { $0.waiting.append(job) } }

    /// Cancels what runs and ends the threads.
    func stop() {
        stopping.store(true, ordering: .relaxed)
        if let thread { pthread_join(thread, nil) }
        thread = nil
        let left = state.withLock { state in
            defer { state.threads = [:] }
            return Array(state.threads.values)
        }
        for thread in left { pthread_join(thread, nil) }
        engine = nil
    }

    // MARK: - Turns

    /// Lets other jobs run.
    func giveUpTurn(_ id: UInt64) {
        state.withLock { if $0.holder == id { $0.holder = nil } }
    }

    /// Waits until it is the job's turn again, or the server stops.
    func awaitTurn(_ id: UInt64) {
        state.withLock { $0.resumed.append(id) }
        while !isStopping, state.withLock({ $0.holder != id }) { usleep(2_000) }
    }

    // MARK: - The runner's thread

    fileprivate func run() {
        var ticks = 0
        while !isStopping {
            joinEnded()
            let (job, isBusy) = next()
            if let job {
                start(job)
                continue
            }
            usleep(10_000)
            if isBusy { continue }
            ticks += 1
            if ticks % 50 == 0 { giveMemoryBack() }
            if ticks % 100 == 0 { engine?.takeSnapshotIfDue() }
        }
    }

    /// Gives the turn away if it is free. A job is returned that has no thread yet.
    private func next() -> (job: Job?, isBusy: Bool) {
        state.withLock { state in
            guard state.holder == nil else { return (nil, true) }
            if !state.resumed.isEmpty {
                state.holder = state.resumed.removeFirst()
                return (nil, true)
            }
            guard !state.waiting.isEmpty else { return (nil, false) }
            let job = state.waiting.removeFirst()
            state.holder = job.id
            return (job, true)
        }
    }

    private func start(_ job: Job) {
        let box = Unmanaged.passRetained(JobThread(runner: self, job: job))
        var handle = pthread_t()
        guard pthread_create(&handle, nil, jobMain, box.toOpaque()) == 0 else {
            box.release()
            giveUpTurn(job.id)
            shared.jobs.end(job.id, .failed, text: "LIMIT threads: the system gives no more")
            return
        }
        state.withLock { $0.threads[job.id] = handle }
    }

    private func joinEnded() {
        let threads = state.withLock { state in
            // A thread may end before its number is noted.
            let known = state.ended.filter { state.threads[$0] != nil }
            state.ended.removeAll { known.contains($0) }
            return known.compactMap { state.threads.removeValue(forKey: $0) }
        }
        for thread in threads { pthread_join(thread, nil) }
    }

    /// After a burst of writes the allocator keeps what the requests took: once it is over, the
    /// free pages go back to the system.
    private func giveMemoryBack() {
        let version = shared.pins.published.load(ordering: .relaxed)
        defer { lastVersion = version }
        if version > trimmedVersion &+ 10_000, version == lastVersion {
            trimmedVersion = version
            ck_release_free_memory()
        }
    }

    // MARK: - A job's thread

    fileprivate func carryOut(_ job: Job) {
        // Lookups and commits go first.
        ThreadPriority.lower()
        defer {
            state.withLock { state in
                if state.holder == job.id { state.holder = nil }
                state.ended.append(job.id)
            }
        }
        guard let engine else { return }
        let jobs = shared.jobs
        jobs.update(job.id) { $0.state = .running }
        do {
            let read = try engine.makeReadContext(loop: -1)
            let context = JobContext(engine: engine, read: read, id: job.id, runner: self)
            defer { read.endTransaction() }
            let text = try job.body(context)
            jobs.end(job.id, .done, text: text)
        } catch let error as EngineError {
            jobs.end(job.id, error.code == .cancelled ? .cancelled : .failed, text: error.line)
        } catch {
            jobs.end(job.id, .failed, text: "\(error)")
        }
    }
}

/// What a job's thread gets.
private final class JobThread: Sendable {
    let runner: JobRunner
    let job: Job

    init(runner: JobRunner, job: Job) {
        self.runner = runner
        self.job = job
    }
}

private func runnerMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<JobRunner>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}

private func jobMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let thread = Unmanaged<JobThread>.fromOpaque(argument).takeRetainedValue()
    thread.runner.carryOut(thread.job)
    return nil
}
