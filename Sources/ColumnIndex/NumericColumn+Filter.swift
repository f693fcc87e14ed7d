internal import CKernels
package import Primitives

/// Filters: each turns a predicate into a bitmap of rows, or narrows one.
///
/// A row matches a range if any of its keys does. Bitmaps are overwritten whole; bits past
/// ``NumericColumn/slotCount`` are 0.
extension NumericColumn {
    /// The rows with a key in lo...hi. - Complexity: O(rows), one pass over a byte per row.
    package func fillRange(_ lo: Int64, _ hi: Int64, into bitmap: Bitmap) {
        scanRange(lo, hi, mask: nil, bitmap)
    }

    /// Keeps the rows with a key in lo...hi. - Complexity: O(rows).
    package func andRange(_ lo: Int64, _ hi: Int64, with bitmap: Bitmap) {
        scanRange(lo, hi, mask: bitmap.words, bitmap)
    }

    /// How many of the rows in `match` (nil: all) have a key in lo...hi. - Complexity: O(rows).
    package func countRange(
        _ lo: Int64,
        _ hi: Int64,
        match: Bitmap?,
        scratch: Bitmap
    ) -> Int {
        if let match {
            scratch.assign(match)
            andRange(lo, hi, with: scratch)
        } else {
            fillRange(lo, hi, into: scratch)
        }
        return scratch.countFast()
    }

    private func scanRange(
        _ lo: Int64,
        _ hi: Int64,
        mask: UnsafeMutablePointer<UInt64>?,
        _ bitmap: Bitmap
    ) {
        if mask == nil { bitmap.reserve(sketch.blockCount * 64) }
        let blocks = min(sketch.blockCount, bitmap.wordCapacity)
        let several = sketch.count(ofCode: 3) == 0 || lo > hi ? [] : severalIn(lo, hi, mask, blocks)
        let codes = sketch.codes.cells(UInt8.self)
        let bits = bitmap.words
        if let window = sketch.window(lo, hi) {
            let (first, last) = (UInt8(window.first), UInt8(window.last))
            if mask == nil, window.edgeA == 0, window.edgeB == 0 {
                ck_scan().pointee.u8_range(codes, blocks, first, last, bits)
            } else {
                let list = Scratch<UInt32>(sketch.edgeCapacity(window))
                let count = ck_scan().pointee.u8_range_edges(
                    codes,
                    blocks,
                    first,
                    last,
                    UInt8(window.edgeA),
                    UInt8(window.edgeB),
                    mask,
                    bits,
                    list.base
                )
                let (keys, stored) = (keys, keys.stored(lo, hi))
                ck_list_check(
                    keys.values,
                    keys.width,
                    list.base,
                    count,
                    stored.lo,
                    stored.hi,
                    bits
                )
            }
            bitmap.clearWords(from: blocks)
        } else {
            bitmap.clearAll()
        }
        for slot in several { bitmap.set(slot) }
    }

    /// The rows of several keys that match, under the mask.
    private func severalIn(
        _ lo: Int64,
        _ hi: Int64,
        _ mask: UnsafeMutablePointer<UInt64>?,
        _ blocks: Int
    ) -> [UInt32] {
        let list = Scratch<UInt32>(sketch.count(ofCode: 3) + 64)
        let count = ck_scan().pointee.u8_range_list(
            sketch.codes.cells(UInt8.self),
            blocks,
            3,
            3,
            mask,
            nil,
            list.base
        )
        var rows: [UInt32] = []
        for i in 0..<count where self.list(list.base[i]).intersects(lo, hi) {
            rows.append(list.base[i])
        }
        return rows
    }

    /// The rows with a key in `wanted`. - Complexity: O(rows + wanted log wanted).
    package func fillIn(_ wanted: [Int64], into bitmap: Bitmap) {
        scanIn(wanted, mask: nil, bitmap)
    }

    /// Keeps the rows with a key in `wanted`. - Complexity: O(rows + wanted log wanted).
    package func andIn(_ wanted: [Int64], with bitmap: Bitmap) {
        let mask = Bitmap(capacity: bitmap.capacity)
        mask.assign(bitmap)
        scanIn(wanted, mask: mask.words, bitmap)
        bitmap.formIntersection(mask)
    }

    /// Ignores rows outside the mask where that saves work; may leave some of them set.
    private func scanIn(
        _ wanted: [Int64],
        mask: UnsafeMutablePointer<UInt64>?,
        _ bitmap: Bitmap
    ) {
        if mask == nil { bitmap.reserve(sketch.blockCount * 64) }
        let blocks = min(sketch.blockCount, bitmap.wordCapacity)
        let sorted = wanted.sorted()
        // Per code: 1 no row of it is excluded, 2 look at each row.
        var table = [UInt8](repeating: 0, count: 256)
        for key in sorted {
            guard let window = sketch.window(key, key) else { continue }
            table[window.first] |= window.edgeA == 0 ? 1 : 2
        }
        if sketch.count(ofCode: 3) > 0, !sorted.isEmpty { table[3] = 2 }
        let codes = sketch.codes.cells(UInt8.self)
        let scan = ck_scan().pointee
        scan.u8_table(codes, blocks, table, 1, bitmap.words)
        bitmap.clearWords(from: blocks)
        guard table.contains(2) else { return }
        let toCheck = Bitmap(capacity: blocks * 64)
        scan.u8_table(codes, blocks, table, 2, toCheck.words)
        if let mask { scan.words_and(toCheck.words, mask, blocks) }
        let rows = toCheck.slots()
        let found = Scratch<Int64>(rows.count)
        keys.gather(rows, rows.count, found.base)
        for (i, slot) in rows.enumerated() {
            let isWanted =
                codes[Int(slot)] == 3
                ? hasCommon(list(slot), sorted) : contains(sorted, found.base[i])
            if isWanted { bitmap.set(slot) }
        }
    }

    private func contains(_ sorted: [Int64], _ key: Int64) -> Bool {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low < sorted.count && sorted[low] == key
    }

    private func hasCommon(_ keys: KeyList, _ sorted: [Int64]) -> Bool {
        for i in 0..<keys.count where contains(sorted, keys[i]) { return true }
        return false
    }

    /// The rows with at least one key. - Complexity: O(rows).
    package func fillPresent(into bitmap: Bitmap) { sketch.fill(3, 255, bitmap) }

    /// The rows that are an explicit null. - Complexity: O(rows).
    package func fillNull(into bitmap: Bitmap) { sketch.fill(1, 1, bitmap) }

    /// The rows that are an array without elements. - Complexity: O(rows).
    package func fillEmptyArray(into bitmap: Bitmap) { sketch.fill(2, 2, bitmap) }

    /// The rows that the column has seen in any state but absent. - Complexity: O(rows).
    package func fillKnown(into bitmap: Bitmap) { sketch.fill(1, 255, bitmap) }

    /// Rows with at least one key; all versions of a document that are still held count.
    ///
    /// - Complexity: O(1).
    package var presentCount: Int { sketch.liveCount + sketch.count(ofCode: 3) }

    /// Rows of several keys. - Complexity: O(1).
    package var severalCount: Int { sketch.count(ofCode: 3) }

    /// About how many rows have a key in lo...hi; rows of several keys are all counted.
    ///
    /// - Complexity: O(256).
    package func estimateCount(_ lo: Int64, _ hi: Int64) -> Int {
        lo > hi ? 0 : sketch.estimate(lo, hi) + sketch.count(ofCode: 3)
    }

    /// A key with about `rank` single-key rows before it in the order asked for; a good place to
    /// cut a deep page: count the rows before it exactly, then collect from it.
    ///
    /// Before a row's key means less (greater, if `descending`). Nil if there is no such cut.
    /// - Complexity: O(256).
    package func cut(rank: Int, descending: Bool) -> Int64? { sketch.cut(rank, descending) }
}

extension Sketch {
    /// The rows with a code in first...last.
    func fill(_ first: UInt8, _ last: UInt8, _ bitmap: Bitmap) {
        bitmap.reserve(blockCount * 64)
        let blocks = blockCount
        ck_scan().pointee.u8_range(codes.cells(UInt8.self), blocks, first, last, bitmap.words)
        bitmap.clearWords(from: blocks)
    }

    /// The outer key of the last bucket that begins at or before `rank`; nil for the outermost.
    func cut(_ rank: Int, _ descending: Bool) -> Int64? {
        var before = 0
        var result: Int64?
        let order = Array(Sketch.firstBucketCode..<256)
        for code in descending ? order.reversed() : order {
            guard let bounds = bounds(ofCode: code) else { continue }
            if before > rank { break }
            if before > 0 { result = descending ? bounds.max : bounds.min }
            before += count(ofCode: code)
        }
        return result
    }
}

extension Bitmap {
    /// ``Bitmap/count`` by the best kernel of this processor. - Complexity: O(capacity / 64).
    package func countFast() -> Int { Int(ck_scan().pointee.words_popcount(words, wordCapacity)) }

    /// ``Bitmap/countIntersection(_:)`` by the best kernel of this processor.
    ///
    /// - Complexity: O(capacity / 64).
    package func countIntersectionFast(_ other: Bitmap) -> Int {
        let count = min(wordCapacity, other.wordCapacity)
        return Int(ck_scan().pointee.words_and_popcount(words, other.words, count))
    }

    /// The rows of the set, ascending, by the best kernel. - Complexity: O(capacity / 64 + rows).
    package func slots() -> [UInt32] {
        let count = countFast()
        return [UInt32](unsafeUninitializedCapacity: count + 64) { buffer, written in
            guard let base = buffer.baseAddress else { return }
            written = ck_scan().pointee.words_list(words, wordCapacity, base)
        }
    }
}
