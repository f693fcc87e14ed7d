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

    /// Collects among `match` (nil: all of `visible`); with `key` only rows of the first level's
    /// key on, that key included.
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
            } else if case .column(let field, _) = level, !partition.everyRowHasValue(of: field) {
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
        if let after {
            gatherBehind(
                depth, key: boundKey(level, after[depth]), settled: settled, match: match,
                visible: visible, after: after, need: need, into: &slots)
            return
        }
        let bound = depth == 0 ? self.start.map { KeyBound(key: $0, inclusive: true) } : nil
        gatherFrom(
            depth, bound: bound, settled: settled, match: match, visible: visible, need: need,
            into: &slots)
    }

    /// Appends the rows whose keys come first from a bound on.
    private func gatherFrom(
        _ depth: Int, bound: KeyBound?, settled: Int64?, match: Bitmap?, visible: Bitmap,
        need missing: Int, into slots: inout [Candidate]
    ) {
        let level = levels[depth]
        guard missing > 0 else { return }
        var extremes: [KeyedSlot] = []
        extend(level, match: match, visible: visible, need: missing, bound: bound, &extremes)
        guard extremes.count > 2 * missing + 128, level.isExact(in: partition),
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

    /// Rows behind a cursor: those that share its key and come later by what follows, then those of
    /// later keys. One pass over the column finds both, as a rule.
    private func gatherBehind(
        _ depth: Int, key: Int64, settled: Int64?, match: Bitmap?, visible: Bitmap,
        after: [OrderValue], need: Int, into slots: inout [Candidate]
    ) {
        let level = levels[depth]
        let asked = need + 64
        var extremes: [KeyedSlot] = []
        extend(
            level, match: match, visible: visible, need: asked,
            bound: KeyBound(key: key, inclusive: true), &extremes)
        // No key comes before the bound's, so that all rows which share it are among them.
        var ties: [Slot] = []
        var later: [KeyedSlot] = []
        for extreme in extremes {
            if extreme.key == key { ties.append(extreme.slot) } else { later.append(extreme) }
        }
        let before = slots.count
        appendTies(
            depth, ties, key: settled ?? (level.isDescending ? ~key : key), after: after,
            need: need, into: &slots)
        let missing = need - (slots.count - before)
        guard missing > 0 else { return }
        guard later.count < missing, extremes.count >= asked else {
            for extreme in later {
                let turned = level.isDescending ? ~extreme.key : extreme.key
                slots.append(candidate(extreme.slot, settled ?? turned))
            }
            return
        }
        gatherFrom(
            depth, bound: KeyBound(key: key, inclusive: false), settled: settled, match: match,
            visible: visible, need: missing, into: &slots)
    }

    /// Of rows that tie at a level, appends those that come first by the later levels; with `after`
    /// only those behind that place.
    private func appendTies(
        _ depth: Int, _ ties: [Slot], key: Int64, after: [OrderValue]?, need: Int,
        into slots: inout [Candidate]
    ) {
        let later = Array(levels[depth...])
        let values = after.map { Array($0[depth...]) }
        let isExact = levels[depth].isExact(in: partition) && depth + 1 < levels.count
        guard isExact, ties.count > 128 else {
            for slot in ties {
                if let values, partition.compare(slot, to: values, by: later) <= 0 { continue }
                slots.append(candidate(slot, key))
            }
            return
        }
        if case .id(false) = levels[depth + 1] {
            appendByID(ties, key: key, after: values?[1], need: need, into: &slots)
            return
        }
        let bitmap = pool.borrow(capacity: partition.slotBound)
        defer { pool.giveBack(bitmap) }
        bitmap.clearAll()
        for slot in ties { bitmap.set(slot) }
        gather(
            depth + 1, key: key, match: bitmap, visible: bitmap, need: need, after: after,
            into: &slots)
    }

    /// Of rows that only their ids tell apart, appends at least the `need` first ones.
    private func appendByID(
        _ ties: [Slot], key: Int64, after: OrderValue?, need: Int, into slots: inout [Candidate]
    ) {
        let place = after.map { boundKey(.id(descending: false), $0) }
        var rows: [Candidate] = []
        rows.reserveCapacity(ties.count)
        for slot in ties {
            let idKey = partition.idOrder.key(slot)
            if let after, let place {
                if idKey < place { continue }
                if idKey == place,
                    partition.compare(slot, to: [after], by: [.id(descending: false)]) <= 0
                {
                    continue
                }
            }
            rows.append(candidate(slot, idKey))
        }
        CandidateSelection.keepFirst(&rows, count: need)
        for row in rows { slots.append(candidate(row.slot, key)) }
    }

    /// Too many rows share the last key: the later levels choose among them.
    private func refine(
        _ depth: Int, _ extremes: [KeyedSlot], settled: Int64?, need: Int,
        into slots: inout [Candidate]
    ) {
        let descending = levels[depth].isDescending
        guard
            let last = descending
                ? extremes.lazy.map(\.key).min() : extremes.lazy.map(\.key).max()
        else { return }
        var ties: [Slot] = []
        let before = slots.count
        for extreme in extremes {
            if extreme.key == last {
                ties.append(extreme.slot)
            } else {
                let turned = descending ? ~extreme.key : extreme.key
                slots.append(candidate(extreme.slot, settled ?? turned))
            }
        }
        appendTies(
            depth, ties, key: settled ?? (descending ? ~last : last), after: nil,
            need: need - (slots.count - before), into: &slots)
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
