import DocumentStore
import Partition
import Primitives
import Schema

/// Staging entries: unique keys are claimed, the entry that will be superseded is measured.
extension Committer {
    func stageRemoval(
        _ id: [UInt8], hash: UInt64, view: CollectionView, state: DocumentState,
        operation: LogOperation, into stage: inout StagedGroup, key: LogKey, now: Int64
    ) throws(EngineError) {
        releaseUniques(view, id: id, hash: hash, state: state, stage: &stage)
        stage.append(
            StagedEntry(
                view: view, partition: view.partitionIndex(hash: hash), hash: hash, id: id,
                key: key,
                header: LogEntryHeader(
                    operation: operation, collection: view.id, previous: state.key,
                    timestampMilliseconds: now),
                prepared: nil, vectors: [],
                supersededByteCount: try supersededByteCount(state, stage), earlier: -1))
    }

    func stageDocument(
        _ prepared: PreparedDocument, _ operation: WriteOperation, view: CollectionView,
        state: DocumentState, logOperation: LogOperation, into stage: inout StagedGroup,
        key: LogKey, now: Int64, droppedPaths: [String] = []
    ) throws(EngineError) {
        if !state.isPresent { try checkMemory() }
        var expiry: Int64 = 0
        switch operation.expiry {
        case .at(let milliseconds): expiry = milliseconds
        case .clear: expiry = 0
        case .unchanged:
            if logOperation == .patch, state.isPresent { expiry = try self.expiry(state, stage) }
        }
        let partition = view.partitionIndex(hash: operation.idHash)
        if !view.uniqueFields.isEmpty {
            try claimUniques(prepared, operation, view, state: state, stage: &stage)
        }
        var vectors = prepared.vectors.map {
            VectorReference(field: $0.field, dimensions: UInt16($0.values.count), key: key)
        }
        if logOperation == .patch, state.isPresent, view.schema.hasVectorFields {
            vectors += try keptVectors(
                state, stage, replaced: vectors, droppedPaths: droppedPaths, schema: view.schema)
        }
        stage.append(
            StagedEntry(
                view: view, partition: partition, hash: operation.idHash, id: operation.id,
                key: key,
                header: LogEntryHeader(
                    operation: logOperation, collection: view.id, previous: state.key,
                    timestampMilliseconds: now, expiryMilliseconds: expiry),
                prepared: prepared, vectors: vectors,
                supersededByteCount: try supersededByteCount(state, stage), earlier: -1))
    }

    private func checkMemory() throws(EngineError) {
        if shared.isOverMemory {
            throw EngineError(
                .busy, "max-memory", "the memory limit is reached",
                hint: "remove documents or indexes, or raise the limit")
        }
    }

    private func supersededByteCount(
        _ state: DocumentState, _ stage: StagedGroup
    ) throws(EngineError) -> Int {
        guard state.isPresent else { return 0 }
        if let staged = state.staged { return stage.entries[staged].byteCount }
        return try withEntry(state.key) { $0.storedByteCount }
    }

    /// The vectors that a patch left alone: referred to, not copied.
    private func keptVectors(
        _ state: DocumentState, _ stage: StagedGroup, replaced: [VectorReference],
        droppedPaths: [String], schema: Schema
    ) throws(EngineError) -> [VectorReference] {
        let old = try vectors(state, stage)
        return old.filter { reference in
            if replaced.contains(where: { $0.field == reference.field }) { return false }
            guard let field = schema.field(numbered: reference.field) else { return false }
            return !droppedPaths.contains(field.path)
        }
    }

    private func vectors(
        _ state: DocumentState, _ stage: StagedGroup
    ) throws(EngineError) -> [VectorReference] {
        if let staged = state.staged { return stage.entries[staged].vectors }
        return try withEntry(state.key) { $0.vectors }
    }

    /// The vector fields that the newest version has a vector for.
    func heldVectors(
        _ state: DocumentState, _ stage: StagedGroup
    ) throws(EngineError) -> [FieldNumber] {
        try vectors(state, stage).map(\.field)
    }

    // MARK: - Unique keys

    func uniqueKey(_ field: FieldNumber, _ view: CollectionView, _ value: UInt64) -> UInt64 {
        Hash64.hash(value, seed: UInt64(view.id) << 16 | UInt64(field))
    }

    /// The keys of a prepared document's unique values.
    func uniqueKeys(_ prepared: PreparedDocument, _ view: CollectionView)
        -> [(field: FieldNumber, key: UInt64, entry: FieldEntry)]
    {
        var keys: [(field: FieldNumber, key: UInt64, entry: FieldEntry)] = []
        for entry in prepared.entries where view.uniqueFields.contains(entry.field) {
            guard let value = prepared.uniqueHash(of: entry) else { continue }
            keys.append((entry.field, uniqueKey(entry.field, view, value), entry))
        }
        return keys
    }

    private func claimUniques(
        _ prepared: PreparedDocument, _ operation: WriteOperation, _ view: CollectionView,
        state: DocumentState, stage: inout StagedGroup
    ) throws(EngineError) {
        let keys = uniqueKeys(prepared, view)
        for (field, key, entry) in keys {
            if let holder = holder(of: key, field: field, view, stage), holder != operation.id {
                throw EngineError(
                    .duplicate, view.schema.field(numbered: field)?.path ?? "",
                    "\(prepared.text(of: entry)) is held by "
                        + String(decoding: holder, as: UTF8.self))
            }
        }
        releaseUniques(view, id: operation.id, hash: operation.idHash, state: state, stage: &stage)
        for (_, key, _) in keys { stage.setClaim(key, .held(by: stage.entries.count)) }
    }

    /// The id that holds a unique value now, in this group or before it.
    private func holder(
        of key: UInt64, field: FieldNumber, _ view: CollectionView, _ stage: StagedGroup
    ) -> [UInt8]? {
        switch stage.claim(key) {
        case .held(let index): return stage.entries[index].id
        case .released: return nil
        case nil: break
        }
        guard let holder = uniques[view.id]?[field]?.holder(of: key) else { return nil }
        return [UInt8](view.partitions[holder.partition].heads.id(holder.number))
    }

    /// Gives back the values that the document's newest version holds.
    private func releaseUniques(
        _ view: CollectionView, id: [UInt8], hash: UInt64, state: DocumentState,
        stage: inout StagedGroup
    ) {
        guard state.isPresent, !view.uniqueFields.isEmpty else { return }
        if let staged = state.staged, let prepared = stage.entries[staged].prepared {
            for (_, key, _) in uniqueKeys(prepared, view) { stage.setClaim(key, .released) }
            return
        }
        for (_, key) in heldKeys(view, id: id, hash: hash) { stage.setClaim(key, .released) }
    }

    /// The unique keys that the applied newest version of a document holds, read from its columns.
    func heldKeys(_ view: CollectionView, id: [UInt8], hash: UInt64) -> [(FieldNumber, UInt64)] {
        let partition = view.partition(hash: hash)
        guard
            let number = id.withUnsafeBytes({ partition.heads.number(hash: hash, id: $0) }),
            partition.heads.slot(number) != Heads.noSlot
        else { return [] }
        let slot = partition.heads.slot(number)
        return view.uniqueFields.compactMap { field in
            guard let value = partition.uniqueHash(field: field, slot: slot) else { return nil }
            return (field, uniqueKey(field, view, value))
        }
    }
}

extension StagedEntry {
    /// About the bytes of the entry in the log, its vectors included.
    var byteCount: Int {
        44 + id.count + (prepared?.bytes.count ?? 0) + vectors.count * 12
            + vectors.reduce(0) { $0 + ($1.key == key ? Int($1.dimensions) * 4 : 0) }
    }
}
