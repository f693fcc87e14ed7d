import Primitives

/// Gives the rows of one partition's order that a bitmap holds, one by one, from a place on.
struct OrderedCursor {
    private let order: OrderedRows
    /// The rows that count, in `main`: those that match and have not moved.
    private let mask: Bitmap
    /// Where in `main` it is, and where it ends.
    private(set) var place: Int
    let end: Int
    /// The rows of the order's tail that count, in order.
    private let tail: [OrderedRow]
    private var tailPlace = 0
    /// Rows that may be looked at; beyond that there is no next one.
    private var looksLeft: Int
    /// Whether it has ended for having looked at too many rows.
    private(set) var isExhausted = false

    /// - Parameters:
    ///   - match: the rows that count.
    ///   - scratch: a bitmap to use, where rows have moved.
    ///   - least, most: bounds, inclusive, of the keys that count.
    ///   - leastID: of the rows of the least key only those count that do not come before this id.
    ///   - lookMax: rows that may be looked at.
    init(
        _ order: OrderedRows, match: Bitmap, scratch: Bitmap,
        least: OrderKey, leastID: UnsafeRawBufferPointer?, most: OrderKey, lookMax: Int
    ) {
        looksLeft = lookMax
        self.order = order
        if order.movedCount == 0 {
            mask = match
            tail = []
        } else {
            scratch.assign(match)
            scratch.subtract(order.moved)
            mask = scratch
            tail = Self.tail(of: order, match, least, most)
        }
        place = order.lowerBound(least, id: leastID, from: 0, to: order.main.count)
        // Nothing comes behind the greatest id key of the greatest key.
        var last = order.lowerBound(most, from: place, to: order.main.count)
        while last < order.main.count {
            let slot = order.main[last]
            if !order.moved.test(slot), most < order.key(slot) { break }
            last += 1
        }
        end = last
    }

    private static func tail(
        of order: OrderedRows, _ match: Bitmap, _ least: OrderKey, _ most: OrderKey
    ) -> [OrderedRow] {
        var rows: [OrderedRow] = []
        for index in 0..<order.tail.count {
            let slot = order.tail[index]
            guard match.test(slot) else { continue }
            let key = order.key(slot)
            if key < least || most < key { continue }
            rows.append(OrderedRow(order: key, slot: slot))
        }
        // A row that was set twice is named twice; two rows of one id are not seen by one version.
        order.sort(&rows)
        var kept = 0
        for index in rows.indices where index == 0 || rows[index].slot != rows[kept - 1].slot {
            rows[kept] = rows[index]
            kept += 1
        }
        rows.removeLast(rows.count - kept)
        return rows
    }

    /// Rows of `main` that are between the bounds and not passed, those that do not count too.
    var remaining: Int { end - place }

    /// The row `offset` places on in `main`, or the next one that has not moved; nil at the end.
    func row(after offset: Int) -> OrderedRow? {
        var index = place + offset
        while index < end {
            let slot = order.main[index]
            if !order.moved.test(slot) { return OrderedRow(order: order.key(slot), slot: slot) }
            index += 1
        }
        return nil
    }

    /// How many rows that count come before `target`, and where in `main` that is.
    ///
    /// - Complexity: O(rows before it).
    func count(before target: OrderKey) -> (rows: Int, place: Int) {
        let stop = order.lowerBound(target, from: place, to: end)
        var rows = 0
        let main = order.main.base
        let words = mask.words
        let bound = mask.capacity
        for index in place..<stop {
            let slot = Int(main[index])
            // SAFETY: `stop` is at most `main.count`; a word is read below the bitmap's capacity.
            if slot < bound { rows &+= Int((words[slot &>> 6] &>> UInt64(slot & 63)) & 1) }
        }
        for row in tail where row.order < target { rows += 1 }
        return (rows, stop)
    }

    /// Begins at a place that ``count(before:)`` gave for `target`.
    mutating func move(to place: Int, _ target: OrderKey) {
        self.place = place
        while tailPlace < tail.count, tail[tailPlace].order < target { tailPlace += 1 }
    }

    /// The next row; nil at the end.
    mutating func next() -> OrderedRow? {
        let main = order.main.base
        let words = mask.words
        let bound = mask.capacity
        let start = place
        var index = place
        let stop = min(end, place + looksLeft)
        while index < stop {
            let slot = Int(main[index])
            // SAFETY: `stop` is at most `main.count`; a word is read below the bitmap's capacity.
            if slot < bound, (words[slot &>> 6] &>> UInt64(slot & 63)) & 1 != 0 { break }
            index &+= 1
        }
        place = index
        looksLeft = max(0, looksLeft - (place - start) - 1)
        if place == stop, stop < end { isExhausted = true }
        let fromTail = tailPlace < tail.count ? tail[tailPlace] : nil
        guard place < stop else {
            if fromTail != nil { tailPlace += 1 }
            return fromTail
        }
        let slot = main[place]
        let row = OrderedRow(order: order.key(slot), slot: slot)
        if let fromTail,
            fromTail.order != row.order
                ? fromTail.order < row.order : order.precedes(fromTail.slot, slot)
        {
            tailPlace += 1
            // `place` stays at the row, whose rows before it are not looked at again.
            return fromTail
        }
        place += 1
        return row
    }
}
