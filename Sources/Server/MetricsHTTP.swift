import Commands
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import Primitives
import Synchronization

/// The HTTP port: `/metrics` as Prometheus text, `/health/live`, `/health/ready`.
enum MetricsHTTP {
    static func bind(
        group: MultiThreadedEventLoopGroup,
        host: String,
        port: Int,
        state: ServerState
    ) async throws -> any Channel {
        try await ServerBootstrap(group: group)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                    try pipeline.addHandler(MetricsHTTPHandler(state: state))
                }
            }
            .bind(host: host, port: port).get()
    }

    /// Upper bounds of the exported histogram, in nanoseconds.
    private static let bounds: [UInt64] = [
        50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000,
        100_000_000, 1_000_000_000,
    ]

    /// The server's own series, then the engine's.
    static func text(_ state: ServerState, _ metrics: MetricsSnapshot) -> String {
        var out = ""
        func single(_ name: String, _ type: String, _ help: String, _ value: some BinaryInteger) {
            out += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n\(name) \(value)\n"
        }
        let cpu = ProcessUsage.cpuMicroseconds
        single(
            "aisle_connected_clients",
            "gauge",
            "Open connections.",
            state.clientCount.load(ordering: .relaxed)
        )
        single(
            "aisle_connections_total",
            "counter",
            "Connections accepted.",
            state.acceptedCount.load(ordering: .relaxed)
        )
        single(
            "aisle_connections_rejected_total",
            "counter",
            "Connections refused.",
            state.rejectedCount.load(ordering: .relaxed)
        )
        single("aisle_requests_total", "counter", "Requests read.", metrics.requestCount)
        single("aisle_input_bytes_total", "counter", "Bytes received.", metrics.bytesIn)
        single("aisle_output_bytes_total", "counter", "Bytes sent.", metrics.bytesOut)
        single(
            "aisle_protocol_errors_total",
            "counter",
            "Malformed requests.",
            metrics.protocolErrorCount
        )
        single(
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory.",
            ProcessUsage.residentByteCount
        )
        single(
            "aisle_cpu_microseconds_total",
            "counter",
            "Processor time.",
            cpu.user + cpu.system
        )
        out += "# HELP aisle_command_seconds Latency within the server.\n"
        out += "# TYPE aisle_command_seconds histogram\n"
        for spec in CommandTable.shared.specs {
            let figures = metrics.command(spec.name.rawValue)
            guard figures.calls > 0 else { continue }
            let label = "command=\"\(spec.title)\""
            for bound in bounds {
                out += "aisle_command_seconds_bucket{\(label),le=\"\(seconds(bound))\"} "
                out += "\(figures.count(upTo: bound))\n"
            }
            out += "aisle_command_seconds_bucket{\(label),le=\"+Inf\"} \(figures.calls)\n"
            out += "aisle_command_seconds_sum{\(label)} \(seconds(figures.nanoseconds))\n"
            out += "aisle_command_seconds_count{\(label)} \(figures.calls)\n"
        }
        out += "# HELP aisle_command_failures_total Requests answered with an error.\n"
        out += "# TYPE aisle_command_failures_total counter\n"
        for spec in CommandTable.shared.specs {
            let figures = metrics.command(spec.name.rawValue)
            guard figures.calls > 0 || figures.rejections > 0 else { continue }
            out += "aisle_command_failures_total{command=\"\(spec.title)\"} "
            out += "\(figures.failures)\n"
        }
        return out + state.hooks.metrics()
    }

    private static func seconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e9 }
}

/// Answers one request after another.
final class MetricsHTTPHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let state: ServerState
    private var head: HTTPRequestHead?

    init(state: ServerState) { self.state = state }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end: answer(context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func answer(_ context: ChannelHandlerContext) {
        guard let head else { return }
        guard head.method == .GET || head.method == .HEAD else {
            return send(context, head, .methodNotAllowed, "only GET\n")
        }
        switch head.uri.prefix(while: { $0 != "?" }) {
        case "/health/live": send(context, head, .ok, "live\n")
        case "/health/ready":
            let isLoading = state.isLoading.load(ordering: .relaxed)
            let reason = state.hooks.notReadyReason() ?? (isLoading ? "loading" : nil)
            send(
                context,
                head,
                reason == nil ? .ok : .serviceUnavailable,
                (reason ?? "ready") + "\n"
            )
        case "/metrics": metrics(context, head)
        default: send(context, head, .notFound, "try /metrics, /health/live, /health/ready\n")
        }
    }

    private func metrics(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        let state = state
        let futures = state.loops.withLock { $0 }.map { loop in
            loop.loop.submit { loop.metrics.snapshot() }
        }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        EventLoopFuture.whenAllSucceed(futures, on: context.eventLoop).whenSuccess { all in
            guard var merged = all.first else { return }
            for other in all.dropFirst() { merged.merge(other) }
            let (handler, context) = bound.value
            handler.send(context, head, .ok, MetricsHTTP.text(state, merged))
        }
    }

    private func send(
        _ context: ChannelHandlerContext,
        _ request: HTTPRequestHead,
        _ status: HTTPResponseStatus,
        _ text: String
    ) {
        let headers: HTTPHeaders = [
            "content-type": "text/plain; version=0.0.4; charset=utf-8",
            "content-length": "\(text.utf8.count)",
        ]
        let response = HTTPResponseHead(version: request.version, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        if request.method != .HEAD {
            let body = context.channel.allocator.buffer(string: text)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        if !request.isKeepAlive { context.close(promise: nil) }
    }
}
