import Client
import Glibc

/// A mapped file: its bytes are there as long as the value lives.
package final class MappedFile {
    /// All bytes of the file.
    package let bytes: UnsafeRawBufferPointer

    /// Maps the regular file at `path`.
    ///
    /// - Throws: ``LoadError/file(path:reason:)``.
    package convenience init(path: String) throws(LoadError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .file(path: path, reason: String(cString: strerror(errno)))
        }
        defer { close(descriptor) }
        try self.init(descriptor: descriptor, path: path)
    }

    /// Maps the regular file open as `descriptor`, which may be closed afterwards.
    package init(descriptor: CInt, path: String) throws(LoadError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw .file(path: path, reason: String(cString: strerror(errno)))
        }
        let size = Int(status.st_size)
        guard size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0),
            start != MAP_FAILED
        else { throw .file(path: path, reason: String(cString: strerror(errno))) }
        madvise(start, size, MADV_SEQUENTIAL)
        // SAFETY: the mapping is `size` bytes long and unmapped only in deinit. A file that is cut
        // while it is loaded ends the loader with SIGBUS, as with any mapped reader.
        bytes = UnsafeRawBufferPointer(start: start, count: size)
    }

    /// A copy of all bytes of the regular file at `path`.
    ///
    /// - Throws: ``LoadError/file(path:reason:)``.
    package static func contents(path: String) throws(LoadError) -> [UInt8] {
        let file = try MappedFile(path: path)
        // The mapping must outlive the copy.
        return withExtendedLifetime(file) { Array(file.bytes) }
    }

    deinit {
        if let start = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
        }
    }
}

/// One row of the input: a line of JSON Lines or a record of CSV.
package struct Row {
    /// Its bytes without the line's end; good until the next row is read.
    package var bytes: UnsafeRawBufferPointer
    /// The number of its first line, from 1.
    package var line: Int
}

/// Cuts an input into rows: mapped when it is an uncompressed file, streamed otherwise.
///
/// Not `Sendable`.
package final class RowReader {
    /// Whether a quoted field may hold a line's end.
    package let isCSV: Bool
    /// Bytes of input used so far, after decompression.
    package private(set) var consumedByteCount = 0
    /// Bytes of the input when known: of a mapped file.
    package let totalByteCount: Int?
    private let mapped: MappedFile?
    private let source: (any ByteSource)?
    private let queue: ByteQueue
    private var isSourceEnded = false
    private var line = 0

    /// Opens `path`, or standard input for `-`; gzip and zstd are told by their first bytes.
    ///
    /// - Throws: ``LoadError``.
    package init(path: String, isCSV: Bool) throws(LoadError) {
        self.isCSV = isCSV
        let descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .file(path: path, reason: String(cString: strerror(errno)))
        }
        var status = stat()
        fstat(descriptor, &status)
        let isRegular = status.st_mode & S_IFMT == S_IFREG
        let raw = DescriptorSource(descriptor: descriptor, path: path)
        let head = ByteQueue()
        while head.count < 4, try raw.read(into: head) {}
        let joined = PrefixedSource(prefix: head, rest: raw)
        queue = ByteQueue(capacity: 1 << 20)
        switch Self.magic(head.bytes) {
        case .gzip: source = try GzipSource(joined)
        case .zstd: source = try ZstdSource(joined)
        case .none: source = isRegular ? nil : joined
        }
        mapped = source == nil ? try MappedFile(descriptor: descriptor, path: path) : nil
        totalByteCount = mapped?.bytes.count
    }

    private enum Magic { case none, gzip, zstd }

    private static func magic(_ bytes: UnsafeRawBufferPointer) -> Magic {
        if bytes.count >= 2, bytes[0] == 0x1F, bytes[1] == 0x8B { return .gzip }
        if bytes.count >= 4, bytes[0] == 0x28, bytes[1] == 0xB5, bytes[2] == 0x2F, bytes[3] == 0xFD
        {
            return .zstd
        }
        return .none
    }

    /// The next row; nil at the end. Blank lines are skipped.
    package func next() throws(LoadError) -> Row? {
        while let row = try nextLine() {
            if row.bytes.count > 0 { return row }
        }
        return nil
    }

    private func nextLine() throws(LoadError) -> Row? {
        if let mapped {
            let rest = UnsafeRawBufferPointer(rebasing: mapped.bytes[consumedByteCount...])
            guard rest.count > 0 else { return nil }
            return cut(rest, rowEnd(rest, isLast: true) ?? rest.count)
        }
        if pendingTake > 0 {
            queue.take(pendingTake)
            pendingTake = 0
        }
        while true {
            if let end = rowEnd(queue.bytes, isLast: isSourceEnded) {
                pendingTake = min(end + 1, queue.count)
                return cut(queue.bytes, end)
            }
            guard let source, !isSourceEnded else { return nil }
            if try !source.read(into: queue) { isSourceEnded = true }
        }
    }

    private var pendingTake = 0

    private func cut(_ bytes: UnsafeRawBufferPointer, _ end: Int) -> Row {
        var start = 0
        var trimmed = end
        if consumedByteCount == 0, end >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
            start = 3
        }
        if trimmed > start, bytes[trimmed - 1] == 0x0D { trimmed -= 1 }
        consumedByteCount += min(end + 1, bytes.count)
        let row = Row(
            bytes: UnsafeRawBufferPointer(rebasing: bytes[start..<trimmed]),
            line: line + 1
        )
        line += 1 + (isCSV ? newlineCount(row.bytes) : 0)
        return row
    }

    private func newlineCount(_ bytes: UnsafeRawBufferPointer) -> Int {
        var count = 0
        for byte in bytes where byte == 0x0A { count += 1 }
        return count
    }

    private var scanned = 0
    private var isQuoted = false

    /// Where the first row ends: at a newline outside of quotes, or at the end of the last row.
    private func rowEnd(_ bytes: UnsafeRawBufferPointer, isLast: Bool) -> Int? {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return nil }
        guard isCSV else {
            if let found = memchr(base + scanned, 0x0A, bytes.count - scanned) {
                scanned = 0
                return base.distance(to: UnsafeRawPointer(found))
            }
            scanned = isLast ? 0 : bytes.count
            return isLast ? bytes.count : nil
        }
        var at = scanned
        while at < bytes.count {
            let byte = base.load(fromByteOffset: at, as: UInt8.self)
            if byte == 0x22 {
                isQuoted.toggle()
            } else if byte == 0x0A, !isQuoted {
                scanned = 0
                return at
            }
            at &+= 1
        }
        scanned = at
        guard isLast else { return nil }
        scanned = 0
        isQuoted = false
        return bytes.count
    }
}
