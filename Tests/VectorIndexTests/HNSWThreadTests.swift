import Glibc
import Primitives
import Testing
import VectorIndex

/// A readers-writer lock, as the graph's owner has one.
private final class Lock: @unchecked Sendable {
    // Sendable: the handle is meant to be shared.
    private let handle = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)

    init() { pthread_rwlock_init(handle, nil) }

    deinit {
        pthread_rwlock_destroy(handle)
        handle.deallocate()
    }

    func read<R>(_ body: () throws -> R) rethrows -> R {
        pthread_rwlock_rdlock(handle)
        defer { pthread_rwlock_unlock(handle) }
        return try body()
    }

    func write<R>(_ body: () throws -> R) rethrows -> R {
        pthread_rwlock_wrlock(handle)
        defer { pthread_rwlock_unlock(handle) }
        return try body()
    }
}

/// Goal: readers, the writer and a planning builder do not disturb each other.
/// Method: all at once under the thread rule; sound for the sanitizer of threads too.
@Suite struct HNSWThreadTests {
    @Test func readersWriterAndBuilderWorkAtOnce() async throws {
        let set = VectorSet(count: 1500, dimensions: 24, metric: .cosine, seed: 51)
        let graph = try HNSWGraph(
            HNSWConfiguration(
                dimensions: 24, metric: .cosine, m: 6, efConstruction: 30, seed: 3,
                nodeCountMax: 5000))
        let lock = Lock()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for (i, vector) in set.vectors.enumerated() {
                    try lock.write {
                        _ = try vector.withUnsafeBufferPointer { try graph.append($0) }
                        if i % 3 == 2, graph.isLive(UInt32(i / 3)) {
                            graph.retire(UInt32(i / 3))
                            graph.release(UInt32(i / 3))
                        }
                    }
                    await Task.yield()
                }
            }
            group.addTask {
                let plan = HNSWPlan(graph)
                var done = 0
                while done < 1500 {
                    guard let operation = lock.read({ graph.nextOperation }) else {
                        await Task.yield()
                        continue
                    }
                    graph.plan(operation, into: plan)
                    lock.write { graph.apply(plan) }
                    if operation.kind == .link { done += 1 }
                }
            }
            group.addTask {
                let (scratch, room) = (
                    SearchScratch(), UnsafeMutableBufferPointer<VectorHit>.allocate(capacity: 10)
                )
                defer { room.deallocate() }
                for query in set.vectors {
                    try lock.read {
                        let found = try query.withUnsafeBufferPointer {
                            try graph.search($0, k: 10, ef: 20, scratch: scratch, into: room)
                        }
                        #expect(found == min(10, graph.liveCount))
                        #expect(room[..<found].allSatisfy { graph.isLive($0.node) })
                    }
                    await Task.yield()
                }
            }
            try await group.waitForAll()
        }
        let plan = HNSWPlan(graph)
        while graph.step(plan) {}
        #expect(graph.invariantViolations() == [])
    }
}
