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
        if let match = query.match, let matchCount, matchCount < liveCount / 16 {
            return collectListed(query, match, matchCount, window, keys, into: &out)
        }
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
                // Of a bucket that the bound cuts, how much lies inside is a guess: take half of
                // it.
                let isEdge = code == window.edgeA || code == window.edgeB
                taken += isEdge ? Double(inside(code, query)) / 2 : Double(inCode)
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

    /// About how many rows of a code have a key that counts.
    private func inside(_ code: Int, _ query: ExtremesQuery) -> Int {
        guard let bounds = bounds(ofCode: code) else { return 0 }
        return estimate(max(bounds.min, query.lo), min(bounds.max, query.hi))
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
        return emit(query, keys, list, count, isCut, into: &out)
    }

    /// Appends the listed rows whose key counts, without those that k others precede; returns how
    /// many keys counted.
    private func emit<K: SlotKeys>(
        _ query: ExtremesQuery,
        _ keys: borrowing K,
        _ list: borrowing Scratch<UInt32>,
        _ listed: Int,
        _ isCut: Bool,
        into out: inout [KeyedSlot]
    ) -> Int {
        let found = Scratch<Int64>(listed)
        keys.gather(list.base, listed, found.base)
        var count = listed
        if isCut { count = ck_pairs_within(found.base, list.base, listed, query.lo, query.hi) }
        if count > query.count * 2 + 64 {
            let limit = kthKey(found.base, count, query.count, query.descending)
            let kept = ck_pairs_within(
                found.base,
                list.base,
                count,
                query.descending ? limit : .min,
                query.descending ? .max : limit
            )
            append(found.base, list.base, kept, into: &out)
        } else {
            append(found.base, list.base, count, into: &out)
        }
        return count
    }

    private func append(
        _ keys: UnsafePointer<Int64>,
        _ list: UnsafePointer<UInt32>,
        _ count: Int,
        into out: inout [KeyedSlot]
    ) {
        out.reserveCapacity(out.count + count)
        for i in 0..<count { out.append(KeyedSlot(key: keys[i], slot: list[i])) }
    }

    /// As ``collect(_:_:into:)`` where few rows match: they are listed once and their codes
    /// counted, so the window is exact however much the filter has to do with the order.
    private func collectListed<K: SlotKeys>(
        _ query: ExtremesQuery,
        _ match: Bitmap,
        _ matchCount: Int,
        _ window: Window,
        _ keys: borrowing K,
        into out: inout [KeyedSlot]
    ) {
        let list = Scratch<UInt32>(matchCount + 64)
        let blocks = min(blockCount, query.visible.wordCapacity, match.wordCapacity)
        let cells = codes.cells(UInt8.self)
        let count = ck_scan().pointee.u8_range_list(
            cells,
            blocks,
            UInt8(window.first),
            UInt8(window.last),
            match.words,
            query.visible.words,
            list.base
        )
        let listCodes = Scratch<UInt8>(count)
        let inCode = Scratch<UInt32>(256)
        inCode.base.initialize(repeating: 0, count: 256)
        ck_list_codes(cells, list.base, count, listCodes.base, inCode.base)
        // Rows of a bucket that the bound cuts may not count, so they do not fill the page.
        var code = query.descending ? window.last : window.first
        var taken = 0
        while code > window.first || !query.descending, code < window.last || query.descending {
            if code != window.edgeA, code != window.edgeB { taken += Int(inCode.base[code]) }
            if taken >= query.count { break }
            code += query.descending ? -1 : 1
        }
        let kept = ck_list_within(
            list.base,
            listCodes.base,
            count,
            UInt8(query.descending ? code : window.first),
            UInt8(query.descending ? window.last : code)
        )
        let isCut = window.edgeA != 0 || window.edgeB != 0
        _ = emit(query, keys, list, kept, isCut, into: &out)
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
    // The complement reverses the order without overflow.
    for i in 0..<count { copy.base[i] = descending ? ~keys[i] : keys[i] }
    let key = ck_kth(copy.base, count, k)
    return descending ? ~key : key
}

/// Drops what cannot be among the k first of `found[start...]`, if that is much.
func pruneExtremes(_ found: inout [KeyedSlot], from start: Int, count k: Int, descending: Bool) {
    let count = found.count - start
    guard count > k * 2 + 64 else { return }
    let keys = Scratch<Int64>(count)
    for i in 0..<count { keys.base[i] = found[start + i].key }
    let limit = kthKey(keys.base, count, k, descending)
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
