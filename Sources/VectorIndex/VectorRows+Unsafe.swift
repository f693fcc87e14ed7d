// The vectors of one index as rows at fixed strides: the codes that searches walk over, and the
// originals that the last candidates are ranked by.
//
//   codes      row 0 | row 1 | …      stride: the components' bytes, rounded up to whole cache
//                                     lines where that wastes no more than an eighth
//   factors    (scale, offset) | …    int8 only: what makes a product of codes a distance
//   originals  row 0 | row 1 | …      f32 or f16, absent if the codes are as good
//
// int8: code = round(component * 127 / largest magnitude). Under cosine the scale is 1 / |code|,
// so that the vectors compared are unit vectors exactly; under l2 the offset is |code|² in the
// vector's units, so the distance is that of the two rounded vectors and nothing cancels.
//
// Thread rule: `write` needs the owner's lock; rows written before may be read without one until
// they are written again. Rows never move.

import CKernels

/// A query in all the forms that a search needs. The pointers are the scratch's or a row's.
struct QueryView {
    var floats: UnsafePointer<Float>
    var coded: ck_code_query
}

/// Where the codes are, and how distances come of them: fixed for the index's life.
struct CodeView {
    let storage: VectorStorage
    let metric: VectorMetric
    let rows: ck_rows
    let factors: UnsafePointer<ck_code_factor>
    let n: Int

    /// Writes the distances of the query to the rows `ids[0..<count]` to `out[0..<count]`.
    ///
    /// - Complexity: O(count · dimensions).
    @inline(__always)
    func distances(
        _ query: borrowing QueryView, _ ids: UnsafePointer<UInt32>?, first: UInt32 = 0,
        _ count: Int, _ out: UnsafeMutablePointer<Float>
    ) {
        if storage == .int8 {
            withUnsafePointer(to: query.coded) {
                ck_codes_list($0, rows, factors, ids, first, count, n, out)
            }
        } else {
            floatDistances(query, ids, first, count, out)
        }
    }

    @inline(never)
    private func floatDistances(
        _ query: borrowing QueryView, _ ids: UnsafePointer<UInt32>?, _ first: UInt32,
        _ count: Int, _ out: UnsafeMutablePointer<Float>
    ) {
        let q = query.floats
        switch (storage, metric) {
        case (.f32, .l2): ck_l2_f32_list(q, rows, ids, first, count, n, out)
        case (.f32, _): ck_dot_f32_list(q, rows, ids, first, count, n, out)
        case (_, .l2): ck_l2_f16_list(q, rows, ids, first, count, n, out)
        default: ck_dot_f16_list(q, rows, ids, first, count, n, out)
        }
        if metric == .l2 { return }
        let one: Float = metric == .cosine ? 1 : 0
        for i in 0..<count { out[i] = one - out[i] }
    }
}

/// The vectors of one index.
final class VectorRows {
    let dimensions: Int
    let metric: VectorMetric
    let storage: VectorStorage
    let originals: VectorOriginals
    let rowCountMax: Int
    var codes: ReservedArray<UInt8>
    var factors: ReservedArray<ck_code_factor>
    var exact: ReservedArray<UInt8>
    let codeStride: Int
    /// 0 if there are no rows of originals.
    let exactStride: Int
    let view: CodeView
    /// The originals as codes of their own, or the codes if those are as good.
    let exactView: CodeView
    private var normalised: [Float]

    /// Bounds of what squares may reach without overflow, at 2^16 components.
    private static var magnitudeMax: Float { 1e15 }

    /// No rows yet.
    ///
    /// - Throws: `setting` for dimensions outside 1...65,536; `outOfMemory`.
    init(
        dimensions: Int, metric: VectorMetric, storage: VectorStorage,
        originals: VectorOriginals, rowCountMax: Int
    ) throws(VectorIndexError) {
        guard (1...65_536).contains(dimensions) else {
            throw .setting(name: "dimensions", value: dimensions, lowest: 1, highest: 65_536)
        }
        (self.dimensions, self.metric, self.storage) = (dimensions, metric, storage)
        let kept = Self.kept(originals, storage)
        (self.originals, self.rowCountMax) = (kept, rowCountMax)
        codeStride = Self.stride(dimensions * [4, 2, 1][Int(storage.rawValue)])
        exactStride = kept == .none ? 0 : Self.stride(dimensions * (kept == .f32 ? 4 : 2))
        codes = try ReservedArray(capacity: rowCountMax * codeStride)
        factors = try ReservedArray(capacity: storage == .int8 ? rowCountMax : 0)
        exact = try ReservedArray(capacity: rowCountMax * exactStride)
        view = CodeView(
            storage: storage, metric: metric,
            rows: ck_rows(base: codes.base, stride: codeStride), factors: factors.base,
            n: dimensions)
        exactView =
            kept == .none
            ? view
            : CodeView(
                storage: kept == .f32 ? .f32 : .f16, metric: metric,
                rows: ck_rows(base: exact.base, stride: exactStride), factors: factors.base,
                n: dimensions)
        normalised = [Float](repeating: 0, count: dimensions)
    }

    /// Originals that are no better than the codes are not kept twice.
    private static func kept(
        _ originals: VectorOriginals, _ storage: VectorStorage
    ) -> VectorOriginals {
        switch (storage, originals) {
        case (.f32, _), (.f16, .f16): .none
        default: originals
        }
    }

    private static func stride(_ byteCount: Int) -> Int {
        let lines = (byteCount + 63) & ~63
        return lines - byteCount <= byteCount / 8 ? lines : (byteCount + 15) & ~15
    }

    /// Whether ranking by `exactView` says more than the codes do.
    var hasOriginals: Bool { originals != .none }

    /// Bytes of memory for `count` rows.
    func byteCount(of count: Int) -> Int {
        codes.byteCount(of: count * codeStride) + exact.byteCount(of: count * exactStride)
            + (storage == .int8 ? factors.byteCount(of: count) : 0)
    }

    /// Makes rows `0..<count` usable.
    ///
    /// - Throws: `full`, `outOfMemory`; nothing has changed then.
    func grow(to count: Int) throws(VectorIndexError) {
        guard count <= rowCountMax else { throw .full(nodeCountMax: rowCountMax) }
        try codes.grow(to: count * codeStride)
        try exact.grow(to: count * exactStride)
        if storage == .int8 { try factors.grow(to: count) }
    }

    /// What a vector is multiplied by when it comes in.
    ///
    /// - Throws: `dimensions`, `notFinite`, `outOfRange`, `zeroVector`.
    /// - Complexity: O(dimensions).
    func check(_ vector: UnsafeBufferPointer<Float>) throws(VectorIndexError) -> Float {
        guard vector.count == dimensions, let p = vector.baseAddress else {
            throw .dimensions(expected: dimensions, received: vector.count)
        }
        let largest = ck_max_abs_f32(p, dimensions)
        if largest == .infinity {
            throw .notFinite(index: vector.firstIndex { !$0.isFinite } ?? 0)
        }
        guard metric == .cosine else {
            let half = storage == .f16 || originals == .f16
            let limit = half ? 65_504 : Self.magnitudeMax
            guard largest <= limit else {
                throw .outOfRange(index: vector.firstIndex { abs($0) > limit } ?? 0)
            }
            return 1
        }
        guard largest > 0 else { throw .zeroVector }
        let squares = ck_dot_f32(p, p, dimensions)
        if squares > 1e-30 && squares < 1e30 { return 1 / squares.squareRoot() }
        // Beyond what a float's square can hold, in both directions.
        let wide = vector.reduce(0.0) { $0 + Double($1) * Double($1) }
        return Float(1 / wide.squareRoot())
    }

    /// Writes a vector to row `row`, which `grow` has made usable.
    ///
    /// - Throws: as `check`; the row is then as before.
    /// - Complexity: O(dimensions).
    func write(_ row: Int, _ vector: UnsafeBufferPointer<Float>) throws(VectorIndexError) {
        let factor = try check(vector)
        Self.scale(vector, factor, &normalised)
        // SAFETY: `row` is below the count that grew; strides hold the components' bytes.
        normalised.withUnsafeBufferPointer { buffer in
            guard let p = buffer.baseAddress else { return }
            let code = codes.base + row * codeStride
            Self.store(p, dimensions, storage, code)
            if storage == .int8 { encode(p, row, UnsafeMutableRawPointer(code)) }
            let form: VectorStorage = originals == .f32 ? .f32 : .f16
            if hasOriginals { Self.store(p, dimensions, form, exact.base + row * exactStride) }
        }
    }

    /// Multiplies by a factor. A factor of 1e30 and more is a product of two, or it would overflow.
    static func scale(
        _ vector: UnsafeBufferPointer<Float>, _ factor: Float,
        _ out: UnsafeMutablePointer<Float>
    ) {
        if factor.isFinite && factor < 1e30 {
            for i in 0..<vector.count { out[i] = vector[i] * factor }
            return
        }
        let wide = vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        for i in 0..<vector.count { out[i] = Float(Double(vector[i]) / wide) }
    }

    private static func store(
        _ p: UnsafePointer<Float>, _ n: Int, _ form: VectorStorage,
        _ out: UnsafeMutablePointer<UInt8>
    ) {
        let raw = UnsafeMutableRawPointer(out)
        switch form {
        case .f32: raw.copyMemory(from: p, byteCount: n * 4)
        case .f16: ck_f32_to_f16(p, n, raw.assumingMemoryBound(to: UInt16.self))
        case .int8: break
        }
    }

    private func encode(_ p: UnsafePointer<Float>, _ row: Int, _ out: UnsafeMutableRawPointer) {
        let code = out.assumingMemoryBound(to: Int8.self)
        let query = Self.encode(p, dimensions, metric, code)
        // The query's factors say the same of a row, but for the metric's own sign and constant.
        switch metric {
        case .cosine, .dot:
            factors.base[row] = ck_code_factor(scale: -query.scale, offset: 0)
        case .l2:
            factors.base[row] = ck_code_factor(scale: query.scale / -2, offset: query.offset)
        }
    }

    /// Rounds a vector to codes at `out`, with the factors it has as a query.
    static func encode(
        _ p: UnsafePointer<Float>, _ n: Int, _ metric: VectorMetric,
        _ out: UnsafeMutablePointer<Int8>
    ) -> ck_code_query {
        let largest = ck_max_abs_f32(p, n)
        let step = largest / 127
        // Magnitudes whose reciprocal overflows are zero for all purposes of a distance.
        let inverse = largest > 1e-36 ? 127 / largest : 0
        ck_f32_to_i8(p, n, inverse, out)
        let square = Float(ck_dot_i8(out, out, n))
        switch metric {
        case .cosine:
            let scale = square > 0 ? -1 / square.squareRoot() : 0
            return ck_code_query(codes: out, scale: scale, offset: 1)
        case .dot:
            return ck_code_query(codes: out, scale: -step, offset: 0)
        case .l2:
            return ck_code_query(codes: out, scale: -2 * step, offset: step * step * square)
        }
    }

    /// The row as a query for other rows; `floats` has room for a vector.
    @inline(__always)
    func query(ofRow row: UInt32, _ floats: UnsafeMutablePointer<Float>) -> QueryView {
        // SAFETY: rows in use lie inside the reserved block.
        let raw = view.rows.base + Int(row) * codeStride
        switch storage {
        case .int8:
            let codes = raw.assumingMemoryBound(to: Int8.self)
            let f = view.factors[Int(row)]
            let coded =
                switch metric {
                case .cosine: ck_code_query(codes: codes, scale: -f.scale, offset: 1)
                case .dot: ck_code_query(codes: codes, scale: -f.scale, offset: 0)
                case .l2: ck_code_query(codes: codes, scale: -2 * f.scale, offset: f.offset)
                }
            return QueryView(floats: floats, coded: coded)
        case .f16:
            ck_f16_to_f32(raw.assumingMemoryBound(to: UInt16.self), dimensions, floats)
            return QueryView(floats: floats, coded: ck_code_query())
        case .f32:
            return QueryView(
                floats: raw.assumingMemoryBound(to: Float.self), coded: ck_code_query())
        }
    }

    /// A caller's vector as a query; `floats` and `codes` have room for a vector each.
    ///
    /// - Throws: as `check`.
    func query(
        _ vector: UnsafeBufferPointer<Float>, _ floats: UnsafeMutablePointer<Float>,
        _ codes: UnsafeMutablePointer<Int8>
    ) throws(VectorIndexError) -> QueryView {
        Self.scale(vector, try check(vector), floats)
        let coded =
            storage == .int8
            ? Self.encode(floats, dimensions, metric, codes) : ck_code_query()
        return QueryView(floats: floats, coded: coded)
    }
}
