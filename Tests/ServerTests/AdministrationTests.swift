import RESP
import Server
import Testing

@Suite(.serialized) struct AdministrationTests {
    /// Requests and the replies expected, on one connection of a server without a password.
    @Test(arguments: [
        ("FOO a b", "ERR unknown command 'FOO', with args beginning with: 'a' 'b' "),
        ("FETCH c", "ERR wrong number of arguments for 'fetch' command"),
        ("SELECT 1", "ERR DB index is out of range"),
        ("WATCH x", "ERR use IF or VERSION"),
        ("HELLO 4", "NOPROTO unsupported protocol version"),
        ("AUTH default x y", "ERR syntax error"),
        ("AUTH nobody x", "WRONGPASS invalid username-password pair or user is disabled."),
        ("CLIENT TRACKING on", "ERR CLIENT TRACKING is not supported"),
        ("ACL DELUSER default", "ERR The 'default' user cannot be removed"),
        ("CONFIG REWRITE", "ERR The server is running without a config file"),
        ("SELECT 0", "OK"), ("ECHO x", "x"), ("UNWATCH", "OK"), ("CLIENT SETNAME me", "OK"),
        ("RESET", "RESET"), ("ACL WHOAMI", "default"), ("QUIT", "OK"),
    ])
    func requestsHaveTheirReplies(request: String, reply: String) async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            #expect(try client.call(request).string == reply)
        }
    }

    @Test func usersMayOnlyDoWhatTheirRulesSay() async throws {
        try await withServer { port, _ in
            let admin = try RawClient(port: port)
            #expect(
                try admin.call("ACL SETUSER ada on >secret ~products* %R~stores +@read +put +ping")
                    == .simple("OK")
            )
            let ada = try RawClient(port: port)
            #expect(try ada.call("AUTH ada wrong").string?.hasPrefix("WRONGPASS") == true)
            #expect(try ada.call("AUTH ada secret") == .simple("OK"))
            #expect(try ada.call("FETCH products x") == .text("x"))
            #expect(try ada.call("PUT products2 1 {}") == .text("1"))
            #expect(try ada.call("FETCH stores 1") == .text("1"))
            #expect(try ada.call("PUT stores 1 {}").string?.hasPrefix("NOPERM") == true)
            #expect(try ada.call("FETCH orders 1").string?.hasPrefix("NOPERM") == true)
            #expect(try ada.call("EXPLAIN COUNT orders {}").string?.hasPrefix("NOPERM") == true)
            #expect(try ada.call("EXPLAIN COUNT products {}") == .text("{}"))
            #expect(try ada.call("CONFIG GET port").string?.hasPrefix("NOPERM") == true)
            #expect(
                try admin.call("ACL DRYRUN ada fetch orders 1").string?.hasPrefix("User") == true
            )
            #expect(try admin.call("ACL DRYRUN ada fetch products 1") == .simple("OK"))
            // Rights change under a connection that is open.
            #expect(try admin.call("ACL SETUSER ada -fetch") == .simple("OK"))
            try await Task.sleep(for: .milliseconds(50))
            #expect(try ada.call("FETCH products x").string?.hasPrefix("NOPERM") == true)
            #expect(try admin.call("ACL DELUSER ada") == .integer(1))
            #expect(ada.isClosedByServer())
        }
    }

    @Test func passwordsAreAskedForAndNeverShown() async throws {
        try await withServer {
            $0.requirePassword = "hunter2"
            $0.slowlogMicroseconds = 0
        } _: { port, _ in
            let client = try RawClient(port: port)
            #expect(try client.call("PING") == .error("NOAUTH Authentication required."))
            #expect(try client.call("AUTH hunter2") == .simple("OK"))
            #expect(try client.call("PING") == .simple("PONG"))
            _ = try client.call("ACL SETUSER bob >hunter2")
            let log = try client.call("SLOWLOG GET -1")
            let list = try client.call("CLIENT LIST")
            let users = try client.call("ACL LIST")
            for reply in [log, list, users] { #expect(!Self.text(reply).contains("hunter2")) }
            #expect(Self.text(log).contains("redacted"))
        }
    }

    private static func text(_ reply: ReplyValue) -> String {
        if case .array(let values) = reply { return values.map(text).joined(separator: " ") }
        return reply.string ?? ""
    }

    @Test func listsCoverAllLoops() async throws {
        try await withServer { port, _ in
            let clients = try (0..<4).map { _ in try RawClient(port: port) }
            for (index, client) in clients.enumerated() {
                #expect(try client.call("CLIENT SETNAME c\(index)") == .simple("OK"))
            }
            let list = try clients[0].call("CLIENT LIST").string ?? ""
            for index in 0..<4 { #expect(list.contains("name=c\(index) ")) }
            #expect(list.contains("loop=0") && list.contains("loop=1"))
            guard case .integer(let id) = try clients[1].call("CLIENT ID") else { return }
            #expect(try clients[0].call("CLIENT KILL ID \(id)") == .integer(1))
            #expect(clients[1].isClosedByServer())
            #expect(try clients[0].call("CLIENT KILL 1.2.3.4:5") == .error("ERR No such client"))
        }
    }

    @Test func infoAndLatencyCountRequests() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            for _ in 0..<10 { _ = try client.call("PING") }
            let info = try client.call("INFO everything").string ?? ""
            #expect(info.contains("# Server") && info.contains("cmdstat_ping:calls=10,"))
            #expect(info.contains("latency_percentiles_usec_ping:p50="))
            guard case .array(let histogram) = try client.call("LATENCY HISTOGRAM ping") else {
                return
            }
            #expect(histogram.first == .text("ping"))
            #expect(try client.call("CONFIG RESETSTAT") == .simple("OK"))
            #expect(try client.call("INFO commandstats").string?.contains("ping") == false)
        }
    }

    @Test func settingsChangeWhileRunning() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            #expect(try client.call("CONFIG SET max-clients 5") == .simple("OK"))
            #expect(
                try client.call("CONFIG GET max-cl*") == .array([.text("max-clients"), .text("5")])
            )
            #expect(try client.call("CONFIG SET max-clients 0").string?.hasPrefix("ERR") == true)
            #expect(try client.call("CONFIG SET port 1").string?.contains("immutable") == true)
        }
    }

    @Test func helloThreeAnswersMaps() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            guard case .map(let pairs) = try client.call("HELLO 3 SETNAME x") else {
                Issue.record("no map")
                return
            }
            #expect(pairs.contains { $0.key == .text("proto") && $0.value == .integer(3) })
            guard case .map(let docs) = try client.call("COMMAND DOCS fetch") else {
                Issue.record("no map")
                return
            }
            #expect(docs.count == 1)
        }
    }
}
