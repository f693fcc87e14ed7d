/// Why a client's call failed.
package enum ClientError: Error, Equatable, Sendable {
    /// Nothing answers at the endpoint, or it refused.
    case unreachable(endpoint: String, reason: String)
    /// TLS could not be agreed on: an untrusted certificate, another name, no TLS there.
    case insecure(endpoint: String, reason: String)
    /// The server ended the connection.
    case closed
    /// Nothing moved for this long.
    case timedOut(milliseconds: Int)
    /// A system call failed in the middle of a connection.
    case system(call: String, reason: String)
    /// The bytes are no RESP; the offset counts from the start of the reply.
    case malformed(offset: Int, byte: UInt8)
    /// A reply nests deeper than any server of ours answers.
    case tooDeep(limit: Int)
    /// The server refused the greeting: a wrong password, say.
    case refused(String)
}

extension ClientError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreachable(let endpoint, let reason): "cannot reach \(endpoint): \(reason)"
        case .insecure(let endpoint, let reason): "no TLS with \(endpoint): \(reason)"
        case .closed: "the server closed the connection"
        case .timedOut(let milliseconds): "no answer for \(milliseconds) ms"
        case .system(let call, let reason): "\(call) failed: \(reason)"
        case .malformed(let offset, let byte):
            "the answer is not RESP: byte \(byte) at offset \(offset)"
        case .tooDeep(let limit): "the answer nests deeper than \(limit)"
        case .refused(let text): "the server refused: \(text)"
        }
    }
}
