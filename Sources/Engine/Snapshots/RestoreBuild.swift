import DocumentStore
import Partition
import Primitives
import Schema
import Snapshot

/// Builds the partitions of collections that a restore has brought into the log, beside the live
/// ones and with as many threads as a start.
///
/// ```
/// the file's own sections, where they are of this directory's partitions and of the same moment:
///     what lies behind is dropped, keys move to the versions that the entries have now
/// else the log: as at a start; graphs are linked behind the first lookups
/// ```
struct RestoreBuild {
    let context: JobContext
    let log: SnapshotLog
    /// How the snapshot's keys become keys of the log.
    let shift: KeyShift
    /// Shows how much of the building is done; from any thread.
    let report: @Sendable (_ done: Int, _ total: Int) -> Void
    let threadCount: Int

    /// A collection: its number in the file, and what it becomes.
    struct Part: Sendable {
        var source: UInt32
        var view: CollectionView
    }

    struct Result {
        var views: [String: CollectionView] = [:]
        var uniques: [UInt32: [FieldNumber: UniqueTable]] = [:]
        var expiries: [ExpiryQueue.Item] = []
        /// Collections whose indexes came from the file.
        var loadedCount = 0
        /// What was wrong with the file's sections, for people.
        var problems: [String] = []
    }

    /// - Parameters:
    ///   - isWhole: whether the moment is that of the file's sections.
    ///   - entryCount: entries in (after, last].
    /// - Throws: what the store says, `CANCELLED`.
    func run(
        _ parts: [Part], isWhole: Bool, after: LogKey, through last: LogKey, entryCount: Int
    ) throws -> Result {
        var result = Result()
        var rest = parts
        if isWhole, isOfThesePartitions { rest = try load(parts, &result) }
        try context.checkpoint()
        for part in rest { result.views[part.view.name] = part.view.withEmptyPartitions() }
        let names = Set(rest.map(\.view.name))
        let catalog = Catalog(
            collections: result.views.filter { names.contains($0.key) }, aliases: [:],
            generation: 1)
        if !rest.isEmpty {
            let shared = context.engine.shared
            var replay = LogReplay(
                store: context.engine.store, catalog: catalog, limits: shared.options.limits)
            let seen = Guarded(0)
            let (report, isStopped) = (report, context.stopped)
            // Each thread goes through all entries.
            let total = entryCount * threadCount
            replay.goesOn = { count in
                let all = seen.withLock { seen in
                    seen += count
                    return seen
                }
                report(min(all, total), total)
                return !isStopped()
            }
            result.expiries += try replay.index(
                after: after, through: last, superseded: [], workerCount: threadCount)
            try context.checkpoint()
        }
        for view in result.views.values {
            result.uniques[view.id] = Committer.uniqueTables(of: view)
        }
        return result
    }

    private var isOfThesePartitions: Bool {
        let (header, shared) = (log.file.header, context.engine.shared)
        return log.isOneFile && header.identity == shared.hashSeed
            && Int(header.partitionCount) == shared.partitionCount
    }

    /// Takes what the file's sections give.
    ///
    /// - Returns: the collections that have to be built from the log, because a section of theirs
    ///   is missing, damaged or of another schema.
    private func load(_ parts: [Part], _ result: inout Result) throws -> [Part] {
        guard let section = log.file.section(SectionID(.books)),
            let books = try? SnapshotBooks(log.file.source(section))
        else { return parts }
        let tasks = parts.flatMap { part in
            part.view.partitions.indices.map {
                SnapshotLoad.Task(part.view, $0, section: part.source)
            }
        }
        let (file, horizon, shift) = (log.file, log.file.header.version, shift)
        let (report, isStopped) = (report, context.stopped)
        let done = Guarded(0)
        Workers.forEach(tasks.count, threadCount: threadCount) { index in
            if isStopped() { return }
            let task = tasks[index]
            task.run(file, StartProgress())
            if task.isComplete {
                task.partition.settleAlone(horizon: horizon)
                task.partition.shiftKeys { shift(LogKey(rawValue: $0)).rawValue }
            }
            let count = done.withLock { done in
                done += 1
                return done
            }
            report(count, tasks.count)
        }
        try context.checkpoint()
        result.problems = tasks.compactMap(\.problem)
        let incomplete = Set(tasks.filter { !$0.isComplete }.map(\.view.id))
        var loaded: [UInt32: UInt32] = [:]
        for part in parts where !incomplete.contains(part.view.id) {
            result.views[part.view.name] = part.view
            loaded[part.source] = part.view.id
        }
        result.loadedCount = loaded.count
        for var item in books.expiries {
            guard let id = loaded[item.collection] else { continue }
            item.collection = id
            item.key = shift(item.key)
            result.expiries.append(item)
        }
        return parts.filter { incomplete.contains($0.view.id) }
    }
}
