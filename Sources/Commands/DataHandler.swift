import DocumentStore
import Documents
package import Engine
package import NIOCore
import Primitives
import Query
package import RESP
import Schema

/// Carries out the data verbs on one event loop: reads inline, writes by way of the committer.
///
/// ```
/// handle ─┬─ point read ────────────────> reply
///         ├─ lookup ── slice ── slice ──> reply        (deferred when one slice is not enough)
///         └─ write ── prepared ── collected ── endOfBatch ──> committer ── complete ──> reply
/// ```
/// Confined to its loop.
package final class DataHandler: CommandHandler {
    let engine: Engine
    let context: ReadContext
    let loop: any EventLoop
    let loopIndex: Int
    let preparer = DocumentPreparer()
    let limits: Limits
    let cursorSecret: (UInt64, UInt64)
    /// Writes of the current batch, not yet handed over.
    var collected: [WriteRequest] = []
    /// What waits for the committer, by ticket.
    var pending: [UInt64: PendingWrite] = [:]
    var nextTicket: UInt64 = 1
    /// Lookups that need more slices.
    var slices: [LookupSlice] = []
    private var isSliceScheduled = false
    /// Sessions with `MORE` cursors.
    var cursorOwners: [UInt64: Session] = [:]
    private var cachedName: [UInt8] = []
    var cachedProjection: (text: String, projection: Projection)?
    private var cachedView: CollectionView?
    private var cachedGeneration: UInt64 = 0

    /// How long one slice of a lookup may hold the loop.
    static let sliceNanoseconds: UInt64 = 800_000

    package init(
        engine: Engine, context: ReadContext, loop: any EventLoop, cursorSecret: (UInt64, UInt64)
    ) {
        self.engine = engine
        self.context = context
        self.loop = loop
        loopIndex = context.loop
        limits = engine.shared.options.limits
        self.cursorSecret = cursorSecret
        collected.reserveCapacity(1024)
        let period = TimeAmount.seconds(5)
        let bound = NIOLoopBound(WeakHandler(self), eventLoop: loop)
        loop.scheduleRepeatedTask(initialDelay: period, delay: period) { task in
            guard let handler = bound.value.handler else { return task.cancel() }
            handler.expireCursors()
        }
    }

    // MARK: - CommandHandler

    package func handle(
        _ request: RequestFrame, session: Session, reply: inout ReplyWriter
    ) -> Disposition {
        guard let name = CommandName(rawValue: request.commandIndex) else {
            reply.error("ERR unknown command")
            return .replied
        }
        let start = reply.buffer.writerIndex
        // Only options can need it.
        if request.count > 3 { request.userName = session.user }
        do throws(EngineError) {
            if session.transaction != nil, name != .exec, name != .discard, name != .multi {
                return try queue(name, request, session, &reply)
            }
            return try carryOut(name, request, session, &reply)
        } catch {
            // Half a reply may have been written before the error turned up.
            reply.buffer.moveWriterIndex(to: start)
            if session.transaction != nil { session.transactionIsBroken = true }
            reply.error(error)
            return .replied
        }
    }

    private func carryOut(
        _ name: CommandName, _ request: RequestFrame, _ session: Session,
        _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        switch name {
        case .fetch: return try fetch(request, &reply)
        case .mfetch: return try fetchMany(request, &reply)
        case .put: return try put(request, session)
        case .patch: return try patch(request, session)
        case .remove: return try remove(request, session)
        case .find, .count:
            return try lookup(
                FindLookup(isCount: name == .count, first: 1, explain: .none), request, session,
                &reply)
        case .similar, .recommend:
            return try lookup(
                SimilarLookup(isRecommendation: name == .recommend, first: 1, isExplained: false),
                request, session, &reply)
        case .nearby:
            return try lookup(
                NearbyLookup(first: 1, explain: .none), request, session, &reply)
        case .within:
            return try lookup(
                WithinLookup(first: 1, explain: .none), request, session, &reply)
        case .cover:
            return try lookup(CoverLookup(first: 1, explain: .none), request, session, &reply)
        case .delivers: return try delivers(request, from: 1, &reply, explain: .none)
        case .explain: return try explain(request, session, &reply)
        case .export: return try export(request, session, &reply)
        case .more: return try more(request, session, &reply)
        case .create: return try create(request, session)
        case .alter: return try alter(request, session)
        case .drop: return try drop(request, session)
        case .alias: return try alias(request, session)
        case .describe: return try describe(request, &reply)
        case .collections: return collections(session, &reply)
        case .multi, .exec, .discard: return try transaction(name, session, &reply)
        case .health: return health(&reply)
        case .stats: return try stats(request, &reply)
        case .recall: return try recall(request, session, &reply)
        case .jobs: return try jobs(request, &reply)
        case .reshard, .compact: return try startJob(name, request, &reply)
        case .snapshot: return try snapshot(request, session, &reply)
        case .ping, .echo, .hello, .auth, .select, .quit, .reset, .client, .command, .config, .info,
            .acl, .slowlog, .memory, .latency, .dbsize, .time, .shutdown, .watch, .unwatch:
            reply.error("ERR the command is not carried out here")
            return .replied
        }
    }

    package func sessionClosed(_ session: Session) {
        if let cursors = session.attachment as? SessionCursors { cursors.closeAll() }
        session.attachment = nil
        cursorOwners[session.id] = nil
        slices.removeAll { $0.session === session }
    }

    package func endOfBatch() {
        context.endTransaction()
        guard !collected.isEmpty else { return }
        let requests = collected
        collected.removeAll(keepingCapacity: true)
        if engine.submit(requests) { return }
        let busy = EngineError(
            .busy, "", "too many writes wait", hint: "send it again a little later")
        for request in requests {
            if let ticket = request.ticket { finish(ticket.deferral, .failed(busy)) }
        }
    }

    // MARK: - Collections

    /// The collection that an argument names.
    func view(_ request: RequestFrame, _ index: Int = 1) throws(EngineError) -> CollectionView {
        let catalog = context.catalog
        let name = request.bytes(index)
        if let cachedView, cachedGeneration == catalog.generation, isCached(name) {
            return cachedView
        }
        let view = try context.collection(request.string(index))
        cachedName = [UInt8](name)
        cachedView = view
        cachedGeneration = catalog.generation
        return view
    }

    private func isCached(_ name: UnsafeRawBufferPointer) -> Bool {
        guard name.count == cachedName.count else { return false }
        for index in 0..<name.count where name[index] != cachedName[index] { return false }
        return true
    }

    /// Checks an id's bounds.
    func id(_ request: RequestFrame, _ index: Int) throws(EngineError) -> UnsafeRawBufferPointer {
        let id = request.bytes(index)
        try checkID(id)
        return id
    }

    func checkID(_ id: UnsafeRawBufferPointer) throws(EngineError) {
        guard id.count >= 1 else { throw EngineError(.invalid, "id", "has at least 1 byte") }
        guard id.count <= limits.idByteCountMax else {
            throw EngineError(
                .limit, "id", "at most \(limits.idByteCountMax) bytes, got \(id.count)")
        }
        guard isUTF8(id) else { throw EngineError(.invalid, "id", "is UTF-8") }
    }

    func checkID(_ id: [UInt8]) throws(EngineError) {
        let result = id.withUnsafeBytes { bytes in
            Result { () throws(EngineError) in try checkID(bytes) }
        }
        try result.get()
    }

    private func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var isASCII = true
        for byte in bytes where byte >= 0x80 {
            isASCII = false
            break
        }
        return isASCII || String(validating: bytes, as: UTF8.self) != nil
    }

    // MARK: - Slices

    /// Runs what waits for another slice, in turn, until none is left.
    func scheduleSlices() {
        guard !isSliceScheduled, !slices.isEmpty else { return }
        isSliceScheduled = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        // Not `execute`: a loop carries out what is due before it looks at its sockets again, and a
        // slice that asks for the next one would keep every other client waiting.
        loop.scheduleTask(in: Self.slicePause) { bound.value.runSlices() }
    }

    /// Long enough that the next slice is not due yet when the loop looks at its tasks again, also
    /// in a build that is not optimised.
    private static let slicePause = TimeAmount.microseconds(50)

    private func runSlices() {
        isSliceScheduled = false
        guard !slices.isEmpty else { return }
        let slice = slices.removeFirst()
        let deadline = Clock.monotonicNanoseconds() + Self.sliceNanoseconds
        if slice.run(deadline) { slices.append(slice) }
        context.endTransaction()
        scheduleSlices()
    }

    /// Adds a lookup to those that get slices. `run` says whether it needs more.
    func addSlice(_ session: Session?, _ run: @escaping (UInt64) -> Bool) {
        slices.append(LookupSlice(session: session, run: run))
        scheduleSlices()
    }
}

/// A handler that its timer does not keep alive.
private struct WeakHandler {
    weak var handler: DataHandler?

    init(_ handler: DataHandler) { self.handler = handler }
}

/// A lookup between two slices.
struct LookupSlice {
    let session: Session?
    let run: (_ deadline: UInt64) -> Bool
}
