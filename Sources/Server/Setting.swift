import Primitives

/// One setting, described once: for flags, environment, file, `CONFIG` and the reference page.
package struct Setting: Sendable {
    package let name: String
    /// What values look like.
    package let type: String
    /// Which values are accepted.
    package let range: String
    package let help: String
    /// Whether `CONFIG SET` refuses it.
    package let needsRestart: Bool
    /// Whether its value is hidden.
    package let isSecret: Bool
    /// Sets it from text; `false` if the text is not acceptable.
    let assign: @Sendable (inout ServerConfiguration, String) -> Bool
    /// Its value as text that `assign` reads back.
    package let text: @Sendable (ServerConfiguration) -> String

    /// The variable that sets it: `AISLE_TLS_CERT` for `tls-cert`.
    package var environmentName: String {
        "AISLE_" + String(name.uppercased().map { $0 == "-" ? "_" : $0 })
    }

    /// Whether it says how the data is kept and asked for, rather than how this machine serves it:
    /// a snapshot holds it, and a data directory that is made of one takes it on.
    package var isOfData: Bool {
        name.hasPrefix("snapshot-") || Self.ofData.contains(name)
            || Self.bounds.contains { $0.name == name } && name != "commit-queue"
    }

    private static let ofData: Set<String> = ["retention", "retention-bytes", "durability"]

    /// The setting called `name`.
    package static func named(_ name: String) -> Setting? {
        let name = name.lowercased()
        return all.first { $0.name == name || $0.redisName == name }
    }

    /// What Redis calls the same setting, where it has it: `CONFIG` knows it by both names.
    package var redisName: String? { Self.redisNames[name] }

    private static let redisNames = [
        "slowlog-microseconds": "slowlog-log-slower-than", "slowlog-entries": "slowlog-max-len",
        "max-clients": "maxclients", "max-memory": "maxmemory", "client-timeout": "timeout",
        "password": "requirepass", "unix": "unixsocket", "unix-permissions": "unixsocketperm",
        "log-level": "loglevel", "data": "dir", "tls-cert": "tls-cert-file",
        "tls-key": "tls-key-file", "query-buffer": "client-query-buffer-limit",
        "shutdown-seconds": "shutdown-timeout",
    ]

    /// All settings, in the order of the reference page.
    package static let all: [Setting] =
        [
            .string("data", \.data, "The data directory; created when it does not exist."),
            .number("port", \.port, 0...65_535, "TCP port; 0 for none."),
            .list("bind", \.bind, "Addresses to listen on, separated by spaces or commas."),
            .string("unix", \.unixSocket, "Path of a Unix socket to listen on."),
            .permissions("unix-permissions", \.unixSocketPermissions),
            .number(
                "tls-port", \.tlsPort, 0...65_535, "TLS port; 0 makes the TCP port a TLS port."),
            .string("tls-cert", \.tlsCertificate, "Certificate chain as PEM; turns TLS on."),
            .string("tls-key", \.tlsKey, "Private key of the certificate as PEM."),
            .number("shards", \.shards, 0...1_024, "Event loops; 0 for one per core."),
            .number(
                "partitions",
                \.partitions,
                0...1_024,
                "Partitions of a new data directory; 0 for one per core."
            ),
            .number(
                "metrics-port", \.metricsPort, 0...65_535, "HTTP port of /metrics; 0 for none."),
            .string("metrics-bind", \.metricsBind, "Address of the HTTP port.", restart: true),
            .duration(
                "retention",
                \.retentionMilliseconds,
                "How long superseded versions are kept.",
                restart: false
            ),
            .bytes(
                "retention-bytes",
                \.retentionBytes,
                0...(1 << 50),
                "Most bytes of superseded versions; 0 for 25 % of the live bytes."
            ),
            .flag("open", \.open, "Serve other machines although there is no password."),
            .durability("durability", \.durability),
            .bytes("max-memory", \.memoryMaxBytes, 0...(1 << 50), "Memory limit; 0 for none."),
            .choice(
                "log-level", \.logLevel, ["trace", "debug", "info", "notice", "warning", "error"]),
            .string("password", \.requirePassword, "Password of the user 'default'.", secret: true),
            .number(
                "max-clients",
                \.clientsMax,
                1...1_000_000,
                "Connections at a time.",
                restart: false
            ),
            .number(
                "client-timeout",
                \.clientTimeoutSeconds,
                0...31_536_000,
                "Seconds after which an idle connection is closed; 0 for never.",
                restart: false
            ),
            .bytes(
                "query-buffer",
                \.queryBufferBytes,
                (1 << 16)...(1 << 32),
                "Most bytes of one request."
            ),
            .number(
                "max-arguments",
                \.argumentCountMax,
                16...(1 << 24),
                "Arguments of one request.",
                restart: false
            ),
            .bytes(
                "output-buffer-hard",
                \.outputBufferHardBytes,
                (1 << 20)...(1 << 40),
                "A client for which more bytes wait is closed."
            ),
            .bytes(
                "output-buffer-soft",
                \.outputBufferSoftBytes,
                0...(1 << 40),
                "A client for which more bytes wait for output-buffer-seconds is closed."
            ),
            .number(
                "output-buffer-seconds",
                \.outputBufferSoftSeconds,
                1...86_400,
                "See output-buffer-soft.",
                restart: false
            ),
            .number(
                "max-writes-in-flight",
                \.inFlightWritesMax,
                1...65_536,
                "Unanswered writes of one connection.",
                restart: false
            ),
            .number(
                "tcp-backlog", \.tcpBacklog, 1...65_535, "Connections that wait to be accepted."),
            .number(
                "slowlog-microseconds",
                \.slowlogMicroseconds,
                -1...1_000_000_000,
                "Requests that take longer are noted; -1 for none.",
                restart: false
            ),
            .number(
                "slowlog-entries",
                \.slowlogEntriesMax,
                0...100_000,
                "Entries of the slow log.",
                restart: false
            ),
            .number(
                "shutdown-seconds",
                \.shutdownSeconds,
                0...3_600,
                "How long a shutdown waits for clients to take their replies.",
                restart: false
            ),
            .duration(
                "snapshot-every",
                \.snapshotMilliseconds,
                "Time after which a snapshot is taken if anything was written; 0s for never.",
                restart: false
            ),
            .number(
                "snapshot-writes",
                \.snapshotWriteCount,
                0...(1 << 40),
                "Writes after which a snapshot is taken; 0 for never.",
                restart: false
            ),
            .number(
                "snapshot-keep",
                \.snapshotKeepCount,
                1...1_000,
                "Snapshots taken by the server itself that are kept.",
                restart: false
            ),
            .number(
                "snapshot-level",
                \.snapshotLevel,
                0...19,
                "How hard snapshots are compressed, by zstd; 0 for not at all.",
                restart: false
            ),
            .flag(
                "snapshot-at-stop", \.snapshotAtStop,
                "Leave a snapshot of the indexes when the server stops in order."),
        ] + bounds

    /// Bounds of single requests and of what they may hold; see `Limits`.
    private static let bounds: [Setting] = [
        .bytes(
            "max-document", \.limits.documentByteCountMax, 1_024...(1 << 28),
            "Most bytes of one document."),
        .number(
            "max-document-depth", \.limits.documentDepthMax, 4...512,
            "Nesting of arrays and objects in a document."),
        .number("max-filter-depth", \.limits.filterDepthMax, 1...64, "Nesting of a filter."),
        .number(
            "max-filter-nodes", \.limits.filterNodeCountMax, 16...1_000_000,
            "Operators and operands of one filter."),
        .number("max-id", \.limits.idByteCountMax, 16...65_000, "Most bytes of an id."),
        .number("max-limit", \.limits.limitMax, 1...100_000, "Hits of one reply, at most."),
        .number(
            "default-limit", \.limits.limitDefault, 1...100_000,
            "Hits of one reply where LIMIT is not given."),
        .number(
            "max-skip", \.limits.skipPlusLimitMax, 1...10_000_000, "SKIP + LIMIT, at most."),
        .number("max-ids", \.limits.idCountMax, 1...1_000_000, "Ids of one MFETCH or REMOVE."),
        .number(
            "max-facet-values", \.limits.facetValueCountMax, 1...100_000,
            "Values of one facet in a reply."),
        .number(
            "max-groups", \.limits.groupCountMax, 1...1_000_000,
            "Values of DISTINCT, and groups of STATS … BY, in a reply."),
        .bytes(
            "max-reply", \.limits.replyByteCountMax, (1 << 16)...(1 << 31),
            "Most bytes of one reply."),
        .number(
            "max-transaction", \.limits.transactionCommandCountMax, 1...65_000,
            "Commands between MULTI and EXEC."),
        .number(
            "max-cursors", \.limits.cursorCountMax, 1...10_000, "MORE cursors of one client."),
        .duration(
            "cursor-idle", \.limits.cursorIdleMilliseconds,
            "A MORE cursor that nobody asks for is closed after this time.", restart: true),
        .duration(
            "cursor-life", \.limits.cursorLifeMilliseconds,
            "A MORE cursor is closed after this time however often it is asked for.",
            restart: true),
        .bytes(
            "commit-queue", \.limits.commitQueueByteCountMax, (1 << 20)...(1 << 36),
            "Bytes of writes that may wait for the disk; beyond them writes get BUSY."),
    ]

    /// The reference page, in Markdown.
    package static var reference: String {
        let defaults = ServerConfiguration()
        var page = """
            # Configuration

            A setting is taken from, in this order: the flag (`--port 2475`), the environment
            (`AISLE_PORT=2475`), the file (`port = 2475`), the default. The file is the one given
            with `--config`, else `aisle.conf` in the data directory. `CONFIG SET` changes those
            marked "live" until restart; `CONFIG REWRITE` writes them to the file. `CONFIG` knows
            settings that Redis also has by Redis's names too, such as `maxmemory`.

            | setting | type | default | values | change | meaning |
            |---|---|---|---|---|---|

            """
        for setting in all {
            let value = setting.text(defaults)
            page += "| `\(setting.name)` | \(setting.type) | \(value.isEmpty ? "" : "`\(value)`") "
            page += "| \(setting.range) | \(setting.needsRestart ? "restart" : "live") "
            page += "| \(setting.help) |\n"
        }
        return page
    }
}

// Key paths are values without state here: the compiler cannot see that they are Sendable when they
// are parameters, so they are asked for as such.
private typealias Path<Value> = any WritableKeyPath<ServerConfiguration, Value> & Sendable

extension Setting {
    private static func number(
        _ name: String,
        _ path: Path<Int>,
        _ range: ClosedRange<Int>,
        _ help: String,
        restart: Bool = true
    ) -> Setting {
        Setting(
            name: name,
            type: "integer",
            range: "\(range.lowerBound) to \(range.upperBound)",
            help: help,
            needsRestart: restart,
            isSecret: false,
            assign: { target, text in
                guard let value = Int(text), range.contains(value) else { return false }
                target[keyPath: path] = value
                return true
            },
            text: { "\($0[keyPath: path])" }
        )
    }

    private static func string(
        _ name: String,
        _ path: Path<String>,
        _ help: String,
        restart: Bool = true,
        secret: Bool = false
    ) -> Setting {
        Setting(
            name: name,
            type: "text",
            range: "text",
            help: help,
            needsRestart: restart,
            isSecret: secret,
            assign: { target, text in
                guard !text.contains(where: { $0.isNewline }) else { return false }
                target[keyPath: path] = text
                return true
            },
            text: { $0[keyPath: path] }
        )
    }

    private static func list(
        _ name: String,
        _ path: Path<[String]>,
        _ help: String
    ) -> Setting {
        Setting(
            name: name,
            type: "list",
            range: "addresses",
            help: help,
            needsRestart: true,
            isSecret: false,
            assign: { target, text in
                let items = text.split { $0 == " " || $0 == "," }.map(String.init)
                guard !items.isEmpty else { return false }
                target[keyPath: path] = items
                return true
            },
            text: { $0[keyPath: path].joined(separator: " ") }
        )
    }

    private static func permissions(_ name: String, _ path: Path<Int>) -> Setting {
        Setting(
            name: name,
            type: "octal",
            range: "000 to 777",
            help: "Permissions of the Unix socket.",
            needsRestart: true,
            isSecret: false,
            assign: { target, text in
                guard let value = Int(text, radix: 8), (0...0o777).contains(value) else {
                    return false
                }
                target[keyPath: path] = value
                return true
            },
            text: { String($0[keyPath: path], radix: 8) }
        )
    }

    private static func flag(_ name: String, _ path: Path<Bool>, _ help: String) -> Setting {
        Setting(
            name: name,
            type: "switch",
            range: "yes or no",
            help: help,
            needsRestart: false,
            isSecret: false,
            assign: { target, text in
                switch text.lowercased() {
                case "", "yes", "true", "1", "on": target[keyPath: path] = true
                case "no", "false", "0", "off": target[keyPath: path] = false
                default: return false
                }
                return true
            },
            text: { $0[keyPath: path] ? "yes" : "no" }
        )
    }

    private static func choice(
        _ name: String,
        _ path: Path<String>,
        _ values: [String]
    ) -> Setting {
        Setting(
            name: name,
            type: "word",
            range: values.joined(separator: ", "),
            help: "Messages below this level are not written.",
            needsRestart: false,
            isSecret: false,
            assign: { target, text in
                guard values.contains(text.lowercased()) else { return false }
                target[keyPath: path] = text.lowercased()
                return true
            },
            text: { $0[keyPath: path] }
        )
    }

    private static func durability(_ name: String, _ path: Path<String>) -> Setting {
        Setting(
            name: name,
            type: "word",
            range: "commit or interval:<duration>",
            help: "commit: a write is on disk before its reply; interval: at most that long after.",
            needsRestart: true,
            isSecret: false,
            assign: { target, text in
                let parts = text.lowercased().split(separator: ":").map(String.init)
                guard
                    parts == ["commit"]
                        || parts.count == 2 && parts[0] == "interval"
                            && SettingUnits.milliseconds(parts[1]) != nil
                else { return false }
                target[keyPath: path] = text.lowercased()
                return true
            },
            text: { $0[keyPath: path] }
        )
    }

    private static func bytes(
        _ name: String,
        _ path: Path<Int>,
        _ range: ClosedRange<Int>,
        _ help: String
    ) -> Setting {
        Setting(
            name: name,
            type: "bytes",
            range: "\(range.lowerBound) to \(range.upperBound), or with kb, mb, gb",
            help: help,
            needsRestart: false,
            isSecret: false,
            assign: { target, text in
                guard let value = SettingUnits.bytes(text), range.contains(value) else {
                    return false
                }
                target[keyPath: path] = value
                return true
            },
            text: { "\($0[keyPath: path])" }
        )
    }

    private static func duration(
        _ name: String,
        _ path: Path<Int>,
        _ help: String,
        restart: Bool
    ) -> Setting {
        Setting(
            name: name,
            type: "duration",
            range: "a number with ms, s, m, h or d",
            help: help,
            needsRestart: restart,
            isSecret: false,
            assign: { target, text in
                guard let value = SettingUnits.milliseconds(text) else { return false }
                target[keyPath: path] = value
                return true
            },
            text: { SettingUnits.durationText($0[keyPath: path]) }
        )
    }
}

/// Numbers with units.
package enum SettingUnits {
    /// Bytes of `8gb`, `64 mb`, `1k`, `123`; `nil` if it is something else or overflows.
    package static func bytes(_ text: String) -> Int? {
        scaled(
            text,
            [
                "": 1, "b": 1, "k": 1_000, "kb": 1 << 10, "m": 1_000_000, "mb": 1 << 20,
                "g": 1_000_000_000, "gb": 1 << 30, "tb": 1 << 40,
            ]
        )
    }

    /// Milliseconds of `500ms`, `30s`, `15m`, `1h`, `7d`.
    package static func milliseconds(_ text: String) -> Int? {
        scaled(text, ["ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000])
    }

    /// The shortest text that ``milliseconds(_:)`` reads back.
    package static func durationText(_ milliseconds: Int) -> String {
        for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
        where milliseconds > 0 && milliseconds % size == 0 {
            return "\(milliseconds / size)\(unit)"
        }
        return "\(milliseconds)ms"
    }

    private static func scaled(_ text: String, _ units: [String: Int]) -> Int? {
        let text = text.lowercased()
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        guard let number = Int(digits), let scale = units[String(unit)] else { return nil }
        let (value, overflow) = number.multipliedReportingOverflow(by: scale)
        return overflow ? nil : value
    }
}
