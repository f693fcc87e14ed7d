internal import CKernels
package import Primitives

/// Where a page of an order begins.
package struct KeyBound: Sendable {
    package var key: Int64
    /// Do rows of this very key belong to the page?
    package var inclusive: Bool

    package init(key: Int64, inclusive: Bool) {
        self.key = key
        self.inclusive = inclusive
    }
}

/// A search for the k smallest (largest) keys, shared by the columns.
struct ExtremesQuery {
    let match: Bitmap?
    let visible: Bitmap
    let count: Int
    let descending: Bool
    /// Keys that count, inclusive.
    let lo: Int64
    let hi: Int64

    /// Nil if the bound leaves no key.
    init?(match: Bitmap?, visible: Bitmap, count: Int, descending: Bool, bound: KeyBound?) {
        var (lo, hi) = (Int64.min, Int64.max)
        if let bound {
            if descending { hi = bound.key } else { lo = bound.key }
            if !bound.inclusive {
                if descending {
                    guard hi > .min else { return nil }
                    hi -= 1
                } else {
                    guard lo < .max else { return nil }
                    lo += 1
                }
            }
        }
        guard count > 0 else { return nil }
        (self.match, self.visible, self.count) = (match, visible, count)
        (self.descending, self.lo, self.hi) = (descending, lo, hi)
    }
}

extension Sketch {
    /// Appends every row of one key that can be among the k first, and some more.
    ///
    /// Codes are taken from the outer end inward, a window at a time, until k rows are found; since
    /// codes are monotone in the key, the rest cannot be among them. The first window is sized from
    /// the live counts and the share of rows that match, so one pass is the rule.
    func collect<K: SlotKeys>(
        _ query: ExtremesQuery,
        _ keys: borrowing K,
        into out: inout [KeyedSlot]
    ) {
        guard let window = window(query.lo, query.hi) else { return }
        let matchCount = query.match.map { $0.countIntersectionFast(query.visible) }
        if matchCount == 0 { return }
        let share = matchCount.map { min(1, Double($0) / Double(max(liveCount, 1))) } ?? 1
        var expectedPerRow = share
        var (first, last) = (window.first, window.last)
        var found = 0
        while first <= last, found < query.count {
            let wanted = Double(query.count - found)
            // Three deviations of slack where the density is only an estimate.
            let slack = share < 1 ? 3 * wanted.squareRoot() + 8 : 0
            let target = (wanted + slack) / max(expectedPerRow, 1e-9)
            var taken = 0.0
            var rows = 0
            var (from, to) = query.descending ? (last, last) : (first, first)
            var code = query.descending ? last : first
            while code >= first, code <= last {
                let inCode = count(ofCode: code)
                rows += inCode
                // Of a bucket that the bound cuts, how much lies inside is not known.
                taken += code == window.edgeA || code == window.edgeB ? 0 : Double(inCode)
                if query.descending { from = code } else { to = code }
                if taken >= target { break }
                code += query.descending ? -1 : 1
            }
            let isCut = (from...to).contains(window.edgeA) || (from...to).contains(window.edgeB)
            let room = min(rows, matchCount ?? rows)
            found += gather(query, keys, from, to, room, isCut, into: &out)
            if query.descending { last = from - 1 } else { first = to + 1 }
            expectedPerRow /= 4
        }
    }

    /// Lists the rows of the codes, and appends those whose key counts; returns how many.
    private func gather<K: SlotKeys>(
        _ query: ExtremesQuery,
        _ keys: borrowing K,
        _ from: Int,
        _ to: Int,
        _ room: Int,
        _ isCut: Bool,
        into out: inout [KeyedSlot]
    ) -> Int {
        let list = Scratch<UInt32>(room + 64)
        var blocks = min(blockCount, query.visible.wordCapacity)
        if let match = query.match { blocks = min(blocks, match.wordCapacity) }
        let count = ck_scan().pointee.u8_range_list(
            codes.cells(UInt8.self),
            blocks,
            UInt8(from),
            UInt8(to),
            query.match?.words,
            query.visible.words,
            list.base
        )
        let found = Scratch<Int64>(count)
        keys.gather(list.base, count, found.base)
        let before = out.count
        out.reserveCapacity(before + count)
        if !isCut, count > query.count * 2 + 64 {
            return prune(query, list.base, found.base, count, into: &out)
        }
        for i in 0..<count {
            let key = found.base[i]
            if key >= query.lo, key <= query.hi {
                out.append(KeyedSlot(key: key, slot: list.base[i]))
            }
        }
        return out.count - before
    }

    /// Appends the k first of a list with all ties of the k-th.
    private func prune(
        _ query: ExtremesQuery,
        _ list: UnsafePointer<UInt32>,
        _ keys: UnsafePointer<Int64>,
        _ count: Int,
        into out: inout [KeyedSlot]
    ) -> Int {
        let limit = kthKey(keys, count, query.count, query.descending)
        let before = out.count
        for i in 0..<count where query.descending ? keys[i] >= limit : keys[i] <= limit {
            out.append(KeyedSlot(key: keys[i], slot: list[i]))
        }
        return out.count - before
    }
}

/// The k-th smallest (largest) of `count` keys, 1 <= k <= count.
func kthKey(
    _ keys: UnsafePointer<Int64>,
    _ count: Int,
    _ k: Int,
    _ descending: Bool
) -> Int64 {
    let copy = Scratch<Int64>(count)
    copy.base.update(from: keys, count: count)
    return ck_select(copy.base, count, descending ? count - k + 1 : k)
}

/// Drops what cannot be among the k first of `found[start...]`, if that is much.
func pruneExtremes(_ found: inout [KeyedSlot], from start: Int, count k: Int, descending: Bool) {
    let count = found.count - start
    guard count > k * 2 + 64 else { return }
    let keys = Scratch<Int64>(count)
    for i in 0..<count { keys.base[i] = found[start + i].key }
    let limit = ck_select(keys.base, count, descending ? count - k + 1 : k)
    var kept = start
    for i in start..<found.count
    where descending ? found[i].key >= limit : found[i].key <= limit {
        found[kept] = found[i]
        kept += 1
    }
    found.removeLast(found.count - kept)
}

extension NumericColumn {
    /// Appends the k smallest (largest) keys among the rows of `match` (nil: all) that are visible,
    /// as a superset: every row whose key is not beyond the k-th is there, ties included, in no
    /// order. Rows without a key never are. A row of several keys counts by its least key, if
    /// `descending` by its greatest.
    ///
    /// With a `bound` only keys from it on (in the order asked for) count.
    /// - Complexity: O(rows) over one byte per row, once as a rule, and O(k).
    package func collectExtremes(
        match: Bitmap?,
        visible: Bitmap,
        count: Int,
        descending: Bool,
        bound: KeyBound? = nil,
        into found: inout [KeyedSlot]
    ) {
        guard
            let query = ExtremesQuery(
                match: match,
                visible: visible,
                count: count,
                descending: descending,
                bound: bound
            )
        else { return }
        let start = found.count
        sketch.collect(query, keys, into: &found)
        if sketch.count(ofCode: 3) > 0 {
            sketch.forEachSeveral(match, visible) { slot in
                let keys = list(slot)
                let key = descending ? keys[keys.count - 1] : keys[0]
                if key >= query.lo, key <= query.hi {
                    found.append(KeyedSlot(key: key, slot: slot))
                }
            }
        }
        pruneExtremes(&found, from: start, count: count, descending: descending)
    }
}

extension Sketch {
    /// Calls `body` with every row of several keys under both masks, ascending.
    func forEachSeveral(_ match: Bitmap?, _ visible: Bitmap?, _ body: (UInt32) -> Void) {
        let count = count(ofCode: 3)
        guard count > 0 else { return }
        let list = Scratch<UInt32>(count + 64)
        var blocks = blockCount
        if let match { blocks = min(blocks, match.wordCapacity) }
        if let visible { blocks = min(blocks, visible.wordCapacity) }
        let listed = ck_scan().pointee.u8_range_list(
            codes.cells(UInt8.self),
            blocks,
            3,
            3,
            match?.words,
            visible?.words,
            list.base
        )
        for i in 0..<listed { body(list.base[i]) }
    }
}
