import Testing

@testable import Documents

@Suite struct DateTimeTests {
    @Test(
        arguments: [
            ("1970-01-01", 0), ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:00", 0),
            ("1970-01-01t00:00:00z", 0), ("1970-01-01 00:00:01Z", 1_000),
            ("1969-12-31T23:59:59.999Z", -1), ("2026-01-02T03:04:05.678Z", 1_767_323_045_678),
            ("2026-01-02T03:04:05.6789999Z", 1_767_323_045_678),
            ("2026-01-02T03:04:05.6Z", 1_767_323_045_600),
            ("2026-01-02T05:34:05.678+02:30", 1_767_323_045_678),
            ("2026-01-01T22:04:05.678-05:00", 1_767_323_045_678),
            ("2000-02-29", 951_782_400_000), ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("0001-01-01T00:00:00Z", DateTime.minimum),
            ("9999-12-31T23:59:59.999Z", DateTime.maximum),
        ] as [(String, Int64)]
    )
    func textsAreRead(_ text: String, _ expected: Int64) throws {
        #expect(try DateTime.parse(text) == expected)
    }

    @Test(arguments: [
        "", "2026", "2026-1-02", "2026-01-02T", "2026-01-02T03", "2026-01-02T03:04",
        "2026-01-02T03:04:05.", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05X",
        "2026-01-02T03:04:05+0200", "2026-01-02T03:04:05+02", "2026-01-02T03:04:05ZZ",
        "2026-01-02Z", "20260102", "2026/01/02", " 2026-01-02", "2026-01-02 ", "+026-01-02", "now",
    ])
    func malformedTextsAreRefused(_ text: String) {
        #expect(throws: DateTimeError.malformed) { try DateTime.parse(text) }
    }

    @Test(arguments: [
        "0000-01-01", "2026-00-01", "2026-13-01", "2026-01-00", "2026-01-32", "2026-04-31",
        "2026-02-29", "1900-02-29", "2100-02-29", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+01:60",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
    ])
    func impossibleTimesAreRefused(_ text: String) {
        #expect(throws: DateTimeError.outOfRange) { try DateTime.parse(text) }
    }

    @Test func everyDayOfFourCenturiesRoundTrips() throws {
        var expected = DateTime.daysSinceEpoch(year: 1799, month: 12, day: 31)
        for year in Int64(1800)..<2201 {
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            for (month, days) in [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
                .enumerated()
            {
                for day in 1...Int64(days) {
                    expected += 1
                    let number = DateTime.daysSinceEpoch(
                        year: year,
                        month: Int64(month + 1),
                        day: day
                    )
                    let back = DateTime.date(daysSinceEpoch: number)
                    #expect(number == expected && back == (year, Int64(month + 1), day))
                }
            }
        }
    }

    @Test func randomMillisecondsRoundTrip() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<5_000 {
            let value = Int64.random(in: DateTime.minimum...DateTime.maximum, using: &random)
            #expect(try DateTime.parse(DateTime.format(value)) == value, "seed \(seed)")
        }
        #expect(DateTime.format(1_767_323_045_678) == "2026-01-02T03:04:05.678Z")
        #expect(DateTime.format(-1) == "1969-12-31T23:59:59.999Z")
        #expect(DateTime.format(.min) == "0001-01-01T00:00:00.000Z")
    }

    @Test(
        arguments: [
            ("now", 1_000_000), ("now-1s", 999_000), ("now+1h30m", 6_400_000),
            ("now-0ms", 1_000_000),
            ("1970-01-02", 86_400_000),
        ] as [(String, Int64)]
    )
    func nowIsRelative(_ text: String, _ expected: Int64) throws {
        #expect(try DateTime.parse(text, nowMilliseconds: 1_000_000) == expected)
    }

    @Test(arguments: [
        ("now-", DateTimeError.malformed), ("now 7d", .malformed), ("now-7", .malformed),
        ("nowish", .malformed), ("now-7w", .malformed), ("now--7d", .malformed),
        ("now+999999999d", .outOfRange), ("now-99999999999999999999d", .outOfRange),
    ])
    func badRelativeTimesAreRefused(_ text: String, _ expected: DateTimeError) {
        #expect(throws: expected) { try DateTime.parse(text, nowMilliseconds: 0) }
    }

    @Test func documentValuesAreTextsOrIntegers() throws {
        let parser = JSONParser()
        #expect(try DateTime.parse(parser.parse(#""2026-01-02""#)) == 1_767_312_000_000)
        #expect(try DateTime.parse(parser.parse("-5")) == -5)
        for text in ["1.0", "1e3", "true", "null", "[]", "{}", #""now""#] {
            let value = try parser.parse(text)
            #expect(throws: DateTimeError.malformed) { try DateTime.parse(value) }
        }
        for text in ["253402300800000", "99999999999999999999"] {
            let value = try parser.parse(text)
            #expect(throws: DateTimeError.outOfRange) { try DateTime.parse(value) }
        }
    }
}

@Suite struct UnitTextTests {
    @Test(
        arguments: [
            ("500ms", 500), ("30s", 30_000), ("15m", 900_000), ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000), ("0s", 0),
        ] as [(String, Int64)]
    )
    func durationsAreRead(_ text: String, _ expected: Int64) throws {
        #expect(try DurationText.milliseconds(text) == expected)
    }

    @Test(arguments: ["", "5", "s", "-5s", "1.5h", "5 s", "5S", "5sec", "5s ", "1h30"])
    func badDurationsAreRefused(_ text: String) {
        #expect(throws: UnitError.malformed(text: text)) { try DurationText.milliseconds(text) }
    }

    @Test(arguments: ["9223372036854775808ms", "9223372036854775807s", "106751991167d999999999d"])
    func hugeDurationsAreRefused(_ text: String) {
        #expect(throws: UnitError.overflow(text: text)) { try DurationText.milliseconds(text) }
    }

    @Test(
        arguments: [
            ("100", 100), ("64kb", 65_536), ("512mb", 536_870_912), ("8gb", 8_589_934_592),
            ("1TB", 1_099_511_627_776), ("7b", 7), ("0", 0),
        ] as [(String, Int64)]
    )
    func sizesAreRead(_ text: String, _ expected: Int64) throws {
        #expect(try ByteSizeText.bytes(text) == expected)
    }

    @Test(arguments: ["", "kb", "-1", "1.5gb", "1 gb", "1pb"])
    func badSizesAreRefused(_ text: String) {
        #expect(throws: UnitError.malformed(text: text)) { try ByteSizeText.bytes(text) }
        #expect(throws: UnitError.overflow(text: "9223372036854775807kb")) {
            try ByteSizeText.bytes("9223372036854775807kb")
        }
    }
}
