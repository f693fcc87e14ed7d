import Documents
import Primitives
import Synchronization
import TestSupport
import Testing

@testable import Engine
@testable import Partition

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Goal: the memory bound is about what the ledger shows, and holds whatever else goes on.
@Suite struct MemoryTests {
    /// Waits until a new document is refused (or taken again), for two seconds.
    private func becomes(_ code: EngineError.Code?, _ harness: EngineHarness) throws -> Bool {
        let end = Clock.monotonicNanoseconds() + 2_000_000_000
        while Clock.monotonicNanoseconds() < end {
            let id = "n\(Clock.monotonicNanoseconds())"
            if harness.write(.one(try harness.put(id, "{}"))).code == code { return true }
            usleep(5_000)
        }
        return false
    }

    @Test func boundHoldsWhileAJobRuns() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        let stop = StopSign()
        let id = harness.engine.shared.jobs.add(kind: "COMPACT", collection: "")
        harness.engine.run(
            Job(id: id) { _ in
                while !stop.isSet { usleep(1_000) }
                return ""
            })
        defer {
            stop.set()
            _ = harness.wait(for: id)
        }
        while harness.engine.shared.jobs.status(id)?.state != .running { usleep(1_000) }
        harness.engine.shared.updateSettings { $0.memoryByteCountMax = 1 }
        #expect(try becomes(.busy, harness))
        harness.engine.shared.updateSettings { $0.memoryByteCountMax = 1 << 40 }
        #expect(try becomes(nil, harness))
        harness.engine.shared.updateSettings { $0.memoryByteCountMax = 1 }
        #expect(try becomes(.busy, harness))
        harness.engine.shared.updateSettings { $0.memoryByteCountMax = 0 }
        #expect(try becomes(nil, harness))
    }

    @Test func boundCountsWhatTheLedgerCounts() throws {
        let harness = try EngineHarness()
        try harness.create(
            "c", #"{"fields":{"u":{"type":"keyword","unique":true},"n":{"type":"int"}}}"#)
        harness.write(
            try (0..<3_000).map { .one(try harness.put("d\($0)", "{\"u\":\"u\($0)\",\"n\":1}")) })
        let sum = Mutex(0)
        try harness.engine.onCommitter { committer in
            committer.keepLedger()
            sum.withLock { $0 = committer.ledgerByteCount }
            return .done
        }
        let ledger = harness.engine.ledger
        #expect(sum.withLock { $0 } == ledger.reduce(0) { $0 + $1.byteCount })
        // A bound that the indexes alone would not reach.
        let indexes = ledger.filter { $0.name.hasPrefix("collection.") }
        let bound = indexes.reduce(0) { $0 + $1.byteCount } + 4096
        harness.engine.shared.updateSettings { $0.memoryByteCountMax = bound }
        #expect(try becomes(.busy, harness))
        #expect(harness.write(.one(harness.remove("d1"))).removedCount == 1)
    }
}

/// Tells a job of a test to end.
final class StopSign: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }
}
