/// Why a duration or size is not one.
package enum UnitError: Error, Equatable, Sendable {
    /// Not a number with a known unit.
    case malformed(text: String)
    /// Beyond Int64.
    case overflow(text: String)
}

/// Durations written with their unit: `500ms 30s 15m 2h 7d`.
package enum DurationText {
    /// Milliseconds of a duration; parts may follow each other (`1h30m`). No sign, no fraction.
    /// - Throws: `malformed`, `overflow`.
    package static func milliseconds(_ text: String) throws(UnitError) -> Int64 {
        var total: Int64 = 0
        var rest = Array(text.utf8)[...]
        guard !rest.isEmpty else { throw .malformed(text: text) }
        while !rest.isEmpty {
            guard let amount = takeInteger(&rest) else { throw .malformed(text: text) }
            let letters = rest.prefix { $0 >= 0x61 && $0 <= 0x7A }
            guard let unit = unitMilliseconds(Array(letters)) else { throw .malformed(text: text) }
            rest = rest.dropFirst(letters.count)
            guard case (let part?, false) = amount.times(unit) else { throw .overflow(text: text) }
            let (sum, isOver) = total.addingReportingOverflow(part)
            guard !isOver else { throw .overflow(text: text) }
            total = sum
        }
        return total
    }

    private static func unitMilliseconds(_ letters: [UInt8]) -> Int64? {
        switch String(decoding: letters, as: UTF8.self) {
        case "ms": 1
        case "s": 1_000
        case "m": 60_000
        case "h": 3_600_000
        case "d": 86_400_000
        default: nil
        }
    }
}

/// Sizes in bytes: `8gb 512mb 64kb 100`, units of 1,024, case-insensitive.
package enum ByteSizeText {
    /// Bytes of a size.
    /// - Throws: `malformed`, `overflow`.
    package static func bytes(_ text: String) throws(UnitError) -> Int64 {
        var rest = Array(text.utf8)[...]
        guard let amount = takeInteger(&rest) else { throw .malformed(text: text) }
        let unit: Int64
        switch String(decoding: rest, as: UTF8.self).lowercased() {
        case "", "b": unit = 1
        case "kb", "k": unit = 1 << 10
        case "mb", "m": unit = 1 << 20
        case "gb", "g": unit = 1 << 30
        case "tb", "t": unit = 1 << 40
        default: throw .malformed(text: text)
        }
        guard case (let bytes?, false) = amount.times(unit) else { throw .overflow(text: text) }
        return bytes
    }
}

/// A run of digits: its value, or that it is beyond Int64.
private enum Amount {
    case value(Int64)
    case tooLarge

    func times(_ unit: Int64) -> (Int64?, Bool) {
        guard case .value(let value) = self else { return (nil, true) }
        let (product, isOver) = value.multipliedReportingOverflow(by: unit)
        return (product, isOver)
    }
}

private func takeInteger(_ bytes: inout ArraySlice<UInt8>) -> Amount? {
    let digits = bytes.prefix { $0 >= 0x30 && $0 <= 0x39 }
    guard !digits.isEmpty else { return nil }
    bytes = bytes.dropFirst(digits.count)
    return Int64(String(decoding: digits, as: UTF8.self)).map(Amount.value) ?? .tooLarge
}
