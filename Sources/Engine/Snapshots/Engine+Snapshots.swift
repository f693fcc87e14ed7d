import DocumentStore
import Partition
import Primitives
import Schema
package import Snapshot

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Within the extension `close` is the engine's own.
private func closeFile(_ descriptor: Int32) { close(descriptor) }

/// Snapshots of a data directory that is open.
extension Engine {
    /// Bytes of all indexes.
    var indexByteCount: Int {
        shared.catalog.collections.values.reduce(0) { sum, view in
            view.partitionFigures.reduce(sum) { $0 + $1.byteCount }
        }
    }

    /// How much room there is, as the end of a sentence; empty where the system does not say.
    var freeText: String { shelf.freeByteCount.map { ", \($0) bytes are free" } ?? "" }

    /// A name for a snapshot that is taken by itself: it sorts by its time.
    package static func automaticName(_ suffix: String = "") -> String {
        var seconds = time_t(Clock.wallMilliseconds() / 1_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return SnapshotShelf.automaticPrefix
            + "\(parts.tm_year + 1900)\(two(parts.tm_mon + 1))\(two(parts.tm_mday))-"
            + "\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec))\(suffix)"
    }

    /// Begins to take a snapshot.
    ///
    /// - Parameters:
    ///   - hasEntries: whether it is to stand alone.
    ///   - isIncremental: whether it is to go on from another one, where it can and is smaller so.
    /// - Returns: the number of its job.
    /// - Throws: `INVALID` for a name that is none, `DUPLICATE`, `BUSY` while one is being taken.
    package func takeSnapshot(
        name: String?, hasEntries: Bool = true, isIncremental: Bool = false
    ) throws(EngineError) -> UInt64 {
        let name = name ?? freeName()
        guard SnapshotShelf.isName(name) else {
            throw EngineError(
                .invalid, "name", "letters, digits, - _ and . not first, at most 64 bytes")
        }
        if shelf.exists(name) {
            throw EngineError(.duplicate, name, "there is a snapshot of this name")
        }
        if let other = shared.jobs.active(kind: "SNAPSHOT", collection: "") {
            throw EngineError(.busy, "SNAPSHOT", "job \(other) is taking one", hint: "see JOBS")
        }
        let id = shared.jobs.add(kind: "SNAPSHOT", collection: "")
        let job = SnapshotJob(
            name: name, hasEntries: hasEntries, isIncremental: isIncremental)
        run(Job(id: id) { try job.run($0) })
        return id
    }

    /// An automatic name that is not taken: several may be asked for in one second.
    private func freeName() -> String {
        let name = Self.automaticName()
        var number = 1
        while shelf.exists(number == 1 ? name : "\(name)-\(number)") { number += 1 }
        return number == 1 ? name : "\(name)-\(number)"
    }

    /// Notes a snapshot that is complete, and drops those that it replaces.
    func didTakeSnapshot(_ name: String, byteCount: Int, since started: UInt64) {
        let milliseconds = Int((Clock.monotonicNanoseconds() - started) / 1_000_000)
        shared.snapshots.update { figures in
            figures.takenCount += 1
            figures.name = name
            figures.byteCount = byteCount
            figures.milliseconds = milliseconds
        }
        dropOldSnapshots()
        noteSnapshots()
    }

    /// Takes up what is on the shelf now.
    package func noteSnapshots() {
        // Looked at before the files are opened: what changes in between is seen the next time.
        let stamps = shelf.stamps()
        shared.snapshots.note(
            shelf.items(), stamps, identity: shared.hashSeed,
            partitionCount: shared.partitionCount, published: publishedVersion)
    }

    /// The snapshots on the shelf, newest version first, also those that somebody else has put
    /// there.
    ///
    /// - Complexity: O(files): files are opened only where one has changed.
    package func snapshots() -> [SnapshotShelf.Item] {
        if shelf.stamps() != shared.snapshots.stamps { noteSnapshots() }
        return shared.snapshots.items
    }

    /// Keeps the newest of those that were taken by themselves: of those that can be restored as
    /// many as the settings say, and what they go on from; of those that only serve the next start
    /// the last.
    private func dropOldSnapshots() {
        let items = shelf.items()
        let published = publishedVersion
        let own = items.filter {
            guard let header = $0.header else { return false }
            return $0.name.hasPrefix(SnapshotShelf.automaticPrefix)
                && header.identity == shared.hashSeed && header.version <= published
        }
        let whole = own.filter { $0.header?.hasEntries == true || $0.origin != nil }
        let partial = own.filter { $0.header?.hasEntries == false && $0.origin == nil }
        let old = whole.dropFirst(max(1, shared.settings.snapshots.keepCount))
        var gone = Set((Array(old) + partial.dropFirst()).map(\.name))
        for item in items where !gone.contains(item.name) {
            var origin = item.origin
            while let base = origin {
                gone.remove(base.name)
                origin = items.first { $0.name == base.name }?.origin
            }
        }
        // Newest first, so that none is left without what it goes on from.
        for item in items where gone.contains(item.name) { _ = try? shelf.drop(item.name) }
    }

    /// Leaves a snapshot of the indexes for the next start. REQUIRES: all threads have ended.
    func takeSnapshotAtStop() {
        if shelf.items().contains(where: isCurrent) { return }
        let started = Clock.monotonicNanoseconds()
        // Where two stops fall into one second, the later one replaces the earlier.
        let name = Self.automaticName("-stop")
        do {
            let content = try SnapshotContent(committer, hasEntries: false)
            if let free = shelf.freeByteCount, free < content.byteCount { return }
            let descriptor = try shelf.create(name)
            defer { closeFile(descriptor) }
            let writer = try SnapshotWriter(
                descriptor: descriptor, header: content.header,
                level: shared.settings.snapshots.level, sectionCountMax: content.sectionCountMax)
            content.writeIndexes(to: writer)
            try writer.finish()
            try shelf.publish(name)
            didTakeSnapshot(name, byteCount: writer.fileByteCount, since: started)
        } catch {
            // The log alone is enough for a start; it only takes longer.
            shelf.abandon(name)
        }
    }

    /// Whether a start would find everything in a snapshot: it is of this directory as it is now,
    /// with the same partitions and the same fields.
    private func isCurrent(_ item: SnapshotShelf.Item) -> Bool {
        guard let header = item.header, header.identity == shared.hashSeed,
            Int(header.partitionCount) == shared.partitionCount,
            header.version == committer.lastVersion,
            // What was damaged when it was loaded is to be put right.
            item.name != recovery.snapshot || recovery.notes.isEmpty,
            let file = try? SnapshotFile(path: shelf.path(item.name))
        else { return false }
        return shared.catalog.collections.values.allSatisfy { view in
            (0..<shared.partitionCount).allSatisfy { partition in
                func has(_ kind: SectionKind, _ field: Field?) -> Bool {
                    let id = SectionID(
                        kind, collection: view.id, partition: partition, field: field?.number ?? 0)
                    guard let section = file.section(id) else { return false }
                    return field.map { section.shape == $0.shape } ?? true
                }
                return has(.base, nil)
                    && view.schema.fields.allSatisfy { field in
                        (!field.hasEntries || has(.column, field))
                            && (!field.hasVectorIndex
                                || has(
                                    file.vectorKind(
                                        collection: view.id, partition: partition,
                                        field: field.number), field))
                            && (!field.hasPlaceIndex || has(.places, field))
                            && (!field.hasHours || has(.hours, field))
                    }
            }
        }
    }

    /// Takes a snapshot if it is time for one. Called now and then by the background thread.
    func takeSnapshotIfDue() {
        let options = shared.settings.snapshots
        let figures = shared.snapshots.figures
        let written = publishedVersion.rawValue &- figures.version.rawValue
        guard written > 0, shared.writeRefusal() == nil else { return }
        let age = Clock.wallMilliseconds() - max(figures.createdMilliseconds, openedMilliseconds)
        let isOld = options.everyMilliseconds > 0 && age >= options.everyMilliseconds
        let isLong = options.everyWriteCount > 0 && written >= UInt64(options.everyWriteCount)
        // A disk that is too small must not be asked all the time.
        guard isOld || isLong, age >= 1_000 * Int64(1 + min(600, figures.failedCount * 60)) else {
            return
        }
        _ = try? takeSnapshot(name: nil, isIncremental: true)
    }
}

/// Jobs on snapshots that are there.
extension Engine {
    /// Begins to check every byte of a snapshot.
    ///
    /// - Returns: the number of its job.
    /// - Throws: `NOTFOUND`.
    package func verifySnapshot(_ name: String) throws(EngineError) -> UInt64 {
        try require(name)
        let id = shared.jobs.add(kind: "VERIFY", collection: "")
        run(Job(id: id) { try SnapshotVerification(name: name).run($0) })
        return id
    }

    /// Begins to remove a snapshot: a large file takes its time.
    ///
    /// - Returns: the number of its job.
    /// - Throws: `NOTFOUND`, `CONFLICT` where others go on from it.
    package func dropSnapshot(_ name: String) throws(EngineError) -> UInt64 {
        try require(name)
        try requireUnneeded(name, shared.snapshots.items)
        let id = shared.jobs.add(kind: "DROP", collection: "")
        run(
            Job(id: id) { context in
                let engine = context.engine
                try engine.requireUnneeded(name, engine.shelf.items())
                do {
                    guard try engine.shelf.drop(name) else {
                        throw EngineError(.notFound, name, "no such snapshot")
                    }
                } catch let error as SnapshotError {
                    throw EngineError(error, name)
                }
                engine.noteSnapshots()
                return "\(name) is gone"
            })
        return id
    }

    /// - Throws: `CONFLICT` where a snapshot goes on from that one.
    private func requireUnneeded(
        _ name: String, _ items: [SnapshotShelf.Item]
    ) throws(EngineError) {
        let needing = items.filter { $0.origin?.name == name }.map(\.name)
        guard needing.isEmpty else {
            throw EngineError(
                .conflict, name, "\(needing.joined(separator: ", ")) goes on from it",
                hint: "DROP that first")
        }
    }

    /// Begins to bring a snapshot's documents back.
    ///
    /// - Returns: the number of its job.
    /// - Throws: `NOTFOUND`.
    package func restoreSnapshot(
        _ name: String, moment: SnapshotMoment, target: RestoreJob.Target?
    ) throws(EngineError) -> UInt64 {
        try require(name)
        let id = shared.jobs.add(kind: "RESTORE", collection: target?.name ?? "")
        let job = RestoreJob(name: name, moment: moment, target: target)
        run(Job(id: id) { try job.run($0) })
        return id
    }

    /// - Throws: `NOTFOUND` where there is no file of that name.
    func require(_ name: String) throws(EngineError) {
        guard snapshots().contains(where: { $0.name == name }) else {
            throw EngineError(.notFound, name, "no such snapshot", hint: "SNAPSHOT LIST names them")
        }
    }
}

/// Reads a snapshot whole and compares all checksums.
struct SnapshotVerification: Sendable {
    let name: String

    func run(_ context: JobContext) throws -> String {
        do {
            let chain = try SnapshotChain(path: context.engine.shelf.path(name))
            let byteCount = chain.fileByteCount
            try chain.verify { done in
                context.progress(done, of: byteCount)
                try context.checkpoint()
            }
            let count = chain.files.reduce(0) { $0 + $1.sections.count }
            let files = chain.files.count == 1 ? "" : "\(chain.files.count) files, "
            return "\(name): \(files)\(count) sections, \(byteCount) bytes, all good"
        } catch let error as SnapshotError {
            throw EngineError(error, name)
        }
    }
}
