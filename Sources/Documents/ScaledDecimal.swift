/// Why a text is not a decimal of a scale.
package enum DecimalError: Error, Equatable, Sendable {
    /// Not a number of the JSON grammar.
    case notANumber
    /// Digits other than 0 beyond the scale; never rounded away.
    case tooManyDigits(scale: Int)
    /// Beyond Int64 at this scale.
    case overflow
    /// An exact result would need more than this many significant digits.
    case tooPrecise(maximum: Int)
}

/// Exact decimals with a fixed scale: `12.34` at scale 2 is the Int64 1234.
package enum ScaledDecimal {
    /// Scales that 64 bits serve.
    package static let scaleMax = 18

    /// Reads a number's text, or a string's that holds such a text, at a scale.
    /// - Throws: `notANumber`, `tooManyDigits` (zeros beyond the scale are fine), `overflow`.
    /// - Complexity: O(digits).
    package static func parse(
        _ text: UnsafeRawBufferPointer,
        scale: Int
    ) throws(DecimalError) -> Int64 {
        precondition(scale >= 0 && scale <= scaleMax, "a scale is 0...18")
        guard let number = NumberText(text) else { throw .notANumber }
        guard number.digitCount > 0 else { return 0 }
        let integerDigits = number.exponent + scale
        guard integerDigits >= number.digitCount else { throw .tooManyDigits(scale: scale) }
        guard integerDigits <= 19 else { throw .overflow }
        let magnitude = leading(number, count: integerDigits)
        guard let value = signed(magnitude, isNegative: number.isNegative) else { throw .overflow }
        return value
    }

    /// Reads a text at a scale: see the overload for bytes.
    package static func parse(_ text: String, scale: Int) throws(DecimalError) -> Int64 {
        let result = withBytes(text) { bytes in
            Result { () throws(DecimalError) in try parse(bytes, scale: scale) }
        }
        return try result.get()
    }

    /// The first `count` digits of the number's digit sequence as an integer, zeros appended.
    /// REQUIRES: count <= 19, so that 64 unsigned bits hold the result.
    private static func leading(_ number: NumberText, count: Int) -> UInt64 {
        var magnitude: UInt64 = 0
        var digits = number.digits
        var taken = 0
        while taken < count {
            magnitude = magnitude &* 10 &+ UInt64(digits.next() ?? 0)
            taken += 1
        }
        return magnitude
    }

    private static func signed(_ magnitude: UInt64, isNegative: Bool) -> Int64? {
        if isNegative {
            return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil
        }
        return Int64(exactly: magnitude)
    }

    /// A filter's operand at a column's scale: the greatest scaled value that is not above it.
    ///
    /// `x < v` is `x <= floor` when inexact, `x < floor` when exact; and so on. Beyond Int64 the
    /// floor saturates: Int64.max for greater operands; for lesser ones Int64.min, which is then
    /// *above* the operand, so a caller that stores Int64.min must look at ``Bound/isBelowRange``.
    package struct Bound: Equatable, Sendable {
        package let floor: Int64
        /// Whether the operand is exactly `floor`.
        package let isExact: Bool
        /// Whether the operand is below every Int64 at this scale.
        package let isBelowRange: Bool
    }

    /// Places an operand of any precision among the scaled values: see ``Bound``.
    /// - Throws: `notANumber` only.
    package static func bound(
        _ text: UnsafeRawBufferPointer,
        scale: Int
    ) throws(DecimalError) -> Bound {
        precondition(scale >= 0 && scale <= scaleMax, "a scale is 0...18")
        guard let number = NumberText(text) else { throw .notANumber }
        guard number.digitCount > 0 else {
            return Bound(floor: 0, isExact: true, isBelowRange: false)
        }
        let below = Bound(floor: .min, isExact: false, isBelowRange: true)
        let above = Bound(floor: .max, isExact: false, isBelowRange: false)
        let integerDigits = number.exponent + scale
        guard integerDigits <= 19 else { return number.isNegative ? below : above }
        let isExact = integerDigits >= number.digitCount
        let magnitude = integerDigits > 0 ? leading(number, count: integerDigits) : 0
        guard let truncated = signed(magnitude, isNegative: number.isNegative) else {
            return number.isNegative ? below : above
        }
        guard !isExact, number.isNegative else {
            return Bound(floor: truncated, isExact: isExact, isBelowRange: false)
        }
        guard truncated > .min else { return below }
        return Bound(floor: truncated - 1, isExact: false, isBelowRange: false)
    }

    /// Places an operand among the scaled values: see the overload for bytes.
    package static func bound(_ text: String, scale: Int) throws(DecimalError) -> Bound {
        let result = withBytes(text) { bytes in
            Result { () throws(DecimalError) in try bound(bytes, scale: scale) }
        }
        return try result.get()
    }

    /// The text of a scaled value with all digits of its scale: 1230 at 2 is `12.30`.
    package static func format(_ value: Int64, scale: Int) -> String {
        format(Int128(value), scale: scale)
    }

    /// The text of a scaled value with all digits of its scale; for sums and averages.
    package static func format(_ value: Int128, scale: Int) -> String {
        precondition(scale >= 0, "a scale is not negative")
        let digits = String(value.magnitude)
        let sign = value < 0 ? "-" : ""
        guard scale > 0 else { return sign + digits }
        let padded = String(repeating: "0", count: max(0, scale + 1 - digits.utf8.count)) + digits
        return sign + padded.dropLast(scale) + "." + padded.suffix(scale)
    }

    /// Digits that an average has beyond its column's scale.
    package static let averageExtraScale = 4

    /// The average of scaled values at their scale + 4, rounded half to even.
    /// - Returns: nil for no values.
    /// REQUIRES: |sum| < 2^113, far above 2^64 values of 2^63 / 2^16 each.
    package static func average(sum: Int128, count: Int) -> Int128? {
        guard count > 0 else { return nil }
        let divisor = UInt128(count)
        let (quotient, remainder) = (sum.magnitude * 10_000).quotientAndRemainder(
            dividingBy: divisor
        )
        let twice = remainder * 2
        let isUp = twice > divisor || (twice == divisor && quotient & 1 == 1)
        let magnitude = Int128(quotient + (isUp ? 1 : 0))
        return sum < 0 ? -magnitude : magnitude
    }
}
