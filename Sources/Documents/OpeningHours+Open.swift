extension OpeningHours {
    /// Whether the place is open at a moment, in milliseconds since 1970, by the clocks of `rules`.
    ///
    /// The time that clocks show decides. Where clocks are put forward over the start of a span it
    /// opens late; an hour that they show twice counts twice. A span belongs to the day on which it
    /// begins: one that runs into the next day is there whatever that day's own spans or exceptions
    /// say.
    ///
    /// REQUIRES: the years 0001 to 9999. Complexity: O(spans of two days + log exceptions).
    package func isOpen(atMilliseconds milliseconds: Int64, in rules: ZoneRules) -> Bool {
        let local = rules.local(atMilliseconds: milliseconds)
        return spans(on: local.day, weekday: local.weekday).contains {
            $0.start <= local.minute && local.minute < $0.end
        }
            || spans(on: local.day - 1, weekday: (local.weekday + 6) % 7).contains {
                local.minute + 1_440 < $0.end
            }
    }

    /// The spans that begin on a day: its exception, else those of its weekday.
    private func spans(on day: Int, weekday: Int) -> [Span] {
        var (low, high) = (0, exceptions.count)
        while low < high {
            let middle = (low + high) / 2
            if exceptions[middle].day < Int64(day) { low = middle + 1 } else { high = middle }
        }
        if low < exceptions.count && exceptions[low].day == Int64(day) {
            return exceptions[low].spans
        }
        return weekly[weekday]
    }
}
