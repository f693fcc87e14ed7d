import Partition
import Primitives
import Schema

/// The end of a lookup: what was found in each partition is merged, cut, spread out, and turned
/// into hits.
extension SimilarExecution {
    struct Candidate {
        var partition: Int
        var slot: Slot
        var distance: Float
    }

    /// Runs `body` with all partitions locked for reading, so that ids and rows can be looked at.
    func withLocks<T>(_ body: () -> T) -> T {
        for partition in view.partitions { partition.lock.lockForReading() }
        defer { for partition in view.partitions { partition.lock.unlock() } }
        return body()
    }

    /// The id's bytes; under ``withLocks(_:)``.
    private func id(_ candidate: Candidate) -> UnsafeRawBufferPointer {
        view.partitions[candidate.partition].id(candidate.slot)
    }

    func rank() throws(EngineError) {
        var candidates: [Candidate] = []
        candidates.reserveCapacity(searches.reduce(0) { $0 + $1.hits.count })
        outcome.total += unindexed?.matchCount ?? 0
        for (index, search) in searches.enumerated() {
            outcome.total += search.matchCount
            guard originals == nil else { continue }
            for hit in search.hits {
                candidates.append(
                    Candidate(partition: index, slot: hit.slot, distance: hit.distance))
            }
        }
        for item in found + compared {
            candidates.append(
                Candidate(partition: item.partition, slot: item.slot, distance: item.distance))
        }
        outcome.isExact = searches.allSatisfy(\.isExact) && !outcome.isPartial
        withLocks {
            candidates.sort {
                $0.distance != $1.distance
                    ? $0.distance < $1.distance : id($0).lexicographicallyPrecedes(id($1))
            }
            drop(&candidates)
        }
        guard let diversity = request.diversity, !outcome.isPartial else {
            return answer(candidates.prefix(request.count))
        }
        self.candidates = Array(candidates.prefix(Self.spreadCount(request.count)))
        spread = try makeSpread(diversity)
        phase = .spread
    }

    func finishSpread() {
        let chosen = spread?.chosen ?? []
        answer(chosen.map { candidates[$0] }[...])
    }

    private func answer(_ chosen: ArraySlice<Candidate>) {
        outcome.hits = withLocks { chosen.map { hit($0) } }
        offerForRecall()
        note("rank", request.diversity == nil ? "by score" : "spread out", rows: outcome.hits.count)
        phase = .finished
    }

    /// Drops the candidates that are no hits.
    private func drop(_ candidates: inout [Candidate]) {
        if !excluded.isEmpty, excludedRows.isEmpty {
            let gone = Set(excluded)
            candidates.removeAll { gone.contains([UInt8](id($0))) }
        }
        if let least = request.scoreMin {
            candidates.removeAll { score($0.distance).score < least }
        }
    }

    private func hit(_ candidate: Candidate) -> SimilarHit {
        let (score, distance) = score(candidate.distance)
        return SimilarHit(
            key: view.partitions[candidate.partition].key(candidate.slot),
            id: [UInt8](id(candidate)), score: score, distance: distance)
    }

    /// Lets one lookup in so many be measured later, with the vector that it came to.
    private func offerForRecall() {
        if isMeasured || request.isExact || outcome.isPartial || unindexed != nil { return }
        context.nearnessCount &+= 1
        guard context.nearnessCount % RecallMonitor.every == 1 else { return }
        context.shared.recall.offer(
            RecallSample(
                key: RecallMonitor.Key(collection: view.id, field: request.field.number),
                options: options, target: target, filter: request.filter, count: request.count,
                width: request.width))
    }

    /// What an index's distance means to a client.
    private func score(_ distance: Float) -> (score: Double, distance: Double?) {
        switch options.metric {
        // Rounding may lead a little beyond the bounds; a Float tells no cosines apart that are the
        // same in billionths.
        case .cosine:
            let cosine = min(max(1 - Double(distance), -1), 1)
            return ((cosine * 1e9).rounded() / 1e9, nil)
        case .ip: return (0 - Double(distance), nil)
        case .l2:
            let root = Double(max(0, distance)).squareRoot()
            return (1 / (1 + root), root)
        }
    }

    /// Candidates that a number of spread-out hits is chosen from.
    static func spreadCount(_ count: Int) -> Int { max(4 * count, 64) }

    private func makeSpread(_ diversity: Double) throws(EngineError) -> Spread {
        // The locks are held for one vector at a time: there may be thousands.
        var vectors: [[Float]] = []
        vectors.reserveCapacity(candidates.count)
        for candidate in candidates {
            vectors.append(
                try vector(candidate.partition, of: candidate.slot) ?? [])
        }
        return Spread(
            scores: candidates.map { score($0.distance).score }, vectors: vectors, options,
            diversity: diversity, count: request.count)
    }
}
