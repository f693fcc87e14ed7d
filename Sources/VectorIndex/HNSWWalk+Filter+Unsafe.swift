// Walking under a filter: only nodes that it accepts are compared and kept; where a neighbour is
// turned down, its own neighbours are looked at in its place.
//
// After L. Patel et al.: ACORN: Performant and Predicate-Agnostic Search Over Vector Embeddings and
// Structured Data (SIGMOD 2024), its variant that expands while searching. Different here: a turned
// down node is not compared at all; the walk starts from accepted nodes sampled over the whole
// filter too, so that a filter whose matches are far from the query is entered where they are.

import CKernels

extension HNSWWalk {
    /// A filter, as the walks see it.
    struct Filter {
        let bits: UnsafePointer<UInt64>
        /// Accepted neighbours that are enough for one expansion.
        let enough: Int

        @inline(__always)
        func accepts(_ node: UInt32) -> Bool {
            bits[Int(node >> 6)] >> UInt64(node & 63) & 1 == 1
        }
    }

    /// Of the neighbours' neighbours of `node`, some hundreds: how many there are and how many the
    /// filter accepts.
    static func accepted(
        _ g: GraphView, around node: UInt32, _ bits: UnsafePointer<UInt64>
    ) -> (seen: Int, accepted: Int) {
        let row = g.row(node, 0)
        for j in 0..<g.baseCapacity where row[j] != HNSWGraph.none {
            g.prefetchRow(row[j], 0)
        }
        var (seen, accepted) = (0, 0)
        for j in 0..<g.baseCapacity {
            if row[j] == HNSWGraph.none || seen >= 256 { break }
            let next = g.row(row[j], 0)
            for l in 0..<g.baseCapacity {
                if next[l] == HNSWGraph.none { break }
                seen &+= 1
                accepted &+= Int(bits[Int(next[l] >> 6)] >> UInt64(next[l] & 63) & 1)
            }
        }
        return (seen, accepted)
    }

    /// Rows of links that are asked for before they are looked at.
    private static var rowsAhead: Int { 10 }

    /// Lists the accepted nodes that were not met yet among the neighbours of `node`, then among
    /// those of the neighbours that were turned down, until there are enough; returns how many.
    ///
    /// What was listed is closed; what was turned down stays visited if it was looked behind.
    @inline(__always)
    static func gatherAccepted(
        _ g: GraphView, _ node: UInt32, _ filter: Filter, _ s: ScratchView, _ touched: Int,
        _ pendingCount: inout Int
    ) -> Int {
        let (visited, closed, out) = (s.visited, s.closed, s.touched + touched)
        let (fresh, pending) = (out, s.pending + pendingCount)
        let freshCount = ck_unvisited(g.row(node, 0), g.baseCapacity, visited, fresh)
        var (count, waiting) = (0, 0)
        // Written always, kept where it belongs: which is which cannot be predicted.
        for i in 0..<freshCount {
            let next = fresh[i]
            let (word, place) = (Int(next >> 6), UInt64(next & 63))
            let isOpen = ~closed[word] >> place & 1
            closed[word] |= 1 << place
            pending[waiting] = next
            waiting &+= Int(~filter.bits[word] >> place & 1)
            out[count] = next
            count &+= Int(isOpen)
        }
        // Most rows are not needed: no more are asked for than arrive while others are looked at.
        for i in 0..<min(Self.rowsAhead, waiting) { g.prefetchRow(pending[i], 0) }
        var at = 0
        while at < waiting && count < filter.enough {
            if at &+ Self.rowsAhead < waiting {
                g.prefetchRow(pending[at &+ Self.rowsAhead], 0)
            }
            count &+= ck_unvisited(g.row(pending[at], 0), g.baseCapacity, closed, out + count)
            at &+= 1
        }
        // Those that were not looked behind may be, from another side.
        for i in at..<waiting {
            visited[Int(pending[i] >> 6)] &= ~(UInt64(1) << UInt64(pending[i] & 63))
        }
        pendingCount &+= at
        return count
    }

    /// Best-first walk over the accepted nodes of the base level, as `expand`; `start` is looked
    /// behind first, whether it is accepted or not.
    ///
    /// - Complexity: O(ef · enough) distances and O(ef · links²) links.
    @inline(never)
    static func expandAccepted(
        _ g: GraphView, _ query: borrowing QueryView, _ filter: Filter, start: UInt32, ef: Int,
        count: Int, _ s: ScratchView, _ touchedCount: inout Int, _ pendingCount: inout Int
    ) -> Int {
        let (pool, distances) = (s.pool, s.distances)
        var (size, cursor, touched) = (count, 0, touchedCount)
        var node = start
        while true {
            let found = gatherAccepted(g, node, filter, s, touched, &pendingCount)
            var at = 0
            while at < found {
                let batch = min(found &- at, SearchScratch.batchCount)
                g.codes.distances(query, s.touched + (touched &+ at), batch, distances)
                for i in 0..<batch {
                    let key = Candidate.key(distances[i], s.touched[touched &+ at &+ i])
                    cursor = min(cursor, insertCandidate(key, pool, &size, ef))
                }
                at &+= batch
            }
            touched &+= found
            while cursor < size && pool[cursor] & 1 == 1 { cursor &+= 1 }
            if cursor >= size { break }
            node = Candidate.node(pool[cursor])
            pool[cursor] |= 1
        }
        touchedCount = touched
        return size
    }
}
