import Partition
import Primitives
import Schema

/// What hits are to be near to.
extension SimilarExecution {
    func resolveTarget() throws(EngineError) {
        switch request.target {
        case .vector(let values): target = values
        case .document(let id):
            switch try vector(of: id) {
            case .found(let values): target = values
            case .noVector: throw noVector(id)
            case .noDocument:
                throw EngineError(
                    .notFound, String(decoding: id, as: UTF8.self), "no document with this id")
            }
            excluded.append(id)
        case .examples(let likes, let unlikes):
            try takeExamples(likes: likes, unlikes: unlikes, mustExist: true)
        case .history: preconditionFailure("a history is read before")
        }
    }

    /// Makes the target of examples: the mean direction of what is liked, moved away from the mean
    /// of what is disliked by half their difference.
    ///
    /// - Parameter mustExist: whether an id that is not there is an error or passed over.
    func takeExamples(
        likes: [[UInt8]], unlikes: [[UInt8]], mustExist: Bool
    ) throws(EngineError) {
        let liked = try vectors(of: likes, mustExist: mustExist)
        let unliked = try vectors(of: unlikes, mustExist: mustExist)
        excluded += likes + unlikes
        guard !liked.values.isEmpty else {
            throw EngineError(
                .noVector, request.field.path, "none of the examples has a vector",
                hint: "give ids of documents that have one")
        }
        outcome.basis = liked.ids
        target = mean(liked.values)
        guard !unliked.values.isEmpty else { return try settleTarget() }
        let away = mean(unliked.values)
        for index in target.indices { target[index] += 0.5 * (target[index] - away[index]) }
        try settleTarget()
    }

    /// A mean may be what no document's vector can be: without direction, or beyond the bounds.
    private func settleTarget() throws(EngineError) {
        guard case .vector(let options) = request.field.type else { return }
        if options.metric == .cosine {
            if target.allSatisfy({ $0 == 0 }) {
                throw EngineError(
                    .invalid, request.field.path, "what is liked and disliked cancels out")
            }
        } else {
            let bound = options.magnitudeMax
            for index in target.indices { target[index] = min(max(target[index], -bound), bound) }
        }
    }

    private func vectors(
        of ids: [[UInt8]], mustExist: Bool
    ) throws(EngineError) -> (ids: [[UInt8]], values: [[Float]]) {
        var found: (ids: [[UInt8]], values: [[Float]]) = ([], [])
        for id in ids {
            switch try vector(of: id) {
            case .found(let values):
                found.ids.append(id)
                found.values.append(values)
            case .noVector where mustExist: throw noVector(id)
            case .noDocument where mustExist:
                throw EngineError(
                    .notFound, String(decoding: id, as: UTF8.self), "no document with this id")
            case .noVector, .noDocument: continue
            }
        }
        return found
    }

    /// Each vector counts the same under cosine, whatever its length.
    private func mean(_ vectors: [[Float]]) -> [Float] {
        var sum = [Float](repeating: 0, count: vectors[0].count)
        for vector in vectors {
            var scale: Float = 1
            if case .vector(let options) = request.field.type, options.metric == .cosine {
                let square = vector.reduce(0) { $0 + $1 * $1 }
                scale = square > 0 ? 1 / square.squareRoot() : 0
            }
            for index in vector.indices { sum[index] += vector[index] * scale }
        }
        return sum.map { $0 / Float(vectors.count) }
    }

    private enum Found {
        case found([Float])
        case noVector
        case noDocument
    }

    private func vector(of id: [UInt8]) throws(EngineError) -> Found {
        let (partition, slot) = id.withUnsafeBytes { bytes in
            let hash = view.hash(bytes)
            let partition = view.partition(hash: hash)
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            let number = partition.heads.number(hash: hash, id: bytes)
            return (partition, number.flatMap { partition.slot(of: $0, at: version) })
        }
        guard let slot else { return .noDocument }
        // The version is pinned: the row stays.
        return try vector(partition, of: slot).map { .found($0) } ?? .noVector
    }

    private func noVector(_ id: [UInt8]) -> EngineError {
        EngineError(
            .noVector, request.field.path,
            "\(String(decoding: id, as: UTF8.self)) has no vector in this field",
            hint: "PUT it with one, or ask with VEC")
    }
}
