/// Shows replies to people: maps with their keys, documents as indented JSON.
package enum ReplyText {
    /// How much is done for the eye.
    package struct Style: Sendable {
        /// Indents JSON.
        package var isPretty: Bool
        /// Uses the terminal's colours.
        package var isColored: Bool

        package init(isPretty: Bool = true, isColored: Bool = false) {
            self.isPretty = isPretty
            self.isColored = isColored
        }
    }

    /// The text of a reply, without a last line's end.
    ///
    /// - Complexity: O(bytes).
    package static func render(_ reply: Reply, _ style: Style = Style()) -> String {
        var out = ""
        write(reply, indent: 0, style, to: &out)
        return out
    }

    private static func write(
        _ reply: Reply,
        indent: Int,
        _ style: Style,
        to out: inout String
    ) {
        if let text = oneLine(reply, indent: indent, style) {
            out += text
            return
        }
        let margin = String(repeating: " ", count: indent)
        switch reply {
        case .null: out += paint("(null)", "2", style)
        case .bool(let value): out += value ? "true" : "false"
        case .integer(let value): out += "\(value)"
        case .double(let value): out += "\(value)"
        case .bigNumber(let text), .simple(let text): out += printable(text)
        case .error(let text): out += paint("(error) " + printable(text), "31", style)
        case .bulk(let bytes), .verbatim(_, let bytes):
            writeText(bytes, indent: indent, style, to: &out)
        case .array(let elements), .set(let elements), .push(let elements):
            if elements.isEmpty { out += "(empty)" }
            for (at, element) in elements.enumerated() {
                if at > 0 { out += "\n" + margin }
                let label = "\(at + 1)) "
                out += paint(label, "2", style)
                write(element, indent: indent + label.count, style, to: &out)
            }
        case .map(let pairs):
            if pairs.isEmpty { out += "(empty)" }
            for (at, pair) in pairs.enumerated() {
                if at > 0 { out += "\n" + margin }
                let key = printable(pair.key.text ?? render(pair.key))
                out += paint(key + ":", "36", style)
                if isNested(pair.value, style) {
                    out += "\n" + margin + "  "
                    write(pair.value, indent: indent + 2, style, to: &out)
                } else {
                    out += " "
                    write(pair.value, indent: indent + key.count + 2, style, to: &out)
                }
            }
        }
    }

    /// A short list or map of plain values inside another, as `[a, 3]` or `{count: 3, min: 1}`.
    private static func oneLine(_ reply: Reply, indent: Int, _ style: Style) -> String? {
        guard style.isPretty, indent > 0 else { return nil }
        let parts: [String?]
        let isMap: Bool
        switch reply {
        case .array(let elements), .set(let elements):
            guard !elements.isEmpty else { return nil }
            isMap = false
            parts = elements.map { plain($0) ?? oneLine($0, indent: indent, style) }
        case .map(let pairs):
            guard !pairs.isEmpty else { return nil }
            isMap = true
            parts = pairs.map { pair in
                plain(pair.value).map { (pair.key.text ?? render(pair.key)) + ": " + $0 }
            }
        default: return nil
        }
        var text = isMap ? "{" : "["
        for (at, part) in parts.enumerated() {
            guard let part else { return nil }
            text += (at > 0 ? ", " : "") + part
            if text.count > 100 { return nil }
        }
        return printable(text) + (isMap ? "}" : "]")
    }

    /// The text of a value that is neither a document nor made of others.
    private static func plain(_ reply: Reply) -> String? {
        switch reply {
        case .null: return "null"
        case .bool, .integer, .double: return render(reply)
        default:
            guard let text = reply.text, !text.hasPrefix("{"), !text.contains("\n") else {
                return nil
            }
            return text
        }
    }

    private static func isNested(_ reply: Reply, _ style: Style) -> Bool {
        if oneLine(reply, indent: 1, style) != nil { return false }
        return switch reply {
        case .array(let elements), .set(let elements), .push(let elements): !elements.isEmpty
        case .map(let pairs): !pairs.isEmpty
        case .bulk(let bytes), .verbatim(_, let bytes):
            style.isPretty && bytes.count > 60 && bytes.first == UInt8(ascii: "{")
        default: false
        }
    }

    private static func writeText(
        _ bytes: [UInt8],
        indent: Int,
        _ style: Style,
        to out: inout String
    ) {
        let text = String(decoding: bytes, as: UTF8.self)
        guard style.isPretty, bytes.first == 0x7B || bytes.first == 0x5B, bytes.count > 2 else {
            out += printable(text)
            return
        }
        var lines = indented(bytes)
        if !text.contains("\n"), bytes.count <= 60 { lines = text }
        let margin = "\n" + String(repeating: " ", count: indent)
        var isFirst = true
        for line in lines.split(separator: "\n", omittingEmptySubsequences: false) {
            out += isFirst ? "" : margin
            out += printable(String(line))
            isFirst = false
        }
    }

    /// JSON with a line for each member; short arrays and objects stay on theirs.
    package static func indented(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        var depth = 0
        var at = 0
        func newline() {
            out.append(0x0A)
            out += [UInt8](repeating: 0x20, count: depth * 2)
        }
        while at < bytes.count {
            let byte = bytes[at]
            switch byte {
            case 0x22:
                let end = stringEnd(bytes, at)
                out += bytes[at..<end]
                at = end
                continue
            case 0x7B, 0x5B:
                if let end = shortEnd(bytes, at) {
                    out += bytes[at..<end]
                    at = end
                    continue
                }
                out.append(byte)
                depth += 1
                newline()
            case 0x7D, 0x5D:
                depth = max(depth - 1, 0)
                newline()
                out.append(byte)
            case 0x2C:
                out.append(byte)
                newline()
            case 0x3A: out += [0x3A, 0x20]
            case 0x00...0x20: break
            default: out.append(byte)
            }
            at += 1
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func stringEnd(_ bytes: [UInt8], _ start: Int) -> Int {
        var at = start + 1
        while at < bytes.count, bytes[at] != 0x22 { at += bytes[at] == 0x5C ? 2 : 1 }
        return min(at + 1, bytes.count)
    }

    /// The end of an array or object that is at most 72 bytes long; nil for others and the top.
    private static func shortEnd(_ bytes: [UInt8], _ start: Int) -> Int? {
        guard start > 0 else { return nil }
        var depth = 0
        var at = start
        while at < bytes.count, at - start < 72 {
            switch bytes[at] {
            case 0x22:
                at = stringEnd(bytes, at)
                continue
            case 0x7B, 0x5B: depth += 1
            case 0x7D, 0x5D:
                depth -= 1
                if depth == 0 { return at + 1 }
            default: break
            }
            at += 1
        }
        return nil
    }

    /// With control characters shown: a stored text must not steer the terminal.
    private static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { isControl($0) }) else { return text }
        var out = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar) {
                out += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            } else {
                out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        (scalar.value < 0x20 && scalar != "\n") || (0x7F...0x9F).contains(scalar.value)
    }

    private static func paint(_ text: String, _ code: String, _ style: Style) -> String {
        style.isColored ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}
