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
/// 2. The rows of `main` that are not in `moved` rise by ``OrderKey`` and then by id; versions of
///    one document may be equal.
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
    private let ids: RowIDs
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

    init(column: NumericColumn?, idOrder: NumericColumn, ids: RowIDs, isDescending: Bool) {
        self.column = column
        self.idOrder = idOrder
        self.ids = ids
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
            let place = lowerBound(arrival.order, id: ids[arrival.slot], from: 0, to: end)
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
        sort(&rows)
        return rows
    }

    /// Puts rows of the partition in order.
    func sort(_ rows: inout [OrderedRow]) {
        rows.sort { $0.order != $1.order ? $0.order < $1.order : precedes($0.slot, $1.slot) }
    }

    /// Whether a row's id comes before another's.
    func precedes(_ slot: Slot, _ other: Slot) -> Bool { compareBytes(ids[slot], ids[other]) < 0 }

    /// Makes `main` of rows that are in order.
    func finish(_ rows: [NamedRow]) {
        main.resize(to: rows.count)
        for (index, named) in rows.enumerated() { main.base[index] = named.row.slot }
        isReady = true
    }

    /// Appends those of the rows `slots` that have a key, and their ids.
    func gather(_ slots: Range<Int>, into rows: inout [NamedRow], _ names: inout [UInt8]) {
        for slot in slots {
            let slot = Slot(slot)
            guard hasKey(slot) else { continue }
            let id = ids[slot]
            rows.append(
                NamedRow(
                    row: OrderedRow(order: key(slot), slot: slot), start: names.count,
                    count: id.count))
            names.append(contentsOf: id)
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

    /// Whether a row comes before `target` and `id`; most are told apart without their ids' keys,
    /// nearly all without their ids.
    @inline(__always) private func comes(
        _ slot: Slot, before target: OrderKey, _ id: UnsafeRawBufferPointer?
    ) -> Bool {
        let key = fieldKey(slot)
        if key != target.key { return key < target.key }
        let idKey = idOrder.onlyKey(slot)
        if idKey != target.id { return idKey < target.id }
        guard let id else { return false }
        return compareBytes(ids[slot], id) < 0
    }

    /// The first place in `main[low..<high]` from which on no valid row comes before `target`.
    ///
    /// - Parameter id: tells rows of that key apart; nil: none of them comes before it.
    /// - Complexity: O(log rows + void rows in a run).
    func lowerBound(
        _ target: OrderKey, id: UnsafeRawBufferPointer? = nil, from low: Int, to high: Int
    ) -> Int {
        var (low, high) = (low, high)
        let hasVoid = movedCount > 0
        while low < high {
            let middle = low + (high - low) / 2
            var probe = middle
            while hasVoid, probe < high, moved.test(main[probe]) { probe += 1 }
            if probe == high {
                high = middle
            } else if comes(main[probe], before: target, id) {
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
        var last: Slot?
        for index in 0..<main.count where !moved.test(main[index]) {
            if let last {
                let (before, now) = (key(last), key(main[index]))
                precondition(
                    before != now ? before < now : !precedes(main[index], last), "main rises")
            }
            last = main[index]
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

/// A row with the bytes of its id, which are kept with those of others.
struct NamedRow: BitwiseCopyable {
    var row: OrderedRow
    var start: Int
    var count: Int

    /// Puts rows in order, whose ids' bytes are `names`. - Complexity: O(rows log rows).
    static func sort(_ rows: inout [NamedRow], _ names: [UInt8]) {
        names.withUnsafeBytes { names in
            rows.sort { a, b in
                if a.row.order != b.row.order { return a.row.order < b.row.order }
                return compareBytes(
                    UnsafeRawBufferPointer(rebasing: names[a.start..<a.start + a.count]),
                    UnsafeRawBufferPointer(rebasing: names[b.start..<b.start + b.count])) < 0
            }
        }
    }
}

/// The ids of a partition's rows. Thread rule: that of ``PartitionLock``.
struct RowIDs {
    let rows: RowTable
    let heads: Heads

    /// The id of a row in use, borrowed under the lock.
    subscript(slot: Slot) -> UnsafeRawBufferPointer { heads.id(rows.number(slot)) }
}
