import DocumentStore
import Documents
import Partition
import Primitives
import Query
import Schema

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// The one thread that changes anything: it decides writes in their order, commits them to the log
/// in groups with one sync, applies them to the partitions and publishes their version.
///
/// ```
/// take queue ─ stage (conditions, unique keys, patches) ─ append + commit ─ apply ─ publish ─
/// answer
/// ```
/// Invariants:
/// 1. Staging touches nothing shared: a failed commit leaves the engine as it was.
/// 2. Applying cannot fail: everything that can be refused is refused while staging.
/// 3. `published` rises only when every partition has applied all entries up to it.
///
/// Thread rule: everything here runs on the committer's thread, but for `submit` and `stop`.
// SAFETY of `@unchecked Sendable`: shared with loops only for `queue` (which locks) and `shared`
// (which is made of sendable parts); all other members belong to the committer's thread.
package final class Committer: @unchecked Sendable {
    let queue: CommitQueue
    let shared: EngineShared
    let writer: LogWriter
    let reader: LogReader
    let parser = JSONParser()
    let filler = DefaultFiller()
    let preparer: DocumentPreparer
    let pulls = PullMatching()
    var trimmer = LogTrimmer()
    var uniques: [UInt32: [FieldNumber: UniqueTable]] = [:]
    var expiries = ExpiryQueue()
    /// Until when, on the monotonic clock, expiry rests after a failed commit.
    var expiryPauseEnd: UInt64 = 0
    var replies = IdempotencyTable()
    /// The version of the newest entry in the log.
    var lastVersion: Version
    /// Nothing superseded at or before this version is promised to be there.
    var trimHorizon = Version.zero
    var tail: LogTail?
    var lastSyncNanoseconds: UInt64 = 0
    /// Counts turns of the thread, for work that need not be done each time.
    var maintenanceRound: UInt64 = 0
    /// When the memory is looked at again, on the monotonic clock.
    var nextMemoryWatch: UInt64 = 0
    /// Superseded entries are being deleted until none is over the budget.
    var isTrimming = false
    /// Who links vectors; nil until the engine runs.
    var builders: VectorBuilders?
    /// How often collections were given up: see ``noteUnclean()``.
    var unclean: UInt64 = 0
    /// The id of the next new collection.
    var nextCollection: UInt32 = 1
    let options: EngineOptions
    private var thread: pthread_t?

    init(shared: EngineShared, writer: LogWriter, reader: LogReader, lastVersion: Version) {
        self.shared = shared
        self.writer = writer
        self.reader = reader
        self.lastVersion = lastVersion
        options = shared.options
        preparer = DocumentPreparer()
        queue = CommitQueue(byteCountMax: options.limits.commitQueueByteCountMax)
    }

    // MARK: - The thread

    func start() {
        var handle = pthread_t()
        let box = Unmanaged.passRetained(self)
        let status = pthread_create(&handle, nil, committerMain, box.toOpaque())
        precondition(status == 0, "a thread for the committer")
        thread = handle
    }

    /// Commits what was taken in, then ends the thread. Blocks until it has ended.
    func stop() {
        queue.close()
        if let thread { pthread_join(thread, nil) }
        thread = nil
    }

    fileprivate func run() {
        while let requests = queue.take(deadlineNanoseconds: nextWakeNanoseconds()) {
            process(requests)
            maintain(isIdle: requests.isEmpty)
        }
        syncTail()
    }

    /// When there is something to do even if no write comes.
    private func nextWakeNanoseconds() -> UInt64 {
        let now = Clock.monotonicNanoseconds()
        let isBounded = shared.settings.memoryByteCountMax > 0
        var wake = now + (isBounded ? Self.memoryWatchNanoseconds : 1_000_000_000)
        if let due = expiries.nextMilliseconds, shared.writeRefusal() == nil {
            let wait = min(1000, max(0, due - Clock.wallMilliseconds()))
            wake = min(wake, max(expiryPauseEnd, now + UInt64(wait) * 1_000_000))
        }
        if case .interval(let milliseconds) = options.durability, tail?.isEmpty == false {
            wake = min(wake, lastSyncNanoseconds + UInt64(milliseconds) * 1_000_000)
        }
        if trimmer.count > 0 || shared.reclaimIsPending { wake = min(wake, now + 50_000_000) }
        return wake
    }

    // MARK: - Groups

    /// Works through what was taken from the queue: groups of writes, administrative requests
    /// between them.
    func process(_ requests: [WriteRequest]) {
        var group: [WriteRequest] = []
        var groupByteCount = 0
        for request in requests {
            if case .administrative(let body) = request.body {
                commit(group)
                group = []
                groupByteCount = 0
                runAdministrative(body, ticket: request.ticket)
                continue
            }
            group.append(request)
            groupByteCount += request.byteCount
            if group.count >= 2048 || groupByteCount >= groupByteCountMax {
                commit(group)
                group = []
                groupByteCount = 0
            }
        }
        commit(group)
    }

    /// Bytes of one group. While much of a small log is being rewritten groups stay small beside
    /// it: each group's deletions touch pages all over the log, and pages that one commit frees can
    /// only be used by the next.
    private var groupByteCountMax: Int {
        let live = trimmer.liveByteCount
        guard trimmer.supersededByteCount > live / 8 else { return 2 << 20 }
        return max(64 << 10, min(2 << 20, live / 192))
    }

    private func runAdministrative(
        _ body: @Sendable (Committer) throws -> WriteResult, ticket: WriteTicket?
    ) {
        syncTail()
        let result: WriteResult
        do {
            // A client's change of the catalogue is a write; a job knows what it does.
            if ticket != nil, let refusal = shared.writeRefusal() { throw refusal }
            result = try body(self)
        } catch let error as EngineError {
            abort()
            result = .failed(error)
        } catch let error as StoreError {
            abort()
            result = .failed(shared.report(error))
        } catch {
            abort()
            result = .failed(EngineError(.generic, "", "the change failed"))
        }
        if let ticket { shared.deliver([WriteCompletion(ticket: ticket, result: result)]) }
    }

    /// Stages, commits, applies and answers one group.
    private func commit(_ requests: [WriteRequest]) {
        if requests.isEmpty { return }
        waitForBuilders(requests)
        var stage = StagedGroup()
        var results: [WriteResult] = []
        results.reserveCapacity(requests.count)
        let now = Clock.wallMilliseconds()
        var version = lastVersion
        do { try reader.begin() } catch {
            let failure = shared.report(error)
            answer(requests, requests.map { _ in .failed(failure) })
            return
        }
        for request in requests {
            results.append(decide(request, into: &stage, version: &version, now: now))
        }
        reader.end()
        if !stage.isEmpty {
            if let failure = finish(stage, upTo: version) {
                for index in results.indices where results[index].didWrite {
                    results[index] = .failed(failure)
                }
                replies.dropPending()
            }
        }
        replies.keepPending(now: now)
        answer(requests, results)
    }

    private func answer(_ requests: [WriteRequest], _ results: [WriteResult]) {
        var completions: [WriteCompletion] = []
        completions.reserveCapacity(requests.count)
        for (request, result) in zip(requests, results) {
            if let ticket = request.ticket {
                completions.append(WriteCompletion(ticket: ticket, result: result))
            }
        }
        shared.deliver(completions)
    }

    private func decide(
        _ request: WriteRequest, into stage: inout StagedGroup, version: inout Version, now: Int64
    ) -> WriteResult {
        if request.body.mayWrite, let refusal = shared.writeRefusal() { return .failed(refusal) }
        switch request.body {
        case .one(let operation):
            let next = Version(version.rawValue + 1)
            let result = decideOnce(operation, into: &stage, version: next, index: 0, now: now)
            if case .staged(let result) = result {
                version = next
                return result
            }
            return result.value
        case .removeMany(let view, let ids, let condition, let key):
            if let key, let first = replies.reply(key, now: now) { return first }
            let mark = stage.mark()
            let before = version
            var removed = 0
            for id in ids {
                var operation = WriteOperation(kind: .remove, collection: view, id: id)
                operation.condition = condition
                let next = Version(version.rawValue + 1)
                let result = decideOnce(
                    operation, into: &stage, version: next, index: 0, now: now)
                if case .staged = result {
                    version = next
                    removed += 1
                } else if case .answered(.failed(let error)) = result, error.code != .conflict {
                    // The answer is an error, so none of the command may be committed.
                    stage.rewind(to: mark)
                    version = before
                    return .failed(error)
                }
            }
            if let key { replies.note(key, .removed(removed)) }
            return .removed(removed)
        case .transaction(let operations):
            return decideTransaction(operations, into: &stage, version: &version, now: now)
        case .administrative:
            preconditionFailure("administrative requests are not in groups")
        }
    }

    /// Entries of one version are numbered with 16 bits.
    private static let entryIndexMax = 65_535

    private func decideTransaction(
        _ operations: [WriteOperation], into stage: inout StagedGroup, version: inout Version,
        now: Int64
    ) -> WriteResult {
        let mark = stage.mark()
        let replyMark = replies.pendingCount
        let next = Version(version.rawValue + 1)
        var results: [WriteResult] = []
        var index = 0
        var replyByteCount = 0
        for operation in operations {
            let result: Decision
            if index <= Self.entryIndexMax {
                result = decideOnce(
                    operation, into: &stage, version: next, index: index, now: now)
            } else {
                let bound = Self.entryIndexMax + 1
                result = .answered(
                    .failed(EngineError(.limit, "EXEC", "at most \(bound) changes in one commit")))
            }
            if case .answered(.failed(let error)) = result {
                stage.rewind(to: mark)
                replies.dropPending(to: replyMark)
                return .failed(error.numbered(operation.commandNumber))
            }
            replyByteCount += result.value.byteCount
            if replyByteCount > options.limits.replyByteCountMax {
                stage.rewind(to: mark)
                replies.dropPending(to: replyMark)
                let bound = options.limits.replyByteCountMax
                return .failed(
                    EngineError(.limit, "reply", "at most \(bound) bytes")
                        .numbered(operation.commandNumber))
            }
            if case .staged = result { index += 1 }
            results.append(result.value)
        }
        if index > 0 { version = next }
        return .transaction(results)
    }

    // MARK: - Log

    /// Appends and commits a group, with a share of trimming.
    ///
    /// - Returns: what to answer its writes if it could not be committed.
    func write(_ stage: StagedGroup, upTo version: Version) -> EngineError? {
        if case .interval = options.durability, let tail {
            if let refusal = tail.append(stage.entries) { return refusal }
            return nil
        }
        do {
            try writer.begin()
            for entry in stage.entries { try append(entry) }
            let trimmed = try trimShare(appended: stage.entries.count)
            try writer.commit()
            finishTrim(trimmed)
            return nil
        } catch {
            abort()
            return shared.report(error)
        }
    }

    func append(_ entry: StagedEntry) throws(StoreError) {
        var failure: StoreError?
        for vector in entry.prepared?.vectors ?? [] {
            vector.values.withUnsafeBytes { bytes in
                do throws(StoreError) {
                    try writer.appendVector(entry.key, field: vector.field, bytes)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
        }
        entry.id.withUnsafeBytes { id in
            (entry.prepared?.bytes ?? []).withUnsafeBytes { document in
                do throws(StoreError) {
                    try writer.append(
                        entry.key, entry.header, id: id, document: document,
                        vectors: entry.vectors)
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
    }

    /// Commits what `interval` durability has answered but not yet written.
    func syncTail() {
        guard let tail, !tail.isEmpty else { return }
        lastSyncNanoseconds = Clock.monotonicNanoseconds()
        do {
            try writer.begin()
            for entry in tail.pending { try append(entry) }
            let trimmed = try trimShare(appended: tail.pending.count)
            try writer.commit()
            finishTrim(trimmed)
            tail.clear()
        } catch {
            abort()
            _ = shared.report(error)
        }
    }
}

/// The thread's first function.
private func committerMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let committer = Unmanaged<Committer>.fromOpaque(argument).takeRetainedValue()
    committer.run()
    return nil
}

extension WriteResult {
    /// About what the result holds.
    var byteCount: Int {
        switch self {
        case .written(let id, _, let returned): 64 + id.count + ((returned ?? nil)?.count ?? 0)
        case .document(let bytes): 32 + (bytes?.count ?? 0)
        case .documentWithMeta(let id, _, let document, _): 96 + id.count + document.count
        case .value(let bytes): 32 + bytes.count
        case .transaction(let results): results.reduce(32) { $0 + $1.byteCount }
        case .removed, .number, .done, .failed: 64
        }
    }

    /// Whether the result depends on the group's commit.
    var didWrite: Bool {
        switch self {
        case .written: true
        case .removed(let count): count > 0
        case .transaction(let results): results.contains { $0.didWrite }
        case .document, .documentWithMeta, .value, .number, .done, .failed: false
        }
    }
}

/// What deciding one operation gave.
enum Decision {
    /// An entry was staged; the answer holds once it is committed.
    case staged(WriteResult)
    case answered(WriteResult)

    var value: WriteResult {
        switch self {
        case .staged(let result), .answered(let result): result
        }
    }
}
