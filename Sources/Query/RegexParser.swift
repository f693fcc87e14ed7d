/// Reads a pattern into a tree by recursive descent.
struct RegexParser {
    private let scalars: [Unicode.Scalar]
    /// Byte offset of each scalar, and of the end.
    private var offsets: [Int]
    private let flags: RegexFlags
    private var position = 0
    private var depth = 0

    private static let depthMax = 64
    private static let repetitionMax = 1_000

    init(_ pattern: String, flags: RegexFlags) {
        scalars = Array(pattern.unicodeScalars)
        offsets = [0]
        for scalar in scalars {
            offsets.append(offsets[offsets.count - 1] + UTF8.width(scalar))
        }
        self.flags = flags
    }

    private var current: Unicode.Scalar? {
        position < scalars.count ? scalars[position] : nil
    }

    private func error(_ rule: String, at place: Int? = nil) -> RegexError {
        .malformed(rule: rule, offset: offsets[min(place ?? position, scalars.count)])
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard current == scalar else { return false }
        position += 1
        return true
    }

    mutating func parse() throws(RegexError) -> RegexTree {
        let tree = try choice()
        guard current == nil else { throw error("unmatched )") }
        return tree
    }

    private mutating func choice() throws(RegexError) -> RegexTree {
        var branches = [try sequence()]
        while take("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .choice(branches)
    }

    private mutating func sequence() throws(RegexError) -> RegexTree {
        var parts: [RegexTree] = []
        while let scalar = current, scalar != "|", scalar != ")" {
            let start = position
            let atom = try atom()
            parts.append(try repeated(atom, start: start))
        }
        return .sequence(parts)
    }

    private mutating func repeated(
        _ atom: RegexTree,
        start: Int
    ) throws(RegexError) -> RegexTree {
        guard let bounds = try quantifier() else { return atom }
        if case .assertion = atom { throw error("nothing to repeat", at: start) }
        // Lazy forms differ only in which match is found first.
        _ = take("?")
        let place = position
        if try quantifier() != nil { throw error("nothing to repeat", at: place) }
        return .repetition(atom, minimum: bounds.minimum, maximum: bounds.maximum)
    }

    private mutating func quantifier() throws(RegexError) -> (minimum: Int, maximum: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        let start = position
        guard take("{"), let minimum = number() else {
            // A brace that begins no repetition is a character.
            position = start
            return nil
        }
        var maximum: Int? = minimum
        if take(",") { maximum = current == "}" ? nil : number() ?? -1 }
        guard maximum != -1, take("}") else {
            position = start
            return nil
        }
        guard minimum <= RegexParser.repetitionMax, (maximum ?? 0) <= RegexParser.repetitionMax
        else { throw error("repeats at most \(RegexParser.repetitionMax) times", at: start) }
        guard minimum <= maximum ?? minimum else {
            throw error("repetition's bounds are in order", at: start)
        }
        return (minimum, maximum)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let scalar = current, scalar.value >= 48, scalar.value <= 57 {
            value = min((value ?? 0) * 10 + Int(scalar.value - 48), 1_000_000)
            position += 1
        }
        return value
    }

    private func literal(_ set: ScalarSet) -> RegexTree {
        .set(flags.ignoresCase ? set.caseInsensitive : set)
    }

    private mutating func atom() throws(RegexError) -> RegexTree {
        guard let scalar = current else { return .empty }
        let start = position
        position += 1
        switch scalar {
        case "(": return try group(start: start)
        case "[": return .set(try characterClass(start: start))
        case ".":
            return .set(flags.dotTakesNewline ? .all : ScalarSet.newline.inverted)
        case "^": return .assertion(flags.isMultiline ? .lineStart : .textStart)
        case "$": return .assertion(flags.isMultiline ? .lineEnd : .textEnd)
        case "*", "+", "?": throw error("nothing to repeat", at: start)
        case "\\":
            if take("b") { return .assertion(.wordBorder) }
            if take("B") { return .assertion(.noWordBorder) }
            if take("A") { return .assertion(.textStart) }
            if take("z") { return .assertion(.textEnd) }
            let (set, isClass) = try escape(start: start)
            return isClass ? .set(set) : literal(set)
        default: return literal(ScalarSet([scalar.value...scalar.value]))
        }
    }

    private mutating func group(start: Int) throws(RegexError) -> RegexTree {
        if take("?") {
            guard take(":") else { throw error("groups are ( and (?:", at: start) }
        }
        depth += 1
        defer { depth -= 1 }
        guard depth <= RegexParser.depthMax else { throw error("groups nest too deep", at: start) }
        let inner = try choice()
        guard take(")") else { throw error("unclosed (", at: start) }
        return inner
    }

    /// What follows a backslash: a set, and whether it is a class rather than one character.
    private mutating func escape(start: Int) throws(RegexError) -> (ScalarSet, isClass: Bool) {
        guard let scalar = current else { throw error("nothing behind \\", at: start) }
        position += 1
        func one(_ value: UInt32) -> (ScalarSet, isClass: Bool) {
            (ScalarSet([value...value]), false)
        }
        switch scalar {
        case "d": return (.digits, true)
        case "D": return (ScalarSet.digits.inverted, true)
        case "w": return (.words, true)
        case "W": return (ScalarSet.words.inverted, true)
        case "s": return (.spaces, true)
        case "S": return (ScalarSet.spaces.inverted, true)
        case "n": return one(10)
        case "r": return one(13)
        case "t": return one(9)
        case "f": return one(12)
        case "v": return one(11)
        case "0": return one(0)
        case "x", "u": return one(try hexadecimal(digits: scalar == "x" ? 2 : 4, start: start))
        default:
            let isWord = ScalarSet.words.ranges.contains { $0.contains(scalar.value) }
            guard !isWord else { throw error("unknown escape \\\(scalar)", at: start) }
            return one(scalar.value)
        }
    }

    private mutating func hexadecimal(digits: Int, start: Int) throws(RegexError) -> UInt32 {
        let isBraced = take("{")
        var value: UInt32 = 0
        var count = 0
        while let scalar = current, count < (isBraced ? 6 : digits),
            let digit = Character(scalar).hexDigitValue, scalar.isASCII
        {
            value = value << 4 | UInt32(digit)
            count += 1
            position += 1
        }
        guard isBraced ? take("}") && count > 0 : count == digits, Unicode.Scalar(value) != nil
        else { throw error("bad hexadecimal escape", at: start) }
        return value
    }

    private mutating func characterClass(start: Int) throws(RegexError) -> ScalarSet {
        let isNegated = take("^")
        var set = ScalarSet()
        var isFirst = true
        while true {
            guard let scalar = current else { throw error("unclosed [", at: start) }
            if scalar == "]" && !isFirst { break }
            isFirst = false
            let place = position
            let (low, isClass) = try classItem()
            // A minus stands for itself at the end of the class.
            let isRange =
                current == "-" && position + 1 < scalars.count && scalars[position + 1] != "]"
            guard isRange else {
                set.formUnion(low)
                continue
            }
            position += 1
            let (high, isHighClass) = try classItem()
            guard !isClass, !isHighClass, let from = low.onlyScalar?.value,
                let to = high.onlyScalar?.value, from <= to
            else { throw error("bad range in class", at: place) }
            set.insert(from...to)
        }
        position += 1
        if flags.ignoresCase { set = set.caseInsensitive }
        return isNegated ? set.inverted : set
    }

    private mutating func classItem() throws(RegexError) -> (ScalarSet, isClass: Bool) {
        let start = position
        guard let scalar = current else { throw error("unclosed [") }
        position += 1
        guard scalar == "\\" else { return (ScalarSet([scalar.value...scalar.value]), false) }
        if take("b") { return (ScalarSet([8...8]), false) }
        return try escape(start: start)
    }
}
