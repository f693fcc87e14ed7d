import DocumentStore
package import Documents
import Partition
package import Primitives
package import Schema
import Synchronization

/// Carries out an `ALTER` online: checks stored documents against new rules, makes new columns,
/// fills them in slices, and only then lets queries use them.
///
/// ```
/// check ──> swap the schema (new columns are kept up to date from here on, but not used)
///       ──> fill old rows in slices ──> unique keys ──> ready
/// ```
/// If a check fails nothing has changed; if a unique key turns out to be held twice the old schema
/// comes back.
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
            let plan = try plan(for: view, limits: engine.shared.options.limits)
            return try carryOut(plan, view, context)
        } catch let error as EngineError {
            if error.code != .cancelled || !context.isStopping {
                try? context.onCommitter { [name] committer in
                    guard let view = committer.shared.catalog.collections[name] else { return }
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
            checkedUpTo = try check(view, plan, after: .zero, context)
            for _ in 0..<5 where checkedUpTo < context.engine.publishedVersion {
                checkedUpTo = try check(view, plan, after: checkedUpTo, context)
            }
        }
        try swap(plan, view.id, checkedUpTo, context)
        do {
            try fill(plan.columnsToBuild, plan.schema, view.id, context)
            try finish(plan, view, context)
        } catch {
            try? revert(plan, view, context)
            throw error
        }
        return "done"
    }

    // MARK: - Checks

    /// Checks the documents that changed after `after` against the new schema.
    ///
    /// - Returns: the version up to which all documents are checked.
    /// - Throws: `INVALID` with up to ten offenders.
    private func check(
        _ view: CollectionView, _ plan: SchemaChange.Result, after: Version, _ context: JobContext
    ) throws -> Version {
        let version = context.read.pins.acquire()
        defer { context.read.pins.release(version) }
        var checker = SchemaChecker(
            schema: plan.schema, limits: context.engine.shared.options.limits)
        let total = view.documentCount
        var seen = 0
        for partition in view.partitions {
            var slot: Slot = 0
            while true {
                let rows = partition.liveRows(from: &slot, after: after, limit: 256)
                if rows.isEmpty { break }
                for row in rows {
                    try context.read.withEntry(row.key) { entry in
                        checker.check(entry.document, id: entry.id, held: entry.vectors)
                    }
                }
                seen += rows.count
                context.read.endTransaction()
                context.progress(min(seen, total), of: total)
                try context.checkpoint()
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
                try committer.checkNewest(
                    view, plan.schema, after: checkedUpTo, limits: limits)
            }
            let unenforced = Set(plan.uniqueToBuild)
            let changed = view.changed(schema: plan.schema, unenforced: unenforced)
            for partition in view.partitions {
                partition.lock.lockForWriting()
                defer { partition.lock.unlock() }
                for number in plan.columnsToBuild {
                    guard let field = plan.schema.field(numbered: number) else { continue }
                    partition.addColumn(field, isReady: false)
                }
            }
            for number in plan.uniqueToDrop {
                committer.uniques[view.id]?[number] = nil
            }
            committer.swapView(changed)
            for partition in view.partitions {
                partition.lock.lockForWriting()
                for number in plan.columnsToDrop { partition.dropColumn(number) }
                partition.lock.unlock()
            }
        }
    }

    // MARK: - Filling

    /// Rows that are read in one slice.
    private static let slice = 128

    /// Fills the columns of `fields` from the documents of all rows.
    private func fill(
        _ fields: [FieldNumber], _ schema: Schema, _ id: UInt32, _ context: JobContext,
        isReverting: Bool = false
    ) throws {
        guard !fields.isEmpty, let view = context.engine.shared.catalog.collections[name],
            view.id == id
        else { return }
        let version = context.read.pins.acquire()
        defer { context.read.pins.release(version) }
        let preparer = DocumentPreparer()
        let depth = context.engine.shared.options.limits.documentDepthMax + 1
        let total = view.partitions.reduce(0) { $0 + $1.slotBound }
        var seen = 0
        for partition in view.partitions {
            var slot: Slot = 0
            while true {
                let rows = partition.allRows(
                    from: &slot, since: version, limit: Self.slice)
                if rows.isEmpty { break }
                var prepared: [(slot: Slot, key: LogKey, document: PreparedDocument)] = []
                for row in rows {
                    let document: PreparedDocument? = try context.read.withEntry(row.key) { entry in
                        guard
                            let root = try? context.read.parser.parse(
                                entry.document, depthMax: depth)
                        else { return nil }
                        return preparer.extract(
                            from: root, minified: context.read.parser.minified,
                            schema: schema)
                    }
                    if let document { prepared.append((row.slot, row.key, document)) }
                }
                context.read.endTransaction()
                partition.lock.lockForWriting()
                for row in prepared where partition.key(row.slot) == row.key {
                    for field in fields {
                        partition.fill(row.slot, from: row.document, only: field)
                    }
                }
                partition.lock.unlock()
                seen += rows.count
                context.progress(min(seen, total), of: total)
                if !isReverting { try context.checkpoint() }
                if context.isStopping { throw EngineError(.cancelled, name, "the server stops") }
            }
        }
    }

    /// Enforces new unique keys and lets queries use the new columns.
    private func finish(
        _ plan: SchemaChange.Result, _ old: CollectionView, _ context: JobContext
    ) throws {
        try context.onCommitter { [name] committer in
            guard let view = committer.shared.catalog.collections[name], view.id == old.id else {
                throw EngineError(.notFound, name, "the collection has been dropped")
            }
            if let offender = committer.firstDuplicate(view, fields: plan.uniqueToBuild) {
                throw offender
            }
            for partition in view.partitions {
                partition.lock.lockForWriting()
                for number in plan.columnsToBuild { partition.markReady(number) }
                partition.lock.unlock()
            }
            let ready = view.changed(schema: plan.schema, unenforced: [])
            try committer.replace(ready, pending: nil)
            committer.rebuildUniques(ready)
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
        try context.onCommitter { committer in
            guard let view = committer.shared.catalog.byID[old.id] else { return }
            for partition in view.partitions {
                partition.lock.lockForWriting()
                defer { partition.lock.unlock() }
                for number in plan.columnsToBuild { partition.dropColumn(number) }
                for number in lost {
                    guard let field = old.schema.field(numbered: number) else { continue }
                    partition.addColumn(field, isReady: false)
                }
            }
            let reverted = view.changed(schema: old.schema, unenforced: Set(lost))
            try committer.replace(reverted, pending: nil)
            committer.rebuildUniques(reverted)
        }
        try fill(lost, old.schema, old.id, context, isReverting: true)
        try context.onCommitter { committer in
            guard let view = committer.shared.catalog.byID[old.id] else { return }
            for partition in view.partitions {
                partition.lock.lockForWriting()
                for number in lost { partition.markReady(number) }
                partition.lock.unlock()
            }
            let ready = view.changed(unenforced: [])
            committer.swapView(ready)
            committer.rebuildUniques(ready)
        }
    }
}

/// Checks stored documents against a schema and collects offenders.
struct SchemaChecker {
    private let schema: Schema
    private let parser = JSONParser()
    private let preparer = DocumentPreparer()
    private let limits: Limits
    /// The first by id, with what is wrong, in order.
    private var offenders: [(id: [UInt8], text: String)] = []
    private static let countMax = 10

    init(schema: Schema, limits: Limits) {
        self.schema = schema
        self.limits = limits
    }

    mutating func check(
        _ document: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, held: [VectorReference]
    ) {
        do {
            _ = try preparer.prepare(
                document, schema: schema, parser: parser, nowMilliseconds: 0,
                heldVectors: held.map(\.field))
        } catch {
            note([UInt8](id), error)
        }
    }

    private mutating func note(_ id: [UInt8], _ error: ValidationError) {
        let place =
            offenders.firstIndex { id.lexicographicallyPrecedes($0.id) } ?? offenders.count
        guard place < Self.countMax else { return }
        let text = "\(String(decoding: id, as: UTF8.self)) (\(error.message))"
        offenders.insert((id, text), at: place)
        if offenders.count > Self.countMax { offenders.removeLast() }
    }

    /// What to answer, if anything is wrong.
    var error: EngineError? {
        guard !offenders.isEmpty else { return nil }
        return EngineError(
            .invalid, "",
            "stored documents break the new rule: " + offenders.map(\.text).joined(separator: ", "),
            hint: "mend them first; nothing was changed")
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

    /// Checks what changed after `version`; the committer stands still meanwhile.
    func checkNewest(
        _ view: CollectionView, _ schema: Schema, after version: Version, limits: Limits
    ) throws {
        var checker = SchemaChecker(schema: schema, limits: limits)
        try reader.begin()
        defer { reader.end() }
        for partition in view.partitions {
            var slot: Slot = 0
            while true {
                let rows = partition.liveRows(from: &slot, after: version, limit: 1024)
                if rows.isEmpty { break }
                for row in rows {
                    try withEntry(row.key) { entry in
                        checker.check(entry.document, id: entry.id, held: entry.vectors)
                    }
                }
            }
        }
        if let error = checker.error { throw error }
    }

    /// The first value that two documents hold of a field that is to be unique.
    func firstDuplicate(_ view: CollectionView, fields: [FieldNumber]) -> EngineError? {
        for field in fields {
            var holders: [UInt64: (Int, UInt32)] = [:]
            var duplicates: [String] = []
            for (index, partition) in view.partitions.enumerated() {
                partition.forEachUniqueValue(field: field) { number, value in
                    if let (place, holder) = holders[value] {
                        let first = view.partitions[place].heads.id(holder)
                        let second = partition.heads.id(number)
                        if duplicates.count < 10 {
                            duplicates.append(
                                String(decoding: first, as: UTF8.self) + " and "
                                    + String(decoding: second, as: UTF8.self))
                        }
                    } else {
                        holders[value] = (index, number)
                    }
                }
            }
            if !duplicates.isEmpty {
                return EngineError(
                    .duplicate, view.schema.field(numbered: field)?.path ?? "",
                    "documents share a value: " + duplicates.joined(separator: ", "),
                    hint: "mend them first; nothing was changed")
            }
        }
        return nil
    }
}
