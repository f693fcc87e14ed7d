import Glibc
import Primitives
import Testing

@testable import VectorIndex

/// A reader-writer lock for tests, held as the index's thread rule says.
private final class Gate: @unchecked Sendable {
    // The lock itself is what makes sharing safe: that is the proof.
    private let lock = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)

    init() { pthread_rwlock_init(lock, nil) }
    deinit {
        pthread_rwlock_destroy(lock)
        lock.deallocate()
    }

    func read<T>(_ body: () throws -> T) rethrows -> T {
        pthread_rwlock_rdlock(lock)
        defer { pthread_rwlock_unlock(lock) }
        return try body()
    }

    func write<T>(_ body: () throws -> T) rethrows -> T {
        pthread_rwlock_wrlock(lock)
        defer { pthread_rwlock_unlock(lock) }
        return try body()
    }
}

/// Writer, builder and readers at once; run with the thread sanitizer to see what they do.
@Suite struct IVFConcurrencyTests {
    private static let dimensions = 16

    private static func vector(_ random: inout Xoshiro256) -> [Float] {
        (0..<dimensions).map { _ in Float.random(in: -1...1, using: &random) }
    }

    @Test func readersFindWhatIsThereWhileTheBuilderAndTheWriterWork() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let vectors = FlatConfiguration(
            dimensions: Self.dimensions,
            metric: .l2,
            storage: .int8,
            originals: .f32,
            nodeCountMax: 10_000
        )
        let index = try IVFIndex(
            IVFConfiguration(vectors: vectors, listCount: 30, seed: seed, trainingCountMin: 200)
        )
        let gate = Gate()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try Self.write(index, gate, seed) }
            group.addTask { Self.build(index, gate, operations: 3_000 + 1_000) }
            for reader in 1...2 {
                group.addTask { try Self.read(index, gate, seed &+ UInt64(reader)) }
            }
            try await group.waitForAll()
        }
        index.checkInvariants()
        #expect(index.liveCount == 2_000, "seed \(seed)")
        #expect(index.linkedCount == 2_000, "seed \(seed)")
        #expect(index.trainingCount > 0, "seed \(seed)")
    }

    /// 3,000 vectors in, the first 1,000 of them out again.
    private static func write(_ index: IVFIndex, _ gate: Gate, _ seed: UInt64) throws {
        var random = Xoshiro256(seed: seed)
        var nodes: [UInt32] = []
        for turn in 0..<3_000 {
            let vector = vector(&random)
            try gate.write {
                nodes.append(
                    try vector.withUnsafeBufferPointer { (buffer) throws(VectorIndexError) in
                        try index.append(buffer)
                    }
                )
                if turn % 3 == 2 {
                    index.retire(nodes[turn / 3])
                    index.release(nodes[turn / 3])
                }
            }
        }
    }

    private static func build(_ index: IVFIndex, _ gate: Gate, operations: Int) {
        let plan = IVFPlan(index)
        var done = 0
        while done < operations {
            guard let operation = gate.read({ index.nextOperation }) else {
                sched_yield()
                continue
            }
            index.plan(operation, into: plan)
            gate.write { index.apply(plan) }
            if operation.kind != .train { done += 1 }
        }
        while let operation = gate.read({ index.nextOperation }) {
            index.plan(operation, into: plan)
            gate.write { index.apply(plan) }
        }
    }

    /// Every answer is what a scan of all vectors says, since all lists are looked at.
    private static func read(_ index: IVFIndex, _ gate: Gate, _ seed: UInt64) throws {
        var random = Xoshiro256(seed: seed)
        let scratch = SearchScratch()
        var hits = [VectorHit](repeating: VectorHit(node: 0, distance: 0), count: 10)
        var exact = hits
        for _ in 0..<300 {
            let query = vector(&random)
            try gate.read {
                try query.withUnsafeBufferPointer { vector in
                    let found = try hits.withUnsafeMutableBufferPointer {
                        try index.search(
                            vector,
                            k: 10,
                            probeCount: 30,
                            scratch: scratch,
                            into: $0
                        )
                    }
                    let all = try exact.withUnsafeMutableBufferPointer {
                        try index.exactSearch(
                            vector,
                            k: 10,
                            among: index.live,
                            wordCount: (index.nodeCount + 63) / 64,
                            scratch: scratch,
                            into: $0
                        )
                    }
                    #expect(found == all, "seed \(seed)")
                    let common = Set(hits[..<found].map(\.node))
                        .intersection(exact[..<all].map(\.node))
                    #expect(common.count + 1 >= all, "seed \(seed)")
                }
            }
        }
    }
}
