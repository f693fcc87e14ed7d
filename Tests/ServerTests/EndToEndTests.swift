import RESP
import Server
import Testing

@Suite(.serialized) struct EndToEndTests {
    @Test func pingIsAnsweredInBothForms() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            #expect(try client.call("PING") == .simple("PONG"))
            client.send("*2\r\n$4\r\npInG\r\n$2\r\nhi\r\n")
            #expect(try client.receive() == .text("hi"))
        }
    }

    @Test func repliesComeInTheOrderOfRequests() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            var expected: [ReplyValue] = []
            var text = ""
            for index in 0..<2_000 {
                switch index % 7 {
                case 0, 1, 2:
                    text += "PUT c \(index) {}\r\n"
                    expected.append(.text("\(index)"))
                case 3:
                    text += "PUT c bad {}\r\n"
                    expected.append(.error("INVALID id: bad"))
                case 4:
                    text += "FETCH c \(index)\r\n"
                    expected.append(.text("\(index)"))
                case 5:
                    text += "PING\r\n"
                    expected.append(.simple("PONG"))
                default:
                    text += "FIND c {}\r\n"
                    expected.append(.text("found"))
                }
            }
            client.send(text)
            for (index, value) in expected.enumerated() {
                #expect(try client.receive() == value, "reply \(index)")
            }
        }
    }

    @Test func writesInFlightAreBoundedAndAllAnswered() async throws {
        try await withServer {
            $0.inFlightWritesMax = 4
        } _: { port, _ in
            let client = try RawClient(port: port)
            client.send((0..<500).map { "PUT c \($0) {}\r\n" }.joined())
            for index in 0..<500 { #expect(try client.receive() == .text("\(index)")) }
        }
    }

    @Test func repliesAreDeliveredAfterTheClientsEnd() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            client.send("PUT c 1 {}\r\nPUT c 2 {}\r\nFETCH c 3\r\n")
            client.halfClose()
            for index in 1...3 { #expect(try client.receive() == .text("\(index)")) }
            #expect(client.isClosedByServer())
        }
    }

    @Test func slowReadersGetEverything() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            client.send(String(repeating: "EXPORT c\r\n", count: 40) + "PING\r\n")
            try await Task.sleep(for: .milliseconds(200))
            for _ in 0..<40 {
                guard case .bulk(let bytes) = try client.receive() else {
                    Issue.record("not a bulk string")
                    return
                }
                #expect(bytes.count == 1 << 20)
            }
            #expect(try client.receive() == .simple("PONG"))
        }
    }

    @Test func largeRequestsArriveWhole() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            let body = String(repeating: "y", count: 3_000_000)
            client.send("*2\r\n$4\r\nECHO\r\n$\(body.utf8.count)\r\n\(body)\r\nPING\r\n")
            #expect(try client.receive() == .text(body))
            #expect(try client.receive() == .simple("PONG"))
        }
    }

    @Test func protocolErrorsAnswerAndClose() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            client.send("PUT c 1 {}\r\n*1\r\n+x\r\n")
            #expect(try client.receive() == .text("1"))
            #expect(try client.receive() == .error("ERR Protocol error: expected '$', got '+'"))
            #expect(client.isClosedByServer())
            let next = try RawClient(port: port)
            #expect(try next.call("PING") == .simple("PONG"))
        }
    }

    @Test func tooManyClientsAreRefused() async throws {
        try await withServer {
            $0.clientsMax = 1
        } _: { port, _ in
            let first = try RawClient(port: port)
            #expect(try first.call("PING") == .simple("PONG"))
            let second = try RawClient(port: port)
            #expect(try second.receive() == .error("ERR max number of clients reached"))
            #expect(second.isClosedByServer())
            #expect(try first.call("PING") == .simple("PONG"))
        }
    }

    @Test func transactionsQueueOnlySomeCommands() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            #expect(try client.call("MULTI") == .simple("OK"))
            #expect(try client.call("FETCH c 1") == .simple("QUEUED"))
            #expect(try client.call("PING") == .simple("QUEUED"))
            #expect(try client.call("EXEC") == .simple("OK"))
            _ = try client.call("MULTI")
            #expect(
                try client.call("INFO")
                    == .error("ERR Command 'info' not allowed inside a transaction")
            )
            #expect(try client.call("EXEC") == .error("EXECABORT discarded"))
        }
    }

    @Test func shutdownAnswersWhatWasAcknowledged() async throws {
        try await withServer { port, server in
            let client = try RawClient(port: port)
            client.send("PUT c 1 {}\r\nPUT c 2 {}\r\n")
            #expect(try client.receive() == .text("1"))
            server.beginShutdown()
            #expect(try client.receive() == .text("2"))
            #expect(client.isClosedByServer())
        }
    }
}
