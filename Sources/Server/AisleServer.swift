package import Commands
import Glibc
package import Logging
package import NIOCore
import NIOPosix
import NIOSSL
import Primitives
import Synchronization

/// Why the server cannot start.
package enum ServerError: Error, Equatable, Sendable {
    /// An address cannot be listened on.
    case cannotListen(address: String, reason: String)
    /// The certificate or the key cannot be used.
    case tls(reason: String)
    /// The saved users are malformed.
    case accounts(line: Int)
}

/// Sockets, event loops and their life: `start`, then `waitUntilStopped`.
package final class AisleServer: Sendable {
    /// Makes the command handler of one loop; called on that loop.
    package typealias HandlerFactory =
        @Sendable (_ loopIndex: Int, _ loop: any EventLoop) -> any CommandHandler

    let state: ServerState
    private let group: MultiThreadedEventLoopGroup
    private let factory: HandlerFactory
    private let listeners = Guarded<[any Channel]>([])
    private let stopping = Atomic<Bool>(false)
    /// Number of event loops.
    package let loopCount: Int

    /// A server that does not listen yet.
    package init(
        configuration: ServerConfiguration,
        hooks: ServerHooks = ServerHooks(),
        logger: Logger,
        factory: @escaping HandlerFactory
    ) throws(ServerError) {
        let access = AccessStore(password: configuration.requirePassword)
        if let saved = hooks.loadAccounts() {
            do throws(AccessStore.RuleError) { try access.decode(saved) } catch {
                guard case .line(let line) = error else { throw .accounts(line: 0) }
                throw .accounts(line: line)
            }
        }
        state = ServerState(
            configuration: configuration,
            access: access,
            hooks: hooks,
            log: ServerLog(logger: logger)
        )
        loopCount = configuration.shards > 0 ? configuration.shards : System.coreCount
        group = MultiThreadedEventLoopGroup(numberOfThreads: loopCount)
        self.factory = factory
        state.onShutdown.withLock { $0 = { [weak self] save in self?.beginShutdown(save: save) } }
    }

    /// The event loops, by index: partitions and timers of the engine may live on them.
    package var eventLoops: [any EventLoop] { Array(group.makeIterator()) }

    /// Whether requests are answered `LOADING`, except those that run while loading.
    package func setLoading(_ loading: Bool) {
        state.isLoading.store(loading, ordering: .relaxed)
    }

    /// Makes the loops' handlers and opens the listeners.
    /// - Returns: the addresses, as `host:port` and socket paths.
    /// - Throws: ``ServerError``; nothing is left open.
    package func start() async throws(ServerError) -> [String] {
        await makeLoops()
        let configuration = state.configuration.withLock { $0 }
        do throws(ServerError) {
            let tls = try tlsContext(configuration)
            for host in configuration.bind where configuration.port >= 0 {
                if configuration.port > 0 || configuration.unixSocket.isEmpty {
                    let plain = configuration.tlsPort > 0 ? nil : tls
                    try await listen(host: host, port: configuration.port, tls: plain)
                }
                if configuration.tlsPort > 0, let tls {
                    try await listen(host: host, port: configuration.tlsPort, tls: tls)
                }
            }
            if !configuration.unixSocket.isEmpty { try await listenUnix(configuration) }
            if configuration.metricsPort > 0 { try await listenHTTP(configuration) }
        } catch {
            await closeListeners()
            try? await group.shutdownGracefully()
            throw error
        }
        return state.listening.withLock { $0 }
    }

    /// Gives the loops other handlers: their own ones once the engine is open.
    package func replaceHandlers(_ factory: @escaping HandlerFactory) async {
        for context in state.loops.withLock({ $0 }) {
            try? await context.loop.submit {
                context.handler = factory(context.index, context.loop)
            }.get()
        }
    }

    private func makeLoops() async {
        var contexts: [LoopContext] = []
        for (index, loop) in eventLoops.enumerated() {
            let made = try? await loop.submit { [state, factory] in
                LoopContext(index: index, loop: loop, state: state, handler: factory(index, loop))
            }.get()
            if let made { contexts.append(made) }
        }
        state.loops.withLock { $0 = contexts }
    }

    // MARK: - Listeners

    private func tlsContext(
        _ configuration: ServerConfiguration
    ) throws(ServerError) -> NIOSSLContext? {
        guard !configuration.tlsCertificate.isEmpty else { return nil }
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(configuration.tlsCertificate)
            let key = try NIOSSLPrivateKey(file: configuration.tlsKey, format: .pem)
            let tls = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) },
                privateKey: .privateKey(key)
            )
            return try NIOSSLContext(configuration: tls)
        } catch {
            throw .tls(reason: "\(error)")
        }
    }

    private func bootstrap(tls: NIOSSLContext?) -> ServerBootstrap {
        let contexts = state.loops.withLock { $0 }
        let backlog = state.configuration.withLock { $0.tcpBacklog }
        return ServerBootstrap(group: group)
            .serverChannelOption(ChannelOptions.backlog, value: CInt(clamping: backlog))
            .childChannelInitializer { channel in
                guard let context = contexts.first(where: { $0.loop === channel.eventLoop }) else {
                    return channel.close()
                }
                return channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLServerHandler(context: tls)
                        )
                    }
                    let id = context.state.nextSessionID.wrappingAdd(1, ordering: .relaxed).oldValue
                    try channel.pipeline.syncOperations.addHandler(
                        Connection(
                            loop: context,
                            dispatcher: Dispatcher(loop: context),
                            id: id,
                            channel: channel,
                            isTLS: tls != nil
                        )
                    )
                }
            }
            .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
            .childChannelOption(ChannelOptions.maxMessagesPerRead, value: 1)
            .childChannelOption(
                ChannelOptions.recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: 64 * 1_024)
            )
            .childChannelOption(
                ChannelOptions.writeBufferWaterMark,
                value: ChannelOptions.Types.WriteBufferWaterMark(low: 256 << 10, high: 1 << 20)
            )
    }

    private func listen(
        host: String,
        port: Int,
        tls: NIOSSLContext?
    ) async throws(ServerError) {
        do {
            let channel = try await bootstrap(tls: tls)
                .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
                .bind(host: host, port: port).get()
            listeners.withLock { $0.append(channel) }
            let bound = channel.localAddress?.port ?? port
            state.listening.withLock { $0.append("\(host):\(bound)") }
        } catch {
            throw .cannotListen(address: "\(host):\(port)", reason: "\(error)")
        }
    }

    private func listenUnix(_ configuration: ServerConfiguration) async throws(ServerError) {
        let path = configuration.unixSocket
        do {
            // `cleanup` removes a socket file that a killed server left, and nothing else.
            // Between bind and chmod the mask keeps others out.
            let mask = umask(0o177)
            defer { umask(mask) }
            let channel = try await bootstrap(tls: nil)
                .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            chmod(path, mode_t(configuration.unixSocketPermissions))
            listeners.withLock { $0.append(channel) }
            state.listening.withLock { $0.append(path) }
        } catch {
            throw .cannotListen(address: path, reason: "\(error)")
        }
    }

    private func listenHTTP(_ configuration: ServerConfiguration) async throws(ServerError) {
        do {
            let channel = try await MetricsHTTP.bind(
                group: group,
                host: configuration.metricsBind,
                port: configuration.metricsPort,
                state: state
            )
            listeners.withLock { $0.append(channel) }
        } catch {
            throw .cannotListen(
                address: "\(configuration.metricsBind):\(configuration.metricsPort)",
                reason: "\(error)"
            )
        }
    }

    private func closeListeners() async {
        let open = listeners.withLock { listeners in
            defer { listeners = [] }
            return listeners
        }
        for channel in open { try? await channel.close().get() }
        let path = state.configuration.withLock { $0.unixSocket }
        if !path.isEmpty { unlink(path) }
    }

    // MARK: - The end

    /// Begins a graceful stop: no new connections, what was received is finished and answered,
    /// then connections close, at the latest after the setting `shutdown-seconds`. Again: no wait.
    package func beginShutdown(save: Bool = true) {
        guard !stopping.exchange(true, ordering: .acquiringAndReleasing) else { return }
        Task { await self.shutDown(save: save) }
    }

    private func shutDown(save: Bool) async {
        state.log.logger.info("stopping")
        await closeListeners()
        state.broadcast { $0.drain() }
        let seconds = state.configuration.withLock { $0.shutdownSeconds }
        let deadline = LoopContext.now() + UInt64(seconds) * 1_000_000_000
        while state.clientCount.load(ordering: .relaxed) > 0, LoopContext.now() < deadline {
            try? await Task.sleep(for: .milliseconds(5))
        }
        state.broadcast { $0.stop() }
        state.hooks.shutdown(save)
        try? await group.shutdownGracefully()
        finished.withLock { waiters in
            isFinished.store(true, ordering: .releasing)
            for waiter in waiters { waiter.resume() }
            waiters = []
        }
    }

    /// Whether a stop has begun.
    package var isStopping: Bool { stopping.load(ordering: .acquiring) }

    /// Returns when a stop that ``beginShutdown(save:)``, `SHUTDOWN` or a signal began is complete.
    package func waitUntilStopped() async {
        await withCheckedContinuation { continuation in
            finished.withLock { waiters in
                if isFinished.load(ordering: .acquiring) {
                    continuation.resume()
                } else {
                    waiters.append(continuation)
                }
            }
        }
    }

    private let finished = Guarded<[CheckedContinuation<Void, Never>]>([])
    private let isFinished = Atomic<Bool>(false)
}
