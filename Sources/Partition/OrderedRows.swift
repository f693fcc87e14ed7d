import ColumnIndex
import Primitives
import Synchronization

/// Where a row stands in an order by a field and then by id; less comes first.
struct OrderKey: Comparable, BitwiseCopyable {
    /// The field's key, complemented where the order descends.
    var key: Int64
    /// The id's key in `CollectionPartition.idOrder`.
    var id: Int64

    @inline(__always) static func < (a: OrderKey, b: OrderKey) -> Bool {
        a.key != b.key ? a.key < b.key : a.id < b.id
    }
}

/// The rows of one partition in the order of a numeric field and then of ids, or of ids alone, so
/// that a page by that order is read off from where it begins instead of being chosen from all
/// rows.
///
/// Made behind the lookups for orders that they ask for, and given up when they no longer do.
///
/// ```
/// main   [Slot]   rows by (key, id key); may also name rows that have changed since
/// moved  bitmap   rows whose place in `main`, if they have one, means nothing
/// tail   [Slot]   rows set since `main` was made, in no order; a row may be named twice
/// ```
/// Invariants:
/// 1. A row that has a key is in `main` and not in `moved`, or in `moved` and in `tail`.
/// 2. The rows of `main` that are not in `moved` rise by ``OrderKey``; ties are in any order.
///
/// 4 bytes a row. Rows that a version sees keep their keys as long as it is pinned, so that one
/// order serves all versions; who is visible is the reader's business.
///
/// Thread rule: that of ``PartitionLock``.
final class OrderedRows {
    let isDescending: Bool
    /// Nil: the order is that of ids.
    private let column: NumericColumn?
    private let idOrder: NumericColumn
    let main = GrowableBuffer<Slot>(fill: 0)
    let moved = Bitmap()
    let tail = GrowableBuffer<Slot>(fill: 0)
    /// How many rows are in `moved`.
    private(set) var movedCount = 0
    /// False until `main` is made: changes are noted from before its rows are gathered.
    private(set) var isReady = false
    /// Whether a lookup has read it since ``merge()`` last looked.
    let isUsed = Atomic<Bool>(true)
    private var idleMergeCount = 0

    init(column: NumericColumn?, idOrder: NumericColumn, isDescending: Bool) {
        self.column = column
        self.idOrder = idOrder
        self.isDescending = isDescending
    }

    var byteCount: Int { main.byteCount + moved.byteCount + tail.byteCount }

    // MARK: - Keeping it true

    /// The row has been given a value. REQUIRES: its id's key is set.
    func noteSet(_ slot: Slot) {
        noteCleared(slot)
        tail.append(slot)
    }

    /// The row has no value any more.
    func noteCleared(_ slot: Slot) {
        if moved.test(slot) { return }
        moved.set(slot)
        movedCount += 1
    }

    /// Whether so much has changed that ``merge()`` should be called.
    var isMergeDue: Bool {
        isReady && max(tail.count, movedCount) > max(512, main.count / 512)
    }

    /// Merges made without a lookup in between after which the order is given up.
    private static let idleMergesMax = 32

    /// Takes what has changed into `main`.
    ///
    /// - Returns: whether the order is still of use; if not, its owner drops it.
    /// - Complexity: O(rows), by moving memory, and O(changes log rows).
    func merge() -> Bool {
        idleMergeCount = isUsed.exchange(false, ordering: .relaxed) ? 0 : idleMergeCount + 1
        let arrivals = arrivals()
        var kept = 0
        for index in 0..<main.count {
            let slot = main.base[index]
            main.base[kept] = slot
            kept += moved.test(slot) ? 0 : 1
        }
        // From here on no row of `main` is void.
        moved.clearAll()
        movedCount = 0
        tail.removeAll()
        main.resize(to: kept + arrivals.count)
        var end = kept
        var out = main.count
        for arrival in arrivals.reversed() {
            let place = lowerBound(arrival.order, from: 0, to: end)
            out -= end - place
            // SAFETY: both ranges lie within `main.count`; `update` allows for overlap.
            (main.base + out).update(from: main.base + place, count: end - place)
            out -= 1
            main.base[out] = arrival.slot
            end = place
        }
        return idleMergeCount < Self.idleMergesMax
    }

    /// The tail's rows that have a key, each once, in order.
    private func arrivals() -> [OrderedRow] {
        var slots = (0..<tail.count).map { tail[$0] }
        slots.sort()
        var rows: [OrderedRow] = []
        rows.reserveCapacity(slots.count)
        for (index, slot) in slots.enumerated() where index == 0 || slots[index - 1] != slot {
            if hasKey(slot) { rows.append(OrderedRow(order: key(slot), slot: slot)) }
        }
        rows.sort { $0.order < $1.order }
        return rows
    }

    /// Makes `main` of rows that are in order.
    func finish(_ rows: [OrderedRow]) {
        main.resize(to: rows.count)
        for (index, row) in rows.enumerated() { main.base[index] = row.slot }
        isReady = true
    }

    /// Appends those of the rows `slots` that have a key.
    func gather(_ slots: Range<Int>, into rows: inout [OrderedRow]) {
        for slot in slots {
            let slot = Slot(slot)
            if hasKey(slot) { rows.append(OrderedRow(order: key(slot), slot: slot)) }
        }
    }

    // MARK: - Reading

    private func hasKey(_ slot: Slot) -> Bool {
        idOrder.keyCount(slot) == 1 && column.map { $0.keyCount(slot) == 1 } ?? true
    }

    /// Where a row stands. REQUIRES: it has one key.
    @inline(__always) func key(_ slot: Slot) -> OrderKey {
        OrderKey(key: fieldKey(slot), id: idOrder.onlyKey(slot))
    }

    @inline(__always) private func fieldKey(_ slot: Slot) -> Int64 {
        let key = column?.onlyKey(slot) ?? 0
        return isDescending ? ~key : key
    }

    /// Whether a row comes before `target`; most are told apart without their ids' keys.
    @inline(__always) private func comes(_ slot: Slot, before target: OrderKey) -> Bool {
        let key = fieldKey(slot)
        return key != target.key ? key < target.key : idOrder.onlyKey(slot) < target.id
    }

    /// The first place in `main[low..<high]` from which on no valid row comes before `target`.
    ///
    /// - Complexity: O(log rows + void rows in a run).
    func lowerBound(_ target: OrderKey, from low: Int, to high: Int) -> Int {
        var (low, high) = (low, high)
        let hasVoid = movedCount > 0
        while low < high {
            let middle = low + (high - low) / 2
            var probe = middle
            while hasVoid, probe < high, moved.test(main[probe]) { probe += 1 }
            if probe == high {
                high = middle
            } else if comes(main[probe], before: target) {
                low = probe + 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// Traps if an invariant is broken, `slots` being one past the largest row. For tests.
    func checkInvariants(slots: Int) {
        guard isReady else { return }
        var places = [Int](repeating: 0, count: slots)
        var last: OrderKey?
        for index in 0..<main.count where !moved.test(main[index]) {
            let key = key(main[index])
            if let last { precondition(!(key < last), "main rises") }
            last = key
            places[Int(main[index])] += 1
        }
        var inTail = Set<Slot>()
        for index in 0..<tail.count { inTail.insert(tail[index]) }
        for slot in 0..<slots where hasKey(Slot(slot)) {
            let isMoved = moved.test(Slot(slot))
            precondition(places[slot] == (isMoved ? 0 : 1), "a row has one place")
            if isMoved { precondition(inTail.contains(Slot(slot)), "a moved row is in the tail") }
        }
    }
}

/// A row and where it stands.
struct OrderedRow: BitwiseCopyable {
    var order: OrderKey
    var slot: Slot
}
