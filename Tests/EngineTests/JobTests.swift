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

/// Goal: ALTER and RESHARD change how documents are indexed and never what is found.
@Suite struct JobTests {
    private static let plain = #"{"fields":{"n":{"type":"int","index":true}}}"#

    /// Writes at random from a thread of its own until it is told to stop.
    private final class Writer: @unchecked Sendable {
        // Sendable: `documents` is looked at only after `stop`.
        private let harness: EngineHarness
        private let stopping = Atomic<Bool>(false)
        private let done = DispatchSemaphore(value: 0)
        private(set) var documents: [String: String]
        private(set) var failures: [EngineError] = []

        init(_ harness: EngineHarness, _ documents: [String: String], seed: UInt64) {
            self.harness = harness
            self.documents = documents
            // Kept by nobody: the thread keeps this, and with it the harness, until it ends.
            Thread { [self] in run(TestRandom(seed: seed)) }.start()
        }

        private func run(_ source: TestRandom) {
            var random = source
            while !stopping.load(ordering: .relaxed) {
                let id = "d\(random.below(300))"
                let text = "{\"n\":\(random.below(50)),\"k\":\"w\(random.below(9))\"}"
                let isRemoval = random.one(in: 5)
                guard let put = try? harness.put(id, text) else { continue }
                let result = harness.write(.one(isRemoval ? harness.remove(id) : put))
                if case .failed(let error) = result {
                    if error.code != .busy { failures.append(error) }
                    continue
                }
                documents[id] = isRemoval ? nil : text
            }
            done.signal()
        }

        func stop() {
            stopping.store(true, ordering: .relaxed)
            done.wait()
        }
    }

    private func filled(
        _ harness: EngineHarness, _ count: Int = 300
    ) throws -> [String: String] {
        try harness.create("c", Self.plain)
        var documents: [String: String] = [:]
        for number in 0..<count {
            documents["d\(number)"] = "{\"n\":\(number % 50),\"k\":\"w\(number % 9)\"}"
        }
        harness.write(try documents.map { .one(try harness.put($0.key, $0.value)) })
        return documents
    }

    private func check(
        _ harness: EngineHarness, _ documents: [String: String], _ seed: UInt64
    ) throws {
        let naive = NaiveCollection(schema: harness.view.schema, documents: documents)
        for (filter, order) in [
            (#"{"k":"w3"}"#, "n:-1"), (#"{"n":{"$lt":20}}"#, "k:1"), ("{}", "k:-1,n:1"),
        ] {
            let outcome = try harness.find(harness.request(filter, sort: order))
            let found = outcome.hits.map { String(decoding: $0.id, as: UTF8.self) }
            let expected = try naive.ids(
                matching: TestData.compile(filter, harness.view.schema),
                sort: SortSpec(parsing: order))
            #expect(found == expected, "\(filter) by \(order), seed \(seed)")
        }
    }

    @Test func alterBuildsAnIndexUnderWrites() throws {
        let seed = TestRandom().seed
        let harness = try EngineHarness { $0.retentionMilliseconds = 0 }
        let documents = try filled(harness)
        let writer = Writer(harness, documents, seed: seed)
        let status = try harness.alter(
            #"{"add":{"k":{"type":"keyword","index":true,"sort":true}}}"#)
        usleep(20_000)
        writer.stop()
        #expect(status.state == .done, "\(status.text), seed \(seed)")
        #expect(writer.failures.isEmpty)
        let states = harness.engine.indexStates(of: harness.view).map(\.isReady)
        #expect(!states.contains(false))
        try check(harness, writer.documents, seed)
        try harness.reopen()
        try check(harness, writer.documents, seed)
        #expect(try harness.alter(#"{"drop":["k"]}"#).state == .done)
        try check(harness, writer.documents, seed)
    }

    @Test func offendersAreNamedAndNothingChanges() throws {
        let harness = try EngineHarness()
        _ = try filled(harness)
        let before = harness.view.schema.json
        let rule = try harness.alter(#"{"set":{"n":{"max":48}}}"#)
        #expect(rule.state == .failed && rule.text.hasPrefix("INVALID"))
        #expect(rule.text.contains("d49") || rule.text.contains("99"))
        #expect(harness.view.schema.json == before)
        #expect(harness.write(.one(try harness.put("x", #"{"n":49}"#))).code == nil)
    }

    @Test func duplicatesKeepAUniqueKeyAway() throws {
        let harness = try EngineHarness()
        let documents = try filled(harness)
        let before = harness.view.schema.json
        let status = try harness.alter(#"{"set":{"n":{"unique":true}}}"#)
        #expect(status.state == .failed && status.text.hasPrefix("DUPLICATE n"))
        #expect(harness.view.schema.json == before)
        #expect(harness.write(.one(try harness.put("x", #"{"n":1}"#))).code == nil)
        var all = documents
        all["x"] = #"{"n":1}"#
        try check(harness, all, 0)
        try harness.reopen()
        #expect(harness.view.schema.json == before)
    }

    @Test func failedChangeLeavesTheOldIndexesAndUniqueKeysInForce() throws {
        let harness = try EngineHarness()
        try harness.create(
            "c",
            """
            {"fields":{"n":{"type":"int","index":true},"k":{"type":"keyword","index":true},
            "u":{"type":"keyword","unique":true}}}
            """)
        harness.write(
            try (0..<20).map {
                .one(try harness.put("d\($0)", "{\"n\":\($0 % 5),\"k\":\"w\",\"u\":\"u\($0)\"}"))
            })
        let status = try harness.alter(
            #"{"drop":["k"],"set":{"n":{"unique":true},"u":{"unique":false}}}"#)
        #expect(status.state == .failed && status.text.hasPrefix("DUPLICATE n"))
        let states = harness.engine.indexStates(of: harness.view).map(\.isReady)
        #expect(!states.contains(false))
        #expect(harness.write(.one(try harness.put("x", #"{"u":"u3"}"#))).code == .duplicate)
        #expect(try harness.find(harness.request(#"{"k":"w"}"#)).total == 20)
    }

    @Test func uniqueKeyIsInForceOnceItIsBuilt() throws {
        let harness = try EngineHarness()
        try harness.create("c", Self.plain)
        harness.write(try (0..<9).map { .one(try harness.put("d\($0)", "{\"n\":\($0)}")) })
        #expect(try harness.alter(#"{"set":{"n":{"unique":true}}}"#).state == .done)
        #expect(harness.write(.one(try harness.put("x", #"{"n":3}"#))).code == .duplicate)
        #expect(harness.write(.one(harness.remove("d3"))).removedCount == 1)
        #expect(harness.write(.one(try harness.put("x", #"{"n":3}"#))).code == nil)
    }

    @Test(arguments: [Durability.commit, .interval(milliseconds: 600_000)])
    func reshardUnderWritesLosesNothing(durability: Durability) throws {
        let seed = TestRandom().seed
        let harness = try EngineHarness(partitions: 3, durability: durability)
        let documents = try filled(harness)
        let writer = Writer(harness, documents, seed: seed)
        for count in [5, 1, 4] {
            let job = ReshardJob(partitionCount: count)
            let status = harness.run("RESHARD") { try job.run($0) }
            #expect(status.state == .done, "\(status.text), seed \(seed)")
            #expect(harness.view.partitions.count == count)
        }
        writer.stop()
        #expect(writer.failures.isEmpty)
        try check(harness, writer.documents, seed)
        try harness.reopen()
        #expect(harness.view.partitions.count == 4)
        try check(harness, writer.documents, seed)
    }

    @Test func reshardShowsHowFarItIsAndStopsWithinTheReplay() throws {
        let harness = try EngineHarness(partitions: 2)
        let documents = try filled(harness, 5_000)
        let jobs = harness.engine.shared.jobs
        func pausedReshard() -> UInt64 {
            let id = jobs.add(kind: "RESHARD", collection: "")
            _ = jobs.pause(id)
            let job = ReshardJob(partitionCount: 3)
            harness.engine.run(Job(id: id) { try job.run($0) })
            while jobs.status(id)?.state != .paused { usleep(1_000) }
            return id
        }
        let first = pausedReshard()
        let status = try #require(jobs.status(first))
        #expect(status.done == 2_000 && status.of == 10_000)
        // What is paused pins nothing.
        let pins = harness.engine.shared.pins
        harness.write(.one(try harness.put("d0", #"{"n":0,"k":"w0"}"#)))
        #expect(pins.horizon() == harness.engine.publishedVersion)
        #expect(jobs.cancel(first))
        #expect(harness.wait(for: first).state == .cancelled)
        #expect(harness.view.partitions.count == 2)
        let second = pausedReshard()
        // Trimming goes on: the removed must not come back.
        harness.engine.shared.updateSettings { $0.retentionMilliseconds = 0 }
        harness.write(.one(harness.remove("d1")))
        #expect(try harness.trimAll())
        #expect(jobs.resume(second))
        #expect(harness.wait(for: second).state == .done)
        #expect(jobs.status(second).map { $0.done == $0.of } == true)
        #expect(harness.view.partitions.count == 3)
        #expect(harness.engine.shared.buildingByteCount.load(ordering: .relaxed) == 0)
        #expect(try harness.fetch("d1") == nil)
        for filter in ["{}", #"{"n":{"$gte":0}}"#] {
            #expect(try harness.find(harness.request(filter)).total == documents.count - 1)
        }
    }

    /// Unique values and times to live move to the new partitions with their documents, whatever
    /// is written meanwhile.
    @Test func reshardKeepsUniqueValuesAndTimesToLive() throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 2)
        try harness.create(
            "c", #"{"fields":{"u":{"type":"keyword","unique":true},"n":{"type":"int"}}}"#)
        let count = 3_000
        var values: [String: Int] = [:]
        for number in 0..<count { values["d\(number)"] = number }
        harness.write(try values.map { .one(try harness.put($0.key, "{\"u\":\"\($0.value)\"}")) })
        let due = Clock.wallMilliseconds() + 3_000
        for number in 0..<50 {
            var mortal = try harness.put("mortal\(number)", "{}")
            mortal.expiry = .at(due)
            harness.write(.one(mortal))
        }
        var fresh = count
        for partitions in [5, 1, 3] {
            let job = ReshardJob(partitionCount: partitions)
            let id = harness.engine.shared.jobs.add(kind: "RESHARD", collection: "")
            harness.engine.run(Job(id: id) { try job.run($0) })
            while harness.engine.shared.jobs.status(id)?.endedMilliseconds == 0 {
                let document = "d\(random.below(count))"
                if random.one(in: 4) {
                    harness.write(.one(harness.remove(document)))
                    values[document] = nil
                } else {
                    let text = "{\"u\":\"\(fresh)\"}"
                    #expect(harness.write(.one(try harness.put(document, text))).code == nil)
                    values[document] = fresh
                    fresh += 1
                }
            }
            #expect(harness.wait(for: id).state == .done)
            #expect(harness.view.partitions.count == partitions)
        }
        let held = Set(values.values)
        for value in 0..<fresh {
            let result = harness.write(.one(try harness.put("x", "{\"u\":\"\(value)\"}")))
            #expect(
                result.code == (held.contains(value) ? .duplicate : nil),
                "\(value), seed \(random.seed)")
        }
        while Clock.wallMilliseconds() < due + 1_000 { usleep(20_000) }
        #expect(try harness.find(harness.request(limit: 0)).total == values.count + 1)
    }

    @Test func pausedJobLetsLaterOnesRun() throws {
        let harness = try EngineHarness()
        let jobs = harness.engine.shared.jobs
        let stop = StopSign()
        let work = Mutex<[String]>([])
        func job(_ name: String, endsAtOnce: Bool) -> UInt64 {
            let id = jobs.add(kind: "COMPACT", collection: "")
            harness.engine.run(
                Job(id: id) { context in
                    repeat {
                        if work.withLock({ $0.last != name }) { work.withLock { $0.append(name) } }
                        usleep(1_000)
                        try context.checkpoint()
                    } while !endsAtOnce && !stop.isSet
                    return name
                })
            return id
        }
        let first = job("first", endsAtOnce: false)
        while jobs.status(first)?.state != .running { usleep(1_000) }
        #expect(jobs.pause(first))
        while jobs.status(first)?.state != .paused { usleep(1_000) }
        #expect(harness.wait(for: job("second", endsAtOnce: true)).state == .done)
        let third = job("third", endsAtOnce: false)
        while jobs.status(third)?.state != .running { usleep(1_000) }
        // Resumed, it waits for its turn: two jobs never work at the same time.
        #expect(jobs.resume(first))
        usleep(50_000)
        #expect(work.withLock { $0 } == ["first", "second", "third"])
        #expect(jobs.cancel(third))
        #expect(harness.wait(for: third).state == .cancelled)
        while work.withLock({ $0.count }) < 4 { usleep(1_000) }
        stop.set()
        #expect(harness.wait(for: first).state == .done)
        #expect(work.withLock { $0 } == ["first", "second", "third", "first"])
    }

    @Test func pausedJobIsCancelledAndAServerStopsBesideOne() throws {
        let harness = try EngineHarness()
        let jobs = harness.engine.shared.jobs
        func job() -> UInt64 {
            let id = jobs.add(kind: "COMPACT", collection: "")
            _ = jobs.pause(id)
            harness.engine.run(
                Job(id: id) { context in
                    while true {
                        try context.checkpoint()
                        usleep(1_000)
                    }
                })
            while jobs.status(id)?.state != .paused { usleep(1_000) }
            return id
        }
        let first = job()
        #expect(jobs.cancel(first))
        #expect(harness.wait(for: first).state == .cancelled)
        _ = job()
        _ = job()
        try harness.reopen()
    }

    @Test func droppedCollectionIsCleanedAfterARestartToo() throws {
        let harness = try EngineHarness()
        _ = try filled(harness)
        harness.write(.administrative { try $0.drop("c") })
        try harness.reopen()
        for _ in 0..<500 where harness.engine.storeStatistics()?.logEntryCount != 0 {
            usleep(10_000)
        }
        #expect(harness.engine.storeStatistics()?.logEntryCount == 0)
        #expect(try harness.totals().live == 0)
    }
}

/// Goal: reads at one version are consistent while everything is being rewritten.
@Suite struct ConcurrencyTests {
    /// A stop sign and what went wrong, for the readers.
    private final class Board: Sendable {
        let isOver = Atomic<Bool>(false)
        let reads = Atomic<Int>(0)
        let faults = Mutex<[String]>([])
    }

    /// Each transaction moves an amount between two accounts: every version has the same sum.
    @Test func everyReadSeesAWholeTransaction() throws {
        let harness = try EngineHarness(partitions: 3) { $0.retentionMilliseconds = 0 }
        try harness.create("c", #"{"fields":{"n":{"type":"int","index":true,"sort":true}}}"#)
        let count = 40
        harness.write(try (0..<count).map { .one(try harness.put("a\($0)", #"{"n":100}"#)) })
        let board = Board()
        let engine = harness.engine
        let request = try {
            var request = try harness.request(#"{"n":{"$gte":-1000000}}"#, sort: "n:1", limit: 10)
            request.stats = ["n"]
            return request
        }()
        let threads = DispatchGroup()
        for loop in 1...2 {
            threads.enter()
            Thread.detachNewThread {
                defer { threads.leave() }
                Self.read(engine, loop: loop, request, count: count, board)
            }
        }
        var random = TestRandom()
        let end = Clock.monotonicNanoseconds() + 2_000_000_000
        while Clock.monotonicNanoseconds() < end {
            let bodies = try (0..<20).map { _ in
                let from = random.below(count)
                let to = (from + 1 + random.below(count - 1)) % count
                return WriteRequest.Body.transaction([
                    try harness.patch("a\(from)", #"{"$inc":{"n":-7}}"#),
                    try harness.patch("a\(to)", #"{"$inc":{"n":7}}"#),
                ])
            }
            for result in harness.write(bodies) { #expect(result.code == nil) }
        }
        board.isOver.store(true, ordering: .relaxed)
        threads.wait()
        let faults = board.faults.withLock { $0 }
        #expect(faults.isEmpty, "\(faults.prefix(3)), seed \(random.seed)")
        #expect(board.reads.load(ordering: .relaxed) > 20)
    }

    private static func read(
        _ engine: Engine, loop: Int, _ request: FindRequest, count: Int, _ board: Board
    ) {
        do {
            let context = try engine.makeReadContext(loop: loop)
            defer { context.endTransaction() }
            while !board.isOver.load(ordering: .relaxed) {
                let execution = try FindExecution(request, context: context)
                // One step at a time, so that commits come between.
                while try !execution.run(until: 0) { usleep(50) }
                let outcome = execution.outcome
                let sum = outcome.stats.first?.overall?.sum
                if outcome.total != count || sum != .int(Int64(100 * count))
                    || outcome.hits.count != 10
                {
                    let fault = "\(outcome.total) documents, \(String(describing: sum))"
                    board.faults.withLock { $0.append(fault) }
                }
                for hit in outcome.hits { try context.withDocument(hit.key) { _ in } }
                execution.finish()
                board.reads.add(1, ordering: .relaxed)
            }
        } catch {
            board.faults.withLock { $0.append("\(error)") }
        }
    }
}
