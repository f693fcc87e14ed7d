package import DocumentStore
import Partition
package import Primitives
import Synchronization

/// Bytes of the server's own in the meta table, and sizes of single things.
extension Engine {
    /// What was saved under a name; nil if nothing was.
    package func setting(_ name: String) -> [UInt8]? { Self.setting(name, in: store) }

    /// The same of a store without its engine.
    package static func setting(_ name: String, in store: LogStore) -> [UInt8]? {
        guard let reader = try? store.makeReader(), (try? reader.begin()) != nil else { return nil }
        defer { reader.end() }
        return try? reader.meta(MetaKey.settingPrefix + name)
    }

    /// Saves bytes under a name, durably. Blocks: not for an event loop's hot path.
    ///
    /// - Returns: whether they were saved.
    package func saveSetting(_ name: String, _ bytes: [UInt8]) -> Bool {
        do throws(EngineError) {
            try onCommitter { try $0.putSetting(name, bytes) }
            return true
        } catch {
            return false
        }
    }

    /// Under which the settings that belong to the data are saved: lines of a configuration file.
    package static let optionsName = "options"

    /// The key under which cursors are signed: made once per data directory, so that cursors
    /// survive a restart.
    package var cursorSecret: (UInt64, UInt64) {
        if let saved = setting("cursor.secret"), saved.count == 16 {
            return (
                MetaKey.value(Array(saved[..<8])) ?? 0, MetaKey.value(Array(saved[8...])) ?? 0
            )
        }
        var system = SystemRandomNumberGenerator()
        let secret = (system.next(), system.next())
        _ = saveSetting("cursor.secret", MetaKey.bytes(secret.0) + MetaKey.bytes(secret.1))
        return secret
    }

    /// The oldest version that `AT` may name.
    package var oldestReadableVersion: Version {
        Version(shared.trimHorizon.load(ordering: .sequentiallyConsistent))
    }

    /// Bytes that a collection, or one document of it, takes in memory; nil if there is none.
    package func memoryUsage(_ collection: String, id: [UInt8]?) -> Int? {
        guard let view = shared.catalog.collection(named: collection) else { return nil }
        guard let id else {
            return view.partitionFigures.reduce(0) { $0 + $1.byteCount }
        }
        let hash = id.withUnsafeBytes { view.hash($0) }
        let partition = view.partition(hash: hash)
        partition.lock.lockForReading()
        defer { partition.lock.unlock() }
        guard let number = id.withUnsafeBytes({ partition.heads.number(hash: hash, id: $0) }),
            partition.heads.slot(number) != Heads.noSlot
        else { return nil }
        // A document's share: what a row takes on average here, and its own id.
        let count = max(1, partition.documentCount)
        return partition.byteCount / count + id.count
    }
}
