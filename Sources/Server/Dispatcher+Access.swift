import Commands
import Glibc
import Primitives
import RESP
import Synchronization

/// `ACL`.
extension Dispatcher {
    func accessList(_ frame: RequestFrame, _ session: Session, _ reply: inout ReplyWriter) {
        switch frame.string(1).uppercased() {
        case "WHOAMI" where frame.count == 2: reply.bulk(session.user)
        case "USERS" where frame.count == 2: list(state.access.names, &reply)
        case "LIST" where frame.count == 2: list(state.access.lines, &reply)
        case "CAT" where frame.count <= 3: categories(frame, &reply)
        case "GENPASS" where frame.count <= 3: generatePassword(frame, &reply)
        case "SETUSER" where frame.count >= 3: setUser(frame, &reply)
        case "GETUSER" where frame.count == 3: getUser(frame, &reply)
        case "DELUSER" where frame.count >= 3: removeUsers(frame, &reply)
        case "DRYRUN" where frame.count >= 4: dryRun(frame, &reply)
        case "SAVE" where frame.count == 2:
            state.hooks.saveAccounts(state.access.encoded())
                ? reply.ok() : reply.error("ERR the users could not be saved")
        case "LOAD" where frame.count == 2: load(&reply)
        case "LOG" where frame.count <= 3: log(frame, &reply)
        default: help("acl", frame, &reply)
        }
    }

    private func list(_ words: [String], _ reply: inout ReplyWriter) {
        reply.array(words.count)
        for word in words { reply.bulk(word) }
    }

    private func categories(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        guard frame.count == 3 else { return list(AccessStore.categories, &reply) }
        guard let members = AccessStore.members(of: frame.string(2).lowercased()) else {
            return reply.error("ERR Unknown category '\(frame.string(2))'")
        }
        list(members.map { CommandTable.shared.specs[$0].title }, &reply)
    }

    private func generatePassword(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        let bits = frame.count == 3 ? frame.integer(2) : 256
        guard let bits, bits > 0, bits <= 4_096 else {
            return reply.error(
                "ERR ACL GENPASS argument must be the number of bits for the output password, a "
                    + "positive number up to 4096"
            )
        }
        // The system's generator is cryptographic; it is not part of anything reproducible here.
        var generator = SystemRandomNumberGenerator()
        let digits = (0..<Int(bits + 3) / 4).map { _ in
            String(Int(generator.next() & 15), radix: 16)
        }
        reply.bulk(digits.joined())
    }

    private func setUser(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        let name = frame.string(2)
        guard !name.isEmpty, !name.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            return reply.error("ERR Usernames can't contain spaces or null characters")
        }
        let rules = (3..<max(3, frame.count)).map { frame.string($0) }
        guard !rules.contains(where: { $0.utf8.contains { $0 <= 0x20 } }) else {
            return reply.error("ERR rules can't contain spaces")
        }
        do throws(AccessStore.RuleError) {
            try state.access.setUser(name, rules: rules)
        } catch {
            guard case .rule(let rule, let reason) = error else { return }
            let shown = rule.hasPrefix(">") ? ">…" : rule
            return reply.error("ERR Error in ACL SETUSER modifier '\(shown)': \(reason)")
        }
        usersChanged()
        reply.ok()
    }

    /// Every session of every loop takes up the rights of its user; sessions of users that are gone
    /// or off are closed.
    private func usersChanged() {
        Self.refreshRights(loop)
        let own = loop.index
        state.broadcast { if $0.index != own { Self.refreshRights($0) } }
    }

    private static func refreshRights(_ loop: LoopContext) {
        for connection in Array(loop.connections.values) where connection.session.isAuthenticated {
            if let rights = loop.state.access.rights(of: connection.session.user) {
                connection.session.rights = rights
            } else {
                connection.closeNow(reason: "user removed")
            }
        }
    }

    private func getUser(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        guard let user = state.access.user(frame.string(2)) else { return reply.null() }
        var flags = [user.isEnabled ? "on" : "off"]
        if user.hasNoPassword { flags.append("nopass") }
        reply.map(6)
        reply.bulk("flags")
        reply.set(flags.count)
        for flag in flags { reply.bulk(flag) }
        reply.bulk("passwords")
        list(user.passwords, &reply)
        reply.bulk("commands")
        reply.bulk(user.commandRules.joined(separator: " "))
        reply.bulk("keys")
        reply.bulk(user.patterns.map(AccessStore.text).joined(separator: " "))
        reply.bulk("channels")
        reply.bulk("")
        reply.bulk("selectors")
        reply.array(0)
    }

    private func removeUsers(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        let names = (2..<frame.count).map { frame.string($0) }
        guard !names.contains("default") else {
            return reply.error("ERR The 'default' user cannot be removed")
        }
        var count = 0
        for name in names where state.access.removeUser(name) { count += 1 }
        usersChanged()
        reply.integer(count)
    }

    private func dryRun(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        guard let user = state.access.user(frame.string(2)) else {
            return reply.error("ERR User '\(frame.string(2))' not found")
        }
        let index = loop.table.index(of: frame.bytes(3))
        guard index >= 0 else {
            return reply.error("ERR Command '\(frame.string(3))' not found")
        }
        let gate = loop.gates[index]
        guard gate.accepts(frame.count - 3) else {
            return reply.error("ERR wrong number of arguments for '\(gate.name)' command")
        }
        let rights = user.rights
        if !rights.allows(command: index) {
            reply.bulk("User \(user.name) has no permissions to run the '\(gate.name)' command")
        } else if !allows(rights, frame, 3, gate) {
            reply.bulk("User \(user.name) has no permissions to access the collection")
        } else {
            reply.ok()
        }
    }

    private func load(_ reply: inout ReplyWriter) {
        guard let bytes = state.hooks.loadAccounts() else {
            return reply.error("ERR no users were saved")
        }
        do throws(AccessStore.RuleError) {
            try state.access.decode(bytes)
        } catch {
            return reply.error("ERR the saved users cannot be read")
        }
        usersChanged()
        reply.ok()
    }

    private func log(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        if frame.count == 3, frame.equals(2, "RESET") {
            state.accessLog.withLock { $0.removeAll() }
            return reply.ok()
        }
        guard let count = frame.count == 3 ? frame.integer(2) : 10, count >= 0 else {
            return reply.error("ERR value is out of range, must be positive")
        }
        let now = LoopContext.now()
        let entries = state.accessLog.withLock { $0.entries }.prefix(Int(clamping: count))
        reply.array(entries.count)
        for entry in entries {
            reply.map(8)
            reply.bulk("count")
            reply.integer(entry.count)
            reply.bulk("reason")
            reply.bulk(entry.reason)
            reply.bulk("context")
            reply.bulk("toplevel")
            reply.bulk("object")
            reply.bulk(entry.object)
            reply.bulk("username")
            reply.bulk(entry.userName)
            reply.bulk("age-seconds")
            reply.double(Double((now &- entry.createdAt) / 1_000_000) / 1_000)
            reply.bulk("client-info")
            reply.bulk(entry.client)
            reply.bulk("entry-id")
            reply.integer(entry.id)
        }
    }
}
