import DocumentStore
import Documents
import Partition
import Primitives
import Schema
import Snapshot
import Synchronization

/// Brings the documents of a snapshot back while the server runs: built beside the live data, then
/// switched to between two groups of writes.
///
/// ```
/// entries that no later one supersedes ── appended to the log under new versions, as those of
///     │                                   collections that nobody knows yet
///     └──> indexes built from there ──> names point to the new collections; the old ones are
///          cleaned up in the background
/// ```
/// The snapshot's versions move as a whole behind the newest one of now: versions go on rising, and
/// references between entries and vectors stay as they were. Writes are refused meanwhile. What
/// is given up half way, by a crash or a cancel, belongs to no collection and is cleaned up.
package struct RestoreJob: Sendable {
    let name: String
    let moment: SnapshotMoment
    /// Which collection is to come back under which name; nil for all of them in place of those
    /// that there are.
    let target: Target?

    /// One collection under another name.
    package struct Target: Sendable {
        /// The collection in the snapshot; nil for the only one.
        package var source: String?
        package var name: String

        package init(source: String?, name: String) {
            self.source = source
            self.name = name
        }
    }

    /// Bytes of one commit.
    private static let commitByteCount = 4 << 20
    private static let commitCount = 4_096
    /// Room that is left on the disk beside what comes back.
    private static let reserveByteCount = 16 << 20

    package init(name: String, moment: SnapshotMoment, target: Target?) {
        self.name = name
        self.moment = moment
        self.target = target
    }

    package func run(_ context: JobContext) throws -> String {
        let engine = context.engine
        // What is appended belongs to no collection yet: a CLEAN in between would take it away.
        context.keepsTurn = true
        do {
            let chain = try SnapshotChain(path: engine.shelf.path(name))
            let log = try SnapshotLog(chain, name: name, moment: moment)
            let plan = try plan(log, engine)
            if let refusal = engine.shared.writeRefusal() { throw refusal }
            try requireRoom(log, engine)
            context.describe("snapshot \(name) is brought back")
            engine.shared.restoringJob = context.id
            defer { engine.shared.restoringJob = nil }
            do {
                return try carryOut(plan, log, context)
            } catch {
                engine.runClean()
                throw error
            }
        } catch let error as SnapshotError {
            throw EngineError(error, name)
        } catch StoreError.corrupt {
            throw EngineError(
                .corrupt, name, "an entry in it cannot be read, or not under its schema",
                hint: "SNAPSHOT VERIFY says whether the file is damaged")
        } catch let error as EngineError where error.code == .full && error.path.isEmpty {
            throw EngineError(
                .full, name, "no space is left on the disk\(engine.freeText)",
                hint: "free some space, or trim with COMPACT")
        } catch let error as StoreError {
            throw engine.shared.report(error)
        } catch let error as SectionError {
            throw EngineError(
                .corrupt, name, "is damaged: \(error)", hint: "SNAPSHOT VERIFY says where")
        }
    }

    // MARK: - Plan

    /// A collection that comes back.
    private struct Part: Sendable {
        var id: UInt32
        var name: String
        var row: CollectionRow

        var schema: Schema { row.schema }
    }

    private struct Plan {
        /// By the collection's number in the snapshot.
        var parts: [UInt32: Part] = [:]
        var aliases: [String: String] = [:]
        let meta: SnapshotMeta
    }

    private func plan(_ log: SnapshotLog, _ engine: Engine) throws -> Plan {
        let meta = try SnapshotMeta(log, name: name)
        var plan = Plan(meta: meta)
        if let target {
            let source = try source(of: target, meta.collections)
            try requireFree(target.name, engine.shared.catalog)
            let row = meta.collections[source]
            try meta.require(moment, in: log.file.header, only: row)
            if let row, !meta.has(row, at: moment) {
                throw EngineError(.notFound, source, "the collection was made after that moment")
            }
            if let row { plan.parts[row.id] = Part(id: 0, name: target.name, row: row) }
        } else {
            try meta.require(moment, in: log.file.header)
            for (name, row) in meta.collections where meta.has(row, at: moment) {
                plan.parts[row.id] = Part(id: 0, name: name, row: row)
            }
            let names = Set(plan.parts.values.map(\.name))
            plan.aliases = meta.aliases.filter { names.contains($0.value) }
        }
        return plan
    }

    /// Refuses to begin what would not fit. Pages round up: half as much comes on top.
    private func requireRoom(_ log: SnapshotLog, _ engine: Engine) throws(EngineError) {
        let needed = log.byteCount + log.byteCount / 2 + Self.reserveByteCount
        guard let free = engine.shelf.freeByteCount, let store = engine.storeStatistics(),
            free + store.freePageCount * store.pageByteCount < needed
        else { return }
        throw EngineError(
            .full, name, "the restore may need \(needed) bytes\(engine.freeText)",
            hint: "free some space, or trim with COMPACT")
    }

    private func source(
        of target: Target, _ rows: [String: CollectionRow]
    ) throws(EngineError) -> String {
        if let source = target.source {
            guard rows[source] != nil else {
                throw EngineError(.notFound, source, "the snapshot has no such collection")
            }
            return source
        }
        guard rows.count == 1, let only = rows.keys.first else {
            throw EngineError(
                .syntax, "AS", "the snapshot has \(rows.count) collections",
                hint: "ONLY names one")
        }
        return only
    }

    private func requireFree(_ name: String, _ catalog: Catalog) throws(EngineError) {
        if catalog.collections[name] != nil || catalog.aliases[name] != nil {
            throw EngineError(.duplicate, name, "the name is taken", hint: "choose another one")
        }
    }

    // MARK: - Work

    private func carryOut(
        _ plan: Plan, _ log: SnapshotLog, _ context: JobContext
    ) throws -> String {
        var plan = plan
        // Restores that were sent together must not pile up in the log.
        if context.engine.shared.jobs.active(kind: "CLEAN", collection: "") != nil {
            _ = try CleanJob().run(context)
        }
        let progress = RestoreProgress(log, context)
        let survey = try survey(plan, log, progress)
        let base = try reserve(&plan, survey, context)
        let shift = survey.shift(base)
        let copied = try appendEntries(plan, log, survey.superseded, shift, base, progress)
        try appendVectors(log, copied.vectors, shift, progress)
        let end = LogKey(version: copied.last.version, index: (1 << 16) - 1)
        let built = try build(plan, log, shift, base: base, through: end, copied, progress)
        let count = built.views.values.reduce(0) { $0 + $1.documentCount }
        guard built.loadedCount < plan.parts.count || count == copied.entryCount else {
            throw EngineError(
                .corrupt, name,
                "its indexes hold \(count) documents, its log "
                    + "\(copied.entryCount)")
        }
        try swap(plan, built, context)
        context.engine.runClean()
        context.engine.noteSnapshots()
        var source = built.loadedCount == plan.parts.count ? "" : ", indexes built anew"
        if let problem = built.problems.first {
            source += ": the file is not whole (\(problem)); SNAPSHOT VERIFY says where"
        }
        return "\(copied.entryCount) documents, version \(copied.last.version.rawValue)\(source)"
    }

    /// Gives the collections numbers of their own, and the log a place for their entries.
    ///
    /// - Returns: the newest version of now.
    private func reserve(
        _ plan: inout Plan, _ survey: RestoreSurvey, _ context: JobContext
    ) throws -> Version {
        let box = Guarded<(Version, UInt32)>((.zero, 0))
        let count = UInt32(plan.parts.count)
        try context.onCommitter { committer in
            try committer.requireEmptyTail()
            let first = committer.nextCollection
            try committer.writer.begin()
            try committer.writer.putMeta(
                MetaKey.nextCollection, MetaKey.bytes(UInt64(first) + UInt64(count)))
            try committer.noteUnclean()
            try committer.writer.commit()
            committer.nextCollection = first + count
            box.withLock { $0 = (committer.lastVersion, first) }
        }
        let (base, first) = box.withLock { $0 }
        var next = first
        for id in plan.parts.keys.sorted() {
            plan.parts[id]?.id = next
            next += 1
        }
        // Versions have 48 bits.
        guard base.rawValue + survey.versionCount < 1 << 47 else {
            throw EngineError(.limit, "version", "no versions are left for a restore")
        }
        return base
    }

    /// Learns which entries up to the moment a later one supersedes, and which versions come back.
    private func survey(
        _ plan: Plan, _ log: SnapshotLog, _ progress: RestoreProgress
    ) throws -> RestoreSurvey {
        var survey = RestoreSurvey()
        var (seen, count) = (0, 0)
        try log.forEachEntry { entry in
            guard moment.includes(entry) else {
                if count == 0 { throw moment.beforeAll(entry) }
                return false
            }
            survey.last = entry.key
            survey.collections.insert(entry.collection)
            if entry.previous != .none { survey.superseded.insert(entry.previous.rawValue) }
            if plan.parts[entry.collection] != nil {
                survey.note(entry.key)
                for index in 0..<entry.vectorCount { survey.note(entry.vector(at: index).key) }
            }
            seen += entry.bytes.count
            count += 1
            if count % 4_096 == 0 {
                progress.show(.survey, bytes: seen)
                try progress.context.checkpoint()
            }
            return true
        }
        try plan.meta.require(
            moment, last: survey.last, seen: survey.collections, of: plan.parts.values.map(\.row))
        return survey
    }

    private struct Copied {
        var entryCount = 0
        var byteCount = 0
        /// Documents whose time to live is over, which stay behind.
        var overdueCount = 0
        var last: LogKey
        /// Vectors that documents refer to, by their keys in the snapshot.
        var vectors: Set<VectorName> = []
    }

    private struct VectorName: Hashable {
        var key: LogKey
        var field: UInt16
    }

    private func appendEntries(
        _ plan: Plan, _ log: SnapshotLog, _ superseded: Set<UInt64>, _ shift: KeyShift,
        _ base: Version, _ progress: RestoreProgress
    ) throws -> Copied {
        let context = progress.context
        let now = Clock.wallMilliseconds()
        var seen = 0
        var copied = Copied(last: LogKey(version: base, index: 0))
        var batch: [RestoredEntry] = []
        var batchByteCount = 0
        func flush() throws {
            let entries = batch
            guard let last = entries.last else { return }
            (batch, batchByteCount) = ([], 0)
            try context.onCommitter { try $0.appendRestored(entries) }
            copied.last = last.key
            progress.show(.entries, bytes: seen)
            try context.checkpoint()
        }
        try log.forEachEntry { entry in
            guard moment.includes(entry) else { return false }
            seen += entry.bytes.count
            let view = EntryView(entry)
            guard let part = plan.parts[entry.collection], !view.isTombstone,
                entry.operation == .put || entry.operation == .patch,
                !superseded.contains(entry.key.rawValue)
            else { return true }
            // Its time to live is over.
            if entry.expiryMilliseconds != 0, entry.expiryMilliseconds <= now {
                copied.overdueCount += 1
                return true
            }
            var header = entry.header
            header.collection = part.id
            header.previous = .none
            for reference in view.vectors {
                guard reference.key <= entry.key, reference.key.version > .zero else {
                    throw StoreError.corrupt(.entry(entry.key))
                }
                copied.vectors.insert(VectorName(key: reference.key, field: reference.field))
            }
            batch.append(
                RestoredEntry(
                    key: shift(entry.key), header: header, id: [UInt8](entry.id),
                    document: [UInt8](entry.document),
                    vectors: view.vectors.map { reference in
                        var reference = reference
                        reference.key = shift(reference.key)
                        return reference
                    }, storedByteCount: view.storedByteCount))
            batchByteCount += entry.bytes.count
            copied.entryCount += 1
            copied.byteCount += view.storedByteCount
            if batch.count >= Self.commitCount || batchByteCount >= Self.commitByteCount {
                try flush()
            }
            return true
        }
        try flush()
        return copied
    }

    /// Behind the entries: a crash in between must not leave vectors that are newer than the log.
    private func appendVectors(
        _ log: SnapshotLog, _ wanted: Set<VectorName>, _ shift: KeyShift,
        _ progress: RestoreProgress
    ) throws {
        let context = progress.context
        var seen = 0
        var batch: [RestoredVector] = []
        var byteCount = 0
        func flush() throws {
            let vectors = batch
            (batch, byteCount) = ([], 0)
            if vectors.isEmpty { return }
            try context.onCommitter { try $0.appendRestored(vectors) }
            progress.show(.vectors, bytes: seen)
            try context.checkpoint()
        }
        var found = 0
        try log.forEachVector { key, field, bytes in
            seen += bytes.count
            guard wanted.contains(VectorName(key: key, field: field)) else { return true }
            found += 1
            batch.append(
                RestoredVector(
                    key: shift(key), field: field, bytes: [UInt8](bytes)))
            byteCount += bytes.count
            if byteCount >= Self.commitByteCount { try flush() }
            return true
        }
        try flush()
        guard found == wanted.count else {
            throw EngineError(.corrupt, name, "\(wanted.count - found) vectors are missing")
        }
    }

    /// Indexes what was appended, in partitions that nobody else sees.
    private func build(
        _ plan: Plan, _ log: SnapshotLog, _ shift: KeyShift, base: Version, through: LogKey,
        _ copied: Copied, _ progress: RestoreProgress
    ) throws -> RestoreBuild.Result {
        let context = progress.context
        let shared = context.engine.shared
        let born = CatalogMoment(behind: through.version)
        let parts = plan.parts.map { source, part in
            RestoreBuild.Part(
                source: source,
                view: CollectionView(
                    id: part.id, name: part.name, schema: part.schema, generation: 1,
                    schemaGeneration: 1,
                    partitions: makePartitions(shared.partitionCount, schema: part.schema),
                    hashSeed: shared.hashSeed, born: born))
        }
        // What is built takes about as much memory as the entries that it is built of.
        shared.buildingByteCount.store(copied.byteCount, ordering: .relaxed)
        defer { shared.buildingByteCount.store(0, ordering: .relaxed) }
        return try RestoreBuild(
            context: context, log: log, shift: shift, report: progress.reporter(.build),
            threadCount: min(shared.partitionCount, max(1, shared.options.loopCount))
        ).run(
            parts, isWhole: moment == .end && copied.overdueCount == 0,
            after: LogKey(version: base, index: (1 << 16) - 1), through: through,
            entryCount: copied.entryCount)
    }

    private func swap(
        _ plan: Plan, _ built: RestoreBuild.Result, _ context: JobContext
    ) throws {
        let (isAll, aliases) = (target == nil, plan.aliases)
        try context.onCommitter { committer in
            let fresh = built.views
            let old = committer.shared.catalog
            if let changing = old.collections.values.first(where: { $0.former != nil }), isAll {
                throw EngineError(
                    .busy, changing.name, "an ALTER of this collection is half done",
                    hint: "resume or cancel its job")
            }
            guard
                fresh.values.allSatisfy({
                    $0.partitions.count == committer.shared.partitionCount
                })
            else {
                throw EngineError(.conflict, "", "partitions changed meanwhile")
            }
            if !isAll {
                for name in fresh.keys
                where old.collections[name] != nil || old.aliases[name] != nil {
                    throw EngineError(.duplicate, name, "the name was taken meanwhile")
                }
            }
            try committer.adopt(built, replacing: isAll, aliases: aliases)
            // Writes are taken again. What became overdue meanwhile goes before the job has ended.
            committer.shared.restoringJob = nil
            committer.expireOverdue()
        }
    }
}

/// An entry that a restore appends.
struct RestoredEntry: Sendable {
    var key: LogKey
    var header: LogEntryHeader
    var id: [UInt8]
    var document: [UInt8]
    var vectors: [VectorReference]
    /// In the store, vectors included.
    var storedByteCount: Int
}

/// A vector that a restore appends.
struct RestoredVector: Sendable {
    var key: LogKey
    var field: UInt16
    var bytes: [UInt8]
}

extension Engine {
    /// Deletes entries of collections that are gone, in the background.
    func runClean() {
        let id = shared.jobs.add(kind: "CLEAN", collection: "")
        run(Job(id: id) { try CleanJob().run($0) })
    }
}

extension Committer {
    /// Appends entries of collections that are not in the catalogue yet, in a commit of their own.
    func appendRestored(_ entries: [RestoredEntry]) throws(StoreError) {
        guard let last = entries.last else { return }
        try writer.begin()
        for entry in entries {
            var failure: StoreError?
            entry.id.withUnsafeBytes { id in
                entry.document.withUnsafeBytes { document in
                    do throws(StoreError) {
                        try writer.append(
                            entry.key, entry.header, id: id, document: document,
                            vectors: entry.vectors)
                    } catch {
                        failure = error
                    }
                }
            }
            if let failure { throw failure }
        }
        try writer.commit()
        // Whatever becomes of the restore: if nothing, a CLEAN takes them off again.
        trimmer.addLive(byteCount: entries.reduce(0) { $0 + $1.storedByteCount })
        lastVersion = last.key.version
        shared.publish(lastVersion)
    }

    /// Appends vectors whose entries are in the log, in a commit of their own.
    func appendRestored(_ vectors: [RestoredVector]) throws(StoreError) {
        try writer.begin()
        for vector in vectors {
            var failure: StoreError?
            vector.bytes.withUnsafeBytes { bytes in
                do throws(StoreError) {
                    try writer.appendVector(vector.key, field: vector.field, bytes)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
        }
        try writer.commit()
    }

    /// Lets names point to restored collections: in place of all that there are, or beside them.
    func adopt(
        _ built: RestoreBuild.Result, replacing isAll: Bool, aliases: [String: String]
    ) throws(StoreError) {
        let (old, fresh) = (shared.catalog, built.views)
        try writer.begin()
        if isAll {
            for name in old.collections.keys where fresh[name] == nil {
                try writer.deleteMeta(MetaKey.collectionPrefix + name)
            }
            for alias in old.aliases.keys { try writer.deleteMeta(MetaKey.aliasPrefix + alias) }
            for (alias, name) in aliases {
                try writer.putMeta(MetaKey.aliasPrefix + alias, [UInt8](name.utf8))
            }
        }
        for view in fresh.values {
            try writer.putMeta(
                MetaKey.collectionPrefix + view.name,
                CollectionRow(view).bytes)
        }
        let horizon = CatalogMoment(behind: lastVersion)
        if isAll {
            try writer.putMeta(MetaKey.catalogHorizon, MetaKey.bytes(horizon))
            try noteUnclean()
        }
        try writer.commit()
        if isAll { shared.noteCatalogHorizon(horizon) }
        if isAll {
            uniques = built.uniques
            expiries = ExpiryQueue(built.expiries)
        } else {
            for (id, own) in built.uniques { uniques[id] = own }
            for item in built.expiries { expiries.insert(item) }
        }
        let collections =
            isAll
            ? fresh : old.collections.merging(fresh) { _, new in new }
        shared.setCatalog(
            Catalog(
                collections: collections, aliases: isAll ? aliases : old.aliases,
                generation: old.generation + 1))
        builders?.wake()
    }
}
