/// Why a value is not one of opening hours: where and which rule.
package struct OpeningHoursError: Error, Equatable, Sendable {
    /// The rules of an `hours` value.
    package enum Rule: String, Sendable {
        case object = "an object with weekly, and optionally timezone and exceptions"
        case timezone = "an IANA time zone name such as America/Chicago"
        case weekly = "an object of days mon tue wed thu fri sat sun"
        case day = "one of mon tue wed thu fri sat sun"
        case exceptions = "an object of dates"
        case date = "a date YYYY-MM-DD"
        case spans = "an array of [from, to]"
        case span = "a pair of times HH:MM, not equal"
        case time = "a time HH:MM, 00:00 to 23:59; as an end also 24:00"
        case overlap = "spans of a day must not overlap"
        case spanCount = "at most 24 spans a day"
        case exceptionCount = "at most 1000 exceptions"
    }

    /// Dotted, below the field: `weekly.mon.0`; empty for the value itself.
    package let path: String
    package let rule: Rule
}

/// Opening hours of a place: spans per weekday in its time zone, and dates that differ.
///
/// `{"timezone":"America/Chicago","weekly":{"mon":[["10:00","21:30"]],"sat":[["18:00","02:00"]]},
///   "exceptions":{"2026-12-25":[]}}`
///
/// A span whose end is not after its start runs into the next day. Days that are not named are
/// closed; an exception replaces its date's spans. The time zone is UTC when absent; whether the
/// name exists is for whoever loads the zone's rules: see ``ZoneDatabase``.
package struct OpeningHours: Sendable, Equatable {
    /// Minutes from the day's midnight: 0 <= start < 1,440, start < end <= start + 1,440; an end
    /// beyond 1,440 lies in the next day.
    package struct Span: Sendable, Equatable {
        package let start: Int
        package let end: Int
    }

    /// Spans of one date.
    package struct Exception: Sendable, Equatable {
        /// Days since 1970-01-01.
        package let day: Int64
        package let spans: [Span]
    }

    package let timezone: String
    /// Seven lists from Monday on, each by start.
    package let weekly: [[Span]]
    /// By date.
    package let exceptions: [Exception]

    private static let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    private static let spanCountMax = 24
    private static let exceptionCountMax = 1_000

    /// Reads and checks a value.
    /// - Throws: `OpeningHoursError`.
    package init(_ json: JSON) throws(OpeningHoursError) {
        guard case .object(let object) = json else {
            throw OpeningHoursError(path: "", rule: .object)
        }
        var timezone = "UTC"
        var weekly = [[Span]](repeating: [], count: 7)
        var exceptions: [Exception] = []
        for (key, value) in object.members {
            switch key {
            case "timezone": timezone = try Self.timezone(value)
            case "weekly": weekly = try Self.weekly(value)
            case "exceptions": exceptions = try Self.exceptions(value)
            default: throw OpeningHoursError(path: key, rule: .object)
            }
        }
        guard object["weekly"] != nil else { throw OpeningHoursError(path: "", rule: .object) }
        self.timezone = timezone
        self.weekly = weekly
        self.exceptions = exceptions
    }

    /// The normal form: days from Monday, spans by start, exceptions by date, closed days left out.
    package var json: JSON {
        var week = JSONObject()
        for (name, spans) in zip(Self.days, weekly) where !spans.isEmpty {
            week[name] = Self.json(spans)
        }
        var result = JSONObject([
            (key: "timezone", value: .string(timezone)), (key: "weekly", value: .object(week)),
        ])
        if !exceptions.isEmpty {
            let dates = exceptions.map { exception in
                let text = DateTime.format(exception.day * 86_400_000)
                return (key: String(text.prefix(10)), value: Self.json(exception.spans))
            }
            result["exceptions"] = .object(JSONObject(dates))
        }
        return .object(result)
    }

    private static func json(_ spans: [Span]) -> JSON {
        .array(
            spans.map { span in
                // An end at midnight reads 24:00 from the same day, else it wraps.
                let end = span.end <= 1_440 ? span.end : span.end - 1_440
                return .array([.string(text(minutes: span.start)), .string(text(minutes: end))])
            }
        )
    }

    private static func text(minutes: Int) -> String {
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return two(minutes / 60) + ":" + two(minutes % 60)
    }

    private static func timezone(_ value: JSON) throws(OpeningHoursError) -> String {
        // The shape of the names only.
        guard let name = value.string, ZoneDatabase.isName(name)
        else { throw OpeningHoursError(path: "timezone", rule: .timezone) }
        return name
    }

    private static func weekly(_ value: JSON) throws(OpeningHoursError) -> [[Span]] {
        guard case .object(let object) = value else {
            throw OpeningHoursError(path: "weekly", rule: .weekly)
        }
        var weekly = [[Span]](repeating: [], count: 7)
        for (key, value) in object.members {
            guard let day = days.firstIndex(of: key) else {
                throw OpeningHoursError(path: "weekly.\(key)", rule: .day)
            }
            weekly[day] = try spans(value, "weekly.\(key)")
        }
        return weekly
    }

    private static func exceptions(_ value: JSON) throws(OpeningHoursError) -> [Exception] {
        guard case .object(let object) = value else {
            throw OpeningHoursError(path: "exceptions", rule: .exceptions)
        }
        guard object.count <= exceptionCountMax else {
            throw OpeningHoursError(path: "exceptions", rule: .exceptionCount)
        }
        var exceptions: [Exception] = []
        for (key, value) in object.members {
            let path = "exceptions.\(key)"
            guard key.utf8.count == 10, let milliseconds = try? DateTime.parse(key) else {
                throw OpeningHoursError(path: path, rule: .date)
            }
            let day = (milliseconds - (milliseconds < 0 ? 86_399_999 : 0)) / 86_400_000
            exceptions.append(Exception(day: day, spans: try spans(value, path)))
        }
        return exceptions.sorted { $0.day < $1.day }
    }

    private static func spans(_ value: JSON, _ path: String) throws(OpeningHoursError) -> [Span] {
        guard case .array(let elements) = value else {
            throw OpeningHoursError(path: path, rule: .spans)
        }
        guard elements.count <= spanCountMax else {
            throw OpeningHoursError(path: path, rule: .spanCount)
        }
        var spans: [(span: Span, path: String)] = []
        for (index, element) in elements.enumerated() {
            let path = "\(path).\(index)"
            guard case .array(let pair) = element, pair.count == 2 else {
                throw OpeningHoursError(path: path, rule: .span)
            }
            guard let start = minutes(pair[0]), start < 1_440 else {
                throw OpeningHoursError(path: path + ".0", rule: .time)
            }
            guard let end = minutes(pair[1]) else {
                throw OpeningHoursError(path: path + ".1", rule: .time)
            }
            guard start != end else { throw OpeningHoursError(path: path, rule: .span) }
            spans.append((Span(start: start, end: end > start ? end : end + 1_440), path))
        }
        spans.sort { $0.span.start < $1.span.start }
        for (earlier, later) in zip(spans, spans.dropFirst())
        where later.span.start < earlier.span.end {
            throw OpeningHoursError(path: later.path, rule: .overlap)
        }
        return spans.map(\.span)
    }

    /// Minutes of `HH:MM`, 00:00 to 24:00.
    private static func minutes(_ value: JSON) -> Int? {
        guard let text = value.string, text.utf8.count == 5 else { return nil }
        let bytes = Array(text.utf8).map { Int($0) - 0x30 }
        guard bytes[2] == 10, [0, 1, 3, 4].allSatisfy({ (0...9).contains(bytes[$0]) }) else {
            return nil
        }
        let (hours, minutes) = (bytes[0] * 10 + bytes[1], bytes[3] * 10 + bytes[4])
        guard minutes <= 59, hours <= 23 || (hours == 24 && minutes == 0) else { return nil }
        return hours * 60 + minutes
    }
}
