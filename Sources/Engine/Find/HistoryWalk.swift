import DocumentStore
import Documents
import Partition
import Primitives
import Query
import Synchronization

/// `AT version`: the indexes hold only what recent reads see, so every document's entry at that
/// version is looked up along its chain of previous ones and matched.
extension FindExecution {
    private static let historyBatch: UInt32 = 64

    func walkHistory(_ index: Int, from start: UInt32) throws(EngineError) {
        guard let older = request.version else { preconditionFailure("a version to walk to") }
        let partition = partitions[index]
        if scan == nil {
            scan = DocumentScan(request, ordersRows: request.limit > 0)
            outcome.plan.warnings.append("AT reads every document's history: indexes are not used")
        }
        partition.lock.lockForReading()
        let bound = UInt32(partition.heads.numberBound)
        let end = min(bound, start + Self.historyBatch)
        var keys: [LogKey] = []
        for number in start..<max(start, end) {
            let key = partition.heads.key(number)
            if key != .none { keys.append(key) }
        }
        partition.lock.unlock()
        for key in keys { try addHistory(of: key, at: older) }
        try aggregation.checkGroups()
        if end < bound {
            phase = .history(partition: index, from: end)
        } else if index + 1 < partitions.count {
            phase = .history(partition: index + 1, from: 0)
        } else {
            // What was trimmed meanwhile may have taken whole documents along. The horizon rises
            // before they go: if it is still behind the version, nothing is missing.
            try context.check(older)
            noteStage("history", "entries at version \(older.rawValue)", rows: outcome.total)
            aggregation.finish(into: &outcome)
            scan?.finish(into: &outcome)
            phase = .finished
        }
    }

    private func addHistory(of newest: LogKey, at version: Version) throws(EngineError) {
        let found = try context.key(from: newest, at: version, request.view)
        if found == .none { return }
        do throws(EngineError) {
            try addEntry(found)
        } catch  where error.code == .corrupt {
            // A tombstone may have been trimmed since its head was read: the document was absent.
            let horizon = context.shared.trimHorizon.load(ordering: .sequentiallyConsistent)
            guard found.version.rawValue <= horizon else { throw error }
            try context.check(version)
        }
    }

    private func addEntry(_ found: LogKey) throws(EngineError) {
        let depth = context.shared.options.limits.documentDepthMax + 1
        try context.withEntry(found) { entry in
            if entry.isTombstone { return }
            outcome.plan.documentsRead += 1
            guard let root = try? context.parser.parse(entry.document, depthMax: depth),
                request.filter.matches(root, id: entry.id)
            else { return }
            outcome.total += 1
            aggregation.addHistorical(root)
            if request.keepsHistoryKeys { historyKeys.append(found) }
            scan?.add(root, key: found, id: entry.id)
        }
    }
}
