import Commands
import RESP

/// Answers while the data directory is being opened: hardly anything comes this far, for the server
/// itself refuses what needs data.
final class LoadingHandler: CommandHandler {
    private let progress: @Sendable () -> String

    init(progress: @escaping @Sendable () -> String) { self.progress = progress }

    func handle(
        _ request: RequestFrame, session: Session, reply: inout ReplyWriter
    ) -> Disposition {
        guard CommandTable.shared.specs[request.commandIndex].name == .health else {
            reply.error("LOADING \(progress())")
            return .replied
        }
        reply.map(7)
        reply.bulk("state")
        reply.bulk("loading")
        reply.bulk("live")
        reply.bool(true)
        reply.bulk("ready")
        reply.bool(false)
        reply.bulk("writes")
        reply.bulk("refused")
        reply.bulk("documents")
        reply.integer(0)
        reply.bulk("version")
        reply.integer(0)
        reply.bulk("problems")
        reply.array(1)
        reply.bulk(progress())
        return .replied
    }

    func sessionClosed(_ session: Session) {}

    func endOfBatch() {}
}
