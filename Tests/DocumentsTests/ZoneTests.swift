import Foundation
import Testing

@testable import Documents

/// Zone files and values that Python's zoneinfo gave for them.
enum ZoneGolden {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "Golden")

    static func rows(_ name: String) throws -> [[String]] {
        let text = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
        return text.split(separator: "\n").dropFirst().map { $0.components(separatedBy: "\t") }
    }

    static func file(_ zone: String) throws -> [UInt8] {
        let name = zone.replacing("/", with: "-")
        return try [UInt8](Data(contentsOf: folder.appending(path: name)))
    }

    static func rules(_ zone: String) throws -> ZoneRules {
        try ZoneRules(name: zone, file: file(zone))
    }
}

@Suite struct ZoneTests {
    @Test func offsetsAreThoseOfPython() throws {
        var zones: [String: ZoneRules] = [:]
        let rows = try ZoneGolden.rows("offsets.tsv")
        #expect(rows.count > 1_000)
        for row in rows {
            let rules = try zones[row[0]] ?? ZoneGolden.rules(row[0])
            zones[row[0]] = rules
            let seconds = try #require(Int64(row[1]))
            #expect(rules.offset(atSeconds: seconds) == Int(row[2]), "\(row)")
        }
        #expect(zones.count == 16)
    }

    @Test func openingHoursAreThoseOfPython() throws {
        for row in try ZoneGolden.rows("hours.tsv") {
            let hours = try OpeningHours(json(row[0]))
            let rules = try ZoneGolden.rules(hours.timezone)
            for answer in row.dropFirst() {
                let parts = answer.components(separatedBy: "=")
                let seconds = try #require(Int64(parts[0]))
                #expect(
                    hours.isOpen(atMilliseconds: seconds * 1_000, in: rules) == (parts[1] == "1"),
                    "\(row[0]) \(answer)")
            }
        }
    }

    @Test(arguments: [
        ("EST5EDT,M3.2.0,M11.1.0", -18_000, "2026-03-08T07:00:00Z", -14_400),
        ("EST5EDT,M3.2.0,M11.1.0", -18_000, "2026-11-01T06:00:00Z", -18_000),
        // Negative summer time, as Ireland has it by law.
        ("IST-1GMT0,M10.5.0,M3.5.0/1", 3_600, "2026-01-15T12:00:00Z", 0),
        ("IST-1GMT0,M10.5.0,M3.5.0/1", 3_600, "2026-07-15T12:00:00Z", 3_600),
        // South of the equator.
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 37_800, "2026-01-15T12:00:00Z", 39_600),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 37_800, "2026-06-15T12:00:00Z", 37_800),
        // Summer time all the year.
        ("EST5EDT,0/0,J365/25", -18_000, "2026-01-01T05:00:00Z", -14_400),
        ("EST5EDT,0/0,J365/25", -18_000, "2027-01-01T04:59:59Z", -14_400),
        // The day 60 of a year without and with a leap day.
        ("AAA0BBB,J60/0,J300", 0, "2026-03-01T00:00:00Z", 3_600),
        ("AAA0BBB,J60/0,J300", 0, "2028-02-29T12:00:00Z", 0),
        ("AAA0BBB,59/0,300", 0, "2028-02-29T00:00:00Z", 3_600),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", -7_200, "2026-03-29T01:00:00Z", -3_600),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", -7_200, "2026-03-29T00:59:59Z", -7_200),
        ("UTC0", 0, "2026-03-29T00:59:59Z", 0),
    ])
    func rulesAtTheEndOfAFile(text: String, standard: Int, moment: String, offset: Int) throws {
        let footer = try #require(ZoneFooter(Array(text.utf8)))
        #expect(footer.offset == standard)
        #expect(footer.offset(atSeconds: try DateTime.parse(moment) / 1_000) == offset)
    }

    @Test(arguments: [
        "", "EST", "5", "ES5", "EST5EDT", "EST5EDT,M3.2.0", "EST5EDT,M13.2.0,M11.1.0",
        "EST5EDT,M3.6.0,M11.1.0", "EST5EDT,M3.2.7,M11.1.0", "EST5EDT,J0,J1", "EST5EDT,366,1",
        "EST5EDT,M3.2.0,M11.1.0 ", "EST25", "EST5:60", "<E>5", "<EST5", "EST5EDT,1/168,2",
    ])
    func whatIsNoRuleIsRefused(text: String) {
        #expect(ZoneFooter(Array(text.utf8)) == nil)
    }

    @Test func filesThatAreBrokenAreRefusedAndNeverTrap() throws {
        let good = try ZoneGolden.file("America/New_York")
        for count in 0..<good.count {
            #expect(throws: ZoneFileError.self) {
                try ZoneRules(name: "x", file: Array(good[..<count]))
            }
        }
        // Any byte may be wrong: what is accepted still answers.
        for index in 0..<good.count {
            for value in [UInt8(index & 0x7F), 0xFF] where index % 2 == 0 || value == 0xFF {
                var bytes = good
                bytes[index] = value
                guard let rules = try? ZoneRules(name: "x", file: bytes) else { continue }
                for seconds in [Int64.min / 4, -1, 0, 1_700_000_000, 200_000_000_000] {
                    #expect(abs(rules.offset(atSeconds: seconds)) <= 27 * 3_600)
                }
            }
        }
        #expect(throws: ZoneFileError.notAZoneFile) { try ZoneRules(name: "x", file: []) }
    }

    @Test func theSystemsZonesAreFoundByName() throws {
        let rules = try #require(ZoneDatabase.rules(named: "America/Chicago"))
        let moment = try DateTime.parse("2026-07-04T17:05:59Z")
        #expect(
            rules.local(atMilliseconds: moment)
                == LocalTime(day: Int(moment / 86_400_000), minute: 12 * 60 + 5))
        #expect(ZoneDatabase.rules(named: "America/Chicago") === rules)
        for name in [
            "", "America", "America/Nowhere", "../zoneinfo/UTC", "/UTC", "zone.tab", "localtime",
            "leapseconds", "america/chicago", "right/America/Chicago", "America//Chicago",
        ] {
            #expect(ZoneDatabase.rules(named: name) == nil, "\(name)")
        }
        #expect(ZoneDatabase.rules(named: "UTC")?.offset(atSeconds: 0) == 0)
    }

    @Test func daysHaveTheirWeekday() {
        #expect(LocalTime(day: 0, minute: 0).weekday == 3)
        #expect(LocalTime(day: -1, minute: 0).weekday == 2)
        #expect(LocalTime(day: -4, minute: 0).weekday == 6)
        #expect(LocalTime(day: 4, minute: 0).weekday == 0)
    }

    @Test(arguments: [
        // Clocks go from 02:00 to 03:00 on March 8: a span from 02:15 opens at 03:00.
        ("2026-03-08T07:59:59Z", false), ("2026-03-08T08:00:00Z", true),
        ("2026-03-08T08:29:59Z", true), ("2026-03-08T08:30:00Z", false),
        // They show 01:00 to 02:00 twice on November 1.
        ("2026-11-01T06:10:00Z", true), ("2026-11-01T07:10:00Z", true),
        ("2026-11-01T06:40:00Z", false), ("2026-11-01T07:40:00Z", false),
        // Saturday's span runs into Sunday; an exception ends where its day's spans do.
        ("2026-06-07T06:59:00Z", true), ("2026-06-07T07:00:00Z", false),
        // December 25 is closed, but the evening of the 24th runs into it.
        ("2026-12-25T06:30:00Z", true), ("2026-12-25T18:00:00Z", false),
    ])
    func chicagosClocksDecide(moment: String, isOpen: Bool) throws {
        let hours = try OpeningHours(
            json(
                #"""
                {"timezone":"America/Chicago","weekly":{"sun":[["01:00","01:30"],["02:15","03:30"]],
                "sat":[["18:00","02:00"]],"thu":[["12:00","01:00"]],"fri":[["10:00","20:00"]]},
                "exceptions":{"2026-12-25":[],"2026-10-31":[],"2026-03-07":[]}}
                """#))
        let rules = try ZoneGolden.rules("America/Chicago")
        #expect(hours.isOpen(atMilliseconds: try DateTime.parse(moment), in: rules) == isOpen)
    }
}
