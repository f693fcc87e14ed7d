import Commands
import Glibc
import Logging
import NIOCore
import RESP
import Server

/// A handler without an engine: `FETCH` answers the id, `PUT` later and in its own time, `FIND`
/// later with everything blocked, `EXPORT` 1 MiB, `MULTI` begins and `EXEC` ends a transaction.
final class FakeHandler: CommandHandler {
    private let loop: any EventLoop
    private var putCount = 0
    private var queued = 0

    init(_ loop: any EventLoop) { self.loop = loop }

    func handle(
        _ request: RequestFrame,
        session: Session,
        reply: inout ReplyWriter
    ) -> Disposition {
        switch CommandName(rawValue: request.commandIndex) {
        case .put where request.equals(2, "bad"):
            reply.error("INVALID id: bad")
        case .put:
            return deferred(session, request.string(2), write: true)
        case .find:
            return deferred(session, "found", write: false)
        case .export:
            reply.bulk([UInt8](repeating: 0x78, count: 1 << 20))
        case .multi:
            session.transaction = self
            reply.ok()
        case .exec:
            let broken = session.transactionIsBroken
            session.transaction = nil
            session.transactionIsBroken = false
            broken ? reply.error("EXECABORT discarded") : reply.ok()
        case _ where session.transaction != nil:
            reply.simple("QUEUED")
        default:
            reply.bulk(request.bytes(request.count - 1))
        }
        return .replied
    }

    /// Answers after a while that differs from call to call, so that replies come out of order.
    private func deferred(_ session: Session, _ text: String, write: Bool) -> Disposition {
        putCount += 1
        let place = session.makeDeferral()
        let bound = NIOLoopBound(session, eventLoop: loop)
        loop.scheduleTask(in: .microseconds(Int64(putCount * 7_919 % 3_000))) {
            bound.value.fulfil(place) { $0.bulk(text) }
        }
        return write ? .deferredWrite : .deferredRead
    }

    func sessionClosed(_ session: Session) {}
    func endOfBatch() {}
}

/// A server on a free port of the loopback, stopped at the end.
func withServer(
    _ configure: (inout ServerConfiguration) -> Void = { _ in },
    hooks: ServerHooks = ServerHooks(),
    _ body: @Sendable @escaping (_ port: Int, _ server: AisleServer) async throws -> Void
) async throws {
    var configuration = ServerConfiguration()
    configuration.port = 0
    configuration.shards = 2
    configure(&configuration)
    let server = try AisleServer(
        configuration: configuration,
        hooks: hooks,
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
        factory: { _, loop in FakeHandler(loop) }
    )
    let addresses = try await server.start()
    let port = addresses.first.flatMap { Int($0.split(separator: ":").last ?? "") } ?? 0
    do {
        try await body(port, server)
    } catch {
        server.beginShutdown()
        await server.waitUntilStopped()
        throw error
    }
    server.beginShutdown()
    await server.waitUntilStopped()
}

/// A blocking client of a few lines: what it sends is exactly what the test says.
final class RawClient {
    enum Failure: Error { case connect, closed, timeout }

    let socket: CInt
    private var parser = ReplyParser()

    init(port: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Failure.connect }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(
            socket,
            SOL_SOCKET,
            SO_RCVTIMEO,
            &limit,
            socklen_t(MemoryLayout<timeval>.size)
        )
    }

    deinit { close(socket) }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    socket,
                    $0.baseAddress.map { $0 + sent },
                    bytes.count - sent,
                    Int32(MSG_NOSIGNAL)
                )
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    func halfClose() { shutdown(socket, Int32(SHUT_WR)) }

    func receive() throws -> ReplyValue {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            if let value = try parser.next() { return value }
            let count = recv(socket, &chunk, chunk.count, 0)
            if count == 0 { throw Failure.closed }
            if count < 0 { throw Failure.timeout }
            parser.append(chunk[..<count])
        }
    }

    /// Sends `line` inline and returns its reply.
    func call(_ line: String) throws -> ReplyValue {
        send(line + "\r\n")
        return try receive()
    }

    /// Whether the server has closed the connection.
    func isClosedByServer() -> Bool {
        do {
            while true { _ = try receive() }
        } catch Failure.closed {
            return true
        } catch {
            var byte: UInt8 = 0
            return recv(socket, &byte, 1, Int32(MSG_DONTWAIT)) < 0 && errno == ECONNRESET
        }
    }
}
