import Glibc

/// The time of day.
enum WallClock {
    /// Seconds since 1970.
    static var seconds: Int { time.tv_sec }

    /// Seconds and nanoseconds since 1970.
    static var time: timespec {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time
    }

    /// `2026-01-31T12:00:00.123Z`
    static var text: String {
        let now = time
        var seconds = now.tv_sec
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func padded(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return padded(Int(parts.tm_year) + 1_900, 4) + "-" + padded(Int(parts.tm_mon) + 1, 2) + "-"
            + padded(Int(parts.tm_mday), 2) + "T" + padded(Int(parts.tm_hour), 2) + ":"
            + padded(Int(parts.tm_min), 2) + ":" + padded(Int(parts.tm_sec), 2) + "."
            + padded(now.tv_nsec / 1_000_000, 3) + "Z"
    }
}
