import ArgumentParser
import Bench
import Client

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure a running server.",
        discussion: """
            Loads generated products into the collection bench_products when it is absent or has \
            another count, then runs scenarios and judges each by its budget; the status is 1 when \
            a 99th percentile misses. One-client medians are meant to be taken over --unix; the \
            TCP address is then measured beside it.

            Scenarios: \(Scenario.names.joined(separator: ", "))

            Example:
              aisle bench filter-sort facets --unix /run/aisle.sock --report bench.html
            """
    )

    @Argument(help: "Scenarios. (default: all)")
    var scenarios: [String] = []

    @Option(help: "Products in the collection.")
    var records = 100_000

    @Option(help: "Connections. (default: the scenario's own)")
    var connections: Int?

    @Option(help: "Requests under way on a connection. (default: the scenario's own)")
    var pipeline: Int?

    @Option(help: "Requests per second in all, sent when they are due. (default: closed loop)")
    var rate: Double?

    @Option(help: "Seconds for each scenario.")
    var seconds = 3.0

    @Option(help: "Write an HTML page.")
    var report: String?

    @Option(help: "Write JSON.")
    var json: String?

    @Option(help: "redis, redis=HOST:PORT, redis=/PATH or postgres=URL: the same work on a peer.")
    var against: String?

    @Option(help: "The server's process. (default: what INFO says)")
    var pid: Int?

    @Option(help: "A command that restarts the server, run before each scenario.")
    var restartCommand: String?

    @Option(help: "Seed of the products and requests.")
    var seed: UInt64 = 1

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard records > 0 else { throw ValidationError("--records takes 1 or more") }
        guard seconds > 0 else { throw ValidationError("--seconds takes more than 0") }
        if let rate, rate <= 0 { throw ValidationError("--rate takes more than 0") }
        if let connections, !(1...10_000).contains(connections) {
            throw ValidationError("--connections takes 1 to 10000")
        }
        if let pipeline, !(1...10_000).contains(pipeline) {
            throw ValidationError("--pipeline takes 1 to 10000")
        }
    }

    func run() throws {
        var options = BenchOptions()
        options.scenarios = scenarios
        options.records = records
        options.connections = connections
        options.pipeline = pipeline
        options.rate = rate
        options.seconds = seconds
        options.reportPath = report
        options.jsonPath = json
        options.pid = pid
        options.restartCommand = restartCommand
        options.seed = seed
        options.client = try connection.client()
        options.peer = try against.map(Self.peer)
        if connection.unix != nil {
            let second = Endpoint.tcp(host: connection.host, port: connection.port)
            var client = options.client
            client.endpoint = second
            if (try? Connection(client)) != nil { options.second = second }
        }
        let measured: BenchReport
        do {
            measured = BenchReport(
                rows: try BenchRun(options, log: complain).run(),
                options: options
            )
            try measured.write(options)
        } catch BenchError.unknownScenario(let name) {
            throw Failure(status: .usage, text: "\(BenchError.unknownScenario(name))")
        } catch {
            throw Failure(status: .unreachable, text: "aisle bench: \(error)")
        }
        print(measured.table, terminator: "")
        if !measured.isPassed { throw ExitCode(Failure.Status.partial.rawValue) }
    }

    private static func peer(_ text: String) throws -> BenchOptions.Peer {
        if text == "redis" { return .redis(.tcp(host: "127.0.0.1", port: 6379)) }
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2 else {
            throw Failure(status: .usage, text: "--against takes redis, redis=… or postgres=URL")
        }
        switch parts[0] {
        case "redis" where parts[1].hasPrefix("/"): return .redis(.unix(path: parts[1]))
        case "redis":
            let words = parts[1].split(separator: ":").map(String.init)
            guard words.count == 2, let port = UInt16(words[1]) else {
                throw Failure(status: .usage, text: "`\(parts[1])` is not HOST:PORT")
            }
            return .redis(.tcp(host: words[0], port: port))
        case "postgres": return .postgres(url: parts[1])
        default: throw Failure(status: .usage, text: "no peer is called \(parts[0])")
        }
    }
}
