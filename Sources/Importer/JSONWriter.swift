package import Client

/// Writes JSON values as bytes.
package enum JSONWriter {
    /// Adds `text` as a JSON string. Bytes that are no UTF-8 are kept: the server refuses them.
    package static func append(string text: UnsafeRawBufferPointer, to output: ByteQueue) {
        output.append(byte: 0x22)
        var start = 0
        for at in 0..<text.count {
            let byte = text[at]
            guard byte < 0x20 || byte == 0x22 || byte == 0x5C else { continue }
            output.append(UnsafeRawBufferPointer(rebasing: text[start..<at]))
            start = at + 1
            appendEscape(byte, to: output)
        }
        output.append(UnsafeRawBufferPointer(rebasing: text[start...]))
        output.append(byte: 0x22)
    }

    /// Adds `text` as a JSON string.
    package static func append(string text: String, to output: ByteQueue) {
        var text = text
        text.withUTF8 { append(string: UnsafeRawBufferPointer($0), to: output) }
    }

    private static func appendEscape(_ byte: UInt8, to output: ByteQueue) {
        output.append(byte: 0x5C)
        switch byte {
        case 0x22, 0x5C: output.append(byte: byte)
        case 0x0A: output.append(byte: UInt8(ascii: "n"))
        case 0x0D: output.append(byte: UInt8(ascii: "r"))
        case 0x09: output.append(byte: UInt8(ascii: "t"))
        default:
            output.append("u00")
            output.append(byte: byte < 0x10 ? 0x30 : 0x31)
            let low = byte & 15
            output.append(byte: low < 10 ? 48 + low : 87 + low)
        }
    }

    /// Adds a CSV cell as its column's kind has it.
    package static func append(
        _ cell: UnsafeRawBufferPointer,
        as kind: FieldKind,
        to output: ByteQueue
    ) {
        switch kind {
        case .number where isNumber(cell): output.append(cell)
        case .datetime where isNumber(cell) && !cell.contains(0x2E): output.append(cell)
        case .bool:
            switch String(decoding: cell, as: UTF8.self).lowercased() {
            case "true", "t", "yes", "y", "1": output.append("true")
            case "false", "f", "no", "n", "0": output.append("false")
            default: append(string: cell, to: output)
            }
        case .json where cell.first == 0x7B || cell.first == 0x5B || isNumber(cell):
            output.append(cell)
        case .json, .number, .datetime, .string: append(string: cell, to: output)
        }
    }

    /// Whether `text` matches the grammar of JSON's numbers.
    package static func isNumber(_ text: UnsafeRawBufferPointer) -> Bool {
        var at = 0
        func digits() -> Int {
            let start = at
            while at < text.count, text[at] &- 48 < 10 { at += 1 }
            return at - start
        }
        if at < text.count, text[at] == 0x2D { at += 1 }
        let isZero = at < text.count && text[at] == 0x30
        let whole = digits()
        guard whole > 0, !(isZero && whole > 1) else { return false }
        if at < text.count, text[at] == 0x2E {
            at += 1
            guard digits() > 0 else { return false }
        }
        if at < text.count, text[at] | 0x20 == 0x65 {
            at += 1
            if at < text.count, text[at] == 0x2B || text[at] == 0x2D { at += 1 }
            guard digits() > 0 else { return false }
        }
        return at == text.count
    }
}
