import Testing

@testable import Documents

@Suite struct OpeningHoursTests {
    @Test func theNormalFormIsOrderedAndStable() throws {
        let text = #"""
            {"exceptions":{"2026-12-31":[["20:00","02:00"],["08:00","12:00"]],"2026-12-25":[]},
             "weekly":{"sat":[["18:00","02:00"]],"mon":[["13:00","00:00"],["10:00","12:30"]],
             "tue":[],"sun":[["00:00","24:00"]]},"timezone":"America/Chicago"}
            """#
        let hours = try OpeningHours(json(text))
        let expected =
            #"{"timezone":"America/Chicago","weekly":{"mon":[["10:00","12:30"],["13:00","24:00"]],"#
            + #""sat":[["18:00","02:00"]],"sun":[["00:00","24:00"]]},"#
            + #""exceptions":{"2026-12-25":[],"2026-12-31":[["08:00","12:00"],["20:00","02:00"]]}}"#
        #expect(hours.json.text == expected)
        #expect(try OpeningHours(hours.json) == hours)
        #expect(hours.weekly[5] == [OpeningHours.Span(start: 1_080, end: 1_560)])
        #expect(try OpeningHours(json(#"{"weekly":{}}"#)).timezone == "UTC")
    }

    @Test(arguments: [
        ("[]", "", OpeningHoursError.Rule.object), ("{}", "", .object),
        (#"{"weekly":{},"x":1}"#, "x", .object), (#"{"weekly":[]}"#, "weekly", .weekly),
        (#"{"weekly":{},"timezone":5}"#, "timezone", .timezone),
        (#"{"weekly":{},"timezone":""}"#, "timezone", .timezone),
        (#"{"weekly":{},"timezone":"../etc"}"#, "timezone", .timezone),
        (#"{"weekly":{},"timezone":"/UTC"}"#, "timezone", .timezone),
        (#"{"weekly":{"monday":[]}}"#, "weekly.monday", .day),
        (#"{"weekly":{"mon":{}}}"#, "weekly.mon", .spans),
        (#"{"weekly":{"mon":[5]}}"#, "weekly.mon.0", .span),
        (#"{"weekly":{"mon":[["10:00"]]}}"#, "weekly.mon.0", .span),
        (#"{"weekly":{"mon":[["10:00","10:00"]]}}"#, "weekly.mon.0", .span),
        (#"{"weekly":{"mon":[["24:00","02:00"]]}}"#, "weekly.mon.0.0", .time),
        (#"{"weekly":{"mon":[["1:00","02:00"]]}}"#, "weekly.mon.0.0", .time),
        (#"{"weekly":{"mon":[["10:00","24:01"]]}}"#, "weekly.mon.0.1", .time),
        (#"{"weekly":{"mon":[["10:00","25:00"]]}}"#, "weekly.mon.0.1", .time),
        (#"{"weekly":{"mon":[["10:00","12:60"]]}}"#, "weekly.mon.0.1", .time),
        (#"{"weekly":{"mon":[["10:00","12h00"]]}}"#, "weekly.mon.0.1", .time),
        (#"{"weekly":{"mon":[["10:00",12]]}}"#, "weekly.mon.0.1", .time),
        (
            #"{"weekly":{"mon":[["10:00","12:00"],["11:00","13:00"]]}}"#, "weekly.mon.1", .overlap
        ),
        (
            #"{"weekly":{"mon":[["23:00","24:00"],["20:00","02:00"]]}}"#, "weekly.mon.0", .overlap
        ),
        (#"{"weekly":{},"exceptions":[]}"#, "exceptions", .exceptions),
        (#"{"weekly":{},"exceptions":{"2026-02-30":[]}}"#, "exceptions.2026-02-30", .date),
        (#"{"weekly":{},"exceptions":{"xmas":[]}}"#, "exceptions.xmas", .date),
        (
            #"{"weekly":{},"exceptions":{"2026-12-25":[["a","b"]]}}"#, "exceptions.2026-12-25.0.0",
            .time
        ),
    ])
    func badHoursAreRefused(_ text: String, _ path: String, _ rule: OpeningHoursError.Rule) {
        #expect(throws: OpeningHoursError(path: path, rule: rule)) { try OpeningHours(json(text)) }
    }

    @Test func countsAreBounded() {
        let spans = (0..<25).map { _ in #"["10:00","11:00"]"# }.joined(separator: ",")
        #expect(throws: OpeningHoursError(path: "weekly.mon", rule: .spanCount)) {
            try OpeningHours(json(#"{"weekly":{"mon":[\#(spans)]}}"#))
        }
        let dates = (0..<1_001).map { day in
            #""\#(DateTime.format(Int64(day) * 86_400_000).prefix(10))":[]"#
        }
        #expect(throws: OpeningHoursError(path: "exceptions", rule: .exceptionCount)) {
            try OpeningHours(
                json(#"{"weekly":{},"exceptions":{\#(dates.joined(separator: ","))}}"#)
            )
        }
    }

    @Test func datesBefore1970RoundTrip() throws {
        let hours = try OpeningHours(json(#"{"weekly":{},"exceptions":{"1960-05-01":[]}}"#))
        #expect(hours.json["exceptions"]?.text == #"{"1960-05-01":[]}"#)
    }
}
