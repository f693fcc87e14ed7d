import Glibc

/// Finds the ends of replies in a stream without building values: what a loader and a load
/// generator need, a few nanoseconds for each line.
///
/// Keeps its place within a reply, so bytes are looked at once however they arrive, save the
/// unfinished last line.
package struct ReplyScanner: Sendable {
    /// How one reply ended.
    package struct Found: Sendable, Equatable {
        /// Bytes of the reply, from the start of what was given.
        package let byteCount: Int
        /// Its first byte: `+ - : $ * _ , # ! = ( % ~ >`.
        package let kind: UInt8

        @inlinable init(byteCount: Int, kind: UInt8) {
            self.byteCount = byteCount
            self.kind = kind
        }
    }

    @usableFromInline var offset = 0
    @usableFromInline var pending = 1

    /// Before the first reply.
    @inlinable package init() {}

    /// Looks for the end of the reply that begins at the start of `bytes`.
    ///
    /// - Returns: nil when more bytes are needed; call again with the same bytes and more.
    /// - Throws: ``ClientError/malformed(offset:byte:)``.
    /// - Complexity: O(lines of the reply).
    @inlinable package mutating func next(in bytes: UnsafeRawBufferPointer) throws(ClientError)
        -> Found?
    {
        guard let base = bytes.baseAddress else { return nil }
        let end = bytes.count
        var at = offset
        var left = pending
        while left > 0 {
            guard at < end else { break }
            let kind = base.load(fromByteOffset: at, as: UInt8.self)
            guard let newline = memchr(base + at, 0x0A, end &- at) else { break }
            let lineEnd = base.distance(to: UnsafeRawPointer(newline)) &+ 1
            left &-= 1
            switch kind {
            case 0x24, 0x3D, 0x21:  // $ = !
                let size = Self.number(base, at &+ 1, lineEnd)
                guard size >= -1, size <= 1 << 40 else {
                    throw .malformed(offset: at, byte: kind)
                }
                let next = size < 0 ? lineEnd : lineEnd &+ size &+ 2
                guard next <= end else {
                    offset = at
                    pending = left &+ 1
                    return nil
                }
                at = next
            case 0x2A, 0x7E, 0x3E, 0x25, 0x7C:  // * ~ > % |
                let count = Self.number(base, at &+ 1, lineEnd)
                guard count >= -1, count <= 1 << 40 else {
                    throw .malformed(offset: at, byte: kind)
                }
                if count > 0 { left &+= kind == 0x25 || kind == 0x7C ? count &* 2 : count }
                // An attribute stands before the value that it describes.
                if kind == 0x7C { left &+= 1 }
                at = lineEnd
            case 0x2B, 0x2D, 0x3A, 0x5F, 0x2C, 0x23, 0x28:  // + - : _ , # (
                at = lineEnd
            default:
                throw .malformed(offset: at, byte: kind)
            }
        }
        guard left == 0 else {
            offset = at
            pending = left
            return nil
        }
        offset = 0
        pending = 1
        return Found(byteCount: at, kind: base.load(as: UInt8.self))
    }

    /// The number between a kind's byte and the line's end; below -1 when it is none.
    @inlinable static func number(_ base: UnsafeRawPointer, _ start: Int, _ lineEnd: Int) -> Int {
        var at = start
        var value = 0
        let end = lineEnd &- 2
        let negative = at < end && base.load(fromByteOffset: at, as: UInt8.self) == 0x2D
        if negative { at &+= 1 }
        guard at < end, end &- at <= 15 else { return -2 }
        while at < end {
            let digit = base.load(fromByteOffset: at, as: UInt8.self) &- 48
            guard digit < 10 else { return -2 }
            value = value &* 10 &+ Int(digit)
            at &+= 1
        }
        return negative ? -value : value
    }
}
