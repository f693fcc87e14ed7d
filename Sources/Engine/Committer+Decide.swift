import DocumentStore
import Documents
import Partition
import Primitives
import Query
import Schema

/// Deciding one operation in commit order, against the heads and what its group has staged.
extension Committer {
    func decideOnce(
        _ operation: WriteOperation, into stage: inout StagedGroup, version: Version, index: Int,
        now: Int64
    ) -> Decision {
        if let key = operation.idempotencyKey, let first = replies.reply(key, now: now) {
            return .answered(first)
        }
        let mark = stage.mark()
        do {
            let decision = try decide(
                operation, into: &stage, key: LogKey(version: version, index: index), now: now)
            if let key = operation.idempotencyKey { replies.note(key, decision.value) }
            return decision
        } catch {
            // A claim may have been staged for an entry that never came.
            stage.rewind(to: mark)
            return .answered(.failed(error))
        }
    }

    private func decide(
        _ operation: WriteOperation, into stage: inout StagedGroup, key: LogKey, now: Int64
    ) throws(EngineError) -> Decision {
        let view = try currentView(of: operation)
        var operation = operation
        if view.schemaGeneration != operation.collection.schemaGeneration {
            operation = try adapted(operation, to: view, now: now)
        }
        let state = documentState(view, operation, stage)
        switch operation.kind {
        case .echo(let bytes):
            return .answered(.value(bytes))
        case .fetch(let projection, let withMeta):
            return .answered(
                try fetch(operation, state, stage, projection: projection, withMeta: withMeta))
        case .remove:
            guard state.isPresent else { return .answered(.removed(0)) }
            try check(operation.condition, view, operation.id, state, stage)
            try stageRemoval(
                operation.id, hash: operation.idHash, view: view, state: state,
                operation: .remove, into: &stage, key: key, now: now)
            return .staged(.removed(1))
        case .put(let prepared):
            try check(operation.condition, view, operation.id, state, stage)
            let old = try oldDocumentIfNeeded(operation, prepared, state, stage)
            var prepared = prepared
            if prepared.needsCreatedStamp {
                prepared = try restamp(prepared, old: old, schema: view.schema)
            }
            let returned = returnedDocument(operation.returning, old: old, new: prepared.bytes)
            let both = try conformed(prepared, view, held: [])
            try stageDocument(
                both.document, former: both.former, operation, view: view, state: state,
                logOperation: .put,
                into: &stage, key: key, now: now)
            return .staged(
                .written(id: operation.id, version: key.version, returned: returned))
        case .patch(let update, let upsert):
            return try decidePatch(
                operation, update, upsert: upsert, view: view, state: state, into: &stage,
                key: key, now: now)
        }
    }

    private func decidePatch(
        _ operation: WriteOperation, _ update: Update, upsert: Bool, view: CollectionView,
        state: DocumentState, into stage: inout StagedGroup, key: LogKey, now: Int64
    ) throws(EngineError) -> Decision {
        guard state.isPresent || upsert else {
            throw EngineError(
                .notFound, String(decoding: operation.id, as: UTF8.self),
                "no document with this id", hint: "PUT it first or patch with UPSERT")
        }
        try check(operation.condition, view, operation.id, state, stage)
        let old = state.isPresent ? try documentBytes(state, stage) : nil
        let tree: JSON
        do {
            tree = try old.map { try JSON(parsing: $0) } ?? .object(JSONObject())
        } catch {
            throw EngineError(.corrupt, "", "the stored document cannot be read")
        }
        let patched: JSON
        do {
            patched = try update.apply(to: tree, now: now) {
                (condition, element) throws(UpdateError) in
                pulls.matches(condition, element)
            }
        } catch {
            throw EngineError(error)
        }
        let kept = try keptVectors(state, stage, update, view.writeSchema)
        let held = kept.map(\.field)
        let brought = operation.patchVectors
        var prepared = try prepare(
            patched, schema: view.writeSchema, now: now,
            heldVectors: held + brought.map(\.field))
        if !brought.isEmpty {
            prepared.vectors.removeAll { own in brought.contains { $0.field == own.field } }
            prepared.vectors += brought
            prepared.vectors.sort { $0.field < $1.field }
        }
        if prepared.needsCreatedStamp {
            prepared = try restamp(prepared, old: old, schema: view.schema)
        }
        let returned = returnedDocument(operation.returning, old: old, new: prepared.bytes)
        let both = try conformed(prepared, view, held: held)
        try stageDocument(
            both.document, former: both.former, operation, view: view, state: state,
            logOperation: .patch, into: &stage, key: key, now: now, kept: kept)
        return .staged(.written(id: operation.id, version: key.version, returned: returned))
    }

    // MARK: - What is there

    private func currentView(of operation: WriteOperation) throws(EngineError) -> CollectionView {
        guard let view = shared.catalog.byID[operation.collection.id] else {
            let name = operation.collection.name
            if shared.catalog.collections[name] != nil {
                throw EngineError(
                    .readOnly, name,
                    "a restore put it back, or it was made anew, while the write waited",
                    hint: "send it again")
            }
            throw EngineError(.notFound, name, "the collection has been dropped")
        }
        return view
    }

    /// The operation as it would have been prepared under the schema that came while it waited.
    ///
    /// - Throws: `INVALID` for what the new schema refuses; `BUSY` if it brings a vector that the
    ///   field, as it is by now, has to read anew.
    private func adapted(
        _ operation: WriteOperation, to view: CollectionView, now: Int64
    ) throws(EngineError) -> WriteOperation {
        let new = view.writeSchema
        var adapted = operation
        adapted.collection = view
        var vectors = operation.patchVectors
        if case .put(let prepared) = operation.kind { vectors = prepared.vectors }
        let areKept = vectors.allSatisfy { vector in
            guard let field = new.field(numbered: vector.field) else { return false }
            return (try? DocumentPreparer.check(vector: vector.values, for: field)) != nil
        }
        guard areKept else {
            throw EngineError(
                .busy, view.name, "the schema changed while the write waited",
                hint: "send it again")
        }
        do {
            if case .matches(let filter) = operation.condition {
                adapted.condition = .matches(try filter.rebound(to: view.schema))
            }
        } catch {
            throw EngineError(error)
        }
        if case .put(let prepared) = operation.kind {
            do {
                var again = try preparer.prepare(
                    prepared.bytes, schema: new, parser: parser, nowMilliseconds: now,
                    heldVectors: vectors.map(\.field))
                again.vectors.removeAll { own in vectors.contains { $0.field == own.field } }
                again.vectors += vectors
                adapted.kind = .put(again)
            } catch {
                throw EngineError(error)
            }
        }
        return adapted
    }

    func documentState(
        _ view: CollectionView, _ operation: WriteOperation, _ stage: StagedGroup
    ) -> DocumentState {
        if let index = stage.newestIndex(view, hash: operation.idHash, id: operation.id) {
            let entry = stage.entries[index]
            return DocumentState(key: entry.key, isPresent: !entry.isTombstone, staged: index)
        }
        let heads = view.partition(hash: operation.idHash).heads
        guard
            let number = operation.id.withUnsafeBytes({
                heads.number(hash: operation.idHash, id: $0)
            })
        else { return .unknown }
        return DocumentState(
            key: heads.key(number), isPresent: heads.slot(number) != Heads.noSlot, staged: nil)
    }

    /// The newest document's bytes. REQUIRES: it is present.
    func documentBytes(_ state: DocumentState, _ stage: StagedGroup) throws(EngineError) -> [UInt8]
    {
        if let staged = state.staged, let prepared = stage.entries[staged].prepared {
            return prepared.bytes
        }
        return try withEntry(state.key) { [UInt8]($0.document) }
    }

    /// Runs `body` on the entry, wherever it is: in the log or not yet written to it.
    func withEntry<T>(_ key: LogKey, _ body: (EntryView) -> T) throws(EngineError) -> T {
        try withStoredEntry(key) { filler.with($0, shared.catalog, body) }
    }

    /// The same without the defaults that reads fill in.
    func withStoredEntry<T>(_ key: LogKey, _ body: (EntryView) -> T) throws(EngineError) -> T {
        do {
            if let view = try reader.get(key) { return body(EntryView(view)) }
        } catch {
            throw shared.report(error)
        }
        if let entry = tail?.entry(key) { return entry.withView(body) }
        throw EngineError(.corrupt, "", "a log entry is missing", hint: "run aisle verify")
    }

    private func fetch(
        _ operation: WriteOperation, _ state: DocumentState, _ stage: StagedGroup,
        projection: Projection?, withMeta: Bool
    ) throws(EngineError) -> WriteResult {
        guard state.isPresent else { return .document(nil) }
        var bytes = try documentBytes(state, stage)
        if let projection {
            bytes = try project(bytes, projection)
            try appendVectors(to: &bytes, projection, operation, state, stage)
        }
        guard withMeta else { return .document(bytes) }
        return .documentWithMeta(
            id: operation.id, version: state.key.version, document: bytes,
            expiry: try expiry(state, stage))
    }

    private func project(_ bytes: [UInt8], _ projection: Projection) throws(EngineError) -> [UInt8]
    {
        do {
            let root = try parser.parse(bytes, depthMax: options.limits.documentDepthMax)
            var output: [UInt8] = []
            projection.apply(to: root, into: &output)
            return output
        } catch {
            throw EngineError(.corrupt, "", "the stored document cannot be read")
        }
    }

    /// Adds the vectors that a projection names.
    private func appendVectors(
        to bytes: inout [UInt8], _ projection: Projection, _ operation: WriteOperation,
        _ state: DocumentState, _ stage: StagedGroup
    ) throws(EngineError) {
        let view = try currentView(of: operation)
        guard view.schema.namesVectors(projection) else { return }
        var named: [NamedVector] = []
        for reference in try vectors(state, stage) {
            guard let field = view.schema.field(numbered: reference.field),
                projection.names(field.path)
            else { continue }
            named.append(
                NamedVector(
                    path: field.path, values: try storedVector(reference, state, stage)))
        }
        try NamedVector.append(named, to: &bytes)
    }

    func expiry(_ state: DocumentState, _ stage: StagedGroup) throws(EngineError) -> Int64 {
        if let staged = state.staged { return stage.entries[staged].header.expiryMilliseconds }
        return try withEntry(state.key) { $0.header.expiryMilliseconds }
    }

    private func oldDocumentIfNeeded(
        _ operation: WriteOperation, _ prepared: PreparedDocument, _ state: DocumentState,
        _ stage: StagedGroup
    ) throws(EngineError) -> [UInt8]? {
        guard state.isPresent, operation.returning == .old || prepared.needsCreatedStamp else {
            return nil
        }
        return try documentBytes(state, stage)
    }

    private func returnedDocument(_ mode: ReturnMode, old: [UInt8]?, new: [UInt8]) -> [UInt8]?? {
        switch mode {
        case .none: .none
        case .old: .some(old)
        case .new: .some(new)
        }
    }

    // MARK: - Conditions

    private func check(
        _ condition: WriteCondition, _ view: CollectionView, _ id: [UInt8], _ state: DocumentState,
        _ stage: StagedGroup
    ) throws(EngineError) {
        let name = String(decoding: id, as: UTF8.self)
        switch condition {
        case .always:
            return
        case .absent:
            if state.isPresent {
                throw EngineError(.conflict, name, "the document is there already")
            }
        case .present:
            if !state.isPresent { throw EngineError(.conflict, name, "there is no such document") }
        case .version(let version):
            guard state.isPresent else {
                throw EngineError(.conflict, name, "there is no such document")
            }
            if state.key.version != version {
                throw EngineError(
                    .conflict, name,
                    "the version is \(state.key.version.rawValue), not \(version.rawValue)",
                    hint: "read the document again and retry")
            }
        case .matches(let filter):
            guard state.isPresent else {
                throw EngineError(.conflict, name, "there is no such document")
            }
            let bytes = try documentBytes(state, stage)
            let matches: Bool
            do {
                let root = try parser.parse(bytes, depthMax: options.limits.documentDepthMax)
                matches = id.withUnsafeBytes { filter.matches(root, id: $0) }
            } catch {
                throw EngineError(.corrupt, "", "the stored document cannot be read")
            }
            if !matches {
                throw EngineError(
                    .conflict, name, "the document does not match the condition",
                    hint: "read the document again and retry")
            }
        }
    }

    // MARK: - Preparing on this thread

    /// A prepared document as the indexes take it while an `ALTER` is under way: the bytes are
    /// those of the schema in force, the entries those of the one that is being built.
    ///
    /// - Returns: that, and the document by the schema in force; or it alone, as it is, where no
    ///   change is under way.
    /// - Throws: `INVALID` where it breaks a rule of the schema that is being built.
    private func conformed(
        _ prepared: PreparedDocument, _ view: CollectionView, held: [FieldNumber]
    ) throws(EngineError) -> (document: PreparedDocument, former: PreparedDocument?) {
        guard view.former != nil else { return (prepared, nil) }
        do {
            _ = try preparer.prepare(
                prepared.bytes, schema: view.schema, parser: parser, nowMilliseconds: 0,
                depthMax: options.limits.documentDepthMax + 1,
                heldVectors: prepared.vectors.map(\.field) + held)
            for vector in prepared.vectors {
                guard let before = view.writeSchema.field(numbered: vector.field),
                    let after = view.schema.field(at: before.path)
                else { continue }
                try DocumentPreparer.check(vector: vector.values, for: after)
            }
        } catch {
            let error = EngineError(error)
            throw EngineError(
                error.code, error.path, error.text, hint: "an ALTER that is under way asks for it")
        }
        let document: PreparedDocument? = prepared.bytes.withUnsafeBytes { bytes in
            guard
                let root = try? parser.parse(
                    bytes, depthMax: options.limits.documentDepthMax + 1)
            else { return nil }
            return preparer.extract(from: root, minified: parser.minified, schema: view.schema)
        }
        guard var document else {
            throw EngineError(.corrupt, "", "the prepared document cannot be read")
        }
        // Where a default was filled in, its strings and those of the text were copied aside.
        if document.bytes.count != prepared.bytes.count { document.bytes = prepared.bytes }
        document.vectorsInText = document.vectors.filter { found in
            !prepared.vectors.contains { $0.field == found.field }
        }
        document.vectors = prepared.vectors
        return (document, prepared)
    }

    private func prepare(
        _ tree: JSON, schema: Schema, now: Int64, heldVectors: [FieldNumber]
    ) throws(EngineError) -> PreparedDocument {
        var bytes: [UInt8] = []
        tree.serialize(into: &bytes)
        if bytes.count > options.limits.documentByteCountMax {
            throw EngineError(
                .limit, "document",
                "\(bytes.count) bytes; at most \(options.limits.documentByteCountMax)")
        }
        do {
            return try preparer.prepare(
                bytes, schema: schema, parser: parser, nowMilliseconds: now,
                heldVectors: heldVectors)
        } catch {
            throw EngineError(error)
        }
    }

    /// Gives a document the `created` stamps of the one that it replaces.
    private func restamp(
        _ prepared: PreparedDocument, old: [UInt8]?, schema: Schema
    ) throws(EngineError) -> PreparedDocument {
        guard let old else { return prepared }
        var stamped = prepared
        do {
            let root = try parser.parse(old, depthMax: options.limits.documentDepthMax)
            for number in prepared.createdStampFields {
                guard let field = schema.field(numbered: number),
                    let milliseconds = DateTime.milliseconds(at: field.path, in: root)
                else { continue }
                stamped.setCreated(number, milliseconds: milliseconds)
            }
        } catch {
            throw EngineError(.corrupt, "", "the stored document cannot be read")
        }
        return stamped
    }
}

extension DateTime {
    /// The moment at a dotted path of plain objects, if there is one.
    static func milliseconds(at path: String, in root: TapeValue) -> Int64? {
        var value = root
        for step in path.split(separator: ".") {
            guard let next = value.member(String(step)) else { return nil }
            value = next
        }
        return try? DateTime.parse(value)
    }
}
