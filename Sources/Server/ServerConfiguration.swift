package import Primitives

/// Every setting of `aisle serve`. ``Setting/all`` describes each: name, range, default, meaning.
package struct ServerConfiguration: Sendable, Equatable {
    package var data = ""
    package var port = 2475
    package var bind = ["127.0.0.1"]
    package var unixSocket = ""
    package var unixSocketPermissions = 0o600
    package var tlsPort = 0
    package var tlsCertificate = ""
    package var tlsKey = ""
    /// 0: one per core.
    package var shards = 0
    /// 0: one per core when a data directory is created.
    package var partitions = 0
    /// 0: no HTTP port.
    package var metricsPort = 0
    package var metricsBind = "127.0.0.1"
    package var retentionMilliseconds = 3_600_000
    package var retentionBytes = 0
    package var open = false
    /// `commit`, or `interval:1s`.
    package var durability = "commit"
    /// 0: no limit.
    package var memoryMaxBytes = 0
    package var logLevel = "info"
    package var requirePassword = ""
    package var clientsMax = 10_000
    package var clientTimeoutSeconds = 0
    package var queryBufferBytes = 64 << 20
    package var argumentCountMax = 1 << 20
    package var outputBufferHardBytes = 512 << 20
    package var outputBufferSoftBytes = 64 << 20
    package var outputBufferSoftSeconds = 60
    package var inFlightWritesMax = 1_024
    package var tcpBacklog = 4_096
    package var slowlogMicroseconds = 10_000
    package var slowlogEntriesMax = 128
    package var shutdownSeconds = 10
    /// 0: never.
    package var snapshotMilliseconds = 3_600_000
    package var snapshotWriteCount = 1_000_000
    package var snapshotKeepCount = 2
    package var snapshotLevel = 1
    package var snapshotAtStop = true
    /// Bounds of requests, documents and replies.
    package var limits = Limits()
    /// The file that `CONFIG REWRITE` writes; not a setting itself.
    package var file = ""

    /// The defaults.
    package init() {}

    /// Settings from, in rising order of weight: defaults, the file, the environment
    /// (`AISLE_PORT`, `AISLE_TLS_CERT`, …) and the flags, whose names have no leading dashes.
    /// Without `--config` the file is `aisle.conf` in the data directory, if it is there.
    ///
    /// `readFile` returns a file's text, or `nil` if it cannot be read.
    /// - Throws: ``ConfigurationError``, with where the value came from.
    package static func load(
        flags: [(name: String, value: String)],
        environment: [String: String],
        readFile: (String) -> String?
    ) throws(ConfigurationError) -> ServerConfiguration {
        var configuration = ServerConfiguration()
        let file = flags.last { $0.name == "config" }?.value ?? environment["AISLE_CONFIG"] ?? ""
        let data = flags.last { $0.name == "data" }?.value ?? environment["AISLE_DATA"] ?? ""
        if !file.isEmpty {
            guard let text = readFile(file) else { throw .unreadableFile(file) }
            try configuration.apply(fileText: text, name: file)
            configuration.file = file
        } else if !data.isEmpty {
            // Where CONFIG REWRITE writes when no file was named.
            let own = data + "/aisle.conf"
            if let text = readFile(own) { try configuration.apply(fileText: text, name: own) }
            configuration.file = own
        }
        for setting in Setting.all {
            guard let value = environment[setting.environmentName] else { continue }
            try configuration.set(setting, value, source: setting.environmentName)
        }
        for flag in flags where flag.name != "config" {
            guard let setting = Setting.named(flag.name) else { throw .unknown(flag.name) }
            try configuration.set(setting, flag.value, source: "--\(flag.name)")
        }
        return configuration
    }

    /// Applies `key = value` lines; `#` begins a comment, values may be quoted.
    /// - Throws: ``ConfigurationError``, with the line's number.
    package mutating func apply(fileText: String, name: String) throws(ConfigurationError) {
        for (index, line) in fileText.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            guard let (key, value) = Self.pair(line) else {
                let words = line.drop { $0.isWhitespace }
                if words.isEmpty || words.first == "#" { continue }
                throw .malformedLine(file: name, line: index + 1)
            }
            guard let setting = Setting.named(key) else { throw .unknown(key) }
            try set(setting, value, source: "\(name):\(index + 1)")
        }
    }

    private static func pair(_ line: Substring) -> (key: String, value: String)? {
        guard line.drop(while: { $0.isWhitespace }).first != "#",
            let equals = line.firstIndex(of: "=")
        else { return nil }
        func trimmed(_ text: Substring) -> Substring {
            var text = text.drop { $0.isWhitespace }
            while text.last?.isWhitespace == true { text.removeLast() }
            return text
        }
        var value = trimmed(line[line.index(after: equals)...])
        if value.count >= 2, value.first == "\"", value.last == "\"" {
            value = value.dropFirst().dropLast()
        }
        return (String(trimmed(line[..<equals])), String(value))
    }

    /// Sets one setting from text.
    /// - Throws: ``ConfigurationError/invalid(name:value:rule:source:)``.
    package mutating func set(
        _ setting: Setting,
        _ value: String,
        source: String
    ) throws(ConfigurationError) {
        guard setting.assign(&self, value) else {
            throw .invalid(
                name: setting.name,
                value: setting.isSecret ? "…" : value,
                rule: setting.range,
                source: source
            )
        }
    }

    /// The text of a file that gives these settings again: those that differ from the defaults.
    package var fileText: String { "# Written by CONFIG REWRITE.\n" + lines { _ in true } }

    /// Lines of those that belong to the data, see ``Setting/isOfData``, and differ from the
    /// defaults: what a snapshot holds.
    package var dataText: String { lines(\.isOfData) }

    private func lines(_ isIncluded: (Setting) -> Bool) -> String {
        let defaults = ServerConfiguration()
        var text = ""
        for setting in Setting.all
        where isIncluded(setting) && setting.text(self) != setting.text(defaults) {
            text += "\(setting.name) = \(setting.text(self))\n"
        }
        return text
    }

    /// The text of a file for a data directory that is made of a snapshot, from what that holds.
    /// Lines that are none of the data's settings, or of a later version, are left out.
    package static func restoredText(_ lines: [UInt8]) -> String {
        var configuration = ServerConfiguration()
        for line in String(decoding: lines, as: UTF8.self).split(separator: "\n") {
            guard let (name, value) = pair(line), let setting = Setting.named(name),
                setting.isOfData
            else { continue }
            _ = setting.assign(&configuration, value)
        }
        let text = configuration.dataText
        return text.isEmpty ? "" : "# Written by aisle restore, from the snapshot.\n" + text
    }
}

/// Why a configuration cannot be used.
package enum ConfigurationError: Error, Equatable, Sendable {
    /// The file cannot be read.
    case unreadableFile(String)
    /// A line of the file is no `key = value`.
    case malformedLine(file: String, line: Int)
    /// No setting has this name.
    case unknown(String)
    /// A value is out of range or of the wrong type.
    case invalid(name: String, value: String, rule: String, source: String)

    /// One line for people.
    package var message: String {
        switch self {
        case .unreadableFile(let name): "cannot read the configuration file \(name)"
        case .malformedLine(let file, let line): "\(file):\(line): expected 'name = value'"
        case .unknown(let name): "there is no setting '\(name)'"
        case .invalid(let name, let value, let rule, let source):
            "\(source): '\(value)' is not valid for \(name); it must be \(rule)"
        }
    }
}
