package import DocumentStore
import Documents
import Partition
package import Primitives
import Schema
package import Snapshot
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// All collections of one data directory: opened, read from event loops, written by one committer.
///
/// ```
/// loop ── ReadContext ──> partitions (reader lock) ──> log (short transactions)
/// loop ── submit ──> Committer ──> log ──> partitions (writer lock) ──> answers
/// background ── JobRunner ──> ALTER, RESHARD, COMPACT, trimming of dropped collections
/// ```
package final class Engine: Sendable {
    package let shared: EngineShared
    package let store: LogStore
    let committer: Committer
    let builders: VectorBuilders
    private let runner: JobRunner
    private let recallThread: RecallThread
    let tail: LogTail?
    /// The directory's snapshots.
    package let shelf: SnapshotShelf
    let openedMilliseconds = Clock.wallMilliseconds()
    /// What opening took: entries read and milliseconds.
    package let recovery: Recovery

    /// What start-up found.
    package struct Recovery: Sendable {
        package var entryCount: Int
        package var documentCount: Int
        package var milliseconds: Int
        /// The snapshot that was loaded, and what was wrong with it or with others.
        package var snapshot: String?
        package var notes: [String]
    }

    /// Opens a data directory, making a new one where there is none, and rebuilds the indexes.
    ///
    /// - Throws: what the store says: the directory is locked, foreign, damaged, or the disk fails.
    ///
    /// - Parameters:
    ///   - known: the directory's store, if somebody needed it before.
    ///   - progress: shows how far it is.
    package init(
        _ options: EngineOptions, store known: LogStore? = nil,
        progress: StartProgress = StartProgress()
    ) throws(StoreError) {
        let started = Clock.monotonicNanoseconds()
        if let known {
            store = known
        } else {
            store = try LogStore(StoreOptions(directory: options.directory))
        }
        let writer = try store.makeWriter()
        let reader = try store.makeReader()
        let opened = try EngineMeta.load(writer: writer, reader: reader, options: options)
        shared = EngineShared(
            options: opened.options, catalog: opened.catalog, hashSeed: opened.hashSeed)
        shared.trimHorizon.store(opened.trimHorizon, ordering: .sequentiallyConsistent)
        if let horizon = opened.catalogHorizon { shared.noteCatalogHorizon(horizon) }
        let isInterval = options.durability != .commit
        tail = isInterval ? LogTail() : nil
        try reader.begin()
        let last = try reader.lastKey()
        reader.end()
        committer = Committer(
            shared: shared, writer: writer, reader: reader, lastVersion: last.version)
        committer.tail = tail
        committer.nextCollection = opened.nextCollection
        committer.unclean = opened.unclean ?? 0
        committer.trimHorizon = Version(opened.trimHorizon)
        shelf = SnapshotShelf(dataDirectory: options.directory)
        let begun = try StartUp(
            store: store, meta: opened, reader: reader,
            threadCount: min(opened.options.partitionCount, max(1, options.loopCount)),
            last: last, shelf: shelf, progress: progress
        ).run()
        shared.setCatalog(begun.catalog)
        committer.trimmer = begun.trimmer
        committer.expiries = ExpiryQueue(begun.expiries)
        for view in begun.catalog.collections.values { committer.rebuildUniques(view) }
        shared.publish(last.version)
        let stamps = shelf.stamps()
        shared.snapshots.note(
            shelf.items(), stamps, identity: opened.hashSeed,
            partitionCount: opened.options.partitionCount, published: last.version)
        // Overdue documents are gone before anybody asks.
        committer.expireOverdue()
        recovery = Recovery(
            entryCount: begun.entryCount,
            documentCount: begun.catalog.collections.values.reduce(0) { $0 + $1.documentCount },
            milliseconds: Int((Clock.monotonicNanoseconds() - started) / 1_000_000),
            snapshot: begun.snapshot, notes: begun.notes)
        runner = JobRunner(shared: shared)
        builders = VectorBuilders(
            shared: shared,
            threadCount: min(opened.options.partitionCount, max(1, options.loopCount)))
        committer.builders = builders
        builders.start()
        recallThread = RecallThread(shared: shared) { [shared, store, tail] in
            ReadContext(shared: shared, loop: -1, reader: try store.makeReader(), tail: tail)
        }
        recallThread.start()
        committer.start()
        runner.start(self)
        rebuildIndexes()
        resumePendingChanges(opened.pending)
        // A snapshot's books do not say what a cleaning that a stop cut short has left.
        if begun.hasOrphans || opened.unclean != nil {
            let id = shared.jobs.add(kind: "CLEAN", collection: "")
            run(Job(id: id) { try CleanJob().run($0) })
        }
    }

    /// Commits what was taken in and stops all threads. Call once, after the loops have stopped.
    ///
    /// - Parameter takesSnapshot: whether the next start should find one; nil: as the options say.
    package func close(takesSnapshot: Bool? = nil) {
        runner.stop()
        recallThread.stop()
        committer.stop()
        builders.stop()
        if takesSnapshot ?? shared.settings.snapshots.isTakenAtStop { takeSnapshotAtStop() }
    }

    /// A context for one event loop or one background task.
    package func makeReadContext(loop: Int) throws(StoreError) -> ReadContext {
        ReadContext(shared: shared, loop: loop, reader: try store.makeReader(), tail: tail)
    }

    /// Hands requests to the committer in their order.
    ///
    /// - Returns: false, and nothing was taken, when too many bytes wait already.
    package func submit(_ requests: [WriteRequest]) -> Bool { committer.queue.submit(requests) }

    /// Requests and bytes that wait for the committer.
    package var queueDepth: (count: Int, byteCount: Int) { committer.queue.depth }

    /// Says that there may be vectors to link.
    func wakeBuilders() { builders.wake() }

    /// Hands a background job to the runner.
    package func run(_ job: Job) { runner.submit(job) }

    /// The newest version that reads see.
    package var publishedVersion: Version {
        Version(shared.pins.published.load(ordering: .sequentiallyConsistent))
    }

    /// Takes up changes of schemas that a restart interrupted.
    private func resumePendingChanges(_ pending: [(name: String, change: JSON)]) {
        for (name, change) in pending {
            let job = AlterJob(collection: name, change: change)
            let id = shared.jobs.add(kind: "ALTER", collection: name)
            run(Job(id: id) { try job.run($0) })
        }
    }

    /// Documents of all collections.
    package var documentCount: Int {
        shared.catalog.collections.values.reduce(0) { $0 + $1.documentCount }
    }
}

extension CollectionView {
    /// Documents that are there now, by the newest applied state.
    package var documentCount: Int {
        partitions.reduce(0) { count, partition in
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            return count + partition.documentCount
        }
    }
}
