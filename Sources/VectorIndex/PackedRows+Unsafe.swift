// Rows of vectors in a section, packed: what is alike lies together, and what follows from the
// originals is left out, so that a compressor finds something to do.
//
//   originals  in batches of rows, each batch by planes: all first bytes of the components, then
//              all second ones …: signs and exponents are alike, mantissas are not
//   codes      of f32 and f16 likewise, in batches of their own; of int8 alone as they are; of
//              int8 beside originals row by row the difference, modulo 256, to what the original
//              would be rounded to: nearly all are 0
//
// A code is of the vector as it came, and a f16 original is not quite that, hence the difference.

import CKernels
import Primitives

extension VectorRows {
    /// Set in the stride of the originals where rows are packed.
    static var packedMark: UInt32 { 1 << 31 }

    /// Bytes of a batch, but for rows that are longer.
    private static var batchByteCount: Int { 1 << 20 }

    private func batchRowCount(_ stride: Int) -> Int { max(1, Self.batchByteCount / stride) }

    private var codeByteCount: Int { [4, 2, 1][Int(storage.rawValue)] }
    private var exactByteCount: Int { originals == .f32 ? 4 : 2 }

    func writePacked(rowCount: Int, to sink: any SectionSink) {
        sink.put(UInt32(codeStride))
        sink.put(UInt32(exactStride) | Self.packedMark)
        if exactStride > 0 {
            writePlanes(exact.base, rowCount, stride: exactStride, of: exactByteCount, to: sink)
        }
        if storage == .int8 && hasOriginals {
            writeDifferences(rowCount, to: sink)
        } else {
            writePlanes(codes.base, rowCount, stride: codeStride, of: codeByteCount, to: sink)
        }
        if storage == .int8 { factors.write(rowCount, to: sink) }
    }

    /// Fills rows `0..<rowCount`, which are to be made usable here.
    func readPacked(rowCount: Int, from source: any SectionSource) throws(SectionError) {
        do throws(VectorIndexError) { try grow(to: rowCount) } catch {
            throw .invalid("there is memory for the vectors")
        }
        if exactStride > 0 {
            try readPlanes(
                exact.base, rowCount, stride: exactStride, of: exactByteCount, from: source)
        }
        if storage == .int8 && hasOriginals {
            try readDifferences(rowCount, from: source)
        } else {
            try readPlanes(
                codes.base, rowCount, stride: codeStride, of: codeByteCount, from: source)
        }
    }

    // MARK: - Planes

    private func writePlanes(
        _ base: UnsafeMutablePointer<UInt8>, _ rowCount: Int, stride: Int, of size: Int,
        to sink: any SectionSink
    ) {
        let batch = batchRowCount(stride)
        var plane = [UInt8](repeating: 0, count: min(batch, rowCount) * stride / size)
        for first in Swift.stride(from: 0, to: rowCount, by: batch) {
            let (start, count) = (
                base + first * stride, min(batch, rowCount - first) * stride / size
            )
            plane.withUnsafeMutableBufferPointer { plane in
                guard let out = plane.baseAddress else { return }
                for part in 0..<size {
                    // SAFETY: strides are multiples of every size, so a batch is `count` of them.
                    for i in 0..<count { out[i] = start[i &* size &+ part] }
                    sink.put(UnsafePointer(out), count: count)
                }
            }
        }
    }

    private func readPlanes(
        _ base: UnsafeMutablePointer<UInt8>, _ rowCount: Int, stride: Int, of size: Int,
        from source: any SectionSource
    ) throws(SectionError) {
        let batch = batchRowCount(stride)
        var planes = [UInt8](repeating: 0, count: min(batch, rowCount) * stride)
        for first in Swift.stride(from: 0, to: rowCount, by: batch) {
            let (start, byteCount) = (
                base + first * stride, min(batch, rowCount - first) * stride
            )
            try planes.withUnsafeMutableBufferPointer { (planes) throws(SectionError) in
                guard let from = planes.baseAddress else { return }
                try source.read(into: from, count: byteCount)
                // SAFETY: as above; the rows were made usable.
                Self.interleave(from, byteCount / size, size, into: start)
            }
        }
    }

    /// Puts `count` components of `size` bytes together of as many planes.
    private static func interleave(
        _ planes: UnsafePointer<UInt8>, _ count: Int, _ size: Int,
        into out: UnsafeMutablePointer<UInt8>
    ) {
        switch size {
        case 1: out.update(from: planes, count: count)
        case 2:
            let (low, high) = (planes, planes + count)
            for i in 0..<count {
                out[2 &* i] = low[i]
                out[2 &* i &+ 1] = high[i]
            }
        default:
            let (a, b, c, d) = (planes, planes + count, planes + 2 * count, planes + 3 * count)
            for i in 0..<count {
                out[4 &* i] = a[i]
                out[4 &* i &+ 1] = b[i]
                out[4 &* i &+ 2] = c[i]
                out[4 &* i &+ 3] = d[i]
            }
        }
    }

    // MARK: - Differences

    /// What a row's original is rounded to, at `out`; false where it is no vector.
    private func predict(
        _ row: Int, _ floats: UnsafeMutablePointer<Float>, _ out: UnsafeMutablePointer<Int8>
    ) -> Bool {
        let largest = decode(row, floats)
        guard largest < .infinity else { return false }
        ck_f32_to_i8(floats, dimensions, largest > 1e-36 ? 127 / largest : 0, out)
        return true
    }

    /// Whether the first rows are of finite numbers: the originals, where they are kept, or what
    /// is kept in their place.
    func isFinite(_ rowCount: Int) -> Bool {
        guard hasOriginals || storage != .int8 else { return true }
        var floats = [Float](repeating: 0, count: dimensions)
        return floats.withUnsafeMutableBufferPointer { floats in
            guard let out = floats.baseAddress else { return true }
            return (0..<rowCount).allSatisfy { decode($0, out) < .infinity }
        }
    }

    /// Puts a row's original, or its code where that is one, at `floats`; the largest magnitude of
    /// its components, infinite where one is no number.
    private func decode(_ row: Int, _ floats: UnsafeMutablePointer<Float>) -> Float {
        // SAFETY: the row is usable, and there is room for a vector.
        let raw = UnsafeRawPointer(
            hasOriginals ? exact.base + row * exactStride : codes.base + row * codeStride)
        if hasOriginals ? originals == .f32 : storage == .f32 {
            floats.update(from: raw.assumingMemoryBound(to: Float.self), count: dimensions)
        } else {
            ck_f16_to_f32(raw.assumingMemoryBound(to: UInt16.self), dimensions, floats)
        }
        return ck_max_abs_f32(floats, dimensions)
    }

    private func writeDifferences(_ rowCount: Int, to sink: any SectionSink) {
        var floats = [Float](repeating: 0, count: dimensions)
        var predicted = [Int8](repeating: 0, count: dimensions)
        var row = [UInt8](repeating: 0, count: codeStride)
        for number in 0..<rowCount {
            row.withUnsafeMutableBufferPointer { row in
                guard let out = row.baseAddress else { return }
                out.update(from: codes.base + number * codeStride, count: codeStride)
                predicted.withUnsafeMutableBufferPointer { predicted in
                    floats.withUnsafeMutableBufferPointer { floats in
                        guard let p = predicted.baseAddress, let f = floats.baseAddress,
                            predict(number, f, p)
                        else { return }
                        for i in 0..<dimensions { out[i] &-= UInt8(bitPattern: p[i]) }
                    }
                }
                sink.put(UnsafePointer(out), count: codeStride)
            }
        }
    }

    private func readDifferences(
        _ rowCount: Int, from source: any SectionSource
    ) throws(SectionError) {
        try source.read(into: codes.base, count: rowCount * codeStride)
        var floats = [Float](repeating: 0, count: dimensions)
        var predicted = [Int8](repeating: 0, count: dimensions)
        var isWhole = true
        floats.withUnsafeMutableBufferPointer { floats in
            predicted.withUnsafeMutableBufferPointer { predicted in
                guard let p = predicted.baseAddress, let f = floats.baseAddress else { return }
                for number in 0..<rowCount {
                    isWhole = predict(number, f, p) && isWhole
                    let out = codes.base + number * codeStride
                    for i in 0..<dimensions { out[i] &+= UInt8(bitPattern: p[i]) }
                }
            }
        }
        try source.require(isWhole, "vectors are of finite numbers")
    }
}

/// Sections of indexes of vectors.
package enum VectorSections {
    /// Writes a row of each type to nowhere, so that whatever is set up at a first use is set up.
    package static func rehearse() {
        for (storage, originals) in [(VectorStorage.int8, VectorOriginals.f16), (.f16, .f32)] {
            let rows = try? VectorRows(
                dimensions: 1, metric: .l2, storage: storage, originals: originals, rowCountMax: 1)
            guard let rows, (try? rows.grow(to: 1)) != nil else { continue }
            try? [Float](repeating: 1, count: 1).withUnsafeBufferPointer { try rows.write(0, $0) }
            rows.writePacked(rowCount: 1, to: ByteSink())
        }
    }
}
