import ColumnIndex
package import Primitives
import Schema

/// Collects, from one partition, a superset of the first rows of an order.
///
/// Works level by level: at each, whole classes (empty arrays, missing values, present values) are
/// taken in their order until there are enough rows; of present values the column gives the
/// extremes. Where more rows than needed share the last key, the next level decides among them, so
/// that a page of an order with few distinct values (rating, stock) touches few ids.
///
/// With a cursor, rows that equal it at this level are collected by the next levels, rows behind it
/// without one.
package struct CandidateCollector {
    let partition: CollectionPartition
    let index: UInt16
    let levels: [OrderLevel]
    let pool: BitmapPool
    /// Rows to collect at least, if there are so many.
    let count: Int
    package private(set) var found: [Candidate] = []
    private var start: Int64?

    package init(
        partition: CollectionPartition, index: Int, levels: [OrderLevel], count: Int,
        pool: BitmapPool
    ) {
        self.partition = partition
        self.index = UInt16(index)
        self.levels = levels
        self.count = count
        self.pool = pool
    }

    /// Collects among `match` (nil: all of `visible`); with `key` only rows of the first level's key
    /// on, that key included.
    ///
    /// - Complexity: O(slots) bytes per level looked at, and O(collected).
    package mutating func collect(
        match: Bitmap?, visible: Bitmap, after: [OrderValue]?, from key: Int64? = nil
    ) {
        start = key
        var rows: [Candidate] = []
        rows.reserveCapacity(min(count, partition.slotBound) + 64)
        gather(
            0, key: nil, match: match, visible: visible, need: count, after: after, into: &rows)
        found = rows
    }

    /// Appends at least `need` rows of `match` that come first from level `depth` on.
    ///
    /// `key` is the rows' key of the first level, where that is settled already.
    private func gather(
        _ depth: Int, key: Int64?, match: Bitmap?, visible: Bitmap, need: Int,
        after: [OrderValue]?, into slots: inout [Candidate]
    ) {
        guard need > 0 else { return }
        guard depth < levels.count else {
            let key = key ?? 0
            (match ?? visible).forEach { slots.append(candidate($0, key)) }
            return
        }
        let level = levels[depth]
        let start = slots.count
        var classes = OrderClass.allCases
        if level.isDescending { classes.reverse() }
        let cursorClass = after?[depth].orderClass
        for orderClass in classes {
            // Whoever gives a key to start from knows that all rows before it have values.
            if depth == 0, self.start != nil, orderClass != .present, !level.isDescending {
                continue
            }
            if slots.count - start >= need { return }
            let isTied = orderClass == cursorClass
            if let cursorClass, !isTied {
                let isBefore =
                    level.isDescending ? orderClass > cursorClass : orderClass < cursorClass
                if isBefore { continue }
            }
            let remaining = need - (slots.count - start)
            if orderClass == .present {
                gatherPresent(
                    depth, key: key, match: match, visible: visible, need: remaining,
                    after: isTied ? after : nil, into: &slots)
            } else if case .column(let field, _) = level {
                let bitmap = pool.borrow(capacity: partition.slotBound)
                defer { pool.giveBack(bitmap) }
                fillClass(orderClass, field, match: match, visible: visible, into: bitmap)
                gather(
                    depth + 1, key: key ?? (level.isDescending ? Int64.max : Int64.min),
                    match: bitmap, visible: bitmap, need: remaining,
                    after: isTied ? after : nil, into: &slots)
            }
        }
    }

    private func fillClass(
        _ orderClass: OrderClass, _ field: FieldNumber, match: Bitmap?, visible: Bitmap,
        into bitmap: Bitmap
    ) {
        bitmap.assign(match ?? visible)
        guard let column = partition.readyColumn(field) else { return }
        let known = pool.borrow(capacity: partition.slotBound)
        defer { pool.giveBack(known) }
        switch (orderClass, column.storage) {
        case (.emptyArray, .numeric(let numeric)): numeric.fillEmptyArray(into: known)
        case (.emptyArray, .keyword(let keyword)): keyword.fillEmptyArray(into: known)
        case (_, .numeric(let numeric)):
            numeric.fillPresent(into: known)
            bitmap.subtract(known)
            numeric.fillEmptyArray(into: known)
        case (_, .keyword(let keyword)):
            keyword.fillPresent(into: known)
            bitmap.subtract(known)
            keyword.fillEmptyArray(into: known)
        }
        if orderClass == .emptyArray {
            bitmap.formIntersection(known)
        } else {
            bitmap.subtract(known)
        }
    }

    private func candidate(_ slot: Slot, _ key: Int64) -> Candidate {
        Candidate(key: key, partition: index, slot: slot)
    }

    private func gatherPresent(
        _ depth: Int, key settled: Int64?, match: Bitmap?, visible: Bitmap, need: Int,
        after: [OrderValue]?, into slots: inout [Candidate]
    ) {
        let level = levels[depth]
        var bound = depth == 0 ? self.start.map { KeyBound(key: $0, inclusive: true) } : nil
        var missing = need
        if let after {
            let key = boundKey(level, after[depth])
            bound = KeyBound(key: key, inclusive: false)
            let before = slots.count
            gatherTies(
                depth, key: key, settled: settled, match: match, visible: visible, after: after,
                need: need, into: &slots)
            missing -= slots.count - before
        }
        guard missing > 0 else { return }
        var extremes: [KeyedSlot] = []
        extend(level, match: match, visible: visible, need: missing, bound: bound, &extremes)
        guard extremes.count > 4 * missing + 1024, level.isExact(in: partition),
            depth + 1 < levels.count
        else {
            let descending = level.isDescending
            for extreme in extremes {
                let turned = descending ? ~extreme.key : extreme.key
                slots.append(candidate(extreme.slot, settled ?? turned))
            }
            return
        }
        refine(depth, extremes, settled: settled, need: missing, into: &slots)
    }

    /// Too many rows share the last key: the next level chooses among them.
    private func refine(
        _ depth: Int, _ extremes: [KeyedSlot], settled: Int64?, need: Int,
        into slots: inout [Candidate]
    ) {
        let descending = levels[depth].isDescending
        guard
            let last = descending
                ? extremes.lazy.map(\.key).min() : extremes.lazy.map(\.key).max()
        else { return }
        let ties = pool.borrow(capacity: partition.slotBound)
        defer { pool.giveBack(ties) }
        ties.clearAll()
        let before = slots.count
        for extreme in extremes {
            if extreme.key == last {
                ties.set(extreme.slot)
            } else {
                let turned = descending ? ~extreme.key : extreme.key
                slots.append(candidate(extreme.slot, settled ?? turned))
            }
        }
        gather(
            depth + 1, key: settled ?? (descending ? ~last : last), match: ties, visible: ties,
            need: need - (slots.count - before), after: nil, into: &slots)
    }

    /// Rows whose key is the cursor's: those behind it by this level's whole value or later levels.
    private func gatherTies(
        _ depth: Int, key: Int64, settled: Int64?, match: Bitmap?, visible: Bitmap,
        after: [OrderValue], need: Int, into slots: inout [Candidate]
    ) {
        let ties = pool.borrow(capacity: partition.slotBound)
        defer { pool.giveBack(ties) }
        ties.clearAll()
        var tied: [KeyedSlot] = []
        let level = levels[depth]
        // The extremes of one key from an inclusive bound on: only rows of that key can come before
        // all others, so asking for one row gives at least all of them.
        extend(
            level, match: match, visible: visible, need: 1,
            bound: KeyBound(key: key, inclusive: true), &tied)
        let later = Array(levels[depth...])
        let values = Array(after[depth...])
        let isExact = level.isExact(in: partition) && depth + 1 < levels.count
        let turned = settled ?? (level.isDescending ? ~key : key)
        for row in tied where row.key == key {
            if isExact {
                ties.set(row.slot)
            } else if partition.compare(row.slot, to: values, by: later) > 0 {
                slots.append(candidate(row.slot, turned))
            }
        }
        if isExact {
            gather(
                depth + 1, key: turned, match: ties, visible: ties, need: need, after: after,
                into: &slots)
        }
    }

    private func boundKey(_ level: OrderLevel, _ value: OrderValue) -> Int64 {
        switch (level, value) {
        case (_, .key(let key)):
            return key
        case (.column, .bytes(let bytes)):
            return bytes.withUnsafeBytes { KeywordColumn.sortKey($0) }
        case (.id, .bytes(let bytes)):
            return bytes.withUnsafeBytes { partition.idKey(ofForeign: $0) }
        case (_, .emptyArray), (_, .missing):
            return 0
        }
    }

    private func extend(
        _ level: OrderLevel, match: Bitmap?, visible: Bitmap, need: Int, bound: KeyBound?,
        _ extremes: inout [KeyedSlot]
    ) {
        switch level {
        case .id(let descending):
            partition.idOrder.collectExtremes(
                match: match, visible: visible, count: need, descending: descending, bound: bound,
                into: &extremes)
        case .column(let field, let descending):
            switch partition.readyColumn(field)?.storage {
            case .numeric(let column):
                column.collectExtremes(
                    match: match, visible: visible, count: need, descending: descending,
                    bound: bound, into: &extremes)
            case .keyword(let column):
                column.collectExtremes(
                    match: match, visible: visible, count: need, descending: descending,
                    bound: bound, into: &extremes)
            case nil:
                return
            }
        }
    }
}

extension OrderLevel {
    /// Whether equal keys mean equal values: not for strings, whose keys are their first bytes.
    fileprivate func isExact(in partition: CollectionPartition) -> Bool {
        guard case .column(let field, _) = self,
            case .numeric? = partition.readyColumn(field)?.storage
        else { return false }
        return true
    }
}
