import ArgumentParser
import DocumentStore
import Engine
import Foundation
import Logging
import Server
import Synchronization

/// `aisle serve`: opens a data directory and answers until it is told to stop.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve a data directory.",
        discussion: """
            Prints one line beginning with "ready" and the addresses when it takes requests. \
            Settings come from flags, then AISLE_* variables, then --config FILE, then defaults; \
            aisle help settings lists them all.

            Example: aisle serve --data /var/lib/aisle --port 2475 --metrics-port 9475
            """
    )

    @Argument(parsing: .captureForPassthrough, help: "Settings as --name value.")
    var words: [String] = []

    func run() throws {
        if words.contains("--help") || words.contains("-h") {
            print(ServeCommand.helpMessage())
            print(SettingsText.list, terminator: "")
            return
        }
        let configuration = try settings()
        guard !configuration.data.isEmpty else {
            throw Failure(status: .usage, text: "serve: --data DIR is missing")
        }
        try serve(configuration)
    }

    private func settings() throws -> ServerConfiguration {
        var flags: [(String, String)] = []
        var index = 0
        while index < words.count {
            let word = words[index]
            guard word.hasPrefix("--") else {
                throw Failure(status: .usage, text: "serve: \(word) is no setting")
            }
            var name = String(word.dropFirst(2))
            var value: String?
            if let equals = name.firstIndex(of: "=") {
                value = String(name[name.index(after: equals)...])
                name = String(name[..<equals])
            }
            if value == nil, name == "open",
                index + 1 >= words.count
                    || words[index + 1].hasPrefix("--")
            {
                value = "yes"
            }
            if value == nil {
                guard index + 1 < words.count else {
                    throw Failure(status: .usage, text: "serve: --\(name) needs a value")
                }
                index += 1
                value = words[index]
            }
            flags.append((name, value ?? ""))
            index += 1
        }
        do {
            return try ServerConfiguration.load(
                flags: flags, environment: ProcessInfo.processInfo.environment,
                readFile: { try? String(contentsOfFile: $0, encoding: .utf8) })
        } catch {
            throw Failure(status: .usage, text: "serve: \(error.message)")
        }
    }

    /// Why the server does not start, for a person at a terminal.
    private static func text(_ error: ServerError) -> String {
        switch error {
        case .cannotListen(let address, let reason):
            if reason.contains("unixDomainSocketPathTooLong") {
                return "cannot listen on \(address): a socket's path has at most 107 bytes"
            }
            return "cannot listen on \(address): \(reason)"
        case .tls(let reason): return "TLS: \(reason)"
        case .accounts(let line): return "the saved accounts are malformed at line \(line)"
        }
    }

    private func options(_ configuration: ServerConfiguration) throws -> EngineOptions {
        let cores = max(1, ProcessInfo.processInfo.activeProcessorCount)
        var options = EngineOptions(
            directory: configuration.data,
            partitionCount: configuration.partitions > 0 ? configuration.partitions : cores,
            loopCount: configuration.shards > 0 ? configuration.shards : cores)
        options.retentionMilliseconds = Int64(configuration.retentionMilliseconds)
        options.memoryByteCountMax = configuration.memoryMaxBytes
        options.limits = configuration.limits
        options.snapshots.everyMilliseconds = Int64(configuration.snapshotMilliseconds)
        options.snapshots.everyWriteCount = configuration.snapshotWriteCount
        options.snapshots.keepCount = configuration.snapshotKeepCount
        options.snapshots.level = configuration.snapshotLevel
        options.snapshots.isTakenAtStop = configuration.snapshotAtStop
        if configuration.durability.hasPrefix("interval:") {
            let text = String(configuration.durability.dropFirst("interval:".count))
            guard let milliseconds = SettingUnits.milliseconds(text), milliseconds > 0 else {
                throw Failure(
                    status: .usage, text: "serve: --durability is commit or interval:1s")
            }
            options.durability = .interval(milliseconds: milliseconds)
        }
        return options
    }

    /// Listens at once, opens the directory behind that, and serves.
    private func serve(_ configuration: ServerConfiguration) throws {
        let options = try options(configuration)
        let level = Logger.Level(rawValue: configuration.logLevel) ?? .info
        let logger = Logger(label: "aisle") { JSONLogHandler(label: $0, level: level) }
        let store: LogStore
        do {
            store = try LogStore(StoreOptions(directory: configuration.data))
        } catch {
            throw Failure(
                status: .unreachable, text: "serve: \(StoreText.text(error, configuration.data))")
        }
        let progress = StartProgress()
        let door = EngineDoor(store: store, progress: progress)
        let server: AisleServer
        do {
            server = try AisleServer(
                configuration: configuration, hooks: door.hooks(), logger: logger,
                factory: { _, _ in door.makeHandler() })
        } catch {
            throw Failure(status: .unreachable, text: "serve: \(Self.text(error))")
        }
        server.setLoading(true)
        let watcher = SignalWatcher(server)
        let ended = DispatchSemaphore(value: 0)
        let problem = Mutex<String?>(nil)
        let opened = Mutex<EngineService?>(nil)
        Task {
            do throws(ServerError) {
                let addresses = try await server.start()
                do throws(StoreError) {
                    let service = EngineService(
                        try Engine(options, store: store, progress: progress))
                    service.engine.shared.updateSettings {
                        $0.retentionByteCount = configuration.retentionBytes
                    }
                    service.saveOptions(configuration)
                    opened.withLock { $0 = service }
                    // A stop that began meanwhile has ended the loops.
                    if !server.isStopping {
                        await admit(server, service, door, addresses, logger)
                    }
                } catch {
                    let text = StoreText.text(error, options.directory)
                    problem.withLock { $0 = text }
                    server.beginShutdown(save: false)
                }
                await server.waitUntilStopped()
            } catch {
                problem.withLock { $0 = Self.text(error) }
            }
            ended.signal()
        }
        ended.wait()
        withExtendedLifetime(watcher) {}
        if let service = opened.withLock({ $0 }) {
            service.dropHandlers()
            service.close()
        }
        if let text = problem.withLock({ $0 }) {
            throw Failure(status: .unreachable, text: "serve: \(text)")
        }
    }

    /// The engine is open: its own handlers take over, and the world is told.
    private func admit(
        _ server: AisleServer, _ service: EngineService, _ door: EngineDoor,
        _ addresses: [String], _ logger: Logger
    ) async {
        await server.replaceHandlers { service.makeHandler(loopIndex: $0, loop: $1) }
        door.open(service)
        server.setLoading(false)
        let recovery = service.engine.recovery
        for note in recovery.notes { logger.warning("\(note)") }
        // Written at once: a buffered line would not reach whoever waits for it.
        let line =
            "ready \(addresses.joined(separator: " ")) "
            + "(\(recovery.documentCount) documents, \(recovery.milliseconds) ms)\n"
        FileHandle.standardOutput.write(Data(line.utf8))
    }
}

/// What the store's errors mean to a person at a terminal.
enum StoreText {
    static func text(_ error: StoreError, _ directory: String) -> String {
        switch error {
        case .locked: "\(directory) is open in another process"
        case .notFound: "there is no data in \(directory)"
        case .invalidPath: "\(directory) cannot be a data directory"
        case .full: "no space is left for \(directory)"
        case .formatTooNew(let found, let known):
            "\(directory) has format \(found); this version knows formats up to \(known)"
        case .corrupt(let what): "\(directory) is damaged: \(what); try aisle verify"
        case .io(let code), .failed(let code): "\(directory): \(String(cString: strerror(code)))"
        case .readOnly: "\(directory) cannot be written"
        case .tooLarge, .tooManyReaders: "\(directory): \(error)"
        }
    }
}
