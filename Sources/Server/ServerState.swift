import Commands
import NIOCore
import Primitives
import RESP
import Synchronization

/// What all loops share. Requests in flight touch only atomics; locks are for administration.
final class ServerState: Sendable {
    let configuration: Guarded<ServerConfiguration>
    let access: AccessStore
    let hooks: ServerHooks
    let log: ServerLog
    let clientCount = Atomic<Int>(0)
    let acceptedCount = Atomic<Int>(0)
    let rejectedCount = Atomic<Int>(0)
    let nextSessionID = Atomic<UInt64>(1)
    let isLoading = Atomic<Bool>(false)
    let slowlog = Guarded(SlowLog())
    let accessLog = Guarded(AccessLog())
    let loops = Guarded<[LoopContext]>([])
    let startedAt = LoopContext.now()
    /// Peak of what a sample of memory has shown, in bytes.
    let memoryPeak = Atomic<Int>(0)
    /// Set by the server: `SHUTDOWN` and signals go through it.
    let onShutdown = Guarded<(@Sendable (_ save: Bool) -> Void)?>(nil)
    /// Address of the first listener, for `INFO`.
    let listening = Guarded<[String]>([])

    init(
        configuration: ServerConfiguration,
        access: AccessStore,
        hooks: ServerHooks,
        log: ServerLog
    ) {
        self.configuration = Guarded(configuration)
        self.access = access
        self.hooks = hooks
        self.log = log
    }

    /// Counts a new connection; the error to send before closing it, if it is not wanted.
    func admit(isLoopback: Bool) -> String? {
        let count = clientCount.wrappingAdd(1, ordering: .relaxed).newValue
        acceptedCount.wrappingAdd(1, ordering: .relaxed)
        let (limit, open) = configuration.withLock { ($0.clientsMax, $0.open) }
        var refusal: String?
        if count > limit {
            refusal = "ERR max number of clients reached"
        } else if !isLoopback, !open, access.isOpen {
            refusal =
                "DENIED This server has no password and serves its own machine only. Set one with "
                + "ACL SETUSER or the setting 'password', or start it with --open."
        }
        if refusal != nil { rejectedCount.wrappingAdd(1, ordering: .relaxed) }
        return refusal
    }

    func leave() { clientCount.wrappingSubtract(1, ordering: .relaxed) }

    // MARK: - Slow log

    func noteSlow(_ frame: RequestFrame, _ session: Session, nanoseconds: UInt64) {
        note(Self.words(of: frame), session, nanoseconds)
    }

    /// A request as the slow log shows it: without secrets, long arguments cut.
    static func words(of frame: RequestFrame) -> [String] {
        let flags =
            frame.commandIndex >= 0
            ? CommandTable.shared.specs[frame.commandIndex].flags : []
        var arguments = [frame.string(0)]
        if flags.contains(.secret) {
            if frame.count > 1 { arguments.append("(redacted)") }
        } else {
            for index in 1..<max(1, min(frame.count, 32)) {
                let bytes = frame.bytes(index)
                let text = String(decoding: bytes.prefix(128), as: UTF8.self)
                arguments.append(
                    bytes.count > 128 ? "\(text)... (\(bytes.count - 128) more bytes)" : text
                )
            }
            if frame.count > 32 {
                arguments.append("... (\(frame.count - 32) more arguments)")
            }
        }
        return arguments
    }

    func note(_ arguments: [String], _ session: Session, _ nanoseconds: UInt64) {
        let limit = configuration.withLock { $0.slowlogEntriesMax }
        let entry = SlowLog.Entry(
            unixSeconds: WallClock.seconds,
            microseconds: nanoseconds / 1_000,
            arguments: arguments,
            address: session.address,
            clientName: session.name
        )
        slowlog.withLock { $0.append(entry, limit: limit) }
        log.slow(session, arguments[0], microseconds: nanoseconds / 1_000)
    }

    // MARK: - All loops

    /// Runs `body` on every loop and gives the results, by loop, to `then` on `home`.
    func gather<Result: Sendable>(
        home: LoopContext,
        _ body: @escaping @Sendable (LoopContext) -> Result,
        then: @escaping @Sendable ([Result]) -> Void
    ) {
        let futures = loops.withLock { $0 }.map { context in
            context.loop.submit { body(context) }
        }
        EventLoopFuture.whenAllSucceed(futures, on: home.loop).whenSuccess(then)
    }

    /// Runs `body` on every loop.
    func broadcast(_ body: @escaping @Sendable (LoopContext) -> Void) {
        for context in loops.withLock({ $0 }) { context.loop.execute { body(context) } }
    }
}

/// The slowest recent requests, oldest first.
struct SlowLog: Sendable {
    struct Entry: Sendable {
        var id = 0
        let unixSeconds: Int
        let microseconds: UInt64
        let arguments: [String]
        let address: String
        let clientName: String

        init(
            unixSeconds: Int,
            microseconds: UInt64,
            arguments: [String],
            address: String,
            clientName: String
        ) {
            self.unixSeconds = unixSeconds
            self.microseconds = microseconds
            self.arguments = arguments
            self.address = address
            self.clientName = clientName
        }
    }

    private(set) var entries: [Entry] = []
    private var nextID = 0

    mutating func append(_ entry: Entry, limit: Int) {
        var entry = entry
        entry.id = nextID
        nextID += 1
        entries.append(entry)
        if entries.count > limit { entries.removeFirst(entries.count - limit) }
    }

    mutating func removeAll() { entries = [] }
}

/// Refused authentications and commands, newest first; equal ones within a minute are counted.
struct AccessLog: Sendable {
    struct Entry: Sendable {
        let id: Int
        var count = 1
        let reason: String
        let object: String
        let userName: String
        let client: String
        let createdAt: UInt64
        var updatedAt: UInt64
    }

    private(set) var entries: [Entry] = []
    private var nextID = 0

    mutating func note(
        reason: String,
        object: String,
        userName: String,
        client: String,
        now: UInt64
    ) {
        for index in entries.indices.prefix(10)
        where entries[index].reason == reason && entries[index].object == object
            && entries[index].userName == userName
            && now &- entries[index].updatedAt < 60_000_000_000
        {
            entries[index].count += 1
            entries[index].updatedAt = now
            return
        }
        entries.insert(
            Entry(
                id: nextID,
                reason: reason,
                object: object,
                userName: userName,
                client: client,
                createdAt: now,
                updatedAt: now
            ),
            at: 0
        )
        nextID += 1
        if entries.count > 128 { entries.removeLast() }
    }

    mutating func removeAll() { entries = [] }
}
