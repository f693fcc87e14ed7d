import Documents
import Primitives
import Synchronization
import TestSupport
import Testing

@testable import DocumentStore
@testable import Engine
@testable import Partition

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Goal: what leaves the log is what nobody may ask for, whatever goes wrong on the way.
@Suite struct TrimTests {
    /// Waits until what was superseded by now is old enough for a retention of 0.
    private func letTimePass() { usleep(300_000) }

    @Test func horizonStaysWhereItWasWhenACommitFails() throws {
        let harness = try EngineHarness { $0.retentionMilliseconds = 3_600_000 }
        try harness.create("c")
        let first = try #require(harness.write(.one(try harness.put("d", #"{"n":1}"#))).version)
        harness.write(.one(try harness.put("d", #"{"n":2}"#)))
        letTimePass()
        let staged = Mutex(0)
        #expect(throws: EngineError.self) {
            try harness.engine.onCommitter { committer in
                committer.shared.updateSettings { $0.retentionMilliseconds = 0 }
                defer {
                    committer.shared.updateSettings { $0.retentionMilliseconds = 3_600_000 }
                }
                try committer.writer.begin()
                let share = try committer.trimShare(appended: 0)
                staged.withLock { $0 = share?.batch.entries.count ?? 0 }
                // As if the disk had refused the commit.
                throw EngineError(.full, "", "no space is left")
            }
        }
        #expect(staged.withLock { $0 } == 1)
        // The answer comes before the committer has cleaned up.
        _ = try harness.totals()
        #expect(harness.engine.oldestReadableVersion == .zero)
        #expect(try harness.fetch("d", at: first) == #"{"n":1}"#)
    }

    /// A removal may leave the log only together with, or after, what it removed: between two
    /// commits the server may be killed.
    @Test func nothingComesBackWhenTrimmingStopsHalfWay() throws {
        let harness = try EngineHarness(partitions: 1) { $0.retentionMilliseconds = 3_600_000 }
        try harness.create("c")
        // One more superseded entry, so that batches of an even size end between two of a pair.
        harness.write([
            .one(try harness.put("a", "{}")), .one(try harness.put("a", #"{"n":1}"#)),
        ])
        harness.write(
            try (0..<1_500).flatMap {
                [
                    WriteRequest.Body.one(try harness.put("d\($0)", "{}")),
                    .one(harness.remove("d\($0)")),
                ]
            })
        letTimePass()
        let counts = Mutex<[Int]>([])
        try harness.engine.onCommitter { committer in
            committer.shared.updateSettings { $0.retentionMilliseconds = 0 }
            let count = try committer.trimOnce(limit: 512)
            counts.withLock { $0.append(count) }
            committer.shared.updateSettings { $0.retentionMilliseconds = 3_600_000 }
            return .done
        }
        #expect(counts.withLock { $0 } == [512])
        try harness.reopen()
        #expect(try harness.find(harness.request()).hits.count == 1)
    }

    /// What a dropped collection had superseded counts neither for trimming others nor against it.
    @Test func figuresForgetADroppedCollection() throws {
        let harness = try EngineHarness { $0.retentionMilliseconds = 3_600_000 }
        try harness.create("c")
        try harness.create("other")
        for round in 0..<3 {
            harness.write(
                try (0..<1_500).map { .one(try harness.put("d\($0)", "{\"n\":\(round)}")) })
            harness.write(
                try (0..<100).map {
                    .one(try harness.put("o\($0)", "{\"n\":\(round)}", in: "other"))
                })
        }
        harness.write((0..<500).map { .one(harness.remove("d\($0)")) })
        let all = try harness.totals()
        harness.write(.administrative { try $0.drop("c") })
        let job = CleanJob()
        let status = harness.run("CLEAN") { try job.run($0) }
        #expect(status.state == .done, "\(status.text)")
        let left = try harness.totals()
        #expect(left.live < all.live / 4 && left.superseded < all.superseded / 4)
        // What the log itself says.
        try harness.reopen()
        let truth = try harness.totals()
        #expect(left.live == truth.live)
        #expect(left.superseded == truth.superseded)
    }

    /// A removed document's head goes with its tombstone: a walk at an older version that has not
    /// come to it yet must not take it for one that never was.
    @Test func lookupAtAVersionThatIsTrimmedMeanwhileIsAGap() throws {
        let harness = try EngineHarness(partitions: 1) { $0.retentionMilliseconds = 3_600_000 }
        try harness.create("c")
        harness.write(try (0..<300).map { .one(try harness.put("d\($0)", "{}")) })
        var request = try harness.request()
        request.version = harness.engine.publishedVersion
        for number in 250..<300 { harness.write(.one(harness.remove("d\(number)"))) }
        let execution = try FindExecution(request, context: harness.context)
        defer { execution.finish() }
        _ = try execution.run(until: 0)
        harness.context.endTransaction()
        letTimePass()
        harness.engine.shared.updateSettings { $0.retentionMilliseconds = 0 }
        #expect(try harness.trimAll())
        let error = #expect(throws: EngineError.self) {
            while try !execution.run(until: .max) {}
        }
        #expect(error?.code == .gap)
    }
}
