import ColumnIndex
package import DocumentStore
import Documents
import HoursIndex
import Partition
import Primitives
import Schema
import Synchronization

/// One index of a collection, over all partitions.
package struct IndexState: Sendable {
    package var path: String
    package var kind: String
    package var isReady: Bool
    /// Documents that an `ALTER` has gone through, and how many there are.
    package var done: Int
    package var of: Int
    package var byteCount: Int
}

/// One partition of a collection.
package struct PartitionFigures: Sendable {
    package var documents: Int
    package var rows: Int
    package var deadRows: Int
    package var byteCount: Int
}

/// What `HEALTH` says.
package struct EngineHealth: Sendable {
    /// `ok`, `degraded` (reads only, or the disk is full).
    package var state: String
    /// `accepted`, `full` or `read-only`.
    package var writes: String
    package var problems: [String]
}

extension Engine {
    /// The collection's indexes with their states and sizes.
    package func indexStates(of view: CollectionView) -> [IndexState] {
        let jobs = shared.jobs.all.filter {
            ($0.kind == "ALTER" || $0.kind == RebuildJob.kind) && $0.collection == view.name
        }
        // Of several the first that has not ended is at work.
        let job = jobs.first { $0.endedMilliseconds == 0 } ?? jobs.last
        let columns = view.schema.fields.filter(\.hasEntries).map { field in
            var state = IndexState(
                path: field.path, kind: field.type.isNumeric ? "numeric" : "keyword",
                isReady: true, done: job?.done ?? 0, of: job?.of ?? 0, byteCount: 0)
            for partition in view.partitions {
                partition.lock.lockForReading()
                if let column = partition.column(field.number) {
                    state.byteCount += column.byteCount
                    if !column.isReady { state.isReady = false }
                } else {
                    state.isReady = false
                }
                partition.lock.unlock()
            }
            return state
        }
        return columns + view.schema.fields.compactMap { vectorState(of: $0, view) }
            + view.schema.fields.compactMap { placeState(of: $0, view, job) }
    }

    /// An index of places or of opening hours: building while an `ALTER` brings old rows in.
    private func placeState(
        of field: Field, _ view: CollectionView, _ job: JobStatus?
    ) -> IndexState? {
        guard field.hasPlaceIndex || field.hasHours else { return nil }
        let place = field.definition.place
        let kind =
            field.hasHours
            ? "hours" : field.type == .geoshape ? "zones" : place.isFlat ? "2d" : "places"
        var state = IndexState(
            path: field.path, kind: kind, isReady: true, done: job?.done ?? 0, of: job?.of ?? 0,
            byteCount: 0)
        for partition in view.partitions {
            partition.lock.lockForReading()
            if let places = partition.placeField(field.number) {
                state.byteCount += places.byteCount
            } else if let hours = partition.hoursField(field.number) {
                state.byteCount += hours.table.byteCount
            } else {
                state.isReady = false
            }
            partition.lock.unlock()
        }
        return state
    }

    /// A vector field's index: building until all that was written is linked.
    private func vectorState(of field: Field, _ view: CollectionView) -> IndexState? {
        guard case .vector(let options) = field.type, let kind = options.indexKind else {
            return nil
        }
        var state = IndexState(
            path: field.path, kind: kind, isReady: true, done: 0, of: 0, byteCount: 0)
        for partition in view.partitions {
            partition.lock.lockForReading()
            if let vectors = partition.vectorField(field.number) {
                state.byteCount += vectors.byteCount
                state.of += vectors.index.liveCount
                state.done += max(0, vectors.index.liveCount - vectors.index.tailCount)
                if !vectors.isReady || vectors.index.tailCount > 0 { state.isReady = false }
            } else {
                // Brought in by a job: none is linked yet that lookups would use.
                state.isReady = false
                state.of += partition.documentCount
            }
            partition.lock.unlock()
        }
        return state
    }

    /// What measuring recent lookups by nearness has shown, by collection, field and band.
    package var recallFigures: [(collection: String, field: String, band: RecallBand)] {
        let catalog = shared.catalog
        return catalog.sortedNames.compactMap { catalog.collections[$0] }.flatMap { view in
            view.vectorFields.flatMap { field in
                shared.recall.bands(of: field, collection: view.id).map {
                    (view.name, field.path, $0)
                }
            }
        }
    }

    package var health: EngineHealth {
        var health = EngineHealth(state: "ok", writes: "accepted", problems: [])
        switch shared.storeState {
        case "full":
            health.state = "degraded"
            health.writes = "full"
            health.problems.append("no space is left on the disk of the data directory")
        case "failed":
            health.state = "degraded"
            health.writes = "read-only"
            health.problems.append("a commit failed: restart after mending the disk")
        default: break
        }
        if shared.restoringJob != nil { health.writes = "read-only" }
        if shared.isOverMemory {
            health.state = "degraded"
            health.problems.append("the memory limit is reached: new documents are refused")
        }
        return health
    }

    /// Bytes of each part of the engine, by name: the ledger.
    package var ledger: [(name: String, byteCount: Int)] {
        var rows: [(name: String, byteCount: Int)] = []
        for name in shared.catalog.sortedNames {
            guard let view = shared.catalog.collections[name] else { continue }
            rows.append(("collection.\(name).base", view.baseByteCount))
            for index in indexStates(of: view) {
                rows.append(("collection.\(name).index.\(index.path)", index.byteCount))
            }
        }
        if let tail { rows.append(("log_tail", tail.byteCount)) }
        rows.append(("commit_queue", queueDepth.byteCount))
        rows.append(("unique_keys", shared.uniqueByteCount.load(ordering: .relaxed)))
        rows.append(("superseded_and_expiring", shared.bookByteCount.load(ordering: .relaxed)))
        rows.append(("jobs_building", shared.buildingByteCount.load(ordering: .relaxed)))
        return rows
    }

    /// Sizes of the log.
    package func storeStatistics() -> StoreStatistics? {
        guard let reader = try? store.makeReader(), (try? reader.begin()) != nil else { return nil }
        defer { reader.end() }
        return try? reader.statistics()
    }
}

extension Committer {
    /// What the rows of ``Engine/ledger`` add up to: what the memory bound is about.
    ///
    /// - Complexity: O(partitions × columns).
    var ledgerByteCount: Int {
        var sum = (tail?.byteCount ?? 0) + queue.depth.byteCount
        sum += shared.uniqueByteCount.load(ordering: .relaxed)
        sum += shared.bookByteCount.load(ordering: .relaxed)
        sum += shared.buildingByteCount.load(ordering: .relaxed)
        for view in shared.catalog.collections.values {
            for partition in view.partitions {
                partition.lock.lockForReading()
                sum += partition.byteCount
                partition.lock.unlock()
            }
        }
        return sum
    }

    /// Compares the ledger with the bound, a few times a second: here and not on the thread of the
    /// jobs, which one of them may hold for minutes.
    func watchMemory() {
        let bound = shared.settings.memoryByteCountMax
        guard bound > 0 else {
            shared.isOverMemory = false
            return
        }
        let now = Clock.monotonicNanoseconds()
        guard now >= nextMemoryWatch else { return }
        nextMemoryWatch = now + Self.memoryWatchNanoseconds
        keepLedger()
        shared.isOverMemory = ledgerByteCount > bound
    }

    /// How often the memory is looked at.
    static let memoryWatchNanoseconds: UInt64 = 200_000_000
}

extension CollectionView {
    /// Bytes of heads, rows and the order of ids.
    package var baseByteCount: Int {
        partitions.reduce(0) { sum, partition in
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            return sum + partition.baseByteCount
        }
    }

    package var partitionFigures: [PartitionFigures] {
        partitions.map { partition in
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            return PartitionFigures(
                documents: partition.documentCount, rows: partition.slotBound,
                deadRows: partition.deadRowCount, byteCount: partition.byteCount)
        }
    }
}

/// Trims whatever may be trimmed and gives the pages back to the file's free list.
package struct CompactJob: Sendable {
    package init() {}

    package func run(_ context: JobContext) throws -> String {
        var rounds = 0
        while true {
            let trimmed = Atomic<Int>(0)
            try context.onCommitter { committer in
                trimmed.store(try committer.trimOnce(limit: 2_000), ordering: .relaxed)
            }
            let count = trimmed.load(ordering: .relaxed)
            rounds += count
            try context.checkpoint()
            if count == 0 { break }
        }
        return
            "\(rounds) entries trimmed; aisle compact shrinks the file while the server is stopped"
    }
}
