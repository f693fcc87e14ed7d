import Client
import Glibc

/// The file of rejected rows: one JSON object for each, `{"line":…,"reason":…,"row":…}`.
///
/// Made at the first rejected row; an older one is removed at the start of a fresh load.
final class Rejects {
    private let path: String
    private let isAppending: Bool
    private var descriptor: CInt = -1
    private let buffer = ByteQueue(capacity: 64 << 10)
    private(set) var count = 0

    init(path: String, isAppending: Bool) {
        self.path = path
        self.isAppending = isAppending
        if !isAppending { unlink(path) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Adds a row. `row` goes in as it is when it is a JSON object, as a string otherwise.
    func add(line: Int, reason: String, row: UnsafeRawBufferPointer, isJSON: Bool)
        throws(LoadError)
    {
        if descriptor < 0 {
            let mode = isAppending ? O_APPEND : O_TRUNC
            descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | mode, 0o644)
            guard descriptor >= 0 else {
                throw .file(path: path, reason: String(cString: strerror(errno)))
            }
        }
        count += 1
        buffer.append("{\"line\":")
        buffer.append(decimal: line)
        buffer.append(",\"reason\":")
        JSONWriter.append(string: reason, to: buffer)
        buffer.append(",\"row\":")
        if isJSON { buffer.append(row) } else { appendText(row) }
        buffer.append("}\n")
        if buffer.count > 32 << 10 { try flush() }
    }

    /// As a JSON string, with what is no UTF-8 replaced, so that the file itself is valid.
    private func appendText(_ row: UnsafeRawBufferPointer) {
        JSONWriter.append(string: String(decoding: row, as: UTF8.self), to: buffer)
    }

    /// Writes what is held.
    func flush() throws(LoadError) {
        while !buffer.isEmpty {
            let written = write(descriptor, buffer.bytes.baseAddress, buffer.count)
            guard written > 0 else {
                if errno == EINTR { continue }
                throw .file(path: path, reason: String(cString: strerror(errno)))
            }
            buffer.take(written)
        }
    }
}
