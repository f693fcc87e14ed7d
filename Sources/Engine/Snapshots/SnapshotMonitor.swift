package import Primitives
package import Snapshot
import Synchronization

/// What is known of a data directory's snapshots while it is open.
package final class SnapshotMonitor: Sendable {
    /// Figures of the snapshots that were taken since the start.
    package struct Figures: Sendable {
        /// Snapshots that were finished, and those that failed.
        package var takenCount = 0
        package var failedCount = 0
        /// The newest: its name, version, time of taking, bytes.
        package var name = ""
        package var version = Version.zero
        package var createdMilliseconds: Int64 = 0
        package var byteCount = 0
        /// How long writes stood still for it, and how long all of it took.
        package var pauseMicroseconds = 0
        package var milliseconds = 0
    }

    private let state = Guarded(Figures())
    private let shelved = Guarded<(items: [SnapshotShelf.Item], stamps: [SnapshotShelf.Stamp])>(
        ([], []))
    /// The oldest version that a snapshot in use for restarts holds; `UInt64.max` for none.
    private let held = Atomic<UInt64>(.max)
    private let copying = Atomic<Bool>(false)

    /// Snapshots that the log is kept for, so that it can catch up from them.
    private static let heldCount = 2

    package init() {}

    /// Whether the log is being copied: nothing may leave it.
    var isCopying: Bool {
        get { copying.load(ordering: .sequentiallyConsistent) }
        set { copying.store(newValue, ordering: .sequentiallyConsistent) }
    }

    /// The snapshots on the shelf, newest version first, as of the last change.
    package var items: [SnapshotShelf.Item] { shelved.withLock { $0.items } }

    /// What the files looked like then.
    var stamps: [SnapshotShelf.Stamp] { shelved.withLock { $0.stamps } }

    package var figures: Figures { state.withLock { $0 } }

    func update(_ body: (inout Figures) -> Void) { state.withLock { body(&$0) } }

    /// What a later version superseded is kept.
    var heldVersion: Version { Version(held.load(ordering: .relaxed)) }

    /// Takes up what is on the shelf.
    ///
    /// - Parameters:
    ///   - partitionCount: that of the live data: others are of no use for a restart.
    ///   - published: the newest version; what is newer is of another history of this directory.
    func note(
        _ items: [SnapshotShelf.Item], _ stamps: [SnapshotShelf.Stamp], identity: UInt64,
        partitionCount: Int, published: Version
    ) {
        shelved.withLock { $0 = (items, stamps) }
        let own = items.compactMap(\.header).filter {
            $0.identity == identity && Int($0.partitionCount) == partitionCount
                && $0.version <= published
        }
        // Only those with indexes can be caught up with.
        let oldest = own.filter { !$0.hasBase }.prefix(Self.heldCount).map(\.version.rawValue).min()
        held.store(oldest ?? .max, ordering: .relaxed)
        state.withLock { figures in
            figures.version = own.first?.version ?? .zero
            figures.createdMilliseconds = own.first?.createdMilliseconds ?? 0
        }
    }
}
