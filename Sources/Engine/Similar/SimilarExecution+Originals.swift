import Partition
import Primitives
import Schema

/// Fields whose index holds only codes: what the codes make likely, and where every match counts
/// all of them, is compared by the vectors in the store.
extension SimilarExecution {
    /// Compares matches of a partition by the stored vectors.
    func compare(_ index: Int, until deadline: UInt64) throws(EngineError) {
        if let unindexed { return try compare(index, unindexed, until: deadline) }
        guard let originals else { preconditionFailure("a field that is ranked by the store") }
        repeat {
            let matches = searches[index].nextMatches(StoredOriginals.batch)
            if matches.isEmpty { return searchIsDone(index) }
            var batch = matches.map {
                StoredOriginals.Item(
                    partition: index, slot: $0.slot, source: $0.source, distance: 0)
            }[...]
            try originals.measure(&batch)
            compared += batch
            if compared.count > 2 * neededCount + 1_024 { keepNearest() }
        } while Clock.monotonicNanoseconds() < deadline
    }

    /// Compares the documents of a partition whose vectors are in no index yet.
    private func compare(
        _ index: Int, _ unindexed: UnindexedVectors, until deadline: UInt64
    ) throws(EngineError) {
        let excluded = Set(excludedRows(index))
        repeat {
            guard let batch = try unindexed.next(match(index), at: version) else {
                return searchIsDone(index)
            }
            compared += batch.filter { !excluded.contains($0.slot) }
            if compared.count > 2 * neededCount + 1_024 { keepNearest() }
        } while Clock.monotonicNanoseconds() < deadline
    }

    /// Drops what is farther than as many as are needed.
    private func keepNearest() {
        guard compared.count > neededCount, neededCount > 0 else { return }
        compared.sort { $0.distance < $1.distance }
        let last = compared[neededCount - 1].distance
        if let end = compared.firstIndex(where: { $0.distance > last }) {
            compared.removeSubrange(end...)
        }
    }

    /// Compares the best that were found by codes by the stored vectors, a batch at a time.
    func rankByOriginals(from start: Int) throws(EngineError) {
        if start == 0 { gatherFound() }
        guard let originals, start < found.count else {
            note("originals", "read from the store", rows: found.count)
            phase = .rank
            return
        }
        let end = min(start + StoredOriginals.batch, found.count)
        try originals.measure(&found[start..<end])
        phase = .originals(from: end)
    }

    private func gatherFound() {
        withLocks {
            for (index, search) in searches.enumerated() {
                for hit in search.hits {
                    guard let source = indexes[index].source(ofRow: hit.slot) else { continue }
                    found.append(
                        StoredOriginals.Item(
                            partition: index, slot: hit.slot, source: source,
                            distance: hit.distance))
                }
            }
        }
        // Codes of all partitions compare with each other.
        found.sort { $0.distance < $1.distance }
        let count = VectorGraph.rankedCount(neededCount, width: width)
        if found.count > count { found.removeSubrange(count...) }
    }

    /// The row's vector: the index's, or the stored one where that is what ranks.
    func vector(_ index: Int, of slot: Slot) throws(EngineError) -> [Float]? {
        let partition = view.partitions[index]
        partition.lock.lockForReading()
        if let unindexed {
            let key = partition.key(slot)
            partition.lock.unlock()
            return try unindexed.vector(of: key)
        }
        guard options.ranksByStore else {
            defer { partition.lock.unlock() }
            return indexes[index].vector(of: slot)
        }
        let source = indexes[index].source(ofRow: slot)
        partition.lock.unlock()
        guard let source else { return nil }
        return try StoredOriginals.vector(context, request.field, source)
    }
}
