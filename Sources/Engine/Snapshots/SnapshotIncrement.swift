import DocumentStore
import Primitives
import Snapshot

/// A snapshot that goes on from another one: the log since then, and the meta table. It has no
/// indexes: a start takes those of the first of the chain, and the rest from its own log.
///
/// A chain is bounded, and what is behind its first snapshot is at most half of that one's bytes:
/// so all of it costs less than two whole ones, and a start has little to catch up with.
struct SnapshotIncrement {
    let context: JobContext
    let name: String
    let base: Base

    /// What it goes on from.
    struct Base {
        var item: SnapshotShelf.Item
        var header: SnapshotHeader
        /// Bytes that it may have.
        var byteCountMax: Int
    }

    /// Why a whole snapshot has to be taken instead.
    struct Refusal: Error {
        var reason: String
    }

    /// Snapshots that go on from one another, the first not counted.
    static let chainCountMax = 8

    /// Writes it under the temporary name.
    ///
    /// - Returns: bytes of the file.
    /// - Throws: `Refusal`; what the store says, `SnapshotError`, `CANCELLED`.
    func write(_ descriptor: Int32) throws -> Int {
        let made = Guarded<SnapshotContent?>(nil)
        try context.onCommitter { committer in
            let content = try SnapshotContent(committer, hasEntries: false, hasBase: true)
            made.withLock { $0 = content }
        }
        guard let content = made.withLock({ $0 }) else {
            throw EngineError(.cancelled, name, "the server stops")
        }
        let writer = try SnapshotWriter(
            descriptor: descriptor, header: content.header,
            level: context.engine.shared.settings.snapshots.level,
            sectionCountMax: 2 + SnapshotEntries.sectionCount)
        content.writeMeta(to: writer)
        writer.begin(SectionID(.origin))
        SnapshotOrigin(name: base.item.name, header: base.header).write(to: writer)
        writer.end()
        let end = Self.end(of: content.header.version)
        try SnapshotEntries(
            context: context, writer: writer, total: base.byteCountMax,
            after: Self.end(of: base.header.version), byteCountMax: base.byteCountMax
        ).write(through: end)
        // What was removed since then must still say so.
        try Self.requireLog(since: base.header.version, context.engine)
        try writer.finish()
        return writer.fileByteCount
    }

    private static func end(of version: Version) -> LogKey {
        LogKey(version: version, index: (1 << 16) - 1)
    }

    private static func requireLog(since version: Version, _ engine: Engine) throws(Refusal) {
        if engine.oldestReadableVersion > version {
            throw Refusal(reason: "the log since the last one was trimmed")
        }
    }
}

extension SnapshotIncrement.Base {
    /// The newest snapshot that one may go on from.
    ///
    /// - Parameter isAutomatic: only from one that the server took by itself: others are dropped
    ///   when people want it.
    /// - Throws: `Refusal` where there is none; what the store says.
    init(_ context: JobContext, isAutomatic: Bool) throws {
        typealias Refusal = SnapshotIncrement.Refusal
        let engine = context.engine
        let items = engine.shelf.items()
        let found = items.first { item in
            guard let header = item.header, item.problem == nil,
                header.identity == engine.shared.hashSeed,
                header.version <= engine.publishedVersion
            else { return false }
            return (header.hasEntries || header.hasBase)
                && (!isAutomatic || item.name.hasPrefix(SnapshotShelf.automaticPrefix))
        }
        guard let item = found, let header = item.header else {
            throw Refusal(reason: "there is none to go on from")
        }
        let reader = context.read.reader
        let refusal = try reader.withTransaction { () throws(StoreError) in
            try header.refusal(
                identity: engine.shared.hashSeed, trimHorizon: engine.oldestReadableVersion,
                last: try reader.lastKey(), reader)
        }
        if let refusal { throw Refusal(reason: "the newest does not fit: \(refusal)") }
        var (first, count, byteCount) = (item, 0, 0)
        while let origin = first.origin, let before = items.first(where: { $0.name == origin.name })
        {
            count += 1
            byteCount += first.byteCount
            first = before
        }
        guard count < SnapshotIncrement.chainCountMax else {
            throw Refusal(reason: "\(count) go on from \(first.name) already")
        }
        self.init(
            item: item, header: header, byteCountMax: max(0, first.byteCount / 2 - byteCount))
    }
}
