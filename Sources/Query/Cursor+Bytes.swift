import Documents

extension Cursor {
    static func append(_ key: SortKeyValue, to bytes: inout [UInt8]) {
        switch key {
        case .emptyArray: bytes.append(0)
        case .null: bytes.append(1)
        case .key(let value):
            bytes.append(2)
            ByteWriter.append(UInt64(bitPattern: value), to: &bytes)
        case .bytes(let value):
            bytes.append(3)
            ByteWriter.append(UInt32(value.count), to: &bytes)
            bytes.append(contentsOf: value)
        case .json(let value):
            let text = Array(value.text.utf8)
            bytes.append(4)
            ByteWriter.append(UInt32(text.count), to: &bytes)
            bytes.append(contentsOf: text)
        }
    }

    static func key(_ reader: inout ByteReader) -> SortKeyValue? {
        guard let tag: UInt8 = reader.integer() else { return nil }
        switch tag {
        case 0: return .emptyArray
        case 1: return .null
        case 2:
            guard let value: UInt64 = reader.integer() else { return nil }
            return .key(Int64(bitPattern: value))
        case 3, 4:
            guard let length: UInt32 = reader.integer(), let part = reader.bytes(Int(length))
            else { return nil }
            if tag == 3 { return .bytes(Array(part)) }
            guard let json = try? JSON(parsing: Array(part), depthMax: 128) else { return nil }
            return .json(json)
        default: return nil
        }
    }
}

/// Writes little-endian integers.
enum ByteWriter {
    static func append<T: FixedWidthInteger>(_ value: T, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}

/// Reads little-endian integers and runs of bytes; nil at the end.
struct ByteReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func integer<T: FixedWidthInteger>() -> T? {
        guard let part = bytes(T.bitWidth / 8) else { return nil }
        return part.reversed().reduce(0) { ($0 << 7) << 1 | T($1) }
    }

    mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }
}

/// SipHash-2-4 (J.-P. Aumasson and D. J. Bernstein, 2012): a short keyed hash.
enum SipHash {
    static func hash(_ bytes: ArraySlice<UInt8>, key: (UInt64, UInt64)) -> UInt64 {
        var v0 = key.0 ^ 0x736F_6D65_7073_6575
        var v1 = key.1 ^ 0x646F_7261_6E64_6F6D
        var v2 = key.0 ^ 0x6C79_6765_6E65_7261
        var v3 = key.1 ^ 0x7465_6462_7974_6573
        func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
            value << count | value >> (64 - count)
        }
        func round() {
            v0 &+= v1
            v1 = rotate(v1, 13) ^ v0
            v0 = rotate(v0, 32)
            v2 &+= v3
            v3 = rotate(v3, 16) ^ v2
            v0 &+= v3
            v3 = rotate(v3, 21) ^ v0
            v2 &+= v1
            v1 = rotate(v1, 17) ^ v2
            v2 = rotate(v2, 32)
        }
        func absorb(_ word: UInt64) {
            v3 ^= word
            round()
            round()
            v0 ^= word
        }
        bytes.withUnsafeBytes { bytes in
            let whole = bytes.count / 8 * 8
            for offset in stride(from: 0, to: whole, by: 8) {
                absorb(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian)
            }
            var word = UInt64(bytes.count & 255) << 56
            for offset in whole..<bytes.count {
                word |= UInt64(bytes[offset]) << UInt64((offset - whole) * 8)
            }
            absorb(word)
        }
        v2 ^= 0xFF
        for _ in 0..<4 { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }
}

/// Base64 as RFC 4648 has it: plain with padding, or the URL alphabet without.
enum Base64Text {
    private static let plain = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
    )
    private static let url = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8
    )

    static func encode(_ bytes: [UInt8], isURL: Bool) -> String {
        String(decoding: encoded(bytes, isURL: isURL), as: UTF8.self)
    }

    /// The same as ASCII.
    static func encoded(_ bytes: [UInt8], isURL: Bool) -> [UInt8] {
        let alphabet = isURL ? url : plain
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count / 3 * 4 + 4)
        var index = 0
        while index < bytes.count {
            let count = min(3, bytes.count - index)
            var bits: UInt32 = 0
            for offset in 0..<3 {
                bits = bits << 8 | (offset < count ? UInt32(bytes[index + offset]) : 0)
            }
            for place in 0..<4 {
                if place <= count {
                    out.append(alphabet[Int(bits >> UInt32(18 - 6 * place) & 63)])
                } else if !isURL {
                    out.append(UInt8(ascii: "="))
                }
            }
            index += 3
        }
        return out
    }

    /// Nil for characters outside the URL alphabet, and for texts that no encoder writes.
    static func decode(_ text: String) -> [UInt8]? {
        var out: [UInt8] = []
        var bits: UInt32 = 0
        var bitCount = 0
        for character in text.utf8 {
            let digit: UInt8
            switch character {
            case 65...90: digit = character - 65
            case 97...122: digit = character - 71
            case 48...57: digit = character + 4
            case 45: digit = 62
            case 95: digit = 63
            default: return nil
            }
            bits = bits << 6 | UInt32(digit)
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
                bits &= (1 << UInt32(bitCount)) - 1
            }
        }
        // Left-over bits are zero, so that one cursor has one text.
        return bitCount < 6 && bits == 0 ? out : nil
    }
}
