import CKernels
import Primitives
import Schema

/// Spreads hits out, in slices, by maximal marginal relevance (Carbonell and Goldstein 1998): each
/// next hit is the candidate with the most of (1 - diversity) × score - diversity × its likeness to
/// the hit before it that it is most like.
///
/// Not Sendable: runs on the thread of its execution.
struct Spread {
    private let metric: VectorMetric
    private let dimensions: Int
    private let diversity: Double
    private let count: Int
    private let scores: [Double]
    /// The candidates' vectors, one after the other; under cosine of unit length.
    private let vectors: [Float]
    private var left: [Int]
    /// By candidate: the most that it is like a chosen one; nothing yet while none is chosen.
    private var likeness: [Double]
    /// Places of the candidates that are chosen so far, in their order.
    private(set) var chosen: [Int] = []

    /// - Parameters:
    ///   - scores: of each candidate, higher is better.
    ///   - vectors: each of `options.dimensions` components or, where it is gone, of none.
    ///   - count: how many to choose at most.
    init(
        scores: [Double], vectors: [[Float]], _ options: VectorOptions, diversity: Double,
        count: Int
    ) {
        metric = options.metric
        dimensions = options.dimensions
        self.diversity = diversity
        self.count = count
        self.scores = scores
        var all = [Float](repeating: 0, count: vectors.count * options.dimensions)
        for (place, vector) in vectors.enumerated() where vector.count == options.dimensions {
            let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let scale = options.metric == .cosine && length > 0 ? 1 / length : 1
            for index in vector.indices {
                all[place * options.dimensions + index] = vector[index] * scale
            }
        }
        self.vectors = all
        left = Array(scores.indices)
        likeness = [Double](repeating: 0, count: scores.count)
    }

    /// Chooses until it is finished or `deadline` on the monotonic clock has passed.
    ///
    /// - Returns: whether it is finished.
    /// - Complexity: O(candidates × dimensions) for each choice.
    mutating func run(until deadline: UInt64) -> Bool {
        while chosen.count < count, !left.isEmpty {
            choose()
            if Clock.monotonicNanoseconds() >= deadline { break }
        }
        return chosen.count >= count || left.isEmpty
    }

    private mutating func choose() {
        var best = 0
        var bestWorth = -Double.infinity
        for (place, index) in left.enumerated() {
            let worth = (1 - diversity) * scores[index] - diversity * likeness[index]
            if worth > bestWorth { (best, bestWorth) = (place, worth) }
        }
        let index = left.remove(at: best)
        let isFirst = chosen.isEmpty
        chosen.append(index)
        vectors.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for other in left {
                // SAFETY: there are `dimensions` floats for each candidate.
                let value = likeness(base + index * dimensions, base + other * dimensions)
                likeness[other] = isFirst ? value : max(likeness[other], value)
            }
        }
    }

    /// The score that one vector has for the other. SAFETY: both have `dimensions` floats.
    private func likeness(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>) -> Double {
        switch metric {
        case .cosine, .ip: Double(ck_dot_f32(a, b, dimensions))
        case .l2:
            1 / (1 + Double(max(0, ck_vector().pointee.l2_f32(a, b, dimensions))).squareRoot())
        }
    }
}
