// What one searching thread needs while it searches, kept between searches: nothing is allocated
// per search once the sizes have been met.
//
//   visited   one bit per node; cleared by walking the list of what was touched
//   closed    under a filter: one bit per node that it does not accept or that was met; written
//             anew by each search that uses it
//   touched   the nodes evaluated in this search, in order; doubles as the kernels' id lists
//   pool      the best ef candidates, ascending: distance (ordered bits) | node | expanded bit
//   found     the results, ranked by the originals
//   pending   nodes that a filter turned down and whose own neighbours were looked at instead
//
// Thread rule: one search at a time.

import CKernels
import Glibc

/// Candidates as one integer each: ordered by distance, then node, in a single comparison.
enum Candidate {
    @inline(__always)
    static func key(_ distance: Float, _ node: UInt32) -> UInt64 {
        let bits = distance.bitPattern
        let mask = UInt32(bitPattern: Int32(bitPattern: bits) >> 31) | 0x8000_0000
        return UInt64(bits ^ mask) << 32 | UInt64(node) << 1
    }

    @inline(__always)
    static func node(_ key: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: key) >> 1 }

    @inline(__always)
    static func distance(_ key: UInt64) -> Float {
        let bits = UInt32(truncatingIfNeeded: key >> 32)
        let mask = ~UInt32(bitPattern: Int32(bitPattern: bits) >> 31) | 0x8000_0000
        return Float(bitPattern: bits ^ mask)
    }
}

/// The buffers of a scratch, as a search's loops see them.
struct ScratchView {
    let visited: UnsafeMutablePointer<UInt64>
    let closed: UnsafeMutablePointer<UInt64>
    let touched: UnsafeMutablePointer<UInt32>
    let pool: UnsafeMutablePointer<UInt64>
    let found: UnsafeMutablePointer<UInt64>
    let pending: UnsafeMutablePointer<UInt32>
    let distances: UnsafeMutablePointer<Float>
    let floats: UnsafeMutablePointer<Float>
    let codes: UnsafeMutablePointer<Int8>
}

/// Buffers of one searching thread. Any index may use it, one search at a time.
package final class SearchScratch {
    private(set) var view: ScratchView
    private var nodeCapacity = 0
    private var poolCapacity = 0
    private var dimensionCapacity = 0
    /// Nodes in `touched`: no others but those in `pending` have their bit in `visited` set.
    var touchedCount = 0
    /// Nodes in `pending`.
    var pendingCount = 0
    /// Distances computed in the last search: what it cost.
    package var evaluatedCount = 0
    /// How the last search was done.
    package internal(set) var usedPlan = VectorSearchPlan.exact

    /// Nodes that a loop evaluates in one call at most.
    static var batchCount: Int { 256 }

    /// The query of the search under way, over the buffers here.
    var query: QueryView

    package init() {
        let view = ScratchView(
            visited: Self.room(0, zeroed: true), closed: Self.room(0), touched: Self.room(0),
            pool: Self.room(0),
            found: Self.room(0), pending: Self.room(0), distances: Self.room(0),
            floats: Self.room(0), codes: Self.room(0))
        self.view = view
        query = QueryView(floats: view.floats, coded: ck_code_query())
    }

    deinit { Self.free(view) }

    private static func free(_ view: ScratchView) {
        let all: [UnsafeMutableRawPointer] = [
            .init(view.visited), .init(view.closed), .init(view.touched), .init(view.pool),
            .init(view.found),
            .init(view.pending), .init(view.distances), .init(view.floats), .init(view.codes),
        ]
        for pointer in all { pointer.deallocate() }
    }

    private static func room<T: BitwiseCopyable>(
        _ count: Int, zeroed: Bool = false
    ) -> UnsafeMutablePointer<T> {
        let byteCount = (count + 1) * MemoryLayout<T>.stride + 64
        let raw = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
        // SAFETY: the block holds more than `count` elements. Lists are written before they are
        // read, so that what is never used costs no memory.
        if zeroed { memset(raw, 0, byteCount) }
        return raw.bindMemory(to: T.self, capacity: count)
    }

    /// Makes room for a search over `nodeCount` nodes, and forgets the last one.
    ///
    /// - Complexity: O(nodes touched by the last search), O(nodeCount) if it grows.
    func prepare(nodeCount: Int, ef: Int, dimensions: Int) {
        clear()
        evaluatedCount = 0
        if nodeCount <= nodeCapacity && ef <= poolCapacity && dimensions <= dimensionCapacity {
            return
        }
        if nodeCount > nodeCapacity { nodeCapacity = nodeCount + nodeCount / 4 + 1024 }
        poolCapacity = max(ef, poolCapacity)
        dimensionCapacity = max(dimensions, dimensionCapacity)
        Self.free(view)
        view = ScratchView(
            visited: Self.room(nodeCapacity / 64 + 1, zeroed: true),
            closed: Self.room(nodeCapacity / 64 + 1),
            touched: Self.room(nodeCapacity + Self.batchCount), pool: Self.room(poolCapacity),
            found: Self.room(poolCapacity), pending: Self.room(nodeCapacity + Self.batchCount),
            distances: Self.room(Self.batchCount), floats: Self.room(dimensionCapacity),
            codes: Self.room(dimensionCapacity))
    }

    /// Clears the visited set.
    func clear() {
        let (visited, touched) = (view.visited, view.touched)
        for i in 0..<touchedCount { visited[Int(touched[i] >> 6)] = 0 }
        for i in 0..<pendingCount { visited[Int(view.pending[i] >> 6)] = 0 }
        (touchedCount, pendingCount) = (0, 0)
    }

    /// Bytes held.
    package var byteCount: Int {
        nodeCapacity / 4 + nodeCapacity * 8 + poolCapacity * 16 + dimensionCapacity * 5
    }
}

/// Inserts `key` into the ascending list of `count` keys that may hold `limit`, dropping the last
/// if it is full; returns where, or `limit` if it is too far.
///
/// - Complexity: O(log limit) steps and one move of the keys behind it.
@inline(__always)
func insertCandidate(
    _ key: UInt64, _ list: UnsafeMutablePointer<UInt64>, _ count: inout Int, _ limit: Int
) -> Int {
    if count == limit && key >= list[limit &- 1] { return limit }
    // Where it goes depends on nothing that could be predicted: halving without a branch.
    var (low, left) = (0, count)
    while left > 1 {
        let half = left >> 1
        low = list[low &+ half &- 1] < key ? low &+ half : low
        left &-= half
    }
    if left == 1 && list[low] < key { low &+= 1 }
    let moved = (count < limit ? count : limit &- 1) &- low
    // SAFETY: low + moved < limit, and the list has room for `limit` keys.
    memmove(list + low + 1, list + low, moved &* 8)
    list[low] = key
    if count < limit { count &+= 1 }
    return low
}
