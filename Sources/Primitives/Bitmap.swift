import Glibc

/// A set of rows: one bit each, in 64-bit words aligned to 64 bytes, a multiple of 8 words long.
///
/// A bitmap is an endless row of bits that are zero past its capacity: `test` beyond it is false
/// and `set` grows it. Whole-set operations on two bitmaps need not agree on capacity.
///
/// Invariants: `wordCapacity % 8 == 0`; every allocated word is initialised.
/// Threads: one writer, or any number of readers.
package final class Bitmap {
    /// The words; valid until the bitmap grows or is released. For kernels.
    // One writer or many readers is the contract: run-time exclusivity checks would cost more
    // than the access itself.
    @exclusivity(unchecked) @usableFromInline package private(set) var words:
        UnsafeMutablePointer<UInt64>
    /// Words in use; all are initialised.
    @exclusivity(unchecked) @usableFromInline package private(set) var wordCapacity: Int
    /// Words allocated: more than are in use where a pool lent out a large set as a small one.
    private var wordAllocation: Int

    /// An empty set with room for `capacity` rows.
    ///
    /// - Complexity: O(capacity / 64).
    package init(capacity: Int = 512) {
        precondition(capacity >= 0, "a capacity is not negative")
        wordCapacity = max((capacity + 511) / 512, 1) * 8
        wordAllocation = wordCapacity
        words = Bitmap.allocate(wordCapacity)
    }

    deinit { Glibc.free(words) }

    // SAFETY: the memory holds `count` words, all zeroed, and is freed by the owner's deinit.
    private static func allocate(_ count: Int) -> UnsafeMutablePointer<UInt64> {
        var raw: UnsafeMutableRawPointer?
        let status = posix_memalign(&raw, 64, count * 8)
        guard status == 0, let raw else { fatalError("out of memory: \(count * 8) bytes") }
        let words = raw.bindMemory(to: UInt64.self, capacity: count)
        words.initialize(repeating: 0, count: count)
        return words
    }

    /// Rows that fit without growing.
    @inlinable package var capacity: Int { wordCapacity &* 64 }

    /// Bytes allocated.
    package var byteCount: Int { wordAllocation * 8 }

    /// Makes room for rows `0..<capacity` and no more than the next multiple of 512; new rows are
    /// not in the set.
    ///
    /// Whole-set operations grow by this: two sets that take turns in reserving each other's
    /// capacity stay as large as the larger. Growing by a factor here would let them outbid each
    /// other without end.
    ///
    /// - Complexity: O(capacity / 64) if it grows.
    package func reserve(_ capacity: Int) {
        guard capacity > wordCapacity * 64 else { return }
        let grown = (capacity + 511) / 512 * 8
        if grown <= wordAllocation {
            (words + wordCapacity).update(repeating: 0, count: grown - wordCapacity)
        } else {
            let next = Bitmap.allocate(grown)
            next.update(from: words, count: wordCapacity)
            Glibc.free(words)
            words = next
            wordAllocation = grown
        }
        wordCapacity = grown
    }

    /// Makes the capacity that of a new set for `capacity` rows, with **any** contents: what a
    /// set of a large collection once held must not be walked for a small one.
    ///
    /// - Complexity: O(1) unless it grows beyond what is allocated.
    fileprivate func refit(_ capacity: Int) {
        wordCapacity = min(max((capacity + 511) / 512, 1) * 8, wordAllocation)
        reserve(capacity)
    }

    /// Makes room for one more row by half as much again, so that adding rows one by one costs
    /// O(1) each on average.
    @usableFromInline package func grow(toHold slot: UInt32) {
        reserve(max(Int(slot) + 1, capacity + capacity / 2))
    }

    // MARK: One row

    /// Adds a row. - Complexity: O(1) amortised.
    @inlinable package func set(_ slot: UInt32) {
        let word = Int(slot >> 6)
        if word >= wordCapacity { grow(toHold: slot) }
        words[word] |= 1 &<< UInt64(slot & 63)
    }

    /// Removes a row. - Complexity: O(1).
    @inlinable package func clear(_ slot: UInt32) {
        let word = Int(slot >> 6)
        if word < wordCapacity { words[word] &= ~(1 &<< UInt64(slot & 63)) }
    }

    /// Is the row in the set? - Complexity: O(1).
    @inlinable package func test(_ slot: UInt32) -> Bool {
        let word = Int(slot >> 6)
        return word < wordCapacity && words[word] & (1 &<< UInt64(slot & 63)) != 0
    }

    // MARK: Whole sets

    /// Removes every row. - Complexity: O(capacity / 64).
    package func clearAll() { words.update(repeating: 0, count: wordCapacity) }

    /// Makes the set `0..<count`. - Complexity: O(capacity / 64).
    package func fill(_ count: Int) {
        precondition(count >= 0, "a count is not negative")
        reserve(count)
        words.update(repeating: ~0, count: count / 64)
        (words + count / 64).update(repeating: 0, count: wordCapacity - count / 64)
        if count % 64 != 0 { words[count / 64] = (1 << UInt64(count % 64)) - 1 }
    }

    /// Becomes a copy of `other`. - Complexity: O(capacity / 64).
    package func assign(_ other: Bitmap) {
        guard other !== self else { return }
        reserve(other.capacity)
        words.update(from: other.words, count: other.wordCapacity)
        clearWords(from: other.wordCapacity)
    }

    /// Keeps the rows that are also in `other`. - Complexity: O(capacity / 64).
    package func formIntersection(_ other: Bitmap) {
        let common = min(wordCapacity, other.wordCapacity)
        let (a, b) = (words, other.words)
        for i in 0..<common { a[i] &= b[i] }
        clearWords(from: common)
    }

    /// Adds the rows of `other`. - Complexity: O(capacity / 64).
    package func formUnion(_ other: Bitmap) {
        reserve(other.capacity)
        let (a, b) = (words, other.words)
        for i in 0..<other.wordCapacity { a[i] |= b[i] }
    }

    /// Removes the rows of `other`. - Complexity: O(capacity / 64).
    package func subtract(_ other: Bitmap) {
        let common = min(wordCapacity, other.wordCapacity)
        let (a, b) = (words, other.words)
        for i in 0..<common { a[i] &= ~b[i] }
    }

    /// Becomes its complement within `0..<count`; rows from `count` on leave the set.
    ///
    /// - Complexity: O(capacity / 64).
    package func complement(_ count: Int) {
        precondition(count >= 0, "a count is not negative")
        reserve(count)
        let a = words
        for i in 0..<(count + 63) / 64 { a[i] = ~a[i] }
        if count % 64 != 0 { a[count / 64] &= (1 << UInt64(count % 64)) - 1 }
        clearWords(from: (count + 63) / 64)
    }

    /// Zeroes the words from an index on. - Complexity: O(capacity / 64).
    package func clearWords(from index: Int) {
        guard index < wordCapacity else { return }
        (words + index).update(repeating: 0, count: wordCapacity - index)
    }

    /// Rows in the set. - Complexity: O(capacity / 64).
    package var count: Int {
        var total = 0
        let a = words
        for i in 0..<wordCapacity { total &+= a[i].nonzeroBitCount }
        return total
    }

    /// Rows that are in both sets. - Complexity: O(capacity / 64).
    package func countIntersection(_ other: Bitmap) -> Int {
        var total = 0
        let (a, b) = (words, other.words)
        for i in 0..<min(wordCapacity, other.wordCapacity) {
            total &+= (a[i] & b[i]).nonzeroBitCount
        }
        return total
    }

    /// No row at all? - Complexity: O(capacity / 64).
    package var isEmpty: Bool {
        let a = words
        for i in 0..<wordCapacity where a[i] != 0 { return false }
        return true
    }

    /// The first row at or after `start`, or nil. - Complexity: O(distance / 64).
    package func first(from start: UInt32 = 0) -> UInt32? {
        var index = Int(start >> 6)
        guard index < wordCapacity else { return nil }
        var word = words[index] & (~0 << UInt64(start & 63))
        while word == 0 {
            index += 1
            guard index < wordCapacity else { return nil }
            word = words[index]
        }
        return UInt32(index * 64 + word.trailingZeroBitCount)
    }

    /// Calls `body` with every row, ascending. The set must not change meanwhile.
    ///
    /// - Complexity: O(capacity / 64 + rows).
    @inlinable package func forEach<E: Error>(_ body: (UInt32) throws(E) -> Void) throws(E) {
        for index in 0..<wordCapacity {
            var word = words[index]
            while word != 0 {
                try body(UInt32(truncatingIfNeeded: index &* 64 &+ word.trailingZeroBitCount))
                word &= word &- 1
            }
        }
    }

    /// Traps if the layout is broken. - Complexity: O(1).
    package func checkInvariants() {
        precondition(wordCapacity > 0, "a bitmap has words")
        precondition(wordCapacity % 8 == 0, "words come in whole cache lines")
        precondition(UInt(bitPattern: words) % 64 == 0, "words are aligned to 64 bytes")
    }
}

/// Bitmaps to borrow and give back, so that a query allocates none.
///
/// Threads: one owner.
package final class BitmapPool {
    private var free: [Bitmap] = []
    private let countMax: Int

    /// A pool that keeps at most `countMax` idle bitmaps.
    package init(countMax: Int = 32) { self.countMax = countMax }

    /// A bitmap with room for `capacity` rows and **any** contents: fill it before reading it.
    ///
    /// - Complexity: O(1) once the pool is warm.
    package func borrow(capacity: Int) -> Bitmap {
        guard let bitmap = free.popLast() else { return Bitmap(capacity: capacity) }
        bitmap.refit(capacity)
        return bitmap
    }

    /// Takes a bitmap back. - Complexity: O(1).
    package func giveBack(_ bitmap: Bitmap) {
        if free.count < countMax { free.append(bitmap) }
    }

    /// Bytes of the idle bitmaps.
    package var byteCount: Int { free.reduce(0) { $0 + $1.byteCount } }
}
