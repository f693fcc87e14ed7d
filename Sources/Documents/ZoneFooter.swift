// The rule at the end of a zone file (RFC 8536, 3.3): a TZ string of POSIX with the extension that
// times of a change may be from -167 to 167 hours, as `EST5EDT,M3.2.0,M11.1.0` or
// `<-02>2<-01>,M3.5.0/-1,M10.5.0/0`.

/// How a zone's clocks go on after its last listed change.
struct ZoneFooter: Sendable, Equatable {
    /// The day of a year on which clocks change.
    enum Day: Equatable {
        /// `Jn`, 1 to 365: February 29 is never counted.
        case julian(Int)
        /// `n`, 0 to 365: it is.
        case ordinal(Int)
        /// `Mm.w.d`: weekday d (0 is Sunday) of week w of month m; week 5 is the last.
        case weekday(month: Int, week: Int, day: Int)
    }

    /// A change of every year.
    struct Change: Equatable {
        var day: Day
        /// Seconds after midnight, by the clocks before the change.
        var seconds: Int
    }

    /// Summer time: when it begins and ends.
    struct Summer: Equatable {
        /// Seconds east of UTC.
        var offset: Int
        var start: Change
        var end: Change
    }

    /// Seconds east of UTC.
    let offset: Int
    let summer: Summer?

    /// Seconds ahead of UTC at a moment. - Complexity: O(1).
    func offset(atSeconds seconds: Int64) -> Int {
        guard let summer else { return offset }
        let day = floored(seconds + Int64(offset), by: 86_400)
        // Beyond the years that dates have, every year goes as the last.
        let year = DateTime.date(daysSinceEpoch: min(max(day, -719_000), 2_932_000)).year
        let start = ZoneFooter.seconds(of: summer.start, in: year) - Int64(offset)
        let end = ZoneFooter.seconds(of: summer.end, in: year) - Int64(summer.offset)
        // South of the equator summer runs over the end of the year.
        let isSummer =
            start < end
            ? seconds >= start && seconds < end : !(seconds >= end && seconds < start)
        return isSummer ? summer.offset : offset
    }

    /// When a change of a year happens, in seconds since 1970 as if clocks showed UTC.
    private static func seconds(of change: Change, in year: Int64) -> Int64 {
        let first = DateTime.daysSinceEpoch(year: year, month: 1, day: 1)
        let day: Int64
        switch change.day {
        case .julian(let number):
            let isLeap = DateTime.daysSinceEpoch(year: year + 1, month: 1, day: 1) - first == 366
            day = first + Int64(number - 1) + (isLeap && number >= 60 ? 1 : 0)
        case .ordinal(let number): day = first + Int64(number)
        case .weekday(let month, let week, let weekday):
            day = ZoneFooter.day(year: year, month: month, week: week, weekday: weekday)
        }
        return day * 86_400 + Int64(change.seconds)
    }

    private static func day(year: Int64, month: Int, week: Int, weekday: Int) -> Int64 {
        let first = DateTime.daysSinceEpoch(year: year, month: Int64(month), day: 1)
        let next = DateTime.daysSinceEpoch(
            year: month == 12 ? year + 1 : year, month: Int64(month % 12 + 1), day: 1)
        // 1970-01-01 was a Thursday, day 4 of a week that begins on Sunday.
        let firstWeekday = ((first + 4) % 7 + 7) % 7
        var day = first + (Int64(weekday) - firstWeekday + 7) % 7 + Int64(week - 1) * 7
        while day >= next { day -= 7 }
        return day
    }
}

extension ZoneFooter {
    /// Reads a rule; nil for anything that is none.
    init?(_ text: [UInt8]) {
        var reader = ZoneFooterReader(bytes: text)
        guard reader.skipName(), let west = reader.time(hoursMax: 24) else { return nil }
        guard !reader.isAtEnd else {
            self.init(offset: -west, summer: nil)
            return
        }
        guard reader.skipName() else { return nil }
        var offset = -west + 3_600
        if !reader.isNext(",") {
            guard let west = reader.time(hoursMax: 24) else { return nil }
            offset = -west
        }
        guard let start = reader.change(), let end = reader.change(), reader.isAtEnd else {
            return nil
        }
        self.init(offset: -west, summer: Summer(offset: offset, start: start, end: end))
    }
}

/// Reads the parts of a rule.
private struct ZoneFooterReader {
    let bytes: [UInt8]
    var index = 0

    var isAtEnd: Bool { index == bytes.count }

    init(bytes: [UInt8]) { self.bytes = bytes }

    func isNext(_ character: Unicode.Scalar) -> Bool {
        index < bytes.count && bytes[index] == UInt8(ascii: character)
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard isNext(character) else { return false }
        index += 1
        return true
    }

    /// Three letters or more, or anything between angle brackets.
    mutating func skipName() -> Bool {
        let start = index
        if take("<") {
            while index < bytes.count, !isNext(">") { index += 1 }
            return take(">") && index - start >= 5
        }
        while index < bytes.count, bytes[index] | 0x20 >= 0x61, bytes[index] | 0x20 <= 0x7A {
            index += 1
        }
        return index - start >= 3
    }

    mutating func number(in range: ClosedRange<Int>) -> Int? {
        let start = index
        var value = 0
        while index < bytes.count, index - start < 3, bytes[index] &- 0x30 < 10 {
            value = value * 10 + Int(bytes[index] - 0x30)
            index += 1
        }
        return index > start && range.contains(value) ? value : nil
    }

    /// Seconds of `[+-]hh[:mm[:ss]]`.
    mutating func time(hoursMax: Int) -> Int? {
        let sign = take("-") ? -1 : 1
        if sign == 1 { _ = take("+") }
        guard let hours = number(in: 0...hoursMax) else { return nil }
        var seconds = hours * 3_600
        if take(":") {
            guard let minutes = number(in: 0...59) else { return nil }
            seconds += minutes * 60
            if take(":") {
                guard let rest = number(in: 0...59) else { return nil }
                seconds += rest
            }
        }
        return sign * seconds
    }

    /// `,day[/time]`; the time is 02:00 where it is left out.
    mutating func change() -> ZoneFooter.Change? {
        guard take(",") else { return nil }
        let day: ZoneFooter.Day
        if take("J") {
            guard let number = number(in: 1...365) else { return nil }
            day = .julian(number)
        } else if take("M") {
            guard let month = number(in: 1...12), take("."), let week = number(in: 1...5),
                take("."), let weekday = number(in: 0...6)
            else { return nil }
            day = .weekday(month: month, week: week, day: weekday)
        } else {
            guard let number = number(in: 0...365) else { return nil }
            day = .ordinal(number)
        }
        guard take("/") else { return ZoneFooter.Change(day: day, seconds: 7_200) }
        return time(hoursMax: 167).map { ZoneFooter.Change(day: day, seconds: $0) }
    }
}
