import Primitives
import Testing

@testable import VectorIndex

/// The centres of an inverted file.
@Suite struct IVFTrainerTests {
    /// `count` rows around `centres` far-apart points, in random order; row i is of cluster
    /// `labels[i]`.
    private static func clusters(
        _ count: Int,
        dimensions: Int,
        centres: Int,
        seed: UInt64
    ) -> (rows: [Float], labels: [Int]) {
        var random = Xoshiro256(seed: seed)
        let middles = (0..<centres * dimensions).map { _ in
            Float.random(in: -10...10, using: &random)
        }
        var rows: [Float] = []
        var labels: [Int] = []
        for _ in 0..<count {
            let label = Int.random(in: 0..<centres, using: &random)
            labels.append(label)
            for component in 0..<dimensions {
                let noise = Float.random(in: -0.1...0.1, using: &random)
                rows.append(middles[label * dimensions + component] + noise)
            }
        }
        return (rows, labels)
    }

    private static func trainer(
        _ rows: [Float],
        dimensions: Int,
        metric: VectorMetric,
        lists: Int,
        seed: UInt64
    ) -> IVFTrainer {
        let block = IVFBlock<Float>(rows.count, filledWith: 0)
        for (index, value) in rows.enumerated() { block[index] = value }
        let plan = IVFTrainer.Plan(
            dimensions: dimensions,
            metric: metric,
            listCount: lists,
            seed: seed
        )
        return IVFTrainer(plan: plan, rows: block, rowCount: rows.count / dimensions)
    }

    private static func values(_ trainer: IVFTrainer) -> [UInt32] {
        let centroids = trainer.centroids
        return (0..<centroids.rows.count).map { centroids.rows[$0].bitPattern }
    }

    @Test(arguments: VectorMetric.allCases)
    func farApartClustersEachGetACentre(metric: VectorMetric) {
        let seed = UInt64.random(in: 0...UInt64.max)
        let (rows, labels) = Self.clusters(2_000, dimensions: 19, centres: 8, seed: seed)
        let trainer = Self.trainer(rows, dimensions: 19, metric: metric, lists: 8, seed: seed)
        while !trainer.advance(distanceCount: 10_000) {}
        let room = IVFRoom(listCount: 8, dimensions: 19)
        var listOfLabel: [Int: Set<Int>] = [:]
        rows.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            for (index, label) in labels.enumerated() {
                let list = trainer.centroids.nearest(base + index * 19, room).list
                listOfLabel[label, default: []].insert(list)
            }
        }
        #expect(listOfLabel.values.allSatisfy { $0.count == 1 }, "seed \(seed)")
        #expect(Set(listOfLabel.values.flatMap { $0 }).count == 8, "seed \(seed)")
    }

    @Test(arguments: VectorMetric.allCases)
    func cuttingTheWorkOtherwiseGivesTheSameCentres(metric: VectorMetric) {
        let seed = UInt64.random(in: 0...UInt64.max)
        let (rows, _) = Self.clusters(3_000, dimensions: 12, centres: 30, seed: seed)
        let whole = Self.trainer(rows, dimensions: 12, metric: metric, lists: 40, seed: seed)
        while !whole.advance(distanceCount: .max) {}
        let cut = Self.trainer(rows, dimensions: 12, metric: metric, lists: 40, seed: seed)
        while !cut.advance(distanceCount: 77) {}
        #expect(Self.values(whole) == Self.values(cut), "seed \(seed)")
    }

    @Test func equalRowsAreNoTrouble() {
        let rows = [Float](repeating: 1, count: 50 * 7)
        for metric in VectorMetric.allCases {
            let trainer = Self.trainer(rows, dimensions: 7, metric: metric, lists: 5, seed: 1)
            while !trainer.advance(distanceCount: 100) {}
            let centroids = trainer.centroids
            #expect((0..<centroids.rows.count).allSatisfy { centroids.rows[$0].isFinite })
        }
    }

    @Test func cosineCentresHaveUnitLength() {
        let (rows, _) = Self.clusters(500, dimensions: 10, centres: 9, seed: 3)
        let trainer = Self.trainer(rows, dimensions: 10, metric: .cosine, lists: 20, seed: 3)
        while !trainer.advance(distanceCount: 1_000) {}
        for list in 0..<20 {
            let row = trainer.centroids.row(list)
            let square = (0..<10).reduce(Float(0)) { $0 + row[$1] * row[$1] }
            #expect(abs(square - 1) < 1e-4)
        }
    }

    @Test func theLeastOfManyValuesIsFound() {
        var random = Xoshiro256(seed: 5)
        for count in 1...70 {
            let values = (0..<count).map { _ in Float.random(in: -9...9, using: &random).rounded() }
            let found = values.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.map { leastIndex($0, count) }
            }
            #expect(found == values.firstIndex(of: values.min() ?? 0))
        }
    }
}
