import Documents
import HoursIndex
import Primitives
import Testing

private func hours(_ text: String) throws -> OpeningHours {
    try OpeningHours(JSON(parsing: text))
}

/// Some of a few values, so that rows share them.
private func randomHours(_ random: inout Xoshiro256, kinds: Int) throws -> OpeningHours {
    var kind = Xoshiro256(seed: UInt64.random(in: 0..<UInt64(kinds), using: &random))
    let zones = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]
    let zone = zones[Int.random(in: 0..<4, using: &kind)]
    func spans() -> String {
        let start = Int.random(in: 0..<1_300, using: &kind)
        let end = (start + Int.random(in: 1..<1_200, using: &kind)) % 1_440
        func clock(_ minutes: Int) -> String {
            let (h, m) = (minutes / 60, minutes % 60)
            return "\(h < 10 ? "0" : "")\(h):\(m < 10 ? "0" : "")\(m)"
        }
        return Bool.random(using: &kind) ? #"[["\#(clock(start))","\#(clock(end))"]]"# : "[]"
    }
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        .map { "\"\($0)\":" + spans() }.joined(separator: ",")
    let dates = (1..<9).map { "\"2026-03-0\($0)\":" + spans() }.joined(separator: ",")
    let exceptions = Bool.random(using: &kind) ? #","exceptions":{\#(dates)}"# : ""
    return try hours(#"{"timezone":"\#(zone)","weekly":{\#(days)}\#(exceptions)}"#)
}

@Suite struct HoursTableTests {
    @Test func anEmptyTableHasNothingOpen() {
        let table = HoursTable()
        let moment = HoursMoment()
        moment.set(milliseconds: 0, for: table)
        #expect(!table.isOpen(0, moment) && !table.isOpen(1_000_000, moment))
        #expect(!table.remove(5))
        table.checkInvariants()
    }

    @Test func rowsWithEqualHoursShareThem() throws {
        let table = HoursTable()
        let nine = try hours(#"{"weekly":{"thu":[["09:00","17:00"]]}}"#)
        let ten = try hours(#"{"weekly":{"thu":[["10:00","17:00"]]}}"#)
        for slot in 0..<1_000 as Range<UInt32> { table.set(slot, slot % 2 == 0 ? nine : ten) }
        #expect(table.patternsInUse == 2)
        #expect(table.count == 1_000)
        #expect(table.byteCount < 8_000)
        let moment = HoursMoment()
        // Thursday, 1970-01-01, half past nine.
        moment.set(milliseconds: (9 * 60 + 30) * 60_000, for: table)
        #expect(table.isOpen(0, moment) && !table.isOpen(1, moment))
        for slot in 0..<1_000 as Range<UInt32> { table.remove(slot) }
        #expect(table.patternsInUse == 0 && table.count == 0)
        table.checkInvariants()
    }

    @Test func aZoneThatTheSystemDoesNotKnowIsNeverOpen() throws {
        let table = HoursTable()
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
            .map { #""\#($0)":[["00:00","24:00"]]"# }.joined(separator: ",")
        table.set(3, try hours(#"{"timezone":"Mars/Olympus","weekly":{\#(days)}}"#))
        let moment = HoursMoment()
        moment.set(milliseconds: 0, for: table)
        #expect(table.hasHours(3) && !table.isOpen(3, moment))
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func randomHistoriesAnswerAsTheValuesDo(seed: UInt64) throws {
        var random = Xoshiro256(seed: seed)
        let table = HoursTable()
        let moment = HoursMoment()
        let open = Bitmap()
        var model: [UInt32: OpeningHours] = [:]
        for step in 0..<3_000 {
            let slot = UInt32.random(in: 0..<300, using: &random)
            if Int.random(in: 0..<4, using: &random) == 0 {
                #expect(table.remove(slot) == (model.removeValue(forKey: slot) != nil))
            } else {
                let value = try randomHours(&random, kinds: seed % 2 == 0 ? 20 : 100_000)
                table.set(slot, value)
                model[slot] = value
            }
            guard step % 100 == 99 else { continue }
            table.checkInvariants()
            #expect(table.count == model.count)
            // The first days of March 2026, in which there are exceptions.
            let at = 1_772_300_000_000 + Int64.random(in: 0..<900_000_000, using: &random)
            moment.set(milliseconds: at, for: table)
            table.collectOpen(moment, into: open)
            for slot in 0..<320 as Range<UInt32> {
                let rules = model[slot].flatMap { ZoneDatabase.rules(named: $0.timezone) }
                let expected =
                    rules.flatMap { model[slot]?.isOpen(atMilliseconds: at, in: $0) } ?? false
                #expect(table.isOpen(slot, moment) == expected, "seed \(seed) slot \(slot)")
                #expect(open.test(slot) == expected, "seed \(seed) slot \(slot)")
            }
        }
    }
}
