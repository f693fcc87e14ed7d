import Primitives
package import Schema

extension CollectionPartition {
    /// Rows gathered under one hold of the lock: about 0.1 ms.
    private static let gatherStep = 4_096

    /// Makes one of the orders that lookups have missed. Takes the locks itself, for short times;
    /// runs beside lookups and writes, on one thread at a time.
    ///
    /// - Returns: whether there was one to make.
    /// - Complexity: O(rows log rows).
    package func makeMissedOrder() -> Bool {
        lock.lockForReading()
        let orders =
            idOrders.hasMissed ? idOrders : columnList.first { $0.orders.hasMissed }?.orders
        lock.unlock()
        guard let orders else { return false }
        lock.lockForWriting()
        let order = orders.begin()
        let bound = rows.slotBound
        lock.unlock()
        guard let order else { return true }
        var found: [NamedRow] = []
        found.reserveCapacity(bound)
        var names: [UInt8] = []
        for start in stride(from: 0, to: bound, by: Self.gatherStep) {
            lock.lockForReading()
            order.gather(start..<min(bound, start + Self.gatherStep), into: &found, &names)
            lock.unlock()
        }
        NamedRow.sort(&found, names)
        lock.lockForWriting()
        order.finish(found)
        lock.unlock()
        return true
    }

    /// The orders by a field's values and then by id, or with nil by id.
    func orders(_ field: FieldNumber?) -> RowOrders? {
        guard let field else { return idOrders }
        return readyColumn(field)?.orders
    }

    /// Whether a lookup has missed an order.
    package func hasMissedOrder(_ field: FieldNumber?) -> Bool {
        orders(field)?.hasMissed ?? false
    }

    /// Whether a page in the order of `field`, or with nil of ids, may be read off from
    /// ``OrderedRows``: every row among the matches has exactly one value.
    ///
    /// - Parameter hasRange: whether the filter bounds the field, so that no match lacks it.
    package func canReadOff(_ field: FieldNumber?, hasRange: Bool) -> Bool {
        guard let field else { return true }
        guard columnIsPlain(field), case .numeric? = readyColumn(field)?.storage else {
            return false
        }
        return hasRange || everyRowHasValue(of: field)
    }
}
