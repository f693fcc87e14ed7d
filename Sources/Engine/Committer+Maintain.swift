import DocumentStore
import Partition
import Primitives
import Synchronization

/// What the committer does between groups: expiry, trimming, freeing rows, the memory figure.
extension Committer {
    func maintain() {
        expireDue(limit: 1000)
        if trimmer.count > 0, tail?.isEmpty ?? true { trimWhenIdle() }
        reclaimRows()
        if case .interval(let milliseconds) = options.durability, tail?.isEmpty == false {
            let due = lastSyncNanoseconds + UInt64(milliseconds) * 1_000_000
            if Clock.monotonicNanoseconds() >= due { syncTail() }
        }
    }

    // MARK: - Expiry

    /// Turns expiries that are due into logged removals.
    func expireDue(limit: Int) {
        guard let next = expiries.nextMilliseconds, next <= Clock.wallMilliseconds(),
            shared.writeRefusal() == nil
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
            // Not lost: they are due again as soon as the store takes writes.
            for item in taken { expiries.insert(item) }
        }
    }

    /// Commits, applies and publishes a staged group.
    ///
    /// - Returns: what to answer its writes if it could not be committed.
    func finish(_ stage: StagedGroup, upTo version: Version) -> EngineError? {
        if let failure = write(stage, upTo: version) { return failure }
        let released = heldBefore(stage.entries)
        apply(stage.entries)
        settleUniques(stage.entries, released: released)
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

    /// Deletes superseded entries within the open write transaction: twice what it appends, so that
    /// the log cannot outgrow its bound while everything is being rewritten.
    func trimShare(appended: Int) throws(StoreError) -> LogTrimmer.Batch? {
        guard trimmer.count > 0 else { return nil }
        let batch = nextTrim(limit: 2 * appended + 8)
        if batch.isEmpty { return nil }
        try noteTrimHorizon(batch)
        try writer.trim(batch)
        return batch
    }

    private func nextTrim(limit: Int) -> LogTrimmer.Batch {
        let policy = trimPolicy
        let fixed = shared.settings.retentionByteCount
        let over =
            fixed > 0
            ? max(0, trimmer.supersededByteCount - fixed)
            : policy.bytesOverBudget(
                live: trimmer.liveByteCount, superseded: trimmer.supersededByteCount)
        return trimmer.next(
            limit: limit, horizonVersion: shared.pins.horizon(),
            horizonMilliseconds: policy.horizonMilliseconds(now: Clock.wallMilliseconds()),
            bytesOverBudget: over)
    }

    private func noteTrimHorizon(_ batch: LogTrimmer.Batch) throws(StoreError) {
        let horizon = max(trimHorizon, batch.newestVersion)
        try forgetTombstones(batch)
        try writer.putMeta(MetaKey.trimHorizon, MetaKey.bytes(horizon.rawValue))
    }

    /// After the commit that deleted a batch.
    func finishTrim(_ batch: LogTrimmer.Batch?) {
        guard let batch else { return }
        trimmer.confirm(batch)
        trimHorizon = max(trimHorizon, batch.newestVersion)
        shared.trimHorizon.store(trimHorizon.rawValue, ordering: .sequentiallyConsistent)
    }

    /// Trims up to `limit` entries in a commit of its own.
    ///
    /// - Returns: how many.
    func trimOnce(limit: Int) throws(StoreError) -> Int {
        guard !nextTrim(limit: 1).isEmpty else { return 0 }
        try writer.begin()
        let batch = try trimShare(appended: limit / 2)
        try writer.commit()
        finishTrim(batch)
        return batch?.entries.count ?? 0
    }

    /// Trims in a commit of its own when no writes bring one.
    private func trimWhenIdle() {
        guard shared.writeRefusal() == nil, !nextTrim(limit: 1).isEmpty else { return }
        do {
            _ = try trimOnce(limit: 1000)
        } catch {
            writer.abort()
            _ = shared.report(error)
        }
    }

    /// A trimmed tombstone takes its head with it: nobody can ask for an older version any more.
    private func forgetTombstones(_ batch: LogTrimmer.Batch) throws(StoreError) {
        try reader.begin()
        defer { reader.end() }
        for item in batch.entries where item.successor == item.key {
            guard let entry = try reader.get(item.key),
                let view = shared.catalog.byID[entry.collection]
            else { continue }
            let hash = view.hash(entry.id)
            let partition = view.partition(hash: hash)
            guard let number = partition.heads.number(hash: hash, id: entry.id),
                partition.heads.key(number) == item.key
            else { continue }
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
