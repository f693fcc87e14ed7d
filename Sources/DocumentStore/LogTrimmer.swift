package import Primitives

/// Which superseded entries may leave the log.
package struct TrimPolicy: Equatable, Sendable {
    /// How long a superseded entry is kept, in milliseconds.
    package var retentionMilliseconds: Int64
    /// Superseded bytes that are kept, as a share of the live bytes.
    package var retentionShare: Double
    /// Superseded bytes that are kept however few are live.
    package var retentionByteCountMin: Int

    /// A policy; by default an hour, or a quarter of the live bytes (at least 1 MiB).
    package init(
        retentionMilliseconds: Int64 = 3_600_000,
        retentionShare: Double = 0.25,
        retentionByteCountMin: Int = 1 << 20
    ) {
        precondition(retentionMilliseconds >= 0, "time runs forward")
        precondition(retentionShare >= 0, "a share is not negative")
        precondition(retentionByteCountMin >= 0, "bytes are not negative")
        self.retentionMilliseconds = retentionMilliseconds
        self.retentionShare = retentionShare
        self.retentionByteCountMin = retentionByteCountMin
    }

    /// Superseded bytes beyond what the policy keeps.
    package func bytesOverBudget(live: Int, superseded: Int) -> Int {
        let budget = max(retentionByteCountMin, Int(Double(live) * retentionShare))
        return max(0, superseded - budget)
    }

    /// The time before which a superseded entry may leave.
    package func horizonMilliseconds(now: Int64) -> Int64 { now - retentionMilliseconds }

    /// Whether an entry may leave that was superseded by `version` at `milliseconds`.
    ///
    /// A read pinned at V sees what was superseded after V, so that nothing leaves that was
    /// superseded after the horizon's version, whatever the time and however many the bytes.
    @inline(__always)
    package static func mayTrim(
        version: Version,
        milliseconds: Int64,
        horizonVersion: Version,
        horizonMilliseconds: Int64,
        isOverBudget: Bool
    ) -> Bool {
        version <= horizonVersion && (isOverBudget || milliseconds <= horizonMilliseconds)
    }
}

/// The queue of superseded entries, oldest first, and the totals that the policy needs.
///
/// Each entry takes 24 bytes. The committer adds to it in commit order and takes batches from the
/// front: `next` proposes, `confirm` removes after the commit that deleted them.
package struct LogTrimmer: Sendable {
    /// Entries to delete, in key order.
    package struct Batch: Equatable, Sendable {
        /// A superseded entry, and the one that superseded it (itself for a tombstone).
        package struct Entry: Equatable, Sendable {
            /// The entry to delete.
            package var key: LogKey
            /// The entry of the same id that came after it.
            package var successor: LogKey

            /// An entry and its successor.
            package init(key: LogKey, successor: LogKey) {
                self.key = key
                self.successor = successor
            }
        }
        /// The entries.
        package var entries: [Entry] = []
        /// Their bytes.
        package var byteCount = 0
        /// The newest version that superseded one of them: positions before it are a gap.
        package var newestVersion = Version.zero

        /// An empty batch.
        package init() {}

        /// Whether there is nothing to do.
        package var isEmpty: Bool { entries.isEmpty }
        /// The keys of the entries, in order.
        package var keys: [LogKey] { entries.map(\.key) }
    }

    /// 24 bytes: two keys, the bytes, and the time in units of 128 ms since `epochMilliseconds`.
    struct Record {
        var key: UInt64
        var successor: UInt64
        var ticks: UInt32
        var byteCount: UInt32
    }

    static let chunkCapacity = 4_096
    private static let tickShift: Int64 = 7

    var chunks: [[Record]] = []
    var firstChunk = 0
    var firstRecord = 0
    var epochMilliseconds: Int64?
    /// Entries in the queue.
    package internal(set) var count = 0
    /// Bytes of entries that are not superseded.
    package internal(set) var liveByteCount = 0
    /// Bytes of the entries in the queue.
    package internal(set) var supersededByteCount = 0

    /// An empty queue.
    package init() {}

    /// Counts an entry of `byteCount` bytes (vectors included) that has become a document's newest.
    package mutating func addLive(byteCount: Int) { liveByteCount += byteCount }

    /// Queues an entry that was live: `successor` superseded it. Call in the order of commits.
    /// - Parameters:
    ///   - key: the superseded entry.
    ///   - successor: the entry that took its place.
    ///   - milliseconds: when, since 1970.
    ///   - byteCount: bytes of the superseded entry, as given to ``addLive(byteCount:)``.
    /// - Complexity: O(1) amortised.
    package mutating func supersede(
        _ key: LogKey,
        by successor: LogKey,
        atMilliseconds milliseconds: Int64,
        byteCount: Int
    ) {
        precondition(key < successor, "an entry is superseded by a later one")
        liveByteCount -= byteCount
        enqueue(key, successor, milliseconds, byteCount)
    }

    /// Queues a tombstone, which nothing has to supersede: it was never counted as live.
    package mutating func addTombstone(
        _ key: LogKey,
        atMilliseconds milliseconds: Int64,
        byteCount: Int
    ) {
        enqueue(key, key, milliseconds, byteCount)
    }

    private mutating func enqueue(
        _ key: LogKey,
        _ successor: LogKey,
        _ milliseconds: Int64,
        _ byteCount: Int
    ) {
        let epoch = epochMilliseconds ?? milliseconds
        epochMilliseconds = epoch
        // Rounded up, so that nothing leaves early. A clock that was set back counts as the epoch.
        let ticks = max(0, milliseconds - epoch + (1 << Self.tickShift) - 1) >> Self.tickShift
        if chunks.last?.count ?? Self.chunkCapacity == Self.chunkCapacity {
            chunks.append([])
            chunks[chunks.count - 1].reserveCapacity(Self.chunkCapacity)
        }
        chunks[chunks.count - 1].append(
            Record(
                key: key.rawValue,
                successor: successor.rawValue,
                ticks: UInt32(clamping: ticks),
                byteCount: UInt32(clamping: byteCount)
            )
        )
        count += 1
        supersededByteCount += min(byteCount, Int(UInt32.max))
    }

    /// The bytes of a queued entry are gone, because its whole collection is: it counts for nothing
    /// from now on. Nothing happens if it is not queued any more.
    /// - Parameters:
    ///   - key: the superseded entry.
    ///   - successor: as it was queued with; the entry itself for a tombstone.
    /// - Complexity: O(log count).
    package mutating func forgetBytes(of key: LogKey, supersededBy successor: LogKey) {
        // Entries are queued in the order of what superseded them.
        var low = firstChunk * Self.chunkCapacity + firstRecord
        let end = low + count
        var high = end
        while low < high {
            let middle = (low + high) / 2
            if record(middle).successor < successor.rawValue {
                low = middle + 1
            } else {
                high = middle
            }
        }
        while low < end, record(low).successor == successor.rawValue {
            if record(low).key == key.rawValue {
                let chunk = low / Self.chunkCapacity
                let index = low % Self.chunkCapacity
                supersededByteCount -= Int(chunks[chunk][index].byteCount)
                chunks[chunk][index].byteCount = 0
                return
            }
            low += 1
        }
    }

    private func record(_ place: Int) -> Record {
        chunks[place / Self.chunkCapacity][place % Self.chunkCapacity]
    }

    /// Up to `limit` entries that may leave, from the front of the queue; it is not changed.
    /// - Parameters:
    ///   - limit: entries at most.
    ///   - horizonVersion: the oldest pinned version (of a read, a feed or a kept snapshot), or the
    ///     newest published one where nothing is pinned.
    ///   - horizonMilliseconds: entries superseded before it may leave whatever the bytes.
    ///   - bytesOverBudget: superseded bytes beyond the budget: entries leave until it is met.
    /// - Complexity: O(limit log limit).
    package func next(
        limit: Int,
        horizonVersion: Version,
        horizonMilliseconds: Int64,
        bytesOverBudget: Int
    ) -> Batch {
        var batch = Batch()
        guard let epoch = epochMilliseconds else { return batch }
        var chunk = firstChunk
        var index = firstRecord
        while batch.entries.count < limit, chunk < chunks.count {
            if index == chunks[chunk].count {
                chunk += 1
                index = 0
                continue
            }
            let record = chunks[chunk][index]
            let successor = LogKey(rawValue: record.successor)
            guard
                TrimPolicy.mayTrim(
                    version: successor.version,
                    milliseconds: epoch + Int64(record.ticks) << Self.tickShift,
                    horizonVersion: horizonVersion,
                    horizonMilliseconds: horizonMilliseconds,
                    isOverBudget: batch.byteCount < bytesOverBudget
                )
            else { break }
            batch.entries.append(
                Batch.Entry(key: LogKey(rawValue: record.key), successor: successor)
            )
            batch.byteCount += Int(record.byteCount)
            batch.newestVersion = max(batch.newestVersion, successor.version)
            index += 1
        }
        // Neighbours in the log share pages: in key order each page is touched once.
        batch.entries.sort { $0.key < $1.key }
        return batch
    }

    /// Removes `batch`, which is what `next` last gave, after its commit.
    /// - Complexity: O(batch).
    package mutating func confirm(_ batch: Batch) {
        precondition(batch.entries.count <= count, "a batch comes from this queue")
        var left = batch.entries.count
        count -= left
        supersededByteCount -= batch.byteCount
        while left > 0 {
            let available = chunks[firstChunk].count - firstRecord
            let taken = min(left, available)
            firstRecord += taken
            left -= taken
            if firstRecord == Self.chunkCapacity {
                chunks[firstChunk] = []
                firstChunk += 1
                firstRecord = 0
            }
        }
        // The list of chunks itself is closed up now and then: amortised O(1) per chunk.
        if firstChunk > 64 && firstChunk * 2 > chunks.count {
            chunks.removeFirst(firstChunk)
            firstChunk = 0
        }
    }
}
