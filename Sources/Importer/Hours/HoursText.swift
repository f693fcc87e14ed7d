// Opening hours as people write them, read into spans of minutes.
//
// ```
// text    = "open today" ["from" | "for"] spans | entry { (";" | "," | newline) entry }
// entry   = [days [":"]] (spans | "closed")      an entry without days goes on with the last ones
// days    = day ["-" day] { "&" day ["-" day] } | "daily" | "weekdays" | "weekends"
// spans   = span { ("&" | "/" | "and") span } | "24 hours" | "24hrs" | "24/7"
// span    = time ("-" | "to") time
// time    = hour [":" minutes] ["am" | "pm"] | "noon" | "midnight"
// ```
// Where a time has neither am nor pm, shops decide: an opening time from 5 to 11 is in the morning,
// 12 is noon, 1 to 4 are in the afternoon; a closing time from 1 to 11 is after noon, 12 is
// midnight; an hour of 0 or from 13 on is of the 24-hour clock. A closing time that would not be
// after the opening time is on the next day.

import Glibc

/// What a text about opening hours says.
package enum HoursText: Equatable, Sendable {
    /// Minutes from the day's midnight; an end beyond 1,440 is in the next day.
    package struct Span: Equatable, Sendable {
        package var start: Int
        package var end: Int

        package init(_ start: Int, _ end: Int) {
            self.start = start
            self.end = end
        }
    }

    /// Seven days from Monday on.
    case week([[Span]])
    /// Spans of one day that is called today: which day that was nobody knows.
    case today([Span])
    /// It says that nothing is known, or that a day called today is closed.
    case nothing
    /// It is not understood.
    case unreadable

    /// Reads a text. - Complexity: O(bytes).
    package init(_ text: String) {
        let text = HoursText.normalized(text)
        if text.isEmpty || text == "closed today" || text.contains("available") {
            self = .nothing
            return
        }
        if text.hasPrefix("open today") {
            var rest = HoursText.trimmed(text.dropFirst("open today".count))
            for word in ["from ", "for "] where rest.hasPrefix(word) {
                rest = HoursText.trimmed(rest.dropFirst(word.count))
            }
            guard let spans = HoursText.spans(rest), HoursText.areApart(spans) else {
                self = .unreadable
                return
            }
            self = .today(spans)
            return
        }
        self = HoursText.week(text).map(HoursText.week) ?? .unreadable
    }

    /// Small letters, one kind of dash, no dots in am and pm, single spaces.
    private static func normalized(_ text: String) -> String {
        var result = ""
        var wasSpace = true
        for character in text.lowercased() {
            var character = character
            if character == "–" || character == "—" { character = "-" }
            if character == "." { continue }
            let isSpace = character.isWhitespace && !character.isNewline
            if isSpace && wasSpace { continue }
            wasSpace = isSpace
            result.append(isSpace ? " " : character)
        }
        return String(trimmed(result[...]))
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }

    private static func week(_ text: String) -> [[Span]]? {
        var week = [[Span]](repeating: [], count: 7)
        var days: [Int] = []
        let entries = text.split { $0 == ";" || $0 == "," || $0.isNewline }
        for entry in entries {
            var rest = trimmed(entry)
            if rest.isEmpty { continue }
            if let named = takeDays(&rest) {
                days = named
            } else if days.isEmpty {
                days = Array(0..<7)
            }
            if rest == "closed" { continue }
            guard let spans = spans(rest) else { return nil }
            for day in days { week[day] += spans }
        }
        guard !days.isEmpty else { return nil }
        for day in week.indices {
            week[day].sort { $0.start < $1.start }
            guard areApart(week[day]) else { return nil }
        }
        return week
    }

    /// Whether no span of a day reaches into the next one of it.
    private static func areApart(_ spans: [Span]) -> Bool {
        spans.count <= 24
            && zip(spans, spans.dropFirst()).allSatisfy { $0.end <= $1.start }
    }

    // MARK: Days

    private static let dayNames = [
        ["monday", "mon", "mo"], ["tuesday", "tues", "tue", "tu"],
        ["wednesday", "weds", "wed", "we"], ["thursday", "thurs", "thur", "thu", "th"],
        ["friday", "fri", "fr"], ["saturday", "sat", "sa"], ["sunday", "sun", "su"],
    ]

    /// Takes the days that a text begins with and a colon behind them.
    private static func takeDays(_ text: inout Substring) -> [Int]? {
        var days: [Int]
        for (name, group) in [
            ("daily", 0..<7), ("every day", 0..<7), ("weekdays", 0..<5), ("weekends", 5..<7),
        ] where text.hasPrefix(name) {
            text = rest(text.dropFirst(name.count))
            return Array(group)
        }
        guard let first = takeDay(&text) else { return nil }
        days = [first]
        var last = first
        while let separator = text.first, separator == "-" || separator == "&" {
            var after = trimmed(text.dropFirst())
            guard let day = takeDay(&after) else { break }
            if separator == "-" {
                while last != day {
                    last = (last + 1) % 7
                    days.append(last)
                }
            } else {
                days.append(day)
                last = day
            }
            text = after
        }
        text = rest(text)
        return days
    }

    private static func rest(_ text: Substring) -> Substring {
        var text = trimmed(text)
        if text.first == ":" { text = trimmed(text.dropFirst()) }
        return text
    }

    private static func takeDay(_ text: inout Substring) -> Int? {
        let word = text.prefix { $0.isLetter }
        guard let day = dayNames.firstIndex(where: { $0.contains(String(word)) }) else {
            return nil
        }
        text = trimmed(text.dropFirst(word.count))
        return day
    }

    // MARK: Times

    private static func spans(_ text: Substring) -> [Span]? {
        var text = text
        if text.hasPrefix("open ") { text = trimmed(text.dropFirst(5)) }
        if ["24 hours", "24hours", "24 hrs", "24hrs", "24 hr", "24hr", "24h", "24/7", "all day"]
            .contains(String(text))
        {
            return [Span(0, 1_440)]
        }
        var spans: [Span] = []
        let parts = text.replacing(" and ", with: "&").split { "&/".contains($0) }
        for (index, part) in parts.enumerated() {
            // Before another span of the day a bare 12 is noon.
            let closesByNoon = index + 1 < parts.count
            guard let span = span(trimmed(part), closesByNoon: closesByNoon) else { return nil }
            spans.append(span)
        }
        return spans.isEmpty ? nil : spans
    }

    /// A clock's time, as far as it is written.
    private struct Time {
        var hour: Int
        var minute: Int
        /// Nil where neither am nor pm is written.
        var isAfternoon: Bool?

        /// Minutes from midnight by the clock that the time itself tells of; nil if it does not.
        var minutes: Int? {
            if let isAfternoon { return (hour % 12 + (isAfternoon ? 12 : 0)) * 60 + minute }
            return hour == 0 || hour > 12 ? hour * 60 + minute : nil
        }
    }

    private static func span(_ text: Substring, closesByNoon: Bool) -> Span? {
        var text = text
        guard let from = takeTime(&text) else { return nil }
        if text.hasPrefix("-") {
            text = text.dropFirst()
        } else if text.hasPrefix("to ") {
            text = text.dropFirst(3)
        } else {
            return nil
        }
        text = trimmed(text)
        guard let to = takeTime(&text), text.isEmpty else { return nil }
        let isAfternoon = from.hour < 5 || from.hour == 12
        let start =
            from.minutes ?? ((from.hour % 12 + (isAfternoon ? 12 : 0)) * 60 + from.minute)
        guard start < 1_440 else { return nil }
        let midnight = closesByNoon && start < 720 ? 12 : 24
        var end = to.minutes ?? ((to.hour == 12 ? midnight : to.hour + 12) * 60 + to.minute)
        if to.minutes == nil && end <= start { end -= 720 }
        // From a time to itself is around the clock.
        if end == start || end == start + 1_440 { return Span(0, 1_440) }
        if end < start { end += 1_440 }
        return Span(start, end)
    }

    private static func takeTime(_ text: inout Substring) -> Time? {
        for (name, afternoon) in [("noon", true), ("midnight", false)] where text.hasPrefix(name) {
            text = trimmed(text.dropFirst(name.count))
            return Time(hour: 12, minute: 0, isAfternoon: afternoon)
        }
        guard let hour = takeNumber(&text), hour <= 24 else { return nil }
        var time = Time(hour: hour, minute: 0, isAfternoon: nil)
        if text.first == ":" {
            text = text.dropFirst()
            let before = text.count
            guard let minute = takeNumber(&text), before - text.count == 2, minute < 60 else {
                return nil
            }
            time.minute = minute
        }
        text = trimmed(text)
        for (mark, afternoon) in [("am", false), ("pm", true)] where text.hasPrefix(mark) {
            guard (1...12).contains(hour) else { return nil }
            time.isAfternoon = afternoon
            text = trimmed(text.dropFirst(2))
        }
        guard hour < 24 || time.minute == 0 else { return nil }
        return time
    }

    private static func takeNumber(_ text: inout Substring) -> Int? {
        let digits = text.prefix(2).prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits) else { return nil }
        text = text.dropFirst(digits.count)
        return number
    }
}
