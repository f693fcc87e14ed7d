import DocumentStore
import Documents
import Partition
import Primitives
import Schema

/// Staging entries: unique keys are claimed, the entry that will be superseded is measured.
extension Committer {
    func stageRemoval(
        _ id: [UInt8], hash: UInt64, view: CollectionView, state: DocumentState,
        operation: LogOperation, into stage: inout StagedGroup, key: LogKey, now: Int64
    ) throws(EngineError) {
        let released = try releaseUniques(view, id: id, hash: hash, state: state, stage: &stage)
        stage.append(
            StagedEntry(
                view: view, partition: view.partitionIndex(hash: hash), hash: hash, id: id,
                key: key,
                header: LogEntryHeader(
                    operation: operation, collection: view.id, previous: state.key,
                    timestampMilliseconds: now),
                prepared: nil, vectors: [],
                supersededByteCount: try supersededByteCount(state, stage), released: released,
                earlier: -1))
    }

    /// Stages a document's new version.
    ///
    /// - Parameter former: the same document by the schema that an `ALTER` is about to replace.
    func stageDocument(
        _ prepared: PreparedDocument, former: PreparedDocument?, _ operation: WriteOperation,
        view: CollectionView,
        state: DocumentState, logOperation: LogOperation, into stage: inout StagedGroup,
        key: LogKey, now: Int64, kept: [VectorReference] = []
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
        var uniques: (claimed: [UniqueKey], released: [UniqueKey]) = ([], [])
        if view.hasUniques {
            uniques = try claimUniques(
                prepared, former: former, operation, view, state: state, stage: &stage)
        }
        var prepared = prepared
        // The log takes them so; the text has them in any order.
        prepared.vectors.sort { $0.field < $1.field }
        var unchanged: [VectorReference] = []
        if logOperation == .put {
            unchanged = try unchangedVectors(prepared, state, stage)
            prepared.vectors.removeAll { new in unchanged.contains { $0.field == new.field } }
        }
        try checkTail(view, partition, bringing: prepared.vectors)
        var vectors = prepared.vectors.map {
            VectorReference(field: $0.field, dimensions: UInt16($0.values.count), key: key)
        }
        vectors += kept.filter { old in !prepared.vectors.contains { $0.field == old.field } }
        vectors += unchanged
        stage.append(
            StagedEntry(
                view: view, partition: partition, hash: operation.idHash, id: operation.id,
                key: key,
                header: LogEntryHeader(
                    operation: logOperation, collection: view.id, previous: state.key,
                    timestampMilliseconds: now, expiryMilliseconds: expiry),
                prepared: prepared, vectors: vectors,
                arrivals: try arrivals(
                    vectors, prepared, view, partition: partition, key: key, state, stage),
                places: PlaceArrival.all(of: prepared) { field in
                    // The zones that it has stay as they are, cut into cells.
                    operation.id.withUnsafeBytes {
                        view.partitions[partition].zones(
                            of: $0, hash: operation.idHash, field)
                    }
                },
                supersededByteCount: try supersededByteCount(state, stage),
                uniques: uniques.claimed, released: uniques.released, earlier: -1))
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

    /// The vectors that a patch leaves alone: referred to, not copied.
    ///
    /// - Throws: `INVALID` for an operator that would look at a vector: it is not in the document.
    func keptVectors(
        _ state: DocumentState, _ stage: StagedGroup, _ update: Update, _ schema: Schema
    ) throws(EngineError) -> [VectorReference] {
        guard schema.hasVectorFields else { return [] }
        for field in schema.fields where field.vectorOptions != nil {
            guard let path = update.pathThatReads(field.path) else { continue }
            throw EngineError(
                .invalid, path, "a vector is written whole, with $set or $unset")
        }
        guard state.isPresent else { return [] }
        return try vectors(state, stage).filter { reference in
            schema.field(numbered: reference.field).map { !update.touches($0.path) } ?? false
        }
    }

    func vectors(
        _ state: DocumentState, _ stage: StagedGroup
    ) throws(EngineError) -> [VectorReference] {
        if let staged = state.staged { return stage.entries[staged].vectors }
        return try withEntry(state.key) { $0.vectors }
    }
}

extension StagedEntry {
    /// About the bytes of the entry in the log, its vectors included.
    var byteCount: Int {
        44 + id.count + (prepared?.bytes.count ?? 0) + vectors.count * 12
            + vectors.reduce(0) { $0 + ($1.key == key ? Int($1.dimensions) * 4 : 0) }
    }
}
