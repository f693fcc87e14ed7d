package import Documents
package import Primitives
package import Query
package import Schema

/// Where a write's answer goes: an event loop, a connection on it, a place in its reply order.
package struct WriteTicket: Sendable {
    package var loop: Int
    package var session: UInt64
    package var deferral: UInt64

    package init(loop: Int, session: UInt64, deferral: UInt64) {
        self.loop = loop
        self.session = session
        self.deferral = deferral
    }
}

/// When a write may happen, looked at in commit order.
package enum WriteCondition: Sendable {
    case always
    /// The id must not be there.
    case absent
    /// The id must be there.
    case present
    /// The newest version must be this one.
    case version(Version)
    /// The newest document must match.
    case matches(CompiledFilter)
}

/// What a write does to the document's time to live.
package enum ExpiryChange: Sendable {
    /// A patch keeps what there is; a put clears it.
    case unchanged
    case clear
    /// Absolute, in milliseconds since 1970.
    case at(Int64)
}

/// Which document a write answers with.
package enum ReturnMode: Sendable {
    case none, old, new
}

/// One change of one document, prepared on an event loop, to be decided by the committer.
package struct WriteOperation: Sendable {
    package enum Kind: Sendable {
        case put(PreparedDocument)
        case patch(Update, upsert: Bool)
        case remove
        /// Reads the newest document, earlier commands of the same transaction included.
        case fetch(Projection?, withMeta: Bool)
        /// A command of a transaction that only answers.
        case echo([UInt8])
    }
    package var kind: Kind
    package var collection: CollectionView
    package var id: [UInt8]
    package var idHash: UInt64
    package var condition: WriteCondition = .always
    package var expiry: ExpiryChange = .unchanged
    package var returning: ReturnMode = .none
    /// The same key within ten minutes answers the first reply and writes nothing.
    package var idempotencyKey: [UInt8]?
    /// Vectors that a patch brings beside its update.
    package var patchVectors: [PreparedDocument.VectorValue] = []
    /// Bytes of a patch's update as sent.
    package var updateByteCount = 0
    /// Which command of its transaction it belongs to, from 1.
    package var commandNumber = 1

    package init(kind: Kind, collection: CollectionView, id: [UInt8]) {
        self.kind = kind
        self.collection = collection
        self.id = id
        idHash = id.withUnsafeBytes { collection.hash($0) }
    }

    /// Whether it may change anything.
    var mayWrite: Bool {
        switch kind {
        case .put, .patch, .remove: true
        case .fetch, .echo: false
        }
    }

    /// About how much memory the operation holds while it waits.
    package var byteCount: Int {
        let vectors = patchVectors.reduce(0) { $0 + $1.values.count * 4 }
        switch kind {
        case .put(let prepared):
            return 256 + id.count + prepared.bytes.count + prepared.entries.count * 16
                + prepared.vectors.reduce(0) { $0 + $1.values.count * 4 }
        case .patch: return 512 + id.count + updateByteCount + vectors
        case .remove, .fetch, .echo: return 256 + id.count
        }
    }
}

/// What waits in the committer's queue.
package struct WriteRequest: Sendable {
    package enum Body: Sendable {
        case one(WriteOperation)
        /// `REMOVE c id..`: each its own version; the answer is how many were there.
        case removeMany(
            CollectionView, [[UInt8]], condition: WriteCondition, idempotencyKey: [UInt8]?)
        /// `MULTI … EXEC`: one version, all or nothing.
        case transaction([WriteOperation])
        /// A change of the catalogue or of the whole engine, alone between two groups.
        case administrative(@Sendable (Committer) throws -> WriteResult)

        /// Whether it may change anything: a transaction of reads is answered by an engine that
        /// takes no writes.
        var mayWrite: Bool {
            switch self {
            case .one(let operation): operation.mayWrite
            case .transaction(let operations): operations.contains { $0.mayWrite }
            case .removeMany, .administrative: true
            }
        }
    }
    package var body: Body
    package var ticket: WriteTicket?

    package init(_ body: Body, ticket: WriteTicket?) {
        self.body = body
        self.ticket = ticket
    }

    var byteCount: Int {
        switch body {
        case .one(let operation): operation.byteCount
        case .removeMany(_, let ids, _, _): ids.reduce(0) { $0 + 64 + $1.count }
        case .transaction(let operations): operations.reduce(0) { $0 + $1.byteCount }
        case .administrative: 64
        }
    }
}

/// What became of a write.
package indirect enum WriteResult: Sendable {
    /// A put or patch. `returned` is set where `RETURN` asked: nil inside means no such document.
    case written(id: [UInt8], version: Version, returned: [UInt8]??)
    case removed(Int)
    case document([UInt8]?)
    /// `FETCH … META` inside a transaction.
    case documentWithMeta(id: [UInt8], version: Version, document: [UInt8], expiry: Int64)
    case value([UInt8])
    case number(Int)
    case transaction([WriteResult])
    case done
    case failed(EngineError)
}

/// A finished write on its way back to its connection.
package struct WriteCompletion: Sendable {
    package let ticket: WriteTicket
    package let result: WriteResult
}
