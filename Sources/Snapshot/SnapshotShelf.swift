import CKernels
import Primitives

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// The snapshots of a data directory: files under `snapshots/`, complete under their final names.
///
/// ```
/// NAME.snap        a whole snapshot: written under the other name, synced, renamed
/// NAME.snap.new    one that is being written, or was when the process ended
/// ```
package struct SnapshotShelf: Sendable {
    /// The folder of the files.
    package let directory: String

    private static let suffix = ".snap"
    private static let unfinished = ".snap.new"
    /// Snapshots that the server takes by itself begin so: only they are dropped by themselves.
    package static let automaticPrefix = "auto-"
    /// Bytes of a name at most.
    package static let nameByteCountMax = 64

    /// The shelf of a data directory. Nothing is made yet.
    package init(dataDirectory: String) { directory = dataDirectory + "/snapshots" }

    /// One file that is there.
    package struct Item: Sendable {
        package var name: String
        package var byteCount: Int
        /// What its header says; nil where the file is not a whole snapshot.
        package var header: SnapshotHeader?
        package var problem: SnapshotError?
        /// What it goes on from, if it does.
        package var origin: SnapshotOrigin?
    }

    /// Whether a name may be one of a snapshot's: letters, digits, `-`, `_` and `.`, not first.
    package static func isName(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= nameByteCountMax, name.utf8.first != 46 else {
            return false
        }
        return name.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || byte == 45 || byte == 46 || byte == 95
        }
    }

    /// The file of a name that ``isName(_:)`` allows.
    package func path(_ name: String) -> String { "\(directory)/\(Self.fileName(name))" }

    static func fileName(_ name: String) -> String { name + suffix }

    private func temporaryPath(_ name: String) -> String {
        "\(directory)/\(name)\(Self.unfinished)"
    }

    // MARK: - Looking

    /// The snapshots, newest version first. Opens each for a moment.
    package func items() -> [Item] {
        var items = names(ending: Self.suffix).map { name in
            var item = Item(name: name, byteCount: 0, header: nil, problem: nil)
            do throws(SnapshotError) {
                let file = try SnapshotFile(path: path(name))
                (item.header, item.byteCount) = (file.header, file.fileByteCount)
                item.origin = try file.origin()
            } catch {
                item.problem = error
            }
            return item
        }
        items.sort { a, b in
            let one = (a.header?.version.rawValue ?? 0, a.header?.createdMilliseconds ?? 0)
            let other = (b.header?.version.rawValue ?? 0, b.header?.createdMilliseconds ?? 0)
            return one == other ? a.name < b.name : one > other
        }
        for index in items.indices where items[index].origin != nil {
            do throws(SnapshotError) {
                _ = try SnapshotChain(path: path(items[index].name))
            } catch {
                items[index].problem = error
            }
        }
        return items
    }

    /// What a file looks like from outside: it differs once somebody has changed it.
    package struct Stamp: Sendable, Equatable {
        var name: String
        var inode: UInt64 = 0
        var byteCount: Int64 = 0
        var seconds: Int64 = 0
        var nanoseconds: Int64 = 0
    }

    /// How the files look now, in the order of their names. None is opened.
    package func stamps() -> [Stamp] {
        names(ending: Self.suffix).map { name in
            var stamp = Stamp(name: name)
            var status = stat()
            guard stat(path(name), &status) == 0 else { return stamp }
            stamp.inode = UInt64(status.st_ino)
            stamp.byteCount = Int64(status.st_size)
            stamp.seconds = Int64(status.st_ctim.tv_sec)
            stamp.nanoseconds = Int64(status.st_ctim.tv_nsec)
            return stamp
        }
    }

    package func exists(_ name: String) -> Bool { access(path(name), F_OK) == 0 }

    private func names(ending suffix: String) -> [String] {
        guard let folder = opendir(directory) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            // SAFETY: the system ends the name with a zero byte.
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasSuffix(suffix) else { continue }
            let stem = String(name.dropLast(suffix.count))
            if Self.isName(stem) { names.append(stem) }
        }
        return names.sorted()
    }

    // MARK: - Changing

    /// Removes what processes that ended have left half written.
    package func sweep() {
        for name in names(ending: Self.unfinished) { unlink(temporaryPath(name)) }
    }

    /// Begins the file of a new snapshot, under its temporary name.
    ///
    /// - Returns: its descriptor, open for writing, which is the caller's to close.
    /// - Throws: `io`, `full`.
    package func create(_ name: String) throws(SnapshotError) -> Int32 {
        precondition(Self.isName(name), "a checked name")
        if mkdir(directory, 0o700) == 0 {
            try sync(directory + "/..")
        } else if errno != EEXIST {
            throw Self.error
        }
        // Whatever lies under the name already: it is not written through, nor waited for.
        unlink(temporaryPath(name))
        let descriptor = open(
            temporaryPath(name), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.error }
        return descriptor
    }

    /// Gives a finished and synced file its final name, durably.
    package func publish(_ name: String) throws(SnapshotError) {
        guard rename(temporaryPath(name), path(name)) == 0 else { throw Self.error }
        try sync(directory)
    }

    /// Gives up a file that was begun.
    package func abandon(_ name: String) { unlink(temporaryPath(name)) }

    /// Removes a snapshot.
    ///
    /// - Returns: false if there is none of that name.
    package func drop(_ name: String) throws(SnapshotError) -> Bool {
        guard unlink(path(name)) == 0 else {
            if errno == ENOENT { return false }
            throw Self.error
        }
        try sync(directory)
        return true
    }

    /// Bytes that may still be written; nil where the system does not say.
    package var freeByteCount: Int? {
        let found = ck_free_space(directory)
        let count = found >= 0 ? found : ck_free_space(directory + "/..")
        return count >= 0 ? Int(count) : nil
    }

    private func sync(_ path: String) throws(SnapshotError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.error }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Self.error }
    }

    private static var error: SnapshotError {
        errno == ENOSPC || errno == EDQUOT ? .full : .io(code: errno)
    }
}
