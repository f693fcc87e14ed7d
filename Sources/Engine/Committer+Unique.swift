import DocumentStore
import Documents
import Partition
import Primitives
import Schema

/// Unique values while a group is staged: claimed by the documents that are to hold them, given
/// back by those that held them.
extension Committer {
    /// Claims the unique values of a document that is about to be staged.
    ///
    /// - Parameter former: the same document by the schema that an `ALTER` is about to replace.
    /// - Returns: what it will hold, and what its newest applied version holds.
    /// - Throws: `DUPLICATE` where another document holds one.
    func claimUniques(
        _ prepared: PreparedDocument, former: PreparedDocument?, _ operation: WriteOperation,
        _ view: CollectionView, state: DocumentState, stage: inout StagedGroup
    ) throws(EngineError) -> (claimed: [UniqueKey], released: [UniqueKey]) {
        var claimed: [UniqueKey] = []
        for entry in prepared.entries where view.trackedUniques.contains(entry.field) {
            guard let value = prepared.uniqueHash(of: entry) else { continue }
            let unique = view.uniqueKey(entry.field, value)
            if view.uniqueFields.contains(entry.field) {
                try requireFree(unique, entry, of: prepared, view.schema, operation, view, stage)
            }
            claimed.append(unique)
        }
        if let former, let schema = view.former {
            for entry in former.entries where view.formerUniques.contains(entry.field) {
                guard let value = former.uniqueHash(of: entry) else { continue }
                let unique = view.uniqueKey(entry.field, value)
                try requireFree(unique, entry, of: former, schema, operation, view, stage)
                claimed.append(unique)
            }
        }
        let released = try releaseUniques(
            view, id: operation.id, hash: operation.idHash, state: state, stage: &stage)
        for unique in claimed { stage.setClaim(unique.key, .held(by: stage.entries.count)) }
        return (claimed, released)
    }

    private func requireFree(
        _ unique: UniqueKey, _ entry: FieldEntry, of document: PreparedDocument, _ schema: Schema,
        _ operation: WriteOperation, _ view: CollectionView, _ stage: StagedGroup
    ) throws(EngineError) {
        guard let holder = holder(of: unique, view, stage), holder != operation.id else { return }
        throw EngineError(
            .duplicate, schema.field(numbered: unique.field)?.path ?? "",
            "\(document.text(of: entry)) is held by " + String(decoding: holder, as: UTF8.self))
    }

    /// The id that holds a unique value now, in this group or before it.
    private func holder(
        of unique: UniqueKey, _ view: CollectionView, _ stage: StagedGroup
    ) -> [UInt8]? {
        switch stage.claim(unique.key) {
        case .held(let index): return stage.entries[index].id
        case .released: return nil
        case nil: break
        }
        guard let holder = uniques[view.id]?[unique.field]?.holder(of: unique.key) else {
            return nil
        }
        return [UInt8](view.partitions[holder.partition].heads.id(holder.number))
    }

    /// Gives back the values that the document's newest version holds.
    ///
    /// - Returns: those that are in the tables; none if that version is staged in this group.
    func releaseUniques(
        _ view: CollectionView, id: [UInt8], hash: UInt64, state: DocumentState,
        stage: inout StagedGroup
    ) throws(EngineError) -> [UniqueKey] {
        guard state.isPresent, view.hasUniques else { return [] }
        if let staged = state.staged {
            for unique in stage.entries[staged].uniques { stage.setClaim(unique.key, .released) }
            return []
        }
        let held = try heldKeys(view, id: id, hash: hash)
        for unique in held { stage.setClaim(unique.key, .released) }
        return held
    }

    /// The unique values that the applied newest version of a document holds: from its columns, or
    /// from the document where an `ALTER` has not filled them yet.
    private func heldKeys(
        _ view: CollectionView, id: [UInt8], hash: UInt64
    ) throws(EngineError) -> [UniqueKey] {
        let partition = view.partition(hash: hash)
        guard
            let number = id.withUnsafeBytes({ partition.heads.number(hash: hash, id: $0) }),
            partition.heads.slot(number) != Heads.noSlot
        else { return [] }
        let slot = partition.heads.slot(number)
        var keys: [UniqueKey] = []
        var isComplete = view.formerUniques.isEmpty
        for field in view.trackedUniques {
            guard partition.readyColumn(field) != nil else {
                isComplete = false
                continue
            }
            guard let value = partition.uniqueHash(field: field, slot: slot) else { continue }
            keys.append(view.uniqueKey(field, value))
        }
        if isComplete { return keys }
        let missing = view.trackedUniques.filter { partition.readyColumn($0) == nil }
        let key = partition.heads.key(number)
        keys += try storedKeys(key, view, by: view.schema, missing)
        if let former = view.former {
            keys += try storedKeys(key, view, by: former, view.formerUniques)
        }
        return keys
    }

    /// The values of `fields` in a stored document, as `schema` reads it.
    private func storedKeys(
        _ key: LogKey, _ view: CollectionView, by schema: Schema, _ fields: [FieldNumber]
    ) throws(EngineError) -> [UniqueKey] {
        if fields.isEmpty { return [] }
        let keys: [UniqueKey]? = try withStoredEntry(key) { entry in
            guard
                let root = try? parser.parse(
                    entry.document, depthMax: options.limits.documentDepthMax + 1)
            else { return nil }
            let document = preparer.extract(
                from: root, minified: parser.minified, schema: schema)
            return document.entries.compactMap { entry in
                guard fields.contains(entry.field), let value = document.uniqueHash(of: entry)
                else { return nil }
                return view.uniqueKey(entry.field, value)
            }
        }
        guard let keys else {
            throw EngineError(.corrupt, "", "the stored document cannot be read")
        }
        return keys
    }

    // MARK: - Whole tables

    /// Fills a collection's unique tables from its live rows.
    ///
    /// - Complexity: O(documents × unique fields).
    func rebuildUniques(_ view: CollectionView) {
        uniques[view.id] = Self.uniqueTables(of: view)
    }

    /// A collection's unique tables, of its live rows. REQUIRES: nobody changes them meanwhile.
    ///
    /// - Complexity: O(documents × unique fields).
    static func uniqueTables(of view: CollectionView) -> [FieldNumber: UniqueTable] {
        var tables: [FieldNumber: UniqueTable] = [:]
        for field in view.trackedUniques {
            var table = UniqueTable()
            for (index, partition) in view.partitions.enumerated() {
                partition.forEachUniqueValue(field: field) { number, value in
                    table.add(
                        view.uniqueKey(field, value).key,
                        UniqueTable.Holder(partition: index, number: number))
                }
            }
            tables[field] = table
        }
        return tables
    }

    /// Adds rows of a unique field that is being built. Rows that were replaced since they were
    /// read are passed over: their successors are in the table already.
    func addUniques(_ rows: [UniqueRow], _ view: CollectionView, partition index: Int) {
        let heads = view.partitions[index].heads
        for row in rows where row.number < heads.numberBound && heads.key(row.number) == row.key {
            uniques[view.id]?[row.field]?.add(
                view.uniqueKey(row.field, row.value).key,
                UniqueTable.Holder(partition: index, number: row.number))
        }
    }

    /// What to answer if two documents hold one value of a field that is to be unique.
    func duplicateError(_ view: CollectionView, field: FieldNumber) -> EngineError? {
        let pairs = uniques[view.id]?[field]?.duplicates(limit: 10) ?? []
        guard !pairs.isEmpty else { return nil }
        func id(_ holder: UniqueTable.Holder) -> String {
            String(
                decoding: view.partitions[holder.partition].heads.id(holder.number), as: UTF8.self)
        }
        return EngineError(
            .duplicate, view.schema.field(numbered: field)?.path ?? "",
            "documents share a value: "
                + pairs.map { "\(id($0.first)) and \(id($0.second))" }.sorted()
                .joined(separator: ", "), hint: "mend them first; nothing was changed")
    }
}

/// One value of a unique field as an `ALTER` reads it from a row.
struct UniqueRow: Sendable {
    var field: FieldNumber
    var number: UInt32
    var key: LogKey
    var value: UInt64
}
