package import Schema
import VectorIndex

/// Distances to vectors as they are stored, for fields whose index does not hold them.
///
/// One thread at a time.
package final class OriginalsRanker {
    private let ranker: VectorRanker
    private let target: [Float]
    private var hits: [VectorHit] = []

    /// - Parameter target: `options.dimensions` finite components, not all zero under cosine.
    package init(_ options: VectorOptions, target: [Float]) {
        ranker = VectorRanker(
            dimensions: options.dimensions, metric: VectorGraph.metric(options), form: .f32)
        self.target = target
    }

    /// Calls `body` with each vector's place and distance, nearest first.
    ///
    /// The vectors are little-endian f32 of the field's dimensions, readable during the call.
    ///
    /// - Complexity: O(vectors · dimensions).
    package func rank(_ vectors: [UnsafeRawPointer], _ body: (Int, Float) -> Void) {
        guard !vectors.isEmpty else { return }
        hits.removeAll(keepingCapacity: true)
        for place in vectors.indices {
            hits.append(VectorHit(node: UInt32(place), distance: 0))
        }
        target.withUnsafeBufferPointer { target in
            hits.withUnsafeMutableBufferPointer { hits in
                vectors.withUnsafeBufferPointer { vectors in
                    // SAFETY: one address for each hit; the caller keeps the vectors readable.
                    if let base = vectors.baseAddress { ranker.rank(target, hits, vectors: base) }
                }
            }
        }
        for hit in hits { body(Int(hit.node), hit.distance) }
    }
}
