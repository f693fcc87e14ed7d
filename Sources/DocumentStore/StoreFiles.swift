import Glibc

/// The files of a data directory, and the system calls on them.
enum StoreFiles {
    static let data = "data.mdb"
    static let lock = "LOCK"
    /// Where a new data file is made before it takes the name `data`.
    static let temporary = "data.mdb.new"

    static func path(_ directory: String, _ name: String) -> String { directory + "/" + name }

    /// The code of the call that just failed.
    static var lastError: StoreError { error(errno) }

    static func error(_ code: Int32) -> StoreError {
        code == ENOSPC || code == EDQUOT ? .full : .io(code: code)
    }

    /// Makes `directory` with mode 0700 and syncs its parent; one that exists is left as it is.
    static func createDirectory(_ directory: String) throws(StoreError) {
        guard !directory.isEmpty, !directory.utf8.contains(0) else { throw .invalidPath }
        if mkdir(directory, 0o700) == 0 {
            try syncDirectory(parent(of: directory))
            return
        }
        guard errno == EEXIST else {
            throw errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG
                ? .invalidPath : lastError
        }
        guard isDirectory(directory) else { throw .invalidPath }
    }

    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func parent(of path: String) -> String {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    /// Makes the names in `directory` durable.
    static func syncDirectory(_ directory: String) throws(StoreError) {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw lastError }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw lastError }
    }

    static func syncFile(_ path: String) throws(StoreError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw lastError }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw lastError }
    }

    /// Removes a file; one that is not there is no error.
    static func remove(_ path: String) throws(StoreError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw lastError }
    }

    /// Gives `from` the name `to` and makes that durable.
    static func replace(_ from: String, _ to: String, in directory: String) throws(StoreError) {
        guard rename(from, to) == 0 else { throw lastError }
        try syncDirectory(directory)
    }

    /// Bytes of the file at `descriptor`.
    static func byteCount(_ descriptor: Int32) throws(StoreError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw lastError }
        return UInt64(status.st_size)
    }

    /// Takes the directory's lock, which ends with the descriptor or the process: exclusive for a
    /// writer, shared for those who only read.
    /// - Throws: `locked` where somebody else holds it.
    static func lock(_ directory: String, exclusive: Bool) throws(StoreError) -> Int32 {
        let descriptor = open(path(directory, lock), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw lastError }
        guard flock(descriptor, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            throw code == EWOULDBLOCK ? .locked : error(code)
        }
        return descriptor
    }
}
