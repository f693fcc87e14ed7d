package import Primitives

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// The snapshot that an incremental one goes on from: its name, and what tells whether a file of
/// that name is the one that was meant.
package struct SnapshotOrigin: Equatable, Sendable {
    package let name: String
    package let version: Version
    package let lastKey: LogKey
    package let lastChecksum: UInt32
    package let createdMilliseconds: Int64

    /// - Parameter name: one that ``SnapshotShelf/isName(_:)`` allows.
    package init(name: String, header: SnapshotHeader) {
        self.name = name
        version = header.version
        lastKey = header.lastKey
        lastChecksum = header.lastChecksum
        createdMilliseconds = header.createdMilliseconds
    }

    /// Whether a file is the one that was meant.
    package func isOf(_ header: SnapshotHeader) -> Bool {
        self == SnapshotOrigin(name: name, header: header)
    }

    package func write(to sink: any SectionSink) {
        sink.put(array: Array(name.utf8))
        sink.put(version.rawValue)
        sink.put(lastKey.rawValue)
        sink.put(lastChecksum)
        sink.put(createdMilliseconds)
    }

    /// - Throws: as the source; `invalid` for what cannot be a snapshot's name.
    package init(_ source: any SectionSource) throws(SectionError) {
        name = String(decoding: try source.array(UInt8.self), as: UTF8.self)
        version = Version(try source.next())
        lastKey = LogKey(rawValue: try source.next())
        lastChecksum = try source.next()
        createdMilliseconds = try source.next()
        try source.require(SnapshotShelf.isName(name), "a snapshot has a name")
        try source.finish()
    }
}

extension SnapshotFile {
    /// What the file goes on from; nil for one that goes on from none.
    ///
    /// - Throws: `damaged`, `io`.
    package func origin() throws(SnapshotError) -> SnapshotOrigin? {
        guard header.hasBase else { return nil }
        let id = SectionID(.origin)
        guard let section = section(id) else { throw .damaged(.directory) }
        do throws(SectionError) {
            let origin = try SnapshotOrigin(source(section))
            try requireOrder(origin)
            return origin
        } catch {
            if case .io(let code) = error { throw .io(code: code) }
            throw .damaged(.section(id))
        }
    }

    private func requireOrder(_ origin: SnapshotOrigin) throws(SectionError) {
        guard origin.version <= header.version else {
            throw .invalid("what a snapshot goes on from is older")
        }
    }
}

/// A snapshot with all that it goes on from, in the same folder.
package struct SnapshotChain: Sendable {
    /// The oldest, which goes on from none, first.
    package let files: [SnapshotFile]
    /// Their paths.
    package let paths: [String]

    /// Files of a chain at most: what is longer goes round in a circle.
    private static let countMax = 64

    /// Opens a snapshot and all that it goes on from.
    ///
    /// - Throws: as ``SnapshotFile``; `baseMissing`, `baseOther`.
    package init(path: String) throws(SnapshotError) {
        var files = [try SnapshotFile(path: path)]
        var paths = [path]
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        while let origin = try files[0].origin() {
            guard files.count < Self.countMax else { throw .damaged(.section(SectionID(.origin))) }
            let place = folder + SnapshotShelf.fileName(origin.name)
            let base: SnapshotFile
            do throws(SnapshotError) {
                base = try SnapshotFile(path: place)
            } catch {
                if case .io(ENOENT) = error { throw .baseMissing(origin.name) }
                throw error
            }
            guard base.header.identity == files[0].header.identity, origin.isOf(base.header)
            else { throw .baseOther(origin.name) }
            files.insert(base, at: 0)
            paths.insert(place, at: 0)
        }
        self.files = files
        self.paths = paths
    }

    /// Bytes of all files.
    package var fileByteCount: Int { files.reduce(0) { $0 + $1.fileByteCount } }

    /// Reads every section of every file and compares all checksums; `progress` gets the bytes
    /// that are checked.
    ///
    /// - Throws: as ``SnapshotFile/verify(_:)``.
    package func verify(_ progress: (Int) throws -> Void = { _ in }) throws {
        var done = 0
        for file in files {
            try file.verify { try progress(done + $0) }
            done += file.fileByteCount
        }
    }
}
