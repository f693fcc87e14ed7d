import DocumentStore
import Primitives
import Snapshot

/// Appends the log to a snapshot: entries as they are stored, then the vectors that they brought.
///
/// ```
/// entries    | key u64 | length u32 | entry | …          in the order of keys
/// originals  | key u64 | field u16 | length u32 | components | …
/// ```
/// Short transactions, each of some hundred entries: a reader that stays makes the log's file grow.
struct SnapshotEntries {
    let context: JobContext
    let writer: SnapshotWriter
    /// Bytes of the whole snapshot, for the progress.
    let total: Int
    /// Entries up to this one are left out.
    var after = LogKey.none
    /// Bytes that the file may have, with what is in it already.
    var byteCountMax = Int.max

    /// Sections that are added: a dictionary, entries, vectors.
    static let sectionCount = 3
    /// Entries that are read in one transaction.
    private static let slice = 256
    private static let sampleByteCount = 4 << 20
    private static let dictionaryByteCount = 32 << 10

    /// - Throws: what the store says, `CANCELLED`; `SnapshotIncrement.Refusal` where it gets too
    ///   large.
    func write(through last: LogKey) throws {
        let dictionary = try trainedDictionary(through: last)
        if !dictionary.isEmpty {
            writer.begin(SectionID(.dictionary))
            dictionary.withUnsafeBytes { writer.put($0) }
            writer.end()
            try writer.use(dictionary: dictionary)
        }
        writer.begin(SectionID(.entries))
        try forEach(through: last) { entry in
            writer.put(entry.key.rawValue)
            writer.put(UInt32(entry.bytes.count))
            writer.put(entry.bytes)
        }
        writer.end()
        try writer.use(dictionary: nil)
        writer.begin(SectionID(.originals))
        try forEachVector(through: last) { key, field, bytes in
            writer.put(key.rawValue)
            writer.put(field)
            writer.put(UInt32(bytes.count))
            writer.put(bytes)
        }
        writer.end()
        if let failure = writer.failure { throw failure }
    }

    private func forEach(
        through last: LogKey,
        _ body: (LogEntryView) -> Void
    ) throws {
        let reader = context.read.reader
        var next: LogKey? = LogKey(rawValue: after.rawValue + 1)
        while let from = next {
            next = try reader.withTransaction { () throws(StoreError) in
                try reader.scan(from: from, through: last, countMax: Self.slice) { entry in
                    body(entry)
                    return true
                }
            }
            try rest()
        }
    }

    private func forEachVector(
        through last: LogKey, _ body: (LogKey, UInt16, UnsafeRawBufferPointer) -> Void
    ) throws {
        let reader = context.read.reader
        var next: (key: LogKey, field: UInt16)? = (LogKey(rawValue: after.rawValue + 1), 0)
        while let from = next {
            next = try reader.withTransaction { () throws(StoreError) in
                try reader.scanVectors(
                    from: from, through: last, countMax: Self.slice, body)
            }
            try rest()
        }
    }

    /// Between two transactions: progress, errors, whether to go on.
    private func rest() throws {
        context.progress(min(writer.byteCount, total), of: total)
        if let failure = writer.failure { throw failure }
        guard writer.fileByteCount <= byteCountMax else {
            throw SnapshotIncrement.Refusal(reason: "there is too much since the last one")
        }
        try context.checkpoint()
    }

    /// A dictionary made of entries from all over the log; empty where there are few.
    private func trainedDictionary(through last: LogKey) throws -> [UInt8] {
        let count = context.engine.storeStatistics()?.logEntryCount ?? 0
        let reader = context.read.reader
        let stride = max(1, count / 8_192)
        var samples = DictionarySamples(byteCountMax: Self.sampleByteCount)
        var next: LogKey? = LogKey(rawValue: after.rawValue + 1)
        var seen = 0
        while let from = next, !samples.isFull {
            next = try reader.withTransaction { () throws(StoreError) in
                try reader.scan(from: from, through: last, countMax: Self.slice) { entry in
                    if seen % stride == 0 { samples.add(entry.bytes) }
                    seen += 1
                    return !samples.isFull
                }
            }
            try context.checkpoint()
        }
        return samples.train(byteCount: Self.dictionaryByteCount)
    }
}
