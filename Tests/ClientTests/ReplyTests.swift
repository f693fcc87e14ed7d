import Client
import Testing

/// A reply of every kind, and what it is.
private let samples: [(String, Reply)] = [
    ("+OK\r\n", .simple("OK")),
    ("-NOTFOUND products: no such collection\r\n", .error("NOTFOUND products: no such collection")),
    (":-12\r\n", .integer(-12)),
    ("$5\r\na\r\nbc\r\n", .bulk(Array("a\r\nbc".utf8))),
    ("$0\r\n\r\n", .bulk([])),
    ("$-1\r\n", .null),
    ("*-1\r\n", .null),
    ("_\r\n", .null),
    ("#t\r\n", .bool(true)),
    (",2.5\r\n", .double(2.5)),
    ("(12345678901234567890\r\n", .bigNumber("12345678901234567890")),
    ("!5\r\nERR x\r\n", .error("ERR x")),
    ("=7\r\ntxt:abc\r\n", .verbatim(format: "txt", Array("abc".utf8))),
    ("*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", .array([.integer(1), .array([.bulk([0x78])])])),
    ("*0\r\n", .array([])),
    ("~1\r\n+a\r\n", .set([.simple("a")])),
    (">1\r\n+a\r\n", .push([.simple("a")])),
    (
        "%2\r\n+id\r\n$1\r\nx\r\n+version\r\n:7\r\n",
        .map([
            .init(key: .simple("id"), value: .bulk([0x78])),
            .init(key: .simple("version"), value: .integer(7)),
        ])
    ),
    ("|1\r\n+ttl\r\n:3\r\n+OK\r\n", .simple("OK")),
]

@Test func everyKindOfReplyIsRead() throws {
    for (text, expected) in samples {
        try Array(text.utf8).withUnsafeBytes { bytes in
            var scanner = ReplyScanner()
            let found = try scanner.next(in: bytes)
            #expect(found?.byteCount == bytes.count, "\(text)")
            #expect(try ReplyParser.parse(bytes) == expected)
        }
    }
}

@Test func repliesThatArriveByteByByteAreFound() throws {
    let queue = ByteQueue(capacity: 1)
    var scanner = ReplyScanner()
    var count = 0
    for (text, expected) in samples {
        for byte in text.utf8 {
            queue.append(byte: byte)
            guard let found = try scanner.next(in: queue.bytes) else { continue }
            #expect(found.byteCount == queue.count)
            #expect(try ReplyParser.parse(queue.bytes) == expected)
            queue.take(found.byteCount)
            count += 1
        }
    }
    #expect(count == samples.count)
    #expect(queue.isEmpty)
}

@Test func pipelinedRepliesAreFoundOneByOne() throws {
    let text = samples.map(\.0).joined()
    let queue = ByteQueue()
    queue.append(text)
    var scanner = ReplyScanner()
    var count = 0
    while let found = try scanner.next(in: queue.bytes) {
        queue.take(found.byteCount)
        count += 1
    }
    #expect(count == samples.count)
}

@Test func whatIsNoReplyIsRefused() {
    for text in ["hello\r\n", "$x\r\n", "$-2\r\n", "*99999999999999999999\r\n", "\r\n"] {
        Array(text.utf8).withUnsafeBytes { bytes in
            var scanner = ReplyScanner()
            #expect(throws: ClientError.self, "\(text)") { try scanner.next(in: bytes) }
        }
    }
}

@Test func deepNestingIsRefusedAndNotACrash() {
    let text = String(repeating: "*1\r\n", count: 100_000) + ":1\r\n"
    _ = Array(text.utf8).withUnsafeBytes { bytes in
        #expect(throws: ClientError.tooDeep(limit: ReplyParser.depthMax)) {
            try ReplyParser.parse(bytes)
        }
    }
}

@Test func aLyingCountReservesNothingLarge() {
    _ = Array("*1000000000\r\n:1\r\n".utf8).withUnsafeBytes { bytes in
        #expect(throws: ClientError.self) { try ReplyParser.parse(bytes) }
    }
}

@Test func randomBytesNeverCrashTheReader() {
    var state: UInt64 = 42
    let alphabet = Array("+-:$*_,#!=(%~>|0123456789\r\nab".utf8)
    for _ in 0..<20_000 {
        var bytes: [UInt8] = []
        for _ in 0..<24 {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            bytes.append(alphabet[Int(state >> 33) % alphabet.count])
        }
        bytes.withUnsafeBytes { bytes in
            var scanner = ReplyScanner()
            if let found = try? scanner.next(in: bytes) {
                #expect(found.byteCount <= bytes.count)
                _ = try? ReplyParser.parse(
                    UnsafeRawBufferPointer(rebasing: bytes[..<found.byteCount])
                )
            }
            _ = try? ReplyParser.parse(bytes)
        }
    }
}

@Test func aRequestIsWrittenAsBulks() {
    let queue = ByteQueue(capacity: 1)
    queue.appendRequest(["PUT", "products", "é"])
    let text = String(decoding: queue.bytes, as: UTF8.self)
    #expect(text == "*3\r\n$3\r\nPUT\r\n$8\r\nproducts\r\n$2\r\né\r\n")
}

@Test func decimalsAreWrittenInFull() {
    for value in [0, 7, -7, 10, 999_999, Int.max, Int.min] {
        let queue = ByteQueue(capacity: 8)
        queue.append(decimal: value)
        #expect(String(decoding: queue.bytes, as: UTF8.self) == String(value))
    }
    let queue = ByteQueue(capacity: 8)
    queue.append(decimal: 42, width: 5)
    #expect(String(decoding: queue.bytes, as: UTF8.self) == "00042")
}

@Test func mapsAreReadInBothProtocols() {
    let flat = Reply.array([.bulk(Array("a".utf8)), .integer(1)])
    let map = Reply.map([.init(key: .simple("a"), value: .integer(1))])
    #expect(flat["a"] == .integer(1))
    #expect(map["a"] == .integer(1))
    #expect(map["b"] == nil)
}
