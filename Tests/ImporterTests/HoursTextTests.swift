import Client
import Documents
import Foundation
import Importer
import Testing

private typealias Span = HoursText.Span

private func clock(_ hours: Int, _ minutes: Int = 0) -> Int { hours * 60 + minutes }

@Suite struct HoursTextTests {
    @Test func aWeekWithoutAmAndPmIsReadAsShopsMeanIt() {
        let text =
            "Mon: 10-9:30; Tue: 9:30-9; Wed: 12-6; Thurs: 1-5:30; Fri: 5-12; Sat: 0-11:59; "
            + "Sun: 12:30-5:30"
        #expect(
            HoursText(text)
                == .week([
                    [Span(clock(10), clock(21, 30))], [Span(clock(9, 30), clock(21))],
                    [Span(clock(12), clock(18))], [Span(clock(13), clock(17, 30))],
                    [Span(clock(5), clock(24))], [Span(0, clock(23, 59))],
                    [Span(clock(12, 30), clock(17, 30))],
                ]))
    }

    @Test func rangesOfDaysGoAroundTheWeek() {
        let weekday = [Span(clock(5), clock(22))]
        let weekend = [Span(clock(5, 30), clock(25))]
        #expect(
            HoursText("Sun-Thu: 05am-10pm, Fri-Sat: 05:30am-01am")
                == .week([weekday, weekday, weekday, weekday, weekend, weekend, weekday]))
        #expect(
            HoursText("Sun-Sat: 24hrs")
                == .week(Array(repeating: [Span(0, 1_440)], count: 7)))
        guard case .week(let week) = HoursText("Sun-Mon: 05am-10pm, Tue: Closed, Wed-Sat: 6am-12am")
        else { return #expect(Bool(false), "a week is read") }
        #expect(week[1].isEmpty)
        #expect(week[3] == [Span(clock(6), clock(24))])
        #expect(week[6] == weekday)
    }

    @Test func aTextAboutTodayIsToldApart() {
        #expect(
            HoursText("Open today from 6:00 AM - 7:00 PM") == .today([Span(clock(6), clock(19))]))
        #expect(
            HoursText("Open today from 7:00 AM - 12:00 AM") == .today([Span(clock(7), clock(24))]))
        #expect(
            HoursText("Open today from 5:00 PM - 2:00 AM") == .today([Span(clock(17), clock(26))]))
        #expect(HoursText("Open today for 24 hours") == .today([Span(0, 1_440)]))
        for text in ["Closed today", "Store hours aren't available", "", "  "] {
            #expect(HoursText(text) == .nothing, "\(text)")
        }
    }

    @Test(arguments: [
        ("9am-5pm", clock(9), clock(17)), ("9:00 a.m. to 5:00 p.m.", clock(9), clock(17)),
        ("Daily 9–21", clock(9), clock(21)), ("Mo-Su 09:00-18:00", clock(9), clock(18)),
        ("every day: noon-midnight", clock(12), clock(24)), ("daily: 8-8", clock(8), clock(20)),
        ("11am-7", clock(11), clock(19)), ("17-2", clock(17), clock(26)),
        ("Open 24 hours", 0, 1_440), ("24/7", 0, 1_440), ("6am-6am", 0, 1_440),
        ("10-24", clock(10), clock(24)), ("00:00-24:00", 0, clock(24)),
    ])
    func oneSpanForEveryDay(text: String, start: Int, end: Int) {
        #expect(
            HoursText(text) == .week(Array(repeating: [Span(start, end)], count: 7)), "\(text)")
    }

    @Test func aBareTwelveBeforeAnotherSpanIsNoon() {
        guard case .week(let week) = HoursText("Mon: 9-12 & 1-6; Tue: 5-12") else {
            Issue.record("a text of hours")
            return
        }
        #expect(week[0] == [Span(clock(9), clock(12)), Span(clock(13), clock(18))])
        #expect(week[1] == [Span(clock(5), clock(24))] || week[1] == [Span(clock(17), clock(24))])
    }

    @Test func aDayMayHaveSeveralSpans() {
        let break_ = [Span(clock(9), clock(12, 30)), Span(clock(13, 30), clock(18))]
        for text in [
            "Mon: 1:30pm-6pm & 9am-12:30pm", "Mon: 9am-12:30pm, 1:30pm-6pm",
            "Mon 9am-12:30pm / 13:30-18:00", "Mon: 9am-12:30pm and 1:30-6",
            "Mon: 9am-12:30pm; Mon: 1:30-6",
        ] {
            guard case .week(let week) = HoursText(text) else {
                #expect(Bool(false), "\(text)")
                continue
            }
            #expect(week[0] == break_, "\(text)")
            #expect(week[1...].joined().isEmpty)
        }
    }

    @Test(arguments: [
        "call us", "Mon", "Mon: ", "Mon: soon", "Mon: 9", "Mon: 9-", "Mon: 25-26", "Mon: 9:75-10",
        "Mon: 9-17-18", "Moon: 9-5", "Mon: 13pm-2pm", "Mon: 9-5 & 3-6", "Open today from 9",
        "Mon: 9-5; whatever", "24:30-25", "Mon: 9:5-6", "☃",
    ])
    func whatIsNotUnderstoodIsSaidToBe(text: String) {
        #expect(HoursText(text) == .unreadable, "\(text)")
    }

    @Test func randomTextsNeverTrap() {
        var state: UInt64 = 11
        let parts = [
            "mon", "sun:", "9-5", "12:30", "pm", "-", ";", ",", " ", "9am-", "2am", "fri-tue ",
            "open today from ", "closed", "24 hours", "&", "ü", "noon", "\n", "0", "18:00-2",
        ]
        var readCount = 0
        for _ in 0..<20_000 {
            var text = ""
            for _ in 0..<5 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                text += parts[Int(state >> 33) % parts.count]
            }
            if case .week(let week) = HoursText(text) {
                readCount += 1
                for span in week.flatMap(\.self) {
                    #expect(span.start >= 0 && span.start < 1_440, "\(text)")
                    #expect(span.end > span.start && span.end <= span.start + 1_440, "\(text)")
                }
            }
        }
        #expect(readCount > 50)
    }

    @Test func statesHaveTheirZones() {
        func zone(_ state: String, _ x: Double, _ y: Double) -> String? {
            USTimeZones.zone(state: state, position: .init(longitude: x, latitude: y))
        }
        for (state, x, y, expected) in [
            ("FL", -87.22, 30.42, "America/Chicago"), ("FL", -80.19, 25.76, "America/New_York"),
            ("FL", -84.28, 30.44, "America/New_York"), ("TX", -106.49, 31.76, "America/Denver"),
            ("TX", -97.74, 30.27, "America/Chicago"), ("TN", -83.92, 35.96, "America/New_York"),
            ("TN", -85.31, 35.05, "America/New_York"), ("TN", -86.78, 36.16, "America/Chicago"),
            ("KY", -85.76, 38.25, "America/New_York"), ("KY", -86.44, 36.99, "America/Chicago"),
            ("IN", -87.35, 41.59, "America/Chicago"), ("IN", -87.57, 37.97, "America/Chicago"),
            ("IN", -86.16, 39.77, "America/Indiana/Indianapolis"),
            ("ID", -116.78, 47.68, "America/Los_Angeles"), ("ID", -116.2, 43.62, "America/Boise"),
            ("OR", -116.96, 44.03, "America/Boise"), ("NE", -103.66, 41.87, "America/Denver"),
            ("SD", -103.23, 44.08, "America/Denver"), ("ND", -102.79, 46.88, "America/Denver"),
            ("KS", -101.71, 39.35, "America/Denver"), ("MI", -87.61, 45.1, "America/Menominee"),
            ("MI", -87.4, 46.54, "America/Detroit"), ("AZ", -112.07, 33.45, "America/Phoenix"),
        ] {
            #expect(zone(state, x, y) == expected, "\(state) \(x) \(y)")
        }
        #expect(USTimeZones.zone(state: "WA", position: nil) == "America/Los_Angeles")
        #expect(USTimeZones.zone(state: "BC", position: nil) == nil)
    }
}

@Suite struct HoursConverterTests {
    private static let schema = Array(
        """
        {"fields":{"hours":{"type":"hours"},"at":{"type":"geopoint"},
        "more":{"type":"object","fields":{"hours":{"type":"hours"}}}}}
        """.utf8)

    private func convert(
        _ rows: [String], zone: String? = nil
    ) throws -> (rows: [String], counts: HoursConverter.Counts) {
        var converter = try #require(
            HoursConverter(types: FieldTypes(schema: Self.schema), zone: zone))
        let converted = rows.enumerated().map { index, row in
            Array(row.utf8).withUnsafeBytes {
                String(decoding: converter.convert($0, line: index + 1), as: UTF8.self)
            }
        }
        return (converted, converter.counts)
    }

    @Test func textsBecomeHoursThatTheServerTakes() throws {
        let (rows, counts) = try convert([
            #"{"id":"a","hours":"Mon: 10-9:30","timezone":"GMT-06:00 America/Chicago"}"#,
            #"{"hours": "Sat: 6pm-2am" , "state":"TX","at":[-106.49,31.76]}"#,
            #"{"state":"TX","at":{"type":"Point","coordinates":[-97.7,30.3]},"hours":"24\/7"}"#,
            #"{"hours":"Open today from 6:00 AM - 7:00 PM","timezone":"UTC"}"#,
            #"{"id":"e","hours":{"weekly":{}}}"#, #"{"id":"f"}"#,
        ])
        #expect(
            rows[0] == #"{"id":"a","hours":{"timezone":"America/Chicago","weekly":"#
                + #"{"mon":[["10:00","21:30"]]}},"timezone":"GMT-06:00 America/Chicago"}"#)
        #expect(
            rows[1].hasPrefix(
                #"{"hours": {"timezone":"America/Denver","weekly":{"sat":[["18:00","02:00"]]}} ,"#))
        #expect(rows[4] == #"{"id":"e","hours":{"weekly":{}}}"# && rows[5] == #"{"id":"f"}"#)
        for row in rows.dropLast() {
            let hours = try #require(try JSON(parsing: row)["hours"])
            _ = try OpeningHours(hours)
        }
        #expect(counts.readCount == 4 && counts.todayCount == 1)
    }

    @Test func whatCannotBecomeHoursIsLeftOut() throws {
        let (rows, counts) = try convert([
            #"{"id":"a","hours":"call us"}"#, #"{"hours":"Closed today","id":"b"}"#,
            #"{"id":"c","hours":"9-5","state":"XX"}"#,
            #"{"hours":"9-5","country":"DE","state":"CA"}"#,
        ])
        #expect(
            rows == [
                #"{"id":"a"}"#, #"{"id":"b"}"#, #"{"id":"c","state":"XX"}"#,
                #"{"country":"DE","state":"CA"}"#,
            ])
        #expect(counts.unreadableCount == 1 && counts.nothingCount == 1)
        #expect(counts.zonelessCount == 2 && counts.readCount == 0)
        #expect(counts.unreadable.map(\.line) == [1])
        #expect(counts.unreadable.map(\.text) == ["call us"])
    }

    @Test func aZoneThatThereIsNotIsToldAndTheNextSourceIsAsked() throws {
        let (rows, counts) = try convert([
            #"{"hours":"9-5","timezone":"Mars/Olympus","state":"CA"}"#,
            #"{"id":"b","hours":"9-5","timezone":"GMT-99:00 Atlantic/Atlantis"}"#,
            #"{"hours":"9-5","timezone":"EST"}"#, #"{"hours":"9-5","timezone":"","state":"CA"}"#,
        ])
        let zones = try rows.map { try JSON(parsing: $0)["hours"]?["timezone"]?.string }
        #expect(zones == ["America/Los_Angeles", nil, "EST", "America/Los_Angeles"])
        #expect(rows[1] == #"{"id":"b","timezone":"GMT-99:00 Atlantic/Atlantis"}"#)
        #expect(counts.unknownZoneCount == 2 && counts.zonelessCount == 1)
        #expect(counts.readCount == 3)
        #expect(counts.unknownZones.map(\.line) == [1, 2])
        #expect(counts.unknownZones.map(\.text) == ["Mars/Olympus", "GMT-99:00 Atlantic/Atlantis"])
    }

    @Test func theRowsZoneGoesBeforeTheOption() throws {
        let (rows, _) = try convert(
            [
                #"{"hours":"9-5","timezone":"Europe/Berlin"}"#, #"{"hours":"9-5","state":"CA"}"#,
                #"{"hours":"9-5","timezone":"soon"}"#,
            ], zone: "Asia/Tokyo")
        let zones = try rows.map { try JSON(parsing: $0)["hours"]?["timezone"]?.string }
        #expect(zones == ["Europe/Berlin", "Asia/Tokyo", "Asia/Tokyo"])
    }

    @Test func aCollectionWithoutHoursHasNoConverter() {
        let types = FieldTypes(schema: Array(#"{"fields":{"hours":{"type":"json"}}}"#.utf8))
        #expect(HoursConverter(types: types, zone: nil) == nil)
    }

    @Test func aLoadConvertsBothFormats() throws {
        let scratch = try Scratch()
        let schema = #"{"fields":{"hours":{"type":"hours"},"state":{"type":"keyword"}}}"#
        let server = SinkServer(schema: schema)
        defer {
            scratch.remove()
            server.stop()
        }
        let rows =
            #"{"id":"a","hours":"Mon: 9-5","state":"CA"}"# + "\n"
            + #"{"_id":"b","hours":"whenever"}"#
        var options = LoadOptions(
            collection: "stores", input: try scratch.write("a.jsonl", rows))
        options.client = server.configuration
        let summary = try Loader(options, showProgress: false).run()
        #expect(summary.loadedCount == 2 && summary.hours?.readCount == 1)
        #expect(summary.hours?.unreadable.map(\.line) == [2])
        let expected =
            #"{"timezone":"America/Los_Angeles","weekly":{"mon":[["09:00","17:00"]]}}"#
        #expect(server.stored["a"] == #"{"id":"a","hours":"# + expected + #","state":"CA"}"#)
        #expect(server.stored["b"] == "{}")
        options.input = try scratch.write("b.csv", "id,hours,state\nc,\"Mon: 9-5\",CA\n")
        _ = try Loader(options, showProgress: false).run()
        #expect(server.stored["c"]?.contains(expected) == true)
    }
}
