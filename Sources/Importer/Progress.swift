import Glibc

/// Tells how a load goes: one line that is rewritten on a terminal, a line now and then elsewhere.
struct Progress {
    private let isTerminal = isatty(2) == 1
    private let started = ContinuousClock.now
    private var lastShown = ContinuousClock.now
    private var isShown = false

    /// Shows the state when it is time to.
    mutating func update(loaded: Int, rejected: Int, consumed: Int, total: Int?) {
        let now = ContinuousClock.now
        guard now - lastShown >= (isTerminal ? .milliseconds(100) : .seconds(5)) else { return }
        lastShown = now
        let line = Self.line(
            loaded: loaded,
            rejected: rejected,
            consumed: consumed,
            total: total,
            seconds: (now - started).seconds
        )
        isShown = true
        print(isTerminal ? "\r\u{1B}[K\(line)" : line + "\n")
    }

    /// Ends the rewritten line.
    mutating func finish() {
        if isShown, isTerminal { print("\r\u{1B}[K") }
        isShown = false
    }

    /// `[=====>    ]  52 %  41,200 rows  83,100/s  0:01 left`
    static func line(
        loaded: Int,
        rejected: Int,
        consumed: Int,
        total: Int?,
        seconds: Double
    ) -> String {
        let rate = seconds > 0 ? Double(loaded) / seconds : 0
        var line = ""
        if let total, total > 0 {
            let share = min(Double(consumed) / Double(total), 1)
            let filled = Int(share * 24)
            line += "[" + String(repeating: "=", count: filled)
            line += String(repeating: " ", count: 24 - filled) + "] "
            line += "\(Int(share * 100)) %  "
        }
        line += "\(grouped(loaded)) rows  \(grouped(Int(rate)))/s"
        if rejected > 0 { line += "  \(grouped(rejected)) rejected" }
        if let total, consumed > 0, seconds > 0.5 {
            let left = Int(seconds * Double(max(total - consumed, 0)) / Double(consumed))
            let rest = left % 60
            line += "  \(left / 60):\(rest < 10 ? "0" : "")\(rest) left"
        }
        return line
    }

    private func print(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(2, bytes, bytes.count)
    }
}

/// An integer with commas: `41,200`.
package func grouped(_ value: Int) -> String {
    var digits = String(value.magnitude)
    var parts: [String] = []
    while digits.count > 3 {
        parts.insert(String(digits.suffix(3)), at: 0)
        digits.removeLast(3)
    }
    parts.insert(digits, at: 0)
    return (value < 0 ? "-" : "") + parts.joined(separator: ",")
}
