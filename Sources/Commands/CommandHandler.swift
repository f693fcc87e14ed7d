package import RESP

/// Carries out the data verbs. One per event loop; called only on that loop.
///
/// Before `handle` is called the server has looked the command up (`request.commandIndex`), checked
/// its arity, the user's right to it and to the collection in its first argument, and, while
/// `session.transaction` is set, that it may be queued.
package protocol CommandHandler: AnyObject {
    /// Carries out one request, or starts to. `request` and its bytes are valid until this returns.
    /// With `.replied` and `.close` exactly one reply was written; with the deferred dispositions
    /// none was, and ``Session/makeDeferral()`` was called once.
    func handle(
        _ request: RequestFrame,
        session: Session,
        reply: inout ReplyWriter
    ) -> Disposition
    /// The connection is gone: forget its cursors, transaction and deferrals.
    func sessionClosed(_ session: Session)
    /// The last request of one read was handled: hand over what was collected.
    func endOfBatch()
}

/// What became of a request.
package enum Disposition: Sendable {
    /// The reply was written.
    case replied
    /// The reply comes later, in its place; following writes may be handled meanwhile.
    case deferredWrite
    /// The reply comes later; nothing else of this connection is handled before.
    case deferredRead
    /// The reply was written; close once it is sent.
    case close
}

/// The place of a reply that comes later, within its session.
package struct DeferralID: Hashable, Sendable {
    /// Counts the session's deferrals and what was answered behind them.
    package let rawValue: UInt64
}

/// The connection's side of a session.
package protocol SessionTransport: AnyObject {
    /// There is output, or room for more input: look at the session at the end of this tick.
    func sessionNeedsService(_ session: Session)
    /// A deferred request was answered: `commandIndex` and the time at which it began.
    func sessionAnswered(_ session: Session, commandIndex: Int, startedAt: UInt64)
    /// Close now, without waiting for replies.
    func sessionMustClose(_ session: Session, reason: String)
}
