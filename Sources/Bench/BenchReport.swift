import Client
import Glibc
import Importer

/// Writes what was measured: a table, JSON, or a page of HTML.
package struct BenchReport: Sendable {
    package let rows: [BenchRow]
    package let records: Int
    /// Machine, date and options, as pairs.
    package let environment: [(String, String)]

    /// A report of the rows.
    package init(rows: [BenchRow], options: BenchOptions) {
        self.rows = rows
        records = options.records
        var pairs = [
            ("date", Self.date()), ("machine", Self.machine()),
            ("cores", "\(sysconf(CInt(_SC_NPROCESSORS_ONLN)))"),
            ("endpoint", options.client.endpoint.description),
            ("records", grouped(options.records)), ("seconds", "\(options.seconds)"),
            ("loop", options.rate.map { "open, \(Int($0))/s" } ?? "closed"),
        ]
        if let second = options.second { pairs.append(("beside", second.description)) }
        environment = pairs
    }

    /// Whether every scenario kept its budget.
    package var isPassed: Bool { rows.allSatisfy(\.isPassed) }

    private static func date() -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = buffer.withUnsafeMutableBytes { bytes in
            strftime(
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self) ?? .allocate(capacity: 64),
                64,
                "%Y-%m-%dT%H:%M:%SZ",
                &parts
            )
        }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    private static func machine() -> String {
        guard let file = fopen("/proc/cpuinfo", "r") else { return "unknown" }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = fread(&buffer, 1, buffer.count, file)
        let text = String(decoding: buffer[..<count], as: UTF8.self)
        for line in text.split(separator: "\n") where line.hasPrefix("model name") {
            return line.split(separator: ":").last.map { String($0.dropFirst()) } ?? "unknown"
        }
        return "unknown"
    }

    // MARK: Numbers

    /// A number with so many digits after the point.
    static func number(_ value: Double, digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "0" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((abs(value) * scale).rounded())
        guard digits > 0 else { return "\(value < 0 ? "-" : "")\(scaled)" }
        let fraction = String(scaled % Int(scale))
        let zeros = String(repeating: "0", count: digits - fraction.count)
        return "\(value < 0 ? "-" : "")\(scaled / Int(scale)).\(zeros)\(fraction)"
    }

    private static func milliseconds(_ microseconds: Double) -> String {
        microseconds > 0 ? number(microseconds / 1_000, digits: 3) : ""
    }

    private static func budget(_ row: BenchRow) -> String {
        if let rate = row.rateBudget { return "\(grouped(Int(rate)))/s" }
        var text = row.medianBudget.map { "p50 \(milliseconds($0)) " } ?? ""
        if let tail = row.tailBudget { text += "p99 \(milliseconds(tail))" }
        return text
    }

    private static func verdict(_ row: BenchRow) -> String {
        if row.errorCount > 0 { return "ERRORS" }
        if !row.isPassed { return "MISSED" }
        if let rate = row.rateBudget, row.rate < rate { return "below the rate" }
        if let median = row.medianBudget, row.p50 > median { return "above the median" }
        return "ok"
    }

    private func cells(_ row: BenchRow) -> [String] {
        var cells = [
            row.name, "\(row.connections)", grouped(Int(row.rate)), Self.milliseconds(row.p50),
            Self.milliseconds(row.p90), Self.milliseconds(row.p99), Self.milliseconds(row.p999),
            row.cpuPerRequest.map { Self.number($0, digits: 2) } ?? "", Self.budget(row),
            Self.verdict(row),
        ]
        if hasSecond { cells.insert(row.secondP50.map(Self.milliseconds) ?? "", at: 4) }
        if hasPeer {
            cells.append(row.peerRate.map { grouped(Int($0)) } ?? "")
            cells.append(row.peerP50.map(Self.milliseconds) ?? "")
            cells.append(
                row.peerRate.map { Self.number(row.rate / max($0, 1), digits: 2) + "x" } ?? ""
            )
        }
        return cells
    }

    private var hasSecond: Bool { rows.contains { $0.secondP50 != nil } }
    private var hasPeer: Bool { rows.contains { $0.peerRate != nil } }

    private var headings: [String] {
        var names = [
            "scenario", "clients", "rate/s", "p50 ms", "p90", "p99", "p99.9", "CPU us", "budget",
            "verdict",
        ]
        if hasSecond { names.insert("p50 beside", at: 4) }
        if hasPeer { names += ["peer rate", "peer p50", "ratio"] }
        return names
    }

    // MARK: Forms

    /// A table of text.
    package var table: String {
        let lines = [headings] + rows.map(cells)
        let widths = headings.indices.map { at in lines.map { $0[at].count }.max() ?? 0 }
        var text = ""
        for line in lines {
            for (at, cell) in line.enumerated() {
                let pad = String(repeating: " ", count: widths[at] - cell.count)
                let isText = at == 0 || ["budget", "verdict"].contains(headings[at])
                text += (isText ? cell + pad : pad + cell) + (at + 1 < line.count ? "  " : "\n")
            }
        }
        for row in rows where row.errorCount > 0 {
            text += "\(row.name): \(grouped(row.errorCount)) errors, the first: "
            text += (row.firstError ?? "") + "\n"
        }
        return text
    }

    /// One JSON object.
    package var json: String {
        let queue = ByteQueue()
        func member(_ key: String, _ value: Double?, isFirst: Bool = false) {
            guard let value else { return }
            queue.append(isFirst ? "" : ",")
            queue.append("\"\(key)\":\(Self.number(value, digits: 3))")
        }
        queue.append("{\"environment\":{")
        for (at, pair) in environment.enumerated() {
            queue.append(at > 0 ? "," : "")
            JSONWriter.append(string: pair.0, to: queue)
            queue.append(":")
            JSONWriter.append(string: pair.1, to: queue)
        }
        queue.append("},\"scenarios\":[")
        for (at, row) in rows.enumerated() {
            queue.append(at > 0 ? ",{\"name\":" : "{\"name\":")
            JSONWriter.append(string: row.name, to: queue)
            member("connections", Double(row.connections))
            member("rate", row.rate)
            member("p50_us", row.p50)
            member("p90_us", row.p90)
            member("p99_us", row.p99)
            member("p999_us", row.p999)
            member("cpu_us_per_request", row.cpuPerRequest)
            member("p50_budget_us", row.medianBudget)
            member("p99_budget_us", row.tailBudget)
            member("rate_budget", row.rateBudget)
            member("p50_beside_us", row.secondP50)
            member("peer_rate", row.peerRate)
            member("peer_p50_us", row.peerP50)
            member("errors", Double(row.errorCount))
            queue.append(row.isPassed ? ",\"passed\":true}" : ",\"passed\":false}")
        }
        queue.append(isPassed ? "],\"passed\":true}\n" : "],\"passed\":false}\n")
        return String(decoding: queue.bytes, as: UTF8.self)
    }

    /// A page that needs nothing else.
    package var html: String {
        var page = """
            <!doctype html><html lang="en"><meta charset="utf-8"><title>aisle bench</title>
            <style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;
            padding:0 1rem;color:#222}table{border-collapse:collapse;font-size:13px}
            td,th{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:right}
            td:first-child,th:first-child{text-align:left}.bad{color:#b00020;font-weight:600}
            svg{background:#fafafa;margin:.5rem 0}text{font:11px system-ui,sans-serif}</style>
            <h1>aisle bench</h1><p>
            """
        page += environment.map { Self.escape("\($0.0): \($0.1)") }.joined(separator: " · ")
        page += "</p><table><tr>"
        for name in headings { page += "<th>\(Self.escape(name))</th>" }
        page += "</tr>"
        for row in rows {
            page += row.isPassed ? "<tr>" : "<tr class=\"bad\">"
            for cell in cells(row) { page += "<td>\(Self.escape(cell))</td>" }
            page += "</tr>"
        }
        page += "</table><h2>Requests per second</h2>" + bars
        page += "<h2>Latency by percentile</h2>"
        for row in rows where !row.curve.isEmpty { page += curve(row) }
        return page + "</html>\n"
    }

    private static func escape(_ text: String) -> String {
        var out = ""
        for character in text {
            switch character {
            case "<": out += "&lt;"
            case "&": out += "&amp;"
            case "\"": out += "&quot;"
            default: out.append(character)
            }
        }
        return out
    }

    /// Bars on a scale of powers of ten: rates differ by four of them.
    private var bars: String {
        let height = rows.count * 22 + 10
        var svg = "<svg viewBox=\"0 0 900 \(height)\" width=\"900\" height=\"\(height)\">"
        for (at, row) in rows.enumerated() {
            let width = Int(max(log10(max(row.rate, 1)), 0) / 6.2 * 560)
            let y = at * 22 + 6
            svg += "<text x=\"0\" y=\"\(y + 11)\">\(Self.escape(row.name))</text>"
            svg += "<rect x=\"170\" y=\"\(y)\" width=\"\(width)\" height=\"15\" fill=\"#4a7ebb\"/>"
            svg += "<text x=\"\(176 + width)\" y=\"\(y + 11)\">\(grouped(Int(row.rate)))</text>"
        }
        return svg + "</svg>"
    }

    /// Latency over percentile, both axes logarithmic towards the tail; the budget is a red line.
    private func curve(_ row: BenchRow) -> String {
        let top = log10(max(row.curve.map(\.microseconds).max() ?? 1, row.tailBudget ?? 1, 10))
        func x(_ percentile: Double) -> Int {
            60 + Int(-log10(max(1 - percentile / 100, 1e-5)) / 4.2 * 780)
        }
        func y(_ microseconds: Double) -> Int {
            150 - Int(max(log10(max(microseconds, 1)), 0) / top * 130)
        }
        let title = Self.escape("\(row.name): \(row.title)")
        var svg = "<h3>\(title)</h3><svg viewBox=\"0 0 900 180\" width=\"900\" height=\"180\">"
        for percentile in [50.0, 90, 99, 99.9, 99.99] {
            let at = x(percentile)
            svg += "<line x1=\"\(at)\" x2=\"\(at)\" y1=\"15\" y2=\"150\" stroke=\"#ddd\"/>"
            svg += "<text x=\"\(at - 12)\" y=\"166\">p\(percentile)</text>"
        }
        if let budget = row.tailBudget {
            let at = y(budget)
            svg += "<line x1=\"60\" x2=\"880\" y1=\"\(at)\" y2=\"\(at)\" stroke=\"#b00020\"/>"
        }
        let points = row.curve.map { "\(x($0.percentile)),\(y($0.microseconds))" }
        svg += "<polyline fill=\"none\" stroke=\"#4a7ebb\" stroke-width=\"2\" points=\""
        svg += points.joined(separator: " ") + "\"/>"
        for point in row.curve where [50, 99, 99.9].contains(point.percentile) {
            let label = Self.milliseconds(point.microseconds)
            svg += "<text x=\"\(x(point.percentile) + 4)\" y=\"\(y(point.microseconds) - 5)\">"
            svg += "\(label) ms</text>"
        }
        return svg + "</svg>"
    }

    /// Writes the JSON and HTML files that the options name.
    ///
    /// - Throws: ``BenchError/file(path:reason:)``.
    package func write(_ options: BenchOptions) throws(BenchError) {
        if let path = options.jsonPath { try PeerRun.write(json, to: path) }
        if let path = options.reportPath { try PeerRun.write(html, to: path) }
    }
}
