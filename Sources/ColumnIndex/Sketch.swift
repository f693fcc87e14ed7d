internal import CKernels

/// What a column knows of a row.
package enum SlotState: UInt8, Sendable {
    /// The field is not in the document, or the row is not in use.
    case absent = 0
    /// The field is an explicit null.
    case null = 1
    /// The field is an array without elements.
    case emptyArray = 2
    /// The field has at least one value.
    case present = 3
}

/// A row and its sort key.
package struct KeyedSlot: Equatable, Sendable {
    package var key: Int64
    package var slot: UInt32

    @inlinable package init(key: Int64, slot: UInt32) {
        self.key = key
        self.slot = slot
    }
}

/// Keys by row, as the sketch's owner stores them.
protocol SlotKeys {
    /// The key of a row that has exactly one.
    func key(_ slot: UInt32) -> Int64
    /// keys[i] = key of list[i].
    func gather(_ list: UnsafePointer<UInt32>, _ count: Int, _ keys: UnsafeMutablePointer<Int64>)
}

/// One byte per row, monotone in the row's key, so that a predicate on the key is one pass over
/// bytes and only the rows in the (at most two) buckets that the predicate cuts are looked at.
///
///     code 0 absent · 1 null · 2 empty array · 3 several keys · 4… bucket 0, 1, … of single keys
///
/// Bucket b holds the keys in `lower[b] ..< lower[b + 1]`; the bounds are quantiles of the live
/// keys when they were last chosen. Each bucket knows its count and a range `minKey...maxKey` that
/// holds its keys, so a bucket that lies inside a predicate needs no look at its rows at all.
///
/// Invariants: 1. `lower[0] == Int64.min`, bounds rise strictly, unused ones are `Int64.max`.
/// 2. code(row) == 4 + bucket(key(row)) for every row of one key. 3. counts are exact.
/// 4. `minKey[c] <= key <= maxKey[c]` for every row of code c. Correctness never depends on where
/// the bounds are.
struct Sketch: ~Copyable {
    static let firstBucketCode = 4
    static let bucketCountMax = 252

    var codes = SlotBuffer(width: 1)
    /// One past the highest row ever set.
    var slotCount = 0
    let lower: UnsafeMutablePointer<Int64>
    let minKeys: UnsafeMutablePointer<Int64>
    let maxKeys: UnsafeMutablePointer<Int64>
    let counts: UnsafeMutablePointer<UInt32>
    var bucketCount = 1
    /// Rows with one key.
    var liveCount = 0
    var changes = 0
    var liveAtRebuild = 0
    /// The bounds fit the data badly: the owner should call ``rebuild(_:)``.
    var isRebuildDue = false

    init() {
        lower = .allocate(capacity: 256)
        minKeys = .allocate(capacity: 256)
        maxKeys = .allocate(capacity: 256)
        counts = .allocate(capacity: 256)
        lower.initialize(repeating: .max, count: 256)
        minKeys.initialize(repeating: .max, count: 256)
        maxKeys.initialize(repeating: .min, count: 256)
        counts.initialize(repeating: 0, count: 256)
        lower[0] = .min
    }

    deinit {
        lower.deallocate()
        minKeys.deallocate()
        maxKeys.deallocate()
        counts.deallocate()
    }

    /// Blocks of 64 rows that the codes fill.
    var blockCount: Int { (slotCount + 63) / 64 }

    /// Bytes allocated.
    var byteCount: Int { codes.byteCount + 256 * 28 }

    @inline(__always) func code(_ slot: UInt32) -> UInt8 {
        Int(slot) < slotCount ? codes.cells(UInt8.self)[Int(slot)] : 0
    }

    func count(ofCode code: Int) -> Int { Int(counts[code]) }

    // MARK: Writing

    /// The code of a key. - Complexity: O(8).
    @inline(__always) func encode(_ key: Int64) -> Int {
        var bucket = 0
        var step = 128
        while step > 0 {
            bucket &+= lower[bucket &+ step] <= key ? step : 0
            step &>>= 1
        }
        // Int64.max also equals the unused bounds.
        return Sketch.firstBucketCode &+ min(bucket, bucketCount &- 1)
    }

    /// Gives a row one key; returns the code it had. - Complexity: O(1) amortised.
    @inline(__always) mutating func set(_ slot: UInt32, key: Int64) -> UInt8 {
        let code = encode(key)
        let old = place(slot, code)
        liveCount &+= 1
        changes &+= 1
        if key < minKeys[code] { minKeys[code] = key }
        if key > maxKeys[code] { maxKeys[code] = key }
        // A bucket with over four times its fair share, and more than one key to share out.
        if Int(counts[code]) &* 64 > liveCount &+ 4_096, minKeys[code] < maxKeys[code],
            changes > max(64, liveAtRebuild / 2)
        {
            isRebuildDue = true
        }
        if liveAtRebuild < 32_768, liveCount > 64, liveCount >= liveAtRebuild &* 8 {
            isRebuildDue = true
        }
        return old
    }

    /// Gives a row a code below 4; returns the code it had. - Complexity: O(1).
    @inline(__always) mutating func set(_ slot: UInt32, state code: Int) -> UInt8 {
        if code == 0, Int(slot) >= slotCount { return 0 }
        return place(slot, code)
    }

    @inline(__always) private mutating func place(_ slot: UInt32, _ code: Int) -> UInt8 {
        if Int(slot) >= slotCount {
            slotCount = Int(slot) + 1
            codes.reserve(slotCount)
        }
        let cell = codes.cells(UInt8.self) + Int(slot)
        let old = Int(cell.pointee)
        // Code 0 is not counted: rows come and go there without notice.
        if old != 0 {
            counts[old] &-= 1
            if old >= Sketch.firstBucketCode {
                liveCount &-= 1
                if counts[old] == 0 { (minKeys[old], maxKeys[old]) = (.max, .min) }
            }
        }
        if code != 0 { counts[code] &+= 1 }
        cell.pointee = UInt8(truncatingIfNeeded: code)
        return UInt8(truncatingIfNeeded: old)
    }

    /// Chooses new bounds from a sample of the live keys and encodes every row again.
    ///
    /// - Complexity: O(rows).
    mutating func rebuild<K: SlotKeys>(_ keys: borrowing K) {
        isRebuildDue = false
        changes = 0
        liveAtRebuild = liveCount
        chooseBounds(sample(keys))
        for code in Sketch.firstBucketCode..<256 {
            (counts[code], minKeys[code], maxKeys[code]) = (0, .max, .min)
        }
        let cells = codes.cells(UInt8.self)
        for row in 0..<slotCount where cells[row] >= UInt8(Sketch.firstBucketCode) {
            let key = keys.key(UInt32(truncatingIfNeeded: row))
            let code = encode(key)
            cells[row] = UInt8(truncatingIfNeeded: code)
            counts[code] &+= 1
            if key < minKeys[code] { minKeys[code] = key }
            if key > maxKeys[code] { maxKeys[code] = key }
        }
    }

    /// About 4,096 keys of live rows, ascending; jittered, so that periodic data is no trap.
    private func sample<K: SlotKeys>(_ keys: borrowing K) -> [Int64] {
        let cells = codes.cells(UInt8.self)
        let stride = max(1, slotCount / 4_096)
        var sample: [Int64] = []
        sample.reserveCapacity(min(slotCount, 8_192))
        var random: UInt64 = 0x9E37_79B9_7F4A_7C15
        var row = 0
        while row < slotCount {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let pick = row + (stride == 1 ? 0 : Int((random >> 33) % UInt64(stride)))
            if pick < slotCount, cells[pick] >= UInt8(Sketch.firstBucketCode) {
                sample.append(keys.key(UInt32(pick)))
            }
            row += stride
        }
        sample.sort()
        return sample
    }

    /// Bounds at quantiles of the sample; a frequent key gets a bucket of its own.
    private mutating func chooseBounds(_ sample: [Int64]) {
        lower.update(repeating: .max, count: 256)
        lower[0] = .min
        bucketCount = 1
        var inBucket = 0
        var index = 0
        while index < sample.count {
            let key = sample[index]
            var end = index + 1
            while end < sample.count, sample[end] == key { end += 1 }
            let run = end - index
            let left = Sketch.bucketCountMax - bucketCount
            let fair = max(1, (sample.count - index) / max(1, left))
            let opens = key > lower[bucketCount - 1] && (inBucket >= fair || run >= fair)
            if left > 0, opens {
                open(at: key)
            } else {
                inBucket += run
                index = end
                continue
            }
            inBucket = run
            index = end
            // Close a frequent key's bucket right behind it, so that it holds this key alone.
            if run > fair * 2, key < .max, index < sample.count, bucketCount < 250 {
                if sample[index] != key + 1 {
                    open(at: key + 1)
                    inBucket = 0
                }
            }
        }
    }

    private mutating func open(at key: Int64) {
        lower[bucketCount] = key
        bucketCount += 1
    }

    // MARK: Reading

    /// The codes that can hold keys in lo...hi; `edgeA` and `edgeB` are those that may also hold
    /// others, or 0. Nil: none can.
    struct Window {
        var first: Int
        var last: Int
        var edgeA = 0
        var edgeB = 0
    }

    /// The window of lo...hi. - Complexity: O(1).
    func window(_ lo: Int64, _ hi: Int64) -> Window? {
        guard lo <= hi else { return nil }
        var window = Window(first: encode(lo), last: encode(hi))
        if counts[window.first] == 0 || maxKeys[window.first] < lo { window.first += 1 }
        if window.last >= window.first,
            counts[window.last] == 0 || minKeys[window.last] > hi
        {
            window.last -= 1
        }
        guard window.first <= window.last else { return nil }
        if minKeys[window.first] < lo || maxKeys[window.first] > hi {
            window.edgeA = window.first
        }
        if window.last != window.first, maxKeys[window.last] > hi { window.edgeB = window.last }
        return window
    }

    /// Rows in the two edge codes: room for the list of an edge scan.
    func edgeCapacity(_ window: Window) -> Int {
        (window.edgeA == 0 ? 0 : count(ofCode: window.edgeA))
            + (window.edgeB == 0 ? 0 : count(ofCode: window.edgeB)) + 64
    }

    /// About how many rows of one key have it in lo...hi; exact where no bucket is cut.
    ///
    /// - Complexity: O(256).
    func estimate(_ lo: Int64, _ hi: Int64) -> Int {
        guard let window = window(lo, hi) else { return 0 }
        var total = 0.0
        for code in window.first...window.last {
            let count = Double(counts[code])
            guard code == window.edgeA || code == window.edgeB, count > 0 else {
                total += count
                continue
            }
            let (least, most) = (Double(minKeys[code]), Double(maxKeys[code]))
            let covered = min(most, Double(hi)) - max(least, Double(lo)) + 1
            total += count * min(1, max(0, covered / (most - least + 1)))
        }
        return Int(total)
    }

    /// The least and greatest key a code may hold; nil if it holds no row.
    func bounds(ofCode code: Int) -> (min: Int64, max: Int64)? {
        counts[code] == 0 ? nil : (minKeys[code], maxKeys[code])
    }

    /// Traps if a count, a code or a range is wrong. - Complexity: O(rows).
    func checkInvariants<K: SlotKeys>(_ keys: borrowing K) {
        precondition(lower[0] == .min, "the first bucket begins at the least key")
        for b in 1..<256 {
            if b < bucketCount { precondition(lower[b] > lower[b - 1], "bounds rise") }
            if b >= bucketCount { precondition(lower[b] == .max, "unused bounds are Int64.max") }
        }
        var seen = [UInt32](repeating: 0, count: 256)
        for row in 0..<slotCount {
            let code = Int(self.code(UInt32(row)))
            seen[code] += code == 0 ? 0 : 1
            guard code >= Sketch.firstBucketCode else { continue }
            let key = keys.key(UInt32(row))
            precondition(encode(key) == code, "a row has the code of its key")
            precondition(minKeys[code] <= key, "a bucket's least key is a lower bound")
            precondition(maxKeys[code] >= key, "a bucket's greatest key is an upper bound")
        }
        for row in slotCount..<codes.cellCount {
            precondition(codes.cells(UInt8.self)[row] == 0, "codes past the last row are 0")
        }
        for code in 1..<256 { precondition(seen[code] == counts[code], "counts are exact") }
        precondition(
            liveCount == seen[4...].reduce(0) { $0 + Int($1) },
            "live rows have one key"
        )
    }
}
