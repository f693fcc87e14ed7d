import Partition
import Primitives
import Schema
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// The threads that link vectors into their graphs, behind the writes and without holding them up,
/// and put rows into the orders that lookups have asked for.
///
/// Each thread has a share of the partitions for good, so that a graph has one builder. What is
/// next is planned without a lock and applied under the partition's writer lock, which takes
/// microseconds: readers never wait for a search for neighbours.
// SAFETY of `@unchecked Sendable`: `threads` belongs to whoever starts and stops; the rest is
// immutable or behind locks of its own.
final class VectorBuilders: @unchecked Sendable {
    private let shared: EngineShared
    private let threadCount: Int
    private var threads: [pthread_t] = []
    /// Held by each thread while it changes a graph.
    private let changes: [Guarded<Bool>]

    init(shared: EngineShared, threadCount: Int) {
        self.shared = shared
        self.threadCount = max(1, threadCount)
        changes = (0..<max(1, threadCount)).map { _ in Guarded(false) }
    }

    func start() {
        for index in 0..<threadCount {
            var handle = pthread_t()
            let box = Unmanaged.passRetained(BuilderThread(builders: self, index: index))
            let status = pthread_create(&handle, nil, builderMain, box.toOpaque())
            precondition(status == 0, "a thread for a builder")
            threads.append(handle)
        }
    }

    /// Ends the threads; what is not linked stays in the tails.
    func stop() {
        bell.close()
        for thread in threads { pthread_join(thread, nil) }
        threads = []
    }

    /// There may be something to link.
    func wake() { bell.ring() }

    fileprivate var bell: Bell { shared.builderBell }

    /// Runs `body` while no thread changes a graph: they stand between two steps. For milliseconds,
    /// without a partition's lock.
    func whileStill<T>(_ body: () throws -> T) rethrows -> T { try holding(0, body) }

    private func holding<T>(_ index: Int, _ body: () throws -> T) rethrows -> T {
        if index == changes.count { return try body() }
        return try changes[index].withLock { _ in try holding(index + 1, body) }
    }

    /// One turn over a thread's share: a few steps of every graph that waits for some.
    ///
    /// - Returns: whether there was anything to do.
    fileprivate func turn(_ index: Int) -> Bool {
        var worked = false
        for view in shared.catalog.collections.values {
            for (place, partition) in view.partitions.enumerated()
            where place % threadCount == index {
                partition.lock.lockForReading()
                let fields = partition.vectorFields
                partition.lock.unlock()
                for field in fields where work(on: field, partition, index) { worked = true }
                if partition.makeMissedOrder() { worked = true }
            }
        }
        return worked
    }

    /// Steps of one graph before others have their turn.
    private static let stepCount = 64

    private func work(
        on field: VectorField, _ partition: CollectionPartition, _ index: Int
    ) -> Bool {
        var count = 0
        while count < Self.stepCount, field.index.planNext(partition.lock) {
            changes[index].withLock { _ in
                partition.lock.lockForWriting()
                field.index.apply()
                partition.lock.unlock()
            }
            count += 1
        }
        return count > 0
    }
}

/// One builder's thread.
private final class BuilderThread: Sendable {
    let builders: VectorBuilders
    let index: Int

    init(builders: VectorBuilders, index: Int) {
        self.builders = builders
        self.index = index
    }

    func run() {
        ThreadPriority.lower()
        while !builders.bell.mustStop {
            let seen = builders.bell.rings
            if !builders.turn(index) { builders.bell.wait(since: seen) }
        }
    }
}

private func builderMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<BuilderThread>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
