import Commands
import Glibc
import NIOCore
import RESP

/// One connection: bytes in, requests to the dispatcher, replies out. Confined to its loop.
///
///     channelRead → decode → dispatch … → one write and flush per read
///                      │ stalled: a request must wait for outstanding replies, or output is full
///                      └ the bytes wait in `input`; reading stops once 64 KiB wait
///
/// Invariants: 1. `input` is empty or begins at a frame. 2. At most one batch runs at a time, and
/// the channel is never closed within a batch: closing may call back into this handler.
final class Connection: ChannelDuplexHandler, SessionTransport {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes that may wait undecoded before reading stops.
    private static let stalledInputByteCountMax = 64 * 1_024
    /// A batch pauses to flush once it has produced this much.
    private static let batchOutputByteCountMax = 256 * 1_024

    let loop: LoopContext
    let session: Session
    private let dispatcher: Dispatcher
    /// The request being read. The decoder fills it over many reads, so that connections cannot
    /// share one.
    private let frame = RequestFrame()
    /// The read that is being carried out in slices, for the slow log.
    private var deferredWords: [String] = []
    private var decoder: RequestDecoder
    private var context: ChannelHandlerContext?
    private var input = ByteBuffer()
    private var isStalled = false
    private var isServiceScheduled = false
    /// Whether this is ``service()``, which sends; elsewhere output waits for it.
    private var isEndOfTick = false
    private var isReadSuspended = false
    private var isWritable = true
    private var unwritableSince: UInt64 = 0
    private var hasInputEnded = false
    private var isDraining = false
    private var isClosing = false
    private var closeRequested: String?
    private var closingSince: UInt64 = 0
    private var isCounted = false
    private let isTLS: Bool
    /// The socket, where replies are written without passing the channel's write path, which costs
    /// more than the system call; -1 under TLS and once the channel is closing.
    private var directSocket: CInt = -1
    /// Writes that the channel still holds: while there are any, all go through it, in order.
    private var channelWriteCount = 0

    init(
        loop: LoopContext,
        dispatcher: Dispatcher,
        id: UInt64,
        channel: any Channel,
        isTLS: Bool
    ) {
        self.loop = loop
        self.isTLS = isTLS
        self.dispatcher = dispatcher
        let settings = loop.settings
        decoder = RequestDecoder(
            frameByteCountMax: settings.frameByteCountMax,
            argumentCountMax: settings.argumentCountMax
        )
        let rights = loop.state.access.initialRights()
        let created = Session(
            id: id,
            address: Self.text(channel.remoteAddress, channel.localAddress),
            localAddress: Self.text(channel.localAddress, nil),
            pool: loop.pool,
            transport: nil,
            rights: rights ?? .none,
            isAuthenticated: rights != nil
        )
        session = created
        decoder.isUnauthenticated = rights == nil
    }

    private static func text(_ address: SocketAddress?, _ fallback: SocketAddress?) -> String {
        guard let address = address ?? fallback else { return "?:0" }
        if let path = address.pathname { return path.isEmpty ? "unixsocket:0" : "\(path):0" }
        let host = address.ipAddress ?? "?"
        return host.contains(":")
            ? "[\(host)]:\(address.port ?? 0)" : "\(host):\(address.port ?? 0)"
    }

    // MARK: - Channel events

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        let now = LoopContext.now()
        session.openedAt = now
        session.lastActiveAt = now
        isCounted = true
        session.transport = self
        if !isTLS {
            let pipeline = context.pipeline.syncOperations
            let socket = try? pipeline.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self
            ) { $0 }
            directSocket = socket ?? -1
        }
        let refusal = loop.state.admit(isLoopback: Self.isLoopback(context.channel.remoteAddress))
        loop.connections[session.id] = self
        if let refusal {
            var writer = ReplyWriter(buffer: loop.pool.take())
            writer.error(refusal)
            isClosing = true
            closingSince = now
            send(writer.buffer, closing: true)
        }
        context.fireChannelActive()
    }

    private static func isLoopback(_ address: SocketAddress?) -> Bool {
        switch address {
        case .none, .unixDomainSocket: true
        case .v4, .v6:
            address?.ipAddress.map {
                $0.hasPrefix("127.") || $0 == "::1" || $0.hasPrefix("::ffff:127.")
            }
                ?? false
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        forget()
        context.fireChannelInactive()
    }

    private func forget() {
        guard isCounted else { return }
        isCounted = false
        isClosing = true
        directSocket = -1
        loop.connections[session.id] = nil
        loop.state.leave()
        session.markClosed()
        loop.handler.sessionClosed(session)
        input = ByteBuffer()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        loop.metrics.bytesIn &+= UInt64(bytes.readableBytes)
        guard !isClosing, !isDraining else { return }
        if input.readableBytes == 0 {
            run(&bytes)
            guard bytes.readableBytes > 0, !isClosing else { return }
            // The rest of an unfinished frame, or what must wait.
            input = loop.pool.take()
            reserveForUnfinishedFrame(beyond: bytes.readableBytes)
            input.writeBuffer(&bytes)
        } else {
            input.writeBuffer(&bytes)
            if !isStalled { runInput() }
        }
    }

    /// A large frame is awaited: make room at once, so that it is not copied again and again. The
    /// first megabytes only, since a client may announce what it never sends.
    private func reserveForUnfinishedFrame(beyond count: Int) {
        let needed = min(decoder.byteCountKnownNeeded, 4 << 20)
        if needed > count { input.reserveCapacity(minimumWritableBytes: needed) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        loop.handler.endOfBatch()
    }

    /// Reading goes on by itself after each read; not passing this on is how it stops.
    func read(context: ChannelHandlerContext) {
        if !isWritable || isClosing && !isCounted
            || (isStalled && input.readableBytes > Self.stalledInputByteCountMax)
        {
            isReadSuspended = true
        } else {
            context.read()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        if isWritable {
            unwritableSince = 0
            sessionNeedsService(session)
        } else {
            unwritableSince = LoopContext.now()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(ChannelEvent.inputClosed) = event as? ChannelEvent {
            hasInputEnded = true
            sessionNeedsService(session)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        directSocket = -1
        loop.state.log.connectionError(session, "\(error)")
        context.close(promise: nil)
    }

    // MARK: - Requests

    private func runInput() {
        // A local copy: closing within the batch must not find `input` in use.
        var bytes = input
        input = ByteBuffer()
        run(&bytes)
        guard !isClosing else { return }
        if bytes.readableBytes == 0 {
            loop.pool.give(bytes)
        } else {
            bytes.discardReadBytes()
            input = bytes
            reserveForUnfinishedFrame(beyond: bytes.readableBytes)
        }
    }

    /// Handles the frames of `bytes`, as many as may be, and sends what they answered.
    private func run(_ bytes: inout ByteBuffer) {
        var writer = ReplyWriter(buffer: session.takeOutput(), isRESP3: session.isRESP3)
        session.isInBatch = true
        isStalled = false
        var closing = false
        let consumed = bytes.withUnsafeReadableBytes { input in
            handleFrames(input, &writer, &closing)
        }
        bytes.moveReaderIndex(forwardBy: consumed)
        session.drainReady(into: &writer.buffer)
        session.isInBatch = false
        if closing {
            isClosing = true
            closingSince = session.lastActiveAt
        }
        finish(writer.buffer)
    }

    /// Returns the bytes consumed.
    private func handleFrames(
        _ input: UnsafeRawBufferPointer,
        _ writer: inout ReplyWriter,
        _ closing: inout Bool
    ) -> Int {
        var offset = 0
        var now = LoopContext.now()
        while offset < input.count, !closing, closeRequested == nil {
            if writer.byteCount > Self.batchOutputByteCountMax || session.isBlocked || !isWritable {
                isStalled = true
                break
            }
            let taken: Int
            do throws(RESPDecodeError) {
                taken = try decoder.decode(
                    UnsafeRawBufferPointer(rebasing: input[offset...]),
                    into: frame
                )
            } catch {
                loop.metrics.protocolErrorCount &+= 1
                answerInOrder(&writer) { $0.error(error.message) }
                closing = true
                break
            }
            guard taken > 0 else { break }
            guard frame.count > 0 else {
                offset += taken
                continue
            }
            let index = loop.table.index(of: frame.bytes(0))
            let isWrite = index >= 0 && loop.gates[index].flags.contains(.write)
            guard session.mayHandle(isWrite: isWrite, limit: loop.settings.inFlightWritesMax) else {
                isStalled = true
                break
            }
            offset += taken
            frame.commandIndex = index
            now = handle(frame, at: now, &writer, &closing)
        }
        return offset
    }

    /// Handles one frame that began at `start`; returns the time at its end.
    @inline(__always)
    private func handle(
        _ frame: RequestFrame,
        at start: UInt64,
        _ writer: inout ReplyWriter,
        _ closing: inout Bool
    ) -> UInt64 {
        let index = frame.commandIndex
        session.lastActiveAt = start
        session.lastCommandIndex = index
        session.requestCount &+= 1
        loop.metrics.requestCount &+= 1
        let isBehindOthers = session.outstandingCount > 0
        var held = ByteBuffer()
        if isBehindOthers {
            held = loop.pool.take()
            swap(&held, &writer.buffer)
        }
        let mark = writer.buffer.writerIndex
        let disposition = dispatcher.dispatch(frame, self, &writer)
        let end = LoopContext.now()
        switch disposition {
        case .replied, .close:
            if index >= 0 {
                let failed = writer.buffer.getInteger(at: mark, as: UInt8.self) == 0x2D
                loop.metrics.record(index, nanoseconds: end &- start, failed: failed)
                if end &- start >= loop.settings.slowNanoseconds {
                    loop.state.noteSlow(frame, session, nanoseconds: end &- start)
                }
            }
            if case .close = disposition { closing = true }
        case .deferredWrite:
            break
        case .deferredRead:
            session.block()
            deferredWords = ServerState.words(of: frame)
        }
        if isBehindOthers {
            swap(&held, &writer.buffer)
            switch disposition {
            case .replied, .close: session.appendReady(held)
            case .deferredWrite, .deferredRead: loop.pool.give(held)
            }
        }
        writer.isRESP3 = session.isRESP3
        decoder.isUnauthenticated = !session.isAuthenticated
        session.drainReady(into: &writer.buffer)
        return end
    }

    private func answerInOrder(
        _ writer: inout ReplyWriter,
        _ body: (inout ReplyWriter) -> Void
    ) {
        guard session.outstandingCount > 0 else { return body(&writer) }
        var held = ReplyWriter(buffer: loop.pool.take(), isRESP3: session.isRESP3)
        body(&held)
        session.appendReady(held.buffer)
    }

    // MARK: - Output

    /// Sends a batch's output and does what had to wait until the batch was over.
    private func finish(_ output: ByteBuffer) {
        let isLast =
            (isClosing || hasInputEnded && !isStalled || isDraining)
            && session.outstandingCount == 0
        if isLast, !isClosing {
            isClosing = true
            closingSince = LoopContext.now()
        }
        if isLast || isEndOfTick && output.readableBytes > 0 {
            send(output, closing: isLast)
        } else if output.readableBytes > 0 {
            // The sockets of one tick are written one after another at its end: measurably cheaper
            // than alternating reads and writes, and clients are woken once the reading is done.
            session.keepOutput(output)
            sessionNeedsService(session)
        } else {
            loop.pool.give(output)
        }
        if let reason = closeRequested { return closeNow(reason: reason) }
        if isStalled, isWritable, session.outstandingCount == 0 { sessionNeedsService(session) }
        resumeReading()
    }

    private func send(_ output: ByteBuffer, closing: Bool) {
        guard let context else { return }
        loop.metrics.bytesOut &+= UInt64(output.readableBytes)
        var output = output
        if directSocket >= 0, channelWriteCount == 0, writeDirectly(&output) {
            loop.pool.give(output)
            if closing {
                directSocket = -1
                context.close(promise: nil)
            }
            return
        }
        channelWriteCount += 1
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { _ in
            self.channelWriteCount -= 1
            if closing {
                self.directSocket = -1
                context.close(promise: nil)
            }
        }
        context.writeAndFlush(wrapOutboundOut(output), promise: promise)
        loop.pool.give(output)
        if !isWritable { checkOutputLimit(now: LoopContext.now()) }
    }

    /// Writes what the socket takes; whether that was everything. Errors are left to the channel,
    /// which meets them again and closes.
    private func writeDirectly(_ output: inout ByteBuffer) -> Bool {
        let count = output.readableBytes
        guard count > 0 else { return true }
        // SAFETY: the descriptor is the channel's. The channel closes it only right before
        // `channelInactive`, which clears `directSocket`, or when asked to here, after clearing it;
        // nothing is sent in between, so the number cannot be another connection's by now.
        let sent = output.withUnsafeReadableBytes {
            Glibc.send(directSocket, $0.baseAddress, $0.count, directSendFlags)
        }
        if sent > 0 { output.moveReaderIndex(forwardBy: sent) }
        return sent == count
    }

    private func resumeReading() {
        guard isReadSuspended, isWritable, let context,
            !(isStalled && input.readableBytes > Self.stalledInputByteCountMax)
        else { return }
        isReadSuspended = false
        context.read()
    }

    /// The end of a tick: flushes replies that came outside of a batch, goes on with waiting input.
    func service() {
        isServiceScheduled = false
        guard isCounted else { return }
        isEndOfTick = true
        defer { isEndOfTick = false }
        if isStalled, isWritable, !isClosing, !isDraining {
            runInput()
        } else {
            finish(session.takeOutput())
        }
    }

    // MARK: - Limits

    /// Once a second.
    func tick(now: UInt64) {
        if isClosing, now &- closingSince > 10_000_000_000 { return closeNow(reason: "stuck") }
        if !isWritable { checkOutputLimit(now: now) }
        let idle = loop.settings.idleNanoseconds
        if idle > 0, session.outstandingCount == 0, isWritable,
            now > session.lastActiveAt, now &- session.lastActiveAt > idle
        {
            closeNow(reason: "idle")
        }
    }

    private func checkOutputLimit(now: UInt64) {
        guard let context, unwritableSince > 0 else { return }
        let waiting =
            (try? context.channel.syncOptions?.getOption(ChannelOptions.bufferedWritableBytes)) ?? 0
        let settings = loop.settings
        let soft =
            waiting > settings.outputSoftByteCount && now > unwritableSince
            && now &- unwritableSince > settings.outputSoftNanoseconds
        guard waiting > settings.outputHardByteCount || soft else { return }
        loop.metrics.outputLimitKillCount &+= 1
        closeNow(reason: "output buffer limit: \(waiting) bytes wait")
    }

    /// Stops reading; closes once everything is answered and sent.
    func drain() {
        isDraining = true
        sessionNeedsService(session)
    }

    /// Handles nothing more; closes once everything is answered and sent.
    func closeAfterReplies() {
        isClosing = true
        closingSince = LoopContext.now()
        sessionNeedsService(session)
    }

    /// Closes without waiting; within a batch, at its end.
    func closeNow(reason: String) {
        guard !session.isInBatch else {
            closeRequested = reason
            return
        }
        isClosing = true
        directSocket = -1
        loop.state.log.connectionClosed(session, reason)
        context?.close(promise: nil)
    }

    /// Bytes of input and output that the connection holds.
    var bufferedByteCount: (input: Int, output: Int) {
        (input.readableBytes, session.output.readableBytes)
    }

    // MARK: - SessionTransport

    func sessionNeedsService(_ session: Session) {
        guard !isServiceScheduled, isCounted else { return }
        isServiceScheduled = true
        loop.scheduleService(self)
    }

    func sessionAnswered(_ session: Session, commandIndex: Int, startedAt: UInt64) {
        guard commandIndex >= 0 else { return }
        let elapsed = LoopContext.now() &- startedAt
        defer { deferredWords = [] }
        loop.metrics.record(commandIndex, nanoseconds: elapsed, failed: false)
        // A write's time is mostly the wait for its group's sync, which says nothing about it.
        if elapsed >= loop.settings.slowNanoseconds,
            !loop.gates[commandIndex].flags.contains(.write)
        {
            // A read that takes several slices is the only one under way.
            let title = CommandTable.shared.specs[commandIndex].title
            loop.state.note(deferredWords.isEmpty ? [title] : deferredWords, session, elapsed)
        }
    }

    func sessionMustClose(_ session: Session, reason: String) { closeNow(reason: reason) }
}

/// A peer that is gone is an error, not a signal; a full socket is `EAGAIN`.
private let directSendFlags = CInt(Int(MSG_NOSIGNAL) | Int(MSG_DONTWAIT))
