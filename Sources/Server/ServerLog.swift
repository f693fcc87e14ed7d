import Commands
import Glibc
package import Logging
import Synchronization

/// Log lines as JSON, one object per line, on standard error: time, level, message, then metadata
/// by name.
package struct JSONLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    private let label: String

    /// A handler for `label` that drops lines below `level`.
    package init(label: String, level: Logger.Level = .info) {
        self.label = label
        logLevel = level
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line = "{\"time\":\"\(WallClock.text)\",\"level\":\"\(event.level)\",\"logger\":"
        line += Self.quoted(label) + ",\"message\":" + Self.quoted("\(event.message)")
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        for key in all.keys.sorted() {
            line += "," + Self.quoted(key) + ":" + Self.quoted(all[key].map { "\($0)" } ?? "")
        }
        line += "}\n"
        // One write per line: lines of several threads do not mix.
        line.withUTF8 { _ = Glibc.write(2, $0.baseAddress, $0.count) }
    }

    /// `text` as a JSON string.
    package static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// What the server logs about its connections. A request's id is `connection-sequence`.
final class ServerLog: Sendable {
    let logger: Logger
    /// The second in which slow requests were last logged, and how many were.
    private let slowWindow = Atomic<Int64>(0)
    private let slowCount = Atomic<Int>(0)

    init(logger: Logger) { self.logger = logger }

    func connectionError(_ session: Session, _ text: String) {
        logger.debug(
            "connection error",
            metadata: ["client": "\(session.address)", "id": "\(session.id)", "error": "\(text)"]
        )
    }

    func connectionClosed(_ session: Session, _ reason: String) {
        logger.info(
            "connection closed by the server",
            metadata: [
                "client": "\(session.address)", "id": "\(session.id)", "reason": "\(reason)",
            ]
        )
    }

    /// Logged at most ten times a second: `SLOWLOG` has them all.
    func slow(_ session: Session, _ command: String, microseconds: UInt64) {
        let window = Int64(WallClock.seconds)
        let previous = slowWindow.exchange(window, ordering: .relaxed)
        if previous != window { slowCount.store(0, ordering: .relaxed) }
        guard slowCount.wrappingAdd(1, ordering: .relaxed).newValue <= 10 else { return }
        logger.notice(
            "slow request",
            metadata: [
                "request": "\(session.id)-\(session.requestCount)", "command": "\(command)",
                "microseconds": "\(microseconds)", "client": "\(session.address)",
            ]
        )
    }
}
