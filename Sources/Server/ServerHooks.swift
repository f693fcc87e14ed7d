/// What the server asks of the engine. Each closure may be called on any thread and must not block
/// for more than about a millisecond, except `shutdown`, `saveAccounts`, `loadAccounts` and
/// `saveOptions`.
package struct ServerHooks: Sendable {
    /// A section of `INFO`: its title and `key:value` lines, in order.
    package struct Section: Sendable {
        package let title: String
        package let lines: [(key: String, value: String)]

        package init(title: String, lines: [(key: String, value: String)]) {
            self.title = title
            self.lines = lines
        }
    }

    /// Sections of `INFO` behind the server's own.
    package var infoSections: @Sendable () -> [Section] = { [] }
    /// Documents of all collections.
    package var documentCount: @Sendable () -> Int = { 0 }
    /// Bytes that a collection, or one document of it, takes; `nil` if there is none.
    package var memoryUsage: @Sendable (_ collection: String, _ id: [UInt8]?) -> Int? = { _, _ in
        nil
    }
    /// The ledger of memory: names and bytes.
    package var memoryStats: @Sendable () -> [(name: String, byteCount: Int)] = { [] }
    /// The collection's own name behind an alias; `nil` if the name is no alias.
    package var canonicalCollection: @Sendable (_ name: String) -> String? = { _ in nil }
    /// The users as ``AccessStore/encoded()`` wrote them; `nil` if none were saved.
    package var loadAccounts: @Sendable () -> [UInt8]? = { nil }
    /// Makes the users durable; `false` if that failed.
    package var saveAccounts: @Sendable (_ bytes: [UInt8]) -> Bool = { _ in true }
    /// Lines of Prometheus text to put behind the server's own.
    package var metrics: @Sendable () -> String = { "" }
    /// Why the server does not take requests yet, such as its loading progress; `nil` when ready.
    package var notReadyReason: @Sendable () -> String? = { nil }
    /// A setting was changed with `CONFIG SET`; a reason to refuse it, or `nil`.
    package var settingChanged: @Sendable (_ name: String, _ value: String) -> String? = { _, _ in
        nil
    }
    /// Makes the settings that belong to the data durable beside it, as lines of a configuration
    /// file: snapshots hold them.
    package var saveOptions: @Sendable (_ lines: String) -> Void = { _ in }
    /// All connections are closed: make everything durable. `save` is `false` for `SHUTDOWN
    /// NOSAVE`.
    package var shutdown: @Sendable (_ save: Bool) -> Void = { _ in }

    /// Hooks of a server without an engine.
    package init() {}
}
