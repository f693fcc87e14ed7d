import Testing

@testable import Documents

@Suite struct ScaledDecimalTests {
    @Test(
        arguments: [
            ("0", 2, 0), ("-0", 2, 0), ("0.00", 0, 0), ("1", 2, 100), ("1.5", 2, 150),
            ("-1.50", 2, -150), ("12.340000", 2, 1_234), ("1e3", 2, 100_000), ("12e-1", 1, 12),
            ("0.001e1", 2, 1), ("1e-2", 2, 1), ("92233720368547758.07", 2, Int64.max),
            ("-92233720368547758.08", 2, Int64.min), ("9223372036854775807", 0, Int64.max),
            ("0e999999999999999999999999", 2, 0), ("100e-2", 0, 1), ("0.000000000000000001", 18, 1),
        ] as [(String, Int, Int64)]
    )
    func textsScaleExactly(_ text: String, _ scale: Int, _ expected: Int64) throws {
        #expect(try ScaledDecimal.parse(text, scale: scale) == expected)
    }

    @Test(arguments: [
        ("1.005", 2, DecimalError.tooManyDigits(scale: 2)),
        ("0.1", 0, .tooManyDigits(scale: 0)), ("1e-3", 2, .tooManyDigits(scale: 2)),
        ("1e-99999999999999999999", 2, .tooManyDigits(scale: 2)),
        ("92233720368547758.08", 2, .overflow), ("-92233720368547758.09", 2, .overflow),
        ("1e19", 0, .overflow), ("1e99999999999999999999", 2, .overflow),
        ("99999999999999999999", 0, .overflow), ("", 2, .notANumber), ("1.", 2, .notANumber),
        (".5", 2, .notANumber), ("+1", 2, .notANumber), ("01", 2, .notANumber),
        (" 1", 2, .notANumber), ("1 ", 2, .notANumber), ("1e", 2, .notANumber),
        ("1e+", 2, .notANumber), ("abc", 2, .notANumber), ("$5", 2, .notANumber),
        ("1,5", 2, .notANumber), ("-", 2, .notANumber), ("1.5x", 2, .notANumber),
    ])
    func badTextsAreRefused(_ text: String, _ scale: Int, _ expected: DecimalError) {
        #expect(throws: expected) { try ScaledDecimal.parse(text, scale: scale) }
    }

    @Test(
        arguments: [
            (0, 2, "0.00"), (5, 2, "0.05"), (-5, 2, "-0.05"), (1_230, 2, "12.30"), (7, 0, "7"),
            (Int64.min, 2, "-92233720368547758.08"), (100, 3, "0.100"),
        ] as [(Int64, Int, String)]
    )
    func scaledValuesFormat(_ value: Int64, _ scale: Int, _ expected: String) throws {
        #expect(ScaledDecimal.format(value, scale: scale) == expected)
        #expect(try ScaledDecimal.parse(expected, scale: scale) == value)
    }

    @Test(
        arguments: [
            ("1.005", 2, 100, false), ("-1.005", 2, -101, false), ("1.00", 2, 100, true),
            ("0.001", 2, 0, false), ("-0.001", 2, -1, false), ("0", 2, 0, true),
            ("-3", 0, -3, true),
            ("1e30", 2, Int64.max, false), ("1e-30", 2, 0, false), ("-1e-30", 2, -1, false),
            ("92233720368547758.07", 2, Int64.max, true),
            ("92233720368547758.075", 2, Int64.max, false),
            ("-92233720368547758.08", 2, Int64.min, true),
        ] as [(String, Int, Int64, Bool)]
    )
    func boundsAreFloors(_ text: String, _ scale: Int, _ floor: Int64, _ isExact: Bool) throws {
        let bound = try ScaledDecimal.bound(text, scale: scale)
        #expect(bound == .init(floor: floor, isExact: isExact, isBelowRange: false))
    }

    @Test func boundsBelowTheRangeSaySo() throws {
        let below = ScaledDecimal.Bound(floor: .min, isExact: false, isBelowRange: true)
        #expect(try ScaledDecimal.bound("-1e30", scale: 2) == below)
        #expect(try ScaledDecimal.bound("-92233720368547758.085", scale: 2) == below)
        #expect(throws: DecimalError.notANumber) { try ScaledDecimal.bound("x", scale: 2) }
    }

    @Test func randomValuesRoundTrip() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<5_000 {
            let value = Int64.random(in: .min ... .max, using: &random) >> Int64.random(in: 0..<63)
            let scale = Int.random(in: 0...18, using: &random)
            let text = ScaledDecimal.format(value, scale: scale)
            #expect(try ScaledDecimal.parse(text, scale: scale) == value, "seed \(seed)")
            #expect(try ScaledDecimal.bound(text, scale: scale).floor == value, "seed \(seed)")
        }
    }

    @Test(
        arguments: [
            (Int128(10), 4, Int128(25_000)), (1, 3, 3_333), (2, 3, 6_667), (-1, 3, -3_333),
            (1, 20_000, 0), (3, 20_000, 2), (5, 20_000, 2), (-1, 20_000, 0), (-3, 20_000, -2),
            (0, 5, 0),
        ] as [(Int128, Int, Int128)]
    )
    func averagesRoundHalfToEven(_ sum: Int128, _ count: Int, _ expected: Int128) {
        #expect(ScaledDecimal.average(sum: sum, count: count) == expected)
    }

    @Test func theAverageOfNothingIsNil() {
        #expect(ScaledDecimal.average(sum: 0, count: 0) == nil)
        #expect(ScaledDecimal.format(Int128(25_000), scale: 6) == "0.025000")
    }
}

@Suite struct DecimalArithmeticTests {
    private func number(_ text: String) -> JSONNumber { JSONNumber(validText: text) }

    @Test(arguments: [
        ("1", "2", "3"), ("0.1", "0.2", "0.3"), ("1.10", "2.20", "3.30"), ("1.5", "1.5", "3.0"),
        ("10", "-0.01", "9.99"), ("0.01", "-0.01", "0.00"), ("-1", "0.5", "-0.5"),
        ("1e3", "1", "1001"), ("1e3", "1e3", "2000"), ("0", "0.0", "0.0"), ("5", "0e0", "5"),
        ("9223372036854775808", "1", "9223372036854775809"), ("1e70", "1e70", "2e70"),
        ("1e-70", "1e-70", "2e-70"), ("1e70", "0.0", "1e70"), ("-0", "0.5", "0.5"),
        ("99.99", "0.01", "100.00"), ("1e-64", "0", "0." + String(repeating: "0", count: 63) + "1"),
    ])
    func sumsAreExact(_ a: String, _ b: String, _ expected: String) throws {
        #expect(try DecimalArithmetic.add(number(a), number(b)).text == expected)
        #expect(try DecimalArithmetic.add(number(b), number(a)).text == expected)
    }

    @Test(arguments: [
        ("3", "4", "12"), ("1.5", "2", "3.0"), ("1.10", "1.10", "1.21"), ("0.1", "0.1", "0.01"),
        ("-2", "0.5", "-1.0"), ("0", "-1.5", "0.0"), ("1e300", "10", "1e301"),
        ("1.5e40", "1e40", "1.5e80"), ("99.99", "1.1", "109.989"),
        ("12345678901234567890.5", "2", "24691357802469135781.0"),
    ])
    func productsAreExact(_ a: String, _ b: String, _ expected: String) throws {
        #expect(try DecimalArithmetic.multiply(number(a), number(b)).text == expected)
        #expect(try DecimalArithmetic.multiply(number(b), number(a)).text == expected)
    }

    @Test func limitsAreErrors() {
        let most = number(String(Int64.max))
        #expect(throws: DecimalError.overflow) { try DecimalArithmetic.add(most, number("1")) }
        #expect(throws: DecimalError.overflow) { try DecimalArithmetic.multiply(most, number("2")) }
        let precise = DecimalError.tooPrecise(maximum: 64)
        #expect(throws: precise) { try DecimalArithmetic.add(number("1e100"), number("0.5")) }
        #expect(throws: precise) {
            try DecimalArithmetic.add(number("1e999999999999999999999"), number("0.5"))
        }
        let long = number("0." + String(repeating: "7", count: 65))
        #expect(throws: precise) { try DecimalArithmetic.add(long, number("0")) }
        let half = number("0." + String(repeating: "7", count: 40))
        #expect(throws: precise) { try DecimalArithmetic.multiply(half, half) }
    }

    @Test func sumsAndProductsAgreeWithScaledIntegers() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<5_000 {
            let a = Int64.random(in: -1_000_000...1_000_000, using: &random)
            let b = Int64.random(in: -1_000_000...1_000_000, using: &random)
            let x = number(ScaledDecimal.format(a, scale: 3))
            let y = number(ScaledDecimal.format(b, scale: 1))
            let sum = try DecimalArithmetic.add(x, y)
            #expect(sum == number(ScaledDecimal.format(a + b * 100, scale: 3)), "seed \(seed)")
            let product = try DecimalArithmetic.multiply(x, y)
            #expect(product == number(ScaledDecimal.format(a * b, scale: 4)), "seed \(seed)")
        }
    }
}
