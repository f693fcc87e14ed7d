// The walks over the graph: what a search and the planning of an insertion spend their time in.
//
// Hot loops of free functions over raw pointers: no class, closure, array or existential inside.

import CKernels

/// The graph's memory, as the walks see it. Rows of links are at fixed strides and filled from the
/// front; the rest holds `HNSWGraph.none`.
struct GraphView {
    let codes: CodeView
    let links: UnsafeMutablePointer<UInt32>
    /// Links of a row of the base level.
    let baseCapacity: Int
    let upper: UnsafeMutablePointer<UInt32>
    /// Links of a row of an upper level.
    let upperCapacity: Int
    /// Number of the first upper row of a node.
    let upperRows: UnsafeMutablePointer<UInt32>

    /// The links of `node` at `level`.
    @inline(__always)
    func row(_ node: UInt32, _ level: Int) -> UnsafeMutablePointer<UInt32> {
        // SAFETY: nodes in the graph have rows for their levels.
        level == 0
            ? links + Int(node) &* baseCapacity
            : upper + (Int(upperRows[Int(node)]) &+ level &- 1) &* upperCapacity
    }

    /// Asks for the first 32 links of `node` at `level`.
    @inline(__always)
    func prefetchRow(_ node: UInt32, _ level: Int) {
        let row = row(node, level)
        ck_prefetch(row)
        ck_prefetch(row + 16)
    }

    @inline(__always)
    func capacity(_ level: Int) -> Int { level == 0 ? baseCapacity : upperCapacity }
}

enum HNSWWalk {
    /// Appends the nodes of `row` that were not visited yet to the touched list and marks them;
    /// returns how many.
    @inline(__always)
    static func gather(
        _ row: UnsafeMutablePointer<UInt32>, _ capacity: Int, _ s: ScratchView, _ touched: Int
    ) -> Int {
        // SAFETY: the list has room for a row beyond the nodes there are.
        ck_unvisited(row, capacity, s.visited, s.touched + touched)
    }

    /// The nearest node to the query that moving along the levels from `top` down to, not
    /// including, `bottom` leads to. What was compared on the way is in the touched list, and the
    /// best `ef` of it are added to the pool's `poolCount`.
    ///
    /// A node that was compared before is farther than the best, on lower levels too: never again.
    static func descend(
        _ g: GraphView, _ query: borrowing QueryView, from start: UInt64, top: Int, bottom: Int,
        ef: Int, _ s: ScratchView, _ touchedCount: inout Int, _ poolCount: inout Int
    ) -> UInt64 {
        var (best, level, touched) = (start, top, touchedCount)
        while level > bottom {
            let row = g.row(Candidate.node(best), level)
            let count = gather(row, g.upperCapacity, s, touched)
            // One of these rows comes next: they arrive together with the codes.
            for i in 0..<count { ck_prefetch(g.row(s.touched[touched &+ i], level)) }
            g.codes.distances(query, s.touched + touched, count, s.distances)
            var next = best
            for i in 0..<count {
                let key = Candidate.key(s.distances[i], s.touched[touched &+ i])
                next = min(next, key)
                if ef > 0 { _ = insertCandidate(key, s.pool, &poolCount, ef) }
            }
            touched &+= count
            if next == best { level &-= 1 }
            best = next
        }
        touchedCount = touched
        return best
    }

    /// Best-first walk along `level`: the pool's candidates are expanded, nearest first, until
    /// none of the best `ef` is left to expand.
    ///
    /// The pool holds `count` candidates, all marked as visited; returns how many it holds then.
    ///
    /// - Complexity: O(ef · links) distances.
    @inline(never)
    static func expand(
        _ g: GraphView, _ query: borrowing QueryView, level: Int, ef: Int, count: Int,
        _ s: ScratchView, _ touchedCount: inout Int
    ) -> Int {
        let (pool, distances, capacity) = (s.pool, s.distances, g.capacity(level))
        var (size, cursor, touched) = (count, 0, touchedCount)
        while cursor < size {
            let row = g.row(Candidate.node(pool[cursor]), level)
            pool[cursor] |= 1
            if cursor &+ 1 < size {
                // Most likely next: its links arrive while this node's neighbours are compared.
                g.prefetchRow(Candidate.node(pool[cursor &+ 1]), level)
            }
            let found = gather(row, capacity, s, touched)
            g.codes.distances(query, s.touched + touched, found, distances)
            var lowest = cursor &+ 1
            for i in 0..<found {
                let key = Candidate.key(distances[i], s.touched[touched &+ i])
                let place = insertCandidate(key, pool, &size, ef)
                // Likelier still, if nothing nearer comes.
                if place <= cursor &+ 1 { g.prefetchRow(Candidate.node(key), level) }
                lowest = min(lowest, place)
            }
            touched &+= found
            cursor = lowest
            while cursor < size && pool[cursor] & 1 == 1 { cursor &+= 1 }
        }
        touchedCount = touched
        return size
    }
}
