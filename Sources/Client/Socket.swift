import Glibc

/// A connected stream socket that never blocks by itself: callers wait with ``wait(for:timeout:)``.
///
/// Not `Sendable`; closed when released.
package final class Socket {
    /// What a wait is for.
    package enum Readiness: Sendable {
        case readable, writable
    }

    /// The file descriptor, for pollers; closed with the socket.
    package let descriptor: CInt
    private var tls: TLSSession?

    private init(descriptor: CInt) { self.descriptor = descriptor }

    deinit {
        tls = nil
        close(descriptor)
    }

    /// The text of the last failed call.
    static func reason(_ code: CInt = errno) -> String { String(cString: strerror(code)) }

    /// Connects within `timeout`.
    ///
    /// - Throws: ``ClientError/unreachable(endpoint:reason:)``.
    package static func connect(to endpoint: Endpoint, timeout: Duration) throws(ClientError)
        -> Socket
    {
        switch endpoint {
        case .unix(let path): return try connectUnix(path: path, endpoint, timeout)
        case .tcp(let host, let port): return try connectTCP(host, port, endpoint, timeout)
        }
    }

    private static func connectUnix(path: String, _ endpoint: Endpoint, _ timeout: Duration)
        throws(ClientError) -> Socket
    {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path) - 1
        guard path.utf8.count <= room else {
            throw .unreachable(endpoint: path, reason: "a socket's path has at most \(room) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        // SAFETY: the pointer is used only within the call, and `length` is the value's size.
        return try withUnsafePointer(to: &address) { (pointer) throws(ClientError) -> Socket in
            let raw = UnsafeRawPointer(pointer).assumingMemoryBound(to: sockaddr.self)
            return try open(AF_UNIX, raw, length, endpoint, timeout)
        }
    }

    private static func connectTCP(
        _ host: String,
        _ port: UInt16,
        _ endpoint: Endpoint,
        _ timeout: Duration
    ) throws(ClientError) -> Socket {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &found)
        guard code == 0 else {
            let reason = String(cString: gai_strerror(code))
            throw .unreachable(endpoint: endpoint.description, reason: reason)
        }
        defer { freeaddrinfo(found) }
        var next = found
        var last = ClientError.unreachable(
            endpoint: endpoint.description,
            reason: "the name has no address"
        )
        while let info = next?.pointee {
            next = info.ai_next
            guard let address = info.ai_addr else { continue }
            do {
                let socket = try open(
                    info.ai_family,
                    UnsafePointer(address),
                    info.ai_addrlen,
                    endpoint,
                    timeout
                )
                var on: CInt = 1
                _ = setsockopt(
                    socket.descriptor,
                    CInt(IPPROTO_TCP),
                    TCP_NODELAY,
                    &on,
                    socklen_t(MemoryLayout<CInt>.size)
                )
                return socket
            } catch {
                last = error
            }
        }
        throw last
    }

    private static func open(
        _ family: CInt,
        _ address: UnsafePointer<sockaddr>,
        _ length: socklen_t,
        _ endpoint: Endpoint,
        _ timeout: Duration
    ) throws(ClientError) -> Socket {
        let name = endpoint.description
        let kind = CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(family, kind, 0)
        guard descriptor >= 0 else { throw .unreachable(endpoint: name, reason: reason()) }
        let socket = Socket(descriptor: descriptor)
        if Glibc.connect(descriptor, address, length) == 0 { return socket }
        guard errno == EINPROGRESS || errno == EAGAIN else {
            throw .unreachable(endpoint: name, reason: reason())
        }
        do {
            try socket.wait(for: .writable, timeout: timeout)
        } catch {
            throw .unreachable(endpoint: name, reason: "\(error)")
        }
        var code: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        _ = getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
        guard code == 0 else { throw .unreachable(endpoint: name, reason: reason(code)) }
        return socket
    }

    /// Waits until the socket can be read or written.
    ///
    /// - Throws: ``ClientError/timedOut(milliseconds:)``, ``ClientError/system(call:reason:)``.
    package func wait(for readiness: Readiness, timeout: Duration) throws(ClientError) {
        let events = readiness == .readable ? POLLIN : POLLOUT
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        let milliseconds = timeout.wholeMilliseconds
        while true {
            let ready = poll(&entry, 1, CInt(clamping: milliseconds))
            if ready > 0 { return }
            if ready == 0 { throw .timedOut(milliseconds: milliseconds) }
            guard errno == EINTR else { throw .system(call: "poll", reason: Self.reason()) }
        }
    }

    /// Sends what fits now.
    ///
    /// - Returns: bytes sent; 0 when the socket is full.
    /// - Throws: ``ClientError/closed``, ``ClientError/system(call:reason:)``.
    package func send(_ bytes: UnsafeRawBufferPointer) throws(ClientError) -> Int {
        if let tls { return try moved(tls.send(bytes), "send") }
        while true {
            let sent = Glibc.send(
                descriptor,
                bytes.baseAddress,
                bytes.count,
                CInt(truncatingIfNeeded: MSG_NOSIGNAL)
            )
            if sent >= 0 { return sent }
            switch errno {
            case EAGAIN: return 0
            case EINTR: continue
            case EPIPE, ECONNRESET: throw .closed
            default: throw .system(call: "send", reason: Self.reason())
            }
        }
    }

    /// Receives what is there into the end of `queue`, at most `byteCount`.
    ///
    /// - Returns: bytes received; 0 when none are there yet.
    /// - Throws: ``ClientError/closed``, ``ClientError/system(call:reason:)``.
    package func receive(into queue: ByteQueue, atMost byteCount: Int = 64 << 10)
        throws(ClientError) -> Int
    {
        if let tls { return try receive(into: queue, byteCount, tls) }
        let target = queue.reserve(byteCount)
        while true {
            let received = recv(descriptor, target, queue.freeCount, 0)
            if received > 0 {
                queue.wrote(received)
                return received
            }
            if received == 0 { throw .closed }
            switch errno {
            case EAGAIN: return 0
            case EINTR: continue
            case ECONNRESET: throw .closed
            default: throw .system(call: "recv", reason: Self.reason())
            }
        }
    }
}

// TLS.
extension Socket {
    /// Agrees on TLS with the server. From then on all bytes are encrypted.
    ///
    /// - Throws: ``ClientError/insecure(endpoint:reason:)``.
    func startTLS(with endpoint: Endpoint, _ options: TLSOptions, timeout: Duration)
        throws(ClientError)
    {
        let name = endpoint.description
        guard case .tcp(let host, _) = endpoint else {
            throw .insecure(endpoint: name, reason: "a Unix socket is not encrypted")
        }
        let session = try TLSSession(
            descriptor: descriptor,
            host: host,
            endpoint: name,
            options
        )
        while true {
            switch session.handshake() {
            case .done:
                tls = session
                return
            case .wantsRead: try wait(for: .readable, timeout: timeout)
            case .wantsWrite: try wait(for: .writable, timeout: timeout)
            case .closed: throw .insecure(endpoint: name, reason: "the server hung up")
            case .failed(let reason): throw .insecure(endpoint: name, reason: reason)
            }
        }
    }

    /// Receives until nothing is left in the library, since no poll would tell of it.
    private func receive(into queue: ByteQueue, _ byteCount: Int, _ tls: TLSSession)
        throws(ClientError) -> Int
    {
        var received = 0
        repeat {
            let target = queue.reserve(byteCount)
            let count = try moved(tls.receive(target, queue.freeCount), "recv")
            queue.wrote(count)
            received += count
        } while tls.hasPending
        return received
    }

    private func moved(_ step: TLSSession.Step, _ call: String) throws(ClientError) -> Int {
        switch step {
        case .done(let count): return count
        case .wantsRead, .wantsWrite: return 0
        case .closed: throw .closed
        case .failed(let reason): throw .system(call: call, reason: reason)
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded up.
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(seconds) * 1_000
            + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
