import Commands
import NIOCore
import RESP
import Synchronization

/// `HELLO AUTH RESET CLIENT`.
extension Dispatcher {
    static let version = "1.0.0"

    func hello(_ frame: RequestFrame, _ session: Session, _ reply: inout ReplyWriter) {
        var protocolVersion = session.isRESP3 ? 3 : 2
        var index = 1
        if frame.count > 1 {
            guard let wanted = frame.integer(1) else {
                return reply.error("ERR Protocol version is not an integer or out of range")
            }
            guard wanted == 2 || wanted == 3 else {
                return reply.error("NOPROTO unsupported protocol version")
            }
            protocolVersion = Int(wanted)
            index = 2
        }
        var name: String?
        var rights: AccessRights?
        while index < frame.count {
            if frame.equals(index, "AUTH"), index + 2 < frame.count {
                rights = state.access.authenticate(
                    name: frame.string(index + 1),
                    password: frame.bytes(index + 2)
                )
                guard rights != nil else {
                    return refuseAuthentication(frame.string(index + 1), session, &reply)
                }
                index += 3
            } else if frame.equals(index, "SETNAME"), index + 1 < frame.count {
                let wanted = frame.string(index + 1)
                guard Self.isClientName(wanted) else { return reply.error(Self.nameText) }
                name = wanted
                index += 2
            } else {
                return reply.error("ERR Syntax error in HELLO option '\(frame.string(index))'")
            }
        }
        guard session.isAuthenticated || rights != nil else {
            return reply.error(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
                    + "HELLO <proto> AUTH <user> <pass> option can be used to authenticate the "
                    + "client and select the RESP protocol version at the same time"
            )
        }
        if let rights { adopt(rights, session) }
        if let name { session.name = name }
        session.isRESP3 = protocolVersion == 3
        reply.isRESP3 = session.isRESP3
        reply.map(7)
        reply.bulk("server")
        reply.bulk("aisle")
        reply.bulk("version")
        reply.bulk(Self.version)
        reply.bulk("proto")
        reply.integer(protocolVersion)
        reply.bulk("id")
        reply.integer(Int64(session.id))
        reply.bulk("mode")
        reply.bulk("standalone")
        reply.bulk("role")
        reply.bulk("master")
        reply.bulk("modules")
        reply.array(0)
    }

    func authenticate(_ frame: RequestFrame, _ session: Session, _ reply: inout ReplyWriter) {
        guard frame.count <= 3 else { return reply.error("ERR syntax error") }
        let name = frame.count == 3 ? frame.string(1) : "default"
        if frame.count == 2, state.access.isOpen {
            return reply.error(
                "ERR AUTH <password> called without any password configured for the default user. "
                    + "Are you sure your configuration is correct?"
            )
        }
        guard
            let rights = state.access.authenticate(
                name: name,
                password: frame.bytes(frame.count - 1)
            )
        else { return refuseAuthentication(name, session, &reply) }
        adopt(rights, session)
        reply.ok()
    }

    private func refuseAuthentication(
        _ name: String,
        _ session: Session,
        _ reply: inout ReplyWriter
    ) {
        note("auth", "AUTH", session, user: name)
        reply.error("WRONGPASS invalid username-password pair or user is disabled.")
    }

    private func adopt(_ rights: AccessRights, _ session: Session) {
        session.rights = rights
        session.isAuthenticated = true
    }

    func reset(_ session: Session, _ reply: inout ReplyWriter) {
        session.transaction = nil
        session.transactionIsBroken = false
        session.name = ""
        session.noEvict = false
        session.noTouch = false
        session.isRESP3 = false
        reply.isRESP3 = false
        let rights = state.access.initialRights()
        session.rights = rights ?? .none
        session.isAuthenticated = rights != nil
        reply.simple("RESET")
    }

    // MARK: - CLIENT

    private static let nameText =
        "ERR Client names cannot contain spaces, newlines or special characters."

    private static func isClientName(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    func client(
        _ frame: RequestFrame,
        _ connection: Connection,
        _ reply: inout ReplyWriter
    ) -> Disposition {
        let session = connection.session
        if frame.equals(1, "LIST") { return clientList(frame, session, &reply) }
        if frame.equals(1, "KILL") { return clientKill(frame, connection, &reply) }
        if frame.equals(1, "ID"), frame.count == 2 {
            reply.integer(Int64(session.id))
        } else if frame.equals(1, "INFO"), frame.count == 2 {
            reply.verbatim(
                ClientLine(connection, now: LoopContext.now()).text + "\n"
            )
        } else if frame.equals(1, "GETNAME"), frame.count == 2 {
            session.name.isEmpty ? reply.null() : reply.bulk(session.name)
        } else if frame.equals(1, "SETNAME"), frame.count == 3 {
            let name = frame.string(2)
            guard Self.isClientName(name) else {
                reply.error(Self.nameText)
                return .replied
            }
            session.name = name
            reply.ok()
        } else if frame.equals(1, "SETINFO"), frame.count == 4 {
            setInfo(frame, session, &reply)
        } else if frame.equals(1, "NO-EVICT") || frame.equals(1, "NO-TOUCH"), frame.count == 3 {
            guard frame.equals(2, "on") || frame.equals(2, "off") else {
                reply.error("ERR syntax error")
                return .replied
            }
            if frame.equals(1, "NO-EVICT") {
                session.noEvict = frame.equals(2, "on")
            } else {
                session.noTouch = frame.equals(2, "on")
            }
            reply.ok()
        } else if frame.equals(1, "TRACKING") || frame.equals(1, "REPLY")
            || frame.equals(1, "PAUSE") || frame.equals(1, "UNPAUSE")
        {
            reply.error("ERR CLIENT \(frame.string(1).uppercased()) is not supported")
        } else {
            help("client", frame, &reply)
        }
        return .replied
    }

    private func setInfo(
        _ frame: RequestFrame,
        _ session: Session,
        _ reply: inout ReplyWriter
    ) {
        let value = frame.string(3)
        guard Self.isClientName(value) else {
            return reply.error(
                "ERR \(frame.string(2)) cannot contain spaces, newlines or special characters."
            )
        }
        if frame.equals(2, "LIB-NAME") {
            session.libraryName = value
        } else if frame.equals(2, "LIB-VER") {
            session.libraryVersion = value
        } else {
            return reply.error("ERR Unrecognized option '\(frame.string(2))'")
        }
        reply.ok()
    }

    private func clientList(
        _ frame: RequestFrame,
        _ session: Session,
        _ reply: inout ReplyWriter
    ) -> Disposition {
        var ids: Set<UInt64>?
        if frame.count > 3, frame.equals(2, "ID") {
            ids = []
            for index in 3..<frame.count {
                guard let id = frame.integer(index), id > 0 else {
                    reply.error("ERR Invalid client ID")
                    return .replied
                }
                ids?.insert(UInt64(id))
            }
        } else if frame.count == 4, frame.equals(2, "TYPE") {
            let known = ["normal", "master", "replica", "pubsub"]
            guard known.contains(frame.string(3).lowercased()) else {
                reply.error("ERR Unknown client type '\(frame.string(3))'")
                return .replied
            }
            if !frame.equals(3, "normal") { ids = [] }
        } else if frame.count != 2 {
            reply.error("ERR syntax error")
            return .replied
        }
        let wanted = ids
        return gather(session) { context in
            let now = LoopContext.now()
            return context.connections.values
                .filter { wanted?.contains($0.session.id) ?? true }
                .map { ClientLine($0, now: now) }
        } reply: { lines, writer in
            let sorted = lines.joined().sorted { $0.id < $1.id }
            writer.verbatim(sorted.map { $0.text + "\n" }.joined())
        }
    }

    private func clientKill(
        _ frame: RequestFrame,
        _ connection: Connection,
        _ reply: inout ReplyWriter
    ) -> Disposition {
        let session = connection.session
        guard var filter = ClientFilter(frame) else {
            reply.error("ERR syntax error")
            return .replied
        }
        let isOldForm = frame.count == 3
        if isOldForm { filter.skipsSelf = false }
        let own = session.id
        let chosen = filter
        return gather(session) { context in
            var count = 0
            for other in Array(context.connections.values)
            where chosen.matches(other) && !(chosen.skipsSelf && other.session.id == own) {
                count += 1
                // One's own connection closes behind the reply.
                if other.session.id == own {
                    other.closeAfterReplies()
                } else {
                    other.closeNow(reason: "CLIENT KILL")
                }
            }
            return count
        } reply: { counts, writer in
            let total = counts.reduce(0, +)
            if !isOldForm {
                writer.integer(total)
            } else if total > 0 {
                writer.ok()
            } else {
                writer.error("ERR No such client")
            }
        }
    }

    // MARK: - Shared

    /// Asks every loop, then answers `session`.
    func gather<Result: Sendable>(
        _ session: Session,
        _ body: @escaping @Sendable (LoopContext) -> Result,
        reply: @escaping @Sendable ([Result], inout ReplyWriter) -> Void
    ) -> Disposition {
        let place = session.makeDeferral()
        let bound = NIOLoopBound(session, eventLoop: loop.loop)
        state.gather(home: loop, body) { results in
            bound.value.fulfil(place) { reply(results, &$0) }
        }
        return .deferredRead
    }

    /// `HELP`, or the error for a subcommand that does not exist.
    func help(_ command: String, _ frame: RequestFrame, _ reply: inout ReplyWriter) {
        guard frame.count == 2, frame.equals(1, "HELP"),
            let spec = CommandTable.shared.spec(named: command)
        else {
            return reply.error(
                "ERR unknown subcommand or wrong number of arguments for '\(frame.string(1))'. "
                    + "Try \(command.uppercased()) HELP."
            )
        }
        reply.array(spec.subcommands.count + 1)
        reply.bulk("\(command.uppercased()) <subcommand>. Subcommands are:")
        for line in spec.subcommands { reply.bulk(line) }
    }
}

/// One line of `CLIENT LIST`.
struct ClientLine: Sendable {
    let id: UInt64
    let text: String

    init(_ connection: Connection, now: UInt64) {
        let session = connection.session
        let buffered = connection.bufferedByteCount
        let specs = CommandTable.shared.specs
        let command = session.lastCommandIndex
        id = session.id
        func seconds(_ start: UInt64) -> UInt64 { now > start ? (now - start) / 1_000_000_000 : 0 }
        text =
            "id=\(session.id) addr=\(session.address) laddr=\(session.localAddress) "
            + "name=\(session.name) age=\(seconds(session.openedAt)) "
            + "idle=\(seconds(session.lastActiveAt)) "
            + "flags=\(session.transaction != nil ? "x" : "N") db=0 "
            + "qbuf=\(buffered.input) obl=\(buffered.output) "
            + "tot-cmds=\(session.requestCount) waiting=\(session.outstandingCount) "
            + "cmd=\(command >= 0 ? specs[command].title : "NULL") user=\(session.user) "
            + "lib-name=\(session.libraryName) lib-ver=\(session.libraryVersion) "
            + "resp=\(session.isRESP3 ? 3 : 2) loop=\(connection.loop.index)"
    }
}

/// The filters of `CLIENT KILL`.
struct ClientFilter: Sendable {
    private var id: UInt64?
    private var address: String?
    private var localAddress: String?
    private var user: String?
    private var isNormal = true
    private var maxAgeSeconds: UInt64?
    var skipsSelf = true

    init?(_ frame: RequestFrame) {
        guard frame.count >= 3 else { return nil }
        if frame.count == 3 {
            address = frame.string(2)
            return
        }
        guard frame.count % 2 == 0 else { return nil }
        for index in stride(from: 2, to: frame.count, by: 2) {
            let value = frame.string(index + 1)
            switch frame.string(index).uppercased() {
            case "ID":
                guard let number = UInt64(value) else { return nil }
                id = number
            case "ADDR": address = value
            case "LADDR": localAddress = value
            case "USER": user = value
            case "TYPE": isNormal = value.lowercased() == "normal"
            case "MAXAGE":
                guard let number = UInt64(value) else { return nil }
                maxAgeSeconds = number
            case "SKIPME":
                guard ["yes", "no"].contains(value.lowercased()) else { return nil }
                skipsSelf = value.lowercased() == "yes"
            default: return nil
            }
        }
    }

    func matches(_ connection: Connection) -> Bool {
        let session = connection.session
        let age = (LoopContext.now() &- session.openedAt) / 1_000_000_000
        return isNormal && id.map { $0 == session.id } ?? true
            && address.map { $0 == session.address } ?? true
            && localAddress.map { $0 == session.localAddress } ?? true
            && user.map { $0 == session.user } ?? true
            && maxAgeSeconds.map { age >= $0 } ?? true
    }
}
