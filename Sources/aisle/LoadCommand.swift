import ArgumentParser
import Glibc
import Importer

struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Load JSON Lines or CSV into a collection.",
        discussion: """
            Reads plain, gzip and zstd files, or standard input for `-`. Rows that are refused go \
            to FILE.rejects.jsonl with their line and the reason, and the status is then 1. A load \
            that was interrupted goes on with --resume.

            Opening hours that come as text ("Mon: 10-9:30; Tue: ...") are read where the field's \
            type is hours. Their time zone is the row's `timezone`, or --timezone, or that of its \
            `state` in the United States.

            Example:
              aisle load products products.jsonl.zst --schema products.json
            """
    )

    @Argument(help: "The collection.")
    var collection: String

    @Argument(help: "The file, or - for standard input.")
    var file: String

    @Option(help: "Make the collection with this schema file if there is none.")
    var schema: String?

    @Option(help: "The field that holds the id. (default: id, or else _id)")
    var id: String?

    @Option(help: "FIELD=FILE.npy: vectors, f16 or f32, one row for each row of the input.")
    var vectors: [String] = []

    @Option(help: "FIELD=FILE.txt: one id on each line names the rows of FIELD's vectors.")
    var vectorIds: [String] = []

    @Option(help: "jsonl or csv. (default: told from the file's name)")
    var format: LoadOptions.Format?

    @Option(
        help: "Time zone of opening hours that come as text, where a row has no `timezone`.")
    var timezone: String?

    @Option(help: "Requests under way on each connection.")
    var batch = 1_000

    @Option(help: "Connections.")
    var connections = 4

    @Flag(help: "Go on after the last row that an interrupted load had acknowledged.")
    var resume = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard (1...100_000).contains(batch) else {
            throw ValidationError("--batch takes 1 to 100000")
        }
        guard (1...256).contains(connections) else {
            throw ValidationError("--connections takes 1 to 256")
        }
        if let timezone, !HoursConverter.isZone(timezone) {
            throw ValidationError(
                "--timezone takes a name of tzdata such as America/Chicago, not `\(timezone)`")
        }
    }

    func run() throws {
        var options = LoadOptions(collection: collection, input: file)
        options.schemaPath = schema
        options.idField = id
        options.format = format
        options.timezone = timezone
        options.batch = batch
        options.connections = connections
        options.resume = resume
        options.client = try connection.client()
        var names = try Dictionary(
            vectorIds.map(Self.pair),
            uniquingKeysWith: { _, last in last }
        )
        for (field, path) in try vectors.map(Self.pair) {
            let ids = names.removeValue(forKey: field)
            options.vectors.append(.init(field: field, path: path, idsPath: ids))
        }
        guard names.isEmpty else {
            throw Failure(status: .usage, text: "--vector-ids needs --vectors of the same field")
        }
        let summary: LoadSummary
        do {
            summary = try Loader(options).run()
        } catch {
            throw Failure(
                status: .unreachable,
                text: "aisle load: \(error)\(Self.hint(error, options))"
            )
        }
        report(summary, options)
        if summary.rejectedCount > 0 { throw ExitCode(Failure.Status.partial.rawValue) }
    }

    /// What to do next, if that is plain.
    private static func hint(_ error: any Error, _ options: LoadOptions) -> String {
        if case LoadError.refused(let reply) = error, reply.hasPrefix("NOTFOUND "),
            options.schemaPath == nil
        {
            return "; --schema FILE makes it here"
        }
        guard let path = options.statePath, access(path, F_OK) == 0 else { return "" }
        return "; once that is mended, go on with --resume"
    }

    private func report(_ summary: LoadSummary, _ options: LoadOptions) {
        let seconds = Double(Int(summary.elapsed.seconds * 100)) / 100
        var line = "\(grouped(summary.loadedCount)) rows loaded in \(seconds) s"
        line += ", \(grouped(Int(summary.rate)))/s"
        if summary.skippedCount > 0 { line += ", \(grouped(summary.skippedCount)) were there" }
        if summary.retriedCount > 0 { line += ", \(grouped(summary.retriedCount)) sent twice" }
        print(line)
        if let hours = summary.hours { report(hours) }
        if summary.rejectedCount > 0 {
            print("\(grouped(summary.rejectedCount)) rows rejected: see \(options.rejectsPath)")
        }
    }

    /// What became of opening hours that came as text; nothing where none did.
    private func report(_ hours: HoursConverter.Counts) {
        var parts: [String] = []
        func add(_ count: Int, _ text: String) {
            if count > 0 { parts.append("\(grouped(count)) \(text)") }
        }
        add(hours.readCount, "read")
        add(hours.todayCount, "of them told of one day and were taken for every day")
        add(hours.nothingCount, "said nothing")
        add(hours.zonelessCount, "had no time zone: see --timezone")
        add(hours.unreadableCount, "could not be read")
        add(hours.unknownZoneCount, "named a time zone that there is not")
        if parts.isEmpty { return }
        print("opening hours: " + parts.joined(separator: ", "))
        for (line, text) in hours.unreadable + hours.unknownZones {
            print("  line \(line): \(text)")
        }
    }

    private static func pair(_ text: String) throws -> (String, String) {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2 else {
            throw Failure(status: .usage, text: "`\(text)` is not FIELD=FILE")
        }
        return (parts[0], parts[1])
    }
}

extension LoadOptions.Format: ExpressibleByArgument {}
