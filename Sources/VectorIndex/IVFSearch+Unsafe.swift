// Searching an inverted file: lists in the order of their centres' distance, then the tail.
//
// Filters. Few matches are scanned exactly: that costs less than the lists would. Otherwise lists
// are probed until matches enough were looked at: among matches that are a share s of all, the k
// nearest lie as far out as the k / s nearest of all, so more lists are looked at, though fewer
// vectors. A filter that points away from the query makes the near lists yield nothing; the quota
// of matches keeps the search going until it is among them.

/// How far a search goes from list to list.
private struct IVFReach {
    /// Lists to look at in any case.
    var probed: Int
    /// Accepted vectors to look at in any case.
    var least: Int
    /// As `least`, where the lists that are looked at in any case held less than half of the
    /// `expected`: the filter points away from the query.
    var far = 0
    var expected = 0
    var isFiltered = false
}

extension IVFIndex {
    /// The `k` nearest nodes to a vector, nearest first, as good as `probeCount` makes them.
    ///
    /// `probeCount`: lists to look at, 1 to all. `ef`: candidates that codes leave for ranking by
    /// the originals, if there are any. `accept`: one bit per node, `nodeCount` bits in whole
    /// words, zero beyond; only these are found; nil: the live ones. `out`: room for `k`.
    ///
    /// - Returns: how many were written: the smaller of `k` and the accepted nodes.
    /// - Throws: as `check`.
    /// - Complexity: O((lists + vectors looked at + tail) · dimensions).
    package func search(
        _ vector: UnsafeBufferPointer<Float>,
        k: Int,
        probeCount: Int,
        ef: Int = 64,
        accept: UnsafePointer<UInt64>? = nil,
        scratch: SearchScratch,
        into out: UnsafeMutableBufferPointer<VectorHit>
    ) throws(VectorIndexError) -> Int {
        precondition(k > 0, "a search is for something")
        let rows = nodes.rows
        let limit = rows.hasOriginals ? max(ef, k * 4) : k
        scratch.prepare(
            nodeCount: nodeCount,
            ef: max(limit, lists.count),
            dimensions: rows.dimensions
        )
        let s = scratch.view
        let query = try rows.query(vector, s.floats, s.codes)
        let probed = min(max(probeCount, 1), lists.count)
        let words = (nodeCount + 63) / 64
        let matches = accept.map { FlatScan.countBits($0, words) }
        let scanned = linkedCount * probed / lists.count
        var count = 0
        if let accept, let matches,
            matches <= max(3 * (scanned + lists.count), 8 * k) || lists.count == 1
        {
            scratch.usedPlan = .exact
            scratch.evaluatedCount = FlatScan.rows(
                rows.view, query, accept, words, s, &count, limit)
        } else {
            scratch.usedPlan = .widened(ef: limit)
            let reach =
                matches.map { self.reach($0, scanned, probed, k) }
                ?? IVFReach(probed: probed, least: k)
            let accepted = accept ?? UnsafePointer(nodes.live)
            let evaluated = probe(query, accepted, reach, s, &count, limit)
            let waiting = scanTail(query, accepted, s, &count, limit)
            scratch.evaluatedCount = evaluated + waiting + lists.count
        }
        return FlatScan.finish(rows, query, s, count, k, isExact: false, into: out)
    }

    /// The `k` nearest of the nodes in `words` by the originals, nearest first: each is compared.
    ///
    /// `words`: a bit per node, `wordCount` words. Retired nodes may be among them until they are
    /// released.
    ///
    /// - Returns: how many were written to `out`: k, or all there are.
    /// - Throws: as `check`.
    /// - Complexity: O(wordCount + nodes · dimensions).
    package func exactSearch(
        _ query: UnsafeBufferPointer<Float>,
        k: Int,
        among words: UnsafePointer<UInt64>,
        wordCount: Int,
        scratch: SearchScratch,
        into out: UnsafeMutableBufferPointer<VectorHit>
    ) throws(VectorIndexError) -> Int {
        try nodes.exactSearch(
            query,
            k: k,
            among: words,
            wordCount: wordCount,
            scratch: scratch,
            into: out
        )
    }

    /// How far to go under a filter that accepts `matches`, where `scanned` vectors would be
    /// looked at without one.
    private func reach(_ matches: Int, _ scanned: Int, _ probed: Int, _ k: Int) -> IVFReach {
        let share = min(Double(matches) / Double(max(liveCount, 1)), 1)
        return IVFReach(
            probed: probed,
            least: max(Int(Double(scanned) * share.squareRoot()), k),
            far: max(4 * scanned, k),
            expected: Int(Double(scanned) * share),
            isFiltered: true
        )
    }

    /// Looks at lists, nearest centres first, as far as `reach` says.
    ///
    /// - Returns: how many vectors were looked at.
    private func probe(
        _ query: borrowing QueryView,
        _ accept: UnsafePointer<UInt64>,
        _ reach: IVFReach,
        _ s: ScratchView,
        _ count: inout Int,
        _ limit: Int
    ) -> Int {
        let listCount = lists.count
        // Without a filter lists beyond those asked for are needed only where some are all but
        // empty; a few times as many will do, and all if even they do not.
        var ordered = reach.isFiltered ? listCount : min(listCount, 2 * reach.probed + 8)
        order(query, s, ordered)
        var (evaluated, rank, least) = (0, 0, reach.least)
        while rank < listCount && (rank < reach.probed || evaluated < least) {
            if rank == reach.probed && evaluated * 2 < reach.expected { least = reach.far }
            if rank == ordered {
                ordered = listCount
                order(query, s, ordered)
            }
            let list = Int(Candidate.node(s.found[rank]))
            evaluated += scan(list, query, accept, s, &count, limit)
            rank += 1
        }
        return evaluated
    }

    /// Puts the `wanted` lists with the nearest centres into `found`, ascending.
    ///
    /// - Complexity: O(lists · dimensions + lists · log(lists)).
    private func order(_ query: borrowing QueryView, _ s: ScratchView, _ wanted: Int) {
        guard let centroids = lists.centroids else {
            s.found[0] = Candidate.key(0, 0)
            return
        }
        let batch = SearchScratch.batchCount
        var coded = query.coded
        if nodes.rows.storage != .int8 {
            coded = VectorRows.encode(query.floats, centroids.dimensions, centroids.metric, s.codes)
        }
        var (start, size) = (0, 0)
        while start < centroids.count {
            let length = min(batch, centroids.count - start)
            let range = start..<start + length
            centroids.probeDistances(coded, range, into: s.distances)
            for index in 0..<length {
                let key = Candidate.key(s.distances[index], UInt32(start + index))
                if wanted == centroids.count {
                    s.found[start + index] = key
                } else if size < wanted || key < s.found[wanted - 1] {
                    _ = insertCandidate(key, s.found, &size, wanted)
                }
            }
            start += length
        }
        // SAFETY: `found` was prepared for as many keys as there are lists.
        if wanted == centroids.count {
            var keys = UnsafeMutableBufferPointer(start: s.found, count: wanted)
            keys.sort()
        }
    }

    /// Offers a list's accepted members to the pool; returns how many there were.
    private func scan(
        _ list: Int,
        _ query: borrowing QueryView,
        _ accept: UnsafePointer<UInt64>,
        _ s: ScratchView,
        _ count: inout Int,
        _ limit: Int
    ) -> Int {
        let members = lists.members(list)
        return scan(members.span, query, accept, s, &count, limit)
    }

    private func scanTail(
        _ query: borrowing QueryView,
        _ accept: UnsafePointer<UInt64>,
        _ s: ScratchView,
        _ count: inout Int,
        _ limit: Int
    ) -> Int {
        let (nodes, head) = (tail, tailHead)
        let span = nodes.span
        return scan(span.extracting(head..<span.count), query, accept, s, &count, limit)
    }

    private func scan(
        _ ids: Span<UInt32>,
        _ query: borrowing QueryView,
        _ accept: UnsafePointer<UInt64>,
        _ s: ScratchView,
        _ count: inout Int,
        _ limit: Int
    ) -> Int {
        let (codes, batch, kept) = (nodes.rows.view, SearchScratch.batchCount, s.pending)
        var (held, evaluated) = (0, 0)
        for index in ids.indices {
            let node = ids[index]
            // Written always, kept only if accepted: no branch to mispredict.
            kept[held] = node
            held &+= Int(accept[Int(node >> 6)] >> UInt64(node & 63) & 1)
            if held == batch {
                FlatScan.list(codes, query, kept, held, s, &count, limit)
                evaluated &+= held
                held = 0
            }
        }
        FlatScan.list(codes, query, kept, held, s, &count, limit)
        return evaluated &+ held
    }
}
