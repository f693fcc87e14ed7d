internal import CKernels

/// A column of numbers: for each row one Int64 key, several, or none.
///
/// Keys order as the values do: integers as they are, decimals scaled, times in milliseconds,
/// doubles through ``OrderedDouble``.
///
///     sketch   1 byte per row: which bucket the key is in (see Sketch)
///     values   1, 2, 4 or 8 bytes per row: key - base, as wide as the spread so far needs
///     lists    4 bytes per row, only once a row has had several keys: a list in the arena
///
/// Invariants: 1. a row's value cell holds its key iff its code is a bucket's. 2. its list cell is
/// not 0 iff its code is "several"; the list ascends.
/// Threads: one writer, or any number of readers; reading changes nothing.
package final class NumericColumn {
    /// What a key stands for; decides how sums are taken.
    package enum Kind: Sendable {
        /// An exact integer (also decimals, times and booleans): sums are Int128.
        case integer
        /// A double in ``OrderedDouble`` form: sums are Double.
        case double
    }

    /// What the keys stand for.
    package let kind: Kind
    // The caller holds the lock, so run-time exclusivity checks buy nothing: they took 40 % of a
    // set.
    @exclusivity(unchecked) var sketch = Sketch()
    @exclusivity(unchecked) var values = SlotBuffer(width: 1)
    /// The key of a value cell of 0; 0 at 8 bytes.
    @exclusivity(unchecked) var base: Int64 = 0
    @exclusivity(unchecked) var hasBase = false
    @exclusivity(unchecked) var lists = SlotBuffer(width: 4)
    @exclusivity(unchecked) var arena = ListArena()

    /// An empty column.
    package init(kind: Kind = .integer) { self.kind = kind }

    /// One past the highest row ever set.
    package var slotCount: Int { sketch.slotCount }

    /// Bytes allocated and touched.
    package var byteCount: Int {
        sketch.byteCount + values.byteCount + lists.byteCount + arena.byteCount + 256
    }

    /// The keys of rows with exactly one.
    var keys: NumericKeys {
        NumericKeys(values: values.base, width: Int32(values.width), base: base)
    }

    // MARK: Writing

    /// Gives a row one key, in place of what it had.
    ///
    /// - Complexity: O(1) amortised; O(rows) when the storage widens or the sketch is rebuilt.
    package func set(_ slot: UInt32, _ key: Int64) {
        let old = sketch.set(slot, key: key)
        if old == 3 { releaseList(slot) }
        store(slot, key)
        if sketch.isRebuildDue { sketch.rebuild(keys) }
    }

    /// Gives a row the keys of an array, in any order; none make it an empty array.
    ///
    /// - Complexity: O(keys log keys) amortised.
    package func set(_ slot: UInt32, list keys: [Int64]) {
        guard let first = keys.first else { return setEmptyArray(slot) }
        if keys.count == 1 { return set(slot, first) }
        setState(slot, 3)
        lists.reserve(sketch.slotCount)
        let handle = arena.allocate(keys: keys.sorted())
        lists.cells(UInt32.self)[Int(slot)] = handle
    }

    /// Makes a row an explicit null. - Complexity: O(1).
    package func setNull(_ slot: UInt32) { setState(slot, 1) }

    /// Makes a row an array without elements. - Complexity: O(1).
    package func setEmptyArray(_ slot: UInt32) { setState(slot, 2) }

    /// Makes a row absent. - Complexity: O(1).
    package func clear(_ slot: UInt32) { setState(slot, 0) }

    private func setState(_ slot: UInt32, _ state: Int) {
        if sketch.set(slot, state: state) == 3 { releaseList(slot) }
    }

    private func releaseList(_ slot: UInt32) {
        let cell = lists.cells(UInt32.self) + Int(slot)
        arena.free(cell.pointee)
        cell.pointee = 0
    }

    @inline(__always) private func store(_ slot: UInt32, _ key: Int64) {
        values.reserve(sketch.slotCount)
        let (offset, overflow) = key.subtractingReportingOverflow(base)
        let index = Int(slot)
        switch values.width {
        case 8: values.cells(Int64.self)[index] = key
        case 4 where !overflow && offset >= 0 && offset <= 0xFFFF_FFFF:
            values.cells(UInt32.self)[index] = UInt32(truncatingIfNeeded: offset)
        case 2 where !overflow && offset >= 0 && offset <= 0xFFFF:
            values.cells(UInt16.self)[index] = UInt16(truncatingIfNeeded: offset)
        case 1 where hasBase && !overflow && offset >= 0 && offset <= 0xFF:
            values.cells(UInt8.self)[index] = UInt8(truncatingIfNeeded: offset)
        default: widen(slot, key)
        }
    }

    /// Moves to a wider cell whose range holds every key and `key`; at most three times in a life.
    @inline(never) private func widen(_ slot: UInt32, _ key: Int64) {
        let old = keys
        let codes = sketch.codes.cells(UInt8.self)
        var (least, most) = (key, key)
        for row in 0..<sketch.slotCount where codes[row] >= 4 && row != Int(slot) {
            let other = old.key(UInt32(row))
            least = min(least, other)
            most = max(most, other)
        }
        let (spread, overflow) = most.subtractingReportingOverflow(least)
        // The first key chooses one byte; later misfits always move to a wider cell, so that a
        // drifting range cannot make every write rewrite the column.
        let widths = hasBase ? [2, 4, 8].filter { $0 > values.width } : [1]
        hasBase = true
        let width =
            widths.first { $0 < 8 && !overflow && spread < (1 << ($0 * 8)) } ?? 8
        // Room on both sides.
        let slack = width == 8 || overflow ? 0 : ((1 << (width * 8)) - 1 - spread) / 2
        let (low, underflow) = least.subtractingReportingOverflow(slack)
        let nextBase = width == 8 ? 0 : (underflow ? .min : low)
        var next = SlotBuffer(width: width)
        next.reserve(max(values.cellCount, sketch.slotCount))
        for row in 0..<sketch.slotCount where codes[row] >= 4 {
            let value = (row == Int(slot) ? key : old.key(UInt32(row))) &- nextBase
            switch width {
            case 1: next.cells(UInt8.self)[row] = UInt8(truncatingIfNeeded: value)
            case 2: next.cells(UInt16.self)[row] = UInt16(truncatingIfNeeded: value)
            case 4: next.cells(UInt32.self)[row] = UInt32(truncatingIfNeeded: value)
            default: next.cells(Int64.self)[row] = value
            }
        }
        swap(&values, &next)
        base = nextBase
    }

    // MARK: Reading one row

    /// What the column knows of a row. - Complexity: O(1).
    package func state(_ slot: UInt32) -> SlotState {
        SlotState(rawValue: min(sketch.code(slot), 3)) ?? .present
    }

    /// The key of a row in state present: the least one, if it has several.
    ///
    /// - Complexity: O(1).
    package func key(_ slot: UInt32) -> Int64 {
        let code = sketch.code(slot)
        precondition(code >= 3, "the row has a key")
        return code == 3 ? list(slot)[0] : keys.key(slot)
    }

    /// The key of a row that is known to have exactly one: without a look at its code.
    ///
    /// - Complexity: O(1).
    package func onlyKey(_ slot: UInt32) -> Int64 {
        precondition(Int(slot) < sketch.slotCount, "a row of the column")
        return keys.key(slot)
    }

    /// The greatest key of a row in state present. - Complexity: O(1).
    package func maxKey(_ slot: UInt32) -> Int64 {
        let code = sketch.code(slot)
        precondition(code >= 3, "the row has a key")
        guard code == 3 else { return keys.key(slot) }
        let keys = list(slot)
        return keys[keys.count - 1]
    }

    /// The keys of a row, ascending; none unless it is present. - Complexity: O(keys).
    package func allKeys(_ slot: UInt32) -> [Int64] {
        let code = sketch.code(slot)
        guard code >= 3 else { return [] }
        guard code == 3 else { return [keys.key(slot)] }
        let keys = list(slot)
        return (0..<keys.count).map { keys[$0] }
    }

    /// How many keys a row has. - Complexity: O(1).
    package func keyCount(_ slot: UInt32) -> Int {
        let code = sketch.code(slot)
        return code < 3 ? 0 : (code == 3 ? list(slot).count : 1)
    }

    /// The list of a row whose code is "several".
    @inline(__always) func list(_ slot: UInt32) -> KeyList {
        arena.keys(lists.cells(UInt32.self)[Int(slot)])
    }

    /// Traps if an invariant is broken. - Complexity: O(rows).
    package func checkInvariants() {
        sketch.checkInvariants(keys)
        for row in 0..<sketch.slotCount {
            let handle = row < lists.cellCount ? lists.cells(UInt32.self)[row] : 0
            precondition((sketch.code(UInt32(row)) == 3) == (handle != 0), "lists match codes")
            guard handle != 0 else { continue }
            let keys = arena.keys(handle)
            precondition(keys.count > 1, "a list has several keys")
            for i in 1..<keys.count { precondition(keys[i - 1] <= keys[i], "a list ascends") }
        }
    }
}

/// The value cells of a numeric column.
struct NumericKeys: SlotKeys {
    let values: UnsafeMutableRawPointer
    let width: Int32
    let base: Int64

    @inline(__always) func key(_ slot: UInt32) -> Int64 {
        let index = Int(slot)
        switch width {
        case 1: return base &+ Int64(values.assumingMemoryBound(to: UInt8.self)[index])
        case 2: return base &+ Int64(values.assumingMemoryBound(to: UInt16.self)[index])
        case 4: return base &+ Int64(values.assumingMemoryBound(to: UInt32.self)[index])
        default: return values.assumingMemoryBound(to: Int64.self)[index]
        }
    }

    func gather(_ list: UnsafePointer<UInt32>, _ count: Int, _ keys: UnsafeMutablePointer<Int64>) {
        ck_list_gather(values, width, base, list, count, keys)
    }

    /// lo...hi in the stored domain; the clamped range keeps the same rows.
    @inline(__always) func stored(_ lo: Int64, _ hi: Int64) -> (lo: Int64, hi: Int64) {
        if width == 8 { return (lo, hi) }
        return (clamp(lo), clamp(hi))
    }

    private func clamp(_ key: Int64) -> Int64 {
        let (offset, overflow) = key.subtractingReportingOverflow(base)
        // Beyond any cell either way; overflow can only come from operands of different sign.
        if overflow { return key < base ? -1 : 1 << 40 }
        return max(-1, min(offset, 1 << 40))
    }
}
