internal import CKernels

/// A column of byte strings: for each row one term, several, or none.
///
///     codes    1, 2 or 4 bytes per row: 0 absent · 1 null · 2 empty array · 3 several · 4… a term
///     lists    4 bytes per row, only once a row has had several terms: their codes, in the arena
///     terms    bytes, hash table and rows of every term (see TermTable, PostingSet)
///     sketch   1 byte per row, only if sortable: over the first 8 bytes of the term
///
/// The codes of one row's list are distinct and in order of the list given.
/// Threads: one writer, or any number of readers; reading changes nothing.
package final class KeywordColumn {
    /// Can rows be ordered by this column at the speed of a number?
    package let isSortable: Bool
    // The caller holds the lock, so run-time exclusivity checks buy nothing: they took 40 % of a
    // set.
    @exclusivity(unchecked) var codes = SlotBuffer(width: 1)
    @exclusivity(unchecked) var lists = SlotBuffer(width: 4)
    @exclusivity(unchecked) var arena = ListArena()
    @exclusivity(unchecked) var terms = TermTable()
    @exclusivity(unchecked) var sketch = Sketch()
    /// One past the highest row ever set.
    @exclusivity(unchecked) package internal(set) var slotCount = 0
    /// Rows per code below 4; that of 0 is not kept.
    @exclusivity(unchecked) var nullCount = 0
    @exclusivity(unchecked) var emptyArrayCount = 0
    /// Rows of several terms.
    @exclusivity(unchecked) package internal(set) var severalCount = 0
    /// Rows with at least one term; all versions of a document that are still held count.
    @exclusivity(unchecked) package internal(set) var presentCount = 0

    /// An empty column. A sortable one keeps a byte more per row.
    package init(isSortable: Bool = false) { self.isSortable = isSortable }

    /// Bytes allocated and touched.
    package var byteCount: Int {
        codes.byteCount + lists.byteCount + arena.byteCount + terms.byteCount + sketch.byteCount
            + 256
    }

    /// Live terms. - Complexity: O(1).
    package var termCount: Int { terms.count }

    /// One past the highest code in use: the length of a table by code.
    package var codeLimit: Int { Int(terms.codeLimit) }

    var blockCount: Int { (slotCount + 63) / 64 }

    // MARK: Writing

    /// Gives a row one term, in place of what it had. At most 65,535 bytes.
    ///
    /// - Complexity: O(bytes) amortised.
    package func set(_ slot: UInt32, _ bytes: UnsafeRawBufferPointer) {
        let old = code(slot)
        if old >= TermTable.firstCode, equalBytes(terms.view(old), bytes) { return }
        let code = terms.intern(bytes)
        if old == 3 {
            if !codesOf(slot, old).contains(code) { terms.insert(slot, code) }
            release(slot, old, except: [code])
        } else {
            terms.insert(slot, code)
            release(slot, old)
        }
        put(slot, code)
        presentCount += 1
        if isSortable {
            _ = sketch.set(slot, key: prefixKey(bytes))
            if sketch.isRebuildDue { sketch.rebuild(keys) }
        }
    }

    /// Gives a row the terms of an array; equal ones count once, none make it an empty array.
    ///
    /// - Complexity: O(bytes + terms²) amortised.
    package func set(_ slot: UInt32, list: [UnsafeRawBufferPointer]) {
        guard let first = list.first else { return setEmptyArray(slot) }
        if list.count == 1 { return set(slot, first) }
        // The new rows go in before the old ones leave, so that no term dies only to be made again:
        // which it would if the row were its last. A row that stays must not be added twice.
        let old = code(slot)
        let kept = codesOf(slot, old)
        var distinct: [UInt32] = []
        distinct.reserveCapacity(list.count)
        for bytes in list {
            let code = terms.intern(bytes)
            if distinct.contains(code) { continue }
            distinct.append(code)
            if !kept.contains(code) { terms.insert(slot, code) }
        }
        release(slot, old, except: distinct)
        if distinct.count == 1 {
            put(slot, distinct[0])
            presentCount += 1
            if isSortable {
                _ = sketch.set(slot, key: prefixKey(first))
                if sketch.isRebuildDue { sketch.rebuild(keys) }
            }
            return
        }
        put(slot, 3)
        presentCount += 1
        severalCount += 1
        lists.reserve(slotCount)
        let handle = arena.allocate(distinct.count)
        let cells = arena.list(handle)
        for (i, code) in distinct.enumerated() { cells[i] = code }
        lists.cells(UInt32.self)[Int(slot)] = handle
        if isSortable { _ = sketch.set(slot, state: 3) }
    }

    /// Makes a row an explicit null. - Complexity: O(terms of the row).
    package func setNull(_ slot: UInt32) {
        setState(slot, 1)
        nullCount += 1
    }

    /// Makes a row an array without elements. - Complexity: O(terms of the row).
    package func setEmptyArray(_ slot: UInt32) {
        setState(slot, 2)
        emptyArrayCount += 1
    }

    /// Makes a row absent. - Complexity: O(terms of the row).
    package func clear(_ slot: UInt32) {
        guard Int(slot) < slotCount else { return }
        setState(slot, 0)
    }

    private func setState(_ slot: UInt32, _ state: UInt32) {
        release(slot, code(slot))
        put(slot, state)
        if isSortable { _ = sketch.set(slot, state: Int(state)) }
    }

    /// Takes back what the row's old code stood for; leaves the cell as it is.
    private func release(_ slot: UInt32, _ old: UInt32, except kept: [UInt32] = []) {
        switch old {
        case 0: return
        case 1: nullCount -= 1
        case 2: emptyArrayCount -= 1
        case 3:
            let cell = lists.cells(UInt32.self) + Int(slot)
            for code in arena.list(cell.pointee) where !kept.contains(code) {
                terms.remove(slot, code)
            }
            arena.free(cell.pointee)
            cell.pointee = 0
            severalCount -= 1
            presentCount -= 1
        default:
            if !kept.contains(old) { terms.remove(slot, old) }
            presentCount -= 1
        }
    }

    private func codesOf(_ slot: UInt32, _ code: UInt32) -> [UInt32] {
        if code < 3 { return [] }
        return code == 3 ? Array(arena.list(lists.cells(UInt32.self)[Int(slot)])) : [code]
    }

    private func put(_ slot: UInt32, _ code: UInt32) {
        if Int(slot) >= slotCount { slotCount = Int(slot) + 1 }
        codes.reserve(slotCount)
        switch codes.width {
        case 1 where code <= 0xFF:
            codes.cells(UInt8.self)[Int(slot)] = UInt8(truncatingIfNeeded: code)
        case 2 where code <= 0xFFFF:
            codes.cells(UInt16.self)[Int(slot)] = UInt16(truncatingIfNeeded: code)
        case 4: codes.cells(UInt32.self)[Int(slot)] = code
        default:
            widen()
            put(slot, code)
        }
    }

    /// Doubles the width of the codes: twice in a life.
    @inline(never) private func widen() {
        var next = SlotBuffer(width: codes.width * 2)
        next.reserve(codes.cellCount)
        for row in 0..<slotCount {
            if codes.width == 1 {
                next.cells(UInt16.self)[row] = UInt16(codes.cells(UInt8.self)[row])
            } else {
                next.cells(UInt32.self)[row] = UInt32(codes.cells(UInt16.self)[row])
            }
        }
        swap(&codes, &next)
    }

    // MARK: Reading one row

    /// The row's code, with those below 4.
    @inline(__always) func code(_ slot: UInt32) -> UInt32 {
        guard Int(slot) < slotCount else { return 0 }
        switch codes.width {
        case 1: return UInt32(codes.cells(UInt8.self)[Int(slot)])
        case 2: return UInt32(codes.cells(UInt16.self)[Int(slot)])
        default: return codes.cells(UInt32.self)[Int(slot)]
        }
    }

    /// What the column knows of a row. - Complexity: O(1).
    package func state(_ slot: UInt32) -> SlotState {
        SlotState(rawValue: UInt8(min(code(slot), 3))) ?? .present
    }

    /// The codes of a row's terms, in the order set; none unless it is present.
    ///
    /// - Complexity: O(terms of the row).
    package func termCodes(_ slot: UInt32) -> [UInt32] { codesOf(slot, code(slot)) }

    /// The bytes of a live code, valid until the next change. - Complexity: O(1).
    package func term(_ code: UInt32) -> UnsafeRawBufferPointer {
        precondition(code >= TermTable.firstCode && code < terms.codeLimit, "a code of this column")
        return terms.view(code)
    }

    /// The code of a term, or nil if no row has it. - Complexity: O(bytes).
    package func code(of bytes: UnsafeRawBufferPointer) -> UInt32? { terms.find(bytes) }

    /// How many rows have a term; all held versions count. - Complexity: O(bytes).
    package func count(of bytes: UnsafeRawBufferPointer) -> Int {
        terms.find(bytes).map { Int(terms.posting($0).count) } ?? 0
    }

    /// How many rows have the term of a live code. - Complexity: O(1).
    package func count(ofCode code: UInt32) -> Int { Int(terms.posting(code).count) }

    /// The only row with a term; nil if there is none or more than one. - Complexity: O(bytes).
    package func singleSlot(of bytes: UnsafeRawBufferPointer) -> UInt32? {
        terms.find(bytes).flatMap { terms.posting($0).single }
    }

    /// The rows with a term, ascending. - Complexity: O(bytes + rows with it).
    package func slots(of bytes: UnsafeRawBufferPointer) -> [UInt32] {
        guard let code = terms.find(bytes) else { return [] }
        var slots: [UInt32] = []
        slots.reserveCapacity(Int(terms.posting(code).count))
        terms.posting(code).forEach { slots.append($0) }
        return slots
    }

    /// The code that stands for a row in an order: its least term, if `descending` its greatest.
    ///
    /// Nil unless the row is present. - Complexity: O(terms of the row).
    package func sortCode(_ slot: UInt32, descending: Bool) -> UInt32? {
        let code = code(slot)
        if code < 3 { return nil }
        if code > 3 { return code }
        let list = arena.list(lists.cells(UInt32.self)[Int(slot)])
        var best = list[0]
        for other in list.dropFirst() {
            let order = compareBytes(terms.view(other), terms.view(best))
            if descending ? order > 0 : order < 0 { best = other }
        }
        return best
    }

    /// Orders two present rows: below 0, 0 or above 0, by bytes; in a descending order each row
    /// counts by its greatest term, but the sign is still that of the bytes.
    ///
    /// - Complexity: O(bytes).
    package func compare(_ a: UInt32, _ b: UInt32, descending: Bool = false) -> Int {
        guard
            let x = sortCode(a, descending: descending), let y = sortCode(b, descending: descending)
        else { preconditionFailure("both rows are present") }
        return x == y ? 0 : compareBytes(terms.view(x), terms.view(y))
    }

    /// Orders a present row against bytes, as ``compare(_:_:descending:)`` does.
    ///
    /// - Complexity: O(bytes).
    package func compare(
        _ slot: UInt32,
        _ bytes: UnsafeRawBufferPointer,
        descending: Bool = false
    ) -> Int {
        guard let code = sortCode(slot, descending: descending) else {
            preconditionFailure("the row is present")
        }
        return compareBytes(terms.view(code), bytes)
    }

    /// The sort key of bytes: keys order as the bytes do, but equal keys may hide different bytes.
    ///
    /// - Complexity: O(1).
    package static func sortKey(_ bytes: UnsafeRawBufferPointer) -> Int64 { prefixKey(bytes) }

    /// The keys of rows with exactly one term.
    var keys: KeywordKeys { KeywordKeys(column: self) }

    /// Traps if an invariant is broken. - Complexity: O(rows × terms of a row).
    package func checkInvariants() {
        terms.checkInvariants()
        if isSortable { sketch.checkInvariants(keys) }
        var postings = 0
        var counts = [0, 0, 0, 0, 0]
        for row in 0..<slotCount {
            let slot = UInt32(row)
            let code = code(slot)
            counts[Int(min(code, 4))] += 1
            if isSortable {
                let inSketch = UInt32(sketch.code(slot))
                precondition(min(code, 4) == min(inSketch, 4), "the sketch knows the same states")
            }
            for code in codesOf(slot, code) {
                postings += 1
                precondition(terms.posting(code).contains(slot), "a row is posted")
            }
        }
        var posted = 0
        for code in TermTable.firstCode..<terms.codeLimit {
            posted += Int(terms.posting(code).count)
        }
        precondition(postings == posted, "nothing else is posted")
        precondition(counts[1] == nullCount && counts[2] == emptyArrayCount, "states are counted")
        precondition(counts[3] == severalCount, "rows of several terms are counted")
        precondition(counts[3] + counts[4] == presentCount, "present rows are counted")
    }
}

/// The prefix keys of a keyword column's rows of one term.
struct KeywordKeys: SlotKeys {
    let column: KeywordColumn

    @inline(__always) func key(_ slot: UInt32) -> Int64 {
        prefixKey(column.terms.view(column.code(slot)))
    }

    func gather(_ list: UnsafePointer<UInt32>, _ count: Int, _ keys: UnsafeMutablePointer<Int64>) {
        for i in 0..<count { keys[i] = key(list[i]) }
    }
}
