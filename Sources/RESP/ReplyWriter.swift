package import NIOCore

/// Writes replies into one buffer, in RESP2 or RESP3.
///
/// Aggregates are written as their header followed by their elements: `array(2)` and two values,
/// `map(1)` and a key and a value. In RESP2 a map is a flat array of twice the count, a set an
/// array, a double the shortest bulk string that reads back equal, a boolean `1` or `0`.
package struct ReplyWriter {
    /// The bytes written so far.
    package var buffer: ByteBuffer
    /// Whether the client chose RESP3 with `HELLO 3`.
    package var isRESP3: Bool

    /// A writer that appends to `buffer`.
    package init(buffer: ByteBuffer, isRESP3: Bool = false) {
        self.buffer = buffer
        self.isRESP3 = isRESP3
    }

    /// Bytes written so far.
    package var byteCount: Int { buffer.readableBytes }

    /// `+text`. REQUIRES: no CR or LF in `text`.
    package mutating func simple(_ text: StaticString) {
        raw(0x2B, UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// `+OK`.
    package mutating func ok() { simple("OK") }

    /// `-text`, with CR, LF and NUL made spaces. `text` begins with the error's code.
    package mutating func error(_ text: String) {
        var text = text
        text.withUTF8 { raw(0x2D, UnsafeRawBufferPointer($0), cleaned: true) }
    }

    /// `-CODE text`: see ``error(_:)``.
    package mutating func error(code: StaticString, _ text: String) {
        error("\(code) \(text)")
    }

    /// `:value`.
    package mutating func integer(_ value: Int64) { prefixed(0x3A, value) }

    /// `:value`.
    package mutating func integer(_ value: Int) { prefixed(0x3A, Int64(value)) }

    /// A bulk string of `bytes`.
    /// - Complexity: O(bytes).
    package mutating func bulk(_ bytes: UnsafeRawBufferPointer) {
        let count = bytes.count
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count + 32) { target in
            // SAFETY: 32 bytes hold the marker, 20 digits and both line ends.
            guard let base = target.baseAddress else { return 0 }
            let header = Digits.line(0x24, Int64(count), to: base)
            if let source = bytes.baseAddress {
                (base + header).copyMemory(from: source, byteCount: count)
            }
            Digits.endLine(base + header + count)
            return header + count + 2
        }
    }

    /// A bulk string of `text` in UTF-8.
    package mutating func bulk(_ text: String) {
        var text = text
        text.withUTF8 { bulk(UnsafeRawBufferPointer($0)) }
    }

    /// A bulk string of a constant.
    package mutating func bulk(_ text: StaticString) {
        bulk(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// A bulk string of `bytes`.
    package mutating func bulk(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bulk($0) }
    }

    /// A bulk string of exactly `count` bytes that `body` fills in place.
    /// - Complexity: O(count) and what `body` does. `body` must initialise every byte.
    @inlinable package mutating func reserveBulk(
        _ count: Int,
        _ body: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        precondition(count >= 0, "a bulk string has no negative length")
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count + 32) { target in
            guard let base = target.baseAddress else { return 0 }
            let header = Digits.line(0x24, Int64(count), to: base)
            // SAFETY: `count + 32` bytes are writable and the header takes at most 23.
            body(UnsafeMutableRawBufferPointer(start: base + header, count: count))
            Digits.endLine(base + header + count)
            return header + count + 2
        }
    }

    /// An array of bulk strings that lie in `bytes` one behind another and end at `ends`
    /// (`ends[i]` is the offset behind string `i`).
    /// - Complexity: O(bytes), one growth of the buffer.
    package mutating func bulkArray(
        _ bytes: UnsafeRawBufferPointer,
        ends: UnsafeBufferPointer<Int>
    ) {
        array(ends.count)
        buffer.reserveCapacity(minimumWritableBytes: bytes.count + 32 * ends.count)
        var start = 0
        for end in ends {
            bulk(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            start = end
        }
    }

    /// An integer's digits as a bulk string.
    package mutating func bulkInteger(_ value: Int64) {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 1) { digits in
            guard let base = digits.baseAddress else { return }
            let count = Digits.write(value, to: base)
            bulk(UnsafeRawBufferPointer(start: base, count: count))
        }
    }

    /// No value: `_` in RESP3, a null bulk string in RESP2.
    package mutating func null() { literal(isRESP3 ? "_\r\n" : "$-1\r\n") }

    /// No list: `_` in RESP3, a null array in RESP2.
    package mutating func nullArray() { literal(isRESP3 ? "_\r\n" : "*-1\r\n") }

    /// The header of an array; `count` values follow.
    package mutating func array(_ count: Int) { prefixed(0x2A, Int64(count)) }

    /// The header of a map; `count` pairs follow.
    package mutating func map(_ count: Int) {
        prefixed(isRESP3 ? 0x25 : 0x2A, Int64(isRESP3 ? count : 2 * count))
    }

    /// The header of a set; `count` values follow.
    package mutating func set(_ count: Int) { prefixed(isRESP3 ? 0x7E : 0x2A, Int64(count)) }

    /// The header of an out-of-band message; `count` values follow. An array in RESP2.
    package mutating func push(_ count: Int) { prefixed(isRESP3 ? 0x3E : 0x2A, Int64(count)) }

    /// A boolean: `#t` and `#f` in RESP3, `:1` and `:0` in RESP2.
    package mutating func bool(_ value: Bool) {
        literal(isRESP3 ? (value ? "#t\r\n" : "#f\r\n") : (value ? ":1\r\n" : ":0\r\n"))
    }

    /// A double in the shortest form that reads back equal; whole numbers without a fraction.
    package mutating func double(_ value: Double) {
        var text = Self.shortest(value)
        text.withUTF8 { digits in
            isRESP3
                ? raw(0x2C, UnsafeRawBufferPointer(digits)) : bulk(UnsafeRawBufferPointer(digits))
        }
    }

    /// A number rounded to billionths: of metres and of cosines what is finer is the rounding of
    /// their making. Numbers beyond four thousand million are written as ``double(_:)`` does.
    /// - Complexity: O(digits), no allocation.
    package mutating func billionths(_ number: Double) {
        guard number.magnitude < 4e9 else { return double(number) }
        withUnsafeTemporaryAllocation(byteCount: 40, alignment: 1) { text in
            guard let base = text.baseAddress else { return }
            let count = Digits.writeBillionths(Int64((number * 1e9).rounded()), to: base)
            let digits = UnsafeRawBufferPointer(start: base, count: count)
            isRESP3 ? raw(0x2C, digits) : bulk(digits)
        }
    }

    /// A map of `count` pairs that are preformatted but for a bulk string and, behind it, a number
    /// as ``billionths(_:)`` has it: one write into the buffer for what is written thousands of
    /// times.
    package mutating func map(
        of count: Int, _ head: StaticString, _ bytes: UnsafeRawBufferPointer,
        _ middle: StaticString, billionths number: Double, _ tail: StaticString
    ) {
        guard number.magnitude < 4e9 else {
            map(count)
            preformatted(head)
            bulk(bytes)
            preformatted(middle)
            billionths(number)
            return preformatted(tail)
        }
        let (isRESP3, fixed) = (isRESP3, head.utf8CodeUnitCount + middle.utf8CodeUnitCount)
        buffer.writeWithUnsafeMutableBytes(
            minimumWritableBytes: bytes.count + fixed + tail.utf8CodeUnitCount + 160
        ) { target in
            guard let base = target.baseAddress else { return 0 }
            // SAFETY: beside the texts there are three headers of at most 23 bytes, 21 digits and
            // two line ends, for which 160 bytes are enough.
            func append(_ text: StaticString, at place: UnsafeMutableRawPointer) -> Int {
                place.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
                return text.utf8CodeUnitCount
            }
            var end = base
            end += Digits.line(isRESP3 ? 0x25 : 0x2A, Int64(isRESP3 ? count : 2 * count), to: end)
            end += append(head, at: end)
            end += Digits.line(0x24, Int64(bytes.count), to: end)
            if let source = bytes.baseAddress {
                end.copyMemory(from: source, byteCount: bytes.count)
            }
            end += bytes.count
            Digits.endLine(end)
            end += 2
            end += append(middle, at: end)
            let billionths = Int64((number * 1e9).rounded())
            if isRESP3 {
                end.storeBytes(of: 0x2C, as: UInt8.self)
                end += 1
                end += Digits.writeBillionths(billionths, to: end)
            } else {
                // The header has two digits behind its marker, or one: the text comes first.
                let count = Digits.writeBillionths(billionths, to: end + 5)
                let header = Digits.line(0x24, Int64(count), to: end)
                if header < 5 { (end + header).copyMemory(from: end + 5, byteCount: count) }
                end += header + count
            }
            Digits.endLine(end)
            end += 2
            end += append(tail, at: end)
            return end - base
        }
    }

    /// Text with a three-letter format (`txt`, `mkd`); a bulk string in RESP2.
    package mutating func verbatim(_ text: String, format: StaticString = "txt") {
        guard isRESP3 else { return bulk(text) }
        prefixed(0x3D, Int64(text.utf8.count + 4))
        buffer.writeStaticString(format)
        buffer.writeStaticString(":")
        buffer.writeString(text)
        buffer.writeStaticString("\r\n")
    }

    /// Bytes that already are RESP, as they are.
    package mutating func preformatted(_ text: StaticString) { literal(text) }

    /// Appends the readable bytes of `other`, which already are RESP.
    package mutating func append(_ other: ByteBuffer) {
        buffer.writeImmutableBuffer(other)
    }

    /// The text of `value` that ``double(_:)`` writes.
    package static func shortest(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        if value == value.rounded(.towardZero), abs(value) < 1e15, value != 0 || value.sign == .plus
        {
            return String(Int64(value))
        }
        // Whole numbers from 1e15 to 1e16.
        var text = value.description
        if text.utf8.count > 2, text.utf8.suffix(2).elementsEqual(".0".utf8) { text.removeLast(2) }
        return text
    }

    // MARK: - Leaves

    private mutating func literal(_ text: StaticString) {
        let count = text.utf8CodeUnitCount
        let source = UnsafeRawPointer(text.utf8Start)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
            target.baseAddress?.copyMemory(from: source, byteCount: count)
            return count
        }
    }

    private mutating func prefixed(_ marker: UInt8, _ value: Int64) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 32) { target in
            guard let base = target.baseAddress else { return 0 }
            return Digits.line(marker, value, to: base)
        }
    }

    private mutating func raw(
        _ marker: UInt8,
        _ bytes: UnsafeRawBufferPointer,
        cleaned: Bool = false
    ) {
        let count = bytes.count
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count + 3) { target in
            // SAFETY: the marker, `count` bytes and CRLF fit in `count + 3`.
            guard let base = target.baseAddress else { return 0 }
            base.storeBytes(of: marker, as: UInt8.self)
            if let source = bytes.baseAddress {
                (base + 1).copyMemory(from: source, byteCount: count)
            }
            if cleaned {
                for index in 1..<(count + 1) {
                    let byte = target[index]
                    if byte == 0x0D || byte == 0x0A || byte == 0 { target[index] = 0x20 }
                }
            }
            Digits.endLine(base + 1 + count)
            return count + 3
        }
    }
}

/// Integers as ASCII, straight into memory.
@usableFromInline enum Digits {
    /// Writes `marker`, the digits of `value` and CRLF; returns how many bytes (at most 23).
    @usableFromInline static func line(
        _ marker: UInt8,
        _ value: Int64,
        to target: UnsafeMutableRawPointer
    ) -> Int {
        target.storeBytes(of: marker, as: UInt8.self)
        let count = write(value, to: target + 1)
        endLine(target + 1 + count)
        return count + 3
    }

    /// Writes CR and LF.
    @inline(__always) @usableFromInline static func endLine(_ target: UnsafeMutableRawPointer) {
        target.storeBytes(of: 0x0D, as: UInt8.self)
        target.storeBytes(of: 0x0A, toByteOffset: 1, as: UInt8.self)
    }

    /// Writes the digits of `value`; returns how many bytes (at most 20).
    @inline(__always) static func write(
        _ value: Int64,
        to target: UnsafeMutableRawPointer
    ) -> Int {
        var rest = value.magnitude
        if value >= 0 && rest < 10 {
            target.storeBytes(of: UInt8(truncatingIfNeeded: rest) &+ 0x30, as: UInt8.self)
            return 1
        }
        var length = value < 0 ? 1 : 0
        var probe = rest
        repeat {
            length += 1
            probe /= 10
        } while probe > 0
        var offset = length
        repeat {
            offset -= 1
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            target.storeBytes(
                of: UInt8(truncatingIfNeeded: digit) &+ 0x30,
                toByteOffset: offset,
                as: UInt8.self
            )
            rest = quotient
        } while rest > 0
        if value < 0 { target.storeBytes(of: 0x2D, as: UInt8.self) }
        return length
    }

    /// Writes `value` / 10^9 as a decimal without zeros at its end; returns how many bytes (at most
    /// 21).
    static func writeBillionths(_ value: Int64, to target: UnsafeMutableRawPointer) -> Int {
        var (whole, rest) = value.magnitude.quotientAndRemainder(dividingBy: 1_000_000_000)
        var length = 0
        if value < 0 {
            target.storeBytes(of: 0x2D, as: UInt8.self)
            length = 1
        }
        length += write(Int64(truncatingIfNeeded: whole), to: target + length)
        guard rest > 0 else { return length }
        target.storeBytes(of: 0x2E, toByteOffset: length, as: UInt8.self)
        length += 1
        var digits = 9
        while rest % 10 == 0 {
            rest /= 10
            digits -= 1
        }
        for place in stride(from: digits - 1, through: 0, by: -1) {
            (rest, whole) = rest.quotientAndRemainder(dividingBy: 10)
            target.storeBytes(
                of: UInt8(truncatingIfNeeded: whole) &+ 0x30, toByteOffset: length + place,
                as: UInt8.self)
        }
        return length + digits
    }
}
