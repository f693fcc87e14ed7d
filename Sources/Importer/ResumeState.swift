import Glibc

/// The place from which an interrupted load goes on, kept in a small file beside the input.
///
/// ```
/// aisle-resume 1
/// collection products
/// bytes 61234567
/// line 40000
/// ```
struct ResumeState: Equatable, Sendable {
    var collection: String
    /// Size of the input file: another size means another file.
    var byteCount: Int
    /// All rows that begin up to this line are settled.
    var line: Int

    /// Reads the file; nil when there is none.
    ///
    /// - Throws: ``LoadError/resume(reason:)`` when it is something else.
    static func read(path: String) throws(LoadError) -> ResumeState? {
        guard access(path, F_OK) == 0 else { return nil }
        var words: [Substring] = []
        let text = String(decoding: try MappedFile.contents(path: path), as: UTF8.self)
        for line in text.split(separator: "\n") {
            words += line.split(separator: " ", maxSplits: 1)
        }
        guard words.count == 8, words[0] == "aisle-resume", words[1] == "1",
            let byteCount = Int(words[5]), let line = Int(words[7])
        else { throw .resume(reason: "\(path) is not a state file of aisle load") }
        return ResumeState(collection: String(words[3]), byteCount: byteCount, line: line)
    }

    /// Writes the file as a whole, by a rename.
    func write(path: String) throws(LoadError) {
        let text = """
            aisle-resume 1
            collection \(collection)
            bytes \(byteCount)
            line \(line)

            """
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw .file(path: temporary, reason: String(cString: strerror(errno)))
        }
        let bytes = Array(text.utf8)
        let written = Glibc.write(descriptor, bytes, bytes.count)
        close(descriptor)
        guard written == bytes.count, rename(temporary, path) == 0 else {
            throw .file(path: path, reason: String(cString: strerror(errno)))
        }
    }

    /// The size of a regular file; nil for anything else.
    static func fileByteCount(_ path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }
}
