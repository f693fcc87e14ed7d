import Client
import Glibc
import Histogram
import Importer

/// The same work on a peer, where there is one that does it.
struct PeerRun {
    private let options: BenchOptions
    private let requests: Requests
    private let log: (String) -> Void

    init(_ options: BenchOptions, _ requests: Requests, _ log: @escaping (String) -> Void) {
        self.options = options
        self.requests = requests
        self.log = log
    }

    /// Adds the peer's figures to the rows that it can answer.
    func add(_ peer: BenchOptions.Peer, to rows: inout [BenchRow]) throws(BenchError) {
        switch peer {
        case .redis(let endpoint): try addRedis(endpoint, to: &rows)
        case .postgres(let url): try addPostgres(url, to: &rows)
        }
    }

    // MARK: Redis: PING, GET, MGET, SET

    private func addRedis(_ endpoint: Endpoint, to rows: inout [BenchRow]) throws(BenchError) {
        let client = ClientConfiguration(endpoint: endpoint)
        let connection: Connection
        do {
            connection = try Connection(client)
            log("redis: setting \(grouped(options.records)) keys")
            let generator = Generator(kind: .products, seed: options.seed)
            let document = ByteQueue()
            for start in stride(from: 0, to: options.records, by: 1_000) {
                let end = min(start + 1_000, options.records)
                for index in start..<end {
                    document.removeAll()
                    generator.append(index, to: document)
                    connection.output.appendRequest(wordCount: 3)
                    connection.output.appendBulk("SET")
                    connection.output.appendBulk(Requests.id(index))
                    connection.output.appendBulk(document.bytes)
                }
                for _ in start..<end { _ = try connection.receive() }
            }
        } catch {
            throw .connection(error)
        }
        for index in rows.indices {
            guard let scenario = Scenario.all.first(where: { $0.name == rows[index].name }),
                let encoded = redisRequests(scenario.name)
            else { continue }
            log("redis: \(scenario.name)")
            var plan = LoadPlan(requests: encoded)
            plan.connections = options.connections ?? scenario.connections
            plan.pipeline = options.pipeline ?? scenario.pipeline
            plan.rate = options.rate
            plan.seconds = options.seconds
            let result = try plan.run(client: client, threadCount: plan.connections > 8 ? 2 : 1)
            rows[index].peerRate = result.rate
            rows[index].peerP50 = Double(result.latencies.valueAtPercentile(50)) / 1e3
        }
    }

    private func redisRequests(_ name: String) -> [[UInt8]]? {
        switch name {
        case "ping", "ping-p16": return requests.requests(for: name)
        case "fetch", "fetch-p16":
            return keys(4_096).map { Requests.encode(["GET", $0]) }
        case "mfetch-50":
            return (0..<256).map { _ in Requests.encode(["MGET"] + keys(50)) }
        case "put": return requests.puts(verb: ["SET"])
        default: return nil
        }
    }

    private func keys(_ count: Int) -> [String] {
        var random = GeneratorRandom(seed: options.seed, index: UInt64(count))
        return (0..<count).map { _ in Requests.id(random.below(options.records)) }
    }

    // MARK: PostgreSQL: through psql and pgbench

    private static let setUp = """
        DROP TABLE IF EXISTS aisle_bench;
        CREATE TABLE aisle_bench (id text PRIMARY KEY, category text, brand text,
          price numeric(12,2), tags text[], doc jsonb NOT NULL);
        CREATE TEMP TABLE raw (doc jsonb);
        \\copy raw FROM '%s' WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')
        INSERT INTO aisle_bench SELECT doc->>'id', doc->>'category', doc->>'brand',
          (doc->>'price')::numeric, ARRAY(SELECT jsonb_array_elements_text(doc->'tags')), doc
          FROM raw;
        CREATE INDEX ON aisle_bench (category, price, id);
        CREATE INDEX ON aisle_bench (price, id);
        CREATE INDEX ON aisle_bench USING gin (tags);
        ANALYZE aisle_bench;
        """

    private func addPostgres(_ url: String, to rows: inout [BenchRow]) throws(BenchError) {
        let path = try BenchRun.writeProducts(records: options.records, seed: options.seed)
        defer { unlink(path) }
        log("postgres: loading \(grouped(options.records)) products")
        let parts = Self.setUp.split(separator: "%s", maxSplits: 1).map(String.init)
        let script = parts.joined(separator: path)
        let file = path + ".sql"
        defer { unlink(file) }
        try Self.write(script, to: file)
        guard try Self.shell("psql \(Self.quote(url)) -q -v ON_ERROR_STOP=1 -f \(file)") != nil
        else { throw .peer("psql failed: is PostgreSQL's client there, and the server up?") }
        for index in rows.indices {
            guard let sql = postgresScript(rows[index].name) else { continue }
            log("postgres: \(rows[index].name)")
            try Self.write(sql, to: file)
            let clients = options.connections ?? rows[index].connections
            let command =
                "pgbench \(Self.quote(url)) -n -M prepared -f \(file) -c \(clients) -j 1 "
                + "-T \(max(Int(options.seconds), 1)) 2>/dev/null"
            guard let text = try Self.shell(command) else { throw .peer("pgbench failed") }
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                if line.hasPrefix("latency average"), words.count > 3 {
                    // pgbench gives the mean; a median would need its log of every transaction.
                    rows[index].peerP50 = Double(words[3]).map { $0 * 1_000 }
                } else if line.hasPrefix("tps"), words.count > 2 {
                    rows[index].peerRate = Double(words[2])
                }
            }
        }
    }

    private func postgresScript(_ name: String) -> String? {
        let id = """
            \\set n random(1, \(options.records))
            SELECT doc FROM aisle_bench WHERE id = 'p-' || lpad((:n)::text, 9, '0');
            """
        let range = "\\set low random(5, 45)\n\\set high :low + 60\n"
        switch name {
        case "fetch": return id
        case "filter-sort":
            return range + "SELECT doc FROM aisle_bench WHERE category = 'Electronics' AND price "
                + "BETWEEN :low AND :high ORDER BY price, id LIMIT 50;\n"
        case "tags":
            return "SELECT doc FROM aisle_bench WHERE tags && ARRAY['sale','vegan'] LIMIT 50;\n"
        case "page-offset":
            return "SELECT doc FROM aisle_bench ORDER BY price, id OFFSET 10000 LIMIT 50;\n"
        case "page-cursor":
            return range + "SELECT doc FROM aisle_bench WHERE (price, id) > (:low, 'p-') "
                + "ORDER BY price, id LIMIT 50;\n"
        case "stats-by-category":
            return "SELECT category, count(*), min(price), max(price), avg(price) FROM aisle_bench "
                + "GROUP BY category;\n"
        case "facets":
            return range
                + "SELECT category, count(*) FROM aisle_bench WHERE price BETWEEN :low AND :high "
                + "GROUP BY 1 UNION ALL SELECT t, count(*) FROM aisle_bench, unnest(tags) t "
                + "WHERE price BETWEEN :low AND :high GROUP BY 1;\n"
        default: return nil
        }
    }

    private static func quote(_ text: String) -> String {
        "'"
            + text.split(separator: "'", omittingEmptySubsequences: false).joined(
                separator: "'\\''"
            )
            + "'"
    }

    static func write(_ text: String, to path: String) throws(BenchError) {
        guard let file = fopen(path, "w") else {
            throw .file(path: path, reason: String(cString: strerror(errno)))
        }
        let bytes = Array(text.utf8)
        let written = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, written == bytes.count else {
            throw .file(path: path, reason: String(cString: strerror(errno)))
        }
    }

    /// What a shell command prints; nil when it fails.
    private static func shell(_ command: String) throws(BenchError) -> String? {
        guard let pipe = popen(command, "r") else { throw .peer("no shell") }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = fread(&buffer, 1, buffer.count, pipe)
            if count == 0 { break }
            text += buffer[..<count]
        }
        return pclose(pipe) == 0 ? String(decoding: text, as: UTF8.self) : nil
    }
}
