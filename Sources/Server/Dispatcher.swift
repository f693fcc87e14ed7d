import Commands
import Glibc
import NIOCore
import Primitives
import RESP
import Synchronization

/// Decides what becomes of a request: refused, carried out here (Redis's own commands) or given to
/// the command handler. One per loop, confined to it.
final class Dispatcher {
    let loop: LoopContext
    let state: ServerState
    private let gates: [CommandGate]

    init(loop: LoopContext) {
        self.loop = loop
        state = loop.state
        gates = loop.gates
    }

    /// Carries out one request whose `commandIndex` is set.
    func dispatch(
        _ frame: RequestFrame,
        _ connection: Connection,
        _ reply: inout ReplyWriter
    ) -> Disposition {
        let session = connection.session
        let index = frame.commandIndex
        guard index >= 0 else { return unknown(frame, session, &reply) }
        let gate = gates[index]
        guard gate.accepts(frame.count) else {
            return refuse(session, index, &reply, "ERR \(Self.arityText(gate))")
        }
        if !gate.flags.contains(.noAuth) {
            guard session.isAuthenticated else {
                return refuse(session, index, &reply, "NOAUTH Authentication required.")
            }
            if let problem = rightsProblem(frame, session, gate) {
                return refuse(session, index, &reply, problem)
            }
        }
        let isLoading = state.isLoading.load(ordering: .relaxed)
        if isLoading, !gate.flags.contains(.loading) {
            let reason = state.hooks.notReadyReason() ?? "the data directory is being opened"
            return refuse(session, index, &reply, "LOADING \(reason)")
        }
        if session.transaction != nil, !gate.flags.contains(.inMulti) {
            guard gate.flags.contains(.queued) else {
                return refuse(
                    session,
                    index,
                    &reply,
                    "ERR Command '\(gate.name)' not allowed inside a transaction"
                )
            }
            return loop.handler.handle(frame, session: session, reply: &reply)
        }
        guard gate.flags.contains(.server) else {
            return loop.handler(isLoading: isLoading)
                .handle(frame, session: session, reply: &reply)
        }
        return administer(gate.name, frame, connection, &reply)
    }

    private static func arityText(_ gate: CommandGate) -> String {
        "wrong number of arguments for '\(gate.name)' command"
    }

    private func refuse(
        _ session: Session,
        _ index: Int,
        _ reply: inout ReplyWriter,
        _ text: String
    ) -> Disposition {
        if session.transaction != nil { session.transactionIsBroken = true }
        loop.metrics.reject(index)
        reply.error(text)
        return .replied
    }

    private func unknown(
        _ frame: RequestFrame,
        _ session: Session,
        _ reply: inout ReplyWriter
    ) -> Disposition {
        // A browser was made to send a request here: nothing of it may be carried out.
        if frame.equals(0, "POST") || frame.equals(0, "Host:") {
            reply.error("ERR this is not an HTTP port")
            return .close
        }
        if session.transaction != nil { session.transactionIsBroken = true }
        var text = "ERR unknown command '\(clipped(frame, 0))', with args beginning with: "
        for index in 1..<max(1, frame.count) where text.utf8.count < 256 {
            text += "'\(clipped(frame, index))' "
        }
        reply.error(text)
        return .replied
    }

    private func clipped(_ frame: RequestFrame, _ index: Int) -> String {
        String(decoding: frame.bytes(index).prefix(128), as: UTF8.self)
    }

    // MARK: - Rights

    /// Why the user may not run this request; `nil` if it may.
    @inline(__always)
    private func rightsProblem(
        _ frame: RequestFrame,
        _ session: Session,
        _ gate: CommandGate
    ) -> String? {
        let rights = session.rights
        if rights.allows(command: frame.commandIndex) {
            if rights.allowsAllCollections || gate.collections == .none { return nil }
            if allows(rights, frame, 0, gate) { return nil }
            note("key", frame.count > 1 ? clipped(frame, 1) : "", session)
            return "NOPERM No permissions to access the collection"
        }
        // Everybody may know who they are.
        if gate.name == .acl, frame.count == 2, frame.equals(1, "WHOAMI") { return nil }
        note("command", "\(gate.name)", session)
        return "NOPERM User \(session.user) has no permissions to run the '\(gate.name)' command"
    }

    /// Whether `rights` cover the collections of the command at argument `verb`.
    func allows(
        _ rights: AccessRights,
        _ frame: RequestFrame,
        _ verb: Int,
        _ gate: CommandGate
    ) -> Bool {
        let write = gate.flags.contains(.write)
        func covers(_ index: Int) -> Bool {
            guard index < frame.count else { return true }
            let name = frame.string(index)
            let own = state.hooks.canonicalCollection(name) ?? name
            return rights.allows(collection: own, write: write)
        }
        switch gate.collections {
        case .none: return true
        case .first: return covers(verb + 1)
        case .firstAndFrom, .firstAndIn:
            // Whatever stands behind that word, be it an option or a value: too careful at worst.
            let isIn = gate.collections == .firstAndIn
            for index in verb + 2..<max(verb + 2, frame.count)
            where isIn ? frame.equals(index, "IN") : frame.equals(index, "FROM") {
                if !covers(index + 1) { return false }
            }
            return covers(verb + 1)
        case .firstTwo:
            guard verb + 1 < frame.count else { return true }
            // The first is a name to be pointed elsewhere: its own rights count, not its target's.
            return rights.allows(collection: frame.bytes(verb + 1), write: true)
                && covers(verb + 2)
        case .nested:
            var inner = verb + 1
            if inner + 1 < frame.count, frame.equals(inner, "AS") { inner += 2 }
            guard inner < frame.count else { return true }
            let index = loop.table.index(of: frame.bytes(inner))
            guard index >= 0, gates[index].collections != .nested else { return true }
            return rights.allows(command: index) && allows(rights, frame, inner, gates[index])
        }
    }

    func note(_ reason: String, _ object: String, _ session: Session, user: String? = nil) {
        let name = user ?? session.user
        state.accessLog.withLock {
            $0.note(
                reason: reason,
                object: object,
                userName: name,
                client: "id=\(session.id) addr=\(session.address) name=\(session.name)",
                now: LoopContext.now()
            )
        }
    }

    // MARK: - Redis's commands

    private func administer(
        _ name: CommandName,
        _ frame: RequestFrame,
        _ connection: Connection,
        _ reply: inout ReplyWriter
    ) -> Disposition {
        let session = connection.session
        switch name {
        case .ping: return ping(frame, &reply)
        case .echo: reply.bulk(frame.bytes(1))
        case .hello: hello(frame, session, &reply)
        case .auth: authenticate(frame, session, &reply)
        case .select:
            frame.equals(1, "0") ? reply.ok() : reply.error("ERR DB index is out of range")
        case .quit:
            reply.ok()
            return .close
        case .reset: reset(session, &reply)
        case .client: return client(frame, connection, &reply)
        case .command: command(frame, &reply)
        case .config: return config(frame, session, &reply)
        case .info: return info(frame, session)
        case .acl: accessList(frame, session, &reply)
        case .slowlog: slowlog(frame, &reply)
        case .memory: memory(frame, session, &reply)
        case .latency: return latency(frame, session, &reply)
        case .dbsize: reply.integer(state.hooks.documentCount())
        case .time:
            let now = WallClock.time
            reply.array(2)
            reply.bulkInteger(Int64(now.tv_sec))
            reply.bulkInteger(Int64(now.tv_nsec / 1_000))
        case .shutdown: shutdown(frame, &reply)
        case .watch: reply.error("ERR use IF or VERSION")
        case .unwatch: reply.ok()
        case .create, .alter, .drop, .describe, .collections, .alias, .put, .patch, .fetch, .mfetch,
            .remove, .export, .find, .count, .similar, .recommend, .nearby, .within, .cover,
            .delivers, .explain, .more, .multi, .exec, .discard, .health, .stats, .recall, .jobs,
            .reshard, .compact, .snapshot:
            preconditionFailure("the command handler's command")
        }
        return .replied
    }

    private func ping(_ frame: RequestFrame, _ reply: inout ReplyWriter) -> Disposition {
        switch frame.count {
        case 1: reply.simple("PONG")
        case 2: reply.bulk(frame.bytes(1))
        default: reply.error("ERR wrong number of arguments for 'ping' command")
        }
        return .replied
    }
}
