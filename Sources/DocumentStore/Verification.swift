package import Primitives

/// What ``verifyStore(_:collections:progress:)`` found.
package struct StoreReport: Equatable, Sendable {
    /// One thing that is wrong.
    package enum Problem: Equatable, Sendable {
        /// The entry's bytes are not well formed or do not match their checksum.
        case damaged(StoreError.Corruption)
        /// The entry names a previous entry that is not before it.
        case previousNotOlder(LogKey)
        /// The entry names a previous entry of another id or collection.
        case previousForeign(LogKey)
        /// The entry refers to a vector that is not stored, or that is newer than the entry.
        case vectorMissing(LogKey, field: UInt16)
        /// Walking the store ended early: LMDB could not go on.
        case unreadable(StoreError)
    }

    /// Log entries.
    package var entryCount = 0
    /// Their bytes.
    package var entryByteCount = 0
    /// Entries that are tombstones.
    package var tombstoneCount = 0
    /// Entries of collections that nobody knows: of dropped ones, and of a restore that was not
    /// finished. The next start deletes them; vectors that they lack are no problem.
    package var orphanCount = 0
    /// References to vectors, all of which were looked up.
    package var vectorReferenceCount = 0
    /// Stored vectors.
    package var vectorCount = 0
    /// Meta entries of the engine.
    package var metaCount = 0
    /// The first entry's key.
    package var firstKey = LogKey.none
    /// The last entry's key.
    package var lastKey = LogKey.none
    /// Problems found in all.
    package var problemCount = 0
    /// The first hundred of them.
    package var problems: [Problem] = []
    /// Sizes, unless the store was unreadable.
    package var statistics: StoreStatistics?

    /// Nothing is wrong.
    package var isClean: Bool { problemCount == 0 }

    mutating func add(_ problem: Problem) {
        problemCount += 1
        if problems.count < 100 { problems.append(problem) }
    }
}

/// Reads all of the store in `directory`: entries' lengths and checksums, the order of keys, that
/// previous entries are older and of the same id, that every vector referred to is there, and that
/// meta entries can be read. Nothing is changed; no server may have the directory open to write.
/// - Parameters:
///   - directory: the data directory.
///   - collections: the numbers of the collections that there are, where somebody knows; nil: all
///     that have entries. Called once, without a transaction.
///   - progress: called now and then with the number of entries read.
/// - Returns: counts and problems. A store with problems is no error.
/// - Throws: as ``LogStore/init(_:)``: a store that cannot be opened at all.
/// - Complexity: O(n log n) in the entries; each byte is read once.
package func verifyStore(
    _ directory: String,
    collections: (LogReader) throws(StoreError) -> Set<UInt32>? = { _ in nil },
    progress: (Int) -> Void = { _ in }
) throws(StoreError) -> StoreReport {
    let store = try LogStore(StoreOptions(directory: directory, readOnly: true))
    let reader = try store.makeReader()
    var report = StoreReport()
    do throws(StoreError) {
        try verifyEntries(reader, try collections(reader), &report, progress)
        try reader.withTransaction { () throws(StoreError) in
            try reader.forEachMeta { _, _ in
                report.metaCount += 1
                return true
            }
            let statistics = try reader.statistics()
            report.statistics = statistics
            report.vectorCount = statistics.vectorCount
        }
    } catch {
        report.add(.unreadable(error))
    }
    return report
}

/// A malformed entry is noted and passed over; a walk that LMDB cannot go on with throws.
private func verifyEntries(
    _ reader: LogReader,
    _ known: Set<UInt32>?,
    _ report: inout StoreReport,
    _ progress: (Int) -> Void
) throws(StoreError) {
    var next: LogKey? = LogKey.none
    while let from = next {
        do throws(StoreError) {
            next = try reader.withTransaction { () throws(StoreError) -> LogKey? in
                try reader.scan(from: from, countMax: 1_024) { (view) throws(StoreError) -> Bool in
                    try verifyEntry(view, reader, known, &report)
                    return true
                }
            }
        } catch .corrupt(.entry(let key)) {
            report.add(.damaged(.entry(key)))
            next = key.rawValue == .max ? nil : LogKey(rawValue: key.rawValue + 1)
        }
        progress(report.entryCount)
    }
}

private func verifyEntry(
    _ view: LogEntryView,
    _ reader: LogReader,
    _ known: Set<UInt32>?,
    _ report: inout StoreReport
) throws(StoreError) {
    if report.entryCount == 0 { report.firstKey = view.key }
    report.entryCount += 1
    report.entryByteCount += view.bytes.count
    report.lastKey = view.key
    if view.operation == .remove || view.operation == .expire { report.tombstoneCount += 1 }
    do throws(StoreError) {
        try view.verify()
    } catch .corrupt(let corruption) {
        report.add(.damaged(corruption))
        return
    }
    if view.previous != .none {
        if view.previous >= view.key {
            report.add(.previousNotOlder(view.key))
        } else if let previous = try? reader.get(view.previous) {
            // One that has been trimmed is no problem; one that is damaged is reported by itself.
            if previous.collection != view.collection || !previous.id.elementsEqual(view.id) {
                report.add(.previousForeign(view.key))
            }
        }
    }
    if let known, !known.contains(view.collection) {
        report.orphanCount += 1
        return
    }
    for index in 0..<view.vectorCount {
        let reference = view.vector(at: index)
        report.vectorReferenceCount += 1
        let bytes = try reader.vector(reference)
        if bytes == nil || reference.key > view.key {
            report.add(.vectorMissing(view.key, field: reference.field))
        }
    }
}
