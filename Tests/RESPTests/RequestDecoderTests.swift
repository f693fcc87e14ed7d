import RESP
import Testing

/// Decodes everything in `bytes`; each request as its arguments.
private func requests(
    _ bytes: [UInt8],
    decoder: inout RequestDecoder
) throws(RESPDecodeError) -> [[[UInt8]]] {
    let frame = RequestFrame()
    var result: [[[UInt8]]] = []
    var offset = 0
    while offset < bytes.count {
        let taken = try decode(bytes, offset, frame, &decoder) { frame in
            if frame.count > 0 { result.append((0..<frame.count).map(frame.array)) }
        }
        if taken == 0 { break }
        offset += taken
    }
    return result
}

private func decode(
    _ bytes: [UInt8],
    _ offset: Int,
    _ frame: RequestFrame,
    _ decoder: inout RequestDecoder,
    _ body: (RequestFrame) -> Void
) throws(RESPDecodeError) -> Int {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count - offset, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes[offset...])
    let taken = try decoder.decode(UnsafeRawBufferPointer(copy), into: frame)
    if taken > 0 { body(frame) }
    return taken
}

private func words(_ text: String) throws -> [[String]] {
    var decoder = RequestDecoder()
    return try requests(Array(text.utf8), decoder: &decoder).map { request in
        request.map { String(decoding: $0, as: UTF8.self) }
    }
}

private func failure(
    _ text: String,
    _ configure: (inout RequestDecoder) -> Void = { _ in }
) -> RESPDecodeError? {
    var decoder = RequestDecoder()
    configure(&decoder)
    do throws(RESPDecodeError) {
        _ = try requests(Array(text.utf8), decoder: &decoder)
        return nil
    } catch {
        return error
    }
}

@Suite struct RequestDecoderTests {
    @Test func arraysOfBulkStringsAreRequests() throws {
        #expect(
            try words("*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n*1\r\n$4\r\nPING\r\n")
                == [["ECHO", "hi"], ["PING"]]
        )
    }

    @Test func emptyArraysAndLinesAreNoRequests() throws {
        #expect(try words("*0\r\n\r\n*-1\r\n  \r\nPING\r\n") == [["PING"]])
    }

    @Test func inlineRequestsAreUnquotedLikeRedis() throws {
        #expect(try words("set  a \"b c\"\n") == [["set", "a", "b c"]])
        #expect(try words("x \"\\x41\\n\\q\" 'it\\'s'\r\n") == [["x", "A\nq", "it's"]])
        #expect(try words("x \"\"\n") == [["x", ""]])
        #expect(failure("x \"a\n") == .unbalancedQuotes)
        #expect(failure("x \"a\"b\n") == .unbalancedQuotes)
    }

    @Test func bytesOneByOneGiveTheSameRequests() throws {
        let stream = Array(
            "*3\r\n$3\r\nPUT\r\n$0\r\n\r\n$5\r\na\r\nb!\r\nPING x\r\n*1\r\n$4\r\nQUIT\r\n".utf8
        )
        var whole = RequestDecoder()
        let expected = try requests(stream, decoder: &whole)
        #expect(expected.count == 3)
        var decoder = RequestDecoder()
        let frame = RequestFrame()
        var waiting: [UInt8] = []
        var seen: [[[UInt8]]] = []
        for byte in stream {
            waiting.append(byte)
            // Each call sees a copy somewhere else: the decoder may keep offsets, not pointers.
            let taken = try decode(waiting, 0, frame, &decoder) { frame in
                seen.append((0..<frame.count).map(frame.array))
            }
            waiting.removeFirst(taken)
        }
        #expect(seen == expected)
        #expect(waiting.isEmpty)
    }

    @Test func malformedRequestsHaveRedisTexts() {
        #expect(failure("*x\r\n")?.message == "ERR Protocol error: invalid multibulk length")
        #expect(failure("*1\r\n+x\r\n")?.message == "ERR Protocol error: expected '$', got '+'")
        #expect(failure("*1\r\n$x\r\n")?.message == "ERR Protocol error: invalid bulk length")
        #expect(failure("*1\r\n$-1\r\n") == .invalidBulkLength)
        #expect(failure("*1\r\n$\r\n") == .invalidBulkLength)
        #expect(failure("*99999999999999999999999\r\n") == .invalidMultibulkLength)
    }

    @Test func limitsAreErrors() {
        #expect(failure("*5\r\n") { $0.argumentCountMax = 4 } == .invalidMultibulkLength)
        #expect(failure("*1\r\n$101\r\n") { $0.frameByteCountMax = 100 } == .invalidBulkLength)
        #expect(
            failure("*11\r\n") { $0.isUnauthenticated = true } == .unauthenticatedMultibulkLength
        )
        #expect(
            failure("*1\r\n$16385\r\n") { $0.isUnauthenticated = true }
                == .unauthenticatedBulkLength
        )
        #expect(failure(String(repeating: "x", count: 70_000)) == .inlineTooLong)
    }

    /// Goal: no bytes crash the decoder, and taken bytes never exceed those given.
    /// Method: random bytes from an alphabet that often forms headers, fed in random pieces.
    @Test func randomBytesNeverCrash() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(state: seed)
        let alphabet = Array("*$0123-\r\n\"'\\x aZ\0".utf8)
        for _ in 0..<20_000 {
            var decoder = RequestDecoder(frameByteCountMax: 64, argumentCountMax: 8)
            let frame = RequestFrame()
            var waiting: [UInt8] = []
            stream: for _ in 0..<4 {
                for _ in 0..<random.next() % 16 {
                    waiting.append(alphabet[Int(random.next() % UInt64(alphabet.count))])
                }
                while !waiting.isEmpty {
                    do {
                        let taken = try decode(waiting, 0, frame, &decoder) { frame in
                            for index in 0..<frame.count { _ = frame.bytes(index).count }
                        }
                        #expect(taken >= 0 && taken <= waiting.count, "seed \(seed)")
                        if taken == 0 { break }
                        waiting.removeFirst(taken)
                    } catch {
                        break stream
                    }
                }
            }
        }
    }
}

@Suite struct RequestFrameTests {
    @Test func keywordsMatchInAnyCase() {
        let frame = RequestFrame(["find", "LiMit", "-12", "9223372036854775808"])
        #expect(frame.equals(1, "LIMIT"))
        #expect(!frame.equals(1, "LIMI"))
        #expect(!frame.equals(0, "f[nd"))
        #expect(frame.integer(2) == -12)
        #expect(frame.integer(3) == nil)
        #expect(frame.byteCount == 31)
    }

    @Test func detachedFramesKeepTheirBytes() {
        let frame = RequestFrame(["a", "", "ccc"])
        frame.commandIndex = 7
        let copy = frame.detached()
        #expect((0..<copy.count).map(copy.string) == ["a", "", "ccc"])
        #expect(copy.commandIndex == 7)
    }
}

/// A small generator, so that failures can be repeated from their seed.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
