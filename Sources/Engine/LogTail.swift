import DocumentStore
import Primitives
import Schema
import Synchronization

/// Entries that `interval` durability has answered but not yet written to the log.
///
/// Reads look here for an entry that the log does not have. Bounded: when it is full, writes are
/// refused as retryable until the next sync.
final class LogTail: Sendable {
    static let byteCountMax = 64 << 20

    private struct State {
        var entries: [StagedEntry] = []
        var places: [UInt64: Int] = [:]
        var byteCount = 0
    }

    private let state = Guarded(State())

    var isEmpty: Bool { state.withLock { $0.entries.isEmpty } }

    var byteCount: Int { state.withLock { $0.byteCount } }

    /// The entries in their order.
    var pending: [StagedEntry] { state.withLock { $0.entries } }

    /// Takes a group in whole.
    func append(_ entries: [StagedEntry]) -> EngineError? {
        let added = entries.reduce(0) { $0 + $1.byteCount }
        return state.withLock { state in
            guard state.byteCount + added <= Self.byteCountMax else {
                return EngineError(
                    .busy, "", "too many writes wait for the disk", hint: "send it again")
            }
            for entry in entries {
                state.places[entry.key.rawValue] = state.entries.count
                state.entries.append(entry)
            }
            state.byteCount += added
            return nil
        }
    }

    /// The entry as it will be in the log, or nil if it is not here.
    func entry(_ key: LogKey) -> TailEntry? {
        state.withLock { state in
            guard let place = state.places[key.rawValue] else { return nil }
            let entry = state.entries[place]
            return TailEntry(
                header: entry.header, id: entry.id, document: entry.prepared?.bytes,
                vectors: entry.vectors, storedByteCount: entry.byteCount)
        }
    }

    /// The components of a vector that waits here, or nil.
    func vector(_ reference: VectorReference) -> [Float]? {
        state.withLock { state in
            guard let place = state.places[reference.key.rawValue] else { return nil }
            return state.entries[place].prepared?.vectors.first {
                $0.field == reference.field
            }?.values
        }
    }

    /// Everything is in the log now.
    func clear() { state.withLock { $0 = State() } }
}

/// One entry of the tail, copied out of it.
struct TailEntry: Sendable {
    var header: LogEntryHeader
    var id: [UInt8]
    /// Nil for a tombstone.
    var document: [UInt8]?
    var vectors: [VectorReference]
    var storedByteCount: Int
}
