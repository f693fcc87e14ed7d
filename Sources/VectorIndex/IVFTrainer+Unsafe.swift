internal import CKernels
internal import Primitives

/// Finds the centres of an inverted file: k-means++ seeding, then mini-batch k-means.
///
/// Seeding: D. Arthur, S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
/// A row whose centre is nearer than half the way from there to the new centre cannot change hands
/// (triangle inequality), so its distance is not computed: the draws are those of the plain
/// algorithm.
/// Batches: D. Sculley, "Web-scale k-means clustering", WWW 2010: a batch is assigned to the
/// centres as they stand, then each row pulls its centre by 1 / (rows the centre has had).
/// A centre that hardly any row came to is moved onto a random row and starts again.
///
/// The result is a function of the rows, their order and the seed alone (and of the kernels'
/// rounding, which is that of the processor's instruction set); never of how the work is cut.
///
/// Threads: one owner. The rows are a copy, so whatever they were taken from may change.
final class IVFTrainer {
    /// What a trainer is told.
    struct Plan: Equatable, Sendable {
        var dimensions: Int
        var metric: VectorMetric
        /// Centres to find; at most as many as there are rows.
        var listCount: Int
        var seed: UInt64
        /// Rows per centre that seeding looks at.
        var seedingRowsPerList = 16
        /// Rows per centre that the batches assign in all.
        var batchRowsPerList = 64
    }

    private let plan: Plan
    private let rows: IVFBlock<Float>
    private let rowCount: Int
    private var random: Xoshiro256
    /// The centres; complete once ``isDone``.
    let centroids: IVFCentroids

    // Seeding: of each row it looks at, the centre it is nearest to and the squared distance.
    private let seedingCount: Int
    private var seeded = 0
    private let nearest: IVFBlock<Float>
    private let owner: IVFBlock<UInt32>
    private let undecided: IVFBlock<UInt32>
    private let distances: IVFBlock<Float>

    // Batches: the centre of each row of a batch; of each centre, the rows it has had in all and
    // since the centres were last looked over.
    private let batchSize: Int
    private let batchCount: Int
    private var batch = 0
    private var position = 0
    private let assigned: IVFBlock<UInt32>
    private let had: IVFBlock<Float>
    private let recent: IVFBlock<UInt32>
    private let room: IVFRoom

    /// Batches between two looks at centres that no row comes to.
    private static let reviewInterval = 4

    /// A trainer for `rows`, `rowCount` × `plan.dimensions` floats **in random order**, which it
    /// takes over.
    ///
    /// - Complexity: O(rowCount).
    init(plan: Plan, rows: consuming IVFBlock<Float>, rowCount: Int) {
        precondition(plan.listCount > 0, "there is a centre")
        precondition(rowCount >= plan.listCount, "no more centres than rows")
        precondition(rows.count >= rowCount * plan.dimensions, "the rows are all there")
        self.plan = plan
        self.rows = rows
        self.rowCount = rowCount
        random = Xoshiro256(seed: plan.seed)
        centroids = IVFCentroids(
            count: plan.listCount,
            dimensions: plan.dimensions,
            metric: plan.metric
        )
        seedingCount = min(rowCount, plan.listCount * plan.seedingRowsPerList)
        nearest = IVFBlock(seedingCount, filledWith: .infinity)
        owner = IVFBlock(seedingCount, filledWith: 0)
        undecided = IVFBlock(seedingCount, filledWith: 0)
        distances = IVFBlock(max(seedingCount, plan.listCount), filledWith: 0)
        batchSize = min(rowCount, max(1_024, plan.listCount * 4))
        batchCount = max((plan.listCount * plan.batchRowsPerList + batchSize - 1) / batchSize, 8)
        assigned = IVFBlock(batchSize, filledWith: 0)
        had = IVFBlock(plan.listCount, filledWith: 1)
        recent = IVFBlock(plan.listCount, filledWith: 0)
        room = IVFRoom(listCount: plan.listCount, dimensions: plan.dimensions)
    }

    /// Are the centres found?
    var isDone: Bool { seeded == plan.listCount && batch == batchCount }

    /// Works until about `distanceCount` distances were computed; true when the centres are found.
    ///
    /// - Complexity: O(distanceCount × dimensions), and at least one step.
    func advance(distanceCount: Int) -> Bool {
        var left = distanceCount
        while left > 0, !isDone {
            left -= seeded < plan.listCount ? seedOne() : assignOne()
        }
        return isDone
    }

    private func row(_ index: Int) -> UnsafeMutablePointer<Float> {
        assert(index >= 0 && index < rowCount, "a row is within the sample")
        return rows.base + index * plan.dimensions
    }

    private func table(_ base: UnsafePointer<Float>) -> ck_rows {
        ck_rows(base: base, stride: plan.dimensions * MemoryLayout<Float>.stride)
    }

    // MARK: Seeding

    /// Draws one more centre; returns how much work that was, in distances.
    private func seedOne() -> Int {
        let index = seeded
        let centre = centroids.row(index)
        centre.update(from: row(index == 0 ? 0 : drawnRow()), count: plan.dimensions)
        let count = listUndecided(by: index)
        // SAFETY: undecided holds `count` row numbers below seedingCount; distances has room.
        ck_l2_f32_list(
            centre,
            table(rows.base),
            undecided.base,
            0,
            count,
            plan.dimensions,
            distances.base
        )
        for place in 0..<count {
            let candidate = Int(undecided[place])
            guard distances[place] < nearest[candidate] else { continue }
            nearest[candidate] = distances[place]
            owner[candidate] = UInt32(index)
        }
        seeded += 1
        return count + seeded
    }

    /// A row drawn with a probability proportional to its squared distance from the centres.
    ///
    /// - Complexity: O(rows that seeding looks at).
    private func drawnRow() -> Int {
        var total = 0.0
        for index in 0..<seedingCount { total += Double(nearest[index]) }
        // Only equal rows are left: any of them will do.
        guard total > 0, total.isFinite else { return Int(random.next() % UInt64(seedingCount)) }
        var left = Double(random.next() >> 11) * 0x1p-53 * total
        for index in 0..<seedingCount {
            left -= Double(nearest[index])
            if left < 0 { return index }
        }
        return seedingCount - 1
    }

    /// Lists the rows that may be nearer to centre `index` than to the one they have.
    ///
    /// - Complexity: O(index × dimensions + rows that seeding looks at).
    private func listUndecided(by index: Int) -> Int {
        if index == 0 {
            for place in 0..<seedingCount { undecided[place] = UInt32(place) }
            return seedingCount
        }
        ck_l2_f32_list(
            centroids.row(index),
            table(centroids.rows.base),
            nil,
            0,
            index,
            plan.dimensions,
            distances.base
        )
        var count = 0
        for place in 0..<seedingCount {
            // |c - new| >= 2 |x - c| implies |x - new| >= |x - c|; all are squared. The slack is
            // for rounding.
            if distances[Int(owner[place])] * 0.999 < nearest[place] * 4 {
                undecided[count] = UInt32(place)
                count += 1
            }
        }
        return count
    }

    // MARK: Batches

    /// Assigns one row and, at a batch's end, moves the centres; returns the work in distances.
    private func assignOne() -> Int {
        if batch == 0, position == 0 { settle() }
        let list = centroids.nearest(row(batchRow(position)), room).list
        assigned[position] = UInt32(list)
        position += 1
        guard position == batchSize else { return plan.listCount }
        moveCentres()
        position = 0
        batch += 1
        if batch % IVFTrainer.reviewInterval == 0 { reviewCentres() }
        settle()
        return plan.listCount
    }

    /// Batches go through the sample in order, again and again.
    private func batchRow(_ place: Int) -> Int { (batch * batchSize + place) % rowCount }

    /// - Complexity: O(rows of a batch × dimensions).
    private func moveCentres() {
        let dimensions = plan.dimensions
        for place in 0..<batchSize {
            let list = Int(assigned[place])
            had[list] += 1
            recent[list] += 1
            let rate = 1 / had[list]
            let (centre, vector) = (centroids.row(list), row(batchRow(place)))
            for component in 0..<dimensions {
                centre[component] += rate * (vector[component] - centre[component])
            }
        }
    }

    /// Brings moved centres to the form that vectors are compared with.
    private func settle() {
        if plan.metric == .cosine {
            for list in 0..<plan.listCount { normalize(centroids.row(list), plan.dimensions) }
        }
        centroids.encode()
    }

    /// Moves centres that got less than a twentieth of their share onto random rows, except at the
    /// end, where nothing would be left to settle them.
    private func reviewCentres() {
        let seen = IVFTrainer.reviewInterval * batchSize
        let least = seen / plan.listCount / 20
        for list in 0..<plan.listCount {
            if recent[list] <= least, batch + IVFTrainer.reviewInterval <= batchCount {
                let chosen = Int(random.next() % UInt64(rowCount))
                centroids.row(list).update(from: row(chosen), count: plan.dimensions)
                had[list] = 1
            }
            recent[list] = 0
        }
    }

    /// Bytes allocated, the sample included.
    var byteCount: Int {
        rows.byteCount + centroids.byteCount + nearest.byteCount + owner.byteCount
            + undecided.byteCount + distances.byteCount + assigned.byteCount + had.byteCount
            + recent.byteCount + room.byteCount
    }
}

/// Scales a vector of `count` floats to unit length; one of no length stays as it is.
///
/// - Complexity: O(count).
private func normalize(_ vector: UnsafeMutablePointer<Float>, _ count: Int) {
    var square: Float = 0
    for index in 0..<count { square += vector[index] * vector[index] }
    guard square > 0 else { return }
    let inverse = 1 / square.squareRoot()
    for index in 0..<count { vector[index] *= inverse }
}
