import Client
import Foundation

/// A server for tests: remembers what `PUT` brings, and fails as it is told.
final class SinkServer: @unchecked Sendable {
    /// What goes wrong.
    struct Faults: Sendable {
        /// Every so many requests one is answered `BUSY`; 0 for never.
        var busyEvery = 0
        /// The connection is dropped after so many requests, once; 0 for never.
        var dropAfter = 0
        /// Ids that begin so are refused.
        var refusedPrefix: String?
        /// Every further write is answered so after this many.
        var failAfter: (count: Int, reply: String)?
        /// Answer without looking at the request: for measuring.
        var isBlind = false
    }

    let path: String
    private let lock = NSLock()
    private var faults: Faults
    private var documents: [String: String] = [:]
    private var vectors: [String: [UInt8]] = [:]
    private var requestCount = 0
    private var schema: String?
    private let listener: Int32

    init(_ faults: Faults = Faults(), schema: String? = nil) {
        self.faults = faults
        self.schema = schema
        path = NSTemporaryDirectory() + "sink-\(UUID().uuidString.prefix(8)).sock"
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
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
        Thread.detachNewThread { [self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                Thread.detachNewThread { self.serve(client) }
            }
        }
    }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        unlink(path)
    }

    var configuration: ClientConfiguration { ClientConfiguration(endpoint: .unix(path: path)) }
    var stored: [String: String] { lock.withLock { documents } }
    var storedVectors: [String: [UInt8]] { lock.withLock { vectors } }
    var createdSchema: String? { lock.withLock { schema } }
    var count: Int { lock.withLock { requestCount } }

    private func serve(_ client: Int32) {
        defer { close(client) }
        let input = ByteQueue()
        let output = ByteQueue()
        // A request has the form of a reply: an array of bulk strings.
        var scanner = ReplyScanner()
        while true {
            let got = read(client, input.reserve(256 << 10), 256 << 10)
            guard got > 0 else { return }
            input.wrote(got)
            while let found = try? scanner.next(in: input.bytes) {
                if faults.isBlind {
                    output.append("%2\r\n$2\r\nid\r\n$1\r\nx\r\n$7\r\nversion\r\n:1234\r\n")
                } else {
                    let bytes = UnsafeRawBufferPointer(rebasing: input.bytes[..<found.byteCount])
                    guard let request = try? ReplyParser.parse(bytes),
                        let words = request.elements?.map({ $0.bytes ?? [] }),
                        let reply = answer(words)
                    else { return }
                    output.append(reply)
                }
                input.take(found.byteCount)
            }
            while !output.isEmpty {
                let sent = send(
                    client,
                    output.bytes.baseAddress,
                    output.count,
                    Int32(MSG_NOSIGNAL)
                )
                guard sent > 0 else { return }
                output.take(sent)
            }
        }
    }

    /// The reply's bytes; nil drops the connection.
    private func answer(_ words: [[UInt8]]) -> String? {
        let texts = words.map { String(decoding: $0, as: UTF8.self) }
        return lock.withLock {
            switch texts[0] {
            case "HELLO": return "+OK\r\n"
            case "DESCRIBE":
                guard let schema else { return "-NOTFOUND c: no such collection\r\n" }
                return "%1\r\n+schema\r\n$\(schema.utf8.count)\r\n\(schema)\r\n"
            case "CREATE":
                schema = texts[2]
                return "+OK\r\n"
            case "PUT": return put(texts, words)
            default: return "-ERR unknown command '\(texts[0])'\r\n"
            }
        }
    }

    private func put(_ texts: [String], _ words: [[UInt8]]) -> String? {
        requestCount += 1
        if faults.dropAfter > 0, requestCount == faults.dropAfter { return nil }
        if faults.busyEvery > 0, requestCount % faults.busyEvery == 0 {
            return "-BUSY the queue is full\r\n"
        }
        if let fail = faults.failAfter, requestCount > fail.count { return "-\(fail.reply)\r\n" }
        if let prefix = faults.refusedPrefix, texts[2].hasPrefix(prefix) {
            return "-INVALID price: min 0; value -1\r\n"
        }
        documents[texts[2]] = texts[3]
        var at = 4
        while at + 2 < words.count {
            vectors[texts[2] + "/" + texts[at + 1]] = words[at + 2]
            at += 3
        }
        return "*4\r\n$2\r\nid\r\n$1\r\nx\r\n$7\r\nversion\r\n:\(requestCount)\r\n"
    }
}
