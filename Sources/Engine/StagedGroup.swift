import DocumentStore
import Partition
import Primitives
import Schema

/// One log entry that a group is about to commit.
struct StagedEntry {
    var view: CollectionView
    var partition: Int
    var hash: UInt64
    var id: [UInt8]
    var key: LogKey
    var header: LogEntryHeader
    /// Nil for a tombstone.
    var prepared: PreparedDocument?
    var vectors: [VectorReference]
    /// What the indexes of vectors have to know.
    var arrivals: [VectorArrival] = []
    /// What the indexes of places take.
    var places: [PlaceArrival] = []
    /// Bytes of the entry that this one supersedes; 0 where there is none.
    var supersededByteCount: Int
    /// Unique values that the document holds once this is applied.
    var uniques: [UniqueKey] = []
    /// Those that it held before the group; only in its first entry of the group.
    var released: [UniqueKey] = []
    /// The staged entry of another id with the same hash, or of this id before this one; -1 = none.
    var earlier: Int

    var isTombstone: Bool { prepared == nil }
    /// Whether its partition has an index of vectors.
    var hasVectorIndex: Bool { !view.partitions[partition].vectorFields.isEmpty }
}

/// What a document is at a point of the commit order.
struct DocumentState {
    /// The newest entry, a tombstone's too; `.none` if the id was never seen.
    var key: LogKey
    var isPresent: Bool
    /// Set when the newest entry is staged in this group.
    var staged: Int?

    static let unknown = DocumentState(key: .none, isPresent: false, staged: nil)
}

/// The writes of one group before they are committed: an overlay over the heads and unique keys.
///
/// Nothing here touches shared state. If the commit fails the group is simply dropped.
struct StagedGroup {
    private(set) var entries: [StagedEntry] = []
    /// (collection, id hash) → index of the newest staged entry with that hash.
    private var newest: [UInt64: Int] = [:]
    /// Unique value → who holds it in this group; `.released` hides the table's holder.
    private var claims: [UInt64: UniqueClaim] = [:]
    private var claimLog: [(key: UInt64, old: UniqueClaim?)] = []

    enum UniqueClaim: Equatable {
        /// Index into `entries`.
        case held(by: Int)
        case released
    }

    /// A place to go back to when a transaction fails half way.
    struct Mark {
        fileprivate var entryCount: Int
        fileprivate var claimCount: Int
    }

    var isEmpty: Bool { entries.isEmpty }

    private func overlayKey(_ view: CollectionView, _ hash: UInt64) -> UInt64 {
        hash ^ (UInt64(view.id) &* 0x9E37_79B9_7F4A_7C15)
    }

    /// The newest staged entry of an id.
    func newestIndex(_ view: CollectionView, hash: UInt64, id: [UInt8]) -> Int? {
        if entries.isEmpty { return nil }
        var index = newest[overlayKey(view, hash)] ?? -1
        while index >= 0 {
            if entries[index].view.id == view.id, entries[index].id == id { return index }
            index = entries[index].earlier
        }
        return nil
    }

    mutating func append(_ entry: StagedEntry) {
        var entry = entry
        let key = overlayKey(entry.view, entry.hash)
        entry.earlier = newest[key] ?? -1
        newest[key] = entries.count
        entries.append(entry)
    }

    func claim(_ key: UInt64) -> UniqueClaim? { claims[key] }

    mutating func setClaim(_ key: UInt64, _ claim: UniqueClaim) {
        claimLog.append((key, claims[key]))
        claims[key] = claim
    }

    func mark() -> Mark { Mark(entryCount: entries.count, claimCount: claimLog.count) }

    mutating func rewind(to mark: Mark) {
        while claimLog.count > mark.claimCount {
            let undone = claimLog.removeLast()
            claims[undone.key] = undone.old
        }
        while entries.count > mark.entryCount {
            let undone = entries.removeLast()
            let key = overlayKey(undone.view, undone.hash)
            newest[key] = undone.earlier < 0 ? nil : undone.earlier
        }
    }
}
