import Engine
import RESP
import TestSupport
import Testing

@testable import Commands

@Suite struct PlaceArgumentsTests {
    private func plain(_ text: String) -> Double? {
        var text = text
        return text.withUTF8 { PlaceArguments.plainNumber(UnsafeRawBufferPointer($0)) }
    }

    @Test func plainNumbersAreTheNearestDoubles() {
        var random = TestRandom()
        for _ in 0..<20_000 {
            let whole = random.below(1_000)
            let digits = String(random.below(1_000_000_000)).prefix(1 + random.below(9))
            let text = "\(random.one(in: 2) ? "-" : "")\(whole).\(digits)"
            #expect(plain(text) == Double(text), "\(text)")
        }
        #expect(plain("-0")?.sign == .minus)
        #expect(plain("999999999999999") == 999_999_999_999_999)
    }

    @Test func otherTextsAreLeftToTheReaderOfAllNumbers() {
        for text in [
            "", "-", ".", "-.", "1.", ".5", "+1", "1e3", "1..2", "1.2.3", " 1", "1 ", "nan", "inf",
            "0x1", "1234567890123456", "--1",
        ] {
            #expect(plain(text) == nil, "\(text)")
        }
    }

    @Test func distancesHaveAUnit() throws {
        #expect(try PlaceArguments.meters("2.5km", "RADIUS") == 2_500)
        #expect(try PlaceArguments.meters("3mi", "RADIUS") == 3 * 1_609.344)
        for text in ["", "5", "m", "-1km", "1 km", "1kmm", "km5", "nankm"] {
            #expect(throws: EngineError.self) { try PlaceArguments.meters(text, "RADIUS") }
        }
    }
}
