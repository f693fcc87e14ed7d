import ArgumentParser
import Client
import DocumentStore
import Engine
import Glibc
import Primitives
import Server
import Snapshot

/// `aisle snapshot`: snapshots of a running server, and files of them.
struct SnapshotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Take, list, check and drop snapshots.",
        discussion: """
            create, list, verify and drop talk to a running server; inspect reads a file.

            Example: aisle snapshot create before-sale
            """,
        subcommands: [
            SnapshotCreate.self, SnapshotList.self, SnapshotVerify.self, SnapshotInspect.self,
            SnapshotDrop.self,
        ]
    )
}

/// What the subcommands that talk to a server share.
enum SnapshotClient {
    static func connect(_ options: ConnectionOptions) throws -> Connection {
        do {
            return try Connection(try options.client())
        } catch let error as ClientError {
            throw Failure(status: .unreachable, text: "snapshot: \(error)")
        }
    }

    static func call(_ connection: Connection, _ words: [String]) throws -> Reply {
        let reply: Reply
        do {
            reply = try connection.call(words)
        } catch {
            throw Failure(status: .unreachable, text: "snapshot: \(error)")
        }
        if let error = reply.errorText {
            throw Failure(status: .partial, text: "snapshot: \(error)")
        }
        return reply
    }

    /// The value of a key of a map, in either protocol's form.
    static func value(_ reply: Reply, _ key: String) -> Reply? {
        switch reply {
        case .map(let pairs): return pairs.first { $0.key.text == key }?.value
        case .array(let items):
            for index in stride(from: 0, to: items.count - 1, by: 2)
            where items[index].text == key { return items[index + 1] }
            return nil
        default: return nil
        }
    }

    /// Runs a command that begins a job, and waits for the job.
    static func run(_ options: ConnectionOptions, _ words: [String]) throws {
        let connection = try connect(options)
        guard let id = try call(connection, words).int else {
            throw Failure(status: .partial, text: "snapshot: the server gave no job")
        }
        let isTerminal = isatty(2) == 1
        while true {
            guard case .array(let jobs) = try call(connection, ["JOBS"]),
                let job = jobs.first(where: { value($0, "id")?.int == id })
            else { throw Failure(status: .partial, text: "snapshot: job \(id) is gone") }
            let (done, total) = (value(job, "done")?.int ?? 0, value(job, "of")?.int ?? 0)
            if isTerminal, total > 0 { show(done, total) }
            let state = value(job, "state")?.text
            if state != "running" {
                if isTerminal { _ = write(2, "\n", 1) }
                let text = value(job, "text")?.text ?? ""
                guard state == "done" else {
                    throw Failure(status: .partial, text: "snapshot: \(text)")
                }
                return print(text)
            }
            usleep(100_000)
        }
    }

    /// A bar of twenty places on standard error.
    static func show(_ done: Int, _ total: Int) {
        let share = min(20, done * 20 / max(1, total))
        let bar = String(repeating: "#", count: share) + String(repeating: ".", count: 20 - share)
        let text = Array("\r[\(bar)] \(done >> 20) of \(total >> 20) MiB ".utf8)
        _ = write(2, text, text.count)
    }
}

struct SnapshotCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Take a snapshot and wait for it.")

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: "Its name; made of the time where none is given.")
    var name: String?

    @Flag(help: "Hold only what was written since the newest one, where that is smaller.")
    var incremental = false

    func run() throws {
        try SnapshotClient.run(
            connection,
            ["SNAPSHOT", "CREATE"] + (name.map { [$0] } ?? [])
                + (incremental ? ["INCREMENTAL"] : []))
    }
}

struct SnapshotList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the server's snapshots, newest first.")

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        let connection = try SnapshotClient.connect(connection)
        let reply = try SnapshotClient.call(connection, ["SNAPSHOT", "LIST"])
        guard case .array(let items) = reply else { return }
        for item in items {
            let words = ["name", "version", "created", "bytes", "documents", "state", "base"].map {
                key in
                let value = SnapshotClient.value(item, key)
                return value?.text ?? value?.int.map { "\($0)" } ?? ""
            }
            print(words.joined(separator: "\t"))
        }
    }
}

struct SnapshotVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every byte of a snapshot: of a running server, or a file.",
        discussion: "Exit status 1 when something is wrong.")

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "The name is a file's path, read without a server.")
    var file = false

    @Argument(help: "The snapshot's name, or its path.")
    var name: String

    func run() throws {
        guard file else {
            return try SnapshotClient.run(connection, ["SNAPSHOT", "VERIFY", name])
        }
        let opened = try SnapshotFiles.open(name)
        do {
            try SnapshotChain(path: name).verify()
        } catch let error as SnapshotError {
            throw Failure(status: .partial, text: SnapshotFiles.text(error, name))
        }
        print("\(name): \(opened.sections.count) sections, \(opened.fileByteCount) bytes, all good")
    }
}

struct SnapshotInspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show what a snapshot's file holds.")

    @Argument(help: "The file's path.")
    var path: String

    func run() throws {
        let file = try SnapshotFiles.open(path)
        let header = file.header
        print("version \(header.version.rawValue), \(header.partitionCount) partitions")
        print("created \(header.createdMilliseconds) ms after 1970")
        if let origin = try? file.origin() {
            print("goes on from \(origin.name), version \(origin.version.rawValue)")
        } else {
            print(header.hasEntries ? "holds the log: can stand alone" : "indexes alone")
        }
        print("kind\tcollection\tpartition\tfield\tbytes\tstored")
        for section in file.sections {
            let id = section.id
            let kind = SectionKind(rawValue: id.kind).map { "\($0)" } ?? "\(id.kind)"
            print(
                "\(kind)\t\(id.collection)\t\(id.partition)\t\(id.field)\t"
                    + "\(section.byteCount)\t\(section.storedByteCount)")
        }
    }
}

struct SnapshotDrop: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop", abstract: "Remove a snapshot.")

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: "The snapshot's name.")
    var name: String

    func run() throws { try SnapshotClient.run(connection, ["SNAPSHOT", "DROP", name]) }
}

/// `aisle restore`: a data directory from a snapshot's file.
struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make a data directory of a snapshot's file.",
        discussion: """
            The directory must be new or empty. --at takes a version or a time: as \
            2026-11-21T20:00:00Z or 2026-11-21, or as milliseconds since 1970 (a number from \
            100,000,000,000 on, or any with ms behind it). Settings that belong to the data, such \
            as retention, come with it in aisle.conf; flags and the environment go before them.

            Example: aisle restore before-sale.snap --data /var/lib/aisle
            """
    )

    @Argument(help: "The snapshot's file.")
    var file: String

    @Option(help: "The data directory to make.")
    var data: String

    @Option(help: "Restore an earlier moment: a version or a time.")
    var at: String?

    func run() throws {
        var moment = SnapshotMoment.end
        if let at {
            guard let parsed = SnapshotMoment(at) else {
                throw Failure(
                    status: .usage,
                    text: "restore: --at is a version, a time as 2026-11-21T20:00:00Z, or "
                        + "milliseconds since 1970")
            }
            moment = parsed
        }
        let isTerminal = isatty(2) == 1
        do {
            let report = try DirectoryRestore(
                path: file, directory: data, moment: moment,
                configurationText: { ServerConfiguration.restoredText($0) }
            ).run { done, total in
                if isTerminal { SnapshotClient.show(done, total) }
            }
            if isTerminal { _ = write(2, "\n", 1) }
            print(
                "\(report.entryCount) entries, \(report.vectorCount) vectors, version "
                    + "\(report.version.rawValue)")
        } catch let error as SnapshotError {
            throw Failure(status: .unreachable, text: SnapshotFiles.text(error, file))
        } catch let error as StoreError {
            throw Failure(status: .unreachable, text: "restore: \(StoreText.text(error, data))")
        } catch let error as EngineError {
            throw Failure(status: .unreachable, text: "restore: \(error.line)")
        }
    }
}

/// Files of snapshots, for people.
enum SnapshotFiles {
    static func open(_ path: String) throws -> SnapshotFile {
        do throws(SnapshotError) {
            return try SnapshotFile(path: path)
        } catch {
            throw Failure(status: .unreachable, text: text(error, path))
        }
    }

    static func text(_ error: SnapshotError, _ path: String) -> String {
        switch error {
        case .io(let code): "\(path): \(String(cString: strerror(code)))"
        case .full: "\(path): no space is left"
        case .foreign: "\(path) is not a snapshot, or not a whole one"
        case .formatTooNew(let found, let known):
            "\(path) has format \(found); this version knows formats up to \(known)"
        case .damaged(let part): "\(path) is damaged: \(part.text)"
        case .outOfMemory: "\(path): out of memory"
        case .baseMissing(let base):
            "\(path) goes on from \(base), which is not in the same folder"
        case .baseOther(let base):
            "\(path) goes on from \(base), but the file of that name is another one"
        }
    }
}
