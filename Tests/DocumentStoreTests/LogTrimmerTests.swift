import Primitives
import Testing

@testable import DocumentStore

@Suite struct LogTrimmerTests {
    private func key(_ version: UInt64, _ index: Int = 0) -> LogKey {
        LogKey(version: Version(version), index: index)
    }

    @Test func recordTakesTwentyFourBytes() {
        #expect(MemoryLayout<LogTrimmer.Record>.stride == 24)
    }

    @Test func policyWeighsTimeBytesAndPins() {
        func may(_ version: UInt64, _ time: Int64, over: Bool) -> Bool {
            TrimPolicy.mayTrim(
                version: Version(version),
                milliseconds: time,
                horizonVersion: Version(10),
                horizonMilliseconds: 1_000,
                isOverBudget: over
            )
        }
        #expect(may(10, 1_000, over: false))
        #expect(!may(10, 1_001, over: false))
        #expect(may(10, 1_001, over: true))
        #expect(!may(11, 0, over: true))
        #expect(!may(11, 0, over: false))
        let policy = TrimPolicy(retentionByteCountMin: 100)
        #expect(policy.bytesOverBudget(live: 1_000, superseded: 250) == 0)
        #expect(policy.bytesOverBudget(live: 1_000, superseded: 251) == 1)
        #expect(policy.bytesOverBudget(live: 0, superseded: 150) == 50)
        #expect(policy.horizonMilliseconds(now: 3_600_005) == 5)
    }

    @Test func batchesStopAtTheHorizonAndAtTheBudget() {
        var trimmer = LogTrimmer()
        for version in 1...10 as ClosedRange<UInt64> {
            trimmer.addLive(byteCount: 100)
            trimmer.supersede(
                key(version),
                by: key(version + 1),
                atMilliseconds: Int64(version) * 1_000,
                byteCount: 100
            )
        }
        func next(_ version: UInt64, _ time: Int64, _ over: Int, limit: Int = 100) -> Int {
            trimmer.next(
                limit: limit,
                horizonVersion: Version(version),
                horizonMilliseconds: time,
                bytesOverBudget: over
            ).entries.count
        }
        #expect(trimmer.liveByteCount == 0)
        #expect(trimmer.supersededByteCount == 1_000)
        #expect(next(100, 0, 0) == 0)
        #expect(next(100, 100_000, 0) == 10)
        #expect(next(100, 100_000, 0, limit: 3) == 3)
        #expect(next(4, 100_000, 0) == 3)
        #expect(next(100, 0, 250) == 3)
        #expect(next(2, 0, 1_000) == 1)
        let batch = trimmer.next(
            limit: 4,
            horizonVersion: Version(100),
            horizonMilliseconds: 100_000,
            bytesOverBudget: 0
        )
        #expect(batch.keys == (1...4).map { key($0) })
        #expect(batch.newestVersion == Version(5))
        trimmer.confirm(batch)
        #expect(trimmer.count == 6)
        #expect(trimmer.supersededByteCount == 600)
        #expect(next(100, 100_000, 0) == 6)
    }

    @Test func longQueuesKeepTheirOrder() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        var trimmer = LogTrimmer()
        var added: UInt64 = 0
        var taken: UInt64 = 0
        while taken < 600_000 {
            for _ in 0..<Int.random(in: 0...9_000, using: &random) where added < 600_000 {
                added += 1
                trimmer.addTombstone(key(added), atMilliseconds: 0, byteCount: 1)
            }
            let batch = trimmer.next(
                limit: Int.random(in: 1...9_000, using: &random),
                horizonVersion: Version(added),
                horizonMilliseconds: 1_000,
                bytesOverBudget: 0
            )
            for entry in batch.entries {
                taken += 1
                if entry.key != key(taken) {
                    Issue.record("order broken, seed \(seed)")
                    return
                }
            }
            trimmer.confirm(batch)
            if trimmer.count != Int(added - taken) {
                Issue.record("count broken, seed \(seed)")
                return
            }
        }
    }

    @Test func trimKeepsVectorsThatTheSuccessorShares() throws {
        let directory = TemporaryDirectory()
        let store = try LogStore(StoreOptions(directory: directory.path))
        let writer = try store.makeWriter()
        let shared = VectorReference(field: 1, dimensions: 1, key: key(1))
        let dropped = VectorReference(field: 2, dimensions: 1, key: key(1))
        try writer.begin()
        try writer.append(Entry(1, vectors: [shared, dropped]))
        for field in [1, 2] as [UInt16] {
            try withBytes([UInt8(field)]) { (bytes) throws(StoreError) in
                try writer.appendVector(key(1), field: field, bytes)
            }
        }
        try writer.append(Entry(2, previous: key(1), vectors: [shared]))
        try writer.append(Entry(3, operation: .remove, previous: key(2)))
        try writer.commit()
        var trimmer = LogTrimmer()
        trimmer.supersede(key(1), by: key(2), atMilliseconds: 0, byteCount: 0)
        trimmer.supersede(key(2), by: key(3), atMilliseconds: 0, byteCount: 0)
        trimmer.addTombstone(key(3), atMilliseconds: 0, byteCount: 0)
        let reader = try store.makeReader()
        func step(expectingShared: Bool) throws {
            let batch = trimmer.next(
                limit: 1,
                horizonVersion: Version(9),
                horizonMilliseconds: 1,
                bytesOverBudget: 0
            )
            try writer.begin()
            try writer.trim(batch)
            try writer.commit()
            trimmer.confirm(batch)
            try reader.begin()
            #expect(try reader.vector(dropped) == nil)
            #expect(try (reader.vector(shared) != nil) == expectingShared)
            reader.end()
        }
        try step(expectingShared: true)
        try step(expectingShared: false)
        try step(expectingShared: false)
        #expect(try reader.all().isEmpty)
        #expect(writer.lastKey == key(3))
    }

    @Test func forgottenBytesCountForNothing() {
        var trimmer = LogTrimmer()
        let count = 10_000
        func key(_ number: Int) -> LogKey { LogKey(version: Version(UInt64(number)), index: 0) }
        for number in 1...count {
            trimmer.addLive(byteCount: 10)
            trimmer.supersede(
                key(number), by: key(count + number), atMilliseconds: 0, byteCount: 10)
        }
        let first = trimmer.next(
            limit: 5_000, horizonVersion: Version(.max), horizonMilliseconds: 1_000,
            bytesOverBudget: 0)
        trimmer.confirm(first)
        // One that has left the queue, one that never was in it, the first, the last, one twice.
        for number in [1, count + 5, 5_001, count, 7_000, 7_000] {
            trimmer.forgetBytes(of: key(number), supersededBy: key(count + number))
        }
        trimmer.forgetBytes(of: key(8_000), supersededBy: key(count + 8_001))
        #expect(trimmer.supersededByteCount == 49_970 && trimmer.count == 5_000)
        let rest = trimmer.next(
            limit: count, horizonVersion: Version(.max), horizonMilliseconds: 1_000,
            bytesOverBudget: 0)
        #expect(rest.byteCount == 49_970 && rest.entries.count == 5_000)
        trimmer.confirm(rest)
        #expect(trimmer.supersededByteCount == 0 && trimmer.count == 0)
        trimmer.forgetBytes(of: key(count), supersededBy: key(2 * count))
    }
}
