import CKernels
import Primitives
import Testing

private var levels: [UnsafePointer<ck_vector_kernels>] {
    (0..<4).compactMap { ck_vector_level(Int32($0)) }
}

/// Rows with a gap behind each, and ids into them in any order, some twice.
private struct Rows<T: BitwiseCopyable> {
    let rows: [[T]]
    let ids: [UInt32]
    let stride: Int
    let bytes: [UInt8]

    init(_ rows: [[T]], n: Int, count: Int, random: inout Xoshiro256) {
        self.rows = rows
        ids = (0..<count).map { _ in UInt32.random(in: 0..<UInt32(rows.count), using: &random) }
        stride = (n + 3) * MemoryLayout<T>.stride
        var bytes: [UInt8] = []
        for row in rows {
            row.withUnsafeBytes { bytes.append(contentsOf: $0) }
            bytes.append(
                contentsOf: repeatElement(0xff, count: stride - n * MemoryLayout<T>.stride))
        }
        self.bytes = bytes + [0]
    }

    func with<R>(_ body: (ck_rows) -> R) -> R {
        // SAFETY: the bytes outlive the call; strides and ids stay inside them.
        bytes.withUnsafeBytes { body(ck_rows(base: $0.baseAddress, stride: stride)) }
    }
}

@Suite struct VectorListKernelTests {
    let shapes = [0, 1, 7, 16, 31, 33, 64, 65, 130, 384, 784]
    let counts = [0, 1, 2, 3, 4, 5, 8, 31, 32, 67, 130]

    @Test func listsOfFloatsEqualSingleCalls() {
        var random = Xoshiro256(seed: 21)
        for n in shapes {
            for count in counts {
                let table = (0..<140).map { _ in
                    (0..<n).map { _ in Float.random(in: -1...1, using: &random) }
                }
                let q = (0..<n).map { _ in Float.random(in: -1...1, using: &random) }
                let rows = Rows(table, n: n, count: count, random: &random)
                let halves = Rows(table.map { Twin.half($0) }, n: n, count: count, random: &random)
                for level in levels {
                    let k = level.pointee
                    check(rows, q, n, k.dot_f32_list) { Float(Twin.dot(q, table[$0])) }
                    check(rows, q, n, k.l2_f32_list) { Float(Twin.l2(q, table[$0])) }
                    check(halves, q, n, k.dot_f16_list) {
                        Float(Twin.dot(q, halves.rows[$0].map { Twin.float($0) }))
                    }
                    check(halves, q, n, k.l2_f16_list) {
                        Float(Twin.l2(q, halves.rows[$0].map { Twin.float($0) }))
                    }
                }
            }
        }
    }

    private typealias FloatList = (
        UnsafePointer<Float>?, ck_rows, UnsafePointer<UInt32>?, UInt32, Int, Int,
        UnsafeMutablePointer<Float>?
    ) -> Void

    private func check<T>(
        _ rows: Rows<T>, _ q: [Float], _ n: Int, _ kernel: FloatList, _ expected: (Int) -> Float
    ) {
        let count = rows.ids.count
        var listed = [Float](repeating: -7, count: count + 1)
        var ranged = listed
        rows.with {
            kernel(q, $0, rows.ids, 0, count, n, &listed)
            kernel(q, $0, nil, 5, count, n, &ranged)
        }
        for i in 0..<count {
            #expect(abs(listed[i] - expected(Int(rows.ids[i]))) < 1e-3, "\(n) \(count) \(i)")
            if i + 5 < 140 { #expect(abs(ranged[i] - expected(i + 5)) < 1e-3, "\(n) \(count)") }
        }
        #expect(listed[count] == -7)
        #expect(ranged[count] == -7)
    }

    @Test func listsOfCodesEqualSingleCalls() {
        var random = Xoshiro256(seed: 22)
        for n in shapes {
            for count in counts {
                let table = (0..<140).map { _ in
                    (0..<n).map { _ in Int8.random(in: -128...127, using: &random) }
                }
                let q = (0..<n).map { _ in Int8.random(in: -128...127, using: &random) }
                let rows = Rows(table, n: n, count: count, random: &random)
                for level in levels { codes(level.pointee, rows, q, n) }
            }
        }
    }

    private func codes(_ k: ck_vector_kernels, _ rows: Rows<Int8>, _ q: [Int8], _ n: Int) {
        let (ids, count) = (rows.ids, rows.ids.count)
        var (dot, l2) = ([Int32](repeating: 7, count: count + 1), [Int32]())
        l2 = dot
        var ranged = dot
        let factors = (0..<140).map { ck_code_factor(scale: Float($0) / 64, offset: Float($0)) }
        var coded = [Float](repeating: 7, count: count + 1)
        var codedRange = coded
        let ranges = min(count, 135)
        rows.with { r in
            k.dot_i8_list(q, r, ids, 0, count, n, &dot)
            k.l2_i8_list(q, r, ids, 0, count, n, &l2)
            k.dot_i8_list(q, r, nil, 5, ranges, n, &ranged)
            q.withUnsafeBufferPointer {
                var query = ck_code_query(codes: $0.baseAddress, scale: 0.5, offset: 3)
                k.codes_list(&query, r, factors, ids, 0, count, n, &coded)
                k.codes_list(&query, r, factors, nil, 5, ranges, n, &codedRange)
            }
        }
        let from = { (i: Int) -> Float in
            3 + factors[i].offset + 0.5 * factors[i].scale * Float(Twin.dot(q, rows.rows[i]))
        }
        for i in 0..<count {
            let row = Int(ids[i])
            #expect(Int(dot[i]) == Twin.dot(q, rows.rows[row]), "\(n) \(count) \(i)")
            #expect(Int(l2[i]) == Twin.l2(q, rows.rows[row]), "\(n) \(count) \(i)")
            #expect(abs(coded[i] - from(row)) <= abs(from(row)) * 1e-5 + 1e-3)
        }
        for i in 0..<ranges {
            #expect(Int(ranged[i]) == Twin.dot(q, rows.rows[i + 5]), "\(n) \(count) \(i)")
            #expect(abs(codedRange[i] - from(i + 5)) <= abs(from(i + 5)) * 1e-5 + 1e-3)
        }
        #expect(dot[count] == 7 && l2[count] == 7 && coded[count] == 7)
    }
}

@Suite struct UnvisitedKernelTests {
    @Test func freshIdsAreListedInOrderAndMarked() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = Xoshiro256(seed: seed)
        for capacity in [0, 1, 4, 15, 16, 17, 32, 40, 200] {
            for _ in 0..<30 {
                let used = Int.random(in: 0...capacity, using: &random)
                var ids = Array((0..<UInt32(1000)).shuffled(using: &random)[..<used])
                ids += [UInt32](repeating: .max, count: capacity - used)
                let visited = (0..<16).map { _ in random.next() }
                for level in levels {
                    var marks = visited
                    var out = [UInt32](repeating: 0, count: capacity + 16)
                    let count = level.pointee.unvisited(ids, capacity, &marks, &out)
                    let fresh = ids[..<used].filter {
                        visited[Int($0) / 64] >> UInt64($0 % 64) & 1 == 0
                    }
                    #expect(Array(out[..<count]) == fresh, "seed \(seed)")
                    var expected = visited
                    for id in fresh { expected[Int(id) / 64] |= 1 << UInt64(id % 64) }
                    #expect(marks == expected, "seed \(seed)")
                }
            }
        }
    }
}
