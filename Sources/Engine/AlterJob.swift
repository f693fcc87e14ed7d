import DocumentStore
package import Documents
import Partition
package import Primitives
package import Schema
import Synchronization

/// Carries out an `ALTER` online: checks stored documents against new rules, makes new columns and
/// tables of unique values, fills them in slices, and only then lets the new schema take hold, and
/// then the columns.
///
/// ```
/// check ──> swap the view: new columns are kept up to date, but not used
///       ──> fill old rows in slices ──> gather unique values in slices ──> the schema is in force
///       ──> once earlier lookups have ended: columns, places and hours are used
/// ```
/// Until then the old schema is in force: writes take their form from it (defaults, stamps,
/// undeclared members), its rules and unique keys hold, and the coming rules hold as well. So
/// whenever the change fails or is cancelled, every document still obeys the old schema, and
/// nothing has to be undone but the indexes.
package struct AlterJob: Sendable {
    let name: String
    let change: JSON

    package init(collection: String, change: JSON) {
        name = collection
        self.change = change
    }

    /// Checks the change's own form against the schema as it is.
    package func plan(for view: CollectionView, limits: Limits) throws(EngineError)
        -> SchemaChange.Result
    {
        do {
            return try SchemaChange(parsing: change).applied(to: view.schema, limits: limits)
        } catch {
            throw EngineError(error)
        }
    }

    package func run(_ context: JobContext) throws -> String {
        let engine = context.engine
        guard let view = engine.shared.catalog.collections[name] else {
            throw EngineError(.notFound, name, "the collection has been dropped")
        }
        do {
            try RebuildJob(collection: view.id).makeRowsAnew(context)
            let view = try self.view(view.id, context)
            let plan = try plan(for: view, limits: engine.shared.options.limits)
            return try carryOut(plan, view, context)
        } catch let error as EngineError {
            // A server that stops comes back with what is on disk, and goes on from there.
            if error.code != .cancelled || !context.isStopping {
                try? context.onCommitter { committer in
                    guard let view = committer.shared.catalog.byID[view.id] else { return }
                    try committer.notePending(view, nil)
                }
            }
            throw error
        }
    }

    private func carryOut(
        _ plan: SchemaChange.Result, _ view: CollectionView, _ context: JobContext
    ) throws -> String {
        var checkedUpTo = Version.zero
        if plan.needsValidation {
            checkedUpTo = try check(view.id, plan, after: .zero, context)
            for _ in 0..<5 where checkedUpTo < context.engine.publishedVersion {
                checkedUpTo = try check(view.id, plan, after: checkedUpTo, context)
            }
        }
        try swap(plan, view.id, checkedUpTo, context)
        do {
            try RowFilling(columns: plan.columnsToBuild, bringsPlaces: false, schema: plan.schema)
                .run(try self.view(view.id, context), context)
            if !plan.vectorsToBuild.isEmpty {
                try VectorFilling(fields: plan.vectorsToBuild, schema: plan.schema)
                    .run(try self.view(view.id, context), context)
            }
            let hasPlaces = !plan.placesToBuild.isEmpty || !plan.hoursToBuild.isEmpty
            try RowFilling(columns: [], bringsPlaces: hasPlaces, schema: plan.schema)
                .run(try self.view(view.id, context), context)
            try gatherUniques(plan.uniqueToBuild, view.id, context)
            try enforce(plan, view.id, context)
        } catch {
            try? revert(plan, view, context)
            throw error
        }
        // There is no way back from here, and nothing that fails: a server that stops makes at its
        // next start what is missing.
        context.awaitEarlierLookups()
        try? context.onCommitter { Self.finish(plan, view.id, $0) }
        return "done"
    }

    private func view(_ id: UInt32, _ context: JobContext) throws(EngineError) -> CollectionView {
        guard let view = context.engine.shared.catalog.byID[id] else {
            throw EngineError(.notFound, name, "the collection has been dropped")
        }
        return view
    }

    // MARK: - Checks

    /// Checks the documents that changed after `after` against the new schema.
    ///
    /// - Returns: the version up to which all documents are checked.
    /// - Throws: `INVALID` with up to ten offenders.
    private func check(
        _ id: UInt32, _ plan: SchemaChange.Result, after: Version, _ context: JobContext
    ) throws -> Version {
        let view = try view(id, context)
        let version = context.read.pins.acquire()
        var pinned = version
        defer { context.read.pins.release(pinned) }
        var checker = SchemaChecker(plan, limits: context.engine.shared.options.limits)
        let total = view.documentCount
        var seen = 0
        for partition in view.partitions {
            var slot: Slot = 0
            while true {
                let rows = partition.liveRows(from: &slot, after: after, limit: 256)
                if rows.isEmpty { break }
                for row in rows {
                    let (id, references) = try context.read.withStoredEntry(row.key) { entry in
                        ([UInt8](entry.id), checker.check(entry))
                    }
                    for reference in references {
                        let values = try context.read.vector(reference)
                        checker.check(values, of: reference, id: id)
                    }
                }
                seen += rows.count
                context.read.endTransaction()
                context.progress(min(seen, total), of: total)
                let wasPaused = try context.checkpoint(pinning: &pinned)
                if wasPaused, try self.view(id, context).partitions[0] !== view.partitions[0] {
                    // Dealt out anew meanwhile: these partitions are no longer kept up to date.
                    return try check(id, plan, after: after, context)
                }
            }
        }
        if let error = checker.error { throw error }
        return version
    }

    private func swap(
        _ plan: SchemaChange.Result, _ id: UInt32, _ checkedUpTo: Version, _ context: JobContext
    ) throws {
        let limits = context.engine.shared.options.limits
        try context.onCommitter { committer in
            guard let view = committer.shared.catalog.byID[id] else {
                throw EngineError(.notFound, "", "the collection has been dropped")
            }
            if plan.needsValidation {
                try committer.checkNewest(view, plan, after: checkedUpTo, limits: limits)
            }
            let changed = view.changed(
                schema: plan.schema, unenforced: Set(plan.uniqueToBuild),
                former: Self.form(of: view.schema, until: plan.schema, limits))
            for partition in view.partitions {
                partition.lock.lockForWriting()
                defer { partition.lock.unlock() }
                for number in plan.columnsToBuild {
                    guard let field = plan.schema.field(numbered: number) else { continue }
                    partition.addColumn(field, isReady: false)
                }
                for number in plan.vectorsToBuild {
                    guard let field = plan.schema.field(numbered: number) else { continue }
                    partition.addVectors(field, isReady: false)
                }
                for number in plan.placesToBuild {
                    guard let field = plan.schema.field(numbered: number) else { continue }
                    partition.addPlaces(field, isReady: false)
                }
                for number in plan.hoursToBuild {
                    guard let field = plan.schema.field(numbered: number) else { continue }
                    partition.addHours(field, isReady: false)
                }
            }
            for number in plan.uniqueToBuild {
                committer.uniques[view.id, default: [:]][number] = UniqueTable()
            }
            committer.swapView(changed)
            for partition in view.partitions {
                partition.lock.lockForWriting()
                for number in plan.columnsToDrop { partition.dropColumn(number) }
                partition.lock.unlock()
            }
        }
    }

    /// The schema that gives documents their form until the change is done: the old one. Where that
    /// drops undeclared members, those that the new one declares are let through: an `ALTER` that
    /// was accepted must not cost a client its data.
    private static func form(of old: Schema, until new: Schema, _ limits: Limits) -> Schema {
        guard old.unknown == .drop else { return old }
        var added = JSONObject()
        for field in new.fields where old.field(at: field.path) == nil {
            let parent = field.path.lastIndex(of: ".").map { String(field.path[..<$0]) }
            guard parent.map({ old.field(at: $0) != nil }) ?? true else { continue }
            added[field.path] = .object(JSONObject([(key: "type", value: .string("json"))]))
        }
        let change = JSON.object(JSONObject([(key: "add", value: .object(added))]))
        return (try? SchemaChange(parsing: change).applied(to: old, limits: limits).schema) ?? old
    }

    // MARK: - Unique values

    /// Puts the values that live rows hold of new unique fields into the committer's tables, which
    /// writes keep up to date meanwhile. REQUIRES: their columns are filled.
    private func gatherUniques(
        _ fields: [FieldNumber], _ id: UInt32, _ context: JobContext
    ) throws {
        guard !fields.isEmpty else { return }
        let view = try view(id, context)
        let total = view.documentCount
        var seen = 0
        for (index, partition) in view.partitions.enumerated() {
            var slot: Slot = 0
            while true {
                let rows = partition.liveRows(from: &slot, after: .zero, limit: 512)
                if rows.isEmpty { break }
                var values: [UniqueRow] = []
                partition.lock.lockForReading()
                for row in rows where partition.key(row.slot) == row.key {
                    for field in fields {
                        guard let value = partition.uniqueHash(field: field, slot: row.slot) else {
                            continue
                        }
                        values.append(
                            UniqueRow(
                                field: field, number: partition.number(row.slot), key: row.key,
                                value: value))
                    }
                }
                partition.lock.unlock()
                try context.onCommitter { [values] committer in
                    guard let view = committer.shared.catalog.byID[id] else { return }
                    committer.addUniques(values, view, partition: index)
                }
                seen += rows.count
                context.progress(min(seen, total), of: total)
                try context.checkpoint()
            }
        }
    }

    /// Lets the new schema, its unique keys and its indexes of vectors take hold: the old ones of
    /// vectors could not take what the new schema allows.
    private func enforce(
        _ plan: SchemaChange.Result, _ id: UInt32, _ context: JobContext
    ) throws {
        try context.onCommitter { [name] committer in
            guard let view = committer.shared.catalog.byID[id] else {
                throw EngineError(.notFound, name, "the collection has been dropped")
            }
            for field in plan.uniqueToBuild {
                if let error = committer.duplicateError(view, field: field) { throw error }
            }
            for number in plan.vectorsToBuild {
                let count = view.partitions.reduce(0) { $0 + $1.rejectedVectorCount(number) }
                guard count == 0 else {
                    throw EngineError(
                        .invalid, plan.schema.field(numbered: number)?.path ?? "",
                        "\(count) stored vectors cannot be indexed so",
                        hint: "a zero vector under cosine, or one beyond the range of its type")
                }
            }
            try committer.replace(view.changed(schema: plan.schema), pending: nil)
            for partition in view.partitions {
                partition.lock.lockForWriting()
                for number in plan.vectorsToBuild { partition.markVectorsReady(number) }
                for number in plan.vectorsToDrop { partition.dropVectors(number) }
                partition.lock.unlock()
            }
            for number in plan.uniqueToDrop { committer.uniques[id]?[number] = nil }
        }
    }

    /// Lets lookups use what was filled of columns, places and hours.
    private static func finish(
        _ plan: SchemaChange.Result, _ id: UInt32, _ committer: Committer
    ) {
        guard let view = committer.shared.catalog.byID[id] else { return }
        for partition in view.partitions {
            partition.lock.lockForWriting()
            for number in plan.columnsToBuild { partition.markReady(number) }
            for number in plan.placesToBuild { partition.markPlacesReady(number) }
            for number in plan.placesToDrop { partition.dropPlaces(number) }
            for number in plan.hoursToBuild { partition.markHoursReady(number) }
            for number in plan.hoursToDrop { partition.dropHours(number) }
            partition.lock.unlock()
        }
    }

    // MARK: - Going back

    /// Brings the old schema back after a swap. Columns that the change replaced or dropped have
    /// missed writes, so they are filled anew before queries use them.
    private func revert(
        _ plan: SchemaChange.Result, _ old: CollectionView, _ context: JobContext
    ) throws {
        // A server that stops comes back with what is on disk, and goes on from there.
        if context.isStopping { return }
        let lost = (plan.columnsToBuild + plan.columnsToDrop).filter {
            old.schema.field(numbered: $0)?.hasEntries ?? false
        }
        // In memory alone, so that it cannot fail: on disk the old schema never went.
        try context.onCommitter { committer in
            guard let view = committer.shared.catalog.byID[old.id] else { return }
            for partition in view.partitions {
                partition.lock.lockForWriting()
                defer { partition.lock.unlock() }
                for number in plan.columnsToBuild { partition.dropColumn(number) }
                partition.dropUnreadyVectors(unlessOf: old.schema)
                partition.dropUnreadyPlaces()
                for number in lost {
                    guard let field = old.schema.field(numbered: number) else { continue }
                    partition.addColumn(field, isReady: false)
                }
            }
            committer.swapView(view.changed(schema: old.schema))
            for number in plan.uniqueToBuild { committer.uniques[old.id]?[number] = nil }
        }
        try RowFilling(columns: lost, bringsPlaces: false, schema: old.schema)
            .run(try self.view(old.id, context), context, canPause: false)
        try context.onCommitter { committer in
            guard let view = committer.shared.catalog.byID[old.id] else { return }
            // A lookup that began before the filling must not go on with these columns.
            committer.swapView(view.changed(schema: old.schema))
        }
        context.awaitEarlierLookups()
        try context.onCommitter { committer in
            guard let view = committer.shared.catalog.byID[old.id] else { return }
            for partition in view.partitions {
                partition.lock.lockForWriting()
                for number in lost { partition.markReady(number) }
                partition.lock.unlock()
            }
        }
    }
}

extension Committer {
    /// Takes a change on: once this returns, it is carried out even if the server is restarted.
    ///
    /// - Returns: the number of its job.
    /// - Throws: `BUSY` while another change of the collection is under way; what ``AlterJob/plan``
    ///   throws.
    package func accept(_ job: AlterJob, _ engine: Engine) throws -> UInt64 {
        guard let view = shared.catalog.collections[job.name] else {
            throw EngineError(.notFound, job.name, "no such collection")
        }
        if let other = shared.jobs.active(kind: "ALTER", collection: job.name) {
            throw EngineError(
                .busy, job.name, "job \(other) is changing this collection",
                hint: "wait until JOBS says that it is done")
        }
        if let other = shared.jobs.active(kind: RebuildJob.kind, collection: job.name) {
            throw EngineError(
                .busy, job.name, "job \(other) makes indexes of this collection anew",
                hint: "wait until JOBS says that it is done")
        }
        _ = try job.plan(for: view, limits: shared.options.limits)
        try notePending(view, job.change)
        let id = shared.jobs.add(kind: "ALTER", collection: job.name)
        engine.run(Job(id: id) { try job.run($0) })
        return id
    }

    /// Swaps a view without writing its row: the old schema stays on disk until the work is done.
    func swapView(_ view: CollectionView) {
        shared.setCatalog(shared.catalog.replacing(view))
    }
}
