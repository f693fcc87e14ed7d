package import NIOCore
package import RESP

/// One connection, as commands see it. Confined to its event loop; needs no locks.
///
/// Replies leave in the order of the requests. A handler that cannot answer at once takes a place
/// with ``makeDeferral()`` and fills it later with ``fulfil(_:_:)``:
///
///     requests   PUT a   PUT b   PUT c (refused)   FETCH a
///     places     [ 7 ]   [ 8 ]   [ 9: ready ]      waits in the input until 7…9 are answered
///
/// Invariants: 1. `head + replies.count` is the next id. 2. A place is only taken out at the head,
/// when it is ready. 3. While places are outstanding nothing is written past them.
package final class Session {
    /// Number of the connection: rises over the life of the process, never reused.
    package let id: UInt64
    /// The peer's address, as `CLIENT LIST` shows it.
    package let address: String
    /// The server's side of the connection.
    package let localAddress: String
    /// Name given with `CLIENT SETNAME` or `HELLO … SETNAME`.
    package var name = ""
    /// `lib-name` and `lib-ver` of `CLIENT SETINFO`.
    package var libraryName = ""
    /// See ``libraryName``.
    package var libraryVersion = ""
    /// Whether `HELLO 3` was sent.
    package var isRESP3 = false
    /// The user's rights; ``AccessRights/none`` until the client has authenticated.
    package var rights: AccessRights
    /// Whether the client may run commands.
    package var isAuthenticated: Bool
    /// What `MULTI` has collected: the command module's own; `nil` outside a transaction.
    package var transaction: AnyObject?
    /// A command of this transaction was refused: `EXEC` answers `EXECABORT`. Cleared by whoever
    /// clears ``transaction``.
    package var transactionIsBroken = false
    /// What the command module keeps per connection, such as cursors.
    package var attachment: AnyObject?
    /// `CLIENT NO-EVICT` and `CLIENT NO-TOUCH`: kept for `CLIENT LIST`.
    package var noEvict = false
    /// See ``noEvict``.
    package var noTouch = false
    /// Monotonic nanoseconds at the connection's start and at its last request.
    package var openedAt: UInt64 = 0
    /// See ``openedAt``.
    package var lastActiveAt: UInt64 = 0
    /// Requests handled; the last one's index in the command table.
    package var requestCount: UInt64 = 0
    /// See ``requestCount``.
    package var lastCommandIndex = -1
    /// Whether the connection is gone; fulfilling then does nothing.
    package private(set) var isClosed = false

    /// Where replies that came outside of a batch wait to be flushed; empty most of the time.
    package private(set) var output = ByteBuffer()
    /// Whether requests are being handled right now: their replies have a writer of their own.
    package var isInBatch = false
    /// The last request was a deferred read: nothing is handled until it is answered.
    package private(set) var isBlocked = false

    /// The connection, from its start to its end; ``markClosed()`` breaks the cycle.
    package var transport: (any SessionTransport)?
    private let pool: ReplyBufferPool
    private var head: UInt64 = 0
    private var replies = ReplyPlaces()

    /// A new connection's session.
    package init(
        id: UInt64,
        address: String,
        localAddress: String,
        pool: ReplyBufferPool,
        transport: (any SessionTransport)?,
        rights: AccessRights,
        isAuthenticated: Bool
    ) {
        self.id = id
        self.address = address
        self.localAddress = localAddress
        self.pool = pool
        self.transport = transport
        self.rights = rights
        self.isAuthenticated = isAuthenticated
    }

    // MARK: - For command handlers

    /// Name of the user, `default` unless the client authenticated as another.
    package var user: String { rights.userName }

    /// Takes the next place in the order of replies. Call once within `handle`, and return
    /// `.deferredWrite` or `.deferredRead`.
    /// - Complexity: O(1).
    package func makeDeferral() -> DeferralID {
        replies.append(.waiting(command: lastCommandIndex, startedAt: lastActiveAt))
        return DeferralID(rawValue: head + UInt64(replies.count) - 1)
    }

    /// Writes the reply of `id` in its place. Each place is fulfilled once; on a closed session
    /// nothing happens. What is written is sent at the end of the loop's tick.
    /// - Complexity: O(reply).
    package func fulfil(_ id: DeferralID, _ body: (inout ReplyWriter) -> Void) {
        guard !isClosed else { return }
        precondition(id.rawValue >= head, "a reply was given twice")
        let index = Int(id.rawValue - head)
        precondition(index < replies.count, "no such deferral")
        let (command, startedAt) = replies.origin(index)
        if index == 0, !isInBatch {
            var writer = ReplyWriter(buffer: takeOutput(), isRESP3: isRESP3)
            body(&writer)
            output = writer.buffer
            replies.removeFirst()
            head += 1
            drainReady(into: &output)
        } else {
            var writer = ReplyWriter(buffer: pool.take(), isRESP3: isRESP3)
            body(&writer)
            replies.fill(index, writer.buffer)
        }
        transport?.sessionAnswered(self, commandIndex: command, startedAt: startedAt)
        transport?.sessionNeedsService(self)
    }

    /// Sends a message that answers no request, such as a RESP3 push, between replies.
    package func push(_ body: (inout ReplyWriter) -> Void) {
        guard !isClosed else { return }
        var writer = ReplyWriter(buffer: takeOutput(), isRESP3: isRESP3)
        body(&writer)
        output = writer.buffer
        transport?.sessionNeedsService(self)
    }

    /// Replies that are still to come, and ready ones behind them.
    package var outstandingCount: Int { replies.count }

    /// Closes the connection now.
    package func kill(reason: String) {
        guard !isClosed else { return }
        transport?.sessionMustClose(self, reason: reason)
    }

    // MARK: - For the connection

    /// Whether a request may be handled now: anything while no reply is outstanding, else a write,
    /// up to `limit` of them.
    package func mayHandle(isWrite: Bool, limit: Int) -> Bool {
        replies.isEmpty || (!isBlocked && isWrite && replies.count < limit)
    }

    /// The last request's reply comes later and nothing may overtake it.
    package func block() { isBlocked = true }

    /// A reply that was ready at once but stands behind outstanding ones.
    package func appendReady(_ buffer: ByteBuffer) { replies.append(.ready(buffer)) }

    /// Moves the replies that have become ready, in order, to `target`.
    package func drainReady(into target: inout ByteBuffer) {
        while let buffer = replies.takeReadyFirst() {
            target.writeImmutableBuffer(buffer)
            pool.give(buffer)
            head += 1
        }
        if replies.isEmpty { isBlocked = false }
    }

    /// Takes what waits to be flushed; a fresh buffer if nothing does.
    package func takeOutput() -> ByteBuffer {
        guard output.capacity > 0 else { return pool.take() }
        var taken = ByteBuffer()
        swap(&taken, &output)
        return taken
    }

    /// Keeps a batch's output until the end of the tick. REQUIRES: ``takeOutput()`` came before.
    package func keepOutput(_ buffer: consuming ByteBuffer) { output = buffer }

    /// Whether there is something to flush.
    package var hasOutput: Bool { output.readableBytes > 0 }

    /// The connection is gone.
    package func markClosed() {
        isClosed = true
        transport = nil
        replies = ReplyPlaces()
        output = ByteBuffer()
        transaction = nil
    }
}

/// A ring of reply places.
private struct ReplyPlaces {
    enum Place {
        case free
        case waiting(command: Int, startedAt: UInt64)
        case ready(ByteBuffer)
    }

    private var ring: [Place] = []
    private var first = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ place: Place) {
        if count == ring.count { grow() }
        ring[(first + count) & (ring.count - 1)] = place
        count += 1
    }

    mutating func fill(_ index: Int, _ buffer: ByteBuffer) {
        let position = (first + index) & (ring.count - 1)
        guard case .waiting = ring[position] else {
            preconditionFailure("a reply was given twice")
        }
        ring[position] = .ready(buffer)
    }

    func origin(_ index: Int) -> (command: Int, startedAt: UInt64) {
        guard
            case .waiting(let command, let startedAt) = ring[(first + index) & (ring.count - 1)]
        else { preconditionFailure("a reply was given twice") }
        return (command, startedAt)
    }

    mutating func removeFirst() {
        ring[first] = .free
        first = (first + 1) & (ring.count - 1)
        count -= 1
    }

    mutating func takeReadyFirst() -> ByteBuffer? {
        guard count > 0, case .ready(let buffer) = ring[first] else { return nil }
        removeFirst()
        return buffer
    }

    private mutating func grow() {
        var larger: [Place] = []
        larger.reserveCapacity(max(4, count * 2))
        for index in 0..<count { larger.append(ring[(first + index) & (ring.count - 1)]) }
        while larger.count < max(4, count * 2) { larger.append(.free) }
        ring = larger
        first = 0
    }
}
