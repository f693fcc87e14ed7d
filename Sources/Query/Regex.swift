/// Why a pattern was refused, with the byte offset of the fault.
package enum RegexError: Error, Equatable, Sendable {
    case tooLong(maximum: Int)
    /// Repetitions expand to more states than allowed.
    case tooLarge(maximum: Int)
    case unknownOption(String)
    case malformed(rule: String, offset: Int)

    package var message: String {
        switch self {
        case .tooLong(let maximum): "is at most \(maximum) bytes"
        case .tooLarge(let maximum): "expands to more than \(maximum) states"
        case .unknownOption(let name): "has options i, m and s, not \(name)"
        case .malformed(let rule, let offset): "\(rule) at byte \(offset)"
        }
    }
}

/// A regular expression that answers "does it occur" in time linear in the text.
///
/// Thompson's construction over UTF-8 bytes (K. Thompson, 1968; R. Cox, "Regular Expression
/// Matching Can Be Simple And Fast", 2007), turned into a deterministic automaton when that stays
/// small and simulated otherwise: see ``RegexProgram``. No backtracking, hence no back-references
/// and no look-around. Supported: literals, `.`, classes with ranges and negation, `\d \w \s` and
/// their negations (ASCII), `\b \B`, `^ $`, groups, `|`, `* + ? {m,n}` and their lazy forms (which
/// match the same texts), options `i` (simple case folding), `m` (`^` and `$` at lines), `s` (`.`
/// takes newlines). `$` without `m` is the very end only.
package struct Regex: Sendable, Equatable {
    /// As given.
    package let pattern: String
    package let options: String
    /// Every match begins with these bytes at the start of the text; empty where that is not known.
    package let literalPrefix: [UInt8]
    /// Whether beginning with ``literalPrefix`` is all that the expression asks.
    package let isExactPrefix: Bool
    let program: RegexProgram

    /// Compiles a pattern. Throws ``RegexError``. Complexity: bounded by the program's limits.
    package init(
        _ pattern: String,
        options: String = "",
        byteCountMax: Int = 256
    ) throws(RegexError) {
        guard pattern.utf8.count <= byteCountMax else { throw .tooLong(maximum: byteCountMax) }
        var flags = RegexFlags()
        for option in options {
            switch option {
            case "i": flags.ignoresCase = true
            case "m": flags.isMultiline = true
            case "s": flags.dotTakesNewline = true
            default: throw .unknownOption(String(option))
            }
        }
        var parser = RegexParser(pattern, flags: flags)
        let tree = try parser.parse()
        (literalPrefix, isExactPrefix) = tree.anchoredPrefix(flags)
        program = try RegexProgram(tree)
        self.pattern = pattern
        self.options = options
    }

    /// Whether the expression matches somewhere in the text. Complexity: O(bytes × states),
    /// O(bytes) where the automaton is deterministic. No allocation in that case.
    package func matches(_ text: UnsafeRawBufferPointer) -> Bool { program.matches(text) }

    /// The same for a string.
    package func matches(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { program.matches(UnsafeRawBufferPointer($0)) }
    }

    /// Same pattern and options.
    package static func == (a: Regex, b: Regex) -> Bool {
        a.pattern == b.pattern && a.options == b.options
    }
}

/// The options of an expression.
struct RegexFlags {
    var ignoresCase = false
    var isMultiline = false
    var dotTakesNewline = false
}

/// An expression as a tree.
indirect enum RegexTree {
    case empty
    /// One character of a set.
    case set(ScalarSet)
    case sequence([RegexTree])
    case choice([RegexTree])
    /// `maximum` nil is without bound.
    case repetition(RegexTree, minimum: Int, maximum: Int?)
    case assertion(Assertion)

    enum Assertion: UInt8 {
        case textStart, textEnd, lineStart, lineEnd, wordBorder, noWordBorder
    }

    /// The literal text that every match begins with when anchored at the start.
    func anchoredPrefix(_ flags: RegexFlags) -> (bytes: [UInt8], isExact: Bool) {
        guard case .sequence(let parts) = self, case .assertion(.textStart)? = parts.first else {
            return ([], false)
        }
        var bytes: [UInt8] = []
        for (index, part) in parts.enumerated().dropFirst() {
            if case .set(let set) = part, let scalar = set.onlyScalar {
                bytes.append(contentsOf: Array(String(scalar).utf8))
                continue
            }
            // `.*` behind the prefix, with nothing after it, asks nothing more.
            if index == parts.count - 1, case .repetition(.set, minimum: 0, maximum: nil) = part {
                return (bytes, true)
            }
            return (bytes, false)
        }
        return (bytes, true)
    }
}
