import Foundation

/// What was typed into `aisle cli` before, in `~/.aisle_history`, readable by its owner alone.
enum HistoryFile {
    private static let lineCountMax = 1_000
    /// Lines that may hold passwords are not kept.
    private static let secrets = ["AUTH", "HELLO", "ACL", "CONFIG"]

    private static var path: String? {
        ProcessInfo.processInfo.environment["HOME"].map { $0 + "/.aisle_history" }
    }

    /// The lines, oldest first; none when there is no file.
    static func read() -> [String] {
        guard let path, let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            return []
        }
        return text.split(separator: "\n").suffix(lineCountMax).map(String.init)
    }

    /// Replaces the file. A failure is no reason to complain at the end of a session.
    static func write(_ lines: [String]) {
        guard let path else { return }
        let kept = lines.filter { line in
            !secrets.contains(line.split(separator: " ").first?.uppercased() ?? "")
        }
        let text = kept.suffix(lineCountMax).map { $0 + "\n" }.joined()
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        try? FileHandle(fileDescriptor: descriptor, closeOnDealloc: false)
            .write(contentsOf: Data(text.utf8))
    }
}
