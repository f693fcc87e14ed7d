import CKernels
import DocumentStore
import Partition
import Primitives
import Snapshot

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Takes a snapshot while reads and writes go on.
///
/// ```
/// committer, between two groups: builders stand still ── fork ──> child: writes the indexes from
///     │ milliseconds                                        │      its frozen memory, ends
///     └─ goes on                                            ▼
/// job's thread: room on the disk? ── waits for the child, shows progress ── appends the log's
/// entries in short transactions ── directory, trailer, sync ── final name ── drops old ones
/// ```
/// A child that makes no progress is ended, and the snapshot given up: it can be taken again.
package struct SnapshotJob: Sendable {
    let name: String
    /// Whether the file holds the log too, so that it can stand alone.
    let hasEntries: Bool
    /// Whether it is to go on from another one, where that is possible and smaller.
    let isIncremental: Bool

    /// The child is ended when it has written nothing for so long.
    private static let patienceNanoseconds: UInt64 = 60_000_000_000
    /// Room that is left on the disk beside what the snapshot may need.
    private static let reserveByteCount = 64 << 20

    package init(name: String, hasEntries: Bool = true, isIncremental: Bool = false) {
        self.name = name
        self.hasEntries = hasEntries
        self.isIncremental = isIncremental
    }

    package func run(_ context: JobContext) throws -> String {
        let engine = context.engine
        let started = Clock.monotonicNanoseconds()
        // What the log holds of this version on stays until it is copied.
        let version = context.read.pins.acquire()
        defer { context.read.pins.release(version) }
        // Nor does what was superseded before leave the log: a file that goes back as far as the
        // log reaches holds all of that. So the job is not paused either.
        context.keepsTurn = true
        engine.shared.snapshots.isCopying = true
        defer { engine.shared.snapshots.isCopying = false }
        if engine.shelf.exists(name) {
            throw EngineError(.duplicate, name, "there is a snapshot of this name")
        }
        do {
            var text = ""
            var size: Int?
            if isIncremental {
                do {
                    let base = try SnapshotIncrement.Base(context, isAutomatic: isAutomatic)
                    size = try write(SnapshotIncrement(context: context, name: name, base: base))
                    text = ", goes on from \(base.item.name)"
                } catch let refusal as SnapshotIncrement.Refusal {
                    text = ", a whole one: \(refusal.reason)"
                }
            }
            let byteCount = try size ?? write(context)
            engine.didTakeSnapshot(name, byteCount: byteCount, since: started)
            return "\(name): \(byteCount) bytes\(text)"
        } catch {
            engine.shelf.abandon(name)
            engine.shared.snapshots.update { $0.failedCount += 1 }
            if case SnapshotError.full? = error as? SnapshotError {
                throw EngineError(
                    .full, name,
                    "it may need \(neededByteCount(engine)) bytes\(engine.freeText)",
                    hint: "free some space or DROP an old one")
            }
            if let error = error as? SnapshotError { throw EngineError(error, name) }
            throw error
        }
    }

    private var isAutomatic: Bool { name.hasPrefix(SnapshotShelf.automaticPrefix) }

    private func write(_ increment: SnapshotIncrement) throws -> Int {
        let shelf = increment.context.engine.shelf
        try requireRoom(shelf, increment.base.byteCountMax)
        let descriptor = try shelf.create(name)
        defer { close(descriptor) }
        let byteCount = try increment.write(descriptor)
        let base = increment.base
        guard
            shelf.items().contains(where: { $0.name == base.item.name && $0.header == base.header })
        else {
            throw EngineError(
                .conflict, name, "\(base.item.name), which it goes on from, is gone",
                hint: "take it again")
        }
        try shelf.publish(name)
        return byteCount
    }

    /// Bytes that the file may have at most. Compressed it will be less, but by how much is not
    /// known before.
    private func neededByteCount(_ engine: Engine) -> Int {
        engine.indexByteCount + (hasEntries ? engine.storeStatistics()?.usedByteCount ?? 0 : 0)
    }

    private func write(_ context: JobContext) throws -> Int {
        let engine = context.engine
        let descriptor = try engine.shelf.create(name)
        defer { close(descriptor) }
        try requireRoom(engine)
        SnapshotContent.rehearse(
            engine.shared.catalog, level: engine.shared.settings.snapshots.level)
        let image = try fork(context, descriptor)
        let writer = image.writer
        try wait(for: image, context)
        if hasEntries {
            // What the indexes take is known now.
            let total = writer.byteCount + image.logByteCount
            try SnapshotEntries(context: context, writer: writer, total: total)
                .write(through: image.lastKey)
        }
        try writer.finish()
        try engine.shelf.publish(name)
        return writer.fileByteCount
    }

    /// Refuses to begin what would not fit.
    private func requireRoom(_ engine: Engine) throws(EngineError) {
        try requireRoom(engine.shelf, neededByteCount(engine))
    }

    private func requireRoom(_ shelf: SnapshotShelf, _ needed: Int) throws(EngineError) {
        guard let free = shelf.freeByteCount, free < needed + Self.reserveByteCount else {
            return
        }
        throw EngineError(
            .full, name, "the snapshot may need \(needed) bytes, \(free) are free",
            hint: "free some space or DROP an old one")
    }

    /// A child that writes, and what the parent knows of it.
    // SAFETY of `@unchecked Sendable`: made by the committer, then used by the job's thread.
    private final class Image: @unchecked Sendable {
        let writer: SnapshotWriter
        let pid: Int32
        let lastKey: LogKey
        /// Bytes that the indexes have in memory, and the log's entries and vectors.
        let indexByteCount: Int
        let logByteCount: Int
        let pauseMicroseconds: Int

        init(
            writer: SnapshotWriter, pid: Int32, lastKey: LogKey, indexByteCount: Int,
            logByteCount: Int, pauseMicroseconds: Int
        ) {
            self.writer = writer
            self.pid = pid
            self.lastKey = lastKey
            self.indexByteCount = indexByteCount
            self.logByteCount = logByteCount
            self.pauseMicroseconds = pauseMicroseconds
        }
    }

    /// Forks between two groups of writes, while no builder changes a graph.
    private func fork(_ context: JobContext, _ descriptor: Int32) throws -> Image {
        let engine = context.engine
        let made = Guarded<Image?>(nil)
        let level = engine.shared.settings.snapshots.level
        let hasEntries = hasEntries
        try context.onCommitter { [builders = engine.builders] committer in
            let begun = Clock.monotonicNanoseconds()
            let content = try SnapshotContent(committer, hasEntries: hasEntries)
            let writer: SnapshotWriter
            do throws(SnapshotError) {
                writer = try SnapshotWriter(
                    descriptor: descriptor, header: content.header, level: level,
                    sectionCountMax: content.sectionCountMax + SnapshotEntries.sectionCount)
            } catch {
                throw EngineError(error, "")
            }
            let pid = builders.whileStill { () -> Int32 in
                let pid = ck_fork(descriptor)
                if pid == 0 {
                    content.writeIndexes(to: writer)
                    writer.sync()
                    _exit(writer.failure == nil ? 0 : 1)
                }
                return pid
            }
            guard pid > 0 else {
                throw EngineError(
                    .limit, "", "the system gives no process for a snapshot: error \(errno)",
                    hint: "a snapshot may need memory for what changes while it is written")
            }
            let nanoseconds = Clock.monotonicNanoseconds() - begun
            let last = LogKey(version: content.header.version, index: (1 << 16) - 1)
            made.withLock {
                $0 = Image(
                    writer: writer, pid: pid, lastKey: last,
                    indexByteCount: content.byteCount,
                    logByteCount: hasEntries ? content.logByteCount : 0,
                    pauseMicroseconds: Int(nanoseconds / 1_000))
            }
        }
        guard let image = made.withLock({ $0 }) else {
            throw EngineError(.cancelled, name, "the server stops")
        }
        engine.shared.snapshots.update { $0.pauseMicroseconds = image.pauseMicroseconds }
        return image
    }

    /// Waits until the child has written the indexes.
    private func wait(for image: Image, _ context: JobContext) throws {
        var lastCount = -1
        var lastProgress = Clock.monotonicNanoseconds()
        do {
            while true {
                var code: Int32 = 0
                switch ck_child_state(image.pid, &code) {
                case 0: break
                case 1 where code == 0: return
                default:
                    if let failure = image.writer.failure { throw failure }
                    throw EngineError(
                        .generic, name, "the process that writes it ended with \(code)")
                }
                let now = Clock.monotonicNanoseconds()
                let count = image.writer.fileByteCount
                if count != lastCount { (lastCount, lastProgress) = (count, now) }
                if now - lastProgress > Self.patienceNanoseconds {
                    throw EngineError(
                        .timeout, name, "the process that writes it makes no progress",
                        hint: "send it again")
                }
                context.progress(
                    min(image.writer.byteCount, image.indexByteCount),
                    of: image.indexByteCount + image.logByteCount)
                try context.checkpoint()
                usleep(20_000)
            }
        } catch {
            // Gone already if it ended by itself: then there is nothing to end.
            var code: Int32 = 0
            if ck_child_state(image.pid, &code) == 0 { ck_child_kill(image.pid) }
            throw error
        }
    }
}

extension EngineError {
    /// What a failed snapshot means to whoever asked for it.
    init(_ error: SnapshotError, _ name: String) {
        switch error {
        case .full:
            self.init(
                .full, name, "no space is left on the disk", hint: "free some space or DROP one")
        case .io(let code): self.init(.generic, name, "the disk answered system error \(code)")
        case .foreign: self.init(.corrupt, name, "is not a snapshot, or not a whole one")
        case .formatTooNew(let found, let known):
            self.init(
                .invalid, name, "has format \(found); this version knows formats up to \(known)")
        case .damaged(let part):
            self.init(.corrupt, name, "is damaged: \(part.text)", hint: "take another one")
        case .outOfMemory: self.init(.limit, name, "there is no memory to compress it")
        case .baseMissing(let base):
            self.init(
                .corrupt, name, "goes on from \(base), which is not there",
                hint: "bring it back beside this one")
        case .baseOther(let base):
            self.init(.corrupt, name, "goes on from \(base), but that is another file now")
        }
    }
}

extension SnapshotError {
    /// What is wrong with a file, in words.
    var text: String { EngineError(self, "").text }
}

extension SnapshotError.Part {
    /// The part in words.
    package var text: String {
        switch self {
        case .header: "its header"
        case .directory: "its directory"
        case .trailer: "its end"
        case .section(let id):
            "section \(SectionKind(rawValue: id.kind).map { "\($0)" } ?? "\(id.kind)") of "
                + "collection \(id.collection), partition \(id.partition), field \(id.field)"
        }
    }
}
