/// One request: its arguments as ranges over the connection's input. Reused from frame to frame, so
/// that a request costs no allocation once the argument table has grown.
///
/// The bytes belong to the input buffer: they are valid until the call that was given the frame
/// returns. Keep ``detached()`` or a copy, never the frame itself. Not thread-safe: one event loop
/// owns it.
package final class RequestFrame {
    @usableFromInline struct Argument {
        @usableFromInline var offset: Int
        @usableFromInline var count: Int
    }

    /// Arguments, the command's name included; 0 for an empty line or an empty array.
    package private(set) var count = 0
    /// Index of the command in the command table, set by the dispatcher; -1 for an unknown name.
    package var commandIndex = -1
    /// Who sent it, set by the command handler where it matters.
    package var userName = ""

    private var arguments: UnsafeMutablePointer<Argument>
    private var capacity = 16
    private var base: UnsafeRawPointer
    /// Where inline requests are unquoted to, and where a detached frame keeps its bytes.
    private var scratch: UnsafeMutableRawPointer
    private var scratchCapacity = 64
    private var scratchCount = 0

    /// An empty frame.
    package init() {
        arguments = .allocate(capacity: capacity)
        scratch = .allocate(byteCount: scratchCapacity, alignment: 8)
        base = UnsafeRawPointer(scratch)
    }

    deinit {
        arguments.deallocate()
        scratch.deallocate()
    }

    // MARK: - Reading

    /// The bytes of argument `index`, valid as long as the frame is.
    /// - Complexity: O(1). REQUIRES: `0 <= index < count`.
    package func bytes(_ index: Int) -> UnsafeRawBufferPointer {
        precondition(index >= 0 && index < count, "argument out of range")
        let argument = arguments[index]
        // SAFETY: the decoder proved that the range lies within the input.
        return UnsafeRawBufferPointer(start: base + argument.offset, count: argument.count)
    }

    /// Argument `index` as text; invalid UTF-8 becomes U+FFFD.
    /// - Complexity: O(bytes), one allocation.
    package func string(_ index: Int) -> String {
        String(decoding: bytes(index), as: UTF8.self)
    }

    /// A copy of argument `index`.
    /// - Complexity: O(bytes), one allocation.
    package func array(_ index: Int) -> [UInt8] { Array(bytes(index)) }

    /// Whether argument `index` is `keyword`, ignoring the case of ASCII letters.
    /// - Complexity: O(bytes), no allocation.
    package func equals(_ index: Int, _ keyword: StaticString) -> Bool {
        let argument = bytes(index)
        guard argument.count == keyword.utf8CodeUnitCount else { return false }
        let other = keyword.utf8Start
        for position in 0..<argument.count
        where ASCII.lowercased(argument[position]) != ASCII.lowercased(other[position]) {
            return false
        }
        return true
    }

    /// The same with a keyword that is ASCII text.
    package func equals(_ index: Int, text keyword: String) -> Bool {
        let argument = bytes(index)
        let other = keyword.utf8
        guard argument.count == other.count else { return false }
        var position = 0
        for byte in other {
            if ASCII.lowercased(argument[position]) != ASCII.lowercased(byte) { return false }
            position += 1
        }
        return true
    }

    /// Argument `index` as a decimal integer; `nil` when it is anything else or overflows.
    /// - Complexity: O(bytes), no allocation.
    package func integer(_ index: Int) -> Int64? { ASCII.integer(bytes(index)) }

    /// Bytes of all arguments together.
    /// - Complexity: O(count).
    package var byteCount: Int {
        var sum = 0
        for index in 0..<count { sum += arguments[index].count }
        return sum
    }

    /// A frame of its own, with copies of the arguments: what a queued command keeps.
    /// - Complexity: O(bytes).
    package func detached() -> RequestFrame {
        let copy = RequestFrame()
        copy.reserveScratch(byteCount)
        for index in 0..<count { copy.appendCopy(bytes(index)) }
        copy.base = UnsafeRawPointer(copy.scratch)
        copy.commandIndex = commandIndex
        return copy
    }

    /// A frame made of `words`, for tests and for requests that the server makes itself.
    /// - Complexity: O(bytes).
    package convenience init(_ words: [String]) {
        self.init()
        reserveScratch(words.reduce(0) { $0 + $1.utf8.count })
        for word in words {
            var word = word
            word.withUTF8 { appendCopy(UnsafeRawBufferPointer($0)) }
        }
        base = UnsafeRawPointer(scratch)
    }

    // MARK: - Filling (the decoder's side)

    func removeAll() {
        count = 0
        commandIndex = -1
        scratchCount = 0
        // One huge request must not keep its table for the life of the connection.
        if capacity > 4_096 {
            arguments.deallocate()
            capacity = 16
            arguments = .allocate(capacity: capacity)
        }
        if scratchCapacity > 1 << 16 {
            scratch.deallocate()
            scratchCapacity = 64
            scratch = .allocate(byteCount: scratchCapacity, alignment: 8)
            base = UnsafeRawPointer(scratch)
        }
    }

    @inline(__always) func append(offset: Int, count byteCount: Int) {
        if count == capacity { growArguments() }
        arguments[count] = Argument(offset: offset, count: byteCount)
        count += 1
    }

    func setBase(_ pointer: UnsafeRawPointer) { base = pointer }

    /// Room for `byteCount` bytes of unquoted text; call before the first ``appendCopy(_:)``.
    func reserveScratch(_ byteCount: Int) {
        guard byteCount > scratchCapacity else { return }
        scratch.deallocate()
        scratchCapacity = byteCount
        scratch = .allocate(byteCount: byteCount, alignment: 8)
    }

    /// Appends an argument that lives in the scratch memory. REQUIRES: reserved.
    func appendCopy(_ bytes: UnsafeRawBufferPointer) {
        precondition(scratchCount + bytes.count <= scratchCapacity, "scratch was not reserved")
        if let source = bytes.baseAddress {
            (scratch + scratchCount).copyMemory(from: source, byteCount: bytes.count)
        }
        append(offset: scratchCount, count: bytes.count)
        scratchCount += bytes.count
    }

    /// Unquoted text, byte by byte: see ``InlineSplitter``.
    func appendScratchByte(_ byte: UInt8) {
        precondition(scratchCount < scratchCapacity, "scratch was not reserved")
        scratch.storeBytes(of: byte, toByteOffset: scratchCount, as: UInt8.self)
        scratchCount += 1
    }

    var scratchOffset: Int { scratchCount }
    func useScratch() { base = UnsafeRawPointer(scratch) }

    private func growArguments() {
        let larger = UnsafeMutablePointer<Argument>.allocate(capacity: capacity * 2)
        larger.update(from: arguments, count: count)
        arguments.deallocate()
        arguments = larger
        capacity *= 2
    }
}

/// ASCII helpers over raw bytes.
package enum ASCII {
    /// `byte`, with `A`–`Z` made small.
    @inlinable package static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    /// A decimal integer with an optional sign; `nil` for anything else or on overflow.
    /// - Complexity: O(bytes).
    package static func integer(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        guard !bytes.isEmpty, bytes.count <= 20 else { return nil }
        let negative = bytes[0] == 0x2D
        let start = negative || bytes[0] == 0x2B ? 1 : 0
        guard start < bytes.count else { return nil }
        var value: Int64 = 0
        for index in start..<bytes.count {
            let digit = Int64(bytes[index]) - 0x30
            guard digit >= 0, digit <= 9 else { return nil }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow2) = scaled.addingReportingOverflow(negative ? -digit : digit)
            guard !overflow, !overflow2 else { return nil }
            value = sum
        }
        return value
    }
}
