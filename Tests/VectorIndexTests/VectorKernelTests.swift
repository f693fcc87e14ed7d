import CKernels
import Primitives
import Testing

/// The plain twins of the kernels: the oracle, in double precision where sums are taken.
enum Twin {
    static func dot(_ a: [Float], _ b: [Float]) -> Double {
        var (sum, i) = (0.0, 0)
        // A plain loop: debug builds take it a million times.
        while i < a.count {
            sum += Double(a[i]) * Double(b[i])
            i += 1
        }
        return sum
    }

    static func l2(_ a: [Float], _ b: [Float]) -> Double {
        var (sum, i) = (0.0, 0)
        while i < a.count {
            let difference = Double(a[i]) - Double(b[i])
            sum += difference * difference
            i += 1
        }
        return sum
    }

    static func dot(_ a: [Int8], _ b: [Int8]) -> Int {
        zip(a, b).reduce(0) { $0 + Int($1.0) * Int($1.1) }
    }

    static func l2(_ a: [Int8], _ b: [Int8]) -> Int {
        zip(a, b).reduce(0) { $0 + (Int($1.0) - Int($1.1)) * (Int($1.0) - Int($1.1)) }
    }

    static func half(_ a: [Float]) -> [UInt16] { a.map { half($0) } }

    /// Rounds to nearest, ties to even, by picking the closer of two neighbours.
    static func half(_ value: Float) -> UInt16 {
        let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
        let magnitude = Double(value.magnitude)
        if value.isNaN { return sign | 0x7e00 }
        if magnitude >= 65_520 { return sign | 0x7c00 }
        var (low, high): (UInt16, UInt16) = (0, 0x7c00)
        while high - low > 1 {
            let middle = (low + high) / 2
            if Double(float(middle)) <= magnitude { low = middle } else { high = middle }
        }
        let above = high == 0x7c00 ? 65_536 : Double(float(high))
        let (down, up) = (magnitude - Double(float(low)), above - magnitude)
        return sign | (down < up || (down == up && low & 1 == 0) ? low : high)
    }

    static func float(_ half: UInt16) -> Float {
        let (exponent, rest) = (Int(half >> 10 & 0x1f), Float(half & 0x3ff))
        let sign: Float = half & 0x8000 == 0 ? 1 : -1
        if exponent == 0 { return sign * rest * 0x1p-24 }
        if exponent == 31 { return rest == 0 ? sign * .infinity : .nan }
        return sign * Float(sign: .plus, exponent: exponent - 15, significand: 1 + rest / 1024)
    }

    static func code(_ a: [Float], _ inverse: Float) -> [Int8] {
        a.map { Int8(max(-127, min(127, ($0 * inverse).rounded(.toNearestOrEven)))) }
    }
}

/// Every length that meets another mix of whole steps, remainders and masks, and real ones.
private let lengths = Array(0...130) + [384, 768, 784]

/// The kernels that this processor can run.
private var levels: [UnsafePointer<ck_vector_kernels>] {
    (0..<4).compactMap { ck_vector_level(Int32($0)) }
}

private struct Sample {
    var random: Xoshiro256
    let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed
        random = Xoshiro256(seed: seed)
    }

    mutating func floats(_ n: Int) -> [Float] {
        (0..<n).map { _ in Float.random(in: -2...2, using: &random) }
    }

    mutating func codes(_ n: Int) -> [Int8] {
        (0..<n).map { _ in Int8.random(in: -128...127, using: &random) }
    }
}

/// Calls `body` with a copy of `a` that starts one component past an aligned address.
private func shifted<T, R>(_ a: [T], _ body: (UnsafePointer<T>) -> R) -> R {
    let room = UnsafeMutableRawPointer.allocate(
        byteCount: (a.count + 1) * MemoryLayout<T>.stride, alignment: 64)
    defer { room.deallocate() }
    // SAFETY: the room holds one component more than the array.
    let start = room.bindMemory(to: T.self, capacity: a.count + 1) + 1
    for (i, value) in a.enumerated() { (start + i).initialize(to: value) }
    return body(UnsafePointer(start))
}

private func close(_ got: Float, _ expected: Double, _ n: Int) -> Bool {
    abs(Double(got) - expected) <= 1e-5 * Double(max(n, 1))
}

@Suite struct VectorKernelTests {
    @Test func everyProcessorHasPlainKernelsAndTheBestIsOneOfThem() {
        #expect(!levels.isEmpty)
        #expect(levels.contains(ck_vector()))
    }

    @Test func floatKernelsEqualTheirTwins() {
        var sample = Sample(seed: 11)
        for n in lengths {
            let (a, b) = (sample.floats(n), sample.floats(n))
            for level in levels {
                let k = level.pointee
                shifted(a) { x in
                    shifted(b) { y in
                        #expect(close(k.dot_f32(x, y, n), Twin.dot(a, b), n), "\(n)")
                        #expect(close(k.l2_f32(x, y, n), Twin.l2(a, b), n), "\(n)")
                    }
                }
            }
        }
    }

    @Test func halfKernelsEqualTheirTwins() {
        var sample = Sample(seed: 12)
        for n in lengths {
            let (a, b) = (sample.floats(n), sample.floats(n))
            let (ha, hb) = (Twin.half(a), Twin.half(b))
            let (ra, rb) = (ha.map { Twin.float($0) }, hb.map { Twin.float($0) })
            for level in levels {
                let k = level.pointee
                shifted(ha) { x in
                    shifted(hb) { y in
                        #expect(close(k.dot_f16(x, y, n), Twin.dot(ra, rb), n), "\(n)")
                        #expect(close(k.l2_f16(x, y, n), Twin.l2(ra, rb), n), "\(n)")
                        #expect(close(k.dot_f32_f16(a, y, n), Twin.dot(a, rb), n), "\(n)")
                        #expect(close(k.l2_f32_f16(a, y, n), Twin.l2(a, rb), n), "\(n)")
                    }
                }
            }
        }
    }

    @Test func codeKernelsAreExact() {
        var sample = Sample(seed: 13)
        for n in lengths {
            let pairs = [
                (sample.codes(n), sample.codes(n)),
                ([Int8](repeating: -128, count: n), [Int8](repeating: -128, count: n)),
                ([Int8](repeating: 127, count: n), [Int8](repeating: -128, count: n)),
            ]
            for (a, b) in pairs {
                for level in levels {
                    let k = level.pointee
                    shifted(a) { x in
                        shifted(b) { y in
                            #expect(Int(k.dot_i8(x, y, n)) == Twin.dot(a, b), "\(n)")
                            #expect(Int(k.l2_i8(x, y, n)) == Twin.l2(a, b), "\(n)")
                        }
                    }
                }
            }
        }
    }

    @Test func largestMagnitudeIsFoundAnywhereAndNothingHidesInfinity() {
        var sample = Sample(seed: 14)
        for n in lengths {
            let a = sample.floats(n)
            for level in levels {
                let k = level.pointee
                #expect(k.max_abs_f32(a, n) == (a.map(\.magnitude).max() ?? 0), "\(n)")
                for bad in [Float.nan, -.nan, .infinity, -.infinity] where n > 0 {
                    var b = a
                    b[n / 2] = bad
                    #expect(k.max_abs_f32(b, n) == .infinity, "\(n)")
                }
            }
        }
    }

    @Test func conversionsEqualTheirTwins() {
        var sample = Sample(seed: 15)
        for n in lengths {
            let a = sample.floats(n)
            let inverse = 127 / (a.map(\.magnitude).max() ?? 1)
            let (halves, codes) = (Twin.half(a), Twin.code(a, inverse))
            for level in levels {
                let k = level.pointee
                var h = [UInt16](repeating: 7, count: n + 1)
                k.f32_to_f16(a, n, &h)
                #expect(h == halves + [7], "\(n)")
                var f = [Float](repeating: 7, count: n + 1)
                k.f16_to_f32(h, n, &f)
                #expect(f == halves.map { Twin.float($0) } + [7], "\(n)")
                var c = [Int8](repeating: 7, count: n + 1)
                k.f32_to_i8(a, n, inverse, &c)
                #expect(c == codes + [7], "\(n)")
            }
        }
    }

    @Test func halvesRoundAsTheStandardSays() {
        let edges: [Float] = [
            0, -0, 1, -1, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-14, 0x1.ffcp-15, 65_504, 65_519.9,
            65_520, 1e9, -1e9, .infinity, -.infinity, 1.000_488_3, 1.001_464_8, 6.1e-5, -3.3e-6,
        ]
        for level in levels {
            var h = [UInt16](repeating: 0, count: edges.count)
            level.pointee.f32_to_f16(edges, edges.count, &h)
            #expect(h == edges.map { Twin.half($0) })
            let all = (0...UInt16.max).filter { $0 & 0x7c00 != 0x7c00 || $0 & 0x3ff == 0 }
            var f = [Float](repeating: 0, count: all.count)
            level.pointee.f16_to_f32(all, all.count, &f)
            #expect(f == all.map { Twin.float($0) })
            var back = [UInt16](repeating: 0, count: all.count)
            level.pointee.f32_to_f16(f, f.count, &back)
            #expect(back == all)
        }
    }
}
