internal import CKernels

/// The centres of an inverted file's lists: `count` rows of `dimensions` floats, and their codes.
///
/// A vector belongs to the list whose centre is nearest: by cosine for cosine, where centres have
/// unit length, by squared Euclidean distance for l2 and dot. A query probes lists in the order of
/// its own metric: under dot by the largest inner product with the centre, because that is what
/// the vectors of a list have on average.
///
/// Both go by int8 codes, as the vectors' own codes are made (VectorRows): which of two centres is
/// nearer is a matter of taste where rounding can decide it, and all centres are compared with
/// every query and every vector.
///
/// Threads: unchanged once training ends; any number of readers.
final class IVFCentroids {
    let count: Int
    let dimensions: Int
    let metric: VectorMetric
    let rows: IVFBlock<Float>
    private let codes: IVFBlock<Int8>
    private let codeStride: Int
    private let homeFactors: IVFBlock<ck_code_factor>
    private let probeFactors: IVFBlock<ck_code_factor>

    /// Centres that are all zero, for training to fill.
    init(count: Int, dimensions: Int, metric: VectorMetric) {
        precondition(count > 0, "there is a centre")
        precondition(dimensions > 0, "vectors have components")
        self.count = count
        self.dimensions = dimensions
        self.metric = metric
        codeStride = (dimensions + 15) & ~15
        rows = IVFBlock(count * dimensions, filledWith: 0)
        codes = IVFBlock(count * codeStride, filledWith: 0)
        homeFactors = IVFBlock(count, filledWith: ck_code_factor())
        probeFactors = IVFBlock(count, filledWith: ck_code_factor())
    }

    /// The metric by which a vector is given to a list.
    private var homeMetric: VectorMetric { metric == .cosine ? .cosine : .l2 }

    /// Centre `index`. After changes ``encode()`` is due.
    @inline(__always) func row(_ index: Int) -> UnsafeMutablePointer<Float> {
        assert(index >= 0 && index < count, "a list has a centre")
        return rows.base + index * dimensions
    }

    /// Makes the codes those of the rows.
    ///
    /// - Complexity: O(count × dimensions).
    // SAFETY: every row has `dimensions` floats and a stride of codes.
    func encode() {
        for index in 0..<count {
            let out = codes.base + index * codeStride
            homeFactors[index] = IVFCentroids.factor(
                VectorRows.encode(row(index), dimensions, homeMetric, out),
                homeMetric
            )
            probeFactors[index] = IVFCentroids.factor(
                VectorRows.encode(row(index), dimensions, metric, out),
                metric
            )
        }
    }

    /// What a query says of itself, said of a row.
    private static func factor(_ query: ck_code_query, _ metric: VectorMetric) -> ck_code_factor {
        switch metric {
        case .cosine, .dot: ck_code_factor(scale: -query.scale, offset: 0)
        case .l2: ck_code_factor(scale: query.scale / -2, offset: query.offset)
        }
    }

    private var table: ck_rows { ck_rows(base: codes.base, stride: codeStride) }

    /// The list that a vector belongs to, the first of equals, and the distance from its centre.
    ///
    /// `vector`: `dimensions` floats. `room`: overwritten.
    ///
    /// - Complexity: O(count × dimensions).
    // SAFETY: the kernel reads `count` rows of codes and writes `count` floats.
    func nearest(
        _ vector: UnsafePointer<Float>,
        _ room: borrowing IVFRoom
    ) -> (list: Int, distance: Float) {
        assert(room.distances.count >= count, "there is room for every distance")
        var query = VectorRows.encode(vector, dimensions, homeMetric, room.codes.base)
        let distances = room.distances.base
        ck_codes_list(&query, table, homeFactors.base, nil, 0, count, dimensions, distances)
        let list = leastIndex(distances, count)
        return (list, max(distances[list], 0))
    }

    /// Distances of a query to a range of centres, smaller is nearer, in the order of probing.
    ///
    /// `query`: codes under the index's metric. `distances`: room for the range, overwritten.
    ///
    /// - Complexity: O(range × dimensions).
    // SAFETY: as above.
    func probeDistances(
        _ query: ck_code_query,
        _ range: Range<Int>,
        into distances: UnsafeMutablePointer<Float>
    ) {
        var query = query
        let first = UInt32(range.lowerBound)
        ck_codes_list(
            &query,
            table,
            probeFactors.base,
            nil,
            first,
            range.count,
            dimensions,
            distances
        )
    }

    /// Bytes allocated.
    var byteCount: Int {
        rows.byteCount + codes.byteCount + homeFactors.byteCount + probeFactors.byteCount
    }
}

/// What finding a vector's list needs.
struct IVFRoom: ~Copyable {
    let distances: IVFBlock<Float>
    let codes: IVFBlock<Int8>

    /// Room for `listCount` centres of `dimensions` components.
    init(listCount: Int, dimensions: Int) {
        distances = IVFBlock(listCount, filledWith: 0)
        codes = IVFBlock(dimensions, filledWith: 0)
    }

    /// Bytes allocated.
    var byteCount: Int { distances.byteCount + codes.byteCount }
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
