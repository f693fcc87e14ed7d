import DocumentStore
import Primitives
import Synchronization

/// Deletes the entries of collections that were dropped.
///
/// Two passes over the log: the first learns which of their entries are superseded, and by which,
/// for those were taken off the live bytes and queued for trimming; the second deletes all of them
/// in batches and takes them out of the trimmer's figures.
package struct CleanJob: Sendable {
    package init() {}

    package func run(_ context: JobContext) throws -> String {
        // In this order: a collection that is made meanwhile has no entry up to `last`. One that is
        // dropped meanwhile has a job of its own.
        let seen = Atomic<UInt64>(0)
        try context.onCommitter { seen.store($0.unclean, ordering: .relaxed) }
        let last = LogKey(version: context.engine.publishedVersion, index: (1 << 16) - 1)
        let known = Set(context.engine.shared.catalog.byID.keys)
        var successors: [LogKey: LogKey] = [:]
        try forEachBatch(context, through: last, outside: known) { entry in
            if entry.previous != .none { successors[entry.previous] = entry.key }
        } then: {
        }
        var batch: [Orphan] = []
        var removed = 0
        try forEachBatch(context, through: last, outside: known) { entry in
            let view = EntryView(entry)
            let successor = successors[entry.key] ?? (view.isTombstone ? entry.key : nil)
            batch.append(
                Orphan(
                    key: entry.key, successor: successor,
                    liveByteCount: successor == nil ? view.storedByteCount : 0))
        } then: {
            let orphans = batch
            batch = []
            removed += orphans.count
            if orphans.isEmpty { return }
            try context.onCommitter { committer in try committer.erase(orphans) }
        }
        try context.onCommitter { committer in
            try committer.noteClean(as: seen.load(ordering: .relaxed))
        }
        return "\(removed) entries removed"
    }

    /// Goes through the entries of collections that are not in `known`, `then` after each slice.
    private func forEachBatch(
        _ context: JobContext, through last: LogKey, outside known: Set<UInt32>,
        _ body: (LogEntryView) -> Void, then: () throws -> Void
    ) throws {
        var next: LogKey? = LogKey(rawValue: 1)
        while let from = next {
            try context.read.reader.begin()
            do {
                defer { context.read.reader.end() }
                next = try context.read.reader.scan(from: from, through: last, countMax: 1_000) {
                    entry in
                    if !known.contains(entry.collection) { body(entry) }
                    return true
                }
            }
            try then()
            try context.checkpoint()
        }
    }
}

/// An entry of a collection that is gone.
struct Orphan: Sendable {
    var key: LogKey
    /// What superseded it, itself for a tombstone; nil if it was the newest of its document.
    var successor: LogKey?
    /// Its bytes if it was the newest of its document; else 0.
    var liveByteCount: Int
}

extension Committer {
    /// Notes, within the open transaction, that entries of collections which are gone, or may never
    /// come, are to be deleted: a start goes on with it whatever happens.
    func noteUnclean() throws(StoreError) {
        unclean += 1
        try writer.putMeta(MetaKey.unclean, MetaKey.bytes(unclean))
    }

    /// All that was given up until ``unclean`` was `count` is deleted.
    func noteClean(as count: UInt64) throws(StoreError) {
        guard unclean == count, count > 0 else { return }
        try writer.begin()
        try writer.deleteMeta(MetaKey.unclean)
        try writer.commit()
    }

    /// Deletes entries of collections that are gone, their vectors too.
    func erase(_ orphans: [Orphan]) throws(StoreError) {
        var batch = LogTrimmer.Batch()
        batch.entries = orphans.map { LogTrimmer.Batch.Entry(key: $0.key, successor: $0.key) }
        try writer.begin()
        try writer.trim(batch)
        try writer.commit()
        trimmer.addLive(byteCount: -orphans.reduce(0) { $0 + $1.liveByteCount })
        for orphan in orphans {
            guard let successor = orphan.successor else { continue }
            trimmer.forgetBytes(of: orphan.key, supersededBy: successor)
        }
    }
}
