import Synchronization

/// How far a start is: counted by the threads that load, read by whoever asks.
package final class StartProgress: Sendable {
    private let loaded = Atomic<Int>(0)
    private let toLoad = Atomic<Int>(0)
    private let replayed = Atomic<Int>(0)

    package init() {}

    /// Bytes of a snapshot's sections that are about to be read.
    func begin(byteCount: Int) {
        toLoad.store(byteCount, ordering: .relaxed)
        loaded.store(0, ordering: .relaxed)
    }

    func didLoad(_ byteCount: Int) { loaded.wrappingAdd(byteCount, ordering: .relaxed) }

    /// Entries of the log that were read.
    func didReplay(_ count: Int) { replayed.wrappingAdd(count, ordering: .relaxed) }

    /// In words, for an error's text.
    package var text: String {
        let (done, all) = (loaded.load(ordering: .relaxed), toLoad.load(ordering: .relaxed))
        let entries = replayed.load(ordering: .relaxed)
        if all == 0, entries == 0 { return "the data directory is being opened" }
        if entries > 0 { return "\(entries) entries of the log are read" }
        return "\(done * 100 / max(1, all)) % of the snapshot is read"
    }
}
