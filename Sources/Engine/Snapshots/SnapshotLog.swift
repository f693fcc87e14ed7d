import DocumentStore
package import Primitives
import Schema
import Snapshot

/// The log as a snapshot holds it: see ``SnapshotEntries``, which wrote it.
struct SnapshotLog {
    let file: SnapshotFile
    private let dictionary: SnapshotDictionary?

    /// - Throws: `INVALID` where the snapshot holds no log, `CORRUPT`.
    init(_ file: SnapshotFile, name: String) throws(EngineError) {
        self.file = file
        guard file.header.hasEntries else {
            throw EngineError(
                .invalid, name, "holds the indexes alone, for a restart of its own directory",
                hint: "SNAPSHOT CREATE takes whole ones")
        }
        guard let section = file.section(SectionID(.dictionary)) else {
            dictionary = nil
            return
        }
        do throws(SectionError) {
            dictionary = try SnapshotDictionary(file.source(section))
        } catch {
            throw EngineError(SnapshotError.damaged(.section(section.id)), name)
        }
    }

    /// Bytes that a walk over entries and vectors reads.
    var byteCount: Int { entryByteCount + vectorByteCount }

    /// Bytes of the entries, and of the vectors.
    var entryByteCount: Int { Int(file.section(SectionID(.entries))?.byteCount ?? 0) }
    var vectorByteCount: Int { Int(file.section(SectionID(.originals))?.byteCount ?? 0) }

    /// Calls `body` with every entry, in the order of keys, until it returns false.
    ///
    /// - Throws: `SectionError`, `StoreError`: the bytes are damaged; what `body` throws.
    func forEachEntry(_ body: (LogEntryView) throws -> Bool) throws {
        guard let section = file.section(SectionID(.entries)) else { throw SectionError.length }
        let source = try file.source(section, dictionary: dictionary)
        var bytes: [UInt8] = []
        var last = LogKey.none
        while source.remaining > 0 {
            let key = LogKey(rawValue: try source.next())
            let count = Int(try source.next(UInt32.self))
            try source.require(
                key > last && Self.isKey(key) && count <= source.remaining, "entries are in order")
            last = key
            try Self.fill(&bytes, count, source)
            let goesOn = try bytes.withUnsafeBytes { all in
                let view = try LogEntryView(
                    key: key, bytes: UnsafeRawBufferPointer(rebasing: all[..<count]))
                try view.verify()
                return try body(view)
            }
            if !goesOn { return }
        }
    }

    /// Calls `body` with every stored vector, in the order of keys, until it returns false.
    func forEachVector(
        _ body: (LogKey, UInt16, UnsafeRawBufferPointer) throws -> Bool
    ) throws {
        guard let section = file.section(SectionID(.originals)) else { return }
        let source = try file.source(section)
        var bytes: [UInt8] = []
        var last: (key: LogKey, field: UInt16) = (.none, 0)
        while source.remaining > 0 {
            let key = LogKey(rawValue: try source.next())
            let field = try source.next(UInt16.self)
            let count = Int(try source.next(UInt32.self))
            try source.require(
                (key, field) > (last.key, last.field) && Self.isKey(key)
                    && count <= source.remaining,
                "vectors are in order")
            last = (key, field)
            try Self.fill(&bytes, count, source)
            let goesOn = try bytes.withUnsafeBytes { all in
                try body(key, field, UnsafeRawBufferPointer(rebasing: all[..<count]))
            }
            if !goesOn { return }
        }
    }

    /// Whether a key has a version, and one that leaves room above it.
    private static func isKey(_ key: LogKey) -> Bool {
        key.version > .zero && key.version.rawValue < 1 << 47
    }

    private static func fill(
        _ bytes: inout [UInt8], _ count: Int, _ source: SnapshotSource
    ) throws(SectionError) {
        if bytes.count < count { bytes = [UInt8](repeating: 0, count: count + count / 2) }
        try bytes.withUnsafeMutableBufferPointer { (all) throws(SectionError) in
            try source.read(
                into: UnsafeMutableRawBufferPointer(
                    UnsafeMutableBufferPointer(rebasing: all[..<count])))
        }
    }

    /// The rows of the meta table.
    func metaRows() throws(SectionError) -> [(key: [UInt8], value: [UInt8])] {
        guard let section = file.section(SectionID(.meta)) else { throw .length }
        let source = try file.source(section)
        var rows: [(key: [UInt8], value: [UInt8])] = []
        while source.remaining > 0 {
            var parts: [[UInt8]] = []
            for most in [511, 1 << 28] {
                let count = Int(try source.next(UInt32.self))
                try source.require(
                    count <= source.remaining && count <= most, "a row has bounds")
                var bytes: [UInt8] = []
                try Self.fill(&bytes, count, source)
                parts.append(Array(bytes[..<count]))
            }
            try source.require(
                !parts[0].isEmpty && !parts[0].starts(with: "store.".utf8), "a row has a name")
            rows.append((parts[0], parts[1]))
        }
        return rows
    }
}

/// Up to where a snapshot's log is taken.
package enum SnapshotMoment: Sendable, Equatable {
    /// All of it.
    case end
    case version(Version)
    /// The last commit at or before a time, in milliseconds since 1970.
    case time(Int64)

    /// Whether an entry is of the moment or before it.
    func includes(_ entry: LogEntryView) -> Bool {
        switch self {
        case .end: true
        case .version(let version): entry.key.version <= version
        case .time(let milliseconds): entry.timestampMilliseconds <= milliseconds
        }
    }
}
