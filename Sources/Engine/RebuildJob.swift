import Partition
import Primitives
import Schema
import Synchronization

/// Makes a collection's indexes anew that its snapshot could not give: columns, places and vectors.
/// Meanwhile lookups read the documents, and compare the stored vectors one by one.
struct RebuildJob: Sendable {
    static let kind = "REBUILD"
    let collection: UInt32

    func run(_ context: JobContext) throws -> String {
        let shared = context.engine.shared
        guard let view = shared.catalog.byID[collection] else {
            throw EngineError(.notFound, "", "the collection has been dropped")
        }
        // One does not depend on the other.
        let filling = Result { try makeRowsAnew(context) }
        let fields = view.fieldsToRebuild
        if fields.isEmpty {
            try filling.get()
            return "done"
        }
        try VectorFilling(fields: fields.map(\.number), schema: view.schema).run(view, context)
        let unfit = Guarded<[String]>([])
        try context.onCommitter { [collection] committer in
            guard let view = committer.shared.catalog.byID[collection] else { return }
            for field in fields {
                guard let options = field.vectorOptions else { continue }
                for partition in view.partitions {
                    partition.lock.lockForWriting()
                    defer { partition.lock.unlock() }
                    if partition.unreadyVectors(field.number, built: options) == nil { continue }
                    if !partition.finishRebuild(field.number, built: options) {
                        unfit.withLock { $0.append(field.path) }
                    }
                }
            }
            let isDone = committer.shared.catalog.collections.values.allSatisfy {
                $0.fieldsToRebuild.isEmpty
            }
            if isDone { committer.shared.isRebuilding.store(false, ordering: .releasing) }
        }
        let paths = unfit.withLock { $0 }
        guard paths.isEmpty else {
            throw EngineError(
                .corrupt, paths[0], "stored vectors do not fit the index", hint: "run aisle verify")
        }
        try filling.get()
        return "\(fields.map(\.path).joined(separator: ", ")) done"
    }
}

extension RebuildJob {
    private static let attemptCountMax = 8

    /// Fills columns and indexes of places, and lets lookups use them; begins anew where the schema
    /// or the partitions change meanwhile. An `ALTER` does it first, so that it meets none that are
    /// half there.
    func makeRowsAnew(_ context: JobContext) throws {
        for attempt in 1... {
            guard let view = context.engine.shared.catalog.byID[collection] else { return }
            do {
                return try fillRows(view, context)
            } catch let error as EngineError
                where error.isSchemaChange && attempt < Self.attemptCountMax
            {
                continue
            }
        }
    }

    private func fillRows(_ view: CollectionView, _ context: JobContext) throws {
        // What an `ALTER` fills is its own.
        if view.former != nil { return }
        let columns = view.columnsToRebuild
        let places = view.placesToRebuild
        if columns.isEmpty, places.isEmpty { return }
        try RowFilling(
            columns: columns, bringsPlaces: !places.isEmpty, schema: view.schema,
            schemaGeneration: view.schemaGeneration
        ).run(view, context)
        try context.onCommitter { [generation = view.schemaGeneration, id = view.id] committer in
            guard let view = committer.shared.catalog.byID[id] else { return }
            guard view.schemaGeneration == generation else {
                throw EngineError.schemaChanged(view.name)
            }
            // A lookup that began before the filling must not go on with what was filled.
            committer.swapView(view.changed(schema: view.schema))
        }
        context.awaitEarlierLookups()
        try context.onCommitter { [partitions = view.partitions, id = view.id] committer in
            guard let view = committer.shared.catalog.byID[id],
                view.partitions[0] === partitions[0]
            else { throw EngineError.schemaChanged("") }
            for partition in view.partitions {
                partition.lock.lockForWriting()
                for field in columns { partition.markReady(field) }
                for field in places where partition.placeField(field) == nil {
                    partition.markPlacesReady(field)
                }
                partition.lock.unlock()
            }
        }
    }
}

extension CollectionView {
    /// Fields whose column lookups do without in some partition.
    var columnsToRebuild: [FieldNumber] {
        schema.fields.filter(\.hasEntries).map(\.number)
            .filter { field in isSomewhere { $0.readyColumn(field) == nil } }
    }

    /// Fields whose index of places lookups do without in some partition.
    var placesToRebuild: [FieldNumber] {
        schema.fields.filter(\.hasPlaceIndex).map(\.number)
            .filter { field in isSomewhere { $0.placeField(field) == nil } }
    }

    /// Whether it is so in some partition. Takes their reader locks.
    private func isSomewhere(_ isSo: (CollectionPartition) -> Bool) -> Bool {
        partitions.contains { partition in
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            return isSo(partition)
        }
    }

    /// Fields whose index of vectors is being made anew in some partition.
    var fieldsToRebuild: [Field] { schema.fields.filter { isRebuilding($0) } }

    /// Whether a field's index of vectors is being made anew. Takes the partitions' reader locks.
    func isRebuilding(_ field: Field) -> Bool {
        guard let options = field.vectorOptions, options.indexKind != nil else { return false }
        return isSomewhere { $0.unreadyVectors(field.number, built: options) != nil }
    }
}

extension Engine {
    /// Begins to make the indexes anew that the start has left out.
    func rebuildIndexes() {
        for view in shared.catalog.collections.values.sorted(by: { $0.id < $1.id })
        where view.former == nil {
            let hasVectors = !view.fieldsToRebuild.isEmpty
            guard
                hasVectors || !view.columnsToRebuild.isEmpty || !view.placesToRebuild.isEmpty
            else { continue }
            if hasVectors { shared.isRebuilding.store(true, ordering: .releasing) }
            let id = shared.jobs.add(kind: RebuildJob.kind, collection: view.name)
            let job = RebuildJob(collection: view.id)
            run(Job(id: id) { try job.run($0) })
        }
    }
}
