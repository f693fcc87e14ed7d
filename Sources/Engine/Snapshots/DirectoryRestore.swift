import DocumentStore
package import Primitives
import Snapshot

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Within the type `write` is its own.
private func systemWrite(_ target: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(target, bytes, count)
}

/// Makes a data directory of a snapshot's file alone: on this machine or another.
///
/// ```
/// DIR.restoring   log, meta table, a copy of the snapshot, aisle.conf ── synced, renamed ──> DIR
/// ```
/// A start then takes the indexes from the copy: no graph is linked again, whatever the number of
/// shards. A restore to an earlier moment has no copy: its indexes are built from the log.
package struct DirectoryRestore {
    let path: String
    let directory: String
    let moment: SnapshotMoment
    let configurationText: @Sendable ([UInt8]) -> String

    /// - Parameter configurationText: makes the text of the directory's configuration file of the
    ///   settings that the snapshot holds; empty for none.
    package init(
        path: String, directory: String, moment: SnapshotMoment = .end,
        configurationText: @escaping @Sendable ([UInt8]) -> String = { _ in "" }
    ) {
        self.path = path
        self.configurationText = configurationText
        var directory = directory
        while directory.count > 1, directory.last == "/" { directory.removeLast() }
        self.directory = directory
        self.moment = moment
    }

    /// What was restored.
    package struct Report: Sendable {
        package var entryCount = 0
        package var vectorCount = 0
        package var version = Version.zero
    }

    /// Bytes of one commit.
    private static let commitByteCount = 64 << 20

    private var temporary: String { directory + ".restoring" }

    /// - Parameter progress: gets bytes that were read, and of how many.
    /// - Throws: `SnapshotError`, `StoreError`, `EngineError`: `DUPLICATE` where the directory has
    ///   something in it, `GAP` for a moment that the snapshot does not reach back to.
    package func run(_ progress: (Int, Int) -> Void) throws -> Report {
        let chain = try SnapshotChain(path: path)
        let log = try SnapshotLog(chain, name: path, moment: moment)
        try requireEmpty()
        Self.removeTree(temporary)
        do {
            let store = try LogStore(StoreOptions(directory: temporary))
            try requireRoom(log)
            // Both are bound by what the disk and its cache take: together they are done sooner.
            let copying = moment == .end ? SideWork.begin { try copy(chain.paths[0], $0) } : nil
            defer { copying?.cancel() }
            let report = try fill(store, log, progress)
            try copying?.wait()
            guard rename(temporary, directory) == 0 else { throw SnapshotError.io(code: errno) }
            try syncParent()
            return report
        } catch {
            Self.removeTree(temporary)
            if let error = error as? SectionError { throw Self.translate(error) }
            throw error
        }
    }

    private static func translate(_ error: SectionError) -> SnapshotError {
        if case .io(let code) = error { return .io(code: code) }
        return .damaged(.section(SectionID(.entries)))
    }

    private func requireEmpty() throws(EngineError) {
        guard let folder = opendir(directory) else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            throw EngineError(
                .duplicate, "data", "the directory is not empty", hint: "name a new one")
        }
    }

    private func fill(
        _ store: LogStore, _ log: SnapshotLog, _ progress: (Int, Int) -> Void
    ) throws -> Report {
        let writer = try store.makeWriter()
        let total = log.byteCount
        var report = Report()
        var (done, uncommitted) = (0, 0)
        func count(_ bytes: Int) throws {
            done += bytes
            uncommitted += bytes
            guard uncommitted > Self.commitByteCount else { return }
            uncommitted = 0
            try writer.commit()
            progress(done, total)
            try writer.begin()
        }
        let meta = try SnapshotMeta(log, name: path)
        try meta.require(moment, in: log.file.header)
        let later = meta.collections.filter { !meta.has($0.value, at: moment) }
        try writer.begin()
        for (key, value) in meta.rows where !Self.names(key, value, oneOf: later) {
            if key == Array((MetaKey.settingPrefix + Engine.optionsName).utf8) {
                try writeConfiguration(configurationText(value))
            }
            try key.withUnsafeBytes { key in
                try value.withUnsafeBytes { try writer.putMeta(key, $0) }
            }
        }
        var last = LogKey.none
        var seen: Set<UInt32> = []
        try log.forEachEntry { entry in
            guard moment.includes(entry) else {
                if report.entryCount == 0 { throw moment.beforeAll(entry) }
                return false
            }
            last = entry.key
            seen.insert(entry.collection)
            report.entryCount += 1
            let vectors = (0..<entry.vectorCount).map { entry.vector(at: $0) }
            try writer.append(
                entry.key, entry.header, id: entry.id, document: entry.document, vectors: vectors)
            try count(entry.bytes.count)
            return true
        }
        report.version = moment == .end ? log.file.header.version : last.version
        try meta.require(moment, last: last, seen: seen, of: Array(meta.collections.values))
        try log.forEachVector { key, field, bytes in
            guard key <= last else { return false }
            report.vectorCount += 1
            try writer.appendVector(key, field: field, bytes)
            try count(bytes.count)
            return true
        }
        try writer.commit()
        progress(total, total)
        return report
    }

    /// Writes the settings to where a start looks for them, if no other file is named.
    private func writeConfiguration(_ text: String) throws(SnapshotError) {
        if text.isEmpty { return }
        let target = open(temporary + "/aisle.conf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard target >= 0 else { throw .io(code: errno) }
        defer { close(target) }
        let bytes = Array(text.utf8)
        try bytes.withUnsafeBufferPointer { (all) throws(SnapshotError) in
            try Self.write(UnsafeRawBufferPointer(all), target)
        }
        guard fsync(target) == 0 else { throw .io(code: errno) }
    }

    private static func write(
        _ bytes: UnsafeRawBufferPointer, _ target: Int32
    ) throws(SnapshotError) {
        var left = bytes
        while left.count > 0 {
            let put = systemWrite(target, left.baseAddress, left.count)
            if put < 0, errno == EINTR { continue }
            guard put > 0 else { throw errno == ENOSPC ? .full : .io(code: errno) }
            left = UnsafeRawBufferPointer(rebasing: left[put...])
        }
    }

    /// Whether a row of the meta table is a collection's that was made after the moment, or an
    /// alias of one.
    private static func names(
        _ key: [UInt8], _ value: [UInt8], oneOf later: [String: CollectionRow]
    ) -> Bool {
        let key = String(decoding: key, as: UTF8.self)
        if key.hasPrefix(MetaKey.collectionPrefix) {
            return later[String(key.dropFirst(MetaKey.collectionPrefix.count))] != nil
        }
        guard key.hasPrefix(MetaKey.aliasPrefix) else { return false }
        return later[String(decoding: value, as: UTF8.self)] != nil
    }

    /// Refuses to begin what would not fit: the log, whose pages round up, and the copy.
    private func requireRoom(_ log: SnapshotLog) throws(EngineError) {
        let needed =
            log.byteCount + log.byteCount / 2 + (moment == .end ? log.file.fileByteCount : 0)
        guard let free = SnapshotShelf(dataDirectory: temporary).freeByteCount, free < needed else {
            return
        }
        throw EngineError(
            .full, directory, "the restore may need \(needed) bytes, \(free) are free",
            hint: "free some space or name another disk")
    }

    /// Copies the snapshot, or the first of its chain, which has the indexes, to where a start
    /// looks for it.
    private func copy(_ path: String, _ work: SideWork) throws {
        let shelf = SnapshotShelf(dataDirectory: temporary)
        let source = open(path, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw SnapshotError.io(code: errno) }
        defer { close(source) }
        let target = try shelf.create("restored")
        defer { close(target) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while !work.isCancelled {
            let got = read(source, &buffer, buffer.count)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw SnapshotError.io(code: errno) }
            if got == 0 { break }
            try buffer.withUnsafeBufferPointer { (all) throws(SnapshotError) in
                try Self.write(
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(all)[..<got]), target)
            }
        }
        if work.isCancelled { return }
        guard fsync(target) == 0 else { throw SnapshotError.io(code: errno) }
        try shelf.publish("restored")
    }

    private func syncParent() throws {
        let descriptor = open(directory + "/..", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SnapshotError.io(code: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw SnapshotError.io(code: errno) }
    }

    /// Removes what an earlier attempt has left: a folder of files and one folder of files.
    private static func removeTree(_ path: String) {
        guard let folder = opendir(path) else { return }
        var names: [String] = []
        while let entry = readdir(folder) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        closedir(folder)
        for name in names where name != "." && name != ".." {
            if unlink(path + "/" + name) != 0 { removeTree(path + "/" + name) }
        }
        rmdir(path)
    }
}
