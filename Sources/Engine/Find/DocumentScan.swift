import Documents
import Primitives
import Query
import Schema

/// Orders hits by values read from their documents: for sorts that no column answers.
///
/// Keeps at most a few times the rows that the page needs, and cuts back by sorting.
struct DocumentScan {
    /// Whether the page is chosen here; otherwise only aggregates wanted documents.
    let ordersRows: Bool
    private let order: SortOrder
    private let request: FindRequest
    private var rows: [Row] = []
    private let need: Int

    private struct Row {
        var values: [SortKeyValue]
        var id: [UInt8]
        var key: LogKey
    }

    init(_ request: FindRequest, ordersRows: Bool) {
        self.request = request
        self.ordersRows = ordersRows
        // A distance is compared as a key: whatever its path is called.
        order =
            request.near.map { _ in SortOrder(SortSpec(keys: [.distance]), schema: .empty) }
            ?? SortOrder(request.sort ?? SortSpec(keys: []), schema: request.view.schema)
        need = request.skip + request.limit + 1
    }

    mutating func add(_ root: TapeValue, key: LogKey, id: UnsafeRawBufferPointer) {
        guard ordersRows else { return }
        var values: [SortKeyValue]
        if let near = request.near {
            guard let distance = near.distance(in: root) else { return }
            values = [.key(OrderedKey.key(distance))]
        } else {
            values = order.values(root, id: id)
        }
        let row = Row(values: values, id: [UInt8](id), key: key)
        if let after = request.after, Self.compare(order, row, after.keys, after.id) <= 0 {
            return
        }
        rows.append(row)
        if rows.count >= 4 * need + 1024 { cut() }
    }

    private mutating func cut() {
        sort()
        if rows.count > need { rows.removeLast(rows.count - need) }
    }

    private mutating func sort() {
        let order = order
        rows.sort { Self.compare(order, $0, $1.values, $1.id) < 0 }
    }

    private static func compare(
        _ order: SortOrder, _ row: Row, _ values: [SortKeyValue], _ id: [UInt8]
    ) -> Int {
        row.id.withUnsafeBytes { mine in
            id.withUnsafeBytes { theirs in
                order.compare(row.values, id: mine, values, id: theirs)
            }
        }
    }

    func finish(into outcome: inout FindOutcome) {
        var sorted = self
        sorted.cut()
        let window = sorted.rows.dropFirst(request.skip)
        let page = window.prefix(request.limit)
        outcome.hits = page.map { FindHit(key: $0.key, id: $0.id) }
        if window.count > request.limit, let last = page.last {
            outcome.next = CursorPlace(keys: last.values, id: last.id)
        }
    }
}
