extension CellID {
    /// The id in hexadecimal without the zeros at its end; "X" for 0.
    package var token: String {
        guard rawValue != 0 else { return "X" }
        var digits: [UInt8] = []
        var rest = rawValue
        while rest != 0 {
            let digit = UInt8(rest >> 60)
            digits.append(digit < 10 ? 48 + digit : 87 + digit)
            rest <<= 4
        }
        return String(decoding: digits, as: UTF8.self)
    }

    /// The cell of a token; nil for anything that is not one of a valid cell.
    package init?(token: String) {
        let utf8 = token.utf8
        guard (1...16).contains(utf8.count) else { return nil }
        var value: UInt64 = 0
        for byte in utf8 {
            let digit: UInt8
            switch byte {
            case 48...57: digit = byte - 48
            case 97...102: digit = byte - 87
            case 65...70: digit = byte - 55
            default: return nil
            }
            value = value << 4 | UInt64(digit)
        }
        rawValue = value << UInt64(64 - 4 * utf8.count)
        guard isValid else { return nil }
    }
}
