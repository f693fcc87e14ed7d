import DocumentStore
import Documents
import Partition
import Primitives
import Schema
import Snapshot

/// Brings the partitions to the log's end when a data directory is opened: from the newest good
/// snapshot and what the log has behind it, or from the log alone.
///
/// ```
/// newest snapshot ── fits this log? ── load ──> missing collections: from the log's beginning
///     │ no: the next one                   ├──> the log behind the snapshot's version
///     └ none: the log alone                └──> indexes that could not be read: from the documents
/// ```
struct StartUp {
    let store: LogStore
    let meta: EngineMeta
    let reader: LogReader
    let threadCount: Int
    /// The newest key of the log.
    let last: LogKey
    let shelf: SnapshotShelf
    let progress: StartProgress

    /// What the committer begins with.
    struct Result {
        var catalog: Catalog
        var trimmer = LogTrimmer()
        var expiries: [ExpiryQueue.Item] = []
        /// Entries of the log that were read.
        var entryCount = 0
        /// Whether a dropped collection has left entries behind.
        var hasOrphans = false
        /// The snapshot that was used.
        var snapshot: String?
        /// What people should know.
        var notes: [String] = []
    }

    func run() throws(StoreError) -> Result {
        shelf.sweep()
        let items = shelf.items()
        var notes = items.compactMap { item in
            item.problem.map { "\(item.name) under snapshots/ cannot be used: \($0.text)" }
        }
        for item in items {
            // One that goes on from another holds entries that the log has as well.
            guard let header = item.header, !header.hasBase else { continue }
            if let reason = try refusal(header) {
                notes.append("snapshot \(item.name) is passed over: \(reason)")
                continue
            }
            guard let file = try? SnapshotFile(path: shelf.path(item.name)) else { continue }
            let load = SnapshotLoad(
                file: file, meta: meta, threadCount: threadCount, progress: progress)
            guard let outcome = load.run() else { continue }
            notes += outcome.notes.map { "snapshot \(item.name) is damaged or old: \($0)" }
            var result = try catchUp(outcome)
            result.snapshot = item.name
            result.notes = notes
            return result
        }
        var result = Result(catalog: meta.catalog)
        try readAll(&result)
        result.notes = notes
        return result
    }

    /// Why a snapshot does not fit the log; nil if it does.
    private func refusal(_ header: SnapshotHeader) throws(StoreError) -> String? {
        if Int(header.partitionCount) != meta.options.partitionCount {
            return "it has \(header.partitionCount) partitions"
        }
        try reader.begin()
        defer { reader.end() }
        return try header.refusal(
            identity: meta.hashSeed, trimHorizon: Version(meta.trimHorizon), last: last, reader)
    }

    private func replay(_ catalog: Catalog) -> LogReplay {
        LogReplay(
            store: store, catalog: catalog, limits: meta.options.limits, progress: progress)
    }

    // MARK: - From the log alone

    private func readAll(_ result: inout Result) throws(StoreError) {
        let replay = replay(result.catalog)
        let books = try replay.keepBooks(through: last)
        result.trimmer = books.trimmer
        result.entryCount = books.entryCount
        result.hasOrphans = books.hasOrphans
        result.expiries = try replay.index(
            after: .none, through: last, superseded: books.superseded, workerCount: threadCount)
    }

    // MARK: - From a snapshot

    private func catchUp(_ outcome: SnapshotLoad.Outcome) throws(StoreError) -> Result {
        var result = Result(catalog: outcome.catalog)
        let version = outcome.header.version
        let end = LogKey(version: version, index: (1 << 16) - 1)
        let loaded = outcome.catalog.filtered { !outcome.missing.contains($0.id) }
        try settle(loaded, at: version, outcome.books)
        result.expiries = outcome.books.expiries.filter { loaded.byID[$0.collection] != nil }
        let books =
            outcome.missing.isEmpty && outcome.hasSameCollections
            ? try keepBooks(outcome.books, after: end, outcome.catalog)
            : try replay(outcome.catalog).keepBooks(through: last)
        result.trimmer = books.trimmer
        result.entryCount = books.entryCount
        result.hasOrphans = books.hasOrphans
        if end < last {
            result.expiries += try replay(loaded).index(
                after: end, through: last, superseded: books.superseded,
                workerCount: threadCount)
        }
        if !outcome.missing.isEmpty {
            let missing = outcome.catalog.filtered { outcome.missing.contains($0.id) }
            result.expiries += try replay(missing).index(
                after: .none, through: last, superseded: books.superseded,
                workerCount: threadCount)
        }
        try IndexFilling(store: store, limits: meta.options.limits)
            .run(outcome.unfilled, threadCount: threadCount)
        return result
    }

    /// Frees what no read can ask for any more: nobody pins a version across a restart.
    private func settle(
        _ catalog: Catalog, at version: Version, _ books: SnapshotBooks
    ) throws(StoreError) {
        let partitions = catalog.collections.values.flatMap(\.partitions)
        Workers.forEach(partitions.count, threadCount: threadCount) { index in
            partitions[index].reclaim(horizon: version, limit: .max)
        }
        // Tombstones that were trimmed since have heads there still.
        if books.trimHorizon >= meta.trimHorizon { return }
        try reader.begin()
        defer { reader.end() }
        for partition in partitions {
            let heads = partition.heads
            for number in 0..<UInt32(heads.numberBound)
            where heads.key(number) != .none && heads.slot(number) == Heads.noSlot {
                if try reader.get(heads.key(number)) == nil { heads.remove(number) }
            }
        }
    }

    /// The committer's books of the snapshot, brought to the log's end.
    private func keepBooks(
        _ known: SnapshotBooks, after end: LogKey, _ catalog: Catalog
    ) throws(StoreError) -> LogReplay.Books {
        var books = LogReplay.Books()
        books.trimmer = known.trimmer
        try reader.begin()
        do {
            defer { reader.end() }
            try books.trimmer.dropFirst { (key) throws(StoreError) in
                try reader.get(key) == nil
            }
        }
        let replay = replay(catalog)
        var next: LogKey? = end < last ? LogKey(rawValue: end.rawValue + 1) : nil
        while let from = next {
            next = try replay.keepBooks(
                &books, from: from, through: last, reader, countMax: 20_000)
        }
        return books
    }
}

extension Catalog {
    /// A catalogue of some of the collections.
    func filtered(_ isIncluded: (CollectionView) -> Bool) -> Catalog {
        Catalog(
            collections: collections.filter { isIncluded($0.value) }, aliases: aliases,
            generation: generation)
    }
}

extension SnapshotHeader {
    /// Why a data directory's log cannot go on from the snapshot; nil if it can.
    ///
    /// REQUIRES: the reader is in a transaction.
    func refusal(
        identity known: UInt64, trimHorizon: Version, last: LogKey, _ reader: LogReader
    ) throws(StoreError) -> String? {
        if identity != known { return "it is of another data directory" }
        if lastKey > last || version > last.version { return "it is newer than the log" }
        if trimHorizon > version { return "the log behind it was trimmed" }
        guard lastChecksum != 0 else { return nil }
        if let entry = try reader.get(lastKey) {
            return entry.checksum == lastChecksum ? nil : "the log is another one"
        }
        // Only what was superseded up to the horizon may have left the log. (The entry of a
        // collection that was dropped since may have, too: then the log alone is read.)
        return lastKey.version > trimHorizon ? "the log is another one" : nil
    }
}
