/// Counters and latencies of one event loop, per command. Plain memory, written by the loop only;
/// others get a copy through the loop.
///
/// A histogram is log-linear: 16 buckets per power of two, so a bucket is at most 6.25 % wide.
///
///     value (ns)   0 … 15   16 … 31   32 … 63   64 … 127 …
///     width             1         1         2          4 …
final class LoopMetrics {
    /// Buckets of one histogram: values up to 2^40 ns, 18 minutes; longer ones count as the last.
    static let bucketCount = (40 - 3) * 16
    /// `calls`, `failures`, `rejections`, total and greatest nanoseconds.
    static let headerCount = 5
    static let stride = headerCount + bucketCount

    private let cells: UnsafeMutablePointer<UInt64>
    let commandCount: Int
    var requestCount: UInt64 = 0
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    var protocolErrorCount: UInt64 = 0
    var outputLimitKillCount: UInt64 = 0

    init(commandCount: Int) {
        self.commandCount = commandCount
        cells = .allocate(capacity: commandCount * Self.stride)
        cells.initialize(repeating: 0, count: commandCount * Self.stride)
    }

    deinit { cells.deallocate() }

    /// Notes one finished request.
    /// - Complexity: O(1).
    @inline(__always)
    func record(_ command: Int, nanoseconds: UInt64, failed: Bool) {
        precondition(command >= 0 && command < commandCount, "no such command")
        // SAFETY: the command was checked, and `bucket` is below `bucketCount`.
        let row = cells + command * Self.stride
        row[0] &+= 1
        if failed { row[1] &+= 1 }
        row[3] &+= nanoseconds
        if nanoseconds > row[4] { row[4] = nanoseconds }
        row[Self.headerCount + Self.bucket(of: nanoseconds)] &+= 1
    }

    /// Notes a request that was refused before it ran.
    func reject(_ command: Int) {
        precondition(command >= 0 && command < commandCount, "no such command")
        cells[command * Self.stride + 2] &+= 1
    }

    /// The bucket that holds `value`.
    static func bucket(of value: UInt64) -> Int {
        guard value >= 16 else { return Int(value) }
        let exponent = 63 - value.leadingZeroBitCount
        let index = (exponent - 3) * 16 + Int((value >> UInt64(exponent - 4)) & 15)
        return min(index, bucketCount - 1)
    }

    /// The greatest value that bucket `index` holds.
    static func upperBound(ofBucket index: Int) -> UInt64 {
        guard index >= 16 else { return UInt64(index) }
        let exponent = index / 16 + 3
        return (UInt64(16 + index % 16 + 1) << UInt64(exponent - 4)) - 1
    }

    /// A copy that can leave the loop.
    func snapshot() -> MetricsSnapshot {
        MetricsSnapshot(
            cells: Array(UnsafeBufferPointer(start: cells, count: commandCount * Self.stride)),
            requestCount: requestCount,
            bytesIn: bytesIn,
            bytesOut: bytesOut,
            protocolErrorCount: protocolErrorCount,
            outputLimitKillCount: outputLimitKillCount
        )
    }

    /// Sets everything to zero, or only the histograms and counters of one command.
    func reset(command: Int? = nil) {
        guard let command else {
            cells.update(repeating: 0, count: commandCount * Self.stride)
            requestCount = 0
            bytesIn = 0
            bytesOut = 0
            protocolErrorCount = 0
            outputLimitKillCount = 0
            return
        }
        precondition(command >= 0 && command < commandCount, "no such command")
        (cells + command * Self.stride).update(repeating: 0, count: Self.stride)
    }
}

/// What one or more loops have counted.
struct MetricsSnapshot: Sendable {
    var cells: [UInt64]
    var requestCount: UInt64
    var bytesIn: UInt64
    var bytesOut: UInt64
    var protocolErrorCount: UInt64
    var outputLimitKillCount: UInt64

    /// Figures of one command.
    struct Command {
        let calls: UInt64
        let failures: UInt64
        let rejections: UInt64
        let nanoseconds: UInt64
        let greatest: UInt64
        let buckets: ArraySlice<UInt64>

        /// The latency, in nanoseconds, below which the given share of requests stayed.
        func percentile(_ share: Double) -> UInt64 {
            let wanted = UInt64((Double(calls) * share).rounded(.up))
            var seen: UInt64 = 0
            for (index, count) in buckets.enumerated() where count > 0 {
                seen += count
                if seen >= wanted { return min(LoopMetrics.upperBound(ofBucket: index), greatest) }
            }
            return greatest
        }

        /// Requests that took at most `nanoseconds`, to a bucket's width.
        func count(upTo nanoseconds: UInt64) -> UInt64 {
            buckets.prefix(LoopMetrics.bucket(of: nanoseconds) + 1).reduce(0, +)
        }
    }

    func command(_ index: Int) -> Command {
        let start = index * LoopMetrics.stride
        let first = start + LoopMetrics.headerCount
        return Command(
            calls: cells[start],
            failures: cells[start + 1],
            rejections: cells[start + 2],
            nanoseconds: cells[start + 3],
            greatest: cells[start + 4],
            buckets: cells[first..<(first + LoopMetrics.bucketCount)]
        )
    }

    /// Adds what another loop has counted.
    mutating func merge(_ other: MetricsSnapshot) {
        for index in cells.indices {
            if index % LoopMetrics.stride == 4 {
                cells[index] = max(cells[index], other.cells[index])
            } else {
                cells[index] += other.cells[index]
            }
        }
        requestCount += other.requestCount
        bytesIn += other.bytesIn
        bytesOut += other.bytesOut
        protocolErrorCount += other.protocolErrorCount
        outputLimitKillCount += other.outputLimitKillCount
    }
}
