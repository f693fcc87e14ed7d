import CKernels
import Primitives
import Testing

@testable import VectorIndex

/// Goal: packed rows come back as they were, of every type and across batches, and only from what
/// was written.
@Suite struct PackedRowsTests {
    private static let forms: [(VectorStorage, VectorOriginals)] = [
        (.f32, .none), (.f16, .none), (.f16, .f32), (.int8, .none), (.int8, .f16), (.int8, .f32),
    ]

    private func rows(
        _ form: (VectorStorage, VectorOriginals), dimensions: Int, metric: VectorMetric
    ) throws -> VectorRows {
        try VectorRows(
            dimensions: dimensions, metric: metric, storage: form.0, originals: form.1,
            rowCountMax: 1_000)
    }

    /// Rows of random vectors, one of them never written.
    private func filled(
        _ form: (VectorStorage, VectorOriginals), _ count: Int, dimensions: Int,
        metric: VectorMetric, seed: UInt64
    ) throws -> VectorRows {
        let rows = try rows(form, dimensions: dimensions, metric: metric)
        var random = Xoshiro256(seed: seed)
        try rows.grow(to: count)
        for row in 0..<count where row != 1 {
            let scale = Float(exactly: 1 << Int.random(in: 0...12, using: &random)) ?? 1
            let vector = (0..<dimensions).map { _ in
                Float.random(in: -1...1, using: &random) * scale
            }
            try vector.withUnsafeBufferPointer { try rows.write(row, $0) }
        }
        return rows
    }

    private func bytes(_ rows: VectorRows, _ count: Int) -> [[UInt8]] {
        [
            Array(UnsafeBufferPointer(start: rows.codes.base, count: count * rows.codeStride)),
            Array(UnsafeBufferPointer(start: rows.exact.base, count: count * rows.exactStride)),
        ]
    }

    @Test(arguments: [VectorMetric.cosine, .l2])
    func rowsComeBackAsTheyWere(_ metric: VectorMetric) throws {
        // Of the longer ones less than a hundred make a batch.
        for (count, dimensions) in [(0, 8), (1, 3), (7, 40), (300, 4_000)] {
            for form in Self.forms {
                let rows = try filled(
                    form, count, dimensions: dimensions, metric: metric, seed: 5)
                let sink = ByteSink()
                rows.writePacked(rowCount: count, to: sink)
                let source = ByteSource(sink.bytes)
                let back = try self.rows(form, dimensions: dimensions, metric: metric)
                try back.read(rowCount: count, from: source)
                #expect(source.remaining == 0)
                #expect(bytes(back, count) == bytes(rows, count), "\(form) \(count)")
                if form.0 == .int8 {
                    for row in 0..<count where row != 1 {
                        #expect(back.factors.base[row].scale == rows.factors.base[row].scale)
                        #expect(back.factors.base[row].offset == rows.factors.base[row].offset)
                    }
                }
            }
        }
    }

    @Test func codesBesideOriginalsAreNearlyAllZero() throws {
        let rows = try filled((.int8, .f16), 200, dimensions: 384, metric: .cosine, seed: 6)
        let sink = ByteSink()
        rows.writePacked(rowCount: 200, to: sink)
        let start = 8 + 200 * rows.exactStride
        let codes = sink.bytes[start..<start + 200 * rows.codeStride]
        #expect(codes.count { $0 == 0 } > codes.count * 9 / 10)
    }

    @Test func shortAndUnboundedRowsAreRefused() throws {
        let form = (VectorStorage.int8, VectorOriginals.f16)
        let rows = try filled(form, 20, dimensions: 48, metric: .l2, seed: 7)
        let sink = ByteSink()
        rows.writePacked(rowCount: 20, to: sink)
        for length in Swift.stride(from: 0, to: sink.bytes.count, by: 97) {
            let back = try self.rows(form, dimensions: 48, metric: .l2)
            #expect(throws: SectionError.self) {
                try back.read(rowCount: 20, from: ByteSource(Array(sink.bytes[..<length])))
            }
        }
        // The second plane has the exponents: of all bits set the number is none.
        var bad = sink.bytes
        bad[8 + 20 * rows.exactStride / 2 + 5] = 0x7F
        bad[8 + 5] = 0xFF
        let back = try self.rows(form, dimensions: 48, metric: .l2)
        #expect(throws: SectionError.self) {
            try back.read(rowCount: 20, from: ByteSource(bad))
        }
    }

    /// Packing them again relies on finite originals, whatever the section they came from.
    @Test(arguments: [(VectorStorage.int8, VectorOriginals.f16), (.int8, .f32), (.f16, .f32)])
    func originalsThatAreNoNumbersAreRefused(
        _ form: (VectorStorage, VectorOriginals)
    ) throws {
        let rows = try filled(form, 20, dimensions: 48, metric: .l2, seed: 8)
        let last = (form.1 == .f16 ? 48 * 2 : 48 * 4) - 1
        for isInfinite in [false, true] {
            if isInfinite {
                rows.exact.base[7 * rows.exactStride + last] = 0x7F
                rows.exact.base[7 * rows.exactStride + last - 1] = 0xFF
            }
            let (plain, packed) = (ByteSink(), ByteSink())
            plain.put(UInt32(rows.codeStride))
            plain.put(UInt32(rows.exactStride))
            rows.codes.write(20 * rows.codeStride, to: plain)
            rows.exact.write(20 * rows.exactStride, to: plain)
            if form.0 == .int8 { rows.factors.write(20, to: plain) }
            rows.writePacked(rowCount: 20, to: packed)
            for sink in [plain, packed] {
                let back = try self.rows(form, dimensions: 48, metric: .l2)
                let source = ByteSource(sink.bytes)
                let isRead = (try? back.read(rowCount: 20, from: source)) != nil
                #expect(isRead != isInfinite)
            }
        }
    }
}
