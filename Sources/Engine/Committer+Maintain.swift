import DocumentStore
import Partition
import Primitives
import Synchronization

/// What the committer does between groups: expiry, trimming, freeing rows, the memory figure.
extension Committer {
    /// With `isIdle` no write waited: then there is time for commits of its own.
    func maintain(isIdle: Bool) {
        expireDue(limit: 1000)
        if isIdle, trimmer.count > 0, tail?.isEmpty ?? true { trimWhenIdle() }
        maintenanceRound &+= 1
        // Applying frees most rows; what it leaves can wait a little.
        if isIdle || maintenanceRound % 64 == 0 {
            reclaimRows()
            keepLedger()
        }
        watchMemory()
        if case .interval(let milliseconds) = options.durability, tail?.isEmpty == false {
            let due = lastSyncNanoseconds + UInt64(milliseconds) * 1_000_000
            if Clock.monotonicNanoseconds() >= due { syncTail() }
        }
    }

    /// Publishes how much the committer's own tables take.
    func keepLedger() {
        var uniqueBytes = 0
        for tables in uniques.values {
            for table in tables.values { uniqueBytes += table.byteCount }
        }
        shared.uniqueByteCount.store(uniqueBytes, ordering: .relaxed)
        shared.bookByteCount.store(
            trimmer.count * 24 + expiries.byteCount + replies.byteCount, ordering: .relaxed)
    }

    // MARK: - Expiry

    /// Turns all expiries that are due into logged removals, unless the disk refuses them.
    func expireOverdue() {
        while let next = expiries.nextMilliseconds, next <= Clock.wallMilliseconds(),
            Clock.monotonicNanoseconds() >= expiryPauseEnd, shared.writeRefusal() == nil
        {
            expireDue(limit: 10_000)
        }
    }

    /// Turns expiries that are due into logged removals.
    func expireDue(limit: Int) {
        guard let next = expiries.nextMilliseconds, next <= Clock.wallMilliseconds(),
            shared.writeRefusal() == nil, Clock.monotonicNanoseconds() >= expiryPauseEnd
        else { return }
        let now = Clock.wallMilliseconds()
        var stage = StagedGroup()
        var version = lastVersion
        guard (try? reader.begin()) != nil else { return }
        var taken: [ExpiryQueue.Item] = []
        while taken.count < limit, let item = expiries.takeDue(now: now) {
            taken.append(item)
            guard let view = shared.catalog.byID[item.collection] else { continue }
            let heads = view.partition(hash: item.hash).heads
            guard item.number < heads.numberBound, heads.key(item.number) == item.key,
                heads.slot(item.number) != Heads.noSlot
            else { continue }
            version = Version(version.rawValue + 1)
            let state = DocumentState(key: item.key, isPresent: true, staged: nil)
            do {
                try stageRemoval(
                    [UInt8](heads.id(item.number)), hash: item.hash, view: view, state: state,
                    operation: .expire, into: &stage, key: LogKey(version: version, index: 0),
                    now: now)
            } catch {
                version = Version(version.rawValue - 1)
            }
        }
        reader.end()
        if stage.isEmpty { return }
        if finish(stage, upTo: version) != nil {
            // Not lost: they are tried again after a pause, for the disk may be full for long.
            for item in taken { expiries.insert(item) }
            expiryPauseEnd = Clock.monotonicNanoseconds() + 1_000_000_000
        }
    }

    /// Commits, applies and publishes a staged group.
    ///
    /// - Returns: what to answer its writes if it could not be committed.
    func finish(_ stage: StagedGroup, upTo version: Version) -> EngineError? {
        if let failure = write(stage, upTo: version) { return failure }
        apply(stage.entries)
        settleUniques(stage.entries)
        lastVersion = version
        shared.publish(version)
        return nil
    }

    // MARK: - Trim

    private var trimPolicy: TrimPolicy {
        TrimPolicy(
            retentionMilliseconds: shared.settings.retentionMilliseconds,
            retentionShare: Double(shared.settings.retentionPercent) / 100)
    }

    /// Deletes superseded entries within the open write transaction, so that the log cannot outgrow
    /// its bound while everything is being rewritten.
    ///
    /// Each deletion makes a page of its own dirty, and its branch pages. So entries are let pile
    /// up by a little (a 32nd of the live bytes) and then leave a few hundred at a time: neighbours
    /// share pages, and most commits write nothing but what they append.
    func trimShare(appended: Int) throws(StoreError) -> TrimShare? {
        guard trimmer.count > 0, !shared.snapshots.isCopying else { return nil }
        let slack = max(1 << 18, trimmer.liveByteCount / 32)
        let isDue = bytesOverBudget > (isTrimming ? 0 : slack) || maintenanceRound % 64 == 0
        guard isDue || appended == 0 else {
            isTrimming = false
            return nil
        }
        let batch = nextTrim(limit: max(512, 2 * appended))
        isTrimming = !batch.isEmpty
        if batch.isEmpty { return nil }
        try noteTrimHorizon(batch)
        let tombstones = try tombstones(of: batch)
        try writer.trim(batch)
        return TrimShare(batch: batch, tombstones: tombstones)
    }

    private func nextTrim(limit: Int) -> LogTrimmer.Batch {
        let policy = trimPolicy
        return trimmer.next(
            limit: limit, horizonVersion: trimLimit,
            horizonMilliseconds: policy.horizonMilliseconds(now: Clock.wallMilliseconds()),
            bytesOverBudget: bytesOverBudget)
    }

    /// What a later version superseded may not leave: reads pin it, or a snapshot needs it to be
    /// caught up with. Snapshots are let go of where the log would outgrow the documents.
    private var trimLimit: Version {
        let pinned = shared.pins.horizon()
        if trimmer.supersededByteCount > max(64 << 20, trimmer.liveByteCount) { return pinned }
        return min(pinned, shared.snapshots.heldVersion)
    }

    /// Superseded bytes beyond what the settings keep.
    private var bytesOverBudget: Int {
        let fixed = shared.settings.retentionByteCount
        if fixed > 0 { return max(0, trimmer.supersededByteCount - fixed) }
        return trimPolicy.bytesOverBudget(
            live: trimmer.liveByteCount, superseded: trimmer.supersededByteCount)
    }

    private func noteTrimHorizon(_ batch: LogTrimmer.Batch) throws(StoreError) {
        let horizon = max(trimHorizon, batch.newestVersion)
        try writer.putMeta(MetaKey.trimHorizon, MetaKey.bytes(horizon.rawValue))
        // Before the entries are gone: a read that misses one looks here for the reason.
        shared.trimHorizon.store(horizon.rawValue, ordering: .sequentiallyConsistent)
    }

    /// Drops the open write transaction, if there is one, and what it would have trimmed.
    func abort() {
        writer.abort()
        shared.trimHorizon.store(trimHorizon.rawValue, ordering: .sequentiallyConsistent)
    }

    /// After the commit that deleted a batch.
    func finishTrim(_ share: TrimShare?) {
        guard let share else { return }
        trimmer.confirm(share.batch)
        trimHorizon = max(trimHorizon, share.batch.newestVersion)
        forget(share.tombstones)
    }

    /// Trims up to `limit` entries in a commit of its own.
    ///
    /// - Returns: how many.
    func trimOnce(limit: Int) throws(StoreError) -> Int {
        guard !shared.snapshots.isCopying, !nextTrim(limit: 1).isEmpty else { return 0 }
        try writer.begin()
        isTrimming = true
        let batch = try trimShare(appended: 0)
        try writer.commit()
        finishTrim(batch)
        return batch?.batch.entries.count ?? 0
    }

    /// Trims in a commit of its own when no writes bring one.
    private func trimWhenIdle() {
        guard shared.writeRefusal() == nil, !shared.snapshots.isCopying,
            !nextTrim(limit: 1).isEmpty
        else { return }
        do {
            _ = try trimOnce(limit: 1000)
        } catch {
            abort()
            _ = shared.report(error)
        }
    }

    /// The documents whose tombstones are in a batch that is about to be deleted.
    private func tombstones(
        of batch: LogTrimmer.Batch
    ) throws(StoreError) -> [TrimShare.Tombstone] {
        var found: [TrimShare.Tombstone] = []
        try reader.begin()
        defer { reader.end() }
        for item in batch.entries where item.successor == item.key {
            func note(_ collection: UInt32, _ id: UnsafeRawBufferPointer) {
                guard let view = shared.catalog.byID[collection] else { return }
                found.append(
                    TrimShare.Tombstone(
                        view: view, hash: view.hash(id), id: [UInt8](id), key: item.key))
            }
            if let entry = try reader.get(item.key) {
                note(entry.collection, entry.id)
            } else if let entry = tail?.entry(item.key) {
                entry.id.withUnsafeBytes { note(entry.header.collection, $0) }
            }
        }
        return found
    }

    /// A trimmed tombstone takes its head with it: nobody can ask for an older version any more.
    private func forget(_ tombstones: [TrimShare.Tombstone]) {
        for tombstone in tombstones {
            let partition = tombstone.view.partition(hash: tombstone.hash)
            let number = tombstone.id.withUnsafeBytes {
                partition.heads.number(hash: tombstone.hash, id: $0)
            }
            guard let number, partition.heads.key(number) == tombstone.key else { continue }
            partition.lock.lockForWriting()
            partition.heads.remove(number)
            partition.lock.unlock()
        }
    }

    // MARK: - Rows

    /// Frees dead rows that no read sees any more.
    private func reclaimRows() {
        let horizon = shared.pins.horizon()
        var isPending = false
        for view in shared.catalog.collections.values {
            for partition in view.partitions where partition.deadRowCount > 0 {
                partition.lock.lockForWriting()
                partition.reclaim(horizon: horizon, limit: 256)
                partition.lock.unlock()
                if partition.deadRowCount > 0 { isPending = true }
            }
        }
        shared.reclaimIsPending = isPending
    }
}

/// What one commit trims: the entries, and the documents that are forgotten with them.
struct TrimShare {
    struct Tombstone {
        var view: CollectionView
        var hash: UInt64
        var id: [UInt8]
        var key: LogKey
    }
    var batch: LogTrimmer.Batch
    var tombstones: [Tombstone]
}
