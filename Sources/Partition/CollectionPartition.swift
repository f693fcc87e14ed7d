import ColumnIndex
package import GeoIndex
import HoursIndex
package import Primitives
package import Schema

/// One collection's documents in one partition: heads, rows and columns, kept by applying log
/// entries in version order.
///
/// Deterministic: the state is a function of the entries that were applied and the calls to
/// ``reclaim(horizon:limit:)``. No clock, no randomness, no I/O.
///
/// Thread rule: readers hold `lock` for reading; whoever applies holds it for writing. The
/// committer, being the only writer, may read without it.
// SAFETY of `@unchecked Sendable`: the thread rule above; `lock` guards every other member.
package final class CollectionPartition: @unchecked Sendable {
    package let lock = PartitionLock()
    package let heads = Heads()
    let rows = RowTable()
    /// By field number; nil for fields without a column.
    private var columns: [FieldColumn?] = []
    private(set) var columnList: [FieldColumn] = []
    /// The vectors of each field that has an index for them.
    package private(set) var vectorFields: [VectorField] = []
    /// The places of each field that has an index for them.
    package private(set) var placeFields: [PlaceField] = []
    /// The opening hours of each field of them.
    package private(set) var hoursFields: [HoursField] = []
    /// Keys of the ids' bytes behind `commonIDPrefix`: gives the order by id a first cut.
    let idOrder = NumericColumn(kind: .integer)
    /// The rows in the order of their ids, where lookups ask for it.
    let idOrders: RowOrders
    /// What all ids ever seen begin with.
    var commonIDPrefix: [UInt8] = []
    var hasSeenID = false

    package init(schema: Schema) {
        idOrders = RowOrders(
            column: nil, idOrder: idOrder, ids: RowIDs(rows: rows, heads: heads))
        for field in schema.fields {
            if field.hasEntries { addColumn(field, isReady: true) }
            if field.hasVectorIndex { addVectors(field, isReady: true) }
            if field.hasPlaceIndex { addPlaces(field, isReady: true) }
            if field.hasHours { addHours(field, isReady: true) }
        }
    }

    // MARK: - Figures

    /// Documents that are there, by the newest applied state.
    package var documentCount: Int { rows.liveCount }
    package var deadRowCount: Int { rows.deadCount }
    /// One past the largest row number.
    package var slotBound: Int { rows.slotBound }

    /// Bytes of heads, rows and the order of ids; columns are counted one by one.
    package var baseByteCount: Int {
        heads.byteCount + rows.byteCount + idOrder.byteCount + idOrders.byteCount
    }

    /// All allocated bytes.
    package var byteCount: Int {
        baseByteCount + columnList.reduce(0) { $0 + $1.byteCount }
            + vectorFields.reduce(0) { $0 + $1.byteCount }
            + placeFields.reduce(0) { $0 + $1.byteCount }
            + hoursFields.reduce(0) { $0 + $1.table.byteCount }
    }

    // MARK: - Columns

    /// The field's column, also while it is being built.
    package func column(_ field: FieldNumber) -> FieldColumn? {
        Int(field) < columns.count ? columns[Int(field)] : nil
    }

    /// The field's column if queries may use it.
    package func readyColumn(_ field: FieldNumber) -> FieldColumn? {
        guard let column = column(field), column.isReady else { return nil }
        return column
    }

    package var allColumns: [FieldColumn] { columnList }

    package func addColumn(_ field: Field, isReady: Bool) {
        while columns.count <= Int(field.number) { columns.append(nil) }
        columns[Int(field.number)] = FieldColumn(
            field: field, idOrder: idOrder, ids: RowIDs(rows: rows, heads: heads),
            isReady: isReady)
        columnList = columns.compactMap { $0 }
    }

    package func dropColumn(_ field: FieldNumber) {
        guard Int(field) < columns.count else { return }
        columns[Int(field)] = nil
        columnList = columns.compactMap { $0 }
    }

    package func markReady(_ field: FieldNumber) { column(field)?.isReady = true }

    // MARK: - Vectors

    /// The field's vectors, if queries may use their index.
    package func vectorField(_ field: FieldNumber) -> VectorField? {
        vectorFields.first { $0.field.number == field && $0.isReady }
    }

    /// The field's vectors in an index of these options, where there is one.
    ///
    /// While an `ALTER` takes hold both indexes may be here, or the new one alone, not yet marked:
    /// what a lookup's schema says decides which of them is its own. REQUIRES: by that schema the
    /// index is built.
    package func vectorField(_ field: FieldNumber, built options: VectorOptions) -> VectorField? {
        let wanted = options.built
        return vectorFields.first { $0.field.number == field && $0.options.built == wanted }
    }

    /// The most vectors of one field that wait to be linked. Takes the reader lock itself.
    package var vectorTailCount: Int {
        lock.lockForReading()
        defer { lock.unlock() }
        return vectorFields.reduce(0) { max($0, $1.index.tailCount) }
    }

    package func addVectors(_ field: Field, isReady: Bool) {
        guard case .vector(let options) = field.type else { return }
        // One index of a field is built at a time: this is the newer wish.
        vectorFields.removeAll { !isReady && !$0.isReady && $0.field.number == field.number }
        vectorFields.append(
            VectorField(
                field: field, options: options, seed: UInt64(field.number), isReady: isReady,
                rowCount: rows.slotBound))
    }

    package func dropVectors(_ field: FieldNumber) {
        vectorFields.removeAll { $0.field.number == field }
    }

    /// Lets queries use the index that an `ALTER` has built; the one before it goes.
    package func markVectorsReady(_ field: FieldNumber) {
        vectorFields.removeAll { $0.field.number == field && $0.isReady }
        vectorFields.first { $0.field.number == field }?.isReady = true
    }

    /// Whether the index of a vector's field can hold it: what comes from a file was checked for
    /// the schema that it was written under, which may not be this one.
    package func canHold(_ arrival: VectorArrival) -> Bool {
        vectorField(arrival.field).map { $0.index.canHold(arrival.values) } ?? true
    }

    /// Gives up the indexes that an `ALTER` was building, but not those that its old schema has
    /// and that are being made anew.
    package func dropUnreadyVectors(unlessOf old: Schema) {
        vectorFields.removeAll { vectors in
            let before = old.field(numbered: vectors.field.number)?.vectorOptions
            return !vectors.isReady && before?.built != vectors.options.built
        }
    }

    /// Vectors that an index being built cannot hold.
    package func rejectedVectorCount(_ field: FieldNumber) -> Int {
        vectorFields.reduce(0) {
            $0 + ($1.field.number == field && !$1.isReady ? $1.rejectedCount : 0)
        }
    }

    /// Brings a live row's vectors into the indexes that are being built.
    package func backfill(_ slot: Slot, key: LogKey, _ arrivals: [VectorArrival]) {
        guard rows.live.test(slot), rows.key(slot) == key else { return }
        for field in vectorFields where !field.isReady && field.node(slot) == nil {
            if let arrival = arrivals.first(where: { $0.field == field.field.number }) {
                field.replace(nil, with: slot, arrival)
            }
        }
    }

    // MARK: - Opening hours

    /// The field's opening hours, if queries may ask for them.
    package func hoursField(_ field: FieldNumber) -> HoursField? {
        hoursFields.first { $0.field.number == field && $0.isReady }
    }

    package func addHours(_ field: Field, isReady: Bool) {
        hoursFields.append(HoursField(field: field, isReady: isReady))
    }

    package func dropHours(_ field: FieldNumber) {
        hoursFields.removeAll { $0.field.number == field }
    }

    /// Lets queries ask for the hours that an `ALTER` has brought in.
    package func markHoursReady(_ field: FieldNumber) {
        hoursFields.removeAll { $0.field.number == field && $0.isReady }
        hoursFields.first { $0.field.number == field }?.isReady = true
    }

    private func fillHours(_ slot: Slot, from prepared: PreparedDocument, onlyUnready: Bool) {
        for hours in hoursFields where !(onlyUnready && hours.isReady) {
            for value in prepared.hours where value.field == hours.field.number {
                hours.table.set(slot, value.hours)
            }
        }
    }

    // MARK: - Places

    /// The field's places, if queries may use their index.
    package func placeField(_ field: FieldNumber) -> PlaceField? {
        for places in placeFields where places.number == field && places.isReady {
            return places
        }
        return nil
    }

    package func addPlaces(_ field: Field, isReady: Bool) {
        placeFields.append(PlaceField(field: field, isReady: isReady))
    }

    package func dropPlaces(_ field: FieldNumber) {
        placeFields.removeAll { $0.number == field }
    }

    /// Lets queries use the index that an `ALTER` has filled; the one before it goes.
    package func markPlacesReady(_ field: FieldNumber) {
        placeFields.removeAll { $0.number == field && $0.isReady }
        placeFields.first { $0.number == field }?.isReady = true
    }

    /// Whether an index of places or hours is being filled.
    package var hasUnreadyPlaces: Bool {
        placeFields.contains { !$0.isReady } || hoursFields.contains { !$0.isReady }
    }

    /// Gives up the indexes that an `ALTER` was filling.
    package func dropUnreadyPlaces() {
        placeFields.removeAll { !$0.isReady }
        hoursFields.removeAll { !$0.isReady }
    }

    /// Brings a row's places and hours into the indexes that are being filled.
    package func backfill(
        _ slot: Slot, key: LogKey, _ arrivals: [PlaceArrival], from prepared: PreparedDocument
    ) {
        guard rows.key(slot) == key else { return }
        fillHours(slot, from: prepared, onlyUnready: true)
        for places in placeFields where !places.isReady && !places.has(slot) {
            for arrival in arrivals where arrival.field == places.number {
                places.set(slot, arrival, replacing: nil)
            }
        }
    }

    /// The zones that the newest row of a document has in a field.
    package func zones(of id: UnsafeRawBufferPointer, hash: UInt64, _ field: FieldNumber) -> [Shape]
    {
        guard let number = heads.number(hash: hash, id: id), heads.slot(number) != Heads.noSlot
        else { return [] }
        let slot = heads.slot(number)
        for places in placeFields where places.number == field {
            let shapes = places.zones.shapes(of: slot)
            if !shapes.isEmpty { return shapes }
        }
        return []
    }

    /// Whether every row in use is one that `version` sees.
    func seesAllRows(at version: Version) -> Bool {
        rows.deadCount == 0 && rows.isCurrent(at: version)
    }

    /// Calls `body` with every row in use that `version` does not see.
    func forEachInvisible(at version: Version, _ body: (Slot) -> Void) {
        rows.forEachInvisible(at: version, body)
    }

    /// Whether no row was born or has died after `version`.
    func isCurrent(at version: Version) -> Bool { rows.isCurrent(at: version) }

    // MARK: - Applying

    /// Applies one entry: a document's new version, or with nil its removal.
    ///
    /// REQUIRES: `key` is above every key that was applied before.
    /// - Parameters:
    ///   - vectors: the vectors that the new version has, in fields with an index.
    ///   - places: the places that it has, in fields with an index.
    /// - Complexity: O(indexed values).
    package func apply(
        id: UnsafeRawBufferPointer, hash: UInt64, key: LogKey, prepared: PreparedDocument?,
        vectors: [VectorArrival] = [], places: [PlaceArrival] = []
    ) {
        let number: UInt32
        var old: Slot?
        if let known = heads.number(hash: hash, id: id) {
            number = known
            let known = heads.slot(known)
            if known != Heads.noSlot {
                rows.kill(known, key: key)
                old = known
            }
        } else {
            number = heads.insert(hash: hash, id: id)
            noteID(id)
        }
        guard let prepared else {
            heads.update(number, key: key, slot: Heads.noSlot)
            for field in vectorFields { field.replace(old, with: nil, nil) }
            return
        }
        let slot = rows.insert(key: key, number: number)
        heads.update(number, key: key, slot: slot)
        idOrder.set(slot, orderedPrefix(id, from: commonIDPrefix.count))
        idOrders.noteSet(slot)
        fill(slot, from: prepared, only: nil)
        if !hoursFields.isEmpty { fillHours(slot, from: prepared, onlyUnready: false) }
        if !placeFields.isEmpty {
            for field in placeFields {
                for arrival in places where arrival.field == field.number {
                    field.set(slot, arrival, replacing: old)
                }
            }
        }
        for field in vectorFields {
            field.replace(old, with: slot, vectors.first { $0.field == field.field.number })
        }
    }

    /// Sets the row's columns from a document's entries; with `only`, just that field's.
    package func fill(_ slot: Slot, from prepared: PreparedDocument, only: FieldNumber?) {
        prepared.entries.withUnsafeBufferPointer { entries in
            var start = 0
            while start < entries.count {
                let field = entries[start].field
                var end = start + 1
                while end < entries.count, entries[end].field == field { end += 1 }
                if only == nil || only == field, let column = column(field) {
                    column.set(
                        slot, UnsafeBufferPointer(rebasing: entries[start..<end]), prepared)
                }
                start = end
            }
        }
    }

    /// Frees up to `limit` rows that no read at or after `horizon` sees, and lets the orders keep
    /// up with what has changed.
    package func reclaim(horizon: Version, limit: Int) {
        defer {
            idOrders.merge()
            for column in columnList { column.orders.merge() }
        }
        _ = rows.reclaim(horizon: horizon, limit: limit) { slot in
            for column in columnList { column.clear(slot) }
            for field in vectorFields { field.clear(slot) }
            for field in placeFields { field.clear(slot) }
            for field in hoursFields { field.table.remove(slot) }
            idOrder.clear(slot)
            idOrders.noteCleared(slot)
        }
    }

    // MARK: - Rows

    package func key(_ slot: Slot) -> LogKey { rows.key(slot) }

    /// The document's number in ``heads``.
    package func number(_ slot: Slot) -> UInt32 { rows.number(slot) }

    /// The id's bytes; valid while the lock is held.
    package func id(_ slot: Slot) -> UnsafeRawBufferPointer { heads.id(rows.number(slot)) }

    package func isVisible(_ slot: Slot, at version: Version) -> Bool {
        rows.isVisible(slot, at: version)
    }

    /// The row in which `version` sees a document; nil if it does not.
    package func slot(of number: UInt32, at version: Version) -> Slot? {
        let newest = heads.slot(number)
        if newest != Heads.noSlot, rows.isVisible(newest, at: version) { return newest }
        if heads.key(number).version <= version { return nil }
        return rows.deadSlot(of: number, at: version)
    }

    /// The rows that `version` sees. The bitmap may be shared: do not change it.
    package func visible(at version: Version, scratch: Bitmap) -> Bitmap {
        if rows.isCurrent(at: version) { return rows.live }
        rows.fillVisible(at: version, into: scratch)
        return scratch
    }

    /// Up to `limit` live rows from `slot` on that were born after a version; moves `slot` on.
    ///
    /// Takes the reader lock itself.
    package func liveRows(
        from slot: inout Slot, after version: Version, limit: Int
    ) -> [(slot: Slot, key: LogKey)] {
        lock.lockForReading()
        defer { lock.unlock() }
        var found: [(slot: Slot, key: LogKey)] = []
        while found.count < limit, let next = rows.live.first(from: slot) {
            slot = next + 1
            let key = rows.key(next)
            if key.version > version { found.append((next, key)) }
        }
        return found
    }

    /// Up to `limit` rows from `slot` on that `version` or a later one sees, dead ones among them;
    /// moves `slot` on.
    ///
    /// Takes the reader lock itself.
    package func allRows(
        from slot: inout Slot, since version: Version, limit: Int
    ) -> [(slot: Slot, key: LogKey)] {
        lock.lockForReading()
        defer { lock.unlock() }
        var found: [(slot: Slot, key: LogKey)] = []
        while found.count < limit, Int(slot) < rows.slotBound {
            let key = rows.key(slot)
            if key != .none, rows.isSeen(slot, since: version) { found.append((slot, key)) }
            slot += 1
        }
        return found
    }

    // MARK: - Ids

    /// Shrinks the common prefix to what `id` shares with it, and makes the keys anew if it did.
    private func noteID(_ id: UnsafeRawBufferPointer) {
        guard hasSeenID else {
            hasSeenID = true
            commonIDPrefix = [UInt8](id)
            return
        }
        var shared = 0
        while shared < commonIDPrefix.count, shared < id.count,
            commonIDPrefix[shared] == id[shared]
        {
            shared += 1
        }
        if shared == commonIDPrefix.count { return }
        commonIDPrefix.removeLast(commonIDPrefix.count - shared)
        for slot in 0..<Slot(rows.slotBound) where rows.key(slot) != .none {
            idOrder.set(slot, orderedPrefix(self.id(slot), from: shared))
        }
        idOrders.drop()
        for column in columnList { column.orders.drop() }
    }

    /// Makes the keys of rows in the order of ids comparable between partitions.
    ///
    /// Each partition's keys leave out what its own ids have in common; where that differs, the
    /// keys are made anew from what all have in common.
    package static func alignIDKeys(
        _ candidates: inout [Candidate], _ partitions: [CollectionPartition], descending: Bool
    ) {
        let used = partitions.filter { $0.rows.slotBound > 0 }
        guard let first = used.first,
            used.contains(where: { $0.commonIDPrefix != first.commonIDPrefix })
        else { return }
        var shared = first.commonIDPrefix.count
        for partition in used {
            let limit = min(shared, partition.commonIDPrefix.count)
            shared = 0
            while shared < limit, partition.commonIDPrefix[shared] == first.commonIDPrefix[shared] {
                shared += 1
            }
        }
        for index in candidates.indices {
            let partition = partitions[Int(candidates[index].partition)]
            let key = orderedPrefix(partition.id(candidates[index].slot), from: shared)
            candidates[index].key = descending ? ~key : key
        }
    }

    /// Bytes that all ids of these partitions begin with alike.
    package static func sharedIDPrefixCount(_ partitions: [CollectionPartition]) -> Int {
        let used = partitions.filter { $0.rows.slotBound > 0 }
        guard let first = used.first else { return 0 }
        return used.dropFirst().reduce(first.commonIDPrefix.count) { count, partition in
            var shared = 0
            let limit = min(count, partition.commonIDPrefix.count)
            while shared < limit, partition.commonIDPrefix[shared] == first.commonIDPrefix[shared] {
                shared += 1
            }
            return shared
        }
    }

    /// The eight bytes of an id from `start` on, as a key that orders as they do: ids that begin
    /// alike up to there and have unequal keys are in the keys' order.
    package static func idKey(_ id: UnsafeRawBufferPointer, from start: Int) -> Int64 {
        orderedPrefix(id, from: start)
    }

    /// Where an id that may not be here stands in ``idOrder``. An id outside of the common prefix
    /// comes before or behind all rows.
    func idKey(ofForeign id: UnsafeRawBufferPointer) -> Int64 {
        let shared = min(id.count, commonIDPrefix.count)
        let order = commonIDPrefix.withUnsafeBytes { prefix in
            compareBytes(
                UnsafeRawBufferPointer(rebasing: id[..<shared]),
                UnsafeRawBufferPointer(rebasing: prefix[..<shared]))
        }
        if order != 0 { return order < 0 ? Int64.min : Int64.max }
        return orderedPrefix(id, from: commonIDPrefix.count)
    }

    // MARK: - Unique values

    /// The hash of the row's value of a unique field; nil for none.
    package func uniqueHash(field: FieldNumber, slot: Slot) -> UInt64? {
        guard let column = column(field), column.state(slot) == .present else { return nil }
        switch column.storage {
        case .numeric(let numeric): return UniqueHash.of(key: numeric.key(slot))
        case .keyword(let keyword):
            guard let code = keyword.sortCode(slot, descending: false) else { return nil }
            return UniqueHash.of(bytes: keyword.term(code))
        }
    }

    /// Calls `body` with every live document number and the hash of its value of `field`.
    package func forEachUniqueValue(field: FieldNumber, _ body: (UInt32, UInt64) -> Void) {
        rows.live.forEach { slot in
            if let value = uniqueHash(field: field, slot: slot) { body(rows.number(slot), value) }
        }
    }
}
