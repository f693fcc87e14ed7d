import Commands
import Primitives
import Synchronization

/// The users and what each may do. Shared by all loops behind a lock that requests do not take:
/// they use the immutable ``AccessRights`` of their session.
package final class AccessStore: Sendable {
    /// Why a rule or a list of users is refused; carries the text of the reply without `ERR`.
    package enum RuleError: Error, Equatable, Sendable {
        /// A rule of `ACL SETUSER` is malformed.
        case rule(String, reason: String)
        /// A line of a saved list is malformed.
        case line(Int)
    }

    /// One user as the rules made it.
    struct User: Sendable, Equatable {
        var name: String
        var isEnabled = false
        var hasNoPassword = false
        /// SHA-256 as hexadecimal digits.
        var passwords: [String] = []
        var commands = AccessRights.CommandBits()
        /// How ``commands`` came about, for `ACL LIST`.
        var commandRules = ["-@all"]
        var patterns: [AccessRights.Pattern] = []

        var rights: AccessRights {
            AccessRights(userName: name, commands: commands, patterns: patterns)
        }
    }

    private let users: Guarded<[String: User]>

    /// Only the user `default`: everything allowed; with `password` empty, without asking for one.
    package init(password: String = "") {
        var user = User(name: "default", isEnabled: true)
        for rule in ["allkeys", "allcommands", password.isEmpty ? "nopass" : ">\(password)"] {
            try? Self.apply(rule, to: &user)
        }
        users = Guarded(["default": user])
    }

    /// Rights of a client that has not authenticated; `nil` if it must.
    func initialRights() -> AccessRights? {
        users.withLock { users in
            guard let user = users["default"], user.isEnabled, user.hasNoPassword else {
                return nil
            }
            return user.rights
        }
    }

    /// Whether clients are let in without a password.
    var isOpen: Bool { initialRights() != nil }

    /// The rights of `name`, if the password is right and the user enabled.
    func authenticate(name: String, password: UnsafeRawBufferPointer) -> AccessRights? {
        let hash = SHA256.hex(password)
        return users.withLock { users in
            guard let user = users[name], user.isEnabled else { return nil }
            // Every hash is compared in full: the time tells nothing about the stored ones.
            var matches = user.hasNoPassword
            for stored in user.passwords where Self.same(stored, hash) { matches = true }
            return matches ? user.rights : nil
        }
    }

    private static func same(_ a: String, _ b: String) -> Bool {
        guard a.utf8.count == b.utf8.count else { return false }
        var difference: UInt8 = 0
        for (x, y) in zip(a.utf8, b.utf8) { difference |= x ^ y }
        return difference == 0
    }

    /// The current rights of `name`; `nil` if there is no such user or it is off.
    func rights(of name: String) -> AccessRights? {
        users.withLock { $0[name].flatMap { $0.isEnabled ? $0.rights : nil } }
    }

    func user(_ name: String) -> User? { users.withLock { $0[name] } }

    var names: [String] { users.withLock { $0.keys.sorted() } }

    /// Creates or changes a user; all rules apply, or none.
    func setUser(_ name: String, rules: [String]) throws(RuleError) {
        var user = self.user(name) ?? User(name: name)
        for rule in rules { try Self.apply(rule, to: &user) }
        users.withLock { $0[name] = user }
    }

    /// Whether there was such a user. `default` cannot be removed.
    func removeUser(_ name: String) -> Bool {
        users.withLock { $0.removeValue(forKey: name) != nil }
    }

    // MARK: - As text

    /// All users as lines of rules, sorted by name: what ``ServerHooks/saveAccounts`` is given.
    package func encoded() -> [UInt8] { Array(lines.joined(separator: "\n").utf8) }

    var lines: [String] {
        users.withLock { users in
            users.values.sorted { $0.name < $1.name }.map(Self.line)
        }
    }

    /// Replaces all users by those of ``encoded()``; nothing changes on an error.
    /// - Throws: ``RuleError/line(_:)``.
    package func decode(_ bytes: [UInt8]) throws(RuleError) {
        var loaded: [String: User] = [:]
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        for (index, line) in lines.enumerated() {
            let words = line.split(separator: " ").map(String.init)
            guard words.count >= 2, words[0] == "user" else { throw .line(index + 1) }
            var user = User(name: words[1])
            for rule in words.dropFirst(2) {
                do throws(RuleError) { try Self.apply(rule, to: &user) } catch {
                    throw .line(index + 1)
                }
            }
            loaded[user.name] = user
        }
        guard loaded["default"] != nil else { throw .line(0) }
        users.withLock { $0 = loaded }
    }

    static func line(_ user: User) -> String {
        var words = ["user", user.name, user.isEnabled ? "on" : "off"]
        if user.hasNoPassword { words.append("nopass") }
        words += user.passwords.map { "#\($0)" }
        words += user.patterns.map(text)
        return (words + user.commandRules).joined(separator: " ")
    }

    static func text(_ pattern: AccessRights.Pattern) -> String {
        let prefix =
            pattern.canRead && pattern.canWrite ? "~" : pattern.canRead ? "%R~" : "%W~"
        return prefix + String(decoding: pattern.glob, as: UTF8.self)
    }

    // MARK: - Rules

    static let categories = [
        "keyspace", "read", "write", "admin", "fast", "slow", "dangerous", "connection",
        "transaction",
    ]

    /// Indexes of the commands in a category; `nil` if there is none of that name.
    static func members(of category: String) -> [Int]? {
        let specs = CommandTable.shared.specs
        if category == "all" { return Array(specs.indices) }
        guard categories.contains(category) else { return nil }
        return specs.indices.filter { specs[$0].categories.contains(category) }
    }

    /// Applies one rule of `ACL SETUSER`.
    static func apply(_ rule: String, to user: inout User) throws(RuleError) {
        switch rule.lowercased() {
        case "on": user.isEnabled = true
        case "off": user.isEnabled = false
        case "nopass":
            user.hasNoPassword = true
            user.passwords = []
        case "resetpass":
            user.hasNoPassword = false
            user.passwords = []
        case "allkeys": try apply("~*", to: &user)
        case "resetkeys": user.patterns = []
        case "allcommands": try apply("+@all", to: &user)
        case "nocommands": try apply("-@all", to: &user)
        case "allchannels", "resetchannels", "sanitize-payload", "skip-sanitize-payload",
            "clearselectors":
            break
        case "reset": user = User(name: user.name)
        default: try applyMarked(rule, to: &user)
        }
    }

    private static func applyMarked(_ rule: String, to user: inout User) throws(RuleError) {
        guard let marker = rule.first else { throw .rule(rule, reason: "Syntax error") }
        let rest = String(rule.dropFirst())
        switch marker {
        case ">":
            let hash = SHA256.hex(rest.utf8)
            if !user.passwords.contains(hash) { user.passwords.append(hash) }
            user.hasNoPassword = false
        case "<":
            let hash = SHA256.hex(rest.utf8)
            guard user.passwords.contains(hash) else {
                throw .rule(
                    "<…",
                    reason: "The password you are trying to remove from the user does not exist"
                )
            }
            user.passwords.removeAll { $0 == hash }
        case "#", "!":
            guard rest.utf8.count == 64, rest.allSatisfy({ $0.isHexDigit && !$0.isUppercase })
            else {
                throw .rule(
                    "\(marker)…",
                    reason:
                        "The password hash must be exactly 64 characters and contain only "
                        + "lowercase hexadecimal characters"
                )
            }
            user.passwords.removeAll { $0 == rest }
            if marker == "#" {
                user.passwords.append(rest)
                user.hasNoPassword = false
            }
        case "~": addPattern(rest, read: true, write: true, to: &user)
        case "%":
            let parts = rest.split(separator: "~", maxSplits: 1, omittingEmptySubsequences: false)
            let access = parts[0].uppercased()
            guard parts.count == 2, ["R", "W", "RW", "WR"].contains(access) else {
                throw .rule(rule, reason: "Syntax error")
            }
            addPattern(
                String(parts[1]),
                read: access.contains("R"),
                write: access.contains("W"),
                to: &user
            )
        case "&": break
        case "+", "-": try applyCommand(rule, rest.lowercased(), adds: marker == "+", to: &user)
        default: throw .rule(rule, reason: "Syntax error")
        }
    }

    private static func addPattern(
        _ glob: String,
        read: Bool,
        write: Bool,
        to user: inout User
    ) {
        let pattern = AccessRights.Pattern(
            glob: Array(glob.utf8),
            canRead: read,
            canWrite: write
        )
        if !user.patterns.contains(pattern) { user.patterns.append(pattern) }
    }

    private static func applyCommand(
        _ rule: String,
        _ name: String,
        adds: Bool,
        to user: inout User
    ) throws(RuleError) {
        var indexes: [Int]
        if name.hasPrefix("@") {
            guard let members = members(of: String(name.dropFirst())) else {
                throw .rule(rule, reason: "Unknown command or category name in ACL")
            }
            indexes = members
        } else {
            guard let spec = CommandTable.shared.spec(named: name) else {
                throw .rule(rule, reason: "Unknown command or category name in ACL")
            }
            indexes = [spec.name.rawValue]
        }
        for index in indexes { user.commands[index] = adds }
        let text = (adds ? "+" : "-") + name
        if name == "@all" { user.commandRules = [] }
        user.commandRules.removeAll { $0.dropFirst() == name }
        user.commandRules.append(text)
    }
}
