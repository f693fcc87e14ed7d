import Client
import Foundation
import Importer
import Testing

/// A directory of its own for one test.
struct Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "importer-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func write(_ name: String, _ text: String) throws -> String {
        try write(name, Data(text.utf8))
    }

    func write(_ name: String, _ data: Data) throws -> String {
        let file = path + "/" + name
        try data.write(to: URL(fileURLWithPath: file))
        return file
    }

    func read(_ name: String) -> String? {
        try? String(contentsOfFile: path + "/" + name, encoding: .utf8)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

private func load(
    _ input: String,
    _ server: SinkServer,
    _ change: (inout LoadOptions) -> Void = { _ in }
) throws -> LoadSummary {
    var options = LoadOptions(collection: "products", input: input)
    options.client = server.configuration
    change(&options)
    return try Loader(options, showProgress: false).run()
}

private func lines(_ count: Int, prefix: String = "p") -> String {
    (0..<count).map { "{\"id\":\"\(prefix)\($0)\",\"n\":\($0)}\n" }.joined()
}

@Test func everyLineIsPutUnderItsID() throws {
    let scratch = try Scratch()
    let server = SinkServer()
    defer {
        scratch.remove()
        server.stop()
    }
    let file = try scratch.write("a.jsonl", lines(5_000) + "\r\n\n{\"id\": 7 , \"x\":\"\"}")
    let summary = try load(file, server)
    #expect(summary.loadedCount == 5_001)
    #expect(summary.rejectedCount == 0)
    #expect(server.stored.count == 5_001)
    #expect(server.stored["p4999"] == "{\"id\":\"p4999\",\"n\":4999}")
    #expect(server.stored["7"] == "{\"id\": 7 , \"x\":\"\"}")
    #expect(scratch.read("a.jsonl.rejects.jsonl") == nil)
    #expect(scratch.read("a.jsonl.aisle-resume") == nil)
}

@Test func theLastRowOfAnIDWins() throws {
    let scratch = try Scratch()
    let server = SinkServer(.init(busyEvery: 7))
    defer {
        scratch.remove()
        server.stop()
    }
    var text = ""
    for round in 0..<40 {
        for id in 0..<25 { text += "{\"id\":\"k\(id)\",\"round\":\(round)}\n" }
    }
    let summary = try load(try scratch.write("a.jsonl", text), server) { $0.batch = 60 }
    #expect(summary.loadedCount == 1_000)
    #expect(summary.retriedCount > 0)
    for id in 0..<25 { #expect(server.stored["k\(id)"] == "{\"id\":\"k\(id)\",\"round\":39}") }
}

@Test func badRowsAreRejectedWithLineAndReason() throws {
    let scratch = try Scratch()
    let server = SinkServer(.init(refusedPrefix: "bad"))
    defer {
        scratch.remove()
        server.stop()
    }
    let text = """
        {"id":"a"}
        {"id":"bad1","price":-1}
        not json
        {"x":1}
        {"id":true}
        {"id":"b"}
        """
    let summary = try load(try scratch.write("a.jsonl", text), server) { $0.connections = 1 }
    #expect(summary.loadedCount == 2)
    #expect(summary.rejectedCount == 4)
    let rejects = try #require(scratch.read("a.jsonl.rejects.jsonl"))
    var reasons: [Int: String] = [:]
    for line in rejects.split(separator: "\n") {
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
        let row = try #require(object as? [String: Any])
        reasons[try #require(row["line"] as? Int)] = row["reason"] as? String
    }
    #expect(reasons[2] == "INVALID price: min 0; value -1")
    #expect(reasons[3] == "not a JSON object")
    #expect(reasons[4] == "no field `id`")
    #expect(reasons[5] == "the id must be a string or an integer")
}

@Test func theIDFieldCanBeChosen() throws {
    let scratch = try Scratch()
    let server = SinkServer()
    defer {
        scratch.remove()
        server.stop()
    }
    let text = """
        {"a":{"sku":"no"},"id":"x","sku":"q\\"1"}
        {"t":"}\\\\","sku":"é\\u00e9"}
        """
    let file = try scratch.write("a.jsonl", text)
    _ = try load(file, server) { $0.idField = "sku" }
    #expect(Set(server.stored.keys) == ["q\"1", "éé"])
}

@Test func underscoreIDIsUsedAndTakenOut() throws {
    let scratch = try Scratch()
    let server = SinkServer()
    defer {
        scratch.remove()
        server.stop()
    }
    let text = """
        {"_id":"a","n":1}
        {"n":1, "_id":"b"}
        {"_id":"c"}
        {"n":1,"_id":{"$oid":"d"},"m":2}
        """
    _ = try load(try scratch.write("a.jsonl", text), server)
    #expect(
        server.stored == [
            "a": "{\"n\":1}", "b": "{\"n\":1}", "c": "{}", "d": "{\"n\":1,\"m\":2}",
        ]
    )
}

@Test func aLostConnectionIsMadeAgain() throws {
    let scratch = try Scratch()
    let server = SinkServer(.init(dropAfter: 1_500))
    defer {
        scratch.remove()
        server.stop()
    }
    let summary = try load(try scratch.write("a.jsonl", lines(4_000)), server)
    #expect(summary.loadedCount == 4_000)
    #expect(server.stored.count == 4_000)
}

@Test func anInterruptedLoadGoesOn() throws {
    let scratch = try Scratch()
    let server = SinkServer(.init(failAfter: (1_000, "FULL disk: no space left")))
    defer {
        scratch.remove()
        server.stop()
    }
    let file = try scratch.write("a.jsonl", lines(3_000))
    #expect(throws: LoadError.refused(reply: "FULL disk: no space left")) {
        try load(file, server) { $0.batch = 100 }
    }
    #expect(scratch.read("a.jsonl.aisle-resume")?.contains("collection products") == true)
    let second = SinkServer()
    defer { second.stop() }
    let summary = try load(file, second) { $0.resume = true }
    #expect(summary.skippedCount > 500)
    #expect(summary.skippedCount + summary.loadedCount == 3_000)
    // Nothing is missed: what the first server lacks, the second one got.
    #expect(Set(server.stored.keys).union(second.stored.keys).count == 3_000)
    #expect(scratch.read("a.jsonl.aisle-resume") == nil)
}

@Test func aCollectionIsMadeWhenItIsAbsent() throws {
    let scratch = try Scratch()
    let server = SinkServer()
    defer {
        scratch.remove()
        server.stop()
    }
    let schema = "{\"fields\":{\"n\":{\"type\":\"int\"}}}"
    let schemaFile = try scratch.write("s.json", schema)
    _ = try load(try scratch.write("a.jsonl", lines(1)), server) { $0.schemaPath = schemaFile }
    #expect(server.createdSchema == schema)
}

@Test func anAbsentServerIsAnError() throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    let file = try scratch.write("a.jsonl", lines(1))
    var options = LoadOptions(collection: "c", input: file)
    options.client = ClientConfiguration(endpoint: .unix(path: "/nonexistent/x.sock"))
    #expect(throws: LoadError.self) { try Loader(options, showProgress: false) }
}

@Test func csvIsTypedByTheSchema() throws {
    let schema = """
        {"fields":{"price":{"type":"decimal","scale":2},"n":{"type":"int"},
        "on":{"type":"bool"},"tags":{"type":"keyword","array":true},
        "sizes":{"type":"array","items":{"type":"int"}},"at":{"type":"datetime"},
        "attributes":{"type":"json"},"address":{"type":"object","fields":{
        "zip":{"type":"keyword"},"lat":{"type":"float"}}}}}
        """
    let scratch = try Scratch()
    let server = SinkServer(schema: schema)
    defer {
        scratch.remove()
        server.stop()
    }
    let text = """
        \u{FEFF}id,price,n,on,tags,sizes,at,address.zip,address.lat,attributes,note\r
        a,1.50,3,TRUE,x|y,1|2,2024-01-02,00123,-7.5,"{""k"":1}","two
        lines, and a ""quote"" x"\r
        b,,,,,,,,,,\r
        c,abc,007,maybe,"[""p,q""]",,1700000000000,,,plain,""\r
        d,1\r
        """
    let summary = try load(try scratch.write("a.csv", text), server)
    #expect(summary.loadedCount == 3)
    #expect(
        server.stored["a"]
            == "{\"id\":\"a\",\"price\":1.50,\"n\":3,\"on\":true,\"tags\":[\"x\",\"y\"],"
            + "\"sizes\":[1,2],\"at\":\"2024-01-02\",\"address\":{\"zip\":\"00123\",\"lat\":-7.5},"
            + "\"attributes\":{\"k\":1},\"note\":\"two\\nlines, and a \\\"quote\\\" x\"}"
    )
    #expect(server.stored["b"] == "{\"id\":\"b\"}")
    #expect(
        server.stored["c"]
            == "{\"id\":\"c\",\"price\":\"abc\",\"n\":\"007\",\"on\":\"maybe\",\"tags\":[\"p,q\"],"
            + "\"at\":1700000000000,\"attributes\":\"plain\",\"note\":\"\"}"
    )
    let rejects = try #require(scratch.read("a.csv.rejects.jsonl"))
    #expect(rejects.contains("\"line\":6,\"reason\":\"2 cells where the header has 11\""))
}

@Test func vectorsGoWithTheirRows() throws {
    let scratch = try Scratch()
    let server = SinkServer()
    defer {
        scratch.remove()
        server.stop()
    }
    let queue = ByteQueue()
    let made = GeneratorVectors(seed: 1, dimensions: 8)
    made.appendHeader(count: 3, to: queue)
    for row in 0..<3 { made.append(row, to: queue) }
    let npy = try scratch.write("v.npy", Data(queue.bytes))
    let ids = try scratch.write("v.txt", "p2\np0\nother\n")
    let file = try scratch.write("a.jsonl", lines(4))
    _ = try load(file, server) {
        $0.vectors = [
            .init(field: "byrow", path: npy), .init(field: "byid", path: npy, idsPath: ids),
        ]
    }
    let stored = server.storedVectors
    #expect(
        Set(stored.keys) == ["p0/byrow", "p1/byrow", "p2/byrow", "p0/byid", "p2/byid"]
    )
    #expect(stored["p0/byrow"]?.count == 32)
    #expect(stored["p2/byid"] == stored["p0/byrow"])
    #expect(stored["p0/byid"] == stored["p1/byrow"])
}

@Test func compressedInputIsUnpacked() throws {
    let scratch = try Scratch()
    defer { scratch.remove() }
    let text = lines(20_000)
    for (tool, suffix) in [("gzip", "gz"), ("zstd", "zst")] {
        let server = SinkServer()
        defer { server.stop() }
        let file = try scratch.write("\(suffix).jsonl", text)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [tool, "-q", "-k", file]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { continue }
        let summary = try load(file + "." + suffix, server)
        #expect(summary.loadedCount == 20_000)
        let packed = try Data(contentsOf: URL(fileURLWithPath: file + "." + suffix))
        let cut = try scratch.write("cut.jsonl.\(suffix)", packed.prefix(packed.count / 2))
        #expect {
            try load(cut, server)
        } throws: { error in
            if case .compression = error as? LoadError { true } else { false }
        }
    }
}

@Test(.enabled(if: ProcessInfo.processInfo.environment["AISLE_MEASURE"] != nil))
func theLoaderKeepsItsCostBelowTwoMicroseconds() throws {
    let scratch = try Scratch()
    let server = SinkServer(.init(isBlind: true))
    defer {
        scratch.remove()
        server.stop()
    }
    let queue = ByteQueue(capacity: 256 << 20)
    let generator = Generator(kind: .products, seed: 1)
    let clock = ContinuousClock()
    let made = clock.measure {
        for index in 0..<300_000 {
            generator.append(index, to: queue)
            queue.append(byte: 10)
        }
    }
    print("generate: \(300_000 / made.seconds) products/s of \(queue.count / 300_000) bytes")
    let file = try scratch.write("a.jsonl", Data(queue.bytes))
    func threadMicroseconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
    }
    let before = threadMicroseconds()
    let summary = try load(file, server)
    let cost = (threadMicroseconds() - before) / Double(summary.loadedCount)
    print("load: \(summary.rate) rows/s, \(cost) microseconds of CPU a row")
    #expect(summary.loadedCount == 300_000)
}
