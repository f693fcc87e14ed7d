import Primitives
import Testing

@Suite struct BitmapTests {
    @Test func operationsEqualSets() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for spread in [1, 63, 64, 65, 511, 512, 513, 5_000] as [UInt32] {
            let (a, b) = (Bitmap(capacity: 0), Bitmap(capacity: Int(spread)))
            var (x, y): (Set<UInt32>, Set<UInt32>) = ([], [])
            for _ in 0..<spread {
                let row = UInt32.random(in: 0..<spread, using: &random)
                a.set(row)
                x.insert(row)
                let other = UInt32.random(in: 0..<spread * 2, using: &random)
                b.set(other)
                y.insert(other)
                let gone = UInt32.random(in: 0..<spread, using: &random)
                a.clear(gone)
                x.remove(gone)
            }
            #expect(rows(a) == x.sorted())
            #expect(a.count == x.count)
            #expect(a.countIntersection(b) == x.intersection(y).count)
            #expect(a.first() == x.min())
            let c = Bitmap()
            c.assign(a)
            c.formUnion(b)
            #expect(rows(c) == x.union(y).sorted())
            c.assign(b)
            c.formIntersection(a)
            #expect(rows(c) == x.intersection(y).sorted())
            c.assign(b)
            c.subtract(a)
            #expect(rows(c) == y.subtracting(x).sorted())
            c.assign(a)
            c.complement(Int(spread))
            #expect(rows(c) == (0..<spread).filter { !x.contains($0) })
            c.fill(Int(spread))
            #expect(rows(c) == Array(0..<spread))
            #expect(!c.test(spread) && !c.test(.max))
            c.clearAll()
            #expect(c.isEmpty && c.first() == nil)
            c.checkInvariants()
        }
    }

    @Test func setsThatTakeTurnsInUnionsDoNotOutbidEachOther() {
        let (a, b) = (Bitmap(capacity: 5_120), Bitmap(capacity: 4_608))
        let bound = a.capacity
        for _ in 0..<100 {
            b.formUnion(a)
            a.formUnion(b)
            b.assign(a)
        }
        #expect(a.capacity == bound)
        #expect(b.capacity == bound)
    }

    private func rows(_ bitmap: Bitmap) -> [UInt32] {
        var rows: [UInt32] = []
        bitmap.forEach { rows.append($0) }
        return rows
    }

    @Test func poolGivesBackTheSameMemory() {
        let pool = BitmapPool(countMax: 1)
        let first = pool.borrow(capacity: 100)
        pool.giveBack(first)
        #expect(pool.byteCount == first.byteCount)
        #expect(pool.borrow(capacity: 2_000) === first)
        #expect(first.capacity >= 2_000)
        pool.giveBack(first)
        first.fill(2_000)
        let small = pool.borrow(capacity: 600)
        #expect(small.capacity == 1_024)
        small.clearAll()
        small.set(1_999)
        #expect(small.count == 1)
    }
}

@Suite struct HashTests {
    @Test func everyLengthAndBitChangesTheHash() {
        let bytes = (0..<200).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        var seen: Set<UInt64> = []
        for count in 0...200 {
            seen.insert(bytes[..<count].withUnsafeBytes { Hash64.hash($0) })
            for bit in 0..<min(count * 8, 256) {
                var changed = Array(bytes[..<count])
                changed[bit / 8] ^= 1 << UInt8(bit % 8)
                seen.insert(changed.withUnsafeBytes { Hash64.hash($0) })
            }
        }
        let expected = 201 + (0...200).reduce(0) { $0 + min($1 * 8, 256) }
        #expect(seen.count == expected)
        let seeded = bytes.withUnsafeBytes { Hash64.hash($0, seed: 1) }
        #expect(seeded != bytes.withUnsafeBytes { Hash64.hash($0) })
    }

    @Test func numbersSpreadOverBuckets() {
        var buckets = [Int](repeating: 0, count: 64)
        for i in 0..<64_000 as Range<UInt64> { buckets[Int(Hash64.hash(i) >> 58)] += 1 }
        #expect(buckets.allSatisfy { $0 > 800 && $0 < 1_200 })
    }
}

@Suite struct HeapTests {
    @Test func heapKeepsTheSmallest() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = Xoshiro256(seed: seed)
        for capacity in [0, 1, 2, 7, 50] {
            for count in [0, 1, 7, 8, 300] {
                var heap = BoundedHeap(capacity: capacity)
                var all: [BoundedHeap.Entry] = []
                for i in 0..<count {
                    let key = Int64.random(in: -20...20, using: &random)
                    heap.push(key: key, payload: UInt32(i))
                    all.append(.init(key: key, payload: UInt32(i)))
                    heap.checkInvariants()
                }
                all.sort { ($0.key, $0.payload) < ($1.key, $1.payload) }
                #expect(heap.sorted() == Array(all.prefix(capacity)))
            }
        }
    }
}

@Suite struct ByteArenaTests {
    @Test func stringsSurviveReuse() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var arena = ByteArena()
        var live: [(UInt64, [UInt8])] = []
        for step in 0..<6_000 {
            if live.count > 300 || (step % 3 == 0 && !live.isEmpty) {
                let at = Int.random(in: 0..<live.count, using: &random)
                let (handle, bytes) = live.remove(at: at)
                #expect(Array(arena.view(handle)) == bytes)
                arena.free(handle)
            } else {
                let count = [0, 1, 8, 9, 128, 129, 700, 65_535][Int(random.next() % 8)]
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: count)
                live.append((bytes.withUnsafeBytes { arena.add($0) }, bytes))
            }
        }
        arena.checkInvariants()
        for (handle, bytes) in live {
            #expect(Array(arena.view(handle)) == bytes)
            arena.free(handle)
        }
        arena.checkInvariants()
        // All is free: the same strings again take no new memory.
        let before = arena.byteCount
        for (_, bytes) in live { _ = bytes.withUnsafeBytes { arena.add($0) } }
        #expect(arena.byteCount == before)
    }
}
