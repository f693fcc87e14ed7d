import Documents
import Engine
import Primitives
import Query
import RESP
import Schema

/// `CREATE`, `ALTER`, `DROP`, `ALIAS`, `DESCRIBE`, `COLLECTIONS` and the operations.
extension DataHandler {
    func create(_ request: RequestFrame, _ session: Session) throws(EngineError) -> Disposition {
        let name = request.string(1)
        let key = try key(request, from: 3)
        guard Schema.isValidName(name) else {
            throw EngineError(
                .invalid, "name", "matches [A-Za-z_][A-Za-z0-9_-]{0,63}, got \(name.prefix(80))")
        }
        let json = try Options.json(request.bytes(2), path: "schema")
        let schema: Schema
        do {
            schema = try Schema(parsing: json, limits: limits)
        } catch {
            throw EngineError(error)
        }
        submit(
            .administrative { committer in
                try committer.once(key) { try committer.create(name, schema: schema) }
            }, session, .ok)
        return .deferredRead
    }

    func alter(_ request: RequestFrame, _ session: Session) throws(EngineError) -> Disposition {
        let view = try view(request)
        let key = try key(request, from: 3)
        let change = try Options.json(request.bytes(2), path: "change")
        let job = AlterJob(collection: view.name, change: change)
        let engine = engine
        submit(
            .administrative { committer in
                try committer.once(key) { .number(Int(try committer.accept(job, engine))) }
            }, session, .ok)
        return .deferredRead
    }

    func drop(_ request: RequestFrame, _ session: Session) throws(EngineError) -> Disposition {
        let name = request.string(1)
        let key = try key(request, from: 2)
        let engine = engine
        submit(
            .administrative { committer in
                try committer.once(key) {
                    let result = try committer.drop(name)
                    let id = engine.shared.jobs.add(kind: "CLEAN", collection: name)
                    let job = CleanJob()
                    engine.run(Job(id: id) { try job.run($0) })
                    return result
                }
            }, session, .ok)
        return .deferredRead
    }

    func alias(_ request: RequestFrame, _ session: Session) throws(EngineError) -> Disposition {
        let alias = request.string(1)
        let name = request.string(2)
        let key = try key(request, from: 3)
        guard Schema.isValidName(alias) else {
            throw EngineError(.invalid, "name", "matches [A-Za-z_][A-Za-z0-9_-]{0,63}")
        }
        submit(
            .administrative { committer in
                try committer.once(key) { try committer.setAlias(alias, to: name) }
            }, session, .ok)
        return .deferredRead
    }

    /// The `KEY` of a command that has no other option.
    private func key(_ request: RequestFrame, from start: Int) throws(EngineError) -> [UInt8]? {
        guard request.count > start else { return nil }
        return try Options(request, from: start, [OptionRule("KEY")]).idempotencyKey()
    }

    func collections(_ session: Session, _ reply: inout ReplyWriter) -> Disposition {
        let catalog = context.catalog
        let rights = session.rights
        let names = catalog.sortedNames.filter {
            rights.allowsAllCollections || rights.allows(collection: $0, write: false)
        }
        var rows: [(name: String, target: String?, count: Int)] = []
        for name in names {
            rows.append((name, nil, catalog.collections[name]?.documentCount ?? 0))
        }
        for (alias, target) in catalog.aliases.sorted(by: { $0.key < $1.key })
        where names.contains(target) {
            rows.append((alias, target, catalog.collections[target]?.documentCount ?? 0))
        }
        reply.array(rows.count)
        for row in rows {
            reply.map(row.target == nil ? 2 : 3)
            reply.bulk("name")
            reply.bulk(row.name)
            if let target = row.target {
                reply.bulk("alias_of")
                reply.bulk(target)
            }
            reply.bulk("documents")
            reply.integer(row.count)
        }
        return .replied
    }

    func describe(
        _ request: RequestFrame, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        let view = try view(request)
        let indexes = engine.indexStates(of: view)
        let change = engine.shared.jobs.all.last {
            $0.kind == "ALTER" && $0.collection == view.name && $0.endedMilliseconds == 0
        }
        reply.map(change == nil ? 7 : 8)
        reply.bulk("name")
        reply.bulk(view.name)
        reply.bulk("documents")
        reply.integer(view.documentCount)
        reply.bulk("partitions")
        reply.integer(view.partitions.count)
        reply.bulk("bytes")
        reply.integer(indexes.reduce(view.baseByteCount) { $0 + $1.byteCount })
        reply.bulk("schema")
        reply.bulk(view.schema.json.text)
        reply.bulk("json_schema")
        reply.bulk(view.schema.jsonSchema(title: view.name).text)
        reply.bulk("indexes")
        reply.array(indexes.count)
        for index in indexes {
            reply.map(index.isReady ? 4 : 6)
            reply.bulk("field")
            reply.bulk(index.path)
            reply.bulk("kind")
            reply.bulk(index.kind)
            reply.bulk("state")
            reply.bulk(index.isReady ? "ready" : "building")
            if !index.isReady {
                reply.bulk("done")
                reply.integer(index.done)
                reply.bulk("of")
                reply.integer(index.of)
            }
            reply.bulk("bytes")
            reply.integer(index.byteCount)
        }
        if let change { progress(of: change, &reply) }
        return .replied
    }

    /// The `ALTER` that is under way: its indexes stand above only once its checks are through.
    private func progress(of change: JobStatus, _ reply: inout ReplyWriter) {
        reply.bulk("alter")
        reply.map(4)
        reply.bulk("job")
        reply.integer(Int64(change.id))
        reply.bulk("state")
        reply.bulk("building")
        reply.bulk("done")
        reply.integer(change.done)
        reply.bulk("of")
        reply.integer(change.of)
    }

    // MARK: - Operations

    func health(_ reply: inout ReplyWriter) -> Disposition {
        let health = engine.health
        reply.map(7)
        reply.bulk("state")
        reply.bulk(health.state)
        reply.bulk("live")
        reply.bool(true)
        reply.bulk("ready")
        reply.bool(true)
        reply.bulk("writes")
        reply.bulk(health.writes)
        reply.bulk("documents")
        reply.integer(engine.documentCount)
        reply.bulk("version")
        reply.version(engine.publishedVersion)
        reply.bulk("problems")
        reply.array(health.problems.count)
        for problem in health.problems { reply.bulk(problem) }
        return .replied
    }

    func stats(
        _ request: RequestFrame, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        let view = try view(request)
        let indexes = engine.indexStates(of: view)
        reply.map(6)
        reply.bulk("documents")
        reply.integer(view.documentCount)
        reply.bulk("index_bytes")
        reply.integer(indexes.reduce(view.baseByteCount) { $0 + $1.byteCount })
        reply.bulk("base_bytes")
        reply.integer(view.baseByteCount)
        reply.bulk("version")
        reply.version(engine.publishedVersion)
        reply.bulk("indexes")
        reply.map(indexes.count)
        for index in indexes {
            reply.bulk(index.path)
            reply.integer(index.byteCount)
        }
        reply.bulk("partitions")
        reply.array(view.partitions.count)
        for figures in view.partitionFigures {
            reply.map(4)
            reply.bulk("documents")
            reply.integer(figures.documents)
            reply.bulk("rows")
            reply.integer(figures.rows)
            reply.bulk("dead_rows")
            reply.integer(figures.deadRows)
            reply.bulk("bytes")
            reply.integer(figures.byteCount)
        }
        return .replied
    }

    func jobs(
        _ request: RequestFrame, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        let table = engine.shared.jobs
        if request.count > 1 {
            guard request.count == 3, let id = UInt64(request.string(2)) else {
                throw EngineError(.syntax, "JOBS", "takes CANCEL, PAUSE or RESUME and a job's id")
            }
            let isDone: Bool
            if request.equals(1, "PAUSE"),
                table.all.contains(where: { $0.id == id && $0.kind == "RESTORE" })
            {
                throw EngineError(
                    .busy, "job \(id)", "a restore is not paused: writes wait for its end",
                    hint: "JOBS CANCEL takes it back")
            }
            if request.equals(1, "CANCEL") {
                isDone = table.cancel(id)
            } else if request.equals(1, "PAUSE") {
                isDone = table.pause(id)
            } else if request.equals(1, "RESUME") {
                isDone = table.resume(id)
            } else {
                throw EngineError(.syntax, "JOBS", "takes CANCEL, PAUSE or RESUME")
            }
            guard isDone else {
                throw EngineError(.notFound, "job \(id)", "no such job is running")
            }
            reply.ok()
            return .replied
        }
        let all = table.all
        reply.array(all.count)
        for job in all {
            reply.map(8)
            reply.bulk("id")
            reply.integer(Int64(job.id))
            reply.bulk("kind")
            reply.bulk(job.kind)
            reply.bulk("collection")
            reply.bulk(job.collection)
            reply.bulk("state")
            reply.bulk(job.state.reported)
            reply.bulk("done")
            reply.integer(job.done)
            reply.bulk("of")
            reply.integer(job.of)
            reply.bulk("text")
            reply.bulk(job.text.isEmpty ? job.state.rawValue : job.text)
            reply.bulk("started")
            reply.bulk(DateTime.format(job.startedMilliseconds))
        }
        return .replied
    }

    func startJob(
        _ name: CommandName, _ request: RequestFrame, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        let id: UInt64
        guard engine.shared.jobs.unfinishedCount < JobTable.unfinishedMax else {
            throw EngineError(
                .busy, "jobs", "\(JobTable.unfinishedMax) jobs wait or run already",
                hint: "wait for some, or JOBS CANCEL them")
        }
        if name == .reshard {
            guard let count = Int(request.string(1)), (1...1024).contains(count) else {
                throw EngineError(.invalid, "n", "is between 1 and 1024")
            }
            id = engine.shared.jobs.add(kind: "RESHARD", collection: "")
            let job = ReshardJob(partitionCount: count)
            engine.run(Job(id: id) { try job.run($0) })
        } else {
            id = engine.shared.jobs.add(kind: "COMPACT", collection: "")
            let job = CompactJob()
            engine.run(Job(id: id) { try job.run($0) })
        }
        reply.integer(Int64(id))
        return .replied
    }
}

extension JobStatus.State {
    /// What `JOBS` says: a job is running, done or failed; its text tells the rest.
    fileprivate var reported: String {
        switch self {
        case .queued, .running, .paused: "running"
        case .done: "done"
        case .failed, .cancelled: "failed"
        }
    }
}
