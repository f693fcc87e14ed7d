import DocumentStore
import Documents
import Foundation
import Primitives
import Query
import Schema
import Synchronization
import TestSupport
import Testing

@testable import Engine
@testable import Partition

/// An engine on a directory of its own, with writes that wait for their answers.
///
/// Use from one thread, but for ``write(_:)``, which any thread may call.
final class EngineHarness: @unchecked Sendable {
    // Sendable: `answers` is behind its lock; `engine` and `context` change between phases only.
    let directory: String
    /// Replaced as one: a context keeps its engine's store open, and with it the directory's lock.
    private var opened: (engine: Engine, context: ReadContext)?
    private let answers = Guarded<[UInt64: WriteResult]>([:])
    private let nextTicket = Atomic<UInt64>(1)
    private var options: EngineOptions

    init(
        partitions: Int = 3, durability: Durability = .commit, directory known: String? = nil,
        _ change: (inout EngineOptions) -> Void = { _ in }
    ) throws {
        _ = Self.sweep
        directory =
            known ?? NSTemporaryDirectory() + Self.prefix + "\(getpid())-" + UUID().uuidString
        options = EngineOptions(directory: directory, partitionCount: partitions, loopCount: 2)
        options.durability = durability
        change(&options)
        try open()
    }

    private static let prefix = "aisle-engine-"

    /// Removes, once in a process, what test processes that were killed have left behind.
    private static let sweep: Void = {
        let place = NSTemporaryDirectory()
        for name in (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
        where name.hasPrefix(prefix) {
            let owner = name.dropFirst(prefix.count).prefix { $0 != "-" }
            guard let owner = pid_t(owner), kill(owner, 0) != 0, errno == ESRCH else { continue }
            try? FileManager.default.removeItem(atPath: place + name)
        }
    }()

    var engine: Engine {
        guard let opened else { fatalError("an engine that is open") }
        return opened.engine
    }

    var context: ReadContext {
        guard let opened else { fatalError("an engine that is open") }
        return opened.context
    }

    private func open() throws {
        let engine = try Self.unlocked { try Engine(options) }
        opened = (engine, try engine.makeReadContext(loop: 0))
        listen()
    }

    /// A child that a test beside this one forks for its snapshot has this directory's lock too,
    /// for the moment until it closes what it does not need.
    private static func unlocked<T>(_ body: () throws -> T) throws -> T {
        for _ in 0..<100 {
            do {
                return try body()
            } catch StoreError.locked {
                usleep(10_000)
            }
        }
        return try body()
    }

    private func close() {
        opened?.context.endTransaction()
        opened?.engine.close()
        opened = nil
    }

    private func listen() {
        engine.shared.setCompletionSink { [weak self] completions in
            self?.answers.withLock { answers in
                for completion in completions {
                    answers[completion.ticket.deferral] = completion.result
                }
            }
        }
    }

    deinit {
        close()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Closes the engine and opens the directory again.
    func reopen() throws {
        close()
        try open()
    }

    // MARK: - Writes

    /// Hands requests over together and waits for all answers, in their order.
    @discardableResult
    func write(_ bodies: [WriteRequest.Body]) -> [WriteResult] {
        var tickets: [UInt64] = []
        let requests = bodies.map { body in
            let ticket = nextTicket.wrappingAdd(1, ordering: .relaxed).oldValue
            tickets.append(ticket)
            return WriteRequest(body, ticket: WriteTicket(loop: 0, session: 0, deferral: ticket))
        }
        while !engine.submit(requests) { usleep(500) }
        return tickets.map { ticket in
            while true {
                if let result = answers.withLock({ $0.removeValue(forKey: ticket) }) {
                    return result
                }
                usleep(20)
            }
        }
    }

    @discardableResult
    func write(_ body: WriteRequest.Body) -> WriteResult { write([body])[0] }

    func create(_ name: String, _ schema: String = TestData.schemaText) throws {
        let schema = try TestData.schema(schema)
        let result = write(.administrative { try $0.create(name, schema: schema) })
        if case .failed(let error) = result { throw error }
    }

    var view: CollectionView { view("c") }

    func view(_ name: String) -> CollectionView {
        guard let view = engine.shared.catalog.collection(named: name) else {
            fatalError("the test made the collection \(name)")
        }
        return view
    }

    func put(_ id: String, _ text: String, in name: String = "c") throws -> WriteOperation {
        let view = view(name)
        let prepared = try DocumentPreparer().prepare(
            Array(text.utf8), schema: view.writeSchema, parser: JSONParser(),
            nowMilliseconds: Clock.wallMilliseconds())
        return WriteOperation(kind: .put(prepared), collection: view, id: Array(id.utf8))
    }

    func patch(_ id: String, _ text: String, upsert: Bool = false) throws -> WriteOperation {
        WriteOperation(
            kind: .patch(try Update(JSON(parsing: text)), upsert: upsert), collection: view,
            id: Array(id.utf8))
    }

    func remove(_ id: String) -> WriteOperation {
        WriteOperation(kind: .remove, collection: view, id: Array(id.utf8))
    }

    // MARK: - Reads

    /// The document's text at a version; nil if it is not there.
    func fetch(_ id: String, at version: UInt64? = nil) throws -> String? {
        let pinned = context.pins.acquire()
        defer { context.pins.release(pinned) }
        if let version { try context.check(Version(version)) }
        return try Array(id.utf8).withUnsafeBytes { bytes in
            try context.withPoint(view, id: bytes, at: version.map { Version($0) } ?? pinned) {
                $0.map { String(decoding: $0.document, as: UTF8.self) }
            }
        }
    }

    func request(_ filter: String = "{}", sort: String? = nil, limit: Int = 1000) throws
        -> FindRequest
    {
        let view = view
        var request = FindRequest(
            view: view, filter: try TestData.compile(filter, view.schema), limit: limit)
        if let sort { request.sort = try SortSpec(parsing: sort) }
        return request
    }

    func find(_ request: FindRequest) throws -> FindOutcome {
        let execution = try FindExecution(request, context: context)
        defer { execution.finish() }
        while try !execution.run(until: Clock.monotonicNanoseconds() + 100_000) {}
        return execution.outcome
    }

    /// Everything as one text: ids in order with their versions and documents.
    func contents() throws -> String {
        var lines: [String] = []
        for hit in try find(request(limit: 100_000)).hits {
            let document = try context.withDocument(hit.key) {
                String(decoding: $0, as: UTF8.self)
            }
            let id = String(decoding: hit.id, as: UTF8.self)
            lines.append("\(id) \(hit.key.version.rawValue) \(document)")
        }
        context.endTransaction()
        return lines.joined(separator: "\n")
    }

    /// Runs a job to its end.
    func run(_ kind: String, _ body: @escaping @Sendable (JobContext) throws -> String)
        -> JobStatus
    {
        let id = engine.shared.jobs.add(kind: kind, collection: "c")
        engine.run(Job(id: id, body: body))
        return wait(for: id)
    }

    func wait(for id: UInt64) -> JobStatus {
        while true {
            if let status = engine.shared.jobs.status(id), status.endedMilliseconds != 0 {
                return status
            }
            usleep(500)
        }
    }

    func alter(_ change: String) throws -> JobStatus {
        let job = AlterJob(collection: "c", change: try JSON(parsing: change))
        return run("ALTER") { try job.run($0) }
    }

    /// Trims whatever no read holds, and says whether nothing is left.
    func trimAll() throws -> Bool {
        for _ in 0..<200 {
            try engine.onCommitter { committer in
                _ = try committer.trimOnce(limit: 512)
                return .done
            }
            if try totals().queued == 0 { return true }
            // The times in the queue are rounded up by an eighth of a second.
            usleep(20_000)
        }
        return false
    }

    /// The live and superseded bytes that the committer counts.
    func totals() throws -> (live: Int, superseded: Int, queued: Int) {
        let box = Mutex((0, 0, 0))
        try engine.onCommitter { committer in
            box.withLock {
                $0 = (
                    committer.trimmer.liveByteCount, committer.trimmer.supersededByteCount,
                    committer.trimmer.count
                )
            }
            return .done
        }
        return box.withLock { $0 }
    }
}

extension WriteResult {
    /// The code of a failure; nil for anything else.
    var code: EngineError.Code? {
        if case .failed(let error) = self { error.code } else { nil }
    }

    var version: UInt64? {
        if case .written(_, let version, _) = self { version.rawValue } else { nil }
    }

    var removedCount: Int? {
        if case .removed(let count) = self { count } else { nil }
    }
}
