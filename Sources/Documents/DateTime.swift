/// Why a text or number is not a point in time.
package enum DateTimeError: Error, Equatable, Sendable {
    /// Neither RFC 3339, nor a date, nor `now±duration`.
    case malformed
    /// A field that no calendar has: month 13, 30 February, 25 o'clock, zone +24:00.
    case outOfRange
}

/// Points in time as milliseconds since 1970-01-01T00:00:00Z, in the proleptic Gregorian calendar,
/// years 0001 to 9999.
package enum DateTime {
    /// 0001-01-01T00:00:00.000Z.
    package static let minimum: Int64 = -62_135_596_800_000
    /// 9999-12-31T23:59:59.999Z.
    package static let maximum: Int64 = 253_402_300_799_999

    /// Reads RFC 3339 (`T`, `t` or a space between; no zone is UTC; digits beyond milliseconds are
    /// cut off) or a date alone (midnight UTC).
    /// - Throws: `malformed`, `outOfRange`.
    package static func parse(_ text: UnsafeRawBufferPointer) throws(DateTimeError) -> Int64 {
        var reader = Reader(bytes: text)
        let year = try reader.digits(4)
        try reader.expect(0x2D)
        let month = try reader.digits(2)
        try reader.expect(0x2D)
        let day = try reader.digits(2)
        guard year >= 1, month >= 1, month <= 12, day >= 1, day <= days(inMonth: month, of: year)
        else { throw .outOfRange }
        var milliseconds = daysSinceEpoch(year: year, month: month, day: day) * 86_400_000
        guard !reader.isAtEnd else { return milliseconds }
        guard let separator = reader.take(), separator | 0x20 == 0x74 || separator == 0x20 else {
            throw .malformed
        }
        milliseconds += try time(&reader)
        milliseconds -= try zoneMilliseconds(&reader)
        guard reader.isAtEnd else { throw .malformed }
        guard milliseconds >= minimum, milliseconds <= maximum else { throw .outOfRange }
        return milliseconds
    }

    /// Reads a text: see the overload for bytes.
    package static func parse(_ text: String) throws(DateTimeError) -> Int64 {
        let result = withBytes(text) { bytes in
            Result { () throws(DateTimeError) in try parse(bytes) }
        }
        return try result.get()
    }

    /// Reads what a filter may say: all of ``parse(_:)-(String)``, and `now`, `now-7d`,
    /// `now+1h30m`.
    /// - Throws: `malformed`, `outOfRange`.
    package static func parse(
        _ text: String,
        nowMilliseconds now: Int64
    ) throws(DateTimeError) -> Int64 {
        guard text.hasPrefix("now") else { return try parse(text) }
        let rest = text.dropFirst(3)
        guard let sign = rest.first else { return now }
        guard sign == "+" || sign == "-" else { throw .malformed }
        let shift: Int64
        do throws(UnitError) {
            shift = try DurationText.milliseconds(String(rest.dropFirst()))
        } catch {
            if case .overflow = error { throw .outOfRange }
            throw .malformed
        }
        let (result, isOver) = now.addingReportingOverflow(sign == "-" ? -shift : shift)
        guard !isOver else { throw .outOfRange }
        return try check(result)
    }

    /// Accepts milliseconds since 1970 within the years 0001 to 9999.
    /// - Throws: `outOfRange`.
    package static func check(_ milliseconds: Int64) throws(DateTimeError) -> Int64 {
        guard milliseconds >= minimum, milliseconds <= maximum else { throw .outOfRange }
        return milliseconds
    }

    /// Reads a document's value: a string as in ``parse(_:)-(UnsafeRawBufferPointer)``, an integer
    /// as milliseconds since 1970.
    /// - Throws: `malformed` for every other kind too, `outOfRange`.
    package static func parse(_ value: TapeValue) throws(DateTimeError) -> Int64 {
        if value.kind == .string { return try parse(value.stringBytes) }
        guard value.isInteger else { throw .malformed }
        guard let milliseconds = value.int64 else { throw .outOfRange }
        return try check(milliseconds)
    }

    /// `2026-01-02T03:04:05.678Z`. Values beyond the years 0001 to 9999 are clamped.
    package static func format(_ milliseconds: Int64) -> String {
        let clamped = min(max(milliseconds, minimum), maximum)
        let day = clamped >= 0 ? clamped / 86_400_000 : (clamped - 86_399_999) / 86_400_000
        let rest = clamped - day * 86_400_000
        let (year, month, dayOfMonth) = date(daysSinceEpoch: day)
        var out: [UInt8] = []
        out.reserveCapacity(24)
        func put(_ value: Int64, _ width: Int, _ end: UInt8) {
            let digits = Array(String(value).utf8)
            for _ in digits.count..<max(width, digits.count) { out.append(0x30) }
            out.append(contentsOf: digits)
            out.append(end)
        }
        put(year, 4, 0x2D)
        put(month, 2, 0x2D)
        put(dayOfMonth, 2, 0x54)
        put(rest / 3_600_000, 2, 0x3A)
        put(rest / 60_000 % 60, 2, 0x3A)
        put(rest / 1_000 % 60, 2, 0x2E)
        put(rest % 1_000, 3, 0x5A)
        return String(decoding: out, as: UTF8.self)
    }

    private static func time(_ reader: inout Reader) throws(DateTimeError) -> Int64 {
        let hour = try reader.digits(2)
        try reader.expect(0x3A)
        let minute = try reader.digits(2)
        try reader.expect(0x3A)
        let second = try reader.digits(2)
        // A leap second (:60) has no millisecond of its own in this time scale.
        guard hour <= 23, minute <= 59, second <= 59 else { throw .outOfRange }
        return hour * 3_600_000 + minute * 60_000 + second * 1_000 + (try reader.fraction())
    }

    private static func zoneMilliseconds(_ reader: inout Reader) throws(DateTimeError) -> Int64 {
        guard let sign = reader.take() else { return 0 }
        if sign | 0x20 == 0x7A { return 0 }
        guard sign == 0x2B || sign == 0x2D else { throw .malformed }
        let hours = try reader.digits(2)
        try reader.expect(0x3A)
        let minutes = try reader.digits(2)
        guard hours <= 23, minutes <= 59 else { throw .outOfRange }
        let offset = hours * 3_600_000 + minutes * 60_000
        return sign == 0x2D ? -offset : offset
    }

    private static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    // Both conversions count years from March, so that the leap day is the last of its year, and
    // days from 0000-03-01, in eras of 400 years (146,097 days).

    /// Days from 1970-01-01 to a date.
    package static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let marchYear = month > 2 ? year : year - 1
        let era = marchYear / 400
        let yearOfEra = marchYear - era * 400
        let monthFromMarch = (month + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The date that lies `days` after 1970-01-01. REQUIRES: years 0001 to 9999.
    package static func date(
        daysSinceEpoch days: Int64
    ) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let leapDays = dayOfEra / 1_460 - dayOfEra / 36_524 + dayOfEra / 146_096
        let yearOfEra = (dayOfEra - leapDays) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    /// Reads fixed-width fields.
    private struct Reader {
        let bytes: UnsafeRawBufferPointer
        var index = 0

        init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

        var isAtEnd: Bool { index == bytes.count }

        mutating func take() -> UInt8? {
            guard index < bytes.count else { return nil }
            defer { index += 1 }
            return bytes[index]
        }

        mutating func expect(_ byte: UInt8) throws(DateTimeError) {
            guard take() == byte else { throw .malformed }
        }

        mutating func digits(_ count: Int) throws(DateTimeError) -> Int64 {
            var value: Int64 = 0
            for _ in 0..<count {
                guard let byte = take(), byte >= 0x30, byte <= 0x39 else { throw .malformed }
                value = value * 10 + Int64(byte - 0x30)
            }
            return value
        }

        /// Milliseconds of an optional fraction; further digits are read and dropped.
        mutating func fraction() throws(DateTimeError) -> Int64 {
            guard index < bytes.count, bytes[index] == 0x2E else { return 0 }
            index += 1
            var value: Int64 = 0
            var count = 0
            while index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39 {
                if count < 3 { value = value * 10 + Int64(bytes[index] - 0x30) }
                count += 1
                index += 1
            }
            guard count > 0 else { throw .malformed }
            while count < 3 {
                value *= 10
                count += 1
            }
            return value
        }
    }
}
