import DocumentStore
import Primitives

/// Deletes the entries of collections that were dropped.
///
/// Two passes over the log: the first learns which of their entries are superseded, for those were
/// already taken off the live bytes; the second deletes all of them in batches.
package struct CleanJob: Sendable {
    package init() {}

    package func run(_ context: JobContext) throws -> String {
        let last = LogKey(version: context.engine.publishedVersion, index: (1 << 16) - 1)
        var superseded: Set<LogKey> = []
        try forEachBatch(context, through: last) { entry in
            if entry.previous != .none { superseded.insert(entry.previous) }
        } then: {
        }
        var batch: [Orphan] = []
        var removed = 0
        try forEachBatch(context, through: last) { entry in
            let view = EntryView(entry)
            let isLive = !view.isTombstone && !superseded.contains(entry.key)
            batch.append(Orphan(key: entry.key, liveByteCount: isLive ? view.storedByteCount : 0))
        } then: {
            let orphans = batch
            batch = []
            removed += orphans.count
            if orphans.isEmpty { return }
            try context.onCommitter { committer in try committer.erase(orphans) }
        }
        return "\(removed) entries removed"
    }

    /// Goes through the entries that belong to no collection, `then` after each slice.
    private func forEachBatch(
        _ context: JobContext, through last: LogKey, _ body: (LogEntryView) -> Void,
        then: () throws -> Void
    ) throws {
        var next: LogKey? = LogKey(rawValue: 1)
        while let from = next {
            let known = Set(context.engine.shared.catalog.byID.keys)
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
    /// Its bytes if it was the newest of its document; else 0.
    var liveByteCount: Int
}

extension Committer {
    /// Deletes entries of collections that are gone, their vectors too.
    func erase(_ orphans: [Orphan]) throws(StoreError) {
        var batch = LogTrimmer.Batch()
        batch.entries = orphans.map { LogTrimmer.Batch.Entry(key: $0.key, successor: $0.key) }
        try writer.begin()
        try writer.trim(batch)
        try writer.commit()
        trimmer.addLive(byteCount: -orphans.reduce(0) { $0 + $1.liveByteCount })
    }
}
