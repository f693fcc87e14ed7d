// Ranking by originals that the index does not hold: read from wherever the caller keeps them.

import CKernels

/// The form of vectors that a caller holds.
package enum VectorForm: UInt8, Sendable {
    case f32
    case f16
}

/// Ranks candidates by vectors at given addresses. One thread at a time.
package final class VectorRanker {
    private let dimensions: Int
    private let metric: VectorMetric
    private let form: VectorForm
    private var query: [Float]

    /// A ranker for vectors of one shape.
    package init(dimensions: Int, metric: VectorMetric, form: VectorForm) {
        (self.dimensions, self.metric, self.form) = (dimensions, metric, form)
        query = [Float](repeating: 0, count: dimensions)
    }

    /// Replaces the distances of `hits` by those of the vectors at `vectors`, in the same order,
    /// and sorts them, nearest first, equally near ones by node.
    ///
    /// The vectors are `dimensions` components of the form, little-endian, at any even address,
    /// and readable during the call. Under cosine they may have any length but zero.
    ///
    /// - Complexity: O(hits · dimensions).
    package func rank(
        _ query: UnsafeBufferPointer<Float>, _ hits: UnsafeMutableBufferPointer<VectorHit>,
        vectors: UnsafePointer<UnsafeRawPointer>
    ) {
        precondition(query.count == dimensions, "the query has the vectors' dimensions")
        take(query)
        let byteCount = dimensions * (form == .f32 ? 4 : 2)
        for i in 0..<min(hits.count, 4) { Self.fetch(vectors[i], byteCount) }
        for i in 0..<hits.count {
            if i + 4 < hits.count { Self.fetch(vectors[i + 4], byteCount) }
            hits[i].distance = distance(to: vectors[i])
        }
        var hits = hits
        hits.sort { ($0.distance, $0.node) < ($1.distance, $1.node) }
    }

    private func take(_ vector: UnsafeBufferPointer<Float>) {
        var factor: Float = 1
        if metric == .cosine {
            let square = vector.reduce(0.0) { $0 + Double($1) * Double($1) }
            factor = square > 0 ? Float(1 / square.squareRoot()) : 0
        }
        query.withUnsafeMutableBufferPointer {
            guard let out = $0.baseAddress else { return }
            VectorRows.scale(vector, factor, out)
        }
    }

    private static func fetch(_ vector: UnsafeRawPointer, _ byteCount: Int) {
        for at in stride(from: 0, to: byteCount, by: 64) { ck_prefetch(vector + at) }
    }

    private func distance(to vector: UnsafeRawPointer) -> Float {
        // SAFETY: the caller says that `dimensions` components are readable; the kernels ask for
        // no alignment beyond what a byte copy would.
        let (rows, n) = (ck_rows(base: vector, stride: 0), dimensions)
        var out: Float = 0
        switch (form, metric) {
        case (.f32, .l2): ck_l2_f32_list(query, rows, nil, 0, 1, n, &out)
        case (.f32, _): ck_dot_f32_list(query, rows, nil, 0, 1, n, &out)
        case (.f16, .l2): ck_l2_f16_list(query, rows, nil, 0, 1, n, &out)
        case (.f16, _): ck_dot_f16_list(query, rows, nil, 0, 1, n, &out)
        }
        switch metric {
        case .l2: return out
        case .dot: return -out
        case .cosine: return 1 - out / norm(of: vector)
        }
    }

    private func norm(of vector: UnsafeRawPointer) -> Float {
        let square =
            form == .f32
            ? ck_vector().pointee.dot_f32(
                vector.assumingMemoryBound(to: Float.self),
                vector.assumingMemoryBound(to: Float.self), dimensions)
            : ck_vector().pointee.dot_f16(
                vector.assumingMemoryBound(to: UInt16.self),
                vector.assumingMemoryBound(to: UInt16.self), dimensions)
        return square > 0 ? square.squareRoot() : 1
    }
}

extension HNSWGraph {
    /// Finds the best `count` candidates by the distances of the codes, nearest first, for a
    /// caller that ranks them itself.
    ///
    /// - Returns: how many were written to `out`, which has room for `count`.
    /// - Throws: as `check`.
    /// - Complexity: as `search`.
    package func candidates(
        _ query: UnsafeBufferPointer<Float>, count: Int, ef: Int,
        accept: UnsafePointer<UInt64>? = nil, matchCount: Int? = nil,
        plan: VectorSearchPlan? = nil, scratch: SearchScratch,
        into out: UnsafeMutableBufferPointer<VectorHit>
    ) throws(VectorIndexError) -> Int {
        precondition(out.count >= count, "room for all candidates")
        let found = try candidates(
            query, k: count, ef: ef, accept: accept, matchCount: matchCount, plan: plan,
            scratch: scratch)
        let kept = min(found, count)
        for i in 0..<kept {
            let key = scratch.view.pool[i]
            out[i] = VectorHit(node: Candidate.node(key), distance: Candidate.distance(key))
        }
        return kept
    }
}
