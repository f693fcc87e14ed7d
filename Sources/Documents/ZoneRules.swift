/// A moment as the clocks of a place show it.
package struct LocalTime: Equatable, Sendable {
    /// Days since 1970-01-01 on the calendar there.
    package let day: Int
    /// Minutes since midnight as the clock shows them, 0 to 1,439.
    package let minute: Int

    package init(day: Int, minute: Int) {
        self.day = day
        self.minute = minute
    }

    /// 0 for Monday to 6 for Sunday.
    @inlinable package var weekday: Int {
        // 1970-01-01 was a Thursday.
        let rest = (day + 3) % 7
        return rest < 0 ? rest + 7 : rest
    }
}

/// A time zone's history and rules: how far its clocks are from UTC at any moment.
///
/// ```
/// transitions     t0      t1      t2        seconds since 1970, ascending
/// offsets     o0  |  o1   |  o2   |  o3     seconds east of UTC; o0 holds before t0
/// ```
/// After the last transition the footer says how it goes on; without one the last offset stays.
/// Immutable.
package final class ZoneRules: Sendable {
    /// The name in the system's database.
    package let name: String
    private let transitions: [Int64]
    private let offsets: [Int32]
    private let footer: ZoneFooter?

    /// REQUIRES: transitions ascend, and there is one offset more than there are transitions.
    init(name: String, transitions: [Int64], offsets: [Int32], footer: ZoneFooter?) {
        precondition(offsets.count == transitions.count + 1, "offsets lie around transitions")
        self.name = name
        self.transitions = transitions
        self.offsets = offsets
        self.footer = footer
    }

    /// UTC, which needs no file.
    package static let utc = ZoneRules(name: "UTC", transitions: [], offsets: [0], footer: nil)

    /// Seconds that clocks are ahead of UTC (negative: behind) at a moment, in seconds since 1970.
    ///
    /// - Complexity: O(log transitions).
    package func offset(atSeconds seconds: Int64) -> Int {
        if let footer, seconds >= transitions.last ?? .min {
            return footer.offset(atSeconds: seconds)
        }
        // The first transition that is later.
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle] <= seconds { low = middle + 1 } else { high = middle }
        }
        return Int(offsets[low])
    }

    /// What the clocks show at a moment, in milliseconds since 1970.
    ///
    /// REQUIRES: the years 0001 to 9999. Complexity: O(log transitions).
    package func local(atMilliseconds milliseconds: Int64) -> LocalTime {
        let seconds = floored(milliseconds, by: 1_000)
        let shown = seconds + Int64(offset(atSeconds: seconds))
        let day = floored(shown, by: 86_400)
        return LocalTime(day: Int(day), minute: Int(shown - day * 86_400) / 60)
    }
}

/// The quotient rounded down.
func floored(_ value: Int64, by divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}
