import ColumnIndex
package import Primitives
package import Schema

/// One key of a sort order that a column can answer; the last one is always the id, ascending.
package enum OrderLevel: Sendable {
    case column(FieldNumber, descending: Bool)
    case id(descending: Bool)

    package var isDescending: Bool {
        switch self {
        case .column(_, let descending), .id(let descending): descending
        }
    }
}

/// Where a row stands at one level before its key is looked at, as MongoDB orders: an empty array
/// below null and absent, these below every value. Raw values rise in ascending order.
package enum OrderClass: UInt8, Sendable, Comparable, CaseIterable {
    case emptyArray, missing, present

    package static func < (a: OrderClass, b: OrderClass) -> Bool { a.rawValue < b.rawValue }

    init(_ state: SlotState) {
        switch state {
        case .emptyArray: self = .emptyArray
        case .absent, .null: self = .missing
        case .present: self = .present
        }
    }
}

/// A row that may belong to a page, and its first key, turned so that less comes first.
package struct Candidate: Sendable {
    /// The first level's key, complemented where that is descending. Rows without a value have the
    /// key of the end at which they stand; rows of equal keys may still differ.
    package var key: Int64
    package var partition: UInt16
    package var slot: Slot

    package init(key: Int64, partition: UInt16, slot: Slot) {
        self.key = key
        self.partition = partition
        self.slot = slot
    }
}

/// A value at one level, copied out of its column: for merging and for cursors.
package enum OrderValue: Sendable, Equatable {
    case emptyArray
    case missing
    case key(Int64)
    case bytes([UInt8])
}

extension CollectionPartition {
    /// Whether every level can be answered from columns here.
    package func canOrder(by levels: [OrderLevel]) -> Bool {
        levels.allSatisfy { level in
            switch level {
            case .id: true
            case .column(let field, _): readyColumn(field)?.canSort ?? false
            }
        }
    }

    /// Whether an order is settled by the first level's keys and the ids alone.
    package static func orderIsKeyAndID(
        _ levels: [OrderLevel], _ partitions: [CollectionPartition]
    ) -> Bool {
        if levels.count == 1 { return true }
        guard levels.count == 2, case .column(let field, _) = levels[0] else { return false }
        return partitions.allSatisfy { partition in
            guard case .numeric? = partition.readyColumn(field)?.storage else { return false }
            // Null and an empty array share a key without being equal.
            return partition.columnIsPlain(field)
        }
    }

    /// Whether a numeric column holds no arrays, neither empty ones nor such of several values.
    func columnIsPlain(_ field: FieldNumber) -> Bool {
        guard let column = readyColumn(field) else { return false }
        return !column.field.isMultiValued
    }

    /// Whether no row, live or dead, lacks a value of the field: the counts tell without a look.
    ///
    /// - Complexity: O(1).
    func everyRowHasValue(of field: FieldNumber) -> Bool {
        guard let column = readyColumn(field) else { return false }
        let count = rows.liveCount + rows.deadCount
        return switch column.storage {
        case .numeric(let numeric): numeric.presentCount == count
        case .keyword(let keyword): keyword.presentCount == count
        }
    }

    /// A key of the level that at most `rank` live rows come before; nil where the column cannot
    /// say.
    package func cut(_ level: OrderLevel, rank: Int) -> Int64? {
        guard case .column(let field, let descending) = level,
            case .numeric(let column)? = readyColumn(field)?.storage, columnIsPlain(field)
        else { return nil }
        return column.cut(rank: rank, descending: descending)
    }

    /// How many rows of `match` come before `key`; nil where the column cannot say, or where rows
    /// without a value would come first.
    package func countBefore(
        _ level: OrderLevel, key: Int64, match: Bitmap, scratch pool: BitmapPool
    ) -> Int? {
        guard case .column(let field, let descending) = level,
            case .numeric(let column)? = readyColumn(field)?.storage
        else { return nil }
        if descending, key == Int64.max { return 0 }
        if !descending, key == Int64.min { return nil }
        let scratch = pool.borrow(capacity: slotBound)
        defer { pool.giveBack(scratch) }
        if !descending, !everyRowHasValue(of: field),
            column.countRange(Int64.min, Int64.max, match: match, scratch: scratch) < match.count
        {
            return nil
        }
        return descending
            ? column.countRange(key + 1, Int64.max, match: match, scratch: scratch)
            : column.countRange(Int64.min, key - 1, match: match, scratch: scratch)
    }

    /// The row's whole value at a level.
    package func orderValue(_ level: OrderLevel, _ slot: Slot) -> OrderValue {
        switch level {
        case .id:
            return .bytes([UInt8](id(slot)))
        case .column(let field, let descending):
            guard let column = readyColumn(field) else { return .missing }
            switch OrderClass(column.state(slot)) {
            case .emptyArray: return .emptyArray
            case .missing: return .missing
            case .present: break
            }
            switch column.storage {
            case .numeric(let numeric):
                return .key(descending ? numeric.maxKey(slot) : numeric.key(slot))
            case .keyword(let keyword):
                guard let code = keyword.sortCode(slot, descending: descending) else {
                    return .missing
                }
                return .bytes([UInt8](keyword.term(code)))
            }
        }
    }

    /// Orders two rows, perhaps of different partitions of one collection, by all levels: negative
    /// when `a` comes first.
    package static func compare(
        _ a: Slot, in p: CollectionPartition, _ b: Slot, in q: CollectionPartition,
        by levels: [OrderLevel]
    ) -> Int {
        for level in levels {
            let order: Int
            switch level {
            case .id:
                order = compareBytes(p.id(a), q.id(b))
            case .column(let field, let descending):
                order = compareColumn(field, a, p, b, q, descending: descending)
            }
            if order != 0 { return level.isDescending ? -order : order }
        }
        return 0
    }

    private static func compareColumn(
        _ field: FieldNumber, _ a: Slot, _ p: CollectionPartition, _ b: Slot,
        _ q: CollectionPartition, descending: Bool
    ) -> Int {
        guard let x = p.readyColumn(field), let y = q.readyColumn(field) else { return 0 }
        let (left, right) = (OrderClass(x.state(a)), OrderClass(y.state(b)))
        if left != right { return left < right ? -1 : 1 }
        guard left == .present else { return 0 }
        switch (x.storage, y.storage) {
        case (.numeric(let m), .numeric(let n)):
            let (i, j) =
                descending ? (m.maxKey(a), n.maxKey(b)) : (m.key(a), n.key(b))
            return i < j ? -1 : (i == j ? 0 : 1)
        case (.keyword(let m), .keyword(let n)):
            guard let i = m.sortCode(a, descending: descending),
                let j = n.sortCode(b, descending: descending)
            else { return 0 }
            return compareBytes(m.term(i), n.term(j))
        case (.numeric, .keyword), (.keyword, .numeric):
            preconditionFailure("one field has one kind of column")
        }
    }

    /// Orders a row against values of a cursor, level by level: negative when the row comes first.
    package func compare(_ slot: Slot, to values: [OrderValue], by levels: [OrderLevel]) -> Int {
        for (level, value) in zip(levels, values) {
            let order = compare(orderValue(level, slot), value)
            if order != 0 { return level.isDescending ? -order : order }
        }
        return 0
    }

    private func compare(_ a: OrderValue, _ b: OrderValue) -> Int {
        let (left, right) = (a.orderClass, b.orderClass)
        if left != right { return left < right ? -1 : 1 }
        switch (a, b) {
        case (.key(let x), .key(let y)): return x < y ? -1 : (x == y ? 0 : 1)
        case (.bytes(let x), .bytes(let y)):
            return x.withUnsafeBytes { left in
                y.withUnsafeBytes { right in compareBytes(left, right) }
            }
        case (.emptyArray, _), (.missing, _), (.key, _), (.bytes, _): return 0
        }
    }
}

extension OrderValue {
    package var orderClass: OrderClass {
        switch self {
        case .emptyArray: .emptyArray
        case .missing: .missing
        case .key, .bytes: .present
        }
    }
}
