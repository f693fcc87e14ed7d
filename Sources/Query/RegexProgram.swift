/// An expression as instructions over bytes, and as a table where that is small.
///
/// A state is the set of instructions that wait for the next byte, before their empty transitions
/// are followed, with what kind of byte came before. Assertions look one byte back and one ahead;
/// both are known when the empty transitions are followed, so `\b` and `^` need no special states.
struct RegexProgram: Sendable {
    /// One instruction: 12 bytes.
    struct Instruction: Sendable {
        enum Operation: UInt8 { case bytes, split, assertion, match }

        var operation: Operation
        /// BYTES: the range. ASSERTION: `low` is its kind.
        var low: UInt8 = 0
        var high: UInt8 = 0
        var next: UInt32 = 0
        /// SPLIT: the other way.
        var other: UInt32 = 0
    }

    /// What lies before a position.
    enum Before: UInt8 { case start, newline, word, other }

    static let instructionCountMax = 1_500
    static let stateCountMax = 128
    /// States times instructions of a table: what making one may cost, about 0.2 ms.
    static let tableWorkMax = 8_192

    let instructions: [Instruction]
    let start: Int
    /// Matches begin only at the start of the text.
    let isAnchored: Bool
    let usesWords: Bool
    let usesLines: Bool
    /// Nil where the automaton is too large.
    private let table: RegexTable?

    init(_ tree: RegexTree) throws(RegexError) {
        var builder = Builder()
        let match = try builder.add(Instruction(operation: .match))
        start = try builder.build(tree, next: match)
        instructions = builder.instructions
        usesWords = builder.usesWords
        usesLines = builder.usesLines
        if case .sequence(let parts) = tree, case .assertion(.textStart)? = parts.first {
            isAnchored = true
        } else {
            isAnchored = false
        }
        table = RegexTable(
            instructions: instructions,
            start: start,
            isAnchored: isAnchored,
            usesWords: usesWords,
            usesLines: usesLines
        )
    }

    func matches(_ text: UnsafeRawBufferPointer) -> Bool {
        table.map { $0.matches(text) } ?? simulate(text)
    }

    /// For tests: the way without a table.
    func simulate(_ text: UnsafeRawBufferPointer) -> Bool {
        var set = RegexStates(count: instructions.count)
        var pending: [UInt32] = []
        var before = Before.start
        for position in 0...text.count {
            let next = position < text.count ? text[position] : nil
            if !isAnchored || position == 0 { pending.append(UInt32(start)) }
            if pending.isEmpty { return false }
            if set.follow(pending, in: instructions, before: before, next: next) { return true }
            guard let next else { return false }
            set.step(over: next, in: instructions, into: &pending)
            before = RegexProgram.kind(of: next, usesWords: usesWords, usesLines: usesLines)
        }
        return false
    }

    static func kind(of byte: UInt8, usesWords: Bool, usesLines: Bool) -> Before {
        if usesLines && byte == 10 { return .newline }
        if usesWords && isWord(byte) { return .word }
        return .other
    }

    static func isWord(_ byte: UInt8) -> Bool {
        let lower = byte | 32
        return (lower >= 97 && lower <= 122) || (byte >= 48 && byte <= 57) || byte == 95
    }

    /// Emits instructions from the end backwards, so that each knows what follows it.
    private struct Builder {
        var instructions: [Instruction] = []
        var usesWords = false
        var usesLines = false

        mutating func add(_ instruction: Instruction) throws(RegexError) -> Int {
            guard instructions.count < instructionCountMax else {
                throw .tooLarge(maximum: instructionCountMax)
            }
            instructions.append(instruction)
            return instructions.count - 1
        }

        private mutating func split(_ a: Int, _ b: Int) throws(RegexError) -> Int {
            try add(Instruction(operation: .split, next: UInt32(a), other: UInt32(b)))
        }

        mutating func build(_ tree: RegexTree, next: Int) throws(RegexError) -> Int {
            switch tree {
            case .empty: return next
            case .set(let set): return try build(set, next: next)
            case .sequence(let parts):
                var place = next
                for part in parts.reversed() { place = try build(part, next: place) }
                return place
            case .choice(let branches):
                var place = try build(branches[branches.count - 1], next: next)
                for branch in branches.dropLast().reversed() {
                    place = try split(try build(branch, next: next), place)
                }
                return place
            case .repetition(let inner, let minimum, let maximum):
                var place = next
                if let maximum {
                    for _ in minimum..<maximum {
                        place = try split(try build(inner, next: place), next)
                    }
                } else {
                    place = try split(next, next)
                    instructions[place].next = UInt32(try build(inner, next: place))
                }
                for _ in 0..<minimum { place = try build(inner, next: place) }
                return place
            case .assertion(let assertion):
                switch assertion {
                case .wordBorder, .noWordBorder: usesWords = true
                case .lineStart, .lineEnd: usesLines = true
                case .textStart, .textEnd: break
                }
                return try add(
                    Instruction(
                        operation: .assertion,
                        low: assertion.rawValue,
                        next: UInt32(next)
                    )
                )
            }
        }

        private mutating func build(_ set: ScalarSet, next: Int) throws(RegexError) -> Int {
            // An empty set, such as [^\s\S], matches nothing: a range that holds no byte.
            guard !set.isEmpty else {
                return try add(Instruction(operation: .bytes, low: 1, high: 0))
            }
            var place: Int?
            for sequence in set.byteSequences.reversed() {
                var entry = next
                for range in sequence.reversed() {
                    entry = try add(
                        Instruction(
                            operation: .bytes,
                            low: range.lowerBound,
                            high: range.upperBound,
                            next: UInt32(entry)
                        )
                    )
                }
                place =
                    try place.map { (other) throws(RegexError) in try split(entry, other) }
                    ?? entry
            }
            return place ?? next
        }
    }
}

/// The set of instructions reached at one position: a sparse set, cleared in O(1).
struct RegexStates {
    /// Byte instructions reached.
    private var waiting: [UInt32] = []
    private var marks: [UInt32]
    private var mark: UInt32 = 0
    private var stack: [UInt32] = []

    init(count: Int) { marks = Array(repeating: 0, count: count) }

    /// Follows empty transitions from `pending`. Returns whether the match was reached.
    mutating func follow(
        _ pending: [UInt32],
        in program: [RegexProgram.Instruction],
        before: RegexProgram.Before,
        next: UInt8?
    ) -> Bool {
        mark &+= 1
        waiting.removeAll(keepingCapacity: true)
        stack.removeAll(keepingCapacity: true)
        stack.append(contentsOf: pending)
        while let place = stack.popLast() {
            guard marks[Int(place)] != mark else { continue }
            marks[Int(place)] = mark
            let instruction = program[Int(place)]
            switch instruction.operation {
            case .match: return true
            case .bytes: waiting.append(place)
            case .split:
                stack.append(instruction.next)
                stack.append(instruction.other)
            case .assertion:
                guard let kind = RegexTree.Assertion(rawValue: instruction.low) else { continue }
                if RegexStates.holds(kind, before: before, next: next) {
                    stack.append(instruction.next)
                }
            }
        }
        return false
    }

    /// The instructions behind those that take `byte`.
    func step(
        over byte: UInt8,
        in program: [RegexProgram.Instruction],
        into pending: inout [UInt32]
    ) {
        pending.removeAll(keepingCapacity: true)
        for place in waiting {
            let instruction = program[Int(place)]
            if byte >= instruction.low && byte <= instruction.high {
                pending.append(instruction.next)
            }
        }
    }

    private static func holds(
        _ assertion: RegexTree.Assertion,
        before: RegexProgram.Before,
        next: UInt8?
    ) -> Bool {
        switch assertion {
        case .textStart: before == .start
        case .textEnd: next == nil
        case .lineStart: before == .start || before == .newline
        case .lineEnd: next == nil || next == 10
        case .wordBorder: (before == .word) != (next.map(RegexProgram.isWord) ?? false)
        case .noWordBorder: (before == .word) == (next.map(RegexProgram.isWord) ?? false)
        }
    }
}

/// The deterministic automaton as a table: one row per state, one column per class of bytes.
struct RegexTable: Sendable {
    private static let match: UInt16 = 0xFFFF
    private static let dead: UInt16 = 0xFFFE

    private var classes: [UInt8]
    private var columnCount: Int
    /// Next state by row and class; the last column is the end of the text.
    private var cells: [UInt16] = []

    /// Nil when there would be too many states.
    init?(
        instructions: [RegexProgram.Instruction],
        start: Int,
        isAnchored: Bool,
        usesWords: Bool,
        usesLines: Bool
    ) {
        (classes, columnCount) = RegexTable.classes(
            of: instructions,
            usesWords: usesWords,
            usesLines: usesLines
        )
        struct Key: Hashable {
            var pending: [UInt32]
            var before: RegexProgram.Before
        }
        var keys = [Key(pending: [UInt32(start)], before: .start)]
        var numbers = [keys[0]: UInt16(0)]
        var representatives = [UInt8?](repeating: nil, count: columnCount)
        for byte in (0...255).reversed() { representatives[Int(classes[byte])] = UInt8(byte) }
        var set = RegexStates(count: instructions.count)
        var pending: [UInt32] = []
        var row = 0
        while row < keys.count {
            let key = keys[row]
            row += 1
            for next in representatives {
                if set.follow(key.pending, in: instructions, before: key.before, next: next) {
                    cells.append(RegexTable.match)
                    continue
                }
                guard let next else {
                    cells.append(RegexTable.dead)
                    continue
                }
                set.step(over: next, in: instructions, into: &pending)
                if !isAnchored { pending.append(UInt32(start)) }
                if pending.isEmpty {
                    cells.append(RegexTable.dead)
                    continue
                }
                let target = Key(
                    pending: RegexTable.sortedUnique(pending),
                    before: RegexProgram.kind(
                        of: next,
                        usesWords: usesWords,
                        usesLines: usesLines
                    )
                )
                if let number = numbers[target] {
                    cells.append(number)
                } else {
                    guard keys.count < RegexProgram.stateCountMax,
                        keys.count * instructions.count <= RegexProgram.tableWorkMax
                    else { return nil }
                    numbers[target] = UInt16(keys.count)
                    cells.append(UInt16(keys.count))
                    keys.append(target)
                }
            }
        }
    }

    private static func sortedUnique(_ values: [UInt32]) -> [UInt32] {
        var result: [UInt32] = []
        for value in values.sorted() where result.last != value { result.append(value) }
        return result
    }

    /// Bytes that no instruction tells apart share a class. The end of the text is the last class.
    private static func classes(
        of instructions: [RegexProgram.Instruction],
        usesWords: Bool,
        usesLines: Bool
    ) -> ([UInt8], columnCount: Int) {
        var borders = [Bool](repeating: false, count: 257)
        for instruction in instructions where instruction.operation == .bytes {
            guard instruction.low <= instruction.high else { continue }
            borders[Int(instruction.low)] = true
            borders[Int(instruction.high) + 1] = true
        }
        for byte in 1...255 where usesWords {
            if RegexProgram.isWord(UInt8(byte)) != RegexProgram.isWord(UInt8(byte - 1)) {
                borders[byte] = true
            }
        }
        if usesLines { (borders[10], borders[11]) = (true, true) }
        var classes = [UInt8](repeating: 0, count: 256)
        var current = 0
        for byte in 1...255 {
            if borders[byte] { current += 1 }
            classes[byte] = UInt8(current)
        }
        return (classes, current + 2)
    }

    func matches(_ text: UnsafeRawBufferPointer) -> Bool {
        cells.withUnsafeBufferPointer { cells in
            classes.withUnsafeBufferPointer { classes in
                var row = 0
                for byte in text {
                    let next = cells[row + Int(classes[Int(byte)])]
                    if next >= RegexTable.dead { return next == RegexTable.match }
                    row = Int(next) * columnCount
                }
                return cells[row + columnCount - 1] == RegexTable.match
            }
        }
    }
}
