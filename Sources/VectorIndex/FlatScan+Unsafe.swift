// Exact scans: distances to sets of rows, the nearest kept, and ranking again by the originals.
//
// Free functions over raw pointers. Buffers are those of a SearchScratch that was prepared for the
// index: `pending` holds row numbers a batch at a time, `pool` the nearest so far (ascending),
// `found` the outcome of ranking.

/// Scans that any vector index falls back to.
enum FlatScan {
    /// Rows of one kernel call at most.
    private static var batchCount: Int { SearchScratch.batchCount }

    /// Offers every row whose bit is set to the pool, which keeps the `limit` nearest.
    ///
    /// `words`: `wordCount` words of bits, row i at bit i % 64 of word i / 64. `count`: what the
    /// pool holds, before and after.
    ///
    /// - Returns: how many distances were computed.
    /// - Complexity: O(words + rows · dimensions).
    @inline(never)
    static func rows(
        _ codes: CodeView,
        _ query: borrowing QueryView,
        _ words: UnsafePointer<UInt64>,
        _ wordCount: Int,
        _ s: ScratchView,
        _ count: inout Int,
        _ limit: Int
    ) -> Int {
        let (ids, distances) = (s.pending, s.distances)
        let wordsPerBatch = batchCount / 64
        var (held, evaluated, index) = (0, 0, 0)
        while index < wordCount {
            if isFull(words, index, wordCount, wordsPerBatch) {
                let first = UInt32(index &* 64)
                codes.distances(query, nil, first: first, batchCount, distances)
                for i in 0..<batchCount {
                    offer(distances[i], first &+ UInt32(i), s.pool, &count, limit)
                }
                evaluated &+= batchCount
                index &+= wordsPerBatch
                continue
            }
            var word = words[index]
            while word != 0 {
                ids[held] = UInt32(truncatingIfNeeded: index &* 64 &+ word.trailingZeroBitCount)
                word &= word &- 1
                held &+= 1
            }
            index &+= 1
            if held > batchCount &- 64 {
                list(codes, query, ids, held, s, &count, limit)
                evaluated &+= held
                held = 0
            }
        }
        list(codes, query, ids, held, s, &count, limit)
        return evaluated &+ held
    }

    @inline(__always)
    private static func isFull(
        _ words: UnsafePointer<UInt64>,
        _ index: Int,
        _ wordCount: Int,
        _ needed: Int
    ) -> Bool {
        guard index &+ needed <= wordCount else { return false }
        var all = ~UInt64(0)
        for offset in 0..<needed { all &= words[index &+ offset] }
        return all == ~0
    }

    /// Offers the rows `ids[0..<idCount]`, a batch at most, to the pool.
    ///
    /// - Complexity: O(rows · dimensions).
    @inline(__always)
    static func list(
        _ codes: CodeView,
        _ query: borrowing QueryView,
        _ ids: UnsafePointer<UInt32>,
        _ idCount: Int,
        _ s: ScratchView,
        _ count: inout Int,
        _ limit: Int
    ) {
        assert(idCount <= batchCount, "a batch fits its buffer")
        // SAFETY: `distances` has room for a batch.
        codes.distances(query, ids, idCount, s.distances)
        for i in 0..<idCount { offer(s.distances[i], ids[i], s.pool, &count, limit) }
    }

    @inline(__always)
    private static func offer(
        _ distance: Float,
        _ node: UInt32,
        _ pool: UnsafeMutablePointer<UInt64>,
        _ count: inout Int,
        _ limit: Int
    ) {
        let key = Candidate.key(distance, node)
        if count < limit || key < pool[limit &- 1] {
            _ = insertCandidate(key, pool, &count, limit)
        }
    }

    /// Ranks the pool's `count` candidates by the originals, if there are any and the pool was not
    /// made of them, and writes the `k` nearest. REQUIRES: room for `k`.
    ///
    /// - Returns: how many were written: the smaller of `count` and `k`.
    /// - Complexity: O(count · dimensions).
    @inline(never)
    static func finish(
        _ rows: VectorRows,
        _ query: borrowing QueryView,
        _ s: ScratchView,
        _ count: Int,
        _ k: Int,
        isExact: Bool,
        into out: UnsafeMutableBufferPointer<VectorHit>
    ) -> Int {
        precondition(out.count >= k, "there is room for the results")
        var ranked = s.pool
        var kept = min(count, k)
        if rows.hasOriginals && !isExact {
            var (start, written) = (0, 0)
            while start < count {
                let size = min(batchCount, count &- start)
                for i in 0..<size { s.pending[i] = Candidate.node(s.pool[start &+ i]) }
                rows.exactView.distances(query, s.pending, size, s.distances)
                for i in 0..<size {
                    offer(s.distances[i], s.pending[i], s.found, &written, k)
                }
                start &+= size
            }
            ranked = s.found
            kept = written
        }
        for i in 0..<kept {
            out[i] = VectorHit(
                node: Candidate.node(ranked[i]),
                distance: Candidate.distance(ranked[i])
            )
        }
        return kept
    }

    /// Set bits in `count` words. - Complexity: O(count).
    static func countBits(_ words: UnsafePointer<UInt64>, _ count: Int) -> Int {
        var total = 0
        for index in 0..<count { total &+= words[index].nonzeroBitCount }
        return total
    }
}
