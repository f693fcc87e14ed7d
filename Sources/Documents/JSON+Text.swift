extension JSON {
    /// The minified text, numbers as written.
    package var text: String {
        var bytes: [UInt8] = []
        serialize(into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the minified text as UTF-8, numbers as written.
    /// - Complexity: O(bytes written).
    package func serialize(into out: inout [UInt8]) {
        switch self {
        case .null: out.append(contentsOf: "null".utf8)
        case .bool(let bool): out.append(contentsOf: (bool ? "true" : "false").utf8)
        case .number(let number): out.append(contentsOf: number.text.utf8)
        case .string(let string): JSON.serialize(string, into: &out)
        case .array(let elements):
            out.append(UInt8(ascii: "["))
            for index in elements.indices {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                elements[index].serialize(into: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object(let object):
            out.append(UInt8(ascii: "{"))
            for index in object.members.indices {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                JSON.serialize(object.members[index].key, into: &out)
                out.append(UInt8(ascii: ":"))
                object.members[index].value.serialize(into: &out)
            }
            out.append(UInt8(ascii: "}"))
        }
    }

    /// Appends a string with its quotes; only what JSON demands is escaped.
    package static func serialize(_ string: String, into out: inout [UInt8]) {
        withBytes(string) { serialize(utf8: $0, into: &out) }
    }

    /// Appends UTF-8 as a JSON string with its quotes; only what JSON demands is escaped.
    package static func serialize(utf8 bytes: UnsafeRawBufferPointer, into out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        var start = 0
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C {
                out.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start..<index]))
                start = index + 1
                escape(byte, into: &out)
            }
            index &+= 1
        }
        out.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start...]))
        out.append(UInt8(ascii: "\""))
    }

    private static func escape(_ byte: UInt8, into out: inout [UInt8]) {
        out.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x22, 0x5C: out.append(byte)
        case 0x08: out.append(UInt8(ascii: "b"))
        case 0x09: out.append(UInt8(ascii: "t"))
        case 0x0A: out.append(UInt8(ascii: "n"))
        case 0x0C: out.append(UInt8(ascii: "f"))
        case 0x0D: out.append(UInt8(ascii: "r"))
        default:
            let hex = Array("0123456789abcdef".utf8)
            out.append(contentsOf: "u00".utf8)
            out.append(hex[Int(byte >> 4)])
            out.append(hex[Int(byte & 15)])
        }
    }
}

extension TapeValue {
    /// The value as a tree.
    /// - Complexity: O(bytes); allocates.
    package var json: JSON {
        switch kind {
        case .null: return .null
        case .bool: return .bool(bool)
        case .number:
            return .number(JSONNumber(validText: String(decoding: rawText, as: UTF8.self)))
        case .string: return .string(string)
        case .array:
            var elements: [JSON] = []
            elements.reserveCapacity(count)
            for child in children { elements.append(child.value.json) }
            return .array(elements)
        case .object:
            var members: [(key: String, value: JSON)] = []
            members.reserveCapacity(count)
            for child in children {
                members.append(
                    (key: String(decoding: child.key, as: UTF8.self), value: child.value.json)
                )
            }
            return .object(JSONObject(members))
        }
    }
}
