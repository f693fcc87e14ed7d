package import Primitives

/// When a write counts as safe.
package enum Durability: Equatable, Sendable {
    /// Each group of writes is on disk before any of them is answered.
    case commit
    /// Writes are answered from memory and reach the disk once per interval, in milliseconds.
    case interval(milliseconds: Int)
}

/// When snapshots are taken, and which are kept.
package struct SnapshotOptions: Sendable, Equatable {
    /// Level of zstd, 1...19; 0 compresses nothing.
    package var level = 1
    /// Time after which one is taken by itself if anything was written; 0: never.
    package var everyMilliseconds: Int64 = 0
    /// Writes after which one is taken by itself; 0: never.
    package var everyWriteCount = 0
    /// Snapshots taken by themselves that are kept.
    package var keepCount = 2
    /// Whether an orderly stop leaves one for the next start.
    package var isTakenAtStop = false

    package init() {}
}

/// How an engine is opened.
package struct EngineOptions: Sendable {
    /// The data directory.
    package var directory: String
    /// Partitions of a new data directory; an existing one keeps its own.
    package var partitionCount: Int
    /// Event loops that will read.
    package var loopCount: Int
    package var durability: Durability = .commit
    /// Superseded versions younger than this are kept, in milliseconds.
    package var retentionMilliseconds: Int64 = 3_600_000
    /// Superseded versions are kept up to this percentage of the live bytes.
    package var retentionPercent = 25
    /// Bytes of the ledger beyond which writes that add documents are refused; 0 = no bound.
    package var memoryByteCountMax = 0
    package var limits = Limits()
    /// Rows of a collection from which on the orders that lookups ask for are kept; below, choosing
    /// a page from all rows costs little.
    package var orderedRowCountMin = 8_192
    package var snapshots = SnapshotOptions()

    package init(directory: String, partitionCount: Int, loopCount: Int) {
        self.directory = directory
        self.partitionCount = partitionCount
        self.loopCount = loopCount
    }
}
