import Testing

@testable import Documents

@Suite struct ValueOrderTests {
    private func sign(_ value: Int) -> Int { value.signum() }

    /// All three comparisons must agree.
    private func order(_ a: String, _ b: String) throws -> Int {
        let first = JSONParser()
        let second = JSONParser()
        let x = try first.parse(a)
        let y = try second.parse(b)
        let tapes = sign(ValueOrder.compare(x, y))
        #expect(sign(ValueOrder.compare(x, y.json)) == tapes, "\(a) \(b)")
        #expect(sign(ValueOrder.compare(x.json, y.json)) == tapes, "\(a) \(b)")
        return tapes
    }

    @Test func ascendingChainIsAscendingInEveryPair() throws {
        let chain = [
            "null", "-1e400", "-9223372036854775809", "-9223372036854775808", "-1.5", "-1", "-0.1",
            "0", "1e-400", "0.1", "0.11", "1", "1.0000000000000000000000000001", "2", "10",
            "9007199254740992.5", "9007199254740993", "9223372036854775807", "9223372036854775808",
            "1e400", "2e400", #""""#, #""a""#, #""ab""#, #""b""#, #""é""#, "{}", #"{"a":1}"#,
            #"{"a":1,"b":1}"#, #"{"a":2}"#, #"{"b":0}"#, #"{"a":"x"}"#, "[]", "[1]", "[1,1]",
            "[2]", #"["a"]"#, "false", "true",
        ]
        for (i, a) in chain.enumerated() {
            for (j, b) in chain.enumerated() {
                #expect(try order(a, b) == sign(i - j), "\(a) against \(b)")
            }
        }
    }

    @Test(arguments: [
        ("1", "1.0"), ("1", "1e0"), ("10", "1e1"), ("0.1", "0.10"), ("0", "-0"), ("0", "0e999"),
        ("0.0", "-0.000"), ("100", "1.00E+2"), ("0.001", "1e-3"),
        ("[1,{\"a\":2}]", "[1.0,{\"a\":2e0}]"),
        ("123456789012345678901234567890", "1.2345678901234567890123456789e29"),
        (#""A""#, #""\u0041""#),
    ])
    func equalValuesCompareEqualWhateverTheirText(_ a: String, _ b: String) throws {
        #expect(try order(a, b) == 0)
        #expect(json(a) == json(b))
    }

    @Test func stringsCompareByBytesNotByCanonicalEquivalence() throws {
        #expect(try order("\"e\u{301}\"", "\"\u{e9}\"") == -1)
        #expect(JSON.string("e\u{301}") != JSON.string("\u{e9}"))
        var object = JSONObject()
        object["e\u{301}"] = .null
        object["\u{e9}"] = .null
        #expect(object.count == 2)
    }

    @Test func absentOrdersAsNull() throws {
        let parser = JSONParser()
        #expect(ValueOrder.compare(nil, nil) == 0)
        #expect(ValueOrder.compare(try parser.parse("null"), nil) == 0)
        #expect(ValueOrder.compare(try parser.parse("-5"), nil) > 0)
        #expect(ValueOrder.compare(nil, try parser.parse("-5")) < 0)
    }

    @Test func orderIsAntisymmetricAndTransitiveOnRandomValues() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = RandomJSON(random: SeededRandom(seed: seed))
        for _ in 0..<3_000 {
            let a = generator.value(depth: 2)
            let b = generator.value(depth: 2)
            let c = generator.value(depth: 2)
            #expect(try order(a.text, b.text) == -(try order(b.text, a.text)), "seed \(seed)")
            if ValueOrder.compare(a, b) <= 0, ValueOrder.compare(b, c) <= 0 {
                #expect(ValueOrder.compare(a, c) <= 0, "seed \(seed)")
            }
        }
    }

    @Test func canonicalTextsAreEqualExactlyForEqualNumbers() {
        func canonical(_ number: JSONNumber) -> [UInt8] {
            var out: [UInt8] = []
            withBytes(number.text) { NumberText($0)?.appendCanonical(to: &out) }
            return out
        }
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = RandomJSON(random: SeededRandom(seed: seed))
        for _ in 0..<5_000 {
            let a = generator.number()
            let b = generator.number()
            #expect((a == b) == (canonical(a) == canonical(b)), "seed \(seed) \(a) \(b)")
        }
        #expect(canonical(JSONNumber(validText: "-0.0120")) == Array("-12e-1".utf8))
        #expect(canonical(JSONNumber(validText: "-0.0")) == Array("0".utf8))
    }

    @Test func smallNumbersOrderAsTheirDoubles() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<5_000 {
            let a = Double(Int.random(in: -5_000...5_000, using: &random)) / 1_000
            let b = Double(Int.random(in: -5_000...5_000, using: &random)) / 1_000
            let expected = a < b ? -1 : a > b ? 1 : 0
            #expect(sign(ValueOrder.compare(.double(a), .double(b))) == expected, "seed \(seed)")
        }
    }
}

@Suite struct JSONTests {
    @Test func numbersComeFromIntegersAndDoubles() {
        #expect(JSONNumber(Int64.min).text == "-9223372036854775808")
        #expect(JSONNumber(0.1)?.text == "0.1")
        #expect(JSONNumber(Double.nan) == nil)
        #expect(JSONNumber(-Double.infinity) == nil)
        #expect(JSONNumber("01") == nil)
        #expect(JSONNumber("") == nil)
        #expect(JSONNumber("1.50")?.double == 1.5)
        #expect(JSONNumber("1e5")?.isInteger == false)
        #expect(JSONNumber("15")?.isInteger == true)
        #expect(JSON.double(.nan) == .null)
        for value in [1e300, -Double.leastNonzeroMagnitude, 1.5, 1e21, 0] {
            #expect((try? JSON(parsing: JSON.double(value).text))?.number?.double == value)
        }
    }

    @Test func objectsKeepOrderUnderSetAndRemove() {
        var value = json(#"{"a":1,"b":2,"c":3}"#)
        value["b"] = .null
        value["d"] = .string("\u{8}\u{c}\u{1f}\"\\")
        value["a"] = nil
        #expect(value.text == #"{"b":null,"c":3,"d":"\b\f\u001f\"\\"}"#)
        #expect(value["c"]?.int64 == 3)
        #expect(value["zzz"] == nil)
        var scalar = JSON.bool(true)
        scalar["a"] = .null
        #expect(scalar == .bool(true))
        #expect(json("[1,[2]]")[1]?[0]?.int64 == 2)
        #expect(json("[1]")[1] == nil)
        var object = JSONObject()
        #expect(object.remove("x") == nil)
        object["x"] = .null
        #expect(object.remove("x") == .null && object.isEmpty)
    }

    @Test func tapesAndTreesReadTheSameDoubles() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = RandomJSON(random: SeededRandom(seed: seed))
        let parser = JSONParser()
        #expect(JSONNumber("1e400")?.double == .infinity)
        #expect(JSONNumber("-1e400")?.double == -.infinity)
        for _ in 0..<5_000 {
            let bits = Double(bitPattern: generator.random.next())
            let numbers = [JSONNumber(bits) ?? generator.number(), generator.number()]
            for number in numbers {
                let tape = try parser.parse(number.text)
                #expect(tape.double == number.double, "seed \(seed) \(number.text)")
                #expect(tape.int64 == number.int64, "seed \(seed) \(number.text)")
                #expect(tape.isInteger == number.isInteger, "seed \(seed) \(number.text)")
            }
        }
    }

    @Test func depthCountsLevels() {
        #expect(json("1").depth == 0)
        #expect(json("[]").depth == 1)
        #expect(json(#"{"a":[{}],"b":1}"#).depth == 3)
    }
}
