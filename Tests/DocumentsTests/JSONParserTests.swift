import Testing

@testable import Documents

@Suite struct JSONParserTests {
    private func code(_ text: String, depthMax: Int = 64) -> JSONError.Code? {
        do {
            _ = try JSONParser().parse(text, depthMax: depthMax)
            return nil
        } catch { return error.code }
    }

    @Test(arguments: [
        ("", JSONError.Code.empty), ("   ", .empty), ("{", .syntax), ("[1,]", .syntax),
        ("[,1]", .syntax), (#"{"a"}"#, .syntax), (#"{"a":}"#, .syntax), (#"{"a":1,}"#, .syntax),
        (#"{1:2}"#, .syntax), ("[1 2]", .syntax), ("]", .syntax), ("[}", .syntax), ("{]", .syntax),
        ("nul", .syntax), ("nullx", .syntax), ("truefalse", .syntax), ("NaN", .syntax),
        ("Infinity", .syntax), ("-Infinity", .badNumber), ("01", .badNumber), ("1.", .badNumber),
        (".5", .syntax), ("+1", .syntax), ("-", .badNumber), ("1e", .badNumber),
        ("1e+", .badNumber), ("-01", .badNumber), ("1a", .badNumber), ("0x10", .badNumber),
        (#"1"a""#, .badNumber), (#"1\"a"""#, .badNumber), ("1.5.2", .badNumber),
        (#""abc"#, .unclosedString), (#"["a"#, .unclosedString), ("\"a\u{1}b\"", .controlCharacter),
        ("\"a\nb\"", .controlCharacter), (#""\x""#, .badEscape), (#""\u12G4""#, .badEscape),
        (#""\u12""#, .badEscape), (#""\ud800""#, .loneSurrogate), (#""\udc00""#, .loneSurrogate),
        (#""\ud800\ud800""#, .loneSurrogate), (#""\ud800x""#, .loneSurrogate),
        (#""\ud800\n""#, .loneSurrogate), ("1 2", .trailingContent), ("{}{}", .trailingContent),
        ("[]]", .trailingContent), ("null,", .trailingContent), (#"\"a"""#, .syntax),
        (#"[true\"a"""#, .syntax), ("'a'", .syntax), ("[1,/*x*/2]", .syntax),
    ])
    func badTextIsRefused(_ text: String, _ expected: JSONError.Code) {
        #expect(code(text) == expected)
    }

    @Test(
        arguments: [
            [0xFF], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0xE2, 0x82, 0x22],
            [0x22, 0xF5, 0x80, 0x80, 0x80, 0x22],
        ] as [[UInt8]]
    )
    func invalidUTF8IsRefused(_ bytes: [UInt8]) {
        #expect(throws: JSONError(code: .invalidUTF8, offset: 0)) {
            try JSONParser().parse(bytes)
        }
    }

    @Test func aZeroByteIsRefused() {
        #expect(code("1\u{0}") == .badNumber)
        #expect(code("[]\u{0}") == .trailingContent)
    }

    @Test func offsetsPointAtTheFault() {
        #expect(throws: JSONError(code: .syntax, offset: 4)) { try JSONParser().parse("[1, ]") }
        #expect(throws: JSONError(code: .badNumber, offset: 5)) {
            try JSONParser().parse("{\"a\":01}")
        }
        #expect(throws: JSONError(code: .badEscape, offset: 2)) {
            try JSONParser().parse(#""a\q""#)
        }
    }

    @Test func depthIsBoundedExactly() {
        #expect(code("[[1]]", depthMax: 2) == nil)
        #expect(code("[[[]]]", depthMax: 2) == .tooDeep(maximum: 2))
        #expect(code("1", depthMax: 0) == nil)
        #expect(code("[]", depthMax: 0) == .tooDeep(maximum: 0))
        let bomb = String(repeating: "[", count: 1_000_000)
        #expect(code(bomb) == .tooDeep(maximum: 64))
        #expect(code(bomb, depthMax: .max) == .tooDeep(maximum: 1_024))
        #expect(code(String(repeating: #"{"a":"#, count: 100_000)) == .tooDeep(maximum: 64))
    }

    @Test(arguments: [
        (#"{"a":1,"a":2}"#, "", "a"), (#"{"x":{"b":1,"c":2,"b":3}}"#, "x", "b"),
        (#"{"x":[0,{"y":[]},{"é":1,"\u00e9":2}]}"#, "x.2", "é"), (#"[[{"":1,"":1}]]"#, "0.0", ""),
        (#"{"p":{"q":1},"r":{"s":{"t":1,"t":1}}}"#, "r.s", "t"),
    ])
    func duplicateKeysAreNamed(_ text: String, _ path: String, _ key: String) {
        #expect(code(text) == .duplicateKey(path: path, key: key))
    }

    @Test func duplicateKeysAreFoundInLargeObjects() {
        for count in [2, 3, 63, 64, 65, 66, 300, 20_000] {
            let members = (0..<count).map { #""key\#($0)":\#($0)"# }
            #expect(code("{" + members.joined(separator: ",") + "}") == nil)
            let extra = members + [#""key\#(count / 2)":0"#]
            #expect(
                code("{" + extra.joined(separator: ",") + "}")
                    == .duplicateKey(path: "", key: "key\(count / 2)")
            )
        }
    }

    @Test func equalKeysInDifferentObjectsAreFine() {
        #expect(code(#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#) == nil)
    }

    @Test func minifyingKeepsOrderStringsAndNumbersAsWritten() throws {
        let parser = JSONParser()
        let text =
            " {\n\t\"z\" : [ 1.50 , -0, 1E+2 ,\"\\u0041\\/\" ] , \"a\" : { } , \"e\":[ ]}\r\n "
        let root = try parser.parse(text)
        let expected = #"{"z":[1.50,-0,1E+2,"\u0041\/"],"a":{},"e":[]}"#
        #expect(String(decoding: parser.minified, as: UTF8.self) == expected)
        #expect(String(decoding: root.rawText, as: UTF8.self) == expected)
        let array = try #require(root.member("z"))
        #expect(String(decoding: array.rawText, as: UTF8.self) == #"[1.50,-0,1E+2,"\u0041\/"]"#)
        #expect(array.textRange == 5..<5 + array.rawText.count)
        #expect(array.element(3)?.string == "A/")
        #expect(array.element(4) == nil)
    }

    @Test func scalarsReadBack() throws {
        let parser = JSONParser()
        #expect(try parser.parse("null").isNull)
        #expect(try parser.parse("true").bool)
        #expect(try !parser.parse("false").bool)
        #expect(try parser.parse("-42").int64 == -42)
        #expect(try parser.parse("-0").int64 == 0)
        #expect(try parser.parse("-0").double.sign == .minus)
        #expect(try parser.parse("9223372036854775807").int64 == .max)
        #expect(try parser.parse("-9223372036854775808").int64 == .min)
        #expect(try parser.parse("9223372036854775808").int64 == nil)
        #expect(try parser.parse("-9223372036854775809").int64 == nil)
        #expect(try parser.parse("99999999999999999999").isInteger)
        #expect(try parser.parse("1.0").int64 == nil)
        #expect(try !parser.parse("1e3").isInteger)
        #expect(try parser.parse("0.1").double == 0.1)
        #expect(try parser.parse("1e400").double == .infinity)
        #expect(try parser.parse("-1e400").double == -.infinity)
        #expect(try parser.parse("1e-400").double == 0)
        #expect(try parser.parse("5e-324").double == .leastNonzeroMagnitude)
        #expect(try parser.parse("9007199254740993").double == 9_007_199_254_740_992)
        #expect(try parser.parse(#""x""#).double.isNaN)
        #expect(try parser.parse(#""\ud83d\ude00\n""#).string == "😀\n")
        #expect(try parser.parse(#""""#).string.isEmpty)
    }

    @Test func membersAndChildrenIterateInOrder() throws {
        let parser = JSONParser()
        let root = try parser.parse(#"{"b":[1,[2,3],{"x":null}],"a\n":true,"c":"s"}"#)
        var keys: [String] = []
        for child in root.children { keys.append(String(decoding: child.key, as: UTF8.self)) }
        #expect(keys == ["b", "a\n", "c"])
        #expect(root.count == 3)
        #expect(root.member("a\n")?.bool == true)
        #expect(root.member("missing") == nil)
        let array = try #require(root.member("b"))
        #expect(array.children.map { $0.value.count } == [0, 2, 1])
        #expect(array.member("b") == nil)
        #expect(Array(try parser.parse("1").children).isEmpty)
    }

    @Test func randomDocumentsRoundTripAndAgreeWithANaiveParser() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = RandomJSON(random: SeededRandom(seed: seed))
        let parser = JSONParser()
        for _ in 0..<3_000 {
            let value = generator.value(depth: 5)
            let text = value.text
            let tape = try parser.parse(text)
            #expect(String(decoding: parser.minified, as: UTF8.self) == text, "seed \(seed)")
            #expect(tape.json.text == text, "seed \(seed)")
            #expect(NaiveParser.parse(Array(text.utf8))?.text == text, "seed \(seed)")
        }
    }

    @Test func damagedDocumentsAreJudgedAsANaiveParserDoes() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = RandomJSON(random: SeededRandom(seed: seed))
        let parser = JSONParser()
        let alphabet = Array("{}[]:,\"\\u0a1.eE+-d8 \n\u{1}ntf/".utf8) + [0xC3, 0xFF, 0]
        for _ in 0..<20_000 {
            var bytes = Array(generator.value(depth: 3).text.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &generator.random) {
                let at = Int.random(in: 0...bytes.count, using: &generator.random)
                let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &generator.random)]
                switch Int.random(in: 0..<3, using: &generator.random) {
                case 0: bytes.insert(byte, at: at)
                case 1 where at < bytes.count: bytes[at] = byte
                case 2 where at < bytes.count: bytes.remove(at: at)
                default: break
                }
            }
            let naive = NaiveParser.parse(bytes)
            let tape = try? parser.parse(bytes).json
            #expect(naive?.text == tape?.text, "seed \(seed) \(bytes)")
        }
    }

    @Test func aParserServesGiantsAndDwarfsInTurn() throws {
        let parser = JSONParser()
        let giant = "[" + (0..<1_000_000).map(String.init).joined(separator: ",") + "]"
        #expect(try parser.parse(giant).count == 1_000_000)
        #expect(try parser.parse("[1]").count == 1)
        #expect(try parser.parse(giant).element(999_999)?.int64 == 999_999)
    }
}
