import DocumentStore
import Documents
import Partition
import Primitives
import Schema
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Builds partitions from the log: at start-up, and for `RESHARD`.
///
/// Two passes. The first reads only headers and learns which entries are superseded. The second,
/// one thread per share of the partitions, parses and indexes the newest version of each document
/// in version order; a superseded entry is never parsed.
struct LogReplay {
    let store: LogStore
    let catalog: Catalog
    let limits: Limits
    var progress: StartProgress?
    /// Told by each thread after each slice how many entries it read; false ends the thread early.
    var goesOn: (@Sendable (Int) -> Bool)?

    /// What the first pass learns.
    struct Books {
        var trimmer = LogTrimmer()
        var superseded: Set<UInt64> = []
        var entryCount = 0
        var lastKey = LogKey.none
        /// Whether a dropped collection has left entries behind.
        var hasOrphans = false
    }

    /// Reads the headers of all entries up to `last`.
    func keepBooks(through last: LogKey) throws(StoreError) -> Books {
        var books = Books()
        let reader = try store.makeReader()
        var next: LogKey? = LogKey(rawValue: 1)
        while let from = next {
            next = try keepBooks(&books, from: from, through: last, reader, countMax: 20_000)
        }
        return books
    }

    /// Reads the headers of up to `countMax` entries, in a transaction of its own.
    ///
    /// - Returns: where to go on; nil at the end.
    func keepBooks(
        _ books: inout Books, from: LogKey, through last: LogKey, _ reader: LogReader,
        countMax: Int
    ) throws(StoreError) -> LogKey? {
        try reader.begin()
        defer { reader.end() }
        var failure: StoreError?
        let next = try reader.scan(from: from, through: last, countMax: countMax) { entry in
            do throws(StoreError) {
                try note(entry, reader: reader, in: &books)
                return true
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
        return next
    }

    private func note(
        _ entry: LogEntryView, reader: LogReader, in books: inout Books
    ) throws(StoreError) {
        books.entryCount += 1
        books.lastKey = entry.key
        if catalog.byID[entry.collection] == nil { books.hasOrphans = true }
        let view = EntryView(entry)
        defer {
            // A tombstone comes behind what it removed, so that it never leaves the log before it.
            if view.isTombstone {
                books.trimmer.addTombstone(
                    entry.key, atMilliseconds: entry.timestampMilliseconds,
                    byteCount: view.storedByteCount)
            } else {
                books.trimmer.addLive(byteCount: view.storedByteCount)
            }
        }
        guard entry.previous != .none, let earlier = try reader.get(entry.previous) else { return }
        let old = EntryView(earlier)
        books.superseded.insert(entry.previous.rawValue)
        if old.isTombstone { return }
        books.trimmer.supersede(
            entry.previous, by: entry.key, atMilliseconds: entry.timestampMilliseconds,
            byteCount: old.storedByteCount)
    }

    /// Indexes everything in (after, last]; entries in `superseded` are passed over.
    ///
    /// - Returns: the documents with a time to live, unless `tables` take them.
    func index(
        after: LogKey, through last: LogKey, superseded: Set<UInt64>, workerCount: Int,
        tables: ReplayTables? = nil
    ) throws(StoreError) -> [ExpiryQueue.Item] {
        let shares = (0..<workerCount).map { worker in
            ReplayShare(
                replay: self, worker: worker, workerCount: workerCount, after: after, last: last,
                superseded: superseded, tables: tables)
        }
        if workerCount == 1 {
            shares[0].run()
        } else {
            var threads: [pthread_t] = []
            for share in shares {
                var thread = pthread_t()
                let box = Unmanaged.passRetained(share)
                let status = pthread_create(&thread, nil, replayMain, box.toOpaque())
                precondition(status == 0, "a thread for the replay")
                threads.append(thread)
            }
            for thread in threads { pthread_join(thread, nil) }
        }
        var expiries: [ExpiryQueue.Item] = []
        for share in shares {
            if let failure = share.failure { throw failure }
            expiries += share.expiries
        }
        return expiries
    }
}

/// One thread's share of a replay: the partitions whose index is `worker` modulo `workerCount`.
// SAFETY of `@unchecked Sendable`: handed to one thread, and looked at again only after that thread
// was joined.
final class ReplayShare: @unchecked Sendable {
    let replay: LogReplay
    let worker: Int
    let workerCount: Int
    let after: LogKey
    let last: LogKey
    let superseded: Set<UInt64>
    /// Kept up as well, by a replay of one worker.
    let tables: ReplayTables?
    private(set) var expiries: [ExpiryQueue.Item] = []
    /// Entries read so far.
    private(set) var entryCount = 0
    fileprivate var failure: StoreError?
    private let parser = JSONParser()
    private let preparer = DocumentPreparer()

    init(
        replay: LogReplay, worker: Int, workerCount: Int, after: LogKey, last: LogKey,
        superseded: Set<UInt64>, tables: ReplayTables? = nil
    ) {
        precondition(tables == nil || workerCount == 1, "tables belong to one thread")
        self.tables = tables
        self.replay = replay
        self.worker = worker
        self.workerCount = workerCount
        self.after = after
        self.last = last
        self.superseded = superseded
    }

    fileprivate func run() {
        do throws(StoreError) {
            let reader = try replay.store.makeReader()
            var next: LogKey? = LogKey(rawValue: after.rawValue + 1)
            while let from = next {
                let before = entryCount
                next = try slice(from: from, reader)
                if let goesOn = replay.goesOn, !goesOn(entryCount - before) { return }
            }
        } catch {
            failure = error
        }
    }

    /// Takes up to 2,000 entries, in a transaction of its own.
    ///
    /// - Returns: where to go on; nil at the end.
    func slice(from: LogKey, _ reader: LogReader) throws(StoreError) -> LogKey? {
        try reader.begin()
        defer { reader.end() }
        let before = entryCount
        let next = try reader.scan(from: from, through: last, countMax: 2_000) { entry in
            entryCount += 1
            take(entry, reader)
            return failure == nil
        }
        replay.progress?.didReplay(entryCount - before)
        if let failure { throw failure }
        return next
    }

    private func take(_ entry: LogEntryView, _ reader: LogReader) {
        guard let view = replay.catalog.byID[entry.collection] else { return }
        let hash = view.hash(entry.id)
        let place = view.partitionIndex(hash: hash)
        guard place % workerCount == worker, !superseded.contains(entry.key.rawValue) else {
            return
        }
        let partition = view.partitions[place]
        switch entry.operation {
        case .remove, .expire:
            tables?.release(view, place, hash: hash, id: entry.id)
            partition.apply(id: entry.id, hash: hash, key: entry.key, prepared: nil)
        case .put, .patch:
            do throws(JSONError) {
                let root = try parser.parse(
                    entry.document, depthMax: replay.limits.documentDepthMax + 1)
                let prepared = preparer.extract(
                    from: root, minified: parser.minified, schema: view.schema)
                let vectors =
                    arrivals(entry, partition, reader)
                    + prepared.vectors.map {
                        // Stored before the field was declared.
                        VectorArrival(field: $0.field, source: entry.key, values: $0.values)
                    }
                guard vectors.allSatisfy({ partition.canHold($0) }) else {
                    failure = .corrupt(.entry(entry.key))
                    return
                }
                tables?.release(view, place, hash: hash, id: entry.id)
                partition.apply(
                    id: entry.id, hash: hash, key: entry.key, prepared: prepared,
                    vectors: vectors, places: PlaceArrival.all(of: prepared))
                tables?.hold(view, place, hash: hash, id: entry.id)
                noteExpiry(entry, view, hash, partition)
            } catch {
                failure = .corrupt(.entry(entry.key))
            }
        case .create, .alter, .drop, .alias, .note:
            return
        }
        partition.reclaim(horizon: entry.key.version, limit: 4)
    }

    /// The entry's vectors that have an index here, each with its components: the entries that
    /// brought them may have been passed over.
    private func arrivals(
        _ entry: LogEntryView, _ partition: CollectionPartition, _ reader: LogReader
    ) -> [VectorArrival] {
        if partition.vectorFields.isEmpty || entry.vectorCount == 0 { return [] }
        var arrivals: [VectorArrival] = []
        for index in 0..<entry.vectorCount {
            let reference = entry.vector(at: index)
            guard partition.vectorField(reference.field) != nil else { continue }
            do throws(StoreError) {
                guard let bytes = try reader.vector(reference) else {
                    failure = .corrupt(.entry(entry.key))
                    return []
                }
                arrivals.append(
                    VectorArrival(
                        field: reference.field, source: reference.key,
                        values: reference.floats(bytes)))
            } catch {
                failure = error
                return []
            }
        }
        return arrivals
    }

    private func noteExpiry(
        _ entry: LogEntryView, _ view: CollectionView, _ hash: UInt64,
        _ partition: CollectionPartition
    ) {
        guard entry.expiryMilliseconds != 0,
            let number = partition.heads.number(hash: hash, id: entry.id)
        else { return }
        let item = ExpiryQueue.Item(
            milliseconds: entry.expiryMilliseconds, collection: view.id, hash: hash,
            number: number, key: entry.key)
        guard let tables else { return expiries.append(item) }
        tables.insert(item)
    }
}

private func replayMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<ReplayShare>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
