import Client

/// Finds the ends of replies in what a server sends.
enum ReplyCounter {
    case resp(ReplyScanner)
    /// A reply ends with ReadyForQuery; `sawError` since the last one.
    case postgres(offset: Int, sawError: Bool)

    /// One whole reply.
    struct Found {
        let byteCount: Int
        let isError: Bool
    }

    init(protocolName: String) throws(BenchFailure) {
        switch protocolName {
        case "resp": self = .resp(ReplyScanner())
        case "postgres": self = .postgres(offset: 0, sawError: false)
        default: throw BenchFailure("the protocol is resp or postgres")
        }
    }

    /// The reply at the start of `bytes`; nil when more are needed: then come again with the same
    /// bytes and more.
    mutating func next(in bytes: UnsafeRawBufferPointer) throws(BenchFailure) -> Found? {
        switch self {
        case .resp(var scanner):
            let found: ReplyScanner.Found?
            do {
                found = try scanner.next(in: bytes)
            } catch {
                throw BenchFailure("\(error)")
            }
            self = .resp(scanner)
            return found.map {
                Found(
                    byteCount: $0.byteCount,
                    isError: $0.kind == UInt8(ascii: "-") || $0.kind == UInt8(ascii: "!"))
            }
        case .postgres(var offset, var sawError):
            while offset + 5 <= bytes.count {
                let length = (1...4).reduce(0) { $0 << 8 | Int(bytes[offset + $1]) }
                guard offset + 1 + length <= bytes.count else { break }
                let kind = bytes[offset]
                offset += 1 + length
                if kind == UInt8(ascii: "E") { sawError = true }
                if kind == UInt8(ascii: "Z") {
                    self = .postgres(offset: 0, sawError: false)
                    return Found(byteCount: offset, isError: sawError)
                }
            }
            self = .postgres(offset: offset, sawError: sawError)
            return nil
        }
    }
}
