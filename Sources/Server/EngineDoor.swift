package import Commands
package import DocumentStore
package import Engine
import Synchronization

/// Stands for an engine that is still being opened: the server listens and answers what needs no
/// data, and says how far it is.
package final class EngineDoor: Sendable {
    /// The hooks of an engine that is open, made once.
    private final class Hooks: Sendable {
        let all: ServerHooks

        init(_ all: ServerHooks) { self.all = all }
    }

    private let opened = AtomicLazyReference<Hooks>()
    private let progress: StartProgress
    private let accounts: [UInt8]?

    /// - Parameter store: the store of the directory, from which the accounts are read at once:
    ///   nobody gets in by being early.
    package init(store: LogStore, progress: StartProgress) {
        self.progress = progress
        accounts = Engine.setting("accounts", in: store)
    }

    /// What the loops have until the engine is open.
    package func makeHandler() -> any CommandHandler {
        LoadingHandler { [progress] in progress.text }
    }

    /// The engine is open.
    package func open(_ service: EngineService) {
        _ = opened.storeIfNil(Hooks(service.hooks()))
    }

    private var hooksNow: ServerHooks? { opened.load()?.all }

    /// Hooks that ask the engine once it is open.
    package func hooks() -> ServerHooks {
        var hooks = ServerHooks()
        hooks.documentCount = { [self] in hooksNow?.documentCount() ?? 0 }
        hooks.infoSections = { [self] in hooksNow?.infoSections() ?? [] }
        hooks.memoryStats = { [self] in hooksNow?.memoryStats() ?? [] }
        hooks.memoryUsage = { [self] collection, id in
            hooksNow?.memoryUsage(collection, id) ?? nil
        }
        hooks.canonicalCollection = { [self] name in hooksNow?.canonicalCollection(name) ?? nil }
        hooks.loadAccounts = { [self] in
            opened.load() == nil ? accounts : hooksNow?.loadAccounts() ?? nil
        }
        hooks.saveAccounts = { [self] bytes in hooksNow?.saveAccounts(bytes) ?? false }
        hooks.metrics = { [self] in hooksNow?.metrics() ?? "" }
        hooks.notReadyReason = { [self] in
            opened.load() == nil ? progress.text : nil
        }
        hooks.settingChanged = { [self] name, value in
            hooksNow?.settingChanged(name, value) ?? nil
        }
        hooks.saveOptions = { [self] lines in hooksNow?.saveOptions(lines) }
        hooks.shutdown = { [self] save in hooksNow?.shutdown(save) }
        return hooks
    }
}
