import Dispatch
import Glibc

/// Turns SIGTERM and SIGINT into a graceful stop; a second one ends the process at once.
///
/// `@unchecked Sendable`: the sources are made once, kept alive, and never touched again.
package final class SignalWatcher: @unchecked Sendable {
    private let sources: [any DispatchSourceSignal]

    /// Watches until the process ends.
    package init(_ server: AisleServer) {
        let queue = DispatchQueue(label: "aisle.signals")
        sources = [SIGTERM, SIGINT].map { number in
            // The default action would end the process before the source sees the signal.
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                if server.isStopping { _exit(128 + number) }
                server.beginShutdown()
            }
            source.resume()
            return source
        }
        // A client that is gone is an error of the write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
    }
}
