import DocumentStore
import Partition
import Primitives
import Schema
import Synchronization

/// Deals all documents out to another number of partitions: built from the log beside the live
/// ones, then swapped in between two groups.
///
/// ```
/// books (headers) ──> index (documents) ──> catch up, up to 8 rounds ──> the rest and the swap
///                                                                        between two groups
/// ```
/// Progress counts entries read: each is read twice. A pause gives back the pinned version and the
/// memory of what was built; the job then begins anew.
package struct ReshardJob: Sendable {
    let count: Int

    package init(partitionCount: Int) { count = partitionCount }

    package func run(_ context: JobContext) throws -> String {
        defer { context.engine.shared.buildingByteCount.store(0, ordering: .relaxed) }
        while true {
            if try attempt(context) {
                // Snapshots of other partitions serve no restart any more.
                context.engine.noteSnapshots()
                return "\(count) partitions"
            }
            context.engine.shared.buildingByteCount.store(0, ordering: .relaxed)
        }
    }

    /// - Returns: false if it was paused on the way.
    private func attempt(_ context: JobContext) throws -> Bool {
        let engine = context.engine
        var version = context.read.pins.acquire()
        defer { context.read.pins.release(version) }
        let last = try newestLogged(context)
        let old = engine.shared.catalog
        if let changing = old.collections.values.first(where: { $0.former != nil }) {
            throw EngineError(
                .busy, changing.name, "an ALTER of this collection is half done",
                hint: "resume or cancel its job")
        }
        let fresh = Catalog(
            collections: old.collections.mapValues { view in
                view.changed(partitions: makePartitions(count, schema: view.schema))
            }, aliases: old.aliases, generation: old.generation + 1)
        let replay = LogReplay(
            store: engine.store, catalog: fresh, limits: engine.shared.options.limits)
        var progress = ReplayProgress(
            of: 2 * (engine.storeStatistics()?.logEntryCount ?? 0))
        var books = LogReplay.Books()
        var next: LogKey? = LogKey(rawValue: 1)
        while let from = next {
            let before = books.entryCount
            next = try replay.keepBooks(
                &books, from: from, through: last, context.read.reader, countMax: 2_000)
            progress.add(books.entryCount - before, context)
            if try context.checkpoint(pinning: &version) { return false }
        }
        var reached = last
        let tables = ReplayTables()
        guard
            try index(
                replay, tables, after: .none, through: last, books.superseded, &progress, &version,
                context)
        else { return false }
        // Catch up in the background until little is left, then the rest between two groups.
        for _ in 0..<8 {
            let newest = try newestLogged(context)
            if newest.rawValue - reached.rawValue < 2000 << 16 { break }
            guard
                try index(
                    replay, tables, after: reached, through: newest, [], &progress, &version,
                    context)
            else { return false }
            reached = newest
        }
        tables.noteTombstones(of: fresh, upTo: version)
        try swap(replay, tables, replacing: old, reached: reached, context)
        progress.end(context)
        return true
    }

    /// Indexes (after, through] in slices.
    ///
    /// - Returns: false if it was paused on the way.
    private func index(
        _ replay: LogReplay, _ tables: ReplayTables, after: LogKey, through: LogKey,
        _ superseded: Set<UInt64>,
        _ progress: inout ReplayProgress, _ version: inout Version, _ context: JobContext
    ) throws -> Bool {
        let share = ReplayShare(
            replay: replay, worker: 0, workerCount: 1, after: after, last: through,
            superseded: superseded, tables: tables)
        var next: LogKey? = LogKey(rawValue: after.rawValue + 1)
        while let from = next {
            let before = share.entryCount
            next = try share.slice(from: from, context.read.reader)
            progress.add(share.entryCount - before, context)
            // Nobody else sees these partitions yet.
            let byteCount = replay.catalog.collections.values.reduce(tables.byteCount) {
                sum, view in
                view.partitions.reduce(sum) { $0 + $1.byteCount }
            }
            context.engine.shared.buildingByteCount.store(byteCount, ordering: .relaxed)
            try requireSame(replay.catalog, context)
            if try context.checkpoint(pinning: &version) { return false }
        }
        return true
    }

    private static let changed = EngineError(
        .conflict, "", "a collection changed meanwhile", hint: "run RESHARD again")

    /// Gives up early if the work will not be taken: `fresh` is one generation ahead.
    private func requireSame(_ fresh: Catalog, _ context: JobContext) throws(EngineError) {
        let generation = context.engine.shared.catalogGeneration.load(ordering: .acquiring)
        guard generation + 1 == fresh.generation else { throw Self.changed }
    }

    private func swap(
        _ replay: LogReplay, _ tables: ReplayTables, replacing old: Catalog, reached: LogKey,
        _ context: JobContext
    ) throws {
        try context.onCommitter { [count] committer in
            try committer.requireEmptyTail()
            guard committer.shared.catalog.generation == old.generation else { throw Self.changed }
            let end = LogKey(version: committer.lastVersion, index: (1 << 16) - 1)
            if end > reached {
                _ = try replay.index(
                    after: reached, through: end, superseded: [], workerCount: 1, tables: tables)
            }
            try committer.adopt(replay.catalog, tables, partitionCount: count)
        }
    }

    /// The last key that is in the log and not only in the tail that waits for the disk.
    private func newestLogged(_ context: JobContext) throws(EngineError) -> LogKey {
        let newest = Atomic<UInt64>(0)
        try context.onCommitter { committer in
            try committer.requireEmptyTail()
            newest.store(committer.lastVersion.rawValue, ordering: .relaxed)
        }
        return LogKey(
            version: Version(newest.load(ordering: .relaxed)), index: (1 << 16) - 1)
    }
}

/// How many entries a replay has read, and how many it is about to read.
struct ReplayProgress {
    private var done = 0
    private var of: Int

    init(of: Int) { self.of = of }

    mutating func add(_ count: Int, _ context: JobContext) {
        done += count
        // What is written meanwhile comes on top.
        of = max(of, done)
        context.progress(done, of: of)
    }

    func end(_ context: JobContext) { context.progress(of, of: of) }
}

extension Committer {
    /// Between two groups everything is in the log, unless the disk refuses it.
    func requireEmptyTail() throws(EngineError) {
        guard tail?.isEmpty ?? true else {
            throw EngineError(
                .busy, "", "writes wait for the disk", hint: "look at HEALTH, then run it again")
        }
    }

    /// Makes a resharded catalogue the live one, with the tables that were built beside it.
    ///
    /// - Complexity: O(tombstones of the retention time); nothing goes through all documents.
    func adopt(
        _ catalog: Catalog, _ tables: ReplayTables, partitionCount: Int
    ) throws(StoreError) {
        try writer.begin()
        try writer.putMeta(MetaKey.partitions, MetaKey.bytes(UInt64(partitionCount)))
        try writer.commit()
        shared.setPartitionCount(partitionCount)
        expiries = tables.expiries
        uniques = tables.uniques
        try forgetTrimmed(tables.tombstones, catalog)
        shared.setCatalog(catalog)
    }

    /// Tombstones that were trimmed while the new partitions were built have heads there still.
    private func forgetTrimmed(
        _ tombstones: [(collection: UInt32, partition: Int, number: UInt32)], _ catalog: Catalog
    ) throws(StoreError) {
        try reader.begin()
        defer { reader.end() }
        for (collection, partition, number) in tombstones {
            guard let heads = catalog.byID[collection]?.partitions[partition].heads else {
                continue
            }
            let key = heads.key(number)
            guard key != .none, key.version <= trimHorizon,
                heads.slot(number) == Heads.noSlot, try reader.get(key) == nil,
                tail?.entry(key) == nil
            else { continue }
            heads.remove(number)
        }
    }
}
