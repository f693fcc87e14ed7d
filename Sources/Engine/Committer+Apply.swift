import DocumentStore
import Partition
import Primitives
import Schema

/// Applying committed entries: to the partitions under their writer locks, and to what the
/// committer alone keeps (unique keys, expiries, the queue of superseded entries).
extension Committer {
    /// Entries that are applied under one hold of a partition's lock: about 0.2 ms of work.
    static let applySlice = 64

    /// Applies entries in their order, partition by partition. Cannot fail.
    func apply(_ entries: [StagedEntry]) {
        let horizon = shared.pins.horizon()
        if entries.count == 1 {
            applyRun(entries, [0], horizon: horizon)
        } else {
            for run in runs(of: entries) { applyRun(entries, run, horizon: horizon) }
        }
        for entry in entries { keepBooks(entry) }
        if let builders, entries.contains(where: \.hasVectorIndex) {
            builders.wake()
        }
    }

    /// Indexes of the entries of each partition, in order.
    private func runs(of entries: [StagedEntry]) -> [[Int]] {
        var runs: [[Int]] = []
        var places: [UInt64: Int] = [:]
        for (index, entry) in entries.enumerated() {
            let place = UInt64(entry.view.id) << 32 | UInt64(entry.partition)
            if let run = places[place] {
                runs[run].append(index)
            } else {
                places[place] = runs.count
                runs.append([index])
            }
        }
        return runs
    }

    private func applyRun(_ entries: [StagedEntry], _ run: [Int], horizon: Version) {
        let partition = entries[run[0]].view.partitions[entries[run[0]].partition]
        var position = 0
        while position < run.count {
            let end = min(run.count, position + Self.applySlice)
            partition.lock.lockForWriting()
            for index in run[position..<end] {
                let entry = entries[index]
                entry.id.withUnsafeBytes { id in
                    partition.apply(
                        id: id, hash: entry.hash, key: entry.key, prepared: entry.prepared,
                        vectors: entry.arrivals, places: entry.places)
                }
            }
            partition.reclaim(horizon: horizon, limit: 2 * (end - position) + 16)
            partition.lock.unlock()
            position = end
        }
    }

    private func keepBooks(_ entry: StagedEntry) {
        let partition = entry.view.partitions[entry.partition]
        if entry.supersededByteCount > 0 {
            trimmer.supersede(
                entry.header.previous, by: entry.key,
                atMilliseconds: entry.header.timestampMilliseconds,
                byteCount: entry.supersededByteCount)
        }
        // A tombstone comes behind what it removed, so that it never leaves the log before it.
        if entry.isTombstone {
            trimmer.addTombstone(
                entry.key, atMilliseconds: entry.header.timestampMilliseconds,
                byteCount: entry.byteCount)
        } else {
            trimmer.addLive(byteCount: entry.byteCount)
        }
        let number = entry.id.withUnsafeBytes { partition.heads.number(hash: entry.hash, id: $0) }
        guard let number else { preconditionFailure("an applied entry has a head") }
        if entry.header.expiryMilliseconds != 0 {
            expiries.insert(
                ExpiryQueue.Item(
                    milliseconds: entry.header.expiryMilliseconds, collection: entry.view.id,
                    hash: entry.hash, number: number, key: entry.key))
        }
    }

    /// Brings the unique tables up to a group's outcome. Called after ``apply(_:)``.
    func settleUniques(_ entries: [StagedEntry]) {
        for entry in entries where !entry.released.isEmpty {
            guard let holder = holder(entry) else { continue }
            for unique in entry.released {
                uniques[entry.view.id]?[unique.field]?.remove(unique.key, holder)
            }
        }
        for entry in entries where !entry.uniques.isEmpty {
            guard let holder = holder(entry),
                entry.view.partitions[holder.partition].heads.key(holder.number) == entry.key
            else { continue }
            for unique in entry.uniques {
                uniques[entry.view.id, default: [:]][unique.field, default: UniqueTable()].add(
                    unique.key, holder)
            }
        }
    }

    private func holder(_ entry: StagedEntry) -> UniqueTable.Holder? {
        let heads = entry.view.partitions[entry.partition].heads
        let number = entry.id.withUnsafeBytes { heads.number(hash: entry.hash, id: $0) }
        return number.map { UniqueTable.Holder(partition: entry.partition, number: $0) }
    }
}
