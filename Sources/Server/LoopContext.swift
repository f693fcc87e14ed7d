import Commands
import Glibc
import NIOCore
import Primitives
import RESP
import Synchronization

/// What one event loop owns: its connections, its command handler, its buffers and counters.
///
/// Every member is touched on the loop only, but for `loop` and `index`, which never change: that
/// is why it may be handed across threads to get work onto the loop (`@unchecked Sendable`).
final class LoopContext: @unchecked Sendable {
    let index: Int
    let loop: any EventLoop
    let state: ServerState
    let pool = ReplyBufferPool()
    let metrics: LoopMetrics
    /// What answers while the server loads: the handler that the loop began with.
    private let early: any CommandHandler
    /// Replaced once, when the data directory is open.
    var handler: any CommandHandler
    let gates: [CommandGate]
    let table = CommandTable.shared
    /// Live connections by session id.
    var connections: [UInt64: Connection] = [:]
    /// Connections with output to flush or input to resume, until the end of this tick.
    private var dirty: [Connection] = []
    private var ticker: RepeatedTask?
    /// Copies of settings that every request looks at.
    var slowNanoseconds: UInt64 = 10_000_000
    var settings = LoopSettings()

    init(
        index: Int,
        loop: any EventLoop,
        state: ServerState,
        handler: any CommandHandler
    ) {
        loop.preconditionInEventLoop()
        self.index = index
        self.loop = loop
        self.state = state
        early = handler
        self.handler = handler
        metrics = LoopMetrics(commandCount: CommandName.allCases.count)
        gates = CommandTable.shared.specs.map(CommandGate.init)
        dirty.reserveCapacity(64)
        adoptSettings()
        let second = TimeAmount.seconds(1)
        ticker = loop.scheduleRepeatedTask(initialDelay: second, delay: second) { [weak self] _ in
            self?.tick()
        }
    }

    /// What carries out a request. All loops begin to use their new handlers at one moment: nobody
    /// is told that the server is ready and then that it loads.
    @inline(__always) func handler(isLoading: Bool) -> any CommandHandler {
        isLoading ? early : handler
    }

    /// Monotonic nanoseconds.
    @inline(__always) static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// Copies the settings that requests look at; on the loop.
    func adoptSettings() {
        settings = state.configuration.withLock { LoopSettings($0) }
    }

    /// Calls `connection.service()` at the end of this tick.
    func scheduleService(_ connection: Connection) {
        loop.assertInEventLoop()
        dirty.append(connection)
        if dirty.count == 1 { loop.execute { self.serviceDirty() } }
    }

    private func serviceDirty() {
        var batch: [Connection] = []
        swap(&batch, &dirty)
        for connection in batch { connection.service() }
        handler.endOfBatch()
        if dirty.isEmpty {
            batch.removeAll(keepingCapacity: true)
            dirty = batch
        }
    }

    private func tick() {
        let now = Self.now()
        for connection in Array(connections.values) { connection.tick(now: now) }
    }

    /// Stops accepting input; connections close once everything is answered and flushed.
    func drain() {
        for connection in Array(connections.values) { connection.drain() }
    }

    /// Ends the loop's timer and closes what is left.
    func stop() {
        ticker?.cancel()
        ticker = nil
        for connection in Array(connections.values) { connection.closeNow(reason: "shutdown") }
    }
}

/// What is checked before a command runs, in one small value.
struct CommandGate {
    let flags: CommandFlags
    let arity: Int
    let collections: CollectionArguments
    let name: CommandName

    init(_ spec: CommandSpec) {
        flags = spec.flags
        arity = spec.arity
        collections = spec.collections
        name = spec.name
    }

    @inline(__always) func accepts(_ count: Int) -> Bool {
        arity >= 0 ? count == arity : count >= -arity
    }
}

/// Settings as the loops use them.
struct LoopSettings {
    var slowNanoseconds: UInt64 = 10_000_000
    var idleNanoseconds: UInt64 = 0
    var outputHardByteCount = 256 << 20
    var outputSoftByteCount = 64 << 20
    var outputSoftNanoseconds: UInt64 = 60_000_000_000
    var inFlightWritesMax = 1_024
    var frameByteCountMax = 64 << 20
    var argumentCountMax = 1 << 20

    init() {}

    init(_ configuration: ServerConfiguration) {
        let slow = configuration.slowlogMicroseconds
        slowNanoseconds = slow < 0 ? .max : UInt64(slow) * 1_000
        idleNanoseconds = UInt64(configuration.clientTimeoutSeconds) * 1_000_000_000
        outputHardByteCount = configuration.outputBufferHardBytes
        outputSoftByteCount = configuration.outputBufferSoftBytes
        outputSoftNanoseconds = UInt64(configuration.outputBufferSoftSeconds) * 1_000_000_000
        inFlightWritesMax = configuration.inFlightWritesMax
        frameByteCountMax = configuration.queryBufferBytes
        argumentCountMax = configuration.argumentCountMax
    }
}
