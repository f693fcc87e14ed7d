import DocumentStore
import Documents
package import Primitives
import Schema
import Snapshot

/// The log as a snapshot holds it, or a chain of them: see ``SnapshotEntries``, which wrote it.
struct SnapshotLog {
    /// The file of the newest entries.
    let file: SnapshotFile
    /// The first of the chain: the only one with indexes.
    let first: SnapshotFile
    private let parts: [Part]

    private struct Part {
        let file: SnapshotFile
        let dictionary: SnapshotDictionary?

        func section(_ kind: SectionKind) throws(SectionError) -> ReadAhead? {
            guard let section = file.section(SectionID(kind)) else { return nil }
            return try ReadAhead(file, section, dictionary: dictionary)
        }
    }

    /// - Parameter moment: what lies behind it is left out, as far as whole files go.
    /// - Throws: `INVALID` where the snapshot holds no log, `CORRUPT`.
    init(
        _ chain: SnapshotChain, name: String, moment: SnapshotMoment
    ) throws(EngineError) {
        first = chain.files[0]
        guard first.header.hasEntries else {
            throw EngineError(
                .invalid, name, "holds the indexes alone, for a restart of its own directory",
                hint: "SNAPSHOT CREATE takes whole ones")
        }
        var parts: [Part] = []
        for file in chain.files {
            parts.append(Part(file: file, dictionary: try Self.dictionary(of: file, name)))
            if moment.isWithin(file.header) { break }
        }
        self.parts = parts
        file = chain.files[parts.count - 1]
    }

    private static func dictionary(
        of file: SnapshotFile, _ name: String
    ) throws(EngineError) -> SnapshotDictionary? {
        guard let section = file.section(SectionID(.dictionary)) else { return nil }
        do throws(SectionError) {
            return try SnapshotDictionary(file.source(section))
        } catch {
            throw EngineError(SnapshotError.damaged(.section(section.id)), name)
        }
    }

    /// Whether nothing but one file is read.
    var isOneFile: Bool { parts.count == 1 && !file.header.hasBase }

    /// Bytes that a walk over entries and vectors reads.
    var byteCount: Int { entryByteCount + vectorByteCount }

    /// Bytes of the entries, and of the vectors.
    var entryByteCount: Int { byteCount(.entries) }
    var vectorByteCount: Int { byteCount(.originals) }

    private func byteCount(_ kind: SectionKind) -> Int {
        parts.reduce(0) { $0 + Int($1.file.section(SectionID(kind))?.byteCount ?? 0) }
    }

    /// Calls `body` with every entry, in the order of keys, until it returns false.
    ///
    /// - Throws: `SectionError`, `StoreError`: the bytes are damaged; what `body` throws.
    func forEachEntry(_ body: (LogEntryView) throws -> Bool) throws {
        var bytes: [UInt8] = []
        var last = LogKey.none
        for part in parts {
            guard let source = try part.section(.entries) else { throw SectionError.length }
            while source.remaining > 0 {
                let key = LogKey(rawValue: try source.next())
                let count = Int(try source.next(UInt32.self))
                try source.require(
                    key > last && Self.isKey(key) && count <= source.remaining,
                    "entries are in order")
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
    }

    /// Calls `body` with every stored vector, in the order of keys, until it returns false.
    func forEachVector(
        _ body: (LogKey, UInt16, UnsafeRawBufferPointer) throws -> Bool
    ) throws {
        var bytes: [UInt8] = []
        var last: (key: LogKey, field: UInt16) = (.none, 0)
        for part in parts {
            guard let source = try part.section(.originals) else { continue }
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
    }

    /// Whether a key has a version, and one that leaves room above it.
    private static func isKey(_ key: LogKey) -> Bool {
        key.version > .zero && key.version.rawValue < 1 << 47
    }

    private static func fill(
        _ bytes: inout [UInt8], _ count: Int, _ source: some SectionSource
    ) throws(SectionError) {
        if bytes.count < count { bytes = [UInt8](repeating: 0, count: count + count / 2) }
        try bytes.withUnsafeMutableBufferPointer { (all) throws(SectionError) in
            try source.read(
                into: UnsafeMutableRawBufferPointer(
                    UnsafeMutableBufferPointer(rebasing: all[..<count])))
        }
    }

    /// The rows of the meta table, as of the newest entries. The horizon is that of the first file:
    /// from there on the chain has lost nothing.
    func metaRows() throws(SectionError) -> [(key: [UInt8], value: [UInt8])] {
        let horizon = Array(MetaKey.trimHorizon.utf8)
        let rows = try Self.metaRows(of: file)
        if parts.count == 1 { return rows }
        return try rows.filter { $0.key != horizon }
            + Self.metaRows(of: first).filter { $0.key == horizon }
    }

    private static func metaRows(
        of file: SnapshotFile
    ) throws(SectionError) -> [(key: [UInt8], value: [UInt8])] {
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
                try fill(&bytes, count, source)
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

    /// Whether a snapshot holds all of the log up to the moment.
    func isWithin(_ header: SnapshotHeader) -> Bool {
        switch self {
        case .end: false
        case .version(let version): version <= header.version
        case .time(let milliseconds): milliseconds <= header.createdMilliseconds
        }
    }

    /// Why a moment before the first entry is refused: it would bring back nothing at all.
    func beforeAll(_ first: LogEntryView) -> EngineError {
        let time = DateTime.format(first.timestampMilliseconds)
        return EngineError(
            .invalid, "AT",
            "nothing had been written by then: the first entry is version "
                + "\(first.key.version.rawValue) of \(time)",
            hint: "DROP empties collections")
    }

    /// Whether an entry is of the moment or before it.
    func includes(_ entry: LogEntryView) -> Bool {
        switch self {
        case .end: true
        case .version(let version): entry.key.version <= version
        case .time(let milliseconds): entry.timestampMilliseconds <= milliseconds
        }
    }
}
