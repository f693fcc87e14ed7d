/// A blocking client of one server, with pipelines: write many requests, then read as many replies.
///
/// ```
/// let connection = try Connection(ClientConfiguration())
/// let reply = try connection.call("FETCH", "products", "p-1")
/// ```
/// Not `Sendable`: one thread at a time. A connection that threw cannot be used again, except after
/// ``ClientError/refused(_:)``-free replies: an error *reply* is a value, not a throw.
package final class Connection {
    /// How the server was reached.
    package let configuration: ClientConfiguration
    /// What `HELLO` answered; null where the server knows no `HELLO`.
    package private(set) var greeting: Reply = .null
    /// The transport, for pollers.
    package let socket: Socket
    /// Requests that are not sent yet. Append to it directly on hot paths, then ``flush()``.
    package let output: ByteQueue
    /// Bytes received that no reply was made of yet.
    package let input: ByteQueue
    private var scanner = ReplyScanner()

    /// Connects and greets: `HELLO` with the credentials, or `AUTH` where `HELLO` is unknown.
    ///
    /// - Throws: ``ClientError``; ``ClientError/refused(_:)`` when the greeting is.
    package init(_ configuration: ClientConfiguration) throws(ClientError) {
        self.configuration = configuration
        socket = try Socket.connect(
            to: configuration.endpoint,
            timeout: configuration.connectTimeout
        )
        output = ByteQueue()
        input = ByteQueue()
        if let options = configuration.tls {
            try socket.startTLS(
                with: configuration.endpoint,
                options,
                timeout: configuration.connectTimeout
            )
        }
        try greet()
    }

    private func greet() throws(ClientError) {
        var words = ["HELLO", String(configuration.protocolVersion)]
        if let credentials = configuration.credentials {
            words += ["AUTH", credentials.user ?? "default", credentials.password]
        }
        let reply = try call(words)
        guard let refusal = reply.errorText else {
            greeting = reply
            return
        }
        guard refusal.hasPrefix("ERR unknown command") else { throw .refused(refusal) }
        guard let credentials = configuration.credentials else { return }
        let user = credentials.user.map { [$0] } ?? []
        if let text = try call(["AUTH"] + user + [credentials.password]).errorText {
            throw .refused(text)
        }
    }

    /// Sends one request and reads its reply.
    package func call(_ words: String...) throws(ClientError) -> Reply {
        try call(words)
    }

    /// Sends one request and reads its reply.
    package func call(_ words: [String]) throws(ClientError) -> Reply {
        output.appendRequest(words)
        return try receive()
    }

    /// Sends one request of raw words and reads its reply.
    package func call(bytes words: [[UInt8]]) throws(ClientError) -> Reply {
        output.appendRequest(wordCount: words.count)
        for word in words { output.appendBulk(word) }
        return try receive()
    }

    /// Sends all requests at once and reads all replies, in order.
    package func pipeline(_ requests: [[String]]) throws(ClientError) -> [Reply] {
        for words in requests { output.appendRequest(words) }
        var replies: [Reply] = []
        replies.reserveCapacity(requests.count)
        for _ in requests { replies.append(try receive()) }
        return replies
    }

    /// Sends everything in ``output``. Keeps reading meanwhile, so a long pipeline cannot jam.
    package func flush() throws(ClientError) {
        while !output.isEmpty {
            let sent = try socket.send(output.bytes)
            output.take(sent)
            if sent == 0 {
                if try socket.receive(into: input) == 0 {
                    try socket.wait(for: .writable, timeout: configuration.timeout)
                }
            }
        }
    }

    /// Reads one reply, sending what is not sent yet. Skips pushes.
    package func receive() throws(ClientError) -> Reply {
        while true {
            let reply = try receiveAny()
            if case .push = reply { continue }
            return reply
        }
    }

    /// Reads one reply or push.
    package func receiveAny() throws(ClientError) -> Reply {
        try flush()
        while true {
            if let found = try scanner.next(in: input.bytes) {
                let bytes = UnsafeRawBufferPointer(rebasing: input.bytes[..<found.byteCount])
                let reply = try ReplyParser.parse(bytes)
                input.take(found.byteCount)
                return reply
            }
            if try socket.receive(into: input) == 0 {
                try socket.wait(for: .readable, timeout: configuration.timeout)
            }
        }
    }
}
