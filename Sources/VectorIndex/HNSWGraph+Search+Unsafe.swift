// Searching: walk on the codes, scan the tail, rank the best by the originals.

import CKernels

/// One result: a node and its distance.
package struct VectorHit: Equatable, Sendable {
    package var node: UInt32
    package var distance: Float

    package init(node: UInt32, distance: Float) {
        self.node = node
        self.distance = distance
    }
}

/// How a search under a filter is done.
package enum VectorSearchPlan: Equatable, Sendable {
    /// Every match is compared.
    case exact
    /// The graph is walked over matches only, looking behind other nodes.
    case filteredGraph
    /// The graph is walked as if there were no filter, with so many candidates.
    case widened(ef: Int)
}

extension HNSWGraph {
    /// How a search would be done whose filter accepts `matchCount` nodes.
    ///
    /// - Complexity: O(1).
    package func searchPlan(matchCount: Int, k: Int, ef: Int) -> VectorSearchPlan {
        let ef = max(ef, k)
        // Comparing matches in order costs less each than those that a walk leads to, and misses
        // none; a walk under a filter compares about 200 + 20 · ef and looks up as many again.
        if matchCount <= max(1000 + 75 * ef, k) || linkedCount == 0 { return .exact }
        let share = Double(matchCount) / Double(max(nodesHeld, matchCount))
        if share < 0.25 { return .filteredGraph }
        if share >= 1 { return .widened(ef: ef) }
        // Beyond what makes k matches nearly certain (three deviations), a candidate of a wide walk
        // is worth more than one of a narrow one, so 1 / share would be too wide.
        let wanted = Double(k)
        let least = (wanted + 3 * (wanted * (1 - share)).squareRoot()) / share + 1
        return .widened(ef: Int(max(Double(ef) / share.squareRoot(), least)) + 1)
    }

    /// The `k` nearest nodes to `query` that are live, or that `accept` holds, nearest first, as
    /// good as `ef` makes them.
    ///
    /// `accept` is a bit per node, `nodeCount` of them, padded to whole words; live nodes only.
    /// `matchCount` is how many it holds, counted if nil; `plan` is chosen by it if nil.
    ///
    /// - Returns: how many were written to `out`, which has room for k: k, or all there are.
    /// - Throws: as `check`.
    /// - Complexity: O(ef · m) distances plus one per node in the tail.
    package func search(
        _ query: UnsafeBufferPointer<Float>, k: Int, ef: Int,
        accept: UnsafePointer<UInt64>? = nil, matchCount: Int? = nil,
        plan: VectorSearchPlan? = nil, scratch: SearchScratch,
        into out: UnsafeMutableBufferPointer<VectorHit>
    ) throws(VectorIndexError) -> Int {
        precondition(out.count >= k, "room for k results")
        let kept = rows.hasOriginals ? min(Self.rankedCount(k: k, ef: ef), max(ef, k)) : k
        let count = try candidates(
            query, k: k, ef: ef, accept: accept, matchCount: matchCount, plan: plan,
            scratch: scratch)
        return rank(min(count, kept), k: k, scratch, out)
    }

    /// How many candidates are ranked by the originals: enough that the codes' rounding rarely
    /// hides one of the k.
    package static func rankedCount(k: Int, ef: Int) -> Int { k + k / 2 + 6 + ef / 8 }

    /// Finds candidates by their codes; they stay in the scratch.
    ///
    /// - Returns: how many: at least k, or all there are.
    func candidates(
        _ query: UnsafeBufferPointer<Float>, k: Int, ef: Int, accept: UnsafePointer<UInt64>?,
        matchCount: Int?, plan: VectorSearchPlan?, scratch: SearchScratch
    ) throws(VectorIndexError) -> Int {
        let words = (nodeCount + 63) / 64
        let bits = accept ?? UnsafePointer(live)
        let matches =
            accept == nil
            ? liveCount : matchCount ?? Int(ck_scan().pointee.words_popcount(bits, words))
        let ef = max(ef, k, 1)
        let plan = plan ?? searchPlan(matchCount: matches, k: k, ef: ef)
        var width = ef
        if case .widened(let wide) = plan { width = max(wide, ef) }
        let room = max(width, ef * Self.rareFactor * Self.awayFactor)
        scratch.prepare(nodeCount: nodeCount, ef: room, dimensions: rows.dimensions)
        let view = try rows.query(query, scratch.view.floats, scratch.view.codes)
        scratch.query = view
        scratch.usedPlan = plan
        if matches == 0 { return 0 }
        var count = 0
        switch plan {
        case .exact: return scan(view, bits, words, ef: ef, scratch)
        case .filteredGraph:
            count = walkAccepted(view, bits, words, matches, ef: ef, scratch)
        case .widened:
            let walked = descendAndWalk(view, ef: width, scratch)
            count = Self.keep(bits, scratch.view.pool, walked)
            // Where matches are much rarer than at large, the walk must look for them.
            if accept != nil && 2 * count * nodesHeld < walked * matches {
                scratch.clear()
                scratch.usedPlan = .filteredGraph
                count = walkAccepted(view, bits, words, matches, ef: ef, scratch)
            }
        }
        if scratch.usedPlan == .exact { return count }
        // A walk under a filter may have kept more.
        count = scanTail(view, bits, ef: max(width, count), count, scratch)
        if count >= min(k, matches) { return count }
        if case .widened = scratch.usedPlan, width < 4 * ef, width < nodesHeld {
            return try candidates(
                query, k: k, ef: ef, accept: accept, matchCount: matches,
                plan: .widened(ef: 4 * ef + 64), scratch: scratch)
        }
        scratch.clear()
        scratch.usedPlan = .exact
        return scan(view, bits, words, ef: ef, scratch)
    }

    /// Nodes that a search may meet, dead ones too.
    private var nodesHeld: Int { linkedCount + tailCount }

    private func descendAndWalk(
        _ query: borrowing QueryView, ef: Int, _ scratch: SearchScratch
    ) -> Int {
        guard entry != Self.none else { return 0 }
        var count = 0
        _ = descend(query, to: 0, ef: ef, scratch, &count)
        count = HNSWWalk.expand(
            view, query, level: 0, ef: ef, count: count, scratch.view, &scratch.touchedCount)
        scratch.evaluatedCount += scratch.touchedCount
        return count
    }

    /// Keeps the candidates that `bits` holds; returns how many.
    private static func keep(
        _ bits: UnsafePointer<UInt64>, _ pool: UnsafeMutablePointer<UInt64>, _ count: Int
    ) -> Int {
        var kept = 0
        for i in 0..<count {
            let node = Candidate.node(pool[i])
            pool[kept] = pool[i] & ~1
            kept &+= Int(bits[Int(node >> 6)] >> UInt64(node & 63) & 1)
        }
        return kept
    }

    // MARK: Under a filter

    /// Nodes that a filtered walk starts from, besides the nearest that the levels lead to.
    private static var sampleCount: Int { 48 }

    /// Times as many candidates that are kept under a filter at most: the rarer matches are, the
    /// fewer links join them, and the more candidates the same recall takes.
    private static var rareFactor: Int { 3 }

    /// Candidates kept where one of `rarity` nodes is a match. Measured at 384 dimensions: 1.2
    /// times as many at a tenth of all nodes, 2.3 times at a twentieth.
    private static func filteredWidth(_ rarity: Double, ef: Int) -> Int {
        let more = min(rarity * rarity * rarity / 6_000, Double(rareFactor - 1))
        return ef + Int(Double(ef) * more)
    }

    /// Accepted neighbours that are enough for one expansion: the rarer matches are, the more
    /// have to be seen at once for the walk to find its way. Measured as above: 2m at an eighth,
    /// 1.25m at a fifth and above.
    private func enoughAccepted(_ rarity: Double) -> Int {
        Int(Double(m) * min(max(rarity / 4, 1.25), 2))
    }

    /// How many times as many candidates a filter takes that points away from the query.
    private static var awayFactor: Int { 8 }
    /// Matches per candidate up to which such a filter is scanned: that costs about as much as the
    /// wide walk, which compares 25 nodes per candidate at twice a scan's price each, and misses
    /// none. Measured at 100,000 x 384 and 20 % of the nodes: the walk found 0.971 at 310 µs.
    private static var awayScanShare: Int { 512 }

    private func walkAccepted(
        _ query: borrowing QueryView, _ bits: UnsafePointer<UInt64>, _ words: Int,
        _ matches: Int, ef: Int, _ scratch: SearchScratch
    ) -> Int {
        guard entry != Self.none else { return 0 }
        let start = Candidate.node(descend(query, to: 0, scratch))
        let s = scratch.view
        // Nodes for each match, at large and around the nearest to the query: where matches are
        // rarer than at large, that is what the walk meets.
        var rarity = Double(nodesHeld) / Double(max(matches, 1))
        let (seen, accepted) = HNSWWalk.accepted(view, around: start, bits)
        let isAway = seen >= 64 && Double(accepted) * rarity < 0.25 * Double(seen)
        if seen >= 64 { rarity = max(rarity, Double(seen) / Double(max(accepted, 1))) }
        let filter = HNSWWalk.Filter(bits: bits, enough: enoughAccepted(rarity))
        var (count, ef) = (0, Self.filteredWidth(rarity, ef: ef))
        if isAway {
            // Matches far from the query are nearly as far as each other: hard to tell apart.
            if matches <= Self.awayScanShare * ef {
                scratch.usedPlan = .exact
                return scan(query, bits, words, ef: ef, scratch)
            }
            ef *= Self.awayFactor
        }
        if Double(matches) < 0.3 * Double(liveCount) {
            count = sample(query, bits, words, scratch, limit: min(ef, 4))
        }
        var touched = count
        for i in 0..<count { s.touched[i] = Candidate.node(s.pool[i]) }
        if filter.accepts(start), !(0..<count).contains(where: { s.touched[$0] == start }) {
            s.touched[touched] = start
            view.codes.distances(query, s.touched + touched, 1, s.distances)
            _ = insertCandidate(Candidate.key(s.distances[0], start), s.pool, &count, ef)
            touched += 1
        }
        for i in 0..<words { s.closed[i] = ~bits[i] }
        for i in 0..<touched {
            let (word, bit) = (Int(s.touched[i] >> 6), UInt64(1) << UInt64(s.touched[i] & 63))
            s.visited[word] |= bit
            s.closed[word] |= bit
        }
        var pending = 0
        count = HNSWWalk.expandAccepted(
            view, query, filter, start: start, ef: ef, count: count, s, &touched, &pending)
        (scratch.touchedCount, scratch.pendingCount) = (touched, pending)
        scratch.evaluatedCount += touched
        return Self.keep(bits, s.pool, count)
    }

    /// Puts the nearest of some accepted nodes from all over the filter into the empty pool;
    /// returns how many. Nothing is marked as visited.
    private func sample(
        _ query: borrowing QueryView, _ bits: UnsafePointer<UInt64>, _ words: Int,
        _ scratch: SearchScratch, limit: Int
    ) -> Int {
        let s = scratch.view
        var (sampled, at) = (0, 0)
        for i in 0..<Self.sampleCount {
            at = max(at, i * words / Self.sampleCount)
            guard let node = Self.match(bits, words, from: at) else { break }
            at = Int(node >> 6) + 1
            // A node of the tail leads nowhere.
            if states[Int(node)] & State.linked == 0 { continue }
            s.touched[sampled] = node
            sampled += 1
        }
        view.codes.distances(query, s.touched, sampled, s.distances)
        var count = 0
        for i in 0..<sampled {
            let key = Candidate.key(s.distances[i], s.touched[i])
            _ = insertCandidate(key, s.pool, &count, limit)
        }
        scratch.evaluatedCount += sampled
        return count
    }

    private var m: Int { configuration.m }

    /// The first node of `bits` at or after word `first`, or nil.
    private static func match(
        _ bits: UnsafePointer<UInt64>, _ words: Int, from first: Int
    ) -> UInt32? {
        var at = first
        while at < words && bits[at] == 0 { at += 1 }
        return at < words ? UInt32(at * 64 + bits[at].trailingZeroBitCount) : nil
    }

    /// Compares every node that `bits` holds.
    private func scan(
        _ query: borrowing QueryView, _ bits: UnsafePointer<UInt64>, _ words: Int, ef: Int,
        _ scratch: SearchScratch
    ) -> Int {
        let s = scratch.view
        let count = ck_scan().pointee.words_list(bits, words, s.pending)
        return scan(query, s.pending, count, ef: ef, 0, scratch)
    }

    private func scan(
        _ query: borrowing QueryView, _ ids: UnsafePointer<UInt32>, _ idCount: Int, ef: Int,
        _ count: Int, _ scratch: SearchScratch
    ) -> Int {
        let s = scratch.view
        var (size, at) = (count, 0)
        while at < idCount {
            let batch = min(SearchScratch.batchCount, idCount - at)
            view.codes.distances(query, ids + at, batch, s.distances)
            for i in 0..<batch {
                _ = insertCandidate(
                    Candidate.key(s.distances[i], ids[at &+ i]), s.pool, &size, ef)
            }
            at += batch
        }
        scratch.evaluatedCount += idCount
        return size
    }

    /// Compares the accepted nodes of the tail, and adds them to the pool's `count`.
    private func scanTail(
        _ query: borrowing QueryView, _ bits: UnsafePointer<UInt64>, ef: Int, _ count: Int,
        _ scratch: SearchScratch
    ) -> Int {
        if tailCount == 0 { return count }
        let ids = scratch.view.pending + scratch.pendingCount
        var accepted = 0
        // A node is in the tail or was walked to, never both, so pending has room for all.
        for i in tailHead..<tail.count {
            let node = tail[i]
            ids[accepted] = node
            accepted &+= Int(bits[Int(node >> 6)] >> UInt64(node & 63) & 1)
        }
        return scan(query, ids, accepted, ef: ef, count, scratch)
    }

    // MARK: Ranking

    /// Ranks the first `count` candidates by the originals and writes the best k.
    private func rank(
        _ count: Int, k: Int, _ scratch: SearchScratch,
        _ out: UnsafeMutableBufferPointer<VectorHit>
    ) -> Int {
        let (s, found) = (scratch.view, min(count, k))
        var best = s.pool
        if rows.hasOriginals && found > 0 {
            let ids = s.pending + scratch.pendingCount
            for i in 0..<count { ids[i] = Candidate.node(s.pool[i]) }
            var (size, at) = (0, 0)
            while at < count {
                let batch = min(SearchScratch.batchCount, count - at)
                rows.exactView.distances(scratch.query, ids + at, batch, s.distances)
                for i in 0..<batch {
                    let key = Candidate.key(s.distances[i], ids[at + i])
                    _ = insertCandidate(key, s.found, &size, found)
                }
                at += batch
            }
            best = s.found
        }
        for i in 0..<found {
            out[i] = VectorHit(
                node: Candidate.node(best[i]), distance: Candidate.distance(best[i]))
        }
        return found
    }
}
