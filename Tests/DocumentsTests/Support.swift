@testable import Documents

/// Deterministic random numbers: splitmix64.
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Parses a test's own literal; a bad one is a bug of the test.
func json(_ text: String) -> JSON {
    do { return try JSON(parsing: text) } catch { fatalError("\(text): \(error)") }
}

/// A second, slow parser, written independently: recursive descent over scalars. Refuses duplicate
/// keys and lone surrogates as the real one does; returns nil on any fault.
struct NaiveParser {
    private let bytes: [UInt8]
    private var at = 0

    static func parse(_ bytes: [UInt8]) -> JSON? {
        guard String(validating: bytes, as: UTF8.self) != nil else { return nil }
        var parser = NaiveParser(bytes: bytes)
        guard let value = parser.value() else { return nil }
        parser.space()
        return parser.at == bytes.count ? value : nil
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func space() {
        while at < bytes.count, [32, 9, 10, 13].contains(bytes[at]) { at += 1 }
    }

    private mutating func eat(_ text: String) -> Bool {
        guard bytes[at...].starts(with: text.utf8) else { return false }
        at += text.utf8.count
        return true
    }

    private mutating func value() -> JSON? {
        space()
        if eat("null") { return .null }
        if eat("true") { return .bool(true) }
        if eat("false") { return .bool(false) }
        if eat("[") { return array() }
        if eat("{") { return object() }
        if at < bytes.count, bytes[at] == 34 { return string().map(JSON.string) }
        return number()
    }

    private mutating func array() -> JSON? {
        var elements: [JSON] = []
        space()
        if eat("]") { return .array([]) }
        repeat {
            guard let element = value() else { return nil }
            elements.append(element)
            space()
        } while eat(",")
        return eat("]") ? .array(elements) : nil
    }

    private mutating func object() -> JSON? {
        var members: [(key: String, value: JSON)] = []
        space()
        if eat("}") { return .object(JSONObject()) }
        repeat {
            space()
            guard let key = string() else { return nil }
            space()
            guard eat(":"), let member = value() else { return nil }
            if members.contains(where: { Array($0.key.utf8) == Array(key.utf8) }) { return nil }
            members.append((key: key, value: member))
            space()
        } while eat(",")
        return eat("}") ? .object(JSONObject(members)) : nil
    }

    private mutating func number() -> JSON? {
        let start = at
        let pattern = /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/
        while at < bytes.count, "+-.0123456789eE".utf8.contains(bytes[at]) { at += 1 }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        return text.wholeMatch(of: pattern) == nil ? nil : .number(JSONNumber(validText: text))
    }

    private mutating func string() -> String? {
        guard eat("\"") else { return nil }
        var units: [UInt16] = []
        var plain: [UInt8] = []
        var out = ""
        func flush(_ out: inout String, _ plain: inout [UInt8], _ units: inout [UInt16]) -> Bool {
            out += String(decoding: plain, as: UTF8.self)
            plain = []
            guard let decoded = String(validating: units, as: UTF16.self) else { return false }
            out += decoded
            units = []
            return true
        }
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte < 0x20 { return nil }
            if byte == 34 { return flush(&out, &plain, &units) ? out : nil }
            guard byte == 92 else {
                if !units.isEmpty, !flush(&out, &plain, &units) { return nil }
                plain.append(byte)
                continue
            }
            if units.isEmpty { _ = flush(&out, &plain, &units) }
            guard at < bytes.count else { return nil }
            let escape = bytes[at]
            at += 1
            let simple: [UInt8: UInt16] = [
                34: 34, 92: 92, 47: 47, 98: 8, 102: 12, 110: 10, 114: 13, 116: 9,
            ]
            if let unit = simple[escape] {
                units.append(unit)
            } else {
                guard escape == 117, at + 4 <= bytes.count,
                    bytes[at..<at + 4].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                    let unit = UInt16(
                        String(decoding: bytes[at..<at + 4], as: UTF8.self),
                        radix: 16
                    )
                else { return nil }
                units.append(unit)
                at += 4
            }
        }
        return nil
    }
}

/// Random values, with awkward numbers and strings.
struct RandomJSON {
    var random: SeededRandom

    mutating func value(depth: Int) -> JSON {
        switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &random) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &random))
        case 2, 3: return .number(number())
        case 4, 5: return .string(string())
        case 6:
            return .array(
                (0..<Int.random(in: 0...4, using: &random)).map { _ in value(depth: depth - 1) }
            )
        default:
            var object = JSONObject()
            for _ in 0..<Int.random(in: 0...5, using: &random) {
                object[string()] = value(depth: depth - 1)
            }
            return .object(object)
        }
    }

    mutating func number() -> JSONNumber {
        let pool = [
            "0", "-0", "1", "1.0", "1e0", "10E-1", "0.1", "0.10", "-1", "2", "1e400", "1e-400",
            "9223372036854775807", "9223372036854775808", "-9223372036854775808",
            "-9223372036854775809", "123456789012345678901234567890", "0.000", "100e-2",
        ]
        if Bool.random(using: &random) {
            return JSONNumber(validText: pool[Int.random(in: 0..<pool.count, using: &random)])
        }
        return JSONNumber(Int64.random(in: -9...9, using: &random))
    }

    mutating func string() -> String {
        let pool = [
            "", "a", "b", "ab", "\"", "\\", "\n\u{1}", "é", "e\u{301}", "😀", "\u{FFFF}", "/",
            "a long string that is more than one block of sixteen", "tab\there", "a.b", "\u{7F}",
        ]
        return (0..<Int.random(in: 0...2, using: &random)).map { _ in
            pool[Int.random(in: 0..<pool.count, using: &random)]
        }.joined()
    }
}
