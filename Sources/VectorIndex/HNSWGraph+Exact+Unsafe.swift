// What needs the vectors themselves and no links.

import CKernels

extension HNSWGraph {
    /// The `k` nearest of the nodes in `words` by the originals, nearest first: each is compared.
    ///
    /// `words`: a bit per node, `wordCount` words. Retired nodes may be among them until they are
    /// released.
    ///
    /// - Returns: how many were written to `out`: k, or all there are.
    /// - Throws: as `check`.
    /// - Complexity: O(wordCount + nodes · dimensions).
    package func exactSearch(
        _ query: UnsafeBufferPointer<Float>, k: Int, among words: UnsafePointer<UInt64>,
        wordCount: Int, scratch: SearchScratch, into out: UnsafeMutableBufferPointer<VectorHit>
    ) throws(VectorIndexError) -> Int {
        scratch.prepare(nodeCount: nodeCount, ef: k, dimensions: rows.dimensions)
        let view = try rows.query(query, scratch.view.floats, scratch.view.codes)
        var count = 0
        scratch.evaluatedCount = FlatScan.rows(
            rows.exactView, view, words, wordCount, scratch.view, &count, k)
        return FlatScan.finish(
            rows, view, scratch.view, count, k, isExact: true, into: out)
    }

    /// Writes the node's vector to `out`, as it is compared: under cosine of unit length.
    /// REQUIRES: room for `dimensions` components; a node that is not released.
    ///
    /// - Complexity: O(dimensions).
    package func vector(_ node: UInt32, into out: UnsafeMutablePointer<Float>) {
        rows.exactView.vector(node, into: out)
    }
}

extension CodeView {
    /// Writes row `node` as floats to `out`. REQUIRES: room for `n` of them.
    ///
    /// - Complexity: O(n).
    func vector(_ node: UInt32, into out: UnsafeMutablePointer<Float>) {
        // SAFETY: rows in use lie inside the reserved block, `n` components each.
        let raw = rows.base + Int(node) * rows.stride
        switch storage {
        case .f32: out.update(from: raw.assumingMemoryBound(to: Float.self), count: n)
        case .f16: ck_f16_to_f32(raw.assumingMemoryBound(to: UInt16.self), n, out)
        case .int8:
            let codes = raw.assumingMemoryBound(to: Int8.self)
            let step = factors[Int(node)].scale
            for i in 0..<n { out[i] = Float(codes[i]) * step }
        }
    }
}
