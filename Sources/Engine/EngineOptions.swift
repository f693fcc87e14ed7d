package import Primitives

/// When a write counts as safe.
package enum Durability: Equatable, Sendable {
    /// Each group of writes is on disk before any of them is answered.
    case commit
    /// Writes are answered from memory and reach the disk once per interval, in milliseconds.
    case interval(milliseconds: Int)
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

    package init(directory: String, partitionCount: Int, loopCount: Int) {
        self.directory = directory
        self.partitionCount = partitionCount
        self.loopCount = loopCount
    }
}
