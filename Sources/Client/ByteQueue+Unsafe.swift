import Glibc

/// A growing run of bytes: written at its end, taken from its front.
///
/// ```
/// base ... [taken | held ............. | free ........ ] capacity
///                 ^ head               ^ tail
/// ```
/// One owner at a time: not `Sendable`. A pointer that it hands out is good until the next call
/// that reserves, appends or takes.
package final class ByteQueue {
    // The run-time checks of exclusive access cost three quarters of the time of filling a queue
    // with short words. SAFETY: no accessor calls out of this file while it holds one of these.
    @exclusivity(unchecked) @usableFromInline var base: UnsafeMutableRawPointer
    @exclusivity(unchecked) @usableFromInline var capacity: Int
    @exclusivity(unchecked) @usableFromInline var head = 0
    @exclusivity(unchecked) @usableFromInline var tail = 0

    /// An empty queue with room for `capacity` bytes.
    package init(capacity: Int = 256 << 10) {
        precondition(capacity > 0, "a queue needs room")
        // SAFETY: owned here alone, freed in deinit.
        base = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        self.capacity = capacity
    }

    deinit { base.deallocate() }

    /// Bytes held.
    @inlinable package var count: Int { tail &- head }
    @inlinable package var isEmpty: Bool { tail == head }

    /// The bytes held, oldest first; good until the next change.
    @inlinable package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + head, count: tail &- head)
    }

    /// Makes room for `byteCount` more and returns where they go; call ``wrote(_:)`` afterwards.
    @inlinable package func reserve(_ byteCount: Int) -> UnsafeMutableRawPointer {
        if capacity &- tail < byteCount { makeRoom(byteCount) }
        return base + tail
    }

    /// The room after the held bytes that needs no growth.
    @inlinable package var freeCount: Int { capacity &- tail }

    /// Says how many of the reserved bytes were written.
    @inlinable package func wrote(_ byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= capacity &- tail, "wrote past the reserve")
        tail &+= byteCount
    }

    /// Drops the oldest `byteCount` bytes.
    @inlinable package func take(_ byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= count, "took more than is held")
        head &+= byteCount
        if head == tail {
            head = 0
            tail = 0
        }
    }

    /// Drops everything.
    package func removeAll() {
        head = 0
        tail = 0
    }

    /// Shortens the queue to its oldest `byteCount` bytes.
    package func truncate(to byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= count, "cannot truncate to more than is held")
        tail = head + byteCount
    }

    @usableFromInline func makeRoom(_ byteCount: Int) {
        let held = count
        if capacity - held >= byteCount && head >= capacity / 2 {
            // At least half was taken, so the move is paid for by the bytes that were.
            memmove(base, base + head, held)
        } else {
            var next = capacity
            while next - held < byteCount { next *= 2 }
            let moved = UnsafeMutableRawPointer.allocate(byteCount: next, alignment: 16)
            memcpy(moved, base + head, held)
            base.deallocate()
            base = moved
            capacity = next
        }
        head = 0
        tail = held
    }

    // MARK: Appending

    /// Copies `source` to the end.
    @inlinable package func append(_ source: UnsafeRawBufferPointer) {
        guard let start = source.baseAddress, source.count > 0 else { return }
        memcpy(reserve(source.count), start, source.count)
        tail &+= source.count
    }

    /// Copies `source` to the end.
    @inlinable package func append(_ source: [UInt8]) {
        source.withUnsafeBytes { append($0) }
    }

    /// Copies the UTF-8 bytes of `text` to the end.
    @inlinable package func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Copies the UTF-8 bytes of `text` to the end.
    package func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Adds one byte.
    @inlinable package func append(byte: UInt8) {
        reserve(1).storeBytes(of: byte, as: UInt8.self)
        tail &+= 1
    }

    /// Adds `value` in decimal digits; at least `width` of them.
    @inlinable package func append(decimal value: Int, width: Int = 1) {
        var digits: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        precondition(width <= 20, "at most 20 digits")
        withUnsafeMutableBytes(of: &digits) { scratch in
            var rest = value.magnitude
            var at = 32
            repeat {
                at &-= 1
                scratch[at] = UInt8(truncatingIfNeeded: 48 &+ rest % 10)
                rest /= 10
            } while rest > 0
            while 32 &- at < width {
                at &-= 1
                scratch[at] = 48
            }
            if value < 0 {
                at &-= 1
                scratch[at] = 45
            }
            append(UnsafeRawBufferPointer(rebasing: scratch[at...]))
        }
    }

    // MARK: Requests

    /// Begins a request of `count` words: that many ``appendBulk(_:)-(UnsafeRawBufferPointer)``
    /// calls must follow.
    @inlinable package func appendRequest(wordCount count: Int) {
        append(byte: 0x2A)
        append(decimal: count)
        append("\r\n")
    }

    /// Adds one word of a request.
    @inlinable package func appendBulk(_ word: UnsafeRawBufferPointer) {
        append(byte: 0x24)
        append(decimal: word.count)
        append("\r\n")
        append(word)
        append("\r\n")
    }

    /// Adds one word of a request.
    package func appendBulk(_ word: String) {
        var word = word
        word.withUTF8 { appendBulk(UnsafeRawBufferPointer($0)) }
    }

    /// Adds one word of a request.
    package func appendBulk(_ word: [UInt8]) {
        word.withUnsafeBytes { appendBulk($0) }
    }

    /// Adds a whole request.
    package func appendRequest(_ words: [String]) {
        appendRequest(wordCount: words.count)
        for word in words { appendBulk(word) }
    }
}
