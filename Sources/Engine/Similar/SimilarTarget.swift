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
            case .noDocument: throw noDocument(id)
            }
            excluded.append(id)
        case .examples(let likes, let unlikes):
            return takeExamples(likes: likes, unlikes: unlikes, mustExist: true)
        case .history: preconditionFailure("a history is read before")
        }
        phase = .filter
    }

    /// Begins with examples: the mean direction of what is liked, moved away from the mean of what
    /// is disliked by half their difference.
    ///
    /// - Parameter mustExist: whether an id that is not there is an error or passed over.
    func takeExamples(likes: [[UInt8]], unlikes: [[UInt8]], mustExist: Bool) {
        excluded += likes + unlikes
        examples = ExampleMean(likes: likes, unlikes: unlikes, mustExist: mustExist, options)
        phase = .examples
    }

    /// Vectors that are read in one go.
    private static let exampleBatch = 64

    /// Reads some of the examples, and makes the target of them once all are read.
    func readExamples() throws(EngineError) {
        guard var mean = examples else { preconditionFailure("examples to read") }
        examples = nil
        for _ in 0..<Self.exampleBatch {
            guard let id = mean.next else { break }
            switch try vector(of: id) {
            case .found(let values): mean.add(values)
            case .noVector where mean.mustExist: throw noVector(id)
            case .noDocument where mean.mustExist: throw noDocument(id)
            case .noVector, .noDocument: mean.pass()
            }
        }
        guard mean.next == nil else {
            examples = mean
            return
        }
        guard let settled = mean.target else {
            throw EngineError(
                .noVector, request.field.path, "none of the examples has a vector",
                hint: "give ids of documents that have one")
        }
        outcome.basis = mean.basis
        target = settled
        try settleTarget()
        phase = .filter
    }

    /// A mean may be what no document's vector can be: without direction, or beyond the bounds.
    private func settleTarget() throws(EngineError) {
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

    private enum Found {
        case found([Float])
        case noVector
        case noDocument
    }

    private func vector(of id: [UInt8]) throws(EngineError) -> Found {
        guard let (partition, slot) = row(of: id) else { return .noDocument }
        // The version is pinned: the row stays.
        return try vector(partition, of: slot).map { .found($0) } ?? .noVector
    }

    private func noDocument(_ id: [UInt8]) -> EngineError {
        EngineError(.notFound, String(decoding: id, as: UTF8.self), "no document with this id")
    }

    private func noVector(_ id: [UInt8]) -> EngineError {
        EngineError(
            .noVector, request.field.path,
            "\(String(decoding: id, as: UTF8.self)) has no vector in this field",
            hint: "PUT it with one, or ask with VEC")
    }
}

/// The mean of what is liked and of what is disliked, gathered a vector at a time.
struct ExampleMean {
    private let ids: [[UInt8]]
    private let likeCount: Int
    /// Whether an id that is not there is an error.
    let mustExist: Bool
    private let options: VectorOptions
    private var place = 0
    private var liked: (sum: [Float], count: Int)
    private var unliked: (sum: [Float], count: Int)
    /// The liked ids that have a vector.
    private(set) var basis: [[UInt8]] = []

    init(likes: [[UInt8]], unlikes: [[UInt8]], mustExist: Bool, _ options: VectorOptions) {
        ids = likes + unlikes
        likeCount = likes.count
        self.mustExist = mustExist
        self.options = options
        let zero = [Float](repeating: 0, count: options.dimensions)
        (liked, unliked) = ((zero, 0), (zero, 0))
    }

    /// The id whose vector is wanted next; nil when all are read.
    var next: [UInt8]? { place < ids.count ? ids[place] : nil }

    /// Passes over ``next``.
    mutating func pass() { place += 1 }

    /// Takes the vector of ``next``. Each counts the same under cosine, whatever its length.
    mutating func add(_ vector: [Float]) {
        var scale: Float = 1
        if options.metric == .cosine {
            let square = vector.reduce(0) { $0 + $1 * $1 }
            scale = square > 0 ? 1 / square.squareRoot() : 0
        }
        if place < likeCount {
            basis.append(ids[place])
            liked.count += 1
            for index in vector.indices { liked.sum[index] += vector[index] * scale }
        } else {
            unliked.count += 1
            for index in vector.indices { unliked.sum[index] += vector[index] * scale }
        }
        place += 1
    }

    /// What hits are to be near to; nil where nothing that is liked has a vector.
    var target: [Float]? {
        guard liked.count > 0 else { return nil }
        let near = liked.sum.map { $0 / Float(liked.count) }
        guard unliked.count > 0 else { return near }
        let away = unliked.sum.map { $0 / Float(unliked.count) }
        return zip(near, away).map { $0 + 0.5 * ($0 - $1) }
    }
}
