import Documents
import Foundation
import Primitives
import Query
import Schema
import TestSupport
import Testing

@testable import Engine
@testable import Partition

/// Goal: every kept version reads as it was, and what is no longer kept says so.
@Suite struct HistoryTests {
    /// Random single writes; the documents after each version, from version 0 on.
    private func write(
        _ count: Int, to harness: EngineHarness, from start: [String: String] = [:],
        ids: Int = 25, _ random: inout TestRandom
    ) throws -> [[String: String]] {
        var history = [start]
        while history.count <= count {
            var bodies: [WriteRequest.Body] = []
            for _ in 0..<(1 + random.below(6)) where history.count <= count {
                var documents = history[history.count - 1]
                let id = TestData.id(&random, of: ids)
                if random.one(in: 3) {
                    guard documents.removeValue(forKey: id) != nil else { continue }
                    bodies.append(.one(harness.remove(id)))
                } else {
                    let text = TestData.document(&random)
                    bodies.append(.one(try harness.put(id, text)))
                    documents[id] = text
                }
                history.append(documents)
            }
            for result in harness.write(bodies) { #expect(result.code == nil) }
        }
        return history
    }

    private func check(
        _ harness: EngineHarness, _ version: Int, _ documents: [String: String],
        _ random: inout TestRandom
    ) throws {
        for number in 0..<25 {
            for id in ["product-number-\(number)", "product-number-000\(number)"] {
                let found = try harness.fetch(id, at: UInt64(version))
                #expect(found == documents[id], "\(id) at \(version), seed \(random.seed)")
            }
        }
        let filter = TestData.filter(&random)
        let order = random.pick(["n:1,k:-1", "_id:-1", "tags:1"])
        var request = try harness.request(filter, sort: order)
        request.version = Version(UInt64(version))
        let outcome = try harness.find(request)
        let expected = try NaiveCollection(schema: harness.view.schema, documents: documents).ids(
            matching: TestData.compile(filter, harness.view.schema),
            sort: SortSpec(parsing: order))
        let found = outcome.hits.map { String(decoding: $0.id, as: UTF8.self) }
        #expect(found == expected, "\(filter) at \(version), seed \(random.seed)")
        #expect(outcome.total == expected.count)
    }

    @Test func everyVersionReadsAsItWasBeforeAndAfterAReopen() throws {
        var random = TestRandom()
        let harness = try EngineHarness()
        try harness.create("c")
        let history = try write(300, to: harness, &random)
        for version in stride(from: 0, through: 300, by: 7) {
            try check(harness, version, history[version], &random)
        }
        try harness.reopen()
        for version in stride(from: 3, through: 300, by: 31) {
            try check(harness, version, history[version], &random)
        }
    }

    @Test func trimmedVersionsAreAGapAndKeptOnesStayTrue() throws {
        var random = TestRandom()
        let harness = try EngineHarness { $0.retentionMilliseconds = 0 }
        try harness.create("c")
        var start: [String: String] = [:]
        var base = 0
        for _ in 0..<6 {
            let history = try write(120, to: harness, from: start, &random)
            // Trims in groups of its own, so that the horizon stands somewhere in the history.
            try harness.engine.onCommitter { committer in
                _ = try committer.trimOnce(limit: 40)
                return .done
            }
            let horizon = Int(harness.engine.oldestReadableVersion.rawValue)
            for version in stride(from: base, through: base + 120, by: 5) {
                if version < horizon {
                    let error = #expect(throws: EngineError.self) {
                        _ = try harness.fetch("product-number-0", at: UInt64(version))
                    }
                    #expect(error?.code == .gap)
                } else {
                    do {
                        try check(harness, version, history[version - base], &random)
                    } catch let error as EngineError where error.code == .gap {
                        // The committer trims on its own, too, whenever it is idle.
                        #expect(Int(harness.engine.oldestReadableVersion.rawValue) > version)
                    }
                }
            }
            start = history[120]
            base += 120
            if random.one(in: 2) { try harness.reopen() }
        }
    }

    @Test func documentPutAgainAfterItsTombstoneWasTrimmedReadsAsAbsentBetween() throws {
        let harness = try EngineHarness { $0.retentionMilliseconds = 0 }
        try harness.create("c")
        harness.write(.one(try harness.put("a", "{}")))
        harness.write(.one(harness.remove("a")))
        harness.write(.one(try harness.put("b", "{}")))
        // The put is staged in the commit that takes the tombstone with it.
        usleep(200_000)
        harness.write(.one(try harness.put("a", #"{"n":1}"#)))
        #expect(try harness.trimAll())
        let horizon = harness.engine.oldestReadableVersion.rawValue
        #expect(horizon >= 2)
        for version in horizon...3 { #expect(try harness.fetch("a", at: version) == nil) }
        #expect(try harness.fetch("a", at: 4) == #"{"n":1}"#)
    }

    @Test func versionsGoOnRisingWhenTheLogIsEmptied() throws {
        let harness = try EngineHarness { $0.retentionMilliseconds = 0 }
        try harness.create("c")
        harness.write(.one(try harness.put("a", "{}")))
        harness.write(.one(harness.remove("a")))
        #expect(try harness.trimAll())
        try harness.reopen()
        #expect(harness.engine.publishedVersion == Version(2))
        #expect(harness.write(.one(try harness.put("a", "{}"))).version == 3)
    }

    @Test func versionThatIsNotYetIsInvalid() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        let error = #expect(throws: EngineError.self) { _ = try harness.fetch("a", at: 9) }
        #expect(error?.code == .invalid)
    }

    @Test func pinnedLookupKeepsItsRowsAndEntries() throws {
        var random = TestRandom()
        let harness = try EngineHarness { $0.retentionMilliseconds = 0 }
        try harness.create("c")
        var history = try write(200, to: harness, &random)
        let filter = #"{"n":{"$gte":0}}"#
        let execution = try FindExecution(
            harness.request(filter, sort: "k:1"), context: harness.context)
        _ = try execution.run(until: 0)
        let documents = history[200]
        history = try write(400, to: harness, from: documents, &random)
        while try !execution.run(until: .max) {}
        let expected = try NaiveCollection(schema: harness.view.schema, documents: documents).ids(
            matching: TestData.compile(filter, harness.view.schema),
            sort: SortSpec(parsing: "k:1"))
        #expect(
            execution.outcome.hits.map { String(decoding: $0.id, as: UTF8.self) } == expected,
            "seed \(random.seed)")
        for hit in execution.outcome.hits {
            let text = try harness.context.withDocument(hit.key) {
                String(decoding: $0, as: UTF8.self)
            }
            #expect(text == documents[String(decoding: hit.id, as: UTF8.self)])
        }
        execution.finish()
        // Once nothing is pinned, dead rows and superseded entries go.
        #expect(try harness.trimAll())
        for _ in 0..<200 where harness.engine.shared.reclaimIsPending { usleep(20_000) }
        #expect(harness.view.partitionFigures.allSatisfy { $0.deadRows == 0 })
    }

    /// Goal: new partitions know as much of the past as the log does, before and after trimming.
    @Test func versionsReadAsTheyWereInOtherPartitions() throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 2) { $0.retentionMilliseconds = 3_600_000 }
        try harness.create("c")
        var history = try write(150, to: harness, &random)
        let pinned = harness.context.pins.acquire()
        history += try write(
            150, to: harness, from: history[history.count - 1], &random
        ).dropFirst()
        let versions = Array(0..<history.count)
        func reshard(_ count: Int) {
            let job = ReshardJob(partitionCount: count)
            #expect(harness.run("RESHARD") { try job.run($0) }.state == .done)
        }
        reshard(5)
        for version in versions.shuffled(using: &random).prefix(25) {
            try check(harness, version, history[version], &random)
        }
        // What was superseded before the pinned version leaves; the rest must stay readable.
        usleep(300_000)
        harness.engine.shared.updateSettings { $0.retentionMilliseconds = 0 }
        for _ in 0..<20 {
            try harness.engine.onCommitter { committer in
                _ = try committer.trimOnce(limit: 512)
                return .done
            }
        }
        let horizon = Int(harness.engine.oldestReadableVersion.rawValue)
        #expect(horizon > 100 && horizon <= Int(pinned.rawValue), "seed \(random.seed)")
        for count in [1, 4] {
            for version in versions.shuffled(using: &random).prefix(25) {
                if version >= horizon {
                    try check(harness, version, history[version], &random)
                } else {
                    let error = #expect(throws: EngineError.self) {
                        _ = try harness.fetch("d", at: UInt64(version))
                    }
                    #expect(error?.code == .gap)
                }
            }
            reshard(count)
        }
        try check(harness, history.count - 1, history[history.count - 1], &random)
        harness.context.pins.release(pinned)
        harness.engine.shared.updateSettings { $0.retentionMilliseconds = 3_600_000 }
        try harness.reopen()
        try check(harness, history.count - 1, history[history.count - 1], &random)
    }

    @Test func droppedCollectionIsNamedByALookupUnderWay() throws {
        var random = TestRandom()
        let harness = try EngineHarness()
        try harness.create("c")
        _ = try write(200, to: harness, &random)
        let execution = try FindExecution(
            harness.request(#"{"x":1}"#), context: harness.context)
        _ = try execution.run(until: 0)
        harness.write(.administrative { try $0.drop("c") })
        #expect(harness.run("CLEAN") { try CleanJob().run($0) }.state == .done)
        harness.context.endTransaction()
        let error = #expect(throws: EngineError.self) {
            while try !execution.run(until: .max) {}
        }
        #expect(error?.code == .notFound)
        let totals = try harness.totals()
        #expect(totals.live == 0)
    }
}
