internal import CKernels

/// The centres of an inverted file's lists: `count` rows of `dimensions` floats.
///
/// A vector belongs to the list whose centre is nearest: by cosine for cosine (centres have unit
/// length, so the largest inner product wins), by squared Euclidean distance for l2 and dot. A
/// query probes lists in the order of its own metric: under dot by the largest inner product with
/// the centre, because that is what the vectors of a list have on average.
///
/// Threads: unchanged once training ends; any number of readers.
final class IVFCentroids {
    let count: Int
    let dimensions: Int
    let metric: VectorMetric
    let rows: IVFBlock<Float>

    /// Centres that are all zero, for training to fill.
    init(count: Int, dimensions: Int, metric: VectorMetric) {
        precondition(count > 0, "there is a centre")
        precondition(dimensions > 0, "vectors have components")
        self.count = count
        self.dimensions = dimensions
        self.metric = metric
        rows = IVFBlock(count * dimensions, filledWith: 0)
    }

    /// Centre `index`. - Complexity: O(1).
    @inline(__always) func row(_ index: Int) -> UnsafeMutablePointer<Float> {
        assert(index >= 0 && index < count, "a list has a centre")
        return rows.base + index * dimensions
    }

    private var table: ck_rows {
        ck_rows(base: rows.base, stride: dimensions * MemoryLayout<Float>.stride)
    }

    /// The list that a vector belongs to; the first of equals.
    ///
    /// `vector`: `dimensions` floats. `distances`: room for `count` floats, overwritten.
    ///
    /// - Complexity: O(count × dimensions).
    // SAFETY: the kernel reads `count` rows of the table and writes `count` floats.
    func nearest(
        _ vector: UnsafePointer<Float>,
        distances: UnsafeMutablePointer<Float>
    ) -> Int {
        switch metric {
        case .cosine: similarities(vector, 0..<count, into: distances)
        case .dot, .l2:
            ck_l2_f32_list(vector, table, nil, 0, count, dimensions, distances)
        }
        return leastIndex(distances, count)
    }

    /// A distance that ``nearest(_:distances:)`` left, as one that is never below zero.
    func distance(_ distance: Float) -> Float {
        max(metric == .cosine ? 1 + distance : distance, 0)
    }

    /// Distances of a query to a range of centres, smaller is nearer, in the order of probing.
    ///
    /// `query`: `dimensions` floats. `distances`: room for as many floats, overwritten.
    ///
    /// - Complexity: O(range × dimensions).
    // SAFETY: as above.
    func probeDistances(
        _ query: UnsafePointer<Float>,
        _ range: Range<Int>,
        into distances: UnsafeMutablePointer<Float>
    ) {
        switch metric {
        case .cosine, .dot: similarities(query, range, into: distances)
        case .l2:
            ck_l2_f32_list(
                query,
                table,
                nil,
                UInt32(range.lowerBound),
                range.count,
                dimensions,
                distances
            )
        }
    }

    private func similarities(
        _ vector: UnsafePointer<Float>,
        _ range: Range<Int>,
        into distances: UnsafeMutablePointer<Float>
    ) {
        let first = UInt32(range.lowerBound)
        ck_dot_f32_list(vector, table, nil, first, range.count, dimensions, distances)
        for index in 0..<range.count { distances[index] = -distances[index] }
    }

    /// Bytes allocated.
    var byteCount: Int { rows.byteCount }
}

/// The index of the least of `count` values, the first of equals; 0 if all are NaN.
///
/// - Complexity: O(count). REQUIRES: count > 0.
// Two passes: the first has no dependence on an index and runs in whole registers.
func leastIndex(_ values: UnsafePointer<Float>, _ count: Int) -> Int {
    var least = SIMD16<Float>(repeating: .infinity)
    let whole = count / 16 * 16
    var start = 0
    while start < whole {
        // SAFETY: start + 16 <= count.
        let block = UnsafeRawPointer(values + start).loadUnaligned(as: SIMD16<Float>.self)
        least.replace(with: block, where: block .< least)
        start += 16
    }
    var smallest = least.min()
    while start < count {
        if values[start] < smallest { smallest = values[start] }
        start += 1
    }
    for index in 0..<count where values[index] == smallest { return index }
    return 0
}
