import Client
import Glibc

/// One connection of a load, with every request on it that is not answered yet.
///
/// ```
/// queue:   [ sent, unanswered | not sent yet ]        entries: one for each request in it
///            ^ front            ^ sentByteCount
/// ```
/// Invariants: the queue holds exactly the requests of `entries`, in order; so after a lost
/// connection everything unanswered can be sent again, which is harmless as PUT is idempotent.
/// Rows with the same id go to the same lane: their order is kept.
final class Lane {
    /// A request under way.
    struct Entry {
        var line: Int
        var hash: UInt64
        var byteCount: Int32
        /// Where the document lies within the request.
        var documentOffset: Int32
        var documentByteCount: Int32
    }

    /// A request that the server was too busy for.
    struct Retry {
        var entry: Entry
        var bytes: [UInt8]
    }

    private(set) var connection: Connection
    let queue = ByteQueue(capacity: 1 << 20)
    private(set) var entries: [Entry] = []
    private(set) var firstEntry = 0
    private(set) var sentByteCount = 0
    private var scanner = ReplyScanner()
    private(set) var retries: [Retry] = []
    /// Ids acknowledged since the first of `retries`: those are not sent again, a newer row won.
    private var newerHashes: Set<UInt64> = []
    private var retryDelayMilliseconds = 10

    init(_ configuration: ClientConfiguration) throws(ClientError) {
        connection = try Connection(configuration)
    }

    var inFlightCount: Int { entries.count - firstEntry }
    var unsentByteCount: Int { queue.count - sentByteCount }
    var isIdle: Bool { inFlightCount == 0 && retries.isEmpty }
    var isBackingOff: Bool { !retries.isEmpty }

    /// The first line that is not settled; nil when all are.
    var firstOpenLine: Int? {
        var line = inFlightCount > 0 ? entries[firstEntry].line : nil
        for retry in retries { line = min(line ?? retry.entry.line, retry.entry.line) }
        return line
    }

    func add(_ entry: Entry) { entries.append(entry) }

    /// Sends what fits. True when something moved.
    func send() throws(ClientError) -> Bool {
        guard unsentByteCount > 0 else { return false }
        let bytes = UnsafeRawBufferPointer(rebasing: queue.bytes[sentByteCount...])
        let sent = try connection.socket.send(bytes)
        sentByteCount += sent
        return sent > 0
    }

    /// What became of the oldest request.
    enum Outcome {
        case loaded(Entry)
        /// The error's text; the document can be read with ``frontDocument(_:)`` until the next
        /// call of ``settle(_:)``.
        case failed(Entry, String)
    }

    /// Receives what is there. True when something came.
    func receive() throws(ClientError) -> Bool {
        try connection.socket.receive(into: connection.input, atMost: 256 << 10) > 0
    }

    /// The next answer among the bytes received; nil when there is no whole one.
    func nextOutcome() throws(ClientError) -> Outcome? {
        while let found = try scanner.next(in: connection.input.bytes) {
            let input = connection.input
            guard found.kind != UInt8(ascii: ">") else {
                input.take(found.byteCount)
                continue
            }
            guard inFlightCount > 0 else { throw .malformed(offset: 0, byte: found.kind) }
            let entry = entries[firstEntry]
            if found.kind == UInt8(ascii: "-") || found.kind == UInt8(ascii: "!") {
                let bytes = UnsafeRawBufferPointer(rebasing: input.bytes[..<found.byteCount])
                let text = try ReplyParser.parse(bytes).errorText ?? ""
                input.take(found.byteCount)
                return .failed(entry, text)
            }
            input.take(found.byteCount)
            if isBackingOff { newerHashes.insert(entry.hash) }
            return .loaded(entry)
        }
        return nil
    }

    /// The document of the oldest request.
    func frontDocument(_ entry: Entry) -> UnsafeRawBufferPointer {
        let start = Int(entry.documentOffset)
        let end = start + Int(entry.documentByteCount)
        return UnsafeRawBufferPointer(rebasing: queue.bytes[start..<end])
    }

    /// Forgets the oldest request: it is settled.
    func settle(_ entry: Entry) {
        queue.take(Int(entry.byteCount))
        sentByteCount -= Int(entry.byteCount)
        firstEntry += 1
        if firstEntry == entries.count || firstEntry > 8_192 {
            entries.removeFirst(firstEntry)
            firstEntry = 0
        }
    }

    /// Puts the oldest request aside, to be sent again when the others are answered.
    ///
    /// - Returns: older requests for the same id that were aside and need not be sent any more.
    func postpone(_ entry: Entry) -> Int {
        let bytes = Array(queue.bytes.prefix(Int(entry.byteCount)))
        let before = retries.count
        retries.removeAll { $0.entry.hash == entry.hash }
        let superseded = before - retries.count
        newerHashes.remove(entry.hash)
        retries.append(Retry(entry: entry, bytes: bytes))
        settle(entry)
        return superseded
    }

    /// When nothing is under way: waits a little, then queues what was put aside.
    ///
    /// - Returns: requests queued again, and those given up because a newer row has their id.
    func retryPostponed() -> (queued: Int, superseded: [Entry]) {
        guard inFlightCount == 0, !retries.isEmpty else { return (0, []) }
        usleep(UInt32(retryDelayMilliseconds) * 1_000)
        retryDelayMilliseconds = min(retryDelayMilliseconds * 2, 1_000)
        var superseded: [Entry] = []
        var queued = 0
        for retry in retries {
            if newerHashes.contains(retry.entry.hash) {
                superseded.append(retry.entry)
                continue
            }
            queue.append(retry.bytes)
            add(retry.entry)
            queued += 1
        }
        retries.removeAll()
        newerHashes.removeAll()
        return (queued, superseded)
    }

    /// The server takes rows again: the next wait is short.
    func resetDelay() { retryDelayMilliseconds = 10 }

    /// Connects anew and begins to send everything that has no answer again.
    func reconnect() throws(ClientError) {
        connection = try Connection(connection.configuration)
        scanner = ReplyScanner()
        sentByteCount = 0
    }
}
