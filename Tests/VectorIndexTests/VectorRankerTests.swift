import Primitives
import Testing
import VectorIndex

/// Goal: candidates of an index without originals, ranked by vectors held elsewhere, are what an
/// index with originals finds.
@Suite struct VectorRankerTests {
    @Test(arguments: VectorMetric.allCases)
    func rankingElsewhereEqualsRankingInside(metric: VectorMetric) throws {
        var set = VectorSet(count: 500, dimensions: 33, metric: metric, seed: 41)
        var inside = try Model(
            HNSWConfiguration(
                dimensions: 33, metric: metric, m: 8, efConstruction: 60, originals: .f32))
        var outside = try Model(
            HNSWConfiguration(
                dimensions: 33, metric: metric, m: 8, efConstruction: 60, originals: .none))
        for vector in set.vectors {
            _ = try inside.add(vector)
            _ = try outside.add(vector)
        }
        inside.link()
        outside.link()
        for form in [VectorForm.f32, .f16] {
            let ranker = VectorRanker(dimensions: 33, metric: metric, form: form)
            for _ in 0..<10 {
                let query = set.next()
                let expected = try inside.search(query, k: 21, ef: 60)
                let got = try ranked(outside, ranker, form, query, count: 40)
                let nodes = Set(got[..<21].map(\.node))
                #expect(expected.count { nodes.contains($0.node) } >= 20)
                for hit in got {
                    let vector = outside.held[hit.node] ?? []
                    #expect(abs(Double(hit.distance) - set.distance(query, vector)) < 0.03)
                }
                #expect(got.map(\.distance) == got.map(\.distance).sorted())
            }
        }
    }

    private func ranked(
        _ model: Model, _ ranker: VectorRanker, _ form: VectorForm, _ query: [Float], count: Int
    ) throws -> [VectorHit] {
        let out = UnsafeMutableBufferPointer<VectorHit>.allocate(capacity: count)
        defer { out.deallocate() }
        let found = try query.withUnsafeBufferPointer {
            try model.graph.candidates(
                $0, count: count, ef: 60, scratch: model.scratch, into: out)
        }
        // At odd halves of a word, as a store might hand them out.
        let blocks = out[..<found].map { hit -> UnsafeMutableRawPointer in
            let vector = model.held[hit.node] ?? []
            let block = UnsafeMutableRawPointer.allocate(byteCount: 33 * 4 + 2, alignment: 8)
            let bytes: [UInt8] =
                form == .f32
                ? vector.withUnsafeBytes { Array($0) }
                : Twin.half(vector).withUnsafeBytes { Array($0) }
            UnsafeMutableRawBufferPointer(start: block + 2, count: bytes.count)
                .copyBytes(from: bytes)
            return block
        }
        defer { for block in blocks { block.deallocate() } }
        let vectors = blocks.map { UnsafeRawPointer($0 + 2) }
        query.withUnsafeBufferPointer {
            ranker.rank($0, UnsafeMutableBufferPointer(rebasing: out[..<found]), vectors: vectors)
        }
        return Array(out[..<found])
    }
}
