import Commands
import Glibc
import NIOCore
import Primitives
import RESP
import Synchronization

/// `COMMAND CONFIG SLOWLOG MEMORY LATENCY SHUTDOWN`.
extension Dispatcher {
    // MARK: - COMMAND

    func command(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        let specs = CommandTable.shared.specs
        if frame.count == 1 {
            reply.array(specs.count)
            for spec in specs { describe(spec, &reply) }
        } else if frame.equals(1, "COUNT"), frame.count == 2 {
            reply.integer(specs.count)
        } else if frame.equals(1, "LIST"), frame.count == 2 {
            reply.array(specs.count)
            for spec in specs { reply.bulk(spec.title) }
        } else if frame.equals(1, "INFO") {
            let named = named(frame)
            reply.array(named.count)
            for spec in named {
                if let spec { describe(spec, &reply) } else { reply.nullArray() }
            }
        } else if frame.equals(1, "DOCS") {
            let known = named(frame).compactMap { $0 }
            reply.map(known.count)
            for spec in known { document(spec, &reply) }
        } else if frame.equals(1, "GETKEYS"), frame.count > 2 {
            getKeys(frame, &reply)
        } else {
            help("command", frame, &reply)
        }
    }

    private func named(_ frame: RequestFrame) -> [CommandSpec?] {
        guard frame.count > 2 else { return CommandTable.shared.specs }
        return (2..<frame.count).map { CommandTable.shared.spec(named: frame.string($0)) }
    }

    private func describe(_ spec: CommandSpec, _ reply: inout ReplyWriter) {
        var flags: [StaticString] = []
        if spec.flags.contains(.write) { flags.append("write") }
        if spec.flags.contains(.read) { flags.append("readonly") }
        if spec.flags.contains(.admin) { flags.append("admin") }
        if spec.flags.contains(.fast) { flags.append("fast") }
        if spec.flags.contains(.loading) { flags.append("loading") }
        if spec.flags.contains(.noAuth) { flags.append("no_auth") }
        let (first, last): (Int, Int) =
            switch spec.collections {
            case .none, .nested: (0, 0)
            case .first, .firstAndFrom, .firstAndIn: (1, 1)
            case .firstTwo: (1, 2)
            }
        reply.array(10)
        reply.bulk(spec.title)
        reply.integer(spec.arity)
        reply.set(flags.count)
        for flag in flags { reply.simple(flag) }
        reply.integer(first)
        reply.integer(last)
        reply.integer(first == 0 ? 0 : 1)
        let categories = spec.categories
        reply.set(categories.count)
        for category in categories { reply.bulk("@\(category)") }
        reply.array(0)
        reply.array(0)
        reply.array(0)
    }

    private func document(_ spec: CommandSpec, _ reply: inout ReplyWriter) {
        reply.bulk(spec.title)
        reply.map(spec.options.isEmpty ? 7 : 8)
        for (key, value) in [
            ("summary", spec.summary), ("since", spec.since), ("group", spec.group),
            ("complexity", spec.complexity), ("syntax", spec.syntax),
            ("example", spec.example.request), ("reply", spec.example.reply),
        ] {
            reply.bulk(key)
            reply.bulk(value)
        }
        guard !spec.options.isEmpty else { return }
        reply.bulk("options")
        reply.array(spec.options.count)
        for option in spec.options {
            reply.map(2)
            reply.bulk("name")
            reply.bulk(option.syntax)
            reply.bulk("summary")
            reply.bulk(option.meaning)
        }
    }

    private func getKeys(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        guard let spec = CommandTable.shared.spec(named: frame.string(2)) else {
            return reply.error("ERR Invalid command specified")
        }
        let count =
            switch spec.collections {
            case .none, .nested: 0
            case .first, .firstAndFrom, .firstAndIn: 1
            case .firstTwo: 2
            }
        guard count > 0 else {
            return reply.error("ERR The command has no key arguments")
        }
        guard spec.accepts(frame.count - 2), frame.count >= 3 + count else {
            return reply.error("ERR Invalid number of arguments specified for command")
        }
        reply.array(count)
        for index in 0..<count { reply.bulk(frame.bytes(3 + index)) }
    }

    // MARK: - CONFIG

    func config(
        _ frame: RequestFrame,
        _ session: Session,
        _ reply: inout ReplyWriter
    ) -> Disposition {
        if frame.equals(1, "GET"), frame.count > 2 {
            configGet(frame, &reply)
        } else if frame.equals(1, "SET"), frame.count > 3, frame.count % 2 == 0 {
            configSet(frame, &reply)
        } else if frame.equals(1, "REWRITE"), frame.count == 2 {
            configRewrite(&reply)
        } else if frame.equals(1, "RESETSTAT"), frame.count == 2 {
            return gather(session) {
                $0.metrics.reset()
            } reply: { _, writer in
                writer.ok()
            }
        } else {
            help("config", frame, &reply)
        }
        return .replied
    }

    private func configGet(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        let patterns = (2..<frame.count).map { frame.string($0).lowercased() }
        let configuration = state.configuration.withLock { $0 }
        var pairs: [(String, String)] = []
        for setting in Setting.all {
            for name in [setting.name, setting.redisName].compactMap({ $0 })
            where patterns.contains(where: { Glob.matches($0, name) }) {
                pairs.append((name, setting.isSecret ? "" : setting.text(configuration)))
            }
        }
        // What redis-benchmark asks for, with the meaning that holds here.
        for (name, value) in [("save", ""), ("appendonly", "yes")]
        where patterns.contains(where: { Glob.matches($0, name) }) {
            pairs.append((name, value))
        }
        reply.map(pairs.count)
        for (name, value) in pairs {
            reply.bulk(name)
            reply.bulk(value)
        }
    }

    private func configSet(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        var changed = state.configuration.withLock { $0 }
        var names: [(String, String)] = []
        for index in stride(from: 2, to: frame.count, by: 2) {
            let name = frame.string(index)
            guard let setting = Setting.named(name) else {
                return reply.error(
                    "ERR Unknown option or number of arguments for CONFIG SET - '\(name)'"
                )
            }
            guard !setting.needsRestart else {
                return reply.error(
                    "ERR CONFIG SET failed (possibly related to argument '\(name)') - can't set "
                        + "immutable config"
                )
            }
            let value = frame.string(index + 1)
            guard setting.assign(&changed, value) else {
                return reply.error(
                    "ERR CONFIG SET failed (possibly related to argument '\(name)') - must be "
                        + setting.range
                )
            }
            names.append((setting.name, value))
        }
        for (name, value) in names {
            if let reason = state.hooks.settingChanged(name, value) {
                return reply.error(
                    "ERR CONFIG SET failed (possibly related to argument '\(name)') - \(reason)"
                )
            }
        }
        if names.contains(where: { $0.0 == "password" }) {
            let password = changed.requirePassword
            try? state.access.setUser(
                "default",
                rules: password.isEmpty ? ["nopass"] : ["resetpass", ">\(password)"]
            )
        }
        let settings = changed
        state.configuration.withLock { $0 = settings }
        if names.contains(where: { Setting.named($0.0)?.isOfData == true }) {
            state.hooks.saveOptions(settings.dataText)
        }
        loop.adoptSettings()
        state.broadcast { $0.adoptSettings() }
        reply.ok()
    }

    private func configRewrite(_ reply: inout ReplyWriter) {
        let (path, text) = state.configuration.withLock { ($0.file, $0.fileText) }
        guard !path.isEmpty else {
            return reply.error("ERR The server is running without a config file")
        }
        guard ConfigurationFile.replace(path, with: text) else {
            return reply.error("ERR Rewriting config file: \(String(cString: strerror(errno)))")
        }
        reply.ok()
    }

    // MARK: - SLOWLOG

    func slowlog(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        if frame.equals(1, "GET"), frame.count <= 3 {
            var count: Int64 = 10
            if frame.count == 3 {
                guard let wanted = frame.integer(2), wanted >= -1 else {
                    return reply.error("ERR count should be greater than or equal to -1")
                }
                count = wanted
            }
            let entries = state.slowlog.withLock { $0.entries }.reversed()
            let shown = count < 0 ? Array(entries) : Array(entries.prefix(Int(count)))
            reply.array(shown.count)
            for entry in shown {
                reply.array(6)
                reply.integer(entry.id)
                reply.integer(entry.unixSeconds)
                reply.integer(Int64(clamping: entry.microseconds))
                reply.array(entry.arguments.count)
                for argument in entry.arguments { reply.bulk(argument) }
                reply.bulk(entry.address)
                reply.bulk(entry.clientName)
            }
        } else if frame.equals(1, "LEN"), frame.count == 2 {
            reply.integer(state.slowlog.withLock { $0.entries.count })
        } else if frame.equals(1, "RESET"), frame.count == 2 {
            state.slowlog.withLock { $0.removeAll() }
            reply.ok()
        } else {
            help("slowlog", frame, &reply)
        }
    }

    // MARK: - MEMORY

    func memory(_ frame: RequestFrame, _ session: Session, _ reply: inout ReplyWriter) {
        if frame.equals(1, "USAGE"), frame.count >= 3 {
            let key = frame.array(2)
            let slash = key.firstIndex(of: 0x2F)
            let name = String(decoding: key[..<(slash ?? key.endIndex)], as: UTF8.self)
            let own = state.hooks.canonicalCollection(name) ?? name
            guard session.rights.allows(collection: own, write: false) else {
                note("key", name, session)
                return reply.error("NOPERM No permissions to access the collection")
            }
            let id = slash.map { Array(key[($0 + 1)...]) }
            if let usage = state.hooks.memoryUsage(own, id) {
                reply.integer(usage)
            } else {
                reply.null()
            }
        } else if frame.equals(1, "STATS"), frame.count == 2 {
            let resident = ProcessUsage.residentByteCount
            // The ledger names collections.
            let mayKnowAll = session.rights.allowsAllCollections
            let ledger = mayKnowAll ? state.hooks.memoryStats() : []
            reply.map(ledger.count + 2)
            reply.bulk("total.resident")
            reply.integer(resident)
            for (name, byteCount) in ledger {
                reply.bulk(name)
                reply.integer(byteCount)
            }
            reply.bulk("clients.count")
            reply.integer(state.clientCount.load(ordering: .relaxed))
        } else if frame.equals(1, "DOCTOR"), frame.count == 2 {
            let limit = state.configuration.withLock { $0.memoryMaxBytes }
            let resident = ProcessUsage.residentByteCount
            reply.verbatim(
                limit > 0 && resident > limit / 10 * 9
                    ? "The process uses \(resident) bytes, more than 90 % of max-memory."
                    : "Nothing to report: the process uses \(resident) bytes."
            )
        } else {
            help("memory", frame, &reply)
        }
    }

    // MARK: - LATENCY

    func latency(
        _ frame: RequestFrame,
        _ session: Session,
        _ reply: inout ReplyWriter
    ) -> Disposition {
        if frame.equals(1, "HISTOGRAM") {
            let names = (2..<max(2, frame.count)).map { frame.string($0) }
            let specs =
                names.isEmpty
                ? CommandTable.shared.specs
                : names.compactMap { CommandTable.shared.spec(named: $0) }
            return gather(session) {
                $0.metrics.snapshot()
            } reply: { snapshots, writer in
                Self.histograms(specs, snapshots, &writer)
            }
        }
        if frame.equals(1, "RESET") {
            return gather(session) {
                $0.metrics.reset()
            } reply: { _, writer in
                writer.integer(0)
            }
        }
        if frame.equals(1, "LATEST") || frame.equals(1, "HISTORY") {
            reply.array(0)
        } else if frame.equals(1, "DOCTOR") {
            reply.verbatim("See SLOWLOG GET for slow requests and LATENCY HISTOGRAM for the rest.")
        } else {
            help("latency", frame, &reply)
        }
        return .replied
    }

    private static func histograms(
        _ specs: [CommandSpec],
        _ snapshots: [MetricsSnapshot],
        _ writer: inout ReplyWriter
    ) {
        guard var merged = snapshots.first else { return writer.map(0) }
        for other in snapshots.dropFirst() { merged.merge(other) }
        let used = specs.filter { merged.command($0.name.rawValue).calls > 0 }
        writer.map(used.count)
        for spec in used {
            let figures = merged.command(spec.name.rawValue)
            writer.bulk(spec.title)
            writer.map(2)
            writer.bulk("calls")
            writer.integer(Int64(clamping: figures.calls))
            writer.bulk("histogram_usec")
            // Powers of two, cumulative, as in Redis.
            var bounds: [(UInt64, UInt64)] = []
            var bound: UInt64 = 1
            var last: UInt64 = 0
            while last < figures.calls, bound < 1 << 40 {
                let count = figures.count(upTo: bound * 1_000)
                if count > last { bounds.append((bound, count)) }
                last = count
                bound *= 2
            }
            writer.map(bounds.count)
            for (microseconds, count) in bounds {
                writer.integer(Int64(clamping: microseconds))
                writer.integer(Int64(clamping: count))
            }
        }
    }

    // MARK: - SHUTDOWN

    func shutdown(_ frame: RequestFrame, _ reply: inout ReplyWriter) {
        var save = true
        for index in 1..<max(1, frame.count) {
            if frame.equals(index, "NOSAVE") {
                save = false
            } else if frame.equals(index, "ABORT") {
                return reply.error("ERR No shutdown in progress.")
            } else if !frame.equals(index, "SAVE"), !frame.equals(index, "NOW"),
                !frame.equals(index, "FORCE")
            {
                return reply.error("ERR syntax error")
            }
        }
        // As in Redis there is no reply: the client sees the connection close, and client libraries
        // take an answer for a failure.
        state.onShutdown.withLock { $0 }?(save)
    }
}

/// Replaces a file so that a crash leaves the old or the new one.
enum ConfigurationFile {
    static func replace(_ path: String, with text: String) -> Bool {
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { return false }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(file, $0.baseAddress.map { $0 + written }, bytes.count - written)
            }
            guard count > 0 else { break }
            written += count
        }
        let isSynced = written == bytes.count && fsync(file) == 0
        close(file)
        return isSynced && rename(temporary, path) == 0
    }

    /// The text of a file, `nil` if it cannot be read.
    static func text(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(file, &chunk, chunk.count)
            guard count >= 0 else { return nil }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
        }
    }
}
