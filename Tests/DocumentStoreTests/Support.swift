import DocumentStore
import Glibc
import Primitives

/// A directory of its own that goes when the test ends.
final class TemporaryDirectory {
    let path: String

    init() {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var name = Array((base + "/aisle-store-XXXXXX").utf8CString)
        let made = name.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
        guard let made else { preconditionFailure("mkdtemp failed with \(errno)") }
        path = made
    }

    deinit {
        guard let listing = opendir(path) else { return }
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { unlink(path + "/" + name) }
        }
        closedir(listing)
        rmdir(path)
    }

    func file(_ name: String) -> String { path + "/" + name }
}

/// A small generator whose whole state is its seed, so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

/// A copy of an entry, to compare with.
struct Entry: Equatable {
    var key: LogKey
    var header: LogEntryHeader
    var id: [UInt8]
    var document: [UInt8]
    var vectors: [VectorReference] = []

    init(
        _ version: UInt64,
        _ index: Int = 0,
        id: String = "id",
        document: [UInt8] = [],
        operation: LogOperation = .put,
        previous: LogKey = .none,
        vectors: [VectorReference] = []
    ) {
        key = LogKey(version: Version(version), index: index)
        header = LogEntryHeader(
            operation: operation,
            flags: 7,
            collection: 3,
            previous: previous,
            timestampMilliseconds: 1_700_000_000_000 + Int64(version),
            expiryMilliseconds: -1
        )
        self.id = Array(id.utf8)
        self.document = document
        self.vectors = vectors
    }

    init(_ view: LogEntryView) {
        key = view.key
        header = view.header
        id = Array(view.id)
        document = Array(view.document)
        vectors = (0..<view.vectorCount).map { view.vector(at: $0) }
    }
}

extension LogWriter {
    func append(_ entry: Entry) throws {
        try entry.id.withUnsafeBytes { id in
            try entry.document.withUnsafeBytes { document in
                try append(
                    entry.key,
                    entry.header,
                    id: id,
                    document: document,
                    vectors: entry.vectors
                )
            }
        }
    }

    /// One commit of these entries.
    func commit(_ entries: [Entry]) throws {
        try begin()
        for entry in entries { try append(entry) }
        try commit()
    }
}

extension LogReader {
    func entry(_ key: LogKey) throws -> Entry? {
        try withTransaction { () throws(StoreError) in try get(key).map(Entry.init) }
    }

    func all() throws -> [Entry] {
        var entries: [Entry] = []
        try forEach(batchCount: 7) { view in
            entries.append(Entry(view))
            return true
        }
        return entries
    }
}
