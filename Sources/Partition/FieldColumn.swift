package import ColumnIndex
package import Primitives
package import Schema

/// The column of one declared field in one partition.
package final class FieldColumn {
    package enum Storage {
        /// Ints, decimals, datetimes, bools and floats by their order-preserving keys.
        case numeric(NumericColumn)
        case keyword(KeywordColumn)
    }

    package let field: Field
    package let storage: Storage
    /// False while an `ALTER` fills the column: queries must not use it yet.
    package internal(set) var isReady: Bool
    /// The rows in the orders by this field that lookups ask for.
    let orders: RowOrders

    /// - Parameters:
    ///   - idOrder: the keys of the rows' ids, for orders by this field and then by id.
    ///   - ids: the ids themselves.
    init(field: Field, idOrder: NumericColumn, ids: RowIDs, isReady: Bool) {
        self.field = field
        self.isReady = isReady
        if field.type.isNumeric {
            let column = NumericColumn(kind: field.type == .float ? .double : .integer)
            orders = RowOrders(column: column, idOrder: idOrder, ids: ids)
            storage = .numeric(column)
        } else {
            orders = RowOrders(column: nil, idOrder: idOrder, ids: ids)
            storage = .keyword(KeywordColumn(isSortable: field.definition.isSortable))
        }
    }

    package var byteCount: Int {
        switch storage {
        case .numeric(let column): column.byteCount + orders.byteCount
        case .keyword(let column): column.byteCount
        }
    }

    /// Whether rows can be ordered by it.
    var canSort: Bool {
        switch storage {
        case .numeric: true
        case .keyword(let column): column.isSortable
        }
    }

    package func state(_ slot: Slot) -> SlotState {
        switch storage {
        case .numeric(let column): column.state(slot)
        case .keyword(let column): column.state(slot)
        }
    }

    func clear(_ slot: Slot) {
        switch storage {
        case .numeric(let column): column.clear(slot)
        case .keyword(let column): column.clear(slot)
        }
        orders.noteCleared(slot)
    }

    /// Sets the row from `entries`, which all belong to this field.
    func set(
        _ slot: Slot, _ entries: UnsafeBufferPointer<FieldEntry>, _ prepared: PreparedDocument
    ) {
        store(slot, entries, prepared)
        orders.noteSet(slot)
    }

    private func store(
        _ slot: Slot, _ entries: UnsafeBufferPointer<FieldEntry>, _ prepared: PreparedDocument
    ) {
        let first = entries[0]
        switch (first.kind, storage) {
        case (.null, .numeric(let column)): column.setNull(slot)
        case (.null, .keyword(let column)): column.setNull(slot)
        case (.emptyArray, .numeric(let column)): column.setEmptyArray(slot)
        case (.emptyArray, .keyword(let column)): column.setEmptyArray(slot)
        case (.int, .numeric(let column)), (.double, .numeric(let column)):
            if entries.count == 1 {
                column.set(slot, first.key)
            } else {
                column.set(slot, list: entries.map(\.key))
            }
        case (.string, .keyword(let column)):
            if entries.count == 1 {
                prepared.withString(first) { column.set(slot, $0) }
            } else {
                setList(slot, entries, prepared, column)
            }
        case (.int, .keyword), (.double, .keyword), (.string, .numeric):
            preconditionFailure("entries have their field's type")
        }
    }

    private func setList(
        _ slot: Slot, _ entries: UnsafeBufferPointer<FieldEntry>, _ prepared: PreparedDocument,
        _ column: KeywordColumn
    ) {
        prepared.bytes.withUnsafeBytes { bytes in
            prepared.strings.withUnsafeBytes { strings in
                let list = entries.map { entry in
                    entry.stringBytes(bytes: bytes, strings: strings)
                }
                column.set(slot, list: list)
            }
        }
    }
}

/// The hash by which unique values are kept: of the key or of the bytes.
package enum UniqueHash {
    package static func of(key: Int64) -> UInt64 {
        Hash64.hash(UInt64(bitPattern: key), seed: 0x756E_6971)
    }

    package static func of(bytes: UnsafeRawBufferPointer) -> UInt64 {
        Hash64.hash(bytes, seed: 0x756E_6971)
    }
}

extension PreparedDocument {
    /// The hash of a unique field's value; nil for null and for an empty array.
    package func uniqueHash(of entry: FieldEntry) -> UInt64? {
        switch entry.kind {
        case .null, .emptyArray: nil
        case .int, .double: UniqueHash.of(key: entry.key)
        case .string: withString(entry) { UniqueHash.of(bytes: $0) }
        }
    }

    /// The value as text for an error message.
    package func text(of entry: FieldEntry) -> String {
        switch entry.kind {
        case .null: "null"
        case .emptyArray: "[]"
        case .int: "\(entry.key)"
        case .double: "\(Double(bitPattern: entry.payload))"
        case .string: withString(entry) { "\"\(String(decoding: $0, as: UTF8.self))\"" }
        }
    }
}
