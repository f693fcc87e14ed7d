package import Commands
import DocumentStore
package import Engine
package import NIOCore
import Primitives
import Schema
import Synchronization

/// Joins an engine to a server: handlers for its loops, answers on their way back, and the hooks
/// through which the server's own commands ask about data.
package final class EngineService: Sendable {
    package let engine: Engine
    private let cursorSecret: (UInt64, UInt64)
    /// Whether the stop under way is to leave a snapshot, if its settings say so.
    private let savesAtStop = Atomic<Bool>(true)
    private let routes = Guarded<[Int: Route]>([:])

    private struct Route: Sendable {
        let loop: any EventLoop
        let handler: NIOLoopBound<DataHandler>
    }

    /// Takes over the engine's finished writes.
    package init(_ engine: Engine) {
        self.engine = engine
        cursorSecret = engine.cursorSecret
        engine.shared.setCompletionSink { [weak self] completions in self?.deliver(completions) }
    }

    /// The handler of one event loop. Called on that loop.
    package func makeHandler(loopIndex: Int, loop: any EventLoop) -> any CommandHandler {
        guard let context = try? engine.makeReadContext(loop: loopIndex) else {
            preconditionFailure("the store has a reader for every event loop")
        }
        let handler = DataHandler(
            engine: engine, context: context, loop: loop, cursorSecret: cursorSecret)
        let bound = NIOLoopBound(handler, eventLoop: loop)
        routes.withLock { $0[loopIndex] = Route(loop: loop, handler: bound) }
        return handler
    }

    /// Forgets the handlers, so that they and their readers go with the loops.
    package func dropHandlers() { routes.withLock { $0 = [:] } }

    /// Closes the engine; `SHUTDOWN NOSAVE` leaves no snapshot.
    package func close() {
        engine.close(takesSnapshot: savesAtStop.load(ordering: .relaxed) ? nil : false)
    }

    private func deliver(_ completions: [WriteCompletion]) {
        var byLoop: [Int: [WriteCompletion]] = [:]
        for completion in completions {
            byLoop[completion.ticket.loop, default: []].append(completion)
        }
        for (index, group) in byLoop {
            guard let route = routes.withLock({ $0[index] }) else { continue }
            route.loop.execute { route.handler.value.complete(group) }
        }
    }

    // MARK: - Hooks

    package func hooks() -> ServerHooks {
        var hooks = ServerHooks()
        let engine = engine
        hooks.documentCount = { engine.documentCount }
        hooks.infoSections = { Self.infoSections(engine) }
        hooks.memoryStats = { engine.ledger }
        hooks.memoryUsage = { collection, id in engine.memoryUsage(collection, id: id) }
        hooks.canonicalCollection = { engine.shared.catalog.aliases[$0] }
        hooks.loadAccounts = { engine.setting("accounts") }
        hooks.saveAccounts = { bytes in engine.saveSetting("accounts", bytes) }
        hooks.saveOptions = { Self.saveOptions($0, engine) }
        hooks.metrics = { EngineMetrics.text(engine) }
        hooks.shutdown = { [weak self] save in
            self?.savesAtStop.store(save, ordering: .relaxed)
        }
        hooks.settingChanged = { name, value in Self.apply(name, value, engine) }
        return hooks
    }

    /// Notes the settings that belong to the data beside it, so that snapshots hold them.
    package func saveOptions(_ configuration: ServerConfiguration) {
        Self.saveOptions(configuration.dataText, engine)
    }

    private static func saveOptions(_ lines: String, _ engine: Engine) {
        let bytes = Array(lines.utf8)
        if (engine.setting(Engine.optionsName) ?? []) == bytes { return }
        // A disk that takes nothing now: the next start tries again.
        _ = engine.saveSetting(Engine.optionsName, bytes)
    }

    private static func apply(_ name: String, _ value: String, _ engine: Engine) -> String? {
        switch name {
        case "retention":
            guard let milliseconds = SettingUnits.milliseconds(value) else { return "a duration" }
            engine.shared.updateSettings { $0.retentionMilliseconds = Int64(milliseconds) }
        case "retention-bytes":
            guard let bytes = SettingUnits.bytes(value) else { return "a number of bytes" }
            engine.shared.updateSettings { $0.retentionByteCount = bytes }
        case "max-memory":
            guard let bytes = SettingUnits.bytes(value) else { return "a number of bytes" }
            engine.shared.updateSettings { $0.memoryByteCountMax = bytes }
        case "snapshot-every":
            guard let milliseconds = SettingUnits.milliseconds(value) else { return "a duration" }
            engine.shared.updateSettings {
                $0.snapshots.everyMilliseconds = Int64(milliseconds)
            }
        case "snapshot-writes", "snapshot-keep", "snapshot-level":
            guard let number = Int(value) else { return "a number" }
            engine.shared.updateSettings { settings in
                switch name {
                case "snapshot-writes": settings.snapshots.everyWriteCount = number
                case "snapshot-keep": settings.snapshots.keepCount = number
                default: settings.snapshots.level = number
                }
            }
        case "snapshot-at-stop":
            engine.shared.updateSettings {
                $0.snapshots.isTakenAtStop = !["no", "false", "0", "off"].contains(
                    value.lowercased())
            }
        default:
            break
        }
        return nil
    }

    private static func infoSections(_ engine: Engine) -> [ServerHooks.Section] {
        let queue = engine.queueDepth
        var storage: [(key: String, value: String)] = [
            ("version", "\(engine.publishedVersion.rawValue)"),
            ("oldest_readable_version", "\(engine.oldestReadableVersion.rawValue)"),
            ("partitions", "\(engine.shared.partitionCount)"),
            ("shards", "\(engine.shared.options.loopCount)"),
            ("durability", "\(engine.shared.options.durability)"),
            ("state", engine.shared.storeState),
            ("commit_queue_writes", "\(queue.count)"),
            ("commit_queue_bytes", "\(queue.byteCount)"),
            ("recovery_entries", "\(engine.recovery.entryCount)"),
            ("recovery_ms", "\(engine.recovery.milliseconds)"),
            ("recovery_snapshot", engine.recovery.snapshot ?? ""),
        ]
        if let figures = engine.storeStatistics() {
            storage += [
                ("log_entries", "\(figures.logEntryCount)"),
                ("log_file_bytes", "\(figures.fileByteCount)"),
                ("log_free_pages", "\(figures.freePageCount)"),
                ("log_vectors", "\(figures.vectorCount)"),
            ]
        }
        return [
            ServerHooks.Section(title: "Storage", lines: storage),
            ServerHooks.Section(title: "Snapshots", lines: snapshotLines(engine)),
            ServerHooks.Section(title: "Collections", lines: collectionLines(engine)),
            ServerHooks.Section(title: "Indexes", lines: indexLines(engine)),
            ServerHooks.Section(title: "Recall", lines: recallLines(engine)),
            ServerHooks.Section(title: "Shards", lines: shardLines(engine)),
            ServerHooks.Section(title: "Jobs", lines: jobLines(engine)),
        ]
    }

    private static func snapshotLines(_ engine: Engine) -> [(key: String, value: String)] {
        let figures = engine.shared.snapshots.figures
        return [
            ("snapshots", "\(engine.shared.snapshots.items.count)"),
            ("snapshot_newest_version", "\(figures.version.rawValue)"),
            ("snapshots_taken", "\(figures.takenCount)"),
            ("snapshots_failed", "\(figures.failedCount)"),
            ("snapshot_last_bytes", "\(figures.byteCount)"),
            ("snapshot_last_ms", "\(figures.milliseconds)"),
            ("snapshot_last_pause_us", "\(figures.pauseMicroseconds)"),
        ]
    }

    /// The jobs that have not ended.
    private static func jobLines(_ engine: Engine) -> [(key: String, value: String)] {
        engine.shared.jobs.all.filter { $0.endedMilliseconds == 0 }.map { job in
            (
                "job\(job.id)",
                "kind=\(job.kind),collection=\(job.collection),state=\(job.state.rawValue),"
                    + "done=\(job.done),of=\(job.of)"
            )
        }
    }

    private static func collectionLines(_ engine: Engine) -> [(key: String, value: String)] {
        let catalog = engine.shared.catalog
        return catalog.sortedNames.compactMap { name in
            guard let view = catalog.collections[name] else { return nil }
            let bytes = engine.indexStates(of: view).reduce(view.baseByteCount) {
                $0 + $1.byteCount
            }
            return (
                name,
                "documents=\(view.documentCount),bytes=\(bytes),base_bytes=\(view.baseByteCount),"
                    + "fields=\(view.schema.fields.count)"
            )
        }
    }

    private static func indexLines(_ engine: Engine) -> [(key: String, value: String)] {
        let catalog = engine.shared.catalog
        var lines: [(key: String, value: String)] = []
        for name in catalog.sortedNames {
            guard let view = catalog.collections[name] else { continue }
            for index in engine.indexStates(of: view) {
                lines.append(
                    (
                        "\(name).\(index.path)",
                        "kind=\(index.kind),state=\(index.isReady ? "ready" : "building"),"
                            + "bytes=\(index.byteCount)"
                    ))
            }
        }
        return lines
    }

    /// What the measuring of recent lookups by nearness has shown.
    private static func recallLines(_ engine: Engine) -> [(key: String, value: String)] {
        engine.recallFigures.map { figures in
            (
                "\(figures.collection).\(figures.field).\(figures.band.name)",
                "recall=\(figures.band.recall),lookups=\(figures.band.lookupCount)"
            )
        }
    }

    /// What each event loop would own if partitions were dealt out in turn.
    private static func shardLines(_ engine: Engine) -> [(key: String, value: String)] {
        let shards = max(1, engine.shared.options.loopCount)
        var documents = [Int](repeating: 0, count: shards)
        var bytes = [Int](repeating: 0, count: shards)
        var partitions = [Int](repeating: 0, count: shards)
        for view in engine.shared.catalog.collections.values {
            for (index, figures) in view.partitionFigures.enumerated() {
                documents[index % shards] += figures.documents
                bytes[index % shards] += figures.byteCount
            }
        }
        for index in 0..<engine.shared.partitionCount { partitions[index % shards] += 1 }
        return (0..<shards).map { shard in
            (
                "shard\(shard)",
                "partitions=\(partitions[shard]),documents=\(documents[shard]),"
                    + "bytes=\(bytes[shard])"
            )
        }
    }
}

/// The engine's gauges as Prometheus text.
enum EngineMetrics {
    static func text(_ engine: Engine) -> String {
        var text = ""
        func gauge(_ name: String, _ help: String, _ rows: [(labels: String, value: Int)]) {
            text += "# HELP \(name) \(help)\n# TYPE \(name) gauge\n"
            for row in rows { text += "\(name)\(row.labels) \(row.value)\n" }
        }
        let catalog = engine.shared.catalog
        var documents: [(labels: String, value: Int)] = []
        var bytes: [(labels: String, value: Int)] = []
        for name in catalog.sortedNames {
            guard let view = catalog.collections[name] else { continue }
            documents.append(("{collection=\"\(name)\"}", view.documentCount))
            bytes.append(("{collection=\"\(name)\",index=\"\"}", view.baseByteCount))
            for index in engine.indexStates(of: view) {
                bytes.append(
                    ("{collection=\"\(name)\",index=\"\(index.path)\"}", index.byteCount))
            }
        }
        gauge("aisle_documents", "Documents of a collection.", documents)
        gauge("aisle_index_bytes", "Bytes of a collection's indexes; base without one.", bytes)
        gauge(
            "aisle_version", "The newest version that reads see.",
            [("", Int(engine.publishedVersion.rawValue))])
        text += "# HELP aisle_vector_recall True neighbours that recent lookups found.\n"
        text += "# TYPE aisle_vector_recall gauge\n"
        for figures in engine.recallFigures {
            text += "aisle_vector_recall{collection=\"\(figures.collection)\","
            text += "field=\"\(figures.field)\",band=\"\(figures.band.name)\"} "
            text += "\(figures.band.recall)\n"
        }
        let queue = engine.queueDepth
        gauge(
            "aisle_commit_queue_writes", "Writes that wait for the committer.", [("", queue.count)])
        gauge(
            "aisle_commit_queue_bytes", "Bytes that wait for the committer.",
            [("", queue.byteCount)])
        gauge(
            "aisle_store_writable", "1 while the store takes writes.",
            [("", engine.shared.storeState == "ok" ? 1 : 0)])
        if let figures = engine.storeStatistics() {
            gauge("aisle_log_entries", "Entries of the log.", [("", figures.logEntryCount)])
            gauge("aisle_log_file_bytes", "Bytes of the log's file.", [("", figures.fileByteCount)])
        }
        return text
    }
}
