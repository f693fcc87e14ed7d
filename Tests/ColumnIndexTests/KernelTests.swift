import CKernels
import Primitives
import Testing

/// Goal: every kernel of every instruction set equals its plain Swift twin.
/// Method: random codes, masks and bounds over 0…9 blocks, at unaligned addresses too.
@Suite struct KernelTests {
    private func bits(_ blocks: Int, _ test: (Int) -> Bool) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: blocks)
        for row in 0..<blocks * 64 where test(row) { words[row / 64] |= 1 << UInt64(row % 64) }
        return words
    }

    private func rows(_ words: [UInt64]) -> [UInt32] {
        (0..<words.count * 64).filter { words[$0 / 64] >> UInt64($0 % 64) & 1 == 1 }
            .map(UInt32.init)
    }

    private func listed(_ room: Int, _ body: (UnsafeMutablePointer<UInt32>?) -> Int) -> [UInt32] {
        var list = [UInt32](repeating: 0, count: room + 64)
        let count = list.withUnsafeMutableBufferPointer { body($0.baseAddress) }
        return Array(list[..<count])
    }

    @Test(arguments: [0, 1, 2]) func byteKernelsEqualTheirTwins(level: Int32) {
        guard let kernels = ck_scan_level(level)?.pointee else { return }
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for blocks in 0..<10 {
            for _ in 0..<20 {
                let spread = UInt8.random(in: 0...255, using: &random)
                let codes = (0..<blocks * 64 + 1).map { _ in
                    UInt8.random(in: 0...spread, using: &random)
                }
                let a = UInt8.random(in: 0...spread, using: &random)
                let b = UInt8.random(in: 0...spread, using: &random)
                let (lo, hi) = (min(a, b), max(a, b))
                let maskA = (0..<blocks).map { _ in random.next() & random.next() }
                let maskB = (0..<blocks).map { _ in random.next() | random.next() }
                let start = Int(random.next() % 2)
                let c = Array(codes[start..<start + blocks * 64])
                let inside = bits(blocks) { c[$0] >= lo && c[$0] <= hi }
                let table = (0..<256).map { _ in UInt8.random(in: 0...3, using: &random) }
                codes.withUnsafeBufferPointer { buffer in
                    guard let base = buffer.baseAddress else { return }
                    let p = base + start
                    var out = [UInt64](repeating: 9, count: blocks)
                    kernels.u8_range(p, blocks, lo, hi, &out)
                    #expect(out == inside)
                    kernels.u8_equal(p, blocks, lo, &out)
                    #expect(out == bits(blocks) { c[$0] == lo })
                    kernels.u8_table(p, blocks, table, 2, &out)
                    #expect(out == bits(blocks) { table[Int(c[$0])] & 2 != 0 })
                    let masked = zip(inside, maskA).map { $0 & $1 }
                    let both = zip(masked, maskB).map { $0 & $1 }
                    let edges = bits(blocks) { c[$0] == lo || c[$0] == hi }
                    var list = listed(blocks * 64) {
                        kernels.u8_range_edges(p, blocks, lo, hi, lo, hi, nil, &out, $0)
                    }
                    #expect(out == inside)
                    #expect(list == rows(edges))
                    list = listed(blocks * 64) {
                        kernels.u8_range_edges(p, blocks, lo, hi, lo, hi, maskA, &out, $0)
                    }
                    #expect(out == masked)
                    #expect(list == rows(zip(edges, maskA).map { $0 & $1 }))
                    list = listed(blocks * 64) {
                        kernels.u8_range_list(p, blocks, lo, hi, maskA, maskB, $0)
                    }
                    #expect(list == rows(both))
                    list = listed(blocks * 64) {
                        kernels.u8_range_list(p, blocks, lo, hi, nil, maskA, $0)
                    }
                    #expect(list == rows(masked))
                    list = listed(blocks * 64) {
                        kernels.u8_range_list(p, blocks, lo, hi, nil, nil, $0)
                    }
                    #expect(list == rows(inside))
                    #expect(
                        kernels.u8_range_count(p, blocks, lo, hi, maskA, maskB) == rows(both).count
                    )
                }
            }
        }
    }

    @Test(arguments: [0, 1, 2]) func wordKernelsEqualTheirTwins(level: Int32) {
        guard let kernels = ck_scan_level(level)?.pointee else { return }
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for count in 0..<40 {
            let a = (0..<count).map { _ in random.next() & random.next() }
            let b = (0..<count).map { _ in random.next() | random.next() }
            var out = a
            kernels.words_and(&out, b, count)
            #expect(out == zip(a, b).map { $0 & $1 })
            out = a
            kernels.words_or(&out, b, count)
            #expect(out == zip(a, b).map { $0 | $1 })
            out = a
            kernels.words_andnot(&out, b, count)
            #expect(out == zip(a, b).map { $0 & ~$1 })
            #expect(kernels.words_popcount(a, count) == rows(a).count)
            #expect(
                kernels.words_and_popcount(a, b, count) == rows(zip(a, b).map { $0 & $1 }).count
            )
            #expect(listed(count * 64) { kernels.words_list(b, count, $0) } == rows(b))
        }
    }

    @Test(arguments: [0, 1, 2]) func wideKernelsEqualTheirTwins(level: Int32) {
        guard let kernels = ck_scan_level(level)?.pointee else { return }
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for blocks in 0..<8 {
            let small = (0..<blocks * 64).map { _ in UInt16.random(in: 0...3, using: &random) }
            let middle = (0..<blocks * 64).map { _ in UInt32.random(in: 0...3, using: &random) }
            var big = (0..<blocks * 64).map { _ in Int64(bitPattern: random.next()) }
            if let last = big.indices.last { (big[0], big[last]) = (.min, .max) }
            let wide = (0..<blocks * 64).map { _ in UInt32(truncatingIfNeeded: random.next()) }
            let mask = (0..<blocks).map { _ in random.next() }
            var out = [UInt64](repeating: 1, count: blocks)
            kernels.u16_equal(small, blocks, 2, &out)
            #expect(out == bits(blocks) { small[$0] == 2 })
            kernels.u32_equal(middle, blocks, 2, &out)
            #expect(out == bits(blocks) { middle[$0] == 2 })
            for (lo, hi) in [(Int64.min, Int64.max), (-1 << 62, 1 << 62), (5, 4)] {
                kernels.i64_range(big, blocks, lo, hi, &out)
                #expect(out == bits(blocks) { big[$0] >= lo && big[$0] <= hi })
            }
            let empty = ck_group(count: 0, sum_low: 0, sum_high: 0, min: .max, max: .min)
            var group = empty
            kernels.i64_stats(big, blocks, mask, &group)
            let kept = rows(mask).map { big[Int($0)] }
            #expect(group.count == kept.count)
            #expect(group.min == kept.min() ?? .max && group.max == kept.max() ?? .min)
            #expect(
                Int128(group.sum_high) << 32 + Int128(group.sum_low)
                    == kept.reduce(Int128(0)) { $0 + Int128($1) }
            )
            group = empty
            kernels.u32_stats(wide, blocks, mask, &group)
            let keptWide = rows(mask).map { Int64(wide[Int($0)]) }
            #expect(group.count == keptWide.count)
            #expect(group.min == keptWide.min() ?? .max && group.max == keptWide.max() ?? .min)
            #expect(
                Int128(group.sum_high) << 32 + Int128(group.sum_low)
                    == keptWide.reduce(Int128(0)) { $0 + Int128($1) }
            )
        }
    }

    @Test func selectionEqualsSorting() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for count in 1..<200 {
            let spread = Int64.random(in: 0...300, using: &random)
            var keys = (0..<count).map { _ in Int64.random(in: -spread...spread, using: &random) }
            let k = Int.random(in: 1...count, using: &random)
            let sorted = keys.sorted()
            #expect(ck_select(&keys, count, k) == sorted[k - 1])
        }
    }
}
