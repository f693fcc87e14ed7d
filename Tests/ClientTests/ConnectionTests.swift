import Client
import Foundation
import Testing

/// A server that answers fixed bytes: the first chunk when a client connects and says something,
/// the next after the next read, and so on; then it closes.
private final class ScriptedServer: Sendable {
    let path: String

    init(_ chunks: [String]) {
        let path = NSTemporaryDirectory() + "scripted-\(UUID().uuidString.prefix(8)).sock"
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
        precondition(bound == 0 && listen(listener, 4) == 0, "cannot listen")
        Thread.detachNewThread {
            let client = accept(listener, nil, nil)
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            for chunk in chunks {
                guard read(client, &buffer, buffer.count) > 0 else { break }
                let bytes = Array(chunk.utf8)
                _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            }
            close(client)
            close(listener)
            unlink(path)
        }
    }

    func connect(_ change: (inout ClientConfiguration) -> Void = { _ in }) throws -> Connection {
        var configuration = ClientConfiguration(endpoint: .unix(path: path))
        configuration.timeout = .milliseconds(300)
        change(&configuration)
        return try Connection(configuration)
    }
}

@Test func aConnectionGreetsAndCalls() throws {
    let server = ScriptedServer(["%1\r\n+proto\r\n:3\r\n", "+PONG\r\n"])
    let connection = try server.connect()
    #expect(connection.greeting["proto"] == .integer(3))
    #expect(try connection.call("PING") == .simple("PONG"))
}

@Test func anErrorReplyIsAValue() throws {
    let server = ScriptedServer(["+OK\r\n", "-INVALID price: min 0; -1\r\n"])
    let connection = try server.connect()
    #expect(try connection.call("PUT").errorText == "INVALID price: min 0; -1")
}

@Test func aRefusedPasswordIsToldApart() {
    let server = ScriptedServer(["-WRONGPASS invalid username-password pair\r\n"])
    #expect(throws: ClientError.refused("WRONGPASS invalid username-password pair")) {
        try server.connect { $0.credentials = Credentials(user: "a", password: "b") }
    }
}

@Test func aServerWithoutHelloIsGreetedWithAuth() throws {
    let server = ScriptedServer(["-ERR unknown command 'HELLO'\r\n", "+OK\r\n", ":1\r\n"])
    let connection = try server.connect { $0.credentials = Credentials(user: nil, password: "b") }
    #expect(try connection.call("DBSIZE") == .integer(1))
}

@Test func silenceEndsInATimeout() throws {
    let server = ScriptedServer(["+OK\r\n", ""])
    let connection = try server.connect { $0.timeout = .milliseconds(50) }
    do {
        _ = try connection.call("PING")
        Issue.record("nothing was answered")
    } catch {
        #expect(error == .timedOut(milliseconds: 50) || error == .closed)
    }
}

@Test func aClosedConnectionIsToldApart() throws {
    let server = ScriptedServer(["+OK\r\n", "+half a re"])
    let connection = try server.connect()
    #expect(throws: ClientError.closed) { try connection.call("PING") }
}

@Test func nobodyListeningIsUnreachable() {
    #expect {
        try Connection(ClientConfiguration(endpoint: .unix(path: "/nonexistent/aisle.sock")))
    } throws: { error in
        if case .unreachable = error as? ClientError { true } else { false }
    }
    let long = String(repeating: "x", count: 200)
    #expect(throws: ClientError.self) {
        try Connection(ClientConfiguration(endpoint: .unix(path: long)))
    }
}

@Test func pushesAreSkipped() throws {
    let server = ScriptedServer(["+OK\r\n", ">2\r\n+invalidate\r\n_\r\n:5\r\n"])
    let connection = try server.connect()
    #expect(try connection.call("DBSIZE") == .integer(5))
}

@Test func aPipelineKeepsItsOrder() throws {
    let server = ScriptedServer(["+OK\r\n", ":1\r\n-ERR x\r\n:3\r\n"])
    let connection = try server.connect()
    let replies = try connection.pipeline([["A"], ["B"], ["C"]])
    #expect(replies == [.integer(1), .error("ERR x"), .integer(3)])
}
