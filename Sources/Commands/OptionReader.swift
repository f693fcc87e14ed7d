import Documents
import Engine
import Primitives
import Query
import RESP

/// One keyword option of a command: its name and how many values follow it.
struct OptionRule {
    let name: String
    let valueCount: Int

    init(_ name: String, _ valueCount: Int = 1) {
        self.name = name
        self.valueCount = valueCount
    }
}

/// The keyword options behind a command's fixed arguments, in any order, each at most once.
///
/// `BLOB` and `VEC` may come many times. Values are read as parameters where they begin with `$`.
struct Options {
    let frame: RequestFrame
    /// Each option that is there, with the index of its first value (of the keyword itself where
    /// it has none). They are few: looking through them is cheaper than hashing.
    private var given: [(name: String, place: Int)] = []
    private var repeated: [(name: String, place: Int)] = []
    private(set) var params = Params.none

    /// Options that may be given more than once.
    private static let repeatable: Set<String> = ["VEC", "BLOB"]

    /// Reads everything from argument `start` on.
    ///
    /// - Throws: `SYNTAX` for a word that is no option here, for one given twice and for a missing
    ///   value.
    init(
        _ frame: RequestFrame, from start: Int, _ rules: [OptionRule]
    ) throws(EngineError) {
        self.frame = frame
        if start < frame.count { given.reserveCapacity((frame.count - start + 1) / 2) }
        var index = start
        while index < frame.count {
            guard let rule = rules.first(where: { frame.equals(index, text: $0.name) }) else {
                throw EngineError(
                    .syntax, String(frame.string(index).prefix(64)), "is no option of this command",
                    hint: frame.equals(index, "AT")
                        ? "FETCH, MFETCH, EXPORT, FIND and COUNT read older versions"
                        : "COMMAND DOCS lists them")
            }
            guard index + rule.valueCount < frame.count else {
                throw EngineError(.syntax, rule.name, "a value is missing")
            }
            let place = rule.valueCount == 0 ? index : index + 1
            if Self.repeatable.contains(rule.name) {
                repeated.append((rule.name, place))
            } else if self.place(rule.name) != nil {
                throw EngineError(.syntax, rule.name, "is given twice")
            } else {
                given.append((rule.name, place))
            }
            index += 1 + rule.valueCount
        }
        params = try readParams()
    }

    private func readParams() throws(EngineError) -> Params {
        var json: JSON?
        if let place = place("PARAMS") {
            json = try Self.json(frame.bytes(place), path: "PARAMS")
        }
        let blobs = repeated.filter { $0.name == "BLOB" }.map { blob in
            (name: frame.string(blob.place), bytes: frame.array(blob.place + 1))
        }
        if json == nil, blobs.isEmpty { return .none }
        do {
            return try Params(json: json, blobs: blobs)
        } catch {
            throw EngineError(error)
        }
    }

    /// A JSON argument.
    static func json(
        _ bytes: UnsafeRawBufferPointer, path: String
    ) throws(EngineError) -> JSON {
        do {
            return try JSON(parsing: [UInt8](bytes), depthMax: 100)
        } catch {
            throw EngineError(error, path: path)
        }
    }

    private func place(_ name: String) -> Int? {
        for option in given where option.name == name { return option.place }
        return nil
    }

    func has(_ name: String) -> Bool { place(name) != nil }

    /// Whether `PARAMS` or `BLOB` are there, even if empty.
    var hasParams: Bool { has("PARAMS") || repeated.contains { $0.name == "BLOB" } }

    /// Whether two options that exclude each other are both there.
    func refuse(_ a: String, with b: String) throws(EngineError) {
        if has(a), has(b) { throw EngineError(.syntax, a, "cannot stand beside \(b)") }
    }

    /// An option's value as text; a parameter's value where it begins with `$`.
    func text(_ name: String) throws(EngineError) -> String? {
        guard let place = place(name) else { return nil }
        let text = frame.string(place)
        guard text.utf8.first == UInt8(ascii: "$") else { return text }
        do {
            switch try params.option(text) {
            case .json(.string(let value))?: return value
            case .json(let value)?: return value.text
            case .blob(let bytes)?: return String(decoding: bytes, as: UTF8.self)
            case nil: return text
            }
        } catch {
            throw EngineError(error)
        }
    }

    /// An option's value as it was sent, valid as long as the frame.
    func bytes(_ name: String) -> UnsafeRawBufferPointer? { place(name).map { frame.bytes($0) } }

    /// All values of an option of several, as text, parameters replaced.
    func words(_ name: String, count: Int) throws(EngineError) -> [String] {
        guard let place = place(name) else { return [] }
        var words: [String] = []
        for index in place..<place + count { words.append(try argument(index, name)) }
        return words
    }

    /// An argument as text, a parameter's value where it begins with `$`; `name` is for errors.
    func argument(_ index: Int, _ name: String = "") throws(EngineError) -> String {
        let text = frame.string(index)
        do throws(QueryError) {
            switch try params.option(text) {
            case .json(.string(let value))?: return value
            case .json(let value)?: return value.text
            case .blob?:
                throw QueryError.invalid(
                    path: name, rule: "takes no bytes", value: String(text.prefix(64)))
            case nil: return text
            }
        } catch {
            throw EngineError(error)
        }
    }

    /// A decimal number, perhaps with an exponent; nil for all else, hexadecimal ones too.
    static func decimal(_ text: String) -> Double? {
        let isDecimal = text.utf8.allSatisfy { byte in
            byte &- 0x30 < 10 || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "+") || byte | 0x20 == UInt8(ascii: "e")
        }
        return isDecimal ? Double(text) : nil
    }

    /// An integer within bounds.
    func integer(_ name: String, _ range: ClosedRange<Int>) throws(EngineError) -> Int? {
        guard let text = try text(name) else { return nil }
        guard let value = Int(text) else {
            throw EngineError(.invalid, name, "is an integer, got \(text.prefix(64))")
        }
        guard range.contains(value) else {
            if value > range.upperBound {
                throw EngineError(.limit, name, "at most \(range.upperBound), got \(value)")
            }
            throw EngineError(.invalid, name, "is at least \(range.lowerBound), got \(value)")
        }
        return value
    }

    /// A hundred years: added to any moment, it fits.
    private static let millisecondsMax: Int64 = 36_500 * 86_400_000

    /// A duration in milliseconds, at least one.
    func milliseconds(_ name: String) throws(EngineError) -> Int64? {
        guard let text = try text(name) else { return nil }
        guard let value = try? DurationText.milliseconds(text), value > 0 else {
            throw EngineError(
                .invalid, name,
                "is a duration such as 500ms, 30s, 15m or 7d, got \(text.prefix(64))")
        }
        guard value <= Self.millisecondsMax else {
            throw EngineError(.limit, name, "at most 36500d, got \(text.prefix(64))")
        }
        return value
    }

    func version(_ name: String) throws(EngineError) -> Version? {
        guard let text = try text(name) else { return nil }
        guard let value = UInt64(text), value < 1 << 48 else {
            throw EngineError(.invalid, name, "is a version, got \(text.prefix(64))")
        }
        return Version(value)
    }

    /// A filter with its parameters put in; also where the value itself is a parameter.
    func filter(
        _ bytes: UnsafeRawBufferPointer, path: String, limits: Limits
    ) throws(EngineError) -> Filter {
        let json = try filterTree(bytes, path: path, parser: nil)
        do {
            return try Filter(parsing: json, limits: limits)
        } catch {
            throw EngineError(error)
        }
    }

    /// How deep a filter may be nested.
    static let filterDepthMax = 100

    /// A filter's JSON with its parameters put in. With `parser` no parser is made for it.
    func filterTree(
        _ bytes: UnsafeRawBufferPointer, path: String, parser: JSONParser?
    ) throws(EngineError) -> JSON {
        do {
            if bytes.first == UInt8(ascii: "$"),
                case .json(let value)? = try params.option(String(decoding: bytes, as: UTF8.self))
            {
                return value
            }
            guard let parser else { return try params.substitute(Self.json(bytes, path: path)) }
            let json: JSON
            do throws(JSONError) {
                json = try parser.parse(bytes, depthMax: Self.filterDepthMax).json
            } catch {
                throw EngineError(error, path: path)
            }
            return try params.substitute(json)
        } catch let error as QueryError {
            throw EngineError(error)
        } catch let error as EngineError {
            throw error
        } catch {
            throw EngineError(.invalid, path, "is a filter")
        }
    }

    func filter(_ name: String, limits: Limits) throws(EngineError) -> Filter? {
        guard let place = place(name) else { return nil }
        return try filter(frame.bytes(place), path: name, limits: limits)
    }

    /// An option's filter as JSON, with its parameters put in.
    func filterTree(_ name: String, parser: JSONParser) throws(EngineError) -> JSON? {
        guard let place = place(name) else { return nil }
        return try filterTree(frame.bytes(place), path: name, parser: parser)
    }

    /// The second value of an option, as a filter.
    func second(
        of name: String, limits: Limits, parser: JSONParser
    ) throws(EngineError) -> Filter? {
        guard let place = place(name) else { return nil }
        let tree = try filterTree(frame.bytes(place + 1), path: name, parser: parser)
        do {
            return try Filter(parsing: tree, limits: limits)
        } catch {
            throw EngineError(error)
        }
    }

    /// An option's value as JSON.
    func json(_ name: String) throws(EngineError) -> JSON? {
        guard let place = place(name) else { return nil }
        return try Self.json(frame.bytes(place), path: name)
    }

    /// Bytes of a `KEY`.
    private static let keyByteCountMax = 512

    /// The value of `KEY`, any bytes or a parameter's value, within the scope of its user, verb and
    /// collection: nobody gets a reply that was another's.
    func idempotencyKey() throws(EngineError) -> [UInt8]? {
        guard let place = place("KEY") else { return nil }
        var key = frame.array(place)
        if key.first == UInt8(ascii: "$") { key = try text("KEY").map { [UInt8]($0.utf8) } ?? [] }
        guard key.count <= Self.keyByteCountMax else {
            throw EngineError(
                .limit, "KEY", "at most \(Self.keyByteCountMax) bytes, got \(key.count)")
        }
        var scoped: [UInt8] = [0]
        for part in [frame.userName, frame.string(0).uppercased(), frame.string(1)] {
            scoped += part.utf8
            scoped.append(0)
        }
        return scoped + key
    }

    /// The bytes behind a lookup's one `VEC`: a parameter's, where it names one.
    ///
    /// Raw bytes may begin with the sign of a parameter by chance: only an identifier behind it
    /// makes it one.
    func vectorArgument() throws(EngineError) -> [UInt8]? {
        let given = repeated.filter { $0.name == "VEC" }
        guard let first = given.first else { return nil }
        guard given.count == 1 else { throw EngineError(.syntax, "VEC", "is given twice") }
        let bytes = frame.array(first.place)
        guard bytes.first == UInt8(ascii: "$"), bytes.count > 1,
            bytes.dropFirst().allSatisfy({ Self.isIdentifierByte($0) })
        else { return bytes }
        do {
            switch try params.option(String(decoding: bytes, as: UTF8.self)) {
            case .blob(let blob)?: return blob
            case .json(.string(let text))?: return [UInt8](text.utf8)
            case .json(let value)?: return [UInt8](value.text.utf8)
            case nil: return bytes
            }
        } catch {
            throw EngineError(error)
        }
    }

    private static func isIdentifierByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// A finite number within bounds.
    func number(_ name: String, _ range: ClosedRange<Double>) throws(EngineError) -> Double? {
        guard let text = try text(name) else { return nil }
        guard let value = Self.decimal(text), value.isFinite else {
            throw EngineError(.invalid, name, "is a number, got \(text.prefix(64))")
        }
        guard range.contains(value) else {
            throw EngineError(
                .invalid, name,
                "is from \(range.lowerBound) to \(range.upperBound), got \(text.prefix(64))")
        }
        return value
    }

    /// The fields and bytes behind each `VEC`.
    func vectors() throws(EngineError) -> [(field: String, bytes: [UInt8])] {
        var vectors: [(field: String, bytes: [UInt8])] = []
        for item in repeated where item.name == "VEC" {
            vectors.append((frame.string(item.place), frame.array(item.place + 1)))
        }
        return vectors
    }
}
