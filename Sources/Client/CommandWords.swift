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

    /// What the last word of `line` may become: names of commands for the first word, options from
    /// the command's syntax for the others.
    package static func completions(of line: String, commands: [Command]) -> [String] {
        let last = line.split(separator: " ", omittingEmptySubsequences: false).last ?? ""
        let head = line.dropLast(last.count)
        let first = head.split(separator: " ").first.map { $0.uppercased() }
        let start = last.uppercased()
        let candidates: [String]
        if let first {
            guard !start.isEmpty, let command = commands.first(where: { $0.name == first }) else {
                return []
            }
            var seen: Set<String> = []
            candidates = command.syntax.split { !($0.isLetter || $0 == "_") }.map(String.init)
                .filter { $0.count > 1 && $0 == $0.uppercased() && seen.insert($0).inserted }
        } else {
            candidates = commands.map(\.name)
        }
        return candidates.filter { $0.hasPrefix(start) }.map { head + $0 }
    }
}
