import Bench
import Client
import Foundation
import Testing

/// A server that answers every request alike, as fast as it can; `stall` makes it sleep once.
private final class EchoServer: Sendable {
    let path: String

    init(reply: String, stallAfter: Int = 0) {
        let path = NSTemporaryDirectory() + "bench-\(UUID().uuidString.prefix(8)).sock"
        self.path = path
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            bind(
                listener,
                UnsafeRawPointer($0).assumingMemoryBound(to: sockaddr.self),
                socklen_t(MemoryLayout<sockaddr_un>.size)
            )
        }
        precondition(bound == 0 && listen(listener, 64) == 0, "cannot listen")
        Thread.detachNewThread {
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                Thread.detachNewThread { Self.serve(client, reply, stallAfter) }
            }
        }
    }

    /// Takes the socket's file away. Not when the object goes: it goes with its last use.
    func remove() { unlink(path) }

    private static func serve(_ client: Int32, _ reply: String, _ stallAfter: Int) {
        defer { close(client) }
        let input = ByteQueue()
        let output = ByteQueue()
        var scanner = ReplyScanner()
        var count = 0
        while true {
            let got = read(client, input.reserve(64 << 10), 64 << 10)
            guard got > 0 else { return }
            input.wrote(got)
            while let found = try? scanner.next(in: input.bytes) {
                let bytes = UnsafeRawBufferPointer(rebasing: input.bytes[..<found.byteCount])
                let words = (try? ReplyParser.parse(bytes))?.elements?.compactMap(\.text) ?? []
                switch words.first {
                case "HELLO", "INFO": output.append("+OK\r\n")
                case "COUNT": output.append(":100\r\n")
                default: output.append(reply)
                }
                count += 1
                if count == stallAfter { usleep(300_000) }
                input.take(found.byteCount)
            }
            let sent = send(
                client,
                output.bytes.baseAddress,
                output.count,
                Int32(MSG_NOSIGNAL)
            )
            guard sent == output.count else { return }
            output.removeAll()
        }
    }

    func options(_ scenarios: [String]) -> BenchOptions {
        var options = BenchOptions()
        options.client = ClientConfiguration(endpoint: .unix(path: path))
        options.scenarios = scenarios
        options.records = 100
        options.seconds = 0.5
        options.pid = Int(getpid())
        return options
    }
}

@Test func scenariosAreMeasuredAndReported() throws {
    let server = EchoServer(reply: "+OK\r\n")
    defer { server.remove() }
    let options = server.options(["ping", "fetch-p16", "filter-sort", "facets", "mixed-95-5"])
    let rows = try BenchRun(options, log: { _ in }).run()
    #expect(rows.map(\.name) == options.scenarios)
    for row in rows {
        #expect(row.rate > 0 && row.p50 > 0 && row.p50 <= row.p99 && row.errorCount == 0)
        #expect(row.cpuPerRequest != nil)
    }
    let report = BenchReport(rows: rows, options: options)
    #expect(report.table.contains("filter-sort"))
    let json = try JSONSerialization.jsonObject(with: Data(report.json.utf8)) as? [String: Any]
    #expect((json?["scenarios"] as? [Any])?.count == 5)
    #expect(report.html.contains("<svg") && !report.html.contains("http"))
}

@Test func errorRepliesFailAScenario() throws {
    let server = EchoServer(reply: "-ERR no\r\n")
    defer { server.remove() }
    let rows = try BenchRun(server.options(["fetch"]), log: { _ in }).run()
    #expect(rows[0].errorCount > 0)
    #expect(rows[0].firstError == "ERR no")
    #expect(!rows[0].isPassed)
}

@Test func anOpenLoopShowsAStallThatAClosedOneHides() throws {
    let server = EchoServer(reply: "+OK\r\n", stallAfter: 500)
    defer { server.remove() }
    var options = server.options(["ping"])
    options.connections = 1
    options.rate = 1_000
    options.seconds = 1
    let open = try BenchRun(options, log: { _ in }).run()
    // 300 of the 1,300 requests were due during the stall, and waited 150 ms on average.
    #expect(open[0].p90 > 50_000)
    #expect(!open[0].isPassed)
    #expect(open[0].rate < 1_100)
}

@Test func anUnknownScenarioIsRefused() {
    var options = BenchOptions()
    options.scenarios = ["nonsense"]
    let run = BenchRun(options, log: { _ in })
    #expect(throws: BenchError.unknownScenario("nonsense")) { try run.run() }
}
