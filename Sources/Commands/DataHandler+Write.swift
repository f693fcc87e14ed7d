import Documents
package import Engine
import Primitives
import Query
import RESP
import Schema

/// A write that the committer has, and what to do with its result.
struct PendingWrite {
    enum Target {
        /// Answer in the session's reply order.
        case reply(Session, DeferralID, WriteReplyForm)
        /// Go on with a larger operation.
        case resume((WriteResult) -> Void)
    }
    var target: Target
}

/// How a write's result is written.
enum WriteReplyForm {
    case written
    case removed
    case ok
    case transaction([QueuedReply])
}

/// `PUT`, `PATCH`, `REMOVE` and the way of their results back.
extension DataHandler {
    private static let putRules = [
        OptionRule("IF"), OptionRule("ABSENT", 0), OptionRule("PRESENT", 0), OptionRule("VERSION"),
        OptionRule("VEC", 2), OptionRule("TTL"), OptionRule("RETURN"), OptionRule("KEY"),
        OptionRule("PARAMS"), OptionRule("BLOB", 2),
    ]
    private static let patchRules = [
        OptionRule("IF"), OptionRule("VERSION"), OptionRule("RETURN"), OptionRule("UPSERT", 0),
        OptionRule("TTL"), OptionRule("PERSIST", 0), OptionRule("KEY"), OptionRule("PARAMS"),
        OptionRule("BLOB", 2), OptionRule("VEC", 2),
    ]
    private static let removeRules = [
        OptionRule("IDS"), OptionRule("WHERE"), OptionRule("LIMIT"), OptionRule("KEY"),
        OptionRule("PARAMS"), OptionRule("BLOB", 2), OptionRule("TIMEOUT"),
    ]
    private static let removeIDRules = [OptionRule("IDS"), OptionRule("KEY")]

    // MARK: - Commands

    func put(_ request: RequestFrame, _ session: Session) throws(EngineError) -> Disposition {
        submit(.one(try putOperation(request)), session, .written)
        return .deferredWrite
    }

    func patch(_ request: RequestFrame, _ session: Session) throws(EngineError) -> Disposition {
        submit(.one(try patchOperation(request)), session, .written)
        return .deferredWrite
    }

    func remove(_ request: RequestFrame, _ session: Session) throws(EngineError) -> Disposition {
        if request.equals(2, "WHERE") { return try removeWhere(request, session) }
        let operations = try removeOperations(request)
        if operations.count == 1, let only = operations.first {
            submit(.one(only), session, .removed)
        } else {
            submit(
                .removeMany(
                    operations[0].collection, operations.map(\.id), condition: .always,
                    idempotencyKey: operations[0].idempotencyKey), session, .removed)
        }
        return .deferredWrite
    }

    // MARK: - Operations

    func putOperation(_ request: RequestFrame) throws(EngineError) -> WriteOperation {
        let view = try view(request)
        let id = try id(request, 2)
        let document = request.bytes(3)
        guard document.count <= limits.documentByteCountMax else {
            throw EngineError(
                .limit, "document",
                "at most \(limits.documentByteCountMax) bytes, got \(document.count)")
        }
        var vectors: [PreparedDocument.VectorValue] = []
        var options: Options?
        if request.count > 4 {
            let read = try Options(request, from: 4, Self.putRules)
            vectors = try self.vectors(read, view)
            options = read
        }
        var filledIn: [UInt8]?
        if let options, options.hasParams { filledIn = try substituted(document, options.params) }
        let prepared: PreparedDocument
        if let filledIn {
            let result = filledIn.withUnsafeBytes { bytes in
                Result { () throws(EngineError) in try prepare(bytes, view, vectors) }
            }
            prepared = try result.get()
        } else {
            prepared = try prepare(document, view, vectors)
        }
        var operation = WriteOperation(kind: .put(prepared), collection: view, id: [UInt8](id))
        if let options {
            try options.refuse("ABSENT", with: "PRESENT")
            try apply(options, to: &operation)
        }
        return operation
    }

    /// A document with parameters put in.
    private func substituted(
        _ document: UnsafeRawBufferPointer, _ params: Params
    ) throws(EngineError) -> [UInt8] {
        let json = try Options.json(document, path: "document")
        var bytes: [UInt8] = []
        do {
            try params.substitute(json).serialize(into: &bytes)
        } catch {
            throw EngineError(error)
        }
        guard bytes.count <= limits.documentByteCountMax else {
            throw EngineError(
                .limit, "document",
                "at most \(limits.documentByteCountMax) bytes, got \(bytes.count)")
        }
        return bytes
    }

    private func prepare(
        _ document: UnsafeRawBufferPointer, _ view: CollectionView,
        _ vectors: [PreparedDocument.VectorValue]
    ) throws(EngineError) -> PreparedDocument {
        do {
            var prepared = try preparer.prepare(
                document, schema: view.writeSchema, parser: context.parser,
                nowMilliseconds: Clock.wallMilliseconds(), heldVectors: vectors.map(\.field))
            if !vectors.isEmpty {
                prepared.vectors.removeAll { held in
                    vectors.contains { $0.field == held.field }
                }
                prepared.vectors += vectors
                prepared.vectors.sort { $0.field < $1.field }
            }
            return prepared
        } catch {
            throw EngineError(error)
        }
    }

    private func vectors(
        _ options: Options, _ view: CollectionView
    ) throws(EngineError) -> [PreparedDocument.VectorValue] {
        var values: [PreparedDocument.VectorValue] = []
        for (name, bytes) in try options.vectors() {
            guard let field = view.writeSchema.field(at: name) else {
                throw EngineError(.invalid, name, "is no declared vector field")
            }
            guard !values.contains(where: { $0.field == field.number }) else {
                throw EngineError(.syntax, "VEC", "\(name) is given twice")
            }
            do {
                values.append(
                    try bytes.withUnsafeBytes { (raw) throws(ValidationError) in
                        try DocumentPreparer.vector(raw, for: field)
                    })
            } catch let error as ValidationError {
                throw EngineError(error)
            } catch {
                throw EngineError(.invalid, name, "is a vector")
            }
        }
        return values
    }

    func patchOperation(_ request: RequestFrame) throws(EngineError) -> WriteOperation {
        let view = try view(request)
        let id = try id(request, 2)
        let options = try Options(request, from: 4, Self.patchRules)
        try options.refuse("TTL", with: "PERSIST")
        let updateByteCount = request.bytes(3).count
        guard updateByteCount <= limits.documentByteCountMax else {
            throw EngineError(
                .limit, "update",
                "at most \(limits.documentByteCountMax) bytes, got \(updateByteCount)")
        }
        var json = try Options.json(request.bytes(3), path: "update")
        let update: Update
        do {
            json = try options.params.substitute(json)
            update = try Update(json)
            for condition in update.pullConditions { try PullMatching.validate(condition) }
        } catch let error as QueryError {
            throw EngineError(error)
        } catch let error as UpdateError {
            throw EngineError(error)
        } catch {
            throw EngineError(.invalid, "update", "is an update")
        }
        var operation = WriteOperation(
            kind: .patch(update, upsert: options.has("UPSERT")), collection: view, id: [UInt8](id))
        operation.patchVectors = try vectors(options, view)
        operation.updateByteCount = updateByteCount
        try apply(options, to: &operation)
        if options.has("PERSIST") { operation.expiry = .clear }
        return operation
    }

    func removeOperations(_ request: RequestFrame) throws(EngineError) -> [WriteOperation] {
        let view = try view(request)
        let (ids, options) = try idList(request, Self.removeIDRules)
        guard !ids.isEmpty else { throw EngineError(.syntax, "REMOVE", "names no id") }
        var operations: [WriteOperation] = []
        for id in ids {
            try id.withBytes(request) { (bytes) throws(EngineError) in
                try checkID(bytes)
                operations.append(
                    WriteOperation(kind: .remove, collection: view, id: [UInt8](bytes)))
            }
        }
        if let key = try options.idempotencyKey() {
            // Within a transaction each id answers for itself, so each has a key of its own.
            for index in operations.indices {
                // Their first byte sets them apart from those that clients give.
                operations[index].idempotencyKey =
                    index == 0 ? key : [1] + "\(index)".utf8 + key
            }
        }
        return operations
    }

    private func apply(
        _ options: Options, to operation: inout WriteOperation
    ) throws(EngineError) {
        var conditions = 0
        if let filter = try options.filter("IF", limits: limits) {
            operation.condition = .matches(try compile(filter, operation.collection))
            conditions += 1
        }
        if options.has("ABSENT") {
            operation.condition = .absent
            conditions += 1
        }
        if options.has("PRESENT") {
            operation.condition = .present
            conditions += 1
        }
        if let version = try options.version("VERSION") {
            operation.condition = .version(version)
            conditions += 1
        }
        guard conditions <= 1 else {
            throw EngineError(.syntax, "IF", "only one of IF, ABSENT, PRESENT and VERSION")
        }
        if let milliseconds = try options.milliseconds("TTL") {
            operation.expiry = .at(Clock.wallMilliseconds() + milliseconds)
        }
        switch try options.text("RETURN")?.lowercased() {
        case nil: break
        case "old": operation.returning = .old
        case "new": operation.returning = .new
        default: throw EngineError(.syntax, "RETURN", "is old or new")
        }
        operation.idempotencyKey = try options.idempotencyKey()
    }

    func compile(
        _ filter: Filter, _ view: CollectionView
    ) throws(EngineError) -> CompiledFilter {
        do {
            return try CompiledFilter(
                filter, schema: view.schema, nowMilliseconds: Clock.wallMilliseconds())
        } catch {
            throw EngineError(error)
        }
    }

    // MARK: - REMOVE WHERE

    private func removeWhere(
        _ request: RequestFrame, _ session: Session
    ) throws(EngineError) -> Disposition {
        let view = try view(request)
        let options = try Options(request, from: 2, Self.removeRules)
        guard !options.has("IDS") else {
            throw EngineError(.syntax, "IDS", "cannot stand beside WHERE")
        }
        guard let filter = try options.filter("WHERE", limits: limits) else {
            throw EngineError(.syntax, "WHERE", "a filter is missing")
        }
        let bound = try options.integer("LIMIT", 0...Int.max)
        let compiled = try compile(filter, view)
        var find = FindRequest(view: view, filter: compiled, limit: 0)
        if let timeout = try options.milliseconds("TIMEOUT") {
            find.deadlineNanoseconds =
                Clock.monotonicNanoseconds() + UInt64(timeout) * 1_000_000
        }
        let execution = try FindExecution(find, context: context)
        let deferral = session.makeDeferral()
        let removal = BulkRemoval(
            view: view, condition: .matches(compiled), limit: bound ?? Int.max,
            key: try options.idempotencyKey())
        guard let key = removal.key else {
            search(execution, removal, session, deferral)
            return .deferredRead
        }
        ask(
            { $0.firstReply(key) ?? .done },
            then: { [weak self] result in
                guard case .done = result else {
                    return session.fulfil(deferral) { $0.result(result) }
                }
                self?.search(execution, removal, session, deferral)
            })
        return .deferredRead
    }

    /// Finds what is to be removed, then removes it.
    private func search(
        _ execution: FindExecution, _ removal: BulkRemoval, _ session: Session,
        _ deferral: DeferralID
    ) {
        addSlice(session) { [weak self] deadline in
            guard let self else { return false }
            do throws(EngineError) {
                guard try execution.run(until: deadline),
                    execution.gatherIDs(
                        from: &removal.place, into: &removal.ids, limit: removal.limit,
                        until: deadline)
                else { return true }
                execution.finish()
                continueRemoval(removal, session, deferral)
            } catch {
                session.fulfil(deferral) { $0.error(error) }
            }
            return false
        }
    }

    /// Asks the committer between two groups.
    private func ask(
        _ question: @escaping @Sendable (Committer) throws -> WriteResult,
        then resume: @escaping (WriteResult) -> Void
    ) {
        let ticket = nextTicket
        nextTicket += 1
        pending[ticket] = PendingWrite(target: .resume(resume))
        collected.append(
            WriteRequest(
                .administrative(question),
                ticket: WriteTicket(loop: loopIndex, session: 0, deferral: ticket)))
    }

    /// Removes the next thousand of those that still match.
    private func continueRemoval(
        _ removal: BulkRemoval, _ session: Session, _ deferral: DeferralID
    ) {
        let batch = removal.takeBatch()
        guard !batch.isEmpty else {
            let count = removal.removed
            guard let key = removal.key else {
                return session.fulfil(deferral) { $0.integer(count) }
            }
            ask(
                { try $0.once(key) { .removed(count) } },
                then: { result in
                    session.fulfil(deferral) { $0.result(result) }
                })
            endOfBatch()
            return
        }
        let ticket = nextTicket
        nextTicket += 1
        pending[ticket] = PendingWrite(
            target: .resume { [weak self] result in
                switch result {
                case .removed(let count):
                    removal.removed += count
                    self?.continueRemoval(removal, session, deferral)
                    self?.endOfBatch()
                case .failed(let error):
                    session.fulfil(deferral) { $0.error(error) }
                default:
                    session.fulfil(deferral) { $0.error("ERR the removal failed") }
                }
            })
        collected.append(
            WriteRequest(
                .removeMany(
                    removal.view, batch, condition: removal.condition, idempotencyKey: nil),
                ticket: WriteTicket(loop: loopIndex, session: session.id, deferral: ticket)))
        endOfBatch()
    }

    // MARK: - To the committer and back

    func submit(_ body: WriteRequest.Body, _ session: Session, _ form: WriteReplyForm) {
        let deferral = session.makeDeferral()
        let ticket = nextTicket
        nextTicket += 1
        pending[ticket] = PendingWrite(target: .reply(session, deferral, form))
        collected.append(
            WriteRequest(
                body, ticket: WriteTicket(loop: loopIndex, session: session.id, deferral: ticket)))
    }

    /// Takes finished writes back. On the loop.
    package func complete(_ completions: [WriteCompletion]) {
        for completion in completions {
            finish(completion.ticket.deferral, completion.result)
        }
    }

    func finish(_ ticket: UInt64, _ result: WriteResult) {
        guard let write = pending.removeValue(forKey: ticket) else { return }
        switch write.target {
        case .resume(let resume): resume(result)
        case .reply(let session, let deferral, let form):
            session.fulfil(deferral) { writer in Self.write(result, form, &writer) }
        }
    }

    private static func write(
        _ result: WriteResult, _ form: WriteReplyForm, _ writer: inout ReplyWriter
    ) {
        switch (result, form) {
        case (.failed(let error), _): writer.error(error)
        case (.transaction(let results), .transaction(let replies)):
            writer.array(replies.count)
            for reply in replies { reply.write(results, &writer) }
        case (.removed(let count), _): writer.integer(count)
        case (.number(let number), _): writer.integer(number)
        case (_, .ok): writer.ok()
        default: writer.result(result)
        }
    }
}

/// A `REMOVE WHERE` under way.
final class BulkRemoval {
    let view: CollectionView
    let condition: WriteCondition
    let limit: Int
    let key: [UInt8]?
    var ids: [[UInt8]] = []
    /// How far the ids have been gathered.
    var place = RowPlace.start
    var removed = 0
    private var next = 0

    init(view: CollectionView, condition: WriteCondition, limit: Int, key: [UInt8]?) {
        self.view = view
        self.condition = condition
        self.limit = limit
        self.key = key
    }

    func takeBatch() -> [[UInt8]] {
        let end = min(ids.count, next + 1000)
        defer { next = end }
        return Array(ids[next..<end])
    }
}

extension ReplyWriter {
    /// A write's result on its own.
    mutating func result(_ result: WriteResult) {
        switch result {
        case .written(let id, let version, let returned):
            map(returned == nil ? 2 : 3)
            bulk("id")
            bulk(id)
            bulk("version")
            self.version(version)
            if let returned {
                bulk("doc")
                if let returned { bulk(returned) } else { null() }
            }
        case .removed(let count): integer(count)
        case .document(let bytes):
            if let bytes { bulk(bytes) } else { null() }
        case .documentWithMeta(let id, let version, let document, let expiry):
            map(expiry == 0 ? 3 : 4)
            bulk("id")
            bulk(id)
            bulk("version")
            self.version(version)
            bulk("doc")
            bulk(document)
            if expiry != 0 {
                bulk("expires_at")
                bulk(DateTime.format(expiry))
            }
        case .value(let bytes): bulk(bytes)
        case .number(let number): integer(number)
        case .transaction(let results):
            array(results.count)
            for result in results { self.result(result) }
        case .done: ok()
        case .failed(let error): self.error(error)
        }
    }
}
