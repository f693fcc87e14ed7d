/// Exact arithmetic on JSON numbers by their texts, for `$inc` and `$mul`.
///
/// Two integers that fit Int64 give an Int64 or `overflow`, never a wider number. All else is
/// computed in decimal digits, exactly, up to 64 significant digits: no float drift. The result
/// keeps as many digits after the point as the more precise operand (`1.10 + 2.20` is `3.30`)
/// unless more are needed.
package enum DecimalArithmetic {
    /// Significant digits of an operand or result.
    package static let digitCountMax = 64

    /// a + b.
    /// - Throws: `overflow` for two Int64s, `tooPrecise` beyond 64 digits.
    package static func add(_ a: JSONNumber, _ b: JSONNumber) throws(DecimalError) -> JSONNumber {
        if let x = a.int64, let y = b.int64 {
            let (sum, isOver) = x.addingReportingOverflow(y)
            guard !isOver else { throw .overflow }
            return JSONNumber(sum)
        }
        let first = try Operand(a)
        let second = try Operand(b)
        let scale = max(first.scale, second.scale)
        // An operand is at most 64 digits, so aligning costs at most 64 zeros or is refused.
        let power =
            first.isZero
            ? second.power
            : second.isZero
                ? first.power
                : min(first.power, second.power)
        let x = try first.digits(at: power)
        let y = try second.digits(at: power)
        guard first.isNegative != second.isNegative else {
            return try format(sum(x, y), power, first.isNegative, scale)
        }
        let order = compare(x, y)
        if order == 0 { return try format([], 0, false, scale) }
        return order > 0
            ? try format(difference(x, y), power, first.isNegative, scale)
            : try format(difference(y, x), power, second.isNegative, scale)
    }

    /// a × b.
    /// - Throws: `overflow` for two Int64s, `tooPrecise` beyond 64 digits.
    package static func multiply(
        _ a: JSONNumber,
        _ b: JSONNumber
    ) throws(DecimalError) -> JSONNumber {
        if let x = a.int64, let y = b.int64 {
            let (product, isOver) = x.multipliedReportingOverflow(by: y)
            guard !isOver else { throw .overflow }
            return JSONNumber(product)
        }
        let first = try Operand(a)
        let second = try Operand(b)
        let scale = max(first.scale, second.scale)
        guard !first.isZero, !second.isZero else { return try format([], 0, false, scale) }
        var digits = [UInt8](repeating: 0, count: first.digits.count + second.digits.count)
        for (i, x) in first.digits.enumerated() {
            var carry = 0
            for (j, y) in second.digits.enumerated() {
                let total = Int(digits[i + j]) + Int(x) * Int(y) + carry
                digits[i + j] = UInt8(total % 10)
                carry = total / 10
            }
            digits[i + second.digits.count] += UInt8(carry)
        }
        return try format(
            digits,
            first.power + second.power,
            first.isNegative != second.isNegative,
            scale
        )
    }

    /// value = ± digits × 10^power, the least significant digit first.
    private struct Operand {
        let digits: [UInt8]
        let power: Int
        let isNegative: Bool
        let scale: Int

        var isZero: Bool { digits.isEmpty }

        init(_ number: JSONNumber) throws(DecimalError) {
            let parsed: Operand? = withBytes(number.text) { bytes in
                guard let text = NumberText(bytes), text.digitCount <= digitCountMax else {
                    return nil
                }
                return Operand(
                    digits: text.digits.reversed(),
                    power: text.exponent - text.digitCount,
                    isNegative: text.isNegative,
                    scale: min(text.scale, digitCountMax)
                )
            }
            guard let parsed else { throw .tooPrecise(maximum: digitCountMax) }
            self = parsed
        }

        private init(digits: [UInt8], power: Int, isNegative: Bool, scale: Int) {
            self.digits = digits
            self.power = power
            self.isNegative = isNegative
            self.scale = scale
        }

        /// The digits with zeros in place of the powers down to `low`.
        func digits(at low: Int) throws(DecimalError) -> [UInt8] {
            guard !isZero else { return [] }
            guard power - low <= digitCountMax else { throw .tooPrecise(maximum: digitCountMax) }
            return [UInt8](repeating: 0, count: power - low) + digits
        }
    }

    private static func sum(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var carry: UInt8 = 0
        for index in 0..<max(a.count, b.count) {
            let x = index < a.count ? a[index] : 0
            let y = index < b.count ? b[index] : 0
            let total = x + y + carry
            result.append(total % 10)
            carry = total / 10
        }
        if carry > 0 { result.append(carry) }
        return result
    }

    /// a - b. REQUIRES: a >= b.
    private static func difference(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] {
        var result = a
        var borrow: UInt8 = 0
        for index in 0..<a.count {
            let y = (index < b.count ? b[index] : 0) + borrow
            borrow = a[index] < y ? 1 : 0
            result[index] = a[index] + borrow * 10 - y
        }
        return result
    }

    /// By magnitude. Neither has a leading zero, since each operand begins with a digit above 0.
    private static func compare(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard a.count == b.count else { return a.count - b.count }
        for (x, y) in zip(a.reversed(), b.reversed()) where x != y { return x < y ? -1 : 1 }
        return 0
    }

    /// Plain notation where 64 digits hold it, else `d.ddde±x`.
    private static func format(
        _ digits: [UInt8],
        _ power: Int,
        _ isNegative: Bool,
        _ scale: Int
    ) throws(DecimalError) -> JSONNumber {
        var power = power
        var low = 0
        while low < digits.count, digits[low] == 0 { low += 1 }
        var high = digits.count
        while high > low, digits[high - 1] == 0 { high -= 1 }
        let significant = Array(digits[low..<high].reversed())
        power += low
        guard significant.count <= digitCountMax else {
            throw .tooPrecise(maximum: digitCountMax)
        }
        let text =
            significant.isEmpty
            ? "0" : String(decoding: significant.map { $0 + 0x30 }, as: UTF8.self)
        let sign = isNegative && !significant.isEmpty ? "-" : ""
        if significant.isEmpty { power = 0 }
        let fraction = max(scale, -power)
        if fraction <= digitCountMax, power <= digitCountMax - text.utf8.count {
            let whole = text + String(repeating: "0", count: power + fraction)
            let padded =
                String(repeating: "0", count: max(0, fraction + 1 - whole.utf8.count)) + whole
            guard fraction > 0 else { return JSONNumber(validText: sign + padded) }
            return JSONNumber(
                validText: sign + padded.dropLast(fraction) + "." + padded.suffix(fraction)
            )
        }
        let exponent = power + text.utf8.count - 1
        let mantissa = text.utf8.count > 1 ? text.prefix(1) + "." + text.dropFirst() : text[...]
        return JSONNumber(validText: "\(sign)\(mantissa)e\(exponent)")
    }
}
