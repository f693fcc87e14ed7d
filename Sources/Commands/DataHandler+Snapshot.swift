import Documents
import Engine
import Primitives
import RESP
import Schema
import Snapshot

/// `SNAPSHOT`: whatever takes time or touches files is a job, whose number is the reply.
extension DataHandler {
    func snapshot(
        _ request: RequestFrame, _ session: Session, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        if request.equals(1, "LIST") {
            try expect(request, 2, "LIST")
            list(&reply)
            return .replied
        }
        guard engine.shared.jobs.unfinishedCount < JobTable.unfinishedMax else {
            throw EngineError(
                .busy, "jobs", "\(JobTable.unfinishedMax) jobs wait or run already",
                hint: "wait for some, or JOBS CANCEL them")
        }
        let id: UInt64
        if request.equals(1, "CREATE") {
            let isIncremental =
                request.count > 2 && request.equals(request.count - 1, "INCREMENTAL")
            let count = request.count - (isIncremental ? 1 : 0)
            guard count <= 3 else {
                throw EngineError(.syntax, "SNAPSHOT", "is CREATE [name] [INCREMENTAL]")
            }
            let name = count > 2 ? request.string(2) : nil
            if let name, name.hasPrefix(SnapshotShelf.automaticPrefix) {
                throw EngineError(
                    .invalid, "name",
                    "\(SnapshotShelf.automaticPrefix)… are the server's own, which it drops")
            }
            id = try engine.takeSnapshot(name: name, isIncremental: isIncremental)
        } else if request.equals(1, "VERIFY") {
            try expect(request, 3, "VERIFY name")
            id = try engine.verifySnapshot(request.string(2))
        } else if request.equals(1, "DROP") {
            try expect(request, 3, "DROP name")
            id = try engine.dropSnapshot(request.string(2))
        } else if request.equals(1, "RESTORE"), request.count > 2 {
            id = try restore(request, session.rights)
        } else {
            throw EngineError(
                .syntax, "SNAPSHOT", "takes CREATE, LIST, VERIFY, DROP or RESTORE")
        }
        reply.integer(Int64(id))
        return .replied
    }

    private func restore(
        _ request: RequestFrame, _ rights: AccessRights
    ) throws(EngineError) -> UInt64 {
        var moment = SnapshotMoment.end
        var (name, source): (String?, String?) = (nil, nil)
        var index = 3
        var seen: Set<String> = []
        while index < request.count {
            guard seen.insert(request.string(index).uppercased()).inserted else {
                throw EngineError(.syntax, request.string(index), "is given twice")
            }
            guard index + 1 < request.count else {
                throw EngineError(.syntax, request.string(index), "needs a value")
            }
            let value = request.string(index + 1)
            if request.equals(index, "AT") {
                guard let parsed = SnapshotMoment(value) else {
                    throw EngineError(
                        .invalid, "AT", "is a version or a time",
                        hint: "a time is 2026-11-21T20:00:00Z, or milliseconds since 1970")
                }
                moment = parsed
            } else if request.equals(index, "AS") {
                guard Schema.isValidName(value) else {
                    throw EngineError(.invalid, "AS", "is no name for a collection")
                }
                name = value
            } else if request.equals(index, "ONLY") {
                source = value
            } else {
                throw EngineError(
                    .syntax, request.string(index), "is no option of this command",
                    hint: "COMMAND DOCS lists them")
            }
            index += 2
        }
        guard name != nil || source == nil else {
            throw EngineError(.syntax, "ONLY", "needs AS, the name to restore it under")
        }
        // Whatever is read or replaced must be the account's own.
        let isAllowed =
            rights.allowsAllCollections
            || (source.map { rights.allows(collection: $0, write: false) } ?? false)
                && (name.map { rights.allows(collection: $0, write: true) } ?? false)
        guard isAllowed else {
            throw EngineError(.noPermission, "", "No permissions to access the collections")
        }
        return try engine.restoreSnapshot(
            request.string(2), moment: moment,
            target: name.map { RestoreJob.Target(source: source, name: $0) })
    }

    private func expect(
        _ request: RequestFrame, _ count: Int, _ form: String
    ) throws(EngineError) {
        guard request.count == count else { throw EngineError(.syntax, "SNAPSHOT", "is \(form)") }
    }

    private func list(_ reply: inout ReplyWriter) {
        let items = engine.snapshots()
        reply.array(items.count)
        for item in items {
            reply.map(7)
            reply.bulk("name")
            reply.bulk(item.name)
            reply.bulk("version")
            reply.integer(Int64(item.header?.version.rawValue ?? 0))
            reply.bulk("created")
            reply.bulk(item.header.map { DateTime.format($0.createdMilliseconds) } ?? "")
            reply.bulk("bytes")
            reply.integer(item.byteCount)
            reply.bulk("documents")
            reply.bulk(item.header.map { $0.hasEntries || $0.hasBase ? "yes" : "no" } ?? "")
            reply.bulk("state")
            reply.bulk(item.state)
            reply.bulk("base")
            reply.bulk(item.origin?.name ?? "")
        }
    }
}

extension SnapshotShelf.Item {
    /// One word or two for `LIST`.
    fileprivate var state: String {
        switch problem {
        case nil: "ok"
        case .foreign: "not a snapshot"
        case .formatTooNew: "of a later format"
        case .io: "unreadable"
        case .baseMissing, .baseOther: "without its base"
        case .damaged, .full, .outOfMemory: "damaged"
        }
    }
}
