import Partition
import Primitives
package import Schema

/// Measures recall: repeats lookups as they were and exactly, and compares, in slices.
///
/// Not Sendable: runs on the thread of its context.
package final class RecallExecution {
    private let context: ReadContext
    private let queries: [SimilarRequest]
    /// Of `queries`, the first so many were asked by clients.
    private let recentCount: Int
    private var position = 0
    private var approximate: SimilarExecution?
    private var exact: SimilarExecution?
    private let deadlineNanoseconds: UInt64
    /// What was found so far.
    package private(set) var bands = RecallBand.all
    /// Of the lookups that were measured: those that clients asked, and those made of stored
    /// vectors.
    package private(set) var measured = (recent: 0, sampled: 0)

    /// Measures up to `count` recent lookups of the field; where there are fewer, stored vectors
    /// take the place of the rest.
    package init(
        _ view: CollectionView, _ field: Field, count: Int, deadlineNanoseconds: UInt64,
        context: ReadContext
    ) {
        self.context = context
        self.deadlineNanoseconds = deadlineNanoseconds
        let key = RecallMonitor.Key(collection: view.id, field: field.number)
        var queries = Array(
            context.shared.recall.recent(key).compactMap { $0.request(in: view) }.suffix(count))
        recentCount = queries.count
        for vector in Self.storedVectors(view, field, count: count - queries.count) {
            queries.append(
                SimilarRequest(view: view, field: field, target: .vector(vector), count: 10))
        }
        self.queries = queries
    }

    /// Measures one lookup.
    init(_ request: SimilarRequest, context: ReadContext) {
        self.context = context
        deadlineNanoseconds = .max
        queries = [request]
        recentCount = 1
    }

    /// Vectors of documents from all over the collection.
    private static func storedVectors(
        _ view: CollectionView, _ field: Field, count: Int
    ) -> [[Float]] {
        guard count > 0, let options = field.vectorOptions, !view.isBuildingFirstIndex(of: field)
        else { return [] }
        var vectors: [[Float]] = []
        let share = (count + view.partitions.count - 1) / view.partitions.count
        for partition in view.partitions {
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            guard let index = partition.vectorField(field.number, built: options) else { continue }
            let step = max(1, partition.slotBound / share)
            for slot in stride(from: 0, to: partition.slotBound, by: step)
            where vectors.count < count {
                if let vector = index.vector(of: Slot(slot)) {
                    vectors.append(vector)
                }
            }
        }
        return vectors
    }

    package func finish() {
        approximate?.finish()
        exact?.finish()
    }

    /// Works until it is finished or `deadline` on the monotonic clock has passed.
    ///
    /// - Returns: whether it is finished.
    /// - Throws: as the lookups; `TIMEOUT` when the time for all of them is over.
    package func run(until deadline: UInt64) throws(EngineError) -> Bool {
        while position < queries.count {
            if try measure(until: deadline) { position += 1 }
            let now = Clock.monotonicNanoseconds()
            if now >= deadlineNanoseconds {
                throw EngineError(
                    .timeout, "", "the time for this measurement is over",
                    hint: "raise TIMEOUT or lower SAMPLE")
            }
            if now >= deadline { return position == queries.count }
        }
        return true
    }

    /// - Returns: whether the lookup is measured.
    private func measure(until deadline: UInt64) throws(EngineError) -> Bool {
        var request = queries[position]
        request.deadlineNanoseconds = .max
        let first = try execution(request, approximate)
        approximate = first
        guard try first.run(until: deadline) else { return false }
        request.isExact = true
        request.width = nil
        let second = try execution(request, exact)
        exact = second
        guard try second.run(until: deadline) else { return false }
        compare(first.outcome, second.outcome, isFiltered: request.filter != nil)
        finish()
        (approximate, exact) = (nil, nil)
        return true
    }

    /// The execution under way, or a new one.
    private func execution(
        _ request: SimilarRequest, _ current: SimilarExecution?
    ) throws(EngineError) -> SimilarExecution {
        if let current { return current }
        return try SimilarExecution(request, context: context, isMeasured: true)
    }

    private func compare(
        _ approximate: SimilarOutcome, _ exact: SimilarOutcome, isFiltered: Bool
    ) {
        guard let last = exact.hits.last else { return }
        // A hit as good as the last true one is true as well: equals are not told apart.
        let found = approximate.hits.count { $0.score >= last.score - 1e-6 }
        if position < recentCount { measured.recent += 1 } else { measured.sampled += 1 }
        let index = RecallBand.index(
            isFiltered: isFiltered, matching: exact.total,
            of: queries[position].view.documentCount)
        bands[index].lookupCount += 1
        bands[index].trueCount += exact.hits.count
        bands[index].foundCount += min(found, exact.hits.count)
    }
}
