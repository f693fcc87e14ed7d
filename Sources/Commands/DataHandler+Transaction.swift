import Engine
import Primitives
import Query
import RESP

/// What `MULTI` has collected on one connection.
final class QueuedTransaction {
    var operations: [WriteOperation] = []
    var replies: [QueuedReply] = []
    /// About what the operations hold.
    var byteCount = 0

    /// Operations and bytes of one transaction: a commit takes no more, and a connection may not
    /// hold more.
    static let operationCountMax = 65_536
    static let byteCountMax = 64 << 20
}

/// How one queued command's results become its reply.
enum QueuedReply {
    /// One operation, one reply.
    case one(Int)
    /// `REMOVE c id..`: the sum.
    case sum(Range<Int>)
    /// `MFETCH`: an array.
    case list(Range<Int>)
    case pong
    case bulk([UInt8])

    func write(_ results: [WriteResult], _ writer: inout ReplyWriter) {
        switch self {
        case .one(let index): writer.result(results[index])
        case .sum(let range):
            var sum = 0
            for index in range {
                if case .removed(let count) = results[index] { sum += count }
            }
            writer.integer(sum)
        case .list(let range):
            writer.array(range.count)
            for index in range { writer.result(results[index]) }
        case .pong: writer.simple("PONG")
        case .bulk(let bytes): writer.bulk(bytes)
        }
    }
}

/// `MULTI`, `EXEC`, `DISCARD` and queueing between them.
extension DataHandler {
    func transaction(
        _ name: CommandName, _ session: Session, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        switch name {
        case .multi:
            if session.transaction != nil {
                session.transactionIsBroken = true
                reply.error("ERR MULTI calls can not be nested")
            } else {
                session.transaction = QueuedTransaction()
                session.transactionIsBroken = false
                reply.ok()
            }
            return .replied
        case .discard:
            guard session.transaction != nil else {
                reply.error("ERR DISCARD without MULTI")
                return .replied
            }
            session.transaction = nil
            session.transactionIsBroken = false
            reply.ok()
            return .replied
        default:
            return exec(session, &reply)
        }
    }

    private func exec(_ session: Session, _ reply: inout ReplyWriter) -> Disposition {
        guard let queued = session.transaction as? QueuedTransaction else {
            reply.error("ERR EXEC without MULTI")
            return .replied
        }
        let isBroken = session.transactionIsBroken
        session.transaction = nil
        session.transactionIsBroken = false
        if isBroken {
            reply.error("EXECABORT Transaction discarded because of previous errors.")
            return .replied
        }
        if queued.operations.isEmpty {
            reply.array(queued.replies.count)
            for item in queued.replies { item.write([], &reply) }
            return .replied
        }
        submit(.transaction(queued.operations), session, .transaction(queued.replies))
        return .deferredWrite
    }

    /// Queues one command of a transaction.
    func queue(
        _ name: CommandName, _ request: RequestFrame, _ session: Session,
        _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        guard let queued = session.transaction as? QueuedTransaction else {
            preconditionFailure("a transaction to queue in")
        }
        guard queued.replies.count < limits.transactionCommandCountMax else {
            throw EngineError(
                .limit, "MULTI", "at most \(limits.transactionCommandCountMax) commands")
        }
        let start = queued.operations.count
        var operations: [WriteOperation] = []
        var form = QueuedReply.one(start)
        switch name {
        case .put: operations = [try putOperation(request)]
        case .patch: operations = [try patchOperation(request)]
        case .remove:
            guard !request.equals(2, "WHERE") else {
                throw EngineError(.syntax, "WHERE", "is not allowed inside a transaction")
            }
            operations = try removeOperations(request)
            form = .sum(start..<start + operations.count)
        case .fetch: operations = [try fetchOperation(request)]
        case .mfetch:
            operations = try fetchOperations(request)
            form = .list(start..<start + operations.count)
        case .ping:
            form = request.count > 1 ? .bulk(request.array(1)) : .pong
        case .echo:
            form = .bulk(request.array(1))
        default:
            throw EngineError(.generic, "", "the command is not allowed inside a transaction")
        }
        queued.byteCount += operations.reduce(0) { $0 + $1.byteCount }
        guard start + operations.count <= QueuedTransaction.operationCountMax,
            queued.byteCount <= QueuedTransaction.byteCountMax
        else {
            queued.operations = []
            throw EngineError(
                .limit, "MULTI",
                "at most \(QueuedTransaction.operationCountMax) operations and "
                    + "\(QueuedTransaction.byteCountMax) bytes")
        }
        let number = queued.replies.count + 1
        for index in operations.indices { operations[index].commandNumber = number }
        queued.operations += operations
        queued.replies.append(form)
        reply.simple("QUEUED")
        return .replied
    }

    private func fetchOperation(_ request: RequestFrame) throws(EngineError) -> WriteOperation {
        let view = try view(request)
        let id = try id(request, 2)
        let rules = [OptionRule("FIELDS"), OptionRule("META", 0)]
        let shape = try PointShape(try Options(request, from: 3, rules), self)
        return WriteOperation(
            kind: .fetch(shape.projection, withMeta: shape.wantsMeta), collection: view,
            id: [UInt8](id))
    }

    private func fetchOperations(_ request: RequestFrame) throws(EngineError) -> [WriteOperation] {
        let view = try view(request)
        let rules = [OptionRule("FIELDS"), OptionRule("META", 0), OptionRule("IDS")]
        let (ids, options) = try idList(request, rules)
        let shape = try PointShape(options, self)
        var operations: [WriteOperation] = []
        for id in ids {
            try id.withBytes(request) { (bytes) throws(EngineError) in
                try checkID(bytes)
                operations.append(
                    WriteOperation(
                        kind: .fetch(shape.projection, withMeta: shape.wantsMeta),
                        collection: view, id: [UInt8](bytes)))
            }
        }
        return operations
    }
}
