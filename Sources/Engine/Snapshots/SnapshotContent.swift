import DocumentStore
import Partition
import Primitives
import Schema
import Snapshot

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// What a snapshot holds of the memory, as it stands between two groups of writes.
///
/// Writing it down takes no lock and calls nobody: it runs in a child process that has a frozen
/// copy of everything, or when all threads have ended.
// SAFETY of `@unchecked Sendable`: made by the committer between two groups; what it refers to is
// read by a process of its own, or by the only thread that is left.
final class SnapshotContent: @unchecked Sendable {
    let header: SnapshotHeader
    private let views: [CollectionView]
    private let metaRows: [UInt8]
    private let trimHorizon: UInt64
    private let trimmer: LogTrimmer
    private let expiries: [ExpiryQueue.Item]

    /// Takes everything up between two groups. Runs on the committer's thread.
    ///
    /// - Throws: `BUSY` while a collection's schema is being changed; what the store says.
    init(_ committer: Committer, hasEntries: Bool, hasBase: Bool = false) throws {
        let shared = committer.shared
        let catalog = shared.catalog
        if let changing = catalog.collections.values.first(where: { $0.former != nil }) {
            throw EngineError(
                .busy, changing.name, "an ALTER of this collection is half done",
                hint: "resume or cancel its job")
        }
        try committer.requireEmptyTail()
        views = catalog.collections.values.sorted { $0.id < $1.id }
        trimHorizon = committer.trimHorizon.rawValue
        trimmer = committer.trimmer
        expiries = committer.expiries.items
        let reader = committer.reader
        try reader.begin()
        defer { reader.end() }
        metaRows = try Self.metaRows(reader)
        let last = try reader.lastKey()
        header = SnapshotHeader(
            version: committer.lastVersion, lastKey: last,
            lastChecksum: try reader.get(last)?.checksum ?? 0,
            createdMilliseconds: Clock.wallMilliseconds(), identity: shared.hashSeed,
            partitionCount: UInt32(shared.partitionCount), hasEntries: hasEntries,
            hasBase: hasBase)
    }

    private static func metaRows(_ reader: LogReader) throws(StoreError) -> [UInt8] {
        let sink = ByteSink()
        try reader.forEachMeta { key, value in
            sink.put(UInt32(key.count))
            sink.put(key)
            sink.put(UInt32(value.count))
            sink.put(value)
            return true
        }
        return sink.bytes
    }

    /// Sections of the indexes at most.
    var sectionCountMax: Int {
        views.reduce(2) { $0 + $1.partitions.count * (1 + $1.schema.fields.count) }
    }

    /// Bytes of the indexes.
    var byteCount: Int {
        views.reduce(0) { sum, view in view.partitions.reduce(sum) { $0 + $1.byteCount } }
    }

    /// Bytes of the log's entries and vectors.
    var logByteCount: Int { trimmer.liveByteCount + trimmer.supersededByteCount }

    /// Writes the rows of the meta table.
    func writeMeta(to writer: SnapshotWriter) {
        writer.begin(SectionID(.meta))
        metaRows.withUnsafeBytes { writer.put($0) }
        writer.end()
    }

    /// Writes every section but the log's.
    func writeIndexes(to writer: SnapshotWriter) {
        writeMeta(to: writer)
        writer.begin(SectionID(.books))
        writer.put(trimHorizon)
        trimmer.write(to: writer)
        writer.put(UInt64(expiries.count))
        for item in expiries {
            writer.put(item.milliseconds)
            writer.put(item.collection)
            writer.put(item.hash)
            writer.put(item.number)
            writer.put(item.key.rawValue)
        }
        writer.end()
        for view in views {
            for (index, partition) in view.partitions.enumerated() {
                write(partition, index, of: view, to: writer)
            }
        }
    }

    private func write(
        _ partition: CollectionPartition, _ index: Int, of view: CollectionView,
        to writer: SnapshotWriter
    ) {
        writer.begin(SectionID(.base, collection: view.id, partition: index))
        partition.writeBase(to: writer)
        writer.end()
        for field in view.schema.fields {
            func section(_ kind: SectionKind, _ body: () -> Void) {
                writer.begin(
                    SectionID(kind, collection: view.id, partition: index, field: field.number),
                    shape: field.shape)
                body()
                writer.end()
            }
            if partition.readyColumn(field.number) != nil {
                section(.column) { partition.writeColumn(field.number, to: writer) }
            }
            if let vectors = partition.vectorField(field.number) {
                section(.packedVectors) { vectors.write(to: writer) }
            }
            if let places = partition.placeField(field.number) {
                section(.places) { places.write(to: writer) }
            }
            if let hours = partition.hoursField(field.number) {
                section(.hours) { hours.write(to: writer) }
            }
        }
    }

    /// What a rehearsal writes: a partition of each collection without documents, and one record
    /// of each of the committer's books.
    private init(rehearsing catalog: Catalog) {
        views = catalog.collections.values.map { view in
            view.changed(partitions: [CollectionPartition(schema: view.schema)])
        }
        trimHorizon = 0
        var books = LogTrimmer()
        books.addTombstone(LogKey(rawValue: 1), atMilliseconds: 0, byteCount: 0)
        trimmer = books
        expiries = [
            ExpiryQueue.Item(
                milliseconds: 0, collection: 0, hash: 0, number: 0, key: LogKey(rawValue: 1))
        ]
        metaRows = []
        header = SnapshotHeader(
            version: .zero, lastKey: .none, lastChecksum: 0, createdMilliseconds: 0, identity: 0,
            partitionCount: 1, hasEntries: false)
    }

    /// Does once, and to nowhere, all that the child will do, so that whatever the language, the
    /// compressor and the linker set up at a first use is set up: a child must not wait for a lock
    /// that another thread held when it was forked.
    ///
    /// In a build for Thread Sanitizer it may wait all the same, until the job gives up: there the
    /// language's runtime takes such a lock at every use, so that the sanitizer sees it.
    static func rehearse(_ catalog: Catalog, level: Int) {
        let descriptor = open("/dev/null", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let content = SnapshotContent(rehearsing: catalog)
        let writer = try? SnapshotWriter(
            descriptor: descriptor, header: content.header, level: level,
            sectionCountMax: content.sectionCountMax)
        guard let writer else { return }
        content.writeIndexes(to: writer)
        VectorField.rehearseWriting()
        writer.sync()
    }
}
