import ColumnIndex
import Primitives
import Synchronization

/// The orders of one partition's rows by one field, or by their ids, that lookups have asked for:
/// none, ascending, descending or both. Made on demand, behind the lookups.
///
/// Thread rule: that of ``PartitionLock``.
final class RowOrders {
    /// The field's column; nil for orders by id.
    private let column: NumericColumn?
    private let idOrder: NumericColumn
    private let ids: RowIDs
    private(set) var all: [OrderedRows] = []
    /// Orders that lookups have missed: bit 0 ascending, bit 1 descending.
    private let missed = Atomic<UInt8>(0)

    init(column: NumericColumn?, idOrder: NumericColumn, ids: RowIDs) {
        self.column = column
        self.idOrder = idOrder
        self.ids = ids
    }

    var byteCount: Int { all.reduce(0) { $0 + $1.byteCount } }

    /// The rows in order; nil, and noted as missed, where there is no such order yet.
    ///
    /// The reader lock is held.
    func order(descending: Bool) -> OrderedRows? {
        for order in all where order.isDescending == descending {
            return order.isReady ? order : nil
        }
        missed.bitwiseOr(descending ? 2 : 1, ordering: .relaxed)
        return nil
    }

    /// Whether a lookup has missed an order.
    var hasMissed: Bool { missed.load(ordering: .relaxed) != 0 }

    /// Begins an order that was missed: from now on it is told what changes.
    func begin() -> OrderedRows? {
        let missed = missed.exchange(0, ordering: .relaxed)
        guard missed != 0 else { return nil }
        // One at a time: the other is asked for again.
        let descending = missed & 1 == 0
        if all.contains(where: { $0.isDescending == descending }) { return nil }
        let order = OrderedRows(
            column: column, idOrder: idOrder, ids: ids, isDescending: descending)
        all.append(order)
        return order
    }

    /// The row has been given a value.
    func noteSet(_ slot: Slot) {
        for order in all { order.noteSet(slot) }
    }

    /// The row has no value any more.
    func noteCleared(_ slot: Slot) {
        for order in all { order.noteCleared(slot) }
    }

    /// Takes in what has changed where that is much; drops an order that nobody reads.
    func merge() {
        for order in all where order.isMergeDue && !order.merge() {
            all.removeAll { $0 === order }
        }
    }

    /// The keys of ids have been made anew.
    func drop() { all = [] }
}
