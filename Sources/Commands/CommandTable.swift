/// Every command, by its index in the table. `request.commandIndex` is the raw value.
package enum CommandName: Int, CaseIterable, Sendable {
    // Data verbs, in the order of the reference page.
    case create, alter, drop, describe, collections, alias
    case put, patch, fetch, mfetch, remove, export
    case find, count, similar, recommend, nearby, within, cover, delivers, explain, more
    case multi, exec, discard
    case health, stats, recall, jobs, reshard, compact, snapshot
    // Names that Redis owns.
    case ping, echo, hello, auth, select, quit, reset
    case client, command, config, info, acl, slowlog, memory, latency
    case dbsize, time, shutdown, watch, unwatch
}

/// What a command does and when it may run.
package struct CommandFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Reads documents or schemas.
    package static let read = CommandFlags(rawValue: 1 << 0)
    /// Changes documents or schemas: may be handled while earlier writes are unanswered.
    package static let write = CommandFlags(rawValue: 1 << 1)
    /// Concerns the server rather than data.
    package static let admin = CommandFlags(rawValue: 1 << 2)
    /// Takes time that does not grow with the data.
    package static let fast = CommandFlags(rawValue: 1 << 3)
    /// Runs while the data directory is being opened.
    package static let loading = CommandFlags(rawValue: 1 << 4)
    /// Runs before the client has authenticated.
    package static let noAuth = CommandFlags(rawValue: 1 << 5)
    /// Is queued between `MULTI` and `EXEC`.
    package static let queued = CommandFlags(rawValue: 1 << 6)
    /// Runs at once even between `MULTI` and `EXEC`.
    package static let inMulti = CommandFlags(rawValue: 1 << 7)
    /// Carried out by the server itself, not by the command handler.
    package static let server = CommandFlags(rawValue: 1 << 8)
    /// Left out of the slow log's arguments: may carry passwords.
    package static let secret = CommandFlags(rawValue: 1 << 9)
    /// Can harm: a category of its own for access lists.
    package static let dangerous = CommandFlags(rawValue: 1 << 10)
}

/// The arguments that name a collection.
package enum CollectionArguments: Equatable, Sendable {
    /// None.
    case none
    /// The argument behind the verb.
    case first
    /// The two arguments behind the verb.
    case firstTwo
    /// The argument behind the verb, and the one behind the option `FROM`.
    case firstAndFrom
    /// The argument behind the verb, and the one behind the word `IN`.
    case firstAndIn
    /// Those of the lookup that follows, behind an optional `AS x`.
    case nested
}

/// One command, as data.
package struct CommandSpec: Sendable {
    /// An option and what it means.
    package struct Option: Sendable {
        package let syntax: StaticString
        package let meaning: StaticString
    }

    /// Its place in the table.
    package let name: CommandName
    /// In small letters, as `COMMAND` lists it.
    package let title: String
    /// Arguments with the verb: exactly this many, or at least `-arity`.
    package let arity: Int
    package let flags: CommandFlags
    package let collections: CollectionArguments
    /// Group of the reference page.
    package let group: String
    package let summary: String
    package let syntax: String
    package let complexity: String
    package let options: [Option]
    /// A request and its reply.
    package let example: (request: String, reply: String)
    package let subcommands: [String]
    /// First release with this command.
    package var since: String { "1.0" }

    /// Whether `count` arguments, the verb included, are acceptable.
    package func accepts(_ count: Int) -> Bool { arity >= 0 ? count == arity : count >= -arity }

    /// Whether whoever may read or write needs the command too: clients send it unasked, or it does
    /// nothing by itself.
    private var isForEverybody: Bool {
        switch name {
        case .client: false
        case .time, .command: true
        default: group == "connection" || group == "transactions"
        }
    }

    /// The access-list categories of the command, without the `@`.
    package var categories: [String] {
        var list: [String] = []
        if flags.contains(.read) || isForEverybody { list.append("read") }
        if flags.contains(.write) || group == "transactions" { list.append("write") }
        if flags.contains(.admin) { list.append("admin") }
        if flags.contains(.dangerous) { list.append("dangerous") }
        list.append(flags.contains(.fast) ? "fast" : "slow")
        if collections != .none { list.append("keyspace") }
        if group == "connection" { list.append("connection") }
        if group == "transactions" { list.append("transaction") }
        return list
    }
}

/// Finds commands by name, from raw bytes, in constant time and without allocating.
///
/// Names have at most 16 bytes: two words. The table is open addressing over those words; its size
/// and multiplier are fixed at start-up so that it is at most a quarter full.
package final class CommandTable: Sendable {
    private struct Entry: Sendable {
        var low: UInt64 = 0
        var high: UInt64 = 0
        var index = -1
    }

    /// The one table.
    package static let shared = CommandTable()

    /// The commands, by ``CommandName/rawValue``.
    package let specs: [CommandSpec]
    private let entries: [Entry]
    private let mask: Int

    private init() {
        var specs = CommandTable.dataCommands + CommandTable.adminCommands
        specs.sort { $0.name.rawValue < $1.name.rawValue }
        precondition(
            specs.map(\.name.rawValue) == Array(0..<CommandName.allCases.count),
            "every command has one specification"
        )
        var size = 64
        while size < specs.count * 4 { size *= 2 }
        var entries = [Entry](repeating: Entry(), count: size)
        for (index, spec) in specs.enumerated() {
            var title = spec.title
            let (low, high) = title.withUTF8 { Self.words(UnsafeRawBufferPointer($0)) }
            var slot = Self.hash(low, high) & (size - 1)
            while entries[slot].index >= 0 { slot = (slot + 1) & (size - 1) }
            entries[slot] = Entry(low: low, high: high, index: index)
        }
        self.specs = specs
        self.entries = entries
        mask = size - 1
    }

    /// The index of the command called `name`, whatever its letters' case; -1 if there is none.
    /// - Complexity: O(1), no allocation.
    package func index(of name: UnsafeRawBufferPointer) -> Int {
        guard !name.isEmpty, name.count <= 16 else { return -1 }
        let (low, high) = Self.words(name)
        var slot = Self.hash(low, high) & mask
        while true {
            let entry = entries[slot]
            if entry.index < 0 { return -1 }
            if entry.low == low, entry.high == high { return entry.index }
            slot = (slot + 1) & mask
        }
    }

    /// The command called `name`.
    package func spec(named name: String) -> CommandSpec? {
        var name = name
        let index = name.withUTF8 { self.index(of: UnsafeRawBufferPointer($0)) }
        return index < 0 ? nil : specs[index]
    }

    /// The specification of `name`.
    package subscript(_ name: CommandName) -> CommandSpec { specs[name.rawValue] }

    private static func hash(_ low: UInt64, _ high: UInt64) -> Int {
        let mixed = (low ^ (high &* 0x9E37_79B9_7F4A_7C15)) &* 0xD6E8_FEB8_6659_FD93
        return Int(truncatingIfNeeded: mixed >> 40)
    }

    /// The name's bytes, small, as two little-endian words padded with zeros.
    private static func words(_ name: UnsafeRawBufferPointer) -> (UInt64, UInt64) {
        var low: UInt64 = 0
        var high: UInt64 = 0
        for index in 0..<name.count {
            var byte = UInt64(name[index])
            if byte &- 0x41 < 26 { byte |= 0x20 }
            if index < 8 {
                low |= byte << (8 * UInt64(index))
            } else {
                high |= byte << (8 * UInt64(index - 8))
            }
        }
        return (low, high)
    }
}

extension CommandSpec {
    /// Shorthand of the tables below.
    init(
        _ name: CommandName,
        arity: Int,
        _ flags: CommandFlags,
        _ collections: CollectionArguments = .none,
        group: String,
        _ summary: String,
        syntax: String,
        complexity: String = "O(1)",
        options: [Option] = [],
        subcommands: [String] = [],
        example: (String, String)
    ) {
        self.name = name
        title = "\(name)"
        self.arity = arity
        self.flags = flags
        self.collections = collections
        self.group = group
        self.summary = summary
        self.syntax = syntax
        self.complexity = complexity
        self.options = options
        self.subcommands = subcommands
        self.example = (request: example.0, reply: example.1)
    }
}

extension CommandSpec.Option {
    init(_ syntax: StaticString, _ meaning: StaticString) {
        self.syntax = syntax
        self.meaning = meaning
    }
}
