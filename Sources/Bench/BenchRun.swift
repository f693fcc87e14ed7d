package import Client
import Glibc
import Histogram
import Importer

/// What `aisle bench` is told.
package struct BenchOptions: Sendable {
    /// A system to measure beside the server.
    package enum Peer: Sendable, Equatable {
        case redis(Endpoint)
        case postgres(url: String)
    }

    /// Names of scenarios; empty for all.
    package var scenarios: [String] = []
    package var records = 100_000
    /// Overrides every scenario's own number.
    package var connections: Int?
    /// Overrides every scenario's own number.
    package var pipeline: Int?
    /// Requests per second in all: an open loop.
    package var rate: Double?
    package var seconds = 3.0
    package var reportPath: String?
    package var jsonPath: String?
    package var peer: Peer?
    /// The server's process; nil means: ask `INFO`.
    package var pid: Int?
    /// A shell command that restarts the server, run before each scenario.
    package var restartCommand: String?
    package var collection = "bench_products"
    package var seed: UInt64 = 1
    package var client = ClientConfiguration()
    /// A second way to the same server, measured beside the first one where one client is timed.
    package var second: Endpoint?

    package init() {}
}

/// One line of the report. Times are microseconds.
package struct BenchRow: Sendable {
    package var name: String
    package var title: String
    package var connections: Int
    package var rate: Double
    package var p50: Double
    package var p90: Double
    package var p99: Double
    package var p999: Double
    /// Server CPU for each request; nil when its process cannot be seen.
    package var cpuPerRequest: Double?
    package var errorCount = 0
    package var firstError: String?
    /// The 99th percentile's budget; nil where only the rate counts.
    package var tailBudget: Double?
    /// The median's budget: shown, not judged.
    package var medianBudget: Double?
    package var rateBudget: Double?
    /// p50 over the second endpoint.
    package var secondP50: Double?
    /// Pairs of percentile and microseconds, for the plot.
    package var curve: [(percentile: Double, microseconds: Double)] = []
    /// The peer's row.
    package var peerRate: Double?
    package var peerP50: Double?

    /// Whether a lookup's tail keeps its budget, and nothing was answered with an error.
    package var isPassed: Bool {
        errorCount == 0 && (tailBudget.map { p99 <= $0 } ?? true)
    }
}

/// Runs the scenarios.
package final class BenchRun {
    private let options: BenchOptions
    private let log: (String) -> Void
    private var pid: Int?
    private let requests: Requests

    /// Prepares a run; `log` gets a line for each step.
    package init(_ options: BenchOptions, log: @escaping (String) -> Void) {
        self.options = options
        self.log = log
        requests = Requests(
            collection: options.collection,
            records: options.records,
            seed: options.seed
        )
    }

    /// Measures every chosen scenario.
    ///
    /// - Throws: ``BenchError``.
    package func run() throws(BenchError) -> [BenchRow] {
        var chosen = Scenario.all
        if !options.scenarios.isEmpty {
            chosen = []
            for name in options.scenarios {
                guard let scenario = Scenario.all.first(where: { $0.name == name }) else {
                    throw .unknownScenario(name)
                }
                chosen.append(scenario)
            }
        }
        pid = options.pid
        if pid == nil { pid = try serverPID() }
        if chosen.contains(where: { !$0.name.hasPrefix("ping") && $0.kind != .bulkLoad }) {
            try prepare()
        }
        var rows: [BenchRow] = []
        for scenario in chosen {
            if let command = options.restartCommand { try restart(command) }
            log("\(scenario.name): \(scenario.title)")
            rows.append(try measure(scenario))
        }
        if let peer = options.peer { try PeerRun(options, requests, log).add(peer, to: &rows) }
        return rows
    }

    // MARK: Set-up

    private func connect() throws(BenchError) -> Connection {
        do {
            return try Connection(options.client)
        } catch {
            throw .connection(error)
        }
    }

    static func call(_ connection: Connection, _ words: [String]) throws(BenchError) -> Reply {
        let reply: Reply
        do {
            reply = try connection.call(words)
        } catch {
            throw .connection(error)
        }
        if let text = reply.errorText { throw .refused(command: words[0], reply: text) }
        return reply
    }

    private func serverPID() throws(BenchError) -> Int? {
        let connection = try connect()
        guard let info = try? Self.call(connection, ["INFO", "server"]).text else { return nil }
        for line in info.split(whereSeparator: \.isNewline) where line.hasPrefix("process_id:") {
            return Int(line.dropFirst("process_id:".count))
        }
        return nil
    }

    private func count(_ connection: Connection, _ collection: String) throws(BenchError) -> Int? {
        do throws(BenchError) {
            return try Self.call(connection, ["COUNT", collection, "{}"]).int
        } catch {
            if case .refused(_, let reply) = error, reply.hasPrefix("NOTFOUND") { return nil }
            throw error
        }
    }

    private func prepare() throws(BenchError) {
        let connection = try connect()
        let found = try count(connection, options.collection)
        guard found != options.records else { return }
        log("loading \(grouped(options.records)) products into \(options.collection)")
        if found != nil { _ = try Self.call(connection, ["DROP", options.collection]) }
        let summary = try load(into: options.collection, seed: options.seed)
        log("loaded at \(grouped(Int(summary.rate)))/s")
    }

    /// Makes products, writes them to a temporary file and loads that.
    private func load(into collection: String, seed: UInt64) throws(BenchError) -> LoadSummary {
        let path = try Self.writeProducts(records: options.records, seed: seed)
        defer { unlink(path) }
        return try Self.load(path, into: collection, client: options.client)
    }

    static func load(_ path: String, into collection: String, client: ClientConfiguration)
        throws(BenchError) -> LoadSummary
    {
        let connection: Connection
        do {
            connection = try Connection(client)
        } catch {
            throw .connection(error)
        }
        _ = try call(connection, ["CREATE", collection, Requests.schema])
        var loading = LoadOptions(collection: collection, input: path)
        loading.client = client
        let summary: LoadSummary
        do {
            summary = try Loader(loading, showProgress: false).run()
        } catch {
            throw .load("\(error)")
        }
        if summary.rejectedCount > 0 {
            throw .load("\(summary.rejectedCount) rows rejected: \(loading.rejectsPath)")
        }
        return summary
    }

    /// A temporary file of products; the caller removes it.
    static func writeProducts(records: Int, seed: UInt64) throws(BenchError) -> String {
        let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        let path = "\(folder)/aisle-bench-\(getpid()).jsonl"
        guard let file = fopen(path, "w") else {
            throw .file(path: path, reason: String(cString: strerror(errno)))
        }
        defer { fclose(file) }
        let generator = Generator(kind: .products, seed: seed)
        let queue = ByteQueue(capacity: 1 << 20)
        for index in 0..<records {
            generator.append(index, to: queue)
            queue.append(byte: 0x0A)
            if queue.count > 512 << 10 || index == records - 1 {
                guard fwrite(queue.bytes.baseAddress, 1, queue.count, file) == queue.count else {
                    throw .file(path: path, reason: String(cString: strerror(errno)))
                }
                queue.removeAll()
            }
        }
        return path
    }

    private func restart(_ command: String) throws(BenchError) {
        log("restarting the server")
        guard system(command) == 0 else { throw .peer("`\(command)` failed") }
        for _ in 0..<600 {
            if let connection = try? Connection(options.client),
                (try? connection.call("PING"))?.errorText == nil
            {
                pid = options.pid
                if pid == nil { pid = try serverPID() }
                return
            }
            usleep(100_000)
        }
        throw .peer("the server does not answer within a minute of its restart")
    }

    // MARK: Measuring

    private func measure(_ scenario: Scenario) throws(BenchError) -> BenchRow {
        switch scenario.kind {
        case .requests: return try measureRequests(scenario)
        case .bulkLoad: return try measureLoad(scenario)
        case .lookupsWhileLoading: return try measureWhileLoading(scenario)
        }
    }

    private func plan(_ scenario: Scenario) throws(BenchError) -> LoadPlan {
        var encoded: [[UInt8]]
        if scenario.name == "page-cursor" {
            let connection = try connect()
            var cursors: [String] = []
            for words in requests.pagesForCursors() {
                if let cursor = try Self.call(connection, words)["cursor"]?.text {
                    cursors.append(cursor)
                }
            }
            guard !cursors.isEmpty else {
                throw .refused(command: "FIND", reply: "no cursor, though there are more pages")
            }
            encoded = requests.pages(after: cursors)
        } else {
            encoded = requests.requests(for: scenario.name)
        }
        var plan = LoadPlan(requests: encoded)
        plan.connections = options.connections ?? scenario.connections
        plan.pipeline = options.pipeline ?? scenario.pipeline
        plan.rate = options.rate
        plan.seconds = options.seconds
        return plan
    }

    private func measureRequests(_ scenario: Scenario) throws(BenchError) -> BenchRow {
        let plan = try plan(scenario)
        let before = pid.flatMap(ProcessTime.seconds)
        let started = LoadRun.now()
        let result = try plan.run(client: options.client, threadCount: plan.connections > 8 ? 2 : 1)
        let elapsed = Double(LoadRun.now() - started) / 1e9
        let after = pid.flatMap(ProcessTime.seconds)
        var row = Self.row(scenario, result, plan, records: options.records)
        if let before, let after, result.rate > 0 {
            // The warm-up used CPU too; requests came at the same rate then.
            row.cpuPerRequest = (after - before) * 1e6 / (result.rate * elapsed)
        }
        if let second = options.second, plan.connections == 1 {
            var client = options.client
            client.endpoint = second
            let beside = try plan.run(client: client, threadCount: 1)
            row.secondP50 = Double(beside.latencies.valueAtPercentile(50)) / 1e3
        }
        return row
    }

    static func row(_ scenario: Scenario, _ result: LoadResult, _ plan: LoadPlan, records: Int)
        -> BenchRow
    {
        func at(_ percentile: Double) -> Double {
            Double(result.latencies.valueAtPercentile(percentile)) / 1e3
        }
        let percentiles = [1.0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99]
        var row = BenchRow(
            name: scenario.name,
            title: scenario.title,
            connections: plan.connections,
            rate: result.rate,
            p50: at(50),
            p90: at(90),
            p99: at(99),
            p999: at(99.9)
        )
        row.errorCount = result.errorCount
        row.firstError = result.firstError
        row.tailBudget = scenario.tailBudget(records: records)
        row.medianBudget = scenario.medianBudget(records: records)
        row.rateBudget = scenario.rateBudget(records: records)
        row.curve = percentiles.map { ($0, at($0)) }
        return row
    }

    private func measureLoad(_ scenario: Scenario) throws(BenchError) -> BenchRow {
        let collection = options.collection + "_load"
        let connection = try connect()
        if try count(connection, collection) != nil {
            _ = try Self.call(connection, ["DROP", collection])
        }
        let before = pid.flatMap(ProcessTime.seconds)
        let summary = try load(into: collection, seed: options.seed)
        let after = pid.flatMap(ProcessTime.seconds)
        _ = try Self.call(connection, ["DROP", collection])
        var row = BenchRow(
            name: scenario.name,
            title: scenario.title,
            connections: 4,
            rate: summary.rate,
            p50: 0,
            p90: 0,
            p99: 0,
            p999: 0
        )
        row.rateBudget = scenario.rateBudget(records: options.records)
        if let before, let after, summary.loadedCount > 0 {
            row.cpuPerRequest = (after - before) * 1e6 / Double(summary.loadedCount)
        }
        return row
    }

    private func measureWhileLoading(_ scenario: Scenario) throws(BenchError) -> BenchRow {
        let collection = options.collection + "_load"
        let connection = try connect()
        if try count(connection, collection) != nil {
            _ = try Self.call(connection, ["DROP", collection])
        }
        let path = try Self.writeProducts(records: options.records, seed: options.seed)
        defer { unlink(path) }
        let state = Shared<(isDone: Bool, error: BenchError?)>((false, nil))
        let client = options.client
        let loader = Workers.start {
            do throws(BenchError) {
                _ = try Self.load(path, into: collection, client: client)
                state.with { $0.isDone = true }
            } catch {
                state.with { $0 = (true, error) }
            }
        }
        var plan = try plan(scenario)
        plan.seconds = 0.25
        plan.warmupSeconds = 0
        var result = LoadResult()
        var seconds = 0.0
        while !state.with({ $0.isDone }) {
            let part = try plan.run(client: client, threadCount: 1)
            seconds += part.seconds
            result.merge(part)
        }
        loader.join()
        result.seconds = seconds
        if let error = state.with({ $0.error }) { throw error }
        _ = try Self.call(connection, ["DROP", collection])
        return Self.row(scenario, result, plan, records: options.records)
    }
}
