/// Why bytes of a client are not a request. The connection cannot go on after any of these: the
/// place where the next request would begin is unknown.
package enum RESPDecodeError: Error, Equatable, Sendable {
    /// An array's count is not a number or is over the limit.
    case invalidMultibulkLength
    /// A bulk string's length is not a number, is negative or is over the limit.
    case invalidBulkLength
    /// An argument does not begin with `$`; carries the byte found.
    case expectedBulk(found: UInt8)
    /// A quote of an inline request is not closed, or is followed by other text.
    case unbalancedQuotes
    /// An inline request is longer than ``RequestDecoder/inlineByteCountMax``.
    case inlineTooLong
    /// A client that has not authenticated sent more arguments than it may.
    case unauthenticatedMultibulkLength
    /// A client that has not authenticated sent a longer argument than it may.
    case unauthenticatedBulkLength

    /// The reply's text, as Redis words it, without the leading `-` and the line's end.
    package var message: String {
        let reason =
            switch self {
            case .invalidMultibulkLength: "invalid multibulk length"
            case .invalidBulkLength: "invalid bulk length"
            case .expectedBulk(let found):
                "expected '$', got '\(Self.printable(found))'"
            case .unbalancedQuotes: "unbalanced quotes in request"
            case .inlineTooLong: "too big inline request"
            case .unauthenticatedMultibulkLength: "unauthenticated multibulk length"
            case .unauthenticatedBulkLength: "unauthenticated bulk length"
            }
        return "ERR Protocol error: \(reason)"
    }

    /// A byte as it may stand in a message: a blank for what cannot be printed.
    private static func printable(_ byte: UInt8) -> String {
        byte >= 32 && byte < 127 ? String(UnicodeScalar(byte)) : " "
    }
}
