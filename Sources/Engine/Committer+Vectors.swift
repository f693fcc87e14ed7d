import DocumentStore
import Partition
import Primitives
import Schema

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Vectors on their way through the committer: kept where they are the same, handed to the indexes,
/// held back while too many wait to be linked.
extension Committer {
    /// The vectors of a replacing document that are, bit for bit, those that the document has: they
    /// are referred to, so that their nodes keep their links.
    func unchangedVectors(
        _ prepared: PreparedDocument, _ state: DocumentState, _ stage: StagedGroup
    ) throws(EngineError) -> [VectorReference] {
        guard !prepared.vectors.isEmpty, state.isPresent else { return [] }
        var unchanged: [VectorReference] = []
        for old in try vectors(state, stage) {
            guard let new = prepared.vectors.first(where: { $0.field == old.field }),
                new.values.count == Int(old.dimensions),
                new.values == (try storedVector(old, state, stage))
            else { continue }
            unchanged.append(old)
        }
        return unchanged
    }

    /// The components of a vector: staged in this group, in the log's tail, or stored.
    func storedVector(
        _ reference: VectorReference, _ state: DocumentState, _ stage: StagedGroup
    ) throws(EngineError) -> [Float] {
        // The document's newest staged entry may itself refer to an earlier one of the group.
        var index = state.staged ?? -1
        while index >= 0 {
            let entry = stage.entries[index]
            if entry.key == reference.key,
                let own = entry.prepared?.vectors.first(where: { $0.field == reference.field })
            {
                return own.values
            }
            index = entry.earlier
        }
        return try loadVector(reference)
    }

    func loadVector(_ reference: VectorReference) throws(EngineError) -> [Float] {
        do {
            if let bytes = try reader.vector(reference) { return reference.floats(bytes) }
        } catch {
            throw shared.report(error)
        }
        if let waiting = tail?.vector(reference) { return waiting }
        throw EngineError(.corrupt, "", "a vector is missing", hint: "run aisle verify")
    }

    /// What the partition's indexes have to know of a document's vectors.
    func arrivals(
        _ references: [VectorReference], _ prepared: PreparedDocument, _ view: CollectionView,
        partition index: Int, key: LogKey, _ state: DocumentState, _ stage: StagedGroup
    ) throws(EngineError) -> [VectorArrival] {
        let fields = view.partitions[index].vectorFields
        if fields.isEmpty { return [] }
        var arrivals: [VectorArrival] = []
        for reference in references {
            let own = fields.filter { $0.field.number == reference.field }
            if own.isEmpty { continue }
            var values: [Float] = []
            if reference.key == key {
                values = prepared.vectors.first { $0.field == reference.field }?.values ?? []
            } else if own.contains(where: { !$0.isReady }) {
                // Its row may not have been brought in yet.
                values = try storedVector(reference, state, stage)
            }
            arrivals.append(
                VectorArrival(field: reference.field, source: reference.key, values: values))
        }
        for vector in prepared.vectorsInText {
            arrivals.append(VectorArrival(field: vector.field, source: key, values: vector.values))
        }
        return arrivals
    }

    // MARK: - Holding back

    /// Vectors of one group at most, and more: its entries are numbered with 16 bits.
    private static let groupCountMax = 65_536

    /// How long a group waits for the builders before its writes are refused.
    private static let builderPatienceNanoseconds: UInt64 = 5_000_000_000

    /// Waits while a partition that the group brings vectors to has too many unlinked ones: each
    /// search compares them one by one.
    func waitForBuilders(_ requests: [WriteRequest]) {
        let limit = options.limits.vectorTailCountMax
        let end = Clock.monotonicNanoseconds() + Self.builderPatienceNanoseconds
        for request in requests where request.bringsVectors {
            for view in request.views where view.writeSchema.hasVectorFields {
                while view.partitions.contains(where: { $0.vectorTailCount >= limit }) {
                    if Clock.monotonicNanoseconds() >= end || queue.isShut { return }
                    builders?.wake()
                    usleep(1_000)
                }
            }
        }
    }

    /// - Throws: `BUSY` if the partition cannot take more vectors now.
    func checkTail(
        _ view: CollectionView, _ partition: Int, bringing vectors: [PreparedDocument.VectorValue]
    ) throws(EngineError) {
        guard !vectors.isEmpty else { return }
        let limit = options.limits.vectorTailCountMax
        let partition = view.partitions[partition]
        // Builders and jobs change these figures too.
        partition.lock.lockForReading()
        defer { partition.lock.unlock() }
        for field in partition.vectorFields
        where vectors.contains(where: { $0.field == field.field.number }) {
            if field.index.isFull(for: Self.groupCountMax) {
                throw EngineError(
                    .limit, field.field.path,
                    "at most \(VectorGraph.nodeCountMax) vectors in a partition",
                    hint: "RESHARD makes more partitions")
            }
            // Looked at before the group is applied: the tail goes over by the group at most.
            if field.index.tailCount >= limit {
                throw EngineError(
                    .busy, field.field.path, "too many vectors wait to be linked",
                    hint: "send it again a little later")
            }
        }
    }
}

extension VectorReference {
    /// The components in stored bytes.
    func floats(_ bytes: UnsafeRawBufferPointer) -> [Float] {
        (0..<bytes.count / 4).map {
            Float(
                bitPattern: UInt32(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
        }
    }
}

extension WriteRequest {
    /// Whether one of its documents brings a vector.
    fileprivate var bringsVectors: Bool {
        switch body {
        case .one(let operation): operation.bringsVectors
        case .transaction(let operations): operations.contains { $0.bringsVectors }
        case .removeMany, .administrative: false
        }
    }

    fileprivate var views: [CollectionView] {
        switch body {
        case .one(let operation): [operation.collection]
        case .transaction(let operations): operations.map(\.collection)
        case .removeMany, .administrative: []
        }
    }
}

extension WriteOperation {
    fileprivate var bringsVectors: Bool {
        if case .put(let prepared) = kind { return !prepared.vectors.isEmpty }
        return !patchVectors.isEmpty
    }
}
