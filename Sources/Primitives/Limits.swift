/// Every bound of the server, with its default. Crossing one is a named error, never a crash.
package struct Limits: Sendable, Equatable {
    /// Bytes of one RESP frame, all arguments together.
    package var frameByteCountMax = 64 << 20
    /// Arguments of one command.
    package var argumentCountMax = 1 << 20
    /// Bytes of one document as sent.
    package var documentByteCountMax = 1 << 20
    /// Nesting of arrays and objects in a document.
    package var documentDepthMax = 64
    /// Nesting of a filter's operators.
    package var filterDepthMax = 32
    /// Operators and operands of one filter.
    package var filterNodeCountMax = 10_000
    /// Bytes of an id, in UTF-8; at least 1.
    package var idByteCountMax = 512
    /// Bytes of a `$regex` pattern.
    package var regexByteCountMax = 256
    /// Hits of one reply.
    package var limitMax = 1_000
    /// Hits of one reply where none are asked for.
    package var limitDefault = 10
    /// `SKIP` + `LIMIT`.
    package var skipPlusLimitMax = 100_000
    /// Dimensions of a vector.
    package var dimensionsMax = 4_096
    /// How wide a search by nearness may look.
    package var searchWidthMax = 10_000
    /// Vectors of a field in one partition that wait to be linked; beyond it writes wait.
    package var vectorTailCountMax = 20_000
    /// Fields of a schema.
    package var fieldCountMax = 1_024
    /// Ids of one `MFETCH` or `REMOVE`.
    package var idCountMax = 10_000
    /// Bytes of one reply.
    package var replyByteCountMax = 256 << 20
    /// Commands of one `MULTI`.
    package var transactionCommandCountMax = 10_000
    /// Writes that wait for the committer, in bytes.
    package var commitQueueByteCountMax = 256 << 20
    /// `MORE` cursors of one client.
    package var cursorCountMax = 64
    /// Milliseconds after which a `MORE` cursor that nobody asks for is closed.
    package var cursorIdleMilliseconds = 60_000
    /// Milliseconds after which a `MORE` cursor is closed however often it is asked for: it pins a
    /// version, and nothing superseded since can be trimmed.
    package var cursorLifeMilliseconds = 600_000
    /// Values of one facet in a reply.
    package var facetValueCountMax = 1_000
    /// Values of `DISTINCT`, and groups of `STATS … BY`, in a reply.
    package var groupCountMax = 10_000

    package init() {}
}
