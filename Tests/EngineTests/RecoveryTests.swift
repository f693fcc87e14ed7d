import Documents
import Foundation
import Primitives
import Query
import Schema
import TestSupport
import Testing

@testable import Engine
@testable import Partition

/// Goal: what was answered is there after a restart, exactly as before it.
@Suite struct RecoveryTests {
    private func churn(
        _ harness: EngineHarness, _ count: Int, _ random: inout TestRandom
    ) throws {
        var bodies: [WriteRequest.Body] = []
        for _ in 0..<count {
            let id = TestData.id(&random, of: 60)
            switch random.below(4) {
            case 0: bodies.append(.one(harness.remove(id)))
            case 1:
                let patch = "{\"$set\":{\"n\":\(random.below(9))}}"
                bodies.append(.one(try harness.patch(id, patch, upsert: true)))
            case 2:
                bodies.append(
                    .transaction([
                        try harness.put(id, TestData.document(&random)),
                        harness.remove(TestData.id(&random, of: 60)),
                        try harness.put(
                            TestData.id(&random, of: 60), TestData.document(&random)),
                    ]))
            default: bodies.append(.one(try harness.put(id, TestData.document(&random))))
            }
        }
        for result in harness.write(bodies) { #expect(result.code == nil) }
    }

    @Test func reopenedEngineEqualsTheClosedOne() throws {
        var random = TestRandom()
        let harness = try EngineHarness { $0.retentionMilliseconds = 50 }
        try harness.create("c")
        for _ in 0..<6 {
            try churn(harness, 150, &random)
            let contents = try harness.contents()
            let version = harness.engine.publishedVersion
            let totals = try harness.totals()
            try harness.reopen()
            #expect(try harness.contents() == contents, "seed \(random.seed)")
            #expect(harness.engine.publishedVersion == version)
            // Counted while writing and counted from the log: the same bytes are live.
            #expect(try harness.totals().live == totals.live, "seed \(random.seed)")
            #expect(
                harness.view.documentCount == contents.split(separator: "\n").count,
                "seed \(random.seed)")
        }
    }

    @Test func intervalDurabilityReadsItsTailAndKeepsItOverAClose() throws {
        var random = TestRandom()
        let harness = try EngineHarness(durability: .interval(milliseconds: 600_000))
        try harness.create("c")
        try churn(harness, 200, &random)
        #expect(harness.engine.tail?.isEmpty == false)
        let contents = try harness.contents()
        #expect(!contents.isEmpty)
        try harness.reopen()
        #expect(try harness.contents() == contents, "seed \(random.seed)")
    }

    @Test func documentsExpireWithinASecondAndAreLoggedAsRemovals() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        var short = try harness.put("short", "{}")
        short.expiry = .at(Clock.wallMilliseconds() + 300)
        var long = try harness.put("long", "{}")
        long.expiry = .at(Clock.wallMilliseconds() + 600_000)
        var kept = try harness.put("kept", "{}")
        kept.expiry = .at(Clock.wallMilliseconds() + 300)
        harness.write([.one(short), .one(long), .one(kept)])
        // A put clears the time to live; a patch keeps it.
        harness.write(.one(try harness.put("kept", "{}")))
        harness.write(.one(try harness.patch("short", #"{"n":1}"#)))
        for _ in 0..<130 where try harness.fetch("short") != nil { usleep(10_000) }
        #expect(try harness.fetch("short") == nil)
        #expect(try harness.fetch("long") != nil)
        #expect(try harness.fetch("kept") != nil)
        #expect(harness.engine.publishedVersion == Version(6))
    }

    @Test func overdueDocumentsAreGoneWhenTheEngineHasOpened() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        let due = Clock.wallMilliseconds() + 200
        harness.write(
            try (0..<50).map { number in
                var write = try harness.put("d\(number)", "{}")
                write.expiry = .at(due)
                return .one(write)
            })
        harness.write(.one(try harness.put("stays", "{}")))
        usleep(1)
        try harness.reopen()
        while Clock.wallMilliseconds() < due { usleep(10_000) }
        try harness.reopen()
        #expect(harness.view.documentCount == 1)
    }

    @Test func expiryAtTheEndOfTimeIsNoTrap() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        var write = try harness.put("a", "{}")
        write.expiry = .at(.max)
        #expect(harness.write(.one(write)).code == nil)
        #expect(harness.write(.one(try harness.put("b", "{}"))).code == nil)
    }
}
