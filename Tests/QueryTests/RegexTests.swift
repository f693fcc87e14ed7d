import Documents
import Query
import Testing

@Suite struct RegexTests {
    @Test(arguments: [
        ("abc", "", "xabcx", true), ("^abc", "", "xabc", false), ("abc$", "", "abcx", false),
        ("a.c", "", "a\nc", false), ("a.c", "s", "a\nc", true), ("^b", "m", "a\nb", true),
        ("a$", "m", "a\nb", true), ("[a-c]+z", "", "abcz", true), ("[^a-c]z", "", "az", false),
        ("a|b|cd", "", "xcd", true), ("(ab)*c", "", "ababc", true), ("a{2,3}$", "", "aa", true),
        ("^a{2,3}$", "", "aaaa", false), ("^a{2,}$", "", "aaaaaa", true), ("^a{0}$", "", "", true),
        (#"\d+"#, "", "a1", true), (#"^\w+$"#, "", "a_1", true), (#"\s"#, "", "a b", true),
        (#"\bcat\b"#, "", "a cat.", true), (#"\bcat\b"#, "", "concat", false),
        (#"\Bcat"#, "", "concat", true), ("é", "", "café", true), ("É", "i", "café", true),
        ("straße", "i", "STRAßE", true), ("[α-ω]+", "", "abγ", true), ("^.$", "", "😀", true),
        ("^[^a]$", "", "😀", true), ("^..$", "", "é", false), (#"a\.b"#, "", "axb", false),
        (#"\x41\u0042"#, "", "AB", true), ("a{", "", "a{", true), ("a{,2}", "", "a{,2}", true),
        ("[]a]", "", "]", true), ("[a-]", "", "-", true), ("(?:a|b)c", "", "bc", true),
        ("", "", "", true), ("a*?b", "", "aab", true), (#"[\d.]+x"#, "", "1.5x", true),
        ("(a*)*b", "", "aaaa", false), ("[A-Z]", "i", "q", true), ("[^a]", "i", "A", false),
    ])
    func patternsMatchAsExpected(
        pattern: String,
        options: String,
        text: String,
        expected: Bool
    ) throws {
        let regex = try Regex(pattern, options: options)
        #expect(regex.matches(text) == expected, "/\(pattern)/\(options) on \(text)")
    }

    @Test(arguments: [
        ("(", 0), (")", 0), ("a**", 2), ("*a", 0), ("[a", 0), ("[z-a]", 1), (#"\q"#, 0), ("\\", 0),
        ("a{2,1}", 1), ("a{1001}", 1), ("(?=a)", 0), ("é(", 2), (#"\x4"#, 0), ("^*", 0),
    ])
    func badPatternsNameTheOffset(pattern: String, offset: Int) {
        do {
            _ = try Regex(pattern)
            Issue.record("accepted \(pattern)")
        } catch {
            guard case .malformed(_, let found) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(found == offset, "\(pattern): \(error.message)")
        }
    }

    @Test func sizesAreBounded() {
        #expect(throws: RegexError.tooLong(maximum: 256)) {
            try Regex(String(repeating: "a", count: 257))
        }
        #expect(throws: RegexError.tooLarge(maximum: 1_500)) {
            try Regex("(((a{99}){99}){99}){99}")
        }
        #expect(throws: RegexError.unknownOption("x")) { try Regex("a", options: "x") }
    }

    @Test func anchoredLiteralsAreSeen() throws {
        func prefix(_ pattern: String, _ options: String = "") throws -> (String, Bool) {
            let regex = try Regex(pattern, options: options)
            return (String(decoding: regex.literalPrefix, as: UTF8.self), regex.isExactPrefix)
        }
        #expect(try prefix("^abc") == ("abc", true))
        #expect(try prefix("^abc.*") == ("abc", true))
        #expect(try prefix("^abc$") == ("abc", false))
        #expect(try prefix("^ab?c") == ("a", false))
        #expect(try prefix("^abc", "i") == ("", false))
        #expect(try prefix("^abc", "m") == ("", false))
        #expect(try prefix("abc") == ("", false))
        #expect(try prefix("^a|b") == ("", false))
        #expect(try prefix(#"^a\.é"#) == ("a.é", true))
    }

    @Test func hostilePatternTakesLinearTime() throws {
        let regex = try Regex("(x+x+)+y")
        #expect(!regex.matches(String(repeating: "x", count: 50_000)))
        let wide = try Regex("(a|b)*a(a|b){14}c")
        #expect(!wide.matches(String(repeating: "ab", count: 5_000)))
        #expect(wide.matches("a" + String(repeating: "ba", count: 7) + "c"))
    }

    /// Random patterns over two letters against a backtracking matcher on their trees.
    @Test func randomPatternsAgreeWithBacktracking() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededRandom(seed: seed)
        let texts = (0..<127).map { bits -> String in
            // All texts of up to six letters: the leading one marks the length.
            var text = ""
            var value = bits + 1
            while value > 1 {
                text += value & 1 == 0 ? "a" : "b"
                value >>= 1
            }
            return text
        }
        for _ in 0..<400 {
            let tree = Naive.random(depth: 3, &random)
            let regex = try Regex(tree.pattern)
            for text in texts {
                let letters = Array(text)
                let expected = (0...letters.count).contains { start in
                    tree.match(letters, start, { _ in true })
                }
                #expect(
                    regex.matches(text) == expected,
                    "/\(tree.pattern)/ on \(text), seed \(seed)"
                )
            }
        }
    }

    private indirect enum Naive {
        case letter(Character), any, start, end, border
        case sequence(Naive, Naive), choice(Naive, Naive)
        case repeated(Naive, Int, Int?)

        static func random(depth: Int, _ random: inout SeededRandom) -> Naive {
            switch Int.random(in: 0..<(depth == 0 ? 6 : 12), using: &random) {
            case 0, 1: return .letter("a")
            case 2: return .letter("b")
            case 3: return .any
            case 4: return [.start, .end][Int.random(in: 0...1, using: &random)]
            case 5: return .border
            case 6, 7, 8:
                return .sequence(
                    .random(depth: depth - 1, &random),
                    .random(depth: depth - 1, &random)
                )
            case 9:
                return .choice(
                    .random(depth: depth - 1, &random),
                    .random(depth: depth - 1, &random)
                )
            default:
                let low = Int.random(in: 0...2, using: &random)
                let high =
                    Bool.random(using: &random) ? nil : low + Int.random(in: 0...2, using: &random)
                return .repeated(.random(depth: depth - 1, &random), low, high)
            }
        }

        var pattern: String {
            switch self {
            case .letter(let letter): String(letter)
            case .any: "."
            case .start: "^"
            case .end: "$"
            case .border: #"\b"#
            case .sequence(let a, let b): "(?:\(a.pattern)\(b.pattern))"
            case .choice(let a, let b): "(\(a.pattern)|\(b.pattern))"
            case .repeated(let inner, let low, let high):
                "(\(inner.pattern)){\(low),\(high.map(String.init) ?? "")}"
            }
        }

        func match(_ text: [Character], _ at: Int, _ then: (Int) -> Bool) -> Bool {
            switch self {
            case .letter(let letter): return at < text.count && text[at] == letter && then(at + 1)
            case .any: return at < text.count && then(at + 1)
            case .start: return at == 0 && then(at)
            case .end: return at == text.count && then(at)
            case .border: return !text.isEmpty && (at == 0 || at == text.count) && then(at)
            case .sequence(let a, let b):
                return a.match(text, at) { b.match(text, $0, then) }
            case .choice(let a, let b): return a.match(text, at, then) || b.match(text, at, then)
            case .repeated(let inner, let low, let high):
                if low > 0 {
                    return inner.match(text, at) {
                        Naive.repeated(inner, low - 1, high.map { $0 - 1 }).match(text, $0, then)
                    }
                }
                if then(at) { return true }
                if high == 0 { return false }
                return inner.match(text, at) { next in
                    next > at
                        && Naive.repeated(inner, 0, high.map { $0 - 1 }).match(text, next, then)
                }
            }
        }
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
