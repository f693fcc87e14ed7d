import DocumentStore
import Primitives
import Synchronization

/// Settings that may change while the engine runs.
package struct EngineSettings: Sendable {
    package var retentionMilliseconds: Int64
    package var retentionPercent: Int
    /// Most bytes of superseded versions; 0 leaves it to the percentage.
    package var retentionByteCount = 0
    package var memoryByteCountMax: Int
    package var snapshots = SnapshotOptions()
}

/// Where finished writes go.
///
/// A closure of its own in a generic box would be wrapped once more at each access; within a struct
/// it stays as it is.
private struct CompletionSink: Sendable {
    let take: @Sendable ([WriteCompletion]) -> Void
}

/// What the committer, the event loops and the background thread share.
///
/// Everything here is immutable, atomic or behind a lock of its own.
package final class EngineShared: Sendable {
    package let options: EngineOptions
    package let pins = Pins()
    package let jobs = JobTable()
    package let recall = RecallMonitor()
    package let snapshots = SnapshotMonitor()
    /// Rung when there is something for the builders' threads to do.
    let builderBell = Bell()
    let catalogGeneration = Atomic<UInt64>(1)
    private let catalogBox: Guarded<Catalog>
    private let settingsBox: Guarded<EngineSettings>
    /// Nothing superseded at or before this version is promised to be readable.
    let trimHorizon = Atomic<UInt64>(0)
    /// What collections there were before this version is not known any more.
    let catalogHorizon = Atomic<UInt64>(0)
    private let reclaimFlag = Atomic<Bool>(false)
    private let overMemoryFlag = Atomic<Bool>(false)
    /// Rises when the store stops taking writes: 0 fine, 1 full, 2 failed.
    private let storeTrouble = Atomic<Int>(0)
    /// The restore that writes wait for; 0 for none.
    private let restoreBox = Atomic<UInt64>(0)
    private let completionSink = Guarded<CompletionSink?>(nil)
    package let hashSeed: UInt64
    private let partitionCountBox: Atomic<Int>
    /// Bytes of the committer's tables: unique keys; superseded entries and expiries.
    let uniqueByteCount = Atomic<Int>(0)
    let bookByteCount = Atomic<Int>(0)
    /// Bytes of partitions that a job builds beside the live ones.
    let buildingByteCount = Atomic<Int>(0)
    /// Whether some index of vectors is being made anew since the start, so that lookups have to
    /// see whether it is theirs.
    let isRebuilding = Atomic<Bool>(false)

    init(options: EngineOptions, catalog: Catalog, hashSeed: UInt64) {
        self.options = options
        self.hashSeed = hashSeed
        partitionCountBox = Atomic(options.partitionCount)
        catalogBox = Guarded(catalog)
        settingsBox = Guarded(
            EngineSettings(
                retentionMilliseconds: options.retentionMilliseconds,
                retentionPercent: options.retentionPercent,
                memoryByteCountMax: options.memoryByteCountMax, snapshots: options.snapshots))
    }

    // MARK: - Catalogue

    /// The catalogue as it is now. Loops keep a copy and look at ``catalogGeneration`` first.
    package var catalog: Catalog { catalogBox.withLock { $0 } }

    /// Swaps the catalogue. Only the committer does.
    func setCatalog(_ catalog: Catalog) {
        catalogBox.withLock { $0 = catalog }
        catalogGeneration.store(catalog.generation, ordering: .releasing)
    }

    /// Partitions of each collection.
    package var partitionCount: Int { partitionCountBox.load(ordering: .relaxed) }

    func setPartitionCount(_ count: Int) { partitionCountBox.store(count, ordering: .relaxed) }

    // MARK: - Settings and state

    package var settings: EngineSettings { settingsBox.withLock { $0 } }

    package func updateSettings(_ body: (inout EngineSettings) -> Void) {
        settingsBox.withLock { body(&$0) }
    }

    var reclaimIsPending: Bool {
        get { reclaimFlag.load(ordering: .relaxed) }
        set { reclaimFlag.store(newValue, ordering: .relaxed) }
    }

    /// Whether the memory bound is reached; the committer looks several times a second.
    package var isOverMemory: Bool {
        get { overMemoryFlag.load(ordering: .relaxed) }
        set { overMemoryFlag.store(newValue, ordering: .relaxed) }
    }

    /// The job that brings a snapshot back, while no write is taken for it.
    var restoringJob: UInt64? {
        get {
            let id = restoreBox.load(ordering: .relaxed)
            return id == 0 ? nil : id
        }
        set { restoreBox.store(newValue ?? 0, ordering: .relaxed) }
    }

    /// `ok`, `full` (the disk is; writes are tried again) or `failed` (read-only until restart).
    package var storeState: String {
        switch storeTrouble.load(ordering: .relaxed) {
        case 0: "ok"
        case 1: "full"
        default: "failed"
        }
    }

    /// Why no write is taken now, if none is. A full disk is not a reason: each write tries again.
    func writeRefusal() -> EngineError? {
        if let id = restoringJob {
            let status = jobs.status(id)
            let work = status?.text ?? "a snapshot is brought back"
            return EngineError(
                .readOnly, "job \(id)", "\(work), \(status?.percent ?? 0) % is done",
                hint: "send it again when JOBS shows that the job has ended")
        }
        if storeTrouble.load(ordering: .relaxed) == 2 {
            return EngineError(
                .readOnly, "", "a commit failed; the store only reads until it is restarted",
                hint: "look at the disk and the log, then restart")
        }
        return nil
    }

    /// Notes what a store error means for the engine and says what to answer.
    func report(_ error: StoreError) -> EngineError {
        switch error {
        case .full:
            storeTrouble.compareExchangeFrom0To1()
            return EngineError(
                .full, "", "no space is left on the disk of the data directory",
                hint: "free some space and send the write again")
        case .failed(let code):
            storeTrouble.store(2, ordering: .relaxed)
            return EngineError(
                .readOnly, "", "a commit failed with system error \(code)",
                hint: "look at the disk, then restart")
        case .io(let code):
            return EngineError(.readOnly, "", "the disk answered system error \(code)")
        case .tooLarge:
            return EngineError(.limit, "", "the group of writes is too large for one commit")
        case .corrupt:
            return EngineError(
                .corrupt, "", "the log holds a damaged entry", hint: "run aisle verify")
        case .readOnly:
            return EngineError(.readOnly, "", "the store was opened for reading only")
        case .notFound, .invalidPath, .locked, .formatTooNew:
            return EngineError(.generic, "", "the data directory cannot be opened")
        case .tooManyReaders:
            return EngineError(.limit, "readers", "too many readers of the store")
        }
    }

    /// A commit went through: a full disk has space again.
    func noteCommitSucceeded() {
        if storeTrouble.load(ordering: .relaxed) == 1 { storeTrouble.store(0, ordering: .relaxed) }
    }

    func noteCatalogHorizon(_ moment: CatalogMoment) {
        catalogHorizon.store(moment.version.rawValue, ordering: .sequentiallyConsistent)
    }

    // MARK: - Versions and answers

    /// Makes everything up to `version` visible to new reads.
    func publish(_ version: Version) {
        pins.published.store(version.rawValue, ordering: .sequentiallyConsistent)
        noteCommitSucceeded()
    }

    /// Where finished writes go. Set once, before the first write.
    package func setCompletionSink(_ sink: @escaping @Sendable ([WriteCompletion]) -> Void) {
        completionSink.withLock { $0 = CompletionSink(take: sink) }
    }

    func deliver(_ completions: [WriteCompletion]) {
        guard !completions.isEmpty else { return }
        let sink = completionSink.withLock { $0 }
        sink?.take(completions)
    }
}

extension Atomic where Value == Int {
    /// 0 becomes 1; anything else stays.
    fileprivate func compareExchangeFrom0To1() {
        _ = compareExchange(expected: 0, desired: 1, ordering: .relaxed)
    }
}
