/// Why bytes that a structure once wrote down cannot become that structure again.
package enum SectionError: Error, Equatable, Sendable {
    /// The bytes end before the structure does, or go on behind it.
    case length
    /// The bytes do not match their checksum, or do not decompress to what they should.
    case checksum
    /// The bytes contradict themselves or what they were to be read for; the rule that they break.
    case invalid(StaticRule)
    /// The file cannot be read: the system's error code.
    case io(code: Int32)

    /// The name of a rule: one of the program's own texts. Making one costs nothing, for it is made
    /// wherever a rule is looked at.
    package struct StaticRule: Equatable, Sendable, ExpressibleByStringLiteral,
        CustomStringConvertible
    {
        private let text: StaticString

        @inlinable package init(stringLiteral value: StaticString) { self.init(value) }

        @usableFromInline @inline(__always) init(_ text: StaticString) { self.text = text }

        package var description: String { "\(text)" }

        package static func == (a: StaticRule, b: StaticRule) -> Bool {
            a.description == b.description
        }
    }
}

/// Where an index structure writes itself down: bytes in order, little-endian, without gaps.
///
/// Arrays go in whole, so that a call moves many bytes. Writing has no errors: whoever owns the
/// sink looks at its state in the end.
package protocol SectionSink: AnyObject {
    /// Takes bytes behind those that came before. They are copied.
    func put(_ bytes: UnsafeRawBufferPointer)
}

extension SectionSink {
    /// Takes one number.
    package func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { put($0) }
    }

    /// Takes `count` elements, of a type without padding, with no word of how many there are.
    package func put<T: BitwiseCopyable>(_ base: UnsafePointer<T>, count: Int) {
        // SAFETY: the caller's pointer holds `count` elements.
        put(UnsafeRawBufferPointer(start: base, count: count * MemoryLayout<T>.stride))
    }

    /// Takes an array of elements without padding: its count, then the elements.
    package func put<T: BitwiseCopyable>(array: UnsafeBufferPointer<T>) {
        put(UInt64(array.count))
        put(UnsafeRawBufferPointer(array))
    }

    /// The same.
    package func put<T: BitwiseCopyable>(array: [T]) {
        array.withUnsafeBufferPointer { put(array: $0) }
    }
}

/// Where an index structure comes back from: what ``SectionSink`` took, in the same order.
///
/// Nothing read here is trusted: counts are compared with the bytes that are left before anything
/// is allocated for them.
package protocol SectionSource: AnyObject {
    /// Bytes that are left.
    var remaining: Int { get }
    /// Fills `target` with the next bytes.
    ///
    /// - Throws: `length` where fewer are left; `checksum`, `io`.
    func read(into target: UnsafeMutableRawBufferPointer) throws(SectionError)
}

extension SectionSource {
    /// The next number.
    package func next<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type = T.self
    ) throws(SectionError) -> T {
        var value = T.zero
        try withUnsafeMutableBytes(of: &value) { (bytes) throws(SectionError) in
            try read(into: bytes)
        }
        return T(littleEndian: value)
    }

    /// The next number as a count of at most `most`.
    package func count(atMost most: Int) throws(SectionError) -> Int {
        let value = try next(UInt64.self)
        guard value <= UInt64(most) else { throw .invalid("a count is within its bound") }
        return Int(value)
    }

    /// The next number as a count of elements that follow, each of `stride` bytes.
    package func count(ofStride stride: Int) throws(SectionError) -> Int {
        try count(atMost: remaining / stride)
    }

    /// Fills `count` elements of a type without padding.
    package func read<T: BitwiseCopyable>(
        into base: UnsafeMutablePointer<T>, count: Int
    ) throws(SectionError) {
        // SAFETY: the caller's pointer has room for `count` elements.
        try read(
            into: UnsafeMutableRawBufferPointer(
                start: base, count: count * MemoryLayout<T>.stride))
    }

    /// The next array: a count, then elements of a number's type.
    package func array<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type = T.self
    ) throws(SectionError) -> [T] {
        let count = try count(ofStride: MemoryLayout<T>.stride)
        var array = [T](repeating: 0, count: count)
        try array.withUnsafeMutableBufferPointer { (elements) throws(SectionError) in
            try read(into: UnsafeMutableRawBufferPointer(elements))
        }
        return array
    }

    /// Says that the structure is complete.
    ///
    /// - Throws: `length` where bytes are left.
    package func finish() throws(SectionError) {
        guard remaining == 0 else { throw .length }
    }

    /// Breaks off unless a rule holds.
    @inlinable @inline(__always)
    package func require(
        _ holds: Bool, _ rule: SectionError.StaticRule
    ) throws(SectionError) {
        guard holds else { throw .invalid(rule) }
    }
}

/// A sink that keeps the bytes: for small sections and tests.
package final class ByteSink: SectionSink {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package func put(_ bytes: UnsafeRawBufferPointer) { self.bytes.append(contentsOf: bytes) }
}

/// A source over bytes in memory.
package final class ByteSource: SectionSource {
    private let bytes: [UInt8]
    private var position = 0

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package var remaining: Int { bytes.count - position }

    package func read(into target: UnsafeMutableRawBufferPointer) throws(SectionError) {
        guard target.count <= remaining else { throw .length }
        let start = position
        bytes.withUnsafeBytes { source in
            target.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: source[start..<start + target.count]))
        }
        position += target.count
    }
}
