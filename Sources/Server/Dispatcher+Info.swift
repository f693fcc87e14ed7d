import Commands
import Glibc
import NIOCore
import Primitives
import RESP
import Synchronization

/// `INFO`.
extension Dispatcher {
    func info(_ frame: RequestFrame, _ session: Session) -> Disposition {
        let wanted = (1..<max(1, frame.count)).map { frame.string($0).lowercased() }
        let state = state
        return gather(session) {
            $0.metrics.snapshot()
        } reply: { snapshots, writer in
            guard var merged = snapshots.first else { return writer.verbatim("") }
            for other in snapshots.dropFirst() { merged.merge(other) }
            let report = InfoReport(state: state, metrics: merged, loopCount: snapshots.count)
            writer.verbatim(report.text(wanted))
        }
    }
}

/// The sections of `INFO`.
struct InfoReport {
    let state: ServerState
    let metrics: MetricsSnapshot
    let loopCount: Int

    private typealias Lines = [(key: String, value: String)]

    /// The sections named; all but the per-command ones for none or `default`; all for `all` and
    /// `everything`.
    func text(_ wanted: [String]) -> String {
        let isDefault = wanted.isEmpty || wanted.contains("default")
        let isAll = wanted.contains("all") || wanted.contains("everything")
        let extra = ["commandstats", "latencystats"]
        var sections: [(String, () -> Lines)] = [
            ("Server", server), ("Clients", clients), ("Memory", memory), ("Stats", stats),
            ("CPU", cpu), ("Commandstats", commandStats), ("Latencystats", latencyStats),
        ]
        for section in state.hooks.infoSections() {
            sections.append((section.title, { section.lines }))
        }
        var parts: [String] = []
        for (title, lines) in sections {
            let name = title.lowercased()
            guard isAll || wanted.contains(name) || isDefault && !extra.contains(name) else {
                continue
            }
            let body = lines().map { "\($0.key):\($0.value)\r\n" }.joined()
            parts.append("# \(title)\r\n\(body)")
        }
        return parts.joined(separator: "\r\n")
    }

    private func server() -> Lines {
        let up = (LoopContext.now() - state.startedAt) / 1_000_000_000
        let configuration = state.configuration.withLock { $0 }
        return [
            ("aisle_version", Dispatcher.version), ("server_name", "aisle"),
            // Clients look for this to learn which commands and replies to expect.
            ("redis_version", "7.0.15"), ("redis_mode", "standalone"), ("os", "Linux"),
            ("arch_bits", "64"), ("multiplexing_api", "epoll"), ("process_id", "\(getpid())"),
            ("tcp_port", "\(configuration.port)"),
            ("listening", state.listening.withLock { $0.joined(separator: ",") }),
            ("uptime_in_seconds", "\(up)"), ("uptime_in_days", "\(up / 86_400)"),
            ("shards", "\(loopCount)"),
            ("loading", state.isLoading.load(ordering: .relaxed) ? "1" : "0"),
        ]
    }

    private func clients() -> Lines {
        [
            ("connected_clients", "\(state.clientCount.load(ordering: .relaxed))"),
            ("maxclients", "\(state.configuration.withLock { $0.clientsMax })"),
        ]
    }

    private func memory() -> Lines {
        let resident = ProcessUsage.residentByteCount
        let limit = state.configuration.withLock { $0.memoryMaxBytes }
        let ledger = state.hooks.memoryStats()
        let used = ledger.reduce(0) { $0 + $1.byteCount }
        return [
            ("used_memory", "\(ledger.isEmpty ? resident : used)"),
            ("used_memory_rss", "\(resident)"),
            ("used_memory_peak", "\(ProcessUsage.peakResidentByteCount)"),
            ("maxmemory", "\(limit)"),
        ] + ledger.map { (key: $0.name, value: "\($0.byteCount)") }
    }

    private func stats() -> Lines {
        [
            ("total_connections_received", "\(state.acceptedCount.load(ordering: .relaxed))"),
            ("rejected_connections", "\(state.rejectedCount.load(ordering: .relaxed))"),
            ("total_commands_processed", "\(metrics.requestCount)"),
            ("total_net_input_bytes", "\(metrics.bytesIn)"),
            ("total_net_output_bytes", "\(metrics.bytesOut)"),
            ("protocol_errors", "\(metrics.protocolErrorCount)"),
            ("client_output_buffer_limit_disconnections", "\(metrics.outputLimitKillCount)"),
        ]
    }

    private func cpu() -> Lines {
        let (user, system) = ProcessUsage.cpuMicroseconds
        func seconds(_ value: Int) -> String {
            let fraction = String(value % 1_000_000)
            return "\(value / 1_000_000)."
                + String(repeating: "0", count: 6 - fraction.count) + fraction
        }
        return [("used_cpu_sys", seconds(system)), ("used_cpu_user", seconds(user))]
    }

    private func used() -> [(CommandSpec, MetricsSnapshot.Command)] {
        CommandTable.shared.specs.map { ($0, metrics.command($0.name.rawValue)) }
            .filter { $0.1.calls > 0 || $0.1.rejections > 0 }
    }

    private func commandStats() -> Lines {
        used().map { spec, figures in
            let microseconds = figures.nanoseconds / 1_000
            let perCall =
                figures.calls == 0
                ? 0 : Double(figures.nanoseconds / 10 / figures.calls) / 100
            return (
                "cmdstat_\(spec.title)",
                "calls=\(figures.calls),usec=\(microseconds),usec_per_call=\(perCall),"
                    + "rejected_calls=\(figures.rejections),failed_calls=\(figures.failures)"
            )
        }
    }

    private func latencyStats() -> Lines {
        used().filter { $0.1.calls > 0 }.map { spec, figures in
            func text(_ share: Double) -> String {
                "\(Double(figures.percentile(share) / 10) / 100)"
            }
            return (
                "latency_percentiles_usec_\(spec.title)",
                "p50=\(text(0.5)),p99=\(text(0.99)),p99.9=\(text(0.999))"
            )
        }
    }
}

/// What the process uses, from the system.
enum ProcessUsage {
    /// Bytes of memory that are resident now.
    static var residentByteCount: Int {
        guard let text = ConfigurationFile.text("/proc/self/statm") else { return 0 }
        let fields = text.split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// The most that was ever resident.
    static var peakResidentByteCount: Int { Int(usage.ru_maxrss) * 1_024 }

    /// Microseconds of processor time, in the program and in the system.
    static var cpuMicroseconds: (user: Int, system: Int) {
        let usage = usage
        return (
            usage.ru_utime.tv_sec * 1_000_000 + Int(usage.ru_utime.tv_usec),
            usage.ru_stime.tv_sec * 1_000_000 + Int(usage.ru_stime.tv_usec)
        )
    }

    private static var usage: rusage {
        var usage = rusage()
        // RUSAGE_SELF, whose type does not convert.
        getrusage(0, &usage)
        return usage
    }
}
