internal import Primitives

/// A training under way: sample, centres, and every member's way to its new list.
///
/// All of it without a lock: the members cannot change while it goes on, because operations wait
/// for it, and the new lists are nobody else's yet. The work is cut into slices, and comes out the
/// same however it is cut.
///
/// Memory: the sample is 32 vectors per list in f32, gone when the centres are found.
///
/// Threads: the builder's.
final class IVFTraining {
    private let nodes: FlatNodes
    private let nodeCountMax: Int
    /// The members to be sorted into lists, ascending.
    private let members: [UInt32]
    private var trainer: IVFTrainer?
    private var trained: IVFLists?
    private var next = 0
    private var distanceSum = 0.0
    private let vector: IVFBlock<Float>
    private let room: IVFRoom

    /// Components that a slice looks at: about a millisecond's worth.
    private static let componentsPerSlice = 1 << 24
    private static let sampleRowsPerList = 32

    /// Begins: takes the sample. `turn`: how many trainings were before.
    ///
    /// - Complexity: O(nodes + sample · dimensions).
    init(nodes: FlatNodes, lists: IVFLists, configuration: IVFConfiguration, turn: Int) {
        self.nodes = nodes
        nodeCountMax = configuration.vectors.nodeCountMax
        members = lists.allMembers()
        let dimensions = configuration.vectors.dimensions
        let listCount = configuration.lists(for: members.count)
        vector = IVFBlock(dimensions, filledWith: 0)
        room = IVFRoom(listCount: listCount, dimensions: dimensions)
        let plan = IVFTrainer.Plan(
            dimensions: dimensions,
            metric: configuration.vectors.metric,
            listCount: listCount,
            seed: configuration.seed &+ UInt64(turn)
        )
        let rowCount = min(members.count, listCount * IVFTraining.sampleRowsPerList)
        let rows = IVFBlock<Float>(rowCount * dimensions, filledWith: 0)
        // The first `rowCount` steps of a shuffle.
        var random = Xoshiro256(seed: ~plan.seed)
        var order = members
        for index in 0..<rowCount {
            let other = index + Int(random.next() % UInt64(order.count - index))
            order.swapAt(index, other)
            nodes.rows.exactView.vector(order[index], into: rows.base + index * dimensions)
        }
        trainer = IVFTrainer(plan: plan, rows: rows, rowCount: rowCount)
    }

    /// Does a slice of the work; the new lists when they are complete.
    ///
    /// - Throws: `outOfMemory`: the training cannot go on.
    /// - Complexity: bounded: about 2^24 components looked at.
    func advance() throws(VectorIndexError) -> (lists: IVFLists, distance: Double)? {
        let dimensions = nodes.rows.dimensions
        if let trainer {
            let budget = max(IVFTraining.componentsPerSlice / dimensions, 1)
            guard trainer.advance(distanceCount: budget) else { return nil }
            let lists = try IVFLists(centroids: trainer.centroids, nodeCountMax: nodeCountMax)
            try lists.reserve(nodeCount: Int(members.last ?? 0) + 1)
            (trained, self.trainer) = (lists, nil)
            return nil
        }
        guard let trained, let centroids = trained.centroids else {
            preconditionFailure("a training that is done is not gone on with")
        }
        let slice = max(IVFTraining.componentsPerSlice / (dimensions * centroids.count), 1)
        let end = min(members.count, next + slice)
        for index in next..<end {
            nodes.rows.exactView.vector(members[index], into: vector.base)
            let (list, distance) = centroids.nearest(vector.base, room)
            distanceSum += Double(distance)
            trained.insert(members[index], into: list)
        }
        next = end
        guard next == members.count else { return nil }
        return (trained, distanceSum / Double(max(members.count, 1)))
    }
}
