import DocumentStore
import Partition
import Primitives
import Schema
import Synchronization

/// Deals all documents out to another number of partitions: built from the log beside the live
/// ones, then swapped in between two groups.
package struct ReshardJob: Sendable {
    let count: Int

    package init(partitionCount: Int) { count = partitionCount }

    package func run(_ context: JobContext) throws -> String {
        let engine = context.engine
        let version = context.read.pins.acquire()
        defer { context.read.pins.release(version) }
        let last = try newestLogged(context)
        let old = engine.shared.catalog
        let fresh = Catalog(
            collections: old.collections.mapValues { view in
                view.changed(partitions: makePartitions(count, schema: view.schema))
            }, aliases: old.aliases, generation: old.generation + 1)
        let replay = LogReplay(
            store: engine.store, catalog: fresh, limits: engine.shared.options.limits)
        context.progress(0, of: 2)
        let books = try replay.keepBooks(through: last)
        try context.checkpoint()
        _ = try replay.index(
            after: .none, through: last, superseded: books.superseded, workerCount: 1)
        context.progress(1, of: 2)
        try context.checkpoint()
        // Catch up in the background until little is left, then the rest between two groups.
        var reached = last
        for _ in 0..<8 {
            let newest = try newestLogged(context)
            if newest.rawValue - reached.rawValue < 2000 << 16 { break }
            _ = try replay.index(
                after: reached, through: newest, superseded: [], workerCount: 1)
            reached = newest
            try context.checkpoint()
        }
        let start = reached
        try context.onCommitter { [count] committer in
            try committer.requireEmptyTail()
            let now = committer.shared.catalog
            guard now.generation == old.generation else {
                throw EngineError(
                    .conflict, "", "a collection changed meanwhile", hint: "run RESHARD again")
            }
            let end = LogKey(version: committer.lastVersion, index: (1 << 16) - 1)
            if end > start {
                _ = try replay.index(
                    after: start, through: end, superseded: [], workerCount: 1)
            }
            try committer.adopt(fresh, partitionCount: count)
        }
        context.progress(2, of: 2)
        return "\(count) partitions"
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

extension Committer {
    /// Between two groups everything is in the log, unless the disk refuses it.
    func requireEmptyTail() throws(EngineError) {
        guard tail?.isEmpty ?? true else {
            throw EngineError(
                .busy, "", "writes wait for the disk", hint: "look at HEALTH, then run it again")
        }
    }

    /// Makes a resharded catalogue the live one.
    func adopt(_ catalog: Catalog, partitionCount: Int) throws(StoreError) {
        try writer.begin()
        try writer.putMeta(MetaKey.partitions, MetaKey.bytes(UInt64(partitionCount)))
        try writer.commit()
        shared.setPartitionCount(partitionCount)
        var kept = ExpiryQueue()
        while let item = expiries.takeDue(now: .max) {
            if let moved = moved(item, to: catalog) { kept.insert(moved) }
        }
        expiries = kept
        try forgetTrimmedTombstones(catalog)
        shared.setCatalog(catalog)
        for view in catalog.collections.values { rebuildUniques(view) }
    }

    /// Tombstones that were trimmed while the new partitions were built have heads there still.
    private func forgetTrimmedTombstones(_ catalog: Catalog) throws(StoreError) {
        try reader.begin()
        defer { reader.end() }
        for view in catalog.collections.values {
            for heads in view.partitions.map(\.heads) {
                for number in 0..<UInt32(heads.numberBound) {
                    let key = heads.key(number)
                    guard key != .none, key.version <= trimHorizon,
                        heads.slot(number) == Heads.noSlot, try reader.get(key) == nil,
                        tail?.entry(key) == nil
                    else { continue }
                    heads.remove(number)
                }
            }
        }
    }

    /// The same expiry with the document's number in its new partition.
    private func moved(_ item: ExpiryQueue.Item, to catalog: Catalog) -> ExpiryQueue.Item? {
        guard let old = shared.catalog.byID[item.collection],
            let new = catalog.byID[item.collection]
        else { return nil }
        let heads = old.partition(hash: item.hash).heads
        guard item.number < heads.numberBound, heads.key(item.number) == item.key else {
            return nil
        }
        let id = heads.id(item.number)
        guard let number = new.partition(hash: item.hash).heads.number(hash: item.hash, id: id)
        else { return nil }
        var moved = item
        moved.number = number
        return moved
    }
}
