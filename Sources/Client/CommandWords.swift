/// Splits lines of an interactive client into words, as `redis-cli` does.
package enum CommandWords {
    /// Why a line cannot be split.
    package enum SplitError: Error, Equatable, Sendable, CustomStringConvertible {
        /// The quote that opens at this offset, in bytes, is not closed.
        case openQuote(offset: Int)

        package var description: String {
            switch self {
            case .openQuote(let offset): "the quote at column \(offset + 1) is not closed"
            }
        }
    }

    /// One command of the server's table.
    package struct Command: Sendable, Equatable {
        package var name: String
        package var summary: String
        package var syntax: String

        package init(name: String, summary: String, syntax: String) {
            self.name = name
            self.summary = summary
            self.syntax = syntax
        }
    }

    /// Words are parted by spaces. `'…'` is taken as it is, save `\'`; in `"…"` the escapes
    /// `\n \t \r \xHH \"` and `\\` count. A quote inside of a word, as in `{"a":1}`, is the word's
    /// own: JSON without spaces needs no quotes around it.
    package static func split(_ line: String) -> Result<[String], SplitError> {
        let bytes = Array(line.utf8)
        var words: [String] = []
        var at = 0
        while at < bytes.count {
            if bytes[at] <= 0x20 {
                at += 1
                continue
            }
            let start = at
            var word: [UInt8] = []
            if bytes[at] == 0x27 || bytes[at] == 0x22 {
                guard takeQuoted(bytes, &at, into: &word) else {
                    return .failure(.openQuote(offset: start))
                }
            } else {
                while at < bytes.count, bytes[at] > 0x20 {
                    word.append(bytes[at])
                    at += 1
                }
            }
            words.append(String(decoding: word, as: UTF8.self))
        }
        return .success(words)
    }

    private static func takeQuoted(_ bytes: [UInt8], _ at: inout Int, into word: inout [UInt8])
        -> Bool
    {
        let quote = bytes[at]
        at += 1
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte == quote { return true }
            guard byte == 0x5C, at < bytes.count else {
                word.append(byte)
                continue
            }
            let escaped = bytes[at]
            if quote == 0x27 {
                // Only the quote itself, so that JSON's own escapes pass.
                if escaped == quote { at += 1 }
                word.append(escaped == quote ? quote : byte)
                continue
            }
            at += 1
            switch escaped {
            case UInt8(ascii: "n"): word.append(10)
            case UInt8(ascii: "t"): word.append(9)
            case UInt8(ascii: "r"): word.append(13)
            case UInt8(ascii: "x"):
                let digits = String(decoding: bytes[at...].prefix(2), as: UTF8.self)
                if digits.utf8.count == 2, let value = UInt8(digits, radix: 16) {
                    word.append(value)
                    at += 2
                } else {
                    word.append(escaped)
                }
            default: word.append(escaped)
            }
        }
        return false
    }

    /// What the last word of `line` may become: a command's name, a collection where the syntax has
    /// one, a field behind an option that takes fields, or an option from the syntax.
    ///
    /// `fields` is asked for the fields of a collection only when they are needed.
    package static func completions(
        of line: String,
        commands: [Command],
        collections: [String] = [],
        fields: (String) -> [String] = { _ in [] }
    ) -> [String] {
        let last = line.split(separator: " ", omittingEmptySubsequences: false).last ?? ""
        let head = String(line.dropLast(last.count))
        guard case .success(var words) = split(head) else { return [] }
        if words.first?.uppercased() == "EXPLAIN" { words.removeFirst() }
        guard let verb = words.first?.uppercased() else {
            return matching(commands.map(\.name), last.uppercased()).map { head + $0 }
        }
        guard let command = commands.first(where: { $0.name == verb }) else { return [] }
        let arguments = command.syntax.split(separator: " ")
        if words.count < arguments.count, arguments[words.count] == "c" {
            return matching(collections, String(last)).map { head + $0 }
        }
        if words.count > 1, isListOfFields(line) {
            let part = last.split(separator: ",", omittingEmptySubsequences: false).last ?? ""
            let start = head + last.dropLast(part.count)
            return matching(fields(words[1]), String(part)).map { start + $0 }
        }
        guard !last.isEmpty else { return [] }
        var seen: Set<String> = []
        let options = command.syntax.split { !($0.isLetter || $0 == "_") }.map(String.init)
            .filter { $0.count > 1 && $0 == $0.uppercased() && seen.insert($0).inserted }
        return matching(options.filter { $0 != verb }, last.uppercased()).map { head + $0 }
    }

    /// Whether the last word of `line` is an option's list of fields, which may go on with a comma.
    package static func isListOfFields(_ line: String) -> Bool {
        let words = line.split(separator: " ", omittingEmptySubsequences: false).suffix(2)
        guard words.count == 2, let option = words.first?.uppercased() else { return false }
        return ["SORT", "FIELDS", "FACET", "STATS", "DISTINCT", "BY"].contains(option)
    }

    private static func matching(_ names: [String], _ start: String) -> [String] {
        names.filter { $0.hasPrefix(start) }
    }

    /// The command that `line` begins, also behind `EXPLAIN`.
    package static func command(of line: String, commands: [Command]) -> Command? {
        var words = line.split(separator: " ").prefix(2).map { $0.uppercased() }
        if words.count > 1, words[0] == "EXPLAIN" { words.removeFirst() }
        return commands.first { $0.name == words.first }
    }
}
