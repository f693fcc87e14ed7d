/// The text of a decimal number taken apart, without copying: for exact comparison and scaling.
///
/// value = ± 0.d1 d2 d3 … × 10^exponent, with d1 and the last digit not 0; zero has no digits.
/// Trivial: it views the text, which must outlive it.
package struct NumberText {
    // SAFETY: [digit, end) lies in the text given to init; it holds digits and at most one point.
    private let digit: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>
    /// Whether the number is below zero (never for zero).
    package let isNegative: Bool
    /// The power of ten before the first significant digit: 3 for `123.4`, -1 for `0.012`. Texts
    /// with absurd exponents are kept in ±2^60.
    package let exponent: Int
    /// Significant digits; 0 for zero.
    package let digitCount: Int
    /// Digits after the point as written, exponent applied, at least 0: 2 for `1.50`, 0 for `1e3`.
    package let scale: Int

    private static let exponentMax = 1 << 60

    /// Whether the number is zero.
    package var isZero: Bool { digitCount == 0 }

    /// Takes apart a number of the JSON grammar; nil for any other text.
    /// - Complexity: O(bytes).
    package init?(_ text: UnsafeRawBufferPointer) {
        guard let base = text.baseAddress?.assumingMemoryBound(to: UInt8.self), text.count > 0
        else {
            return nil
        }
        let limit = base + text.count
        var p = base
        let minus = p.pointee == 0x2D
        if minus { p += 1 }
        let integer = p
        while p < limit, Self.isDigit(p.pointee) { p += 1 }
        let integerCount = p - integer
        guard integerCount > 0, integerCount == 1 || integer.pointee != 0x30 else { return nil }
        var fractionCount = 0
        if p < limit, p.pointee == 0x2E {
            p += 1
            let fraction = p
            while p < limit, Self.isDigit(p.pointee) { p += 1 }
            fractionCount = p - fraction
            guard fractionCount > 0 else { return nil }
        }
        var last = p
        guard let power = Self.power(&p, limit) else { return nil }
        guard p == limit else { return nil }

        // Trim zeros (and the point between them) on both sides.
        var first = integer
        var leading = 0
        while first < last, first.pointee == 0x30 || first.pointee == 0x2E {
            if first.pointee == 0x30 { leading += 1 }
            first += 1
        }
        var trailing = 0
        while last > first, last[-1] == 0x30 || last[-1] == 0x2E {
            if last[-1] == 0x30 { trailing += 1 }
            last -= 1
        }
        digit = first
        end = last
        digitCount = integerCount + fractionCount - leading - trailing
        isNegative = minus && digitCount > 0
        exponent = digitCount == 0 ? 0 : integerCount - leading + power
        scale = max(0, fractionCount - power)
    }

    private static func power(
        _ p: inout UnsafePointer<UInt8>,
        _ limit: UnsafePointer<UInt8>
    ) -> Int? {
        guard p < limit else { return 0 }
        guard p.pointee | 0x20 == 0x65 else { return nil }
        p += 1
        var isNegative = false
        if p < limit, p.pointee == 0x2D || p.pointee == 0x2B {
            isNegative = p.pointee == 0x2D
            p += 1
        }
        guard p < limit else { return nil }
        var power = 0
        while p < limit, isDigit(p.pointee) {
            if power < exponentMax / 16 { power = power * 10 + Int(p.pointee - 0x30) }
            p += 1
        }
        return isNegative ? -power : power
    }

    private static func isDigit(_ c: UInt8) -> Bool { c &- 0x30 < 10 }

    /// The significant digits in order, 0...9 each.
    package var digits: Digits { Digits(at: digit, end: end) }

    /// Iterates over significant digits, skipping the point.
    package struct Digits: Sequence, IteratorProtocol {
        // SAFETY: as in NumberText.
        private var at: UnsafePointer<UInt8>
        private let end: UnsafePointer<UInt8>

        fileprivate init(at: UnsafePointer<UInt8>, end: UnsafePointer<UInt8>) {
            self.at = at
            self.end = end
        }

        /// The next digit, nil after the last.
        package mutating func next() -> UInt8? {
            guard at < end else { return nil }
            if at.pointee == 0x2E { at += 1 }
            guard at < end else { return nil }
            defer { at += 1 }
            return at.pointee - 0x30
        }
    }

    /// Appends a text that equal numbers share and different ones do not (`1`, `1.0` and `1e0` all
    /// give `1e1`, zero gives `0`): a key for sets and hashes. No order.
    /// - Complexity: O(digits).
    package func appendCanonical(to out: inout [UInt8]) {
        guard digitCount > 0 else { return out.append(0x30) }
        if isNegative { out.append(0x2D) }
        for digit in digits { out.append(digit + 0x30) }
        out.append(0x65)
        out.append(contentsOf: String(exponent).utf8)
    }

    /// Compares two numbers exactly by value: negative, 0 or positive as `a` is below, equal or
    /// above.
    /// - Complexity: O(digits).
    package static func compare(_ a: NumberText, _ b: NumberText) -> Int {
        if a.isZero || b.isZero {
            return signum(a) - signum(b)
        }
        if a.isNegative != b.isNegative { return a.isNegative ? -1 : 1 }
        let magnitude = compareMagnitudes(a, b)
        return a.isNegative ? -magnitude : magnitude
    }

    /// -1, 0 or 1.
    private static func signum(_ a: NumberText) -> Int {
        a.isZero ? 0 : a.isNegative ? -1 : 1
    }

    private static func compareMagnitudes(_ a: NumberText, _ b: NumberText) -> Int {
        if a.exponent != b.exponent { return a.exponent < b.exponent ? -1 : 1 }
        var first = a.digits
        var second = b.digits
        while true {
            switch (first.next(), second.next()) {
            case (nil, nil): return 0
            case (nil, _): return -1
            case (_, nil): return 1
            case (let x?, let y?): if x != y { return x < y ? -1 : 1 }
            }
        }
    }
}
