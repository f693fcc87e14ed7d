/// Finds requests in a connection's input: arrays of bulk strings, or one inline line.
///
///     *2 CRLF $5 CRLF FETCH CRLF $1 CRLF x CRLF          an array of bulk strings
///     FETCH products "a b" LF                            an inline line, quoted as redis-cli does
///
/// The decoder remembers how far it got within an unfinished frame, relative to the frame's first
/// byte, so bytes that arrive one by one are looked at once and the buffer may move between calls.
package struct RequestDecoder {
    /// Bytes of an inline request, as in Redis.
    package static let inlineByteCountMax = 64 * 1_024

    /// Bytes of one frame, all arguments and their lengths together.
    package var frameByteCountMax: Int
    /// Arguments of one frame.
    package var argumentCountMax: Int
    /// Whether the client must still authenticate: it may then send 10 arguments of 16 KiB, so that
    /// strangers cannot make the server hold memory.
    package var isUnauthenticated = false

    /// Offset of the first byte that was not understood yet.
    private var position = 0
    /// Arguments that are still to come; -1 between frames.
    private var argumentsLeft = -1
    /// Length of the argument whose bytes are awaited; -1 before its length line.
    private var bulkLength = -1

    /// A decoder at the start of a stream.
    package init(frameByteCountMax: Int = 64 << 20, argumentCountMax: Int = 1 << 20) {
        self.frameByteCountMax = frameByteCountMax
        self.argumentCountMax = argumentCountMax
    }

    /// Bytes that the unfinished frame is known to need at least, for reserving; 0 when unknown.
    package var byteCountKnownNeeded: Int { bulkLength < 0 ? 0 : position + bulkLength + 2 }

    /// Tries to read one frame that begins at `bytes[0]`.
    ///
    /// Returns how many bytes it took, with `frame` filled (its `count` is 0 for an empty line), or
    /// 0 when more bytes are needed; then call again with the same bytes and more behind them.
    /// - Complexity: O(new bytes); no allocation once `frame` has grown.
    /// - Throws: ``RESPDecodeError``; the stream cannot be read further.
    package mutating func decode(
        _ bytes: UnsafeRawBufferPointer,
        into frame: RequestFrame
    ) throws(RESPDecodeError) -> Int {
        // SAFETY: every load below is at an offset that was compared with `count` first.
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return 0 }
        let count = bytes.count
        if argumentsLeft < 0 {
            guard base.load(as: UInt8.self) == 0x2A else {
                return try decodeInline(base, count, into: frame)
            }
            guard let (value, next) = try Self.readLength(base, 1, count, .invalidMultibulkLength)
            else { return 0 }
            guard value <= argumentCountMax else { throw .invalidMultibulkLength }
            guard !isUnauthenticated || value <= 10 else { throw .unauthenticatedMultibulkLength }
            frame.removeAll()
            frame.setBase(base)
            if value <= 0 { return next }
            argumentsLeft = value
            position = next
        }
        while argumentsLeft > 0 {
            if bulkLength < 0 {
                guard position < count else { return 0 }
                let marker = base.load(fromByteOffset: position, as: UInt8.self)
                guard marker == 0x24 else { throw .expectedBulk(found: marker) }
                guard
                    let (value, next) = try Self.readLength(
                        base,
                        position + 1,
                        count,
                        .invalidBulkLength
                    )
                else { return 0 }
                guard value >= 0, value <= frameByteCountMax, next + value <= frameByteCountMax
                else { throw .invalidBulkLength }
                guard !isUnauthenticated || value <= 16_384 else {
                    throw .unauthenticatedBulkLength
                }
                bulkLength = value
                position = next
            }
            guard position + bulkLength + 2 <= count else { return 0 }
            frame.append(offset: position, count: bulkLength)
            position += bulkLength + 2
            bulkLength = -1
            argumentsLeft -= 1
        }
        frame.setBase(base)
        let taken = position
        position = 0
        argumentsLeft = -1
        return taken
    }

    /// Reads `digits CRLF` at `start`: the value and the offset behind it, or `nil` when the line
    /// is not complete.
    @inline(__always)
    private static func readLength(
        _ base: UnsafeRawPointer,
        _ start: Int,
        _ count: Int,
        _ error: RESPDecodeError
    ) throws(RESPDecodeError) -> (value: Int, next: Int)? {
        var offset = start
        var value = 0
        var negative = false
        if offset < count, base.load(fromByteOffset: offset, as: UInt8.self) == 0x2D {
            negative = true
            offset += 1
        }
        let firstDigit = offset
        while offset < count {
            let byte = base.load(fromByteOffset: offset, as: UInt8.self)
            let digit = byte &- 0x30
            if digit > 9 {
                guard byte == 0x0D, offset > firstDigit else { throw error }
                guard offset + 1 < count else { return nil }
                // Redis does not look at the byte behind CR either.
                return (negative ? -value : value, offset + 2)
            }
            // 18 digits cannot overflow, and no limit is that large.
            guard offset - firstDigit < 18 else { throw error }
            value = value &* 10 &+ Int(digit)
            offset += 1
        }
        return nil
    }

    private mutating func decodeInline(
        _ base: UnsafeRawPointer,
        _ count: Int,
        into frame: RequestFrame
    ) throws(RESPDecodeError) -> Int {
        var end = position
        while end < count, base.load(fromByteOffset: end, as: UInt8.self) != 0x0A { end += 1 }
        guard end < count else {
            guard count <= Self.inlineByteCountMax else { throw .inlineTooLong }
            position = end
            return 0
        }
        position = 0
        guard end <= Self.inlineByteCountMax else { throw .inlineTooLong }
        var lineCount = end
        if lineCount > 0, base.load(fromByteOffset: lineCount - 1, as: UInt8.self) == 0x0D {
            lineCount -= 1
        }
        try InlineSplitter.split(
            UnsafeRawBufferPointer(start: base, count: lineCount),
            into: frame
        )
        return end + 1
    }
}

/// Splits a line into words with the quoting rules of redis-cli: `"…"` knows `\n \r \t \b \a \xHH`
/// and `\` before any other byte, `'…'` knows only `\'`; a closing quote ends the word.
enum InlineSplitter {
    static func split(
        _ line: UnsafeRawBufferPointer,
        into frame: RequestFrame
    ) throws(RESPDecodeError) {
        frame.removeAll()
        frame.reserveScratch(line.count)
        frame.useScratch()
        var index = 0
        while true {
            while index < line.count, isSpace(line[index]) { index += 1 }
            guard index < line.count else { return }
            let start = frame.scratchOffset
            index = try word(line, from: index, into: frame)
            frame.append(offset: start, count: frame.scratchOffset - start)
        }
    }

    /// Copies one word, unquoted; returns the offset behind it.
    private static func word(
        _ line: UnsafeRawBufferPointer,
        from start: Int,
        into frame: RequestFrame
    ) throws(RESPDecodeError) -> Int {
        var index = start
        while index < line.count, !isSpace(line[index]) {
            let byte = line[index]
            guard byte == 0x22 || byte == 0x27 else {
                frame.appendScratchByte(byte)
                index += 1
                continue
            }
            index = try quoted(line, from: index + 1, quote: byte, into: frame)
            guard index == line.count || isSpace(line[index]) else { throw .unbalancedQuotes }
            return index
        }
        return index
    }

    private static func quoted(
        _ line: UnsafeRawBufferPointer,
        from start: Int,
        quote: UInt8,
        into frame: RequestFrame
    ) throws(RESPDecodeError) -> Int {
        var index = start
        while index < line.count {
            let byte = line[index]
            if byte == quote { return index + 1 }
            guard byte == 0x5C, index + 1 < line.count else {
                frame.appendScratchByte(byte)
                index += 1
                continue
            }
            let next = line[index + 1]
            if quote == 0x27 {
                frame.appendScratchByte(next == 0x27 ? next : byte)
                index += next == 0x27 ? 2 : 1
            } else if next == 0x78, index + 3 < line.count, let high = hex(line[index + 2]),
                let low = hex(line[index + 3])
            {
                frame.appendScratchByte(high << 4 | low)
                index += 4
            } else {
                frame.appendScratchByte(unescaped(next))
                index += 2
            }
        }
        throw .unbalancedQuotes
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) || byte == 0
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    private static func unescaped(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 0x6E: 0x0A
        case 0x72: 0x0D
        case 0x74: 0x09
        case 0x62: 0x08
        case 0x61: 0x07
        default: byte
        }
    }
}
