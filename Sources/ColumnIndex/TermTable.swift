internal import Glibc
internal import Primitives

/// The terms of a keyword column: bytes ↔ code, with a posting set per term.
///
/// Codes are dense from ``firstCode``, so that lower ones can say absent, null and so on in the
/// column's cells; those of dead terms are used again.
///
///     table    8 bytes per bucket, linear probing:  | hash, high 32 bits | code |
///     handles  8 bytes per code, into the arena of bytes
///     postings 16 bytes per code
///
/// Invariants: 1. a bucket with code 0 is free. 2. a live term is found from its hash without
/// passing a free bucket. 3. a term lives iff its posting set has rows.
struct TermTable: ~Copyable {
    static let firstCode: UInt32 = 4

    var table = SlotBuffer(width: 8)
    var bucketCount = 64
    var arena = ByteArena()
    var handles = SlotBuffer(width: 8)
    var postings = SlotBuffer(width: 16)
    var freeCodes: [UInt32] = []
    /// One past the highest code ever used.
    var codeLimit = TermTable.firstCode
    /// Live terms.
    var count = 0
    var totals = PostingTotals()

    init() { table.reserve(64) }

    deinit {
        var totals = totals
        let cells = postings.cells(PostingSet.self)
        for code in Int(TermTable.firstCode)..<Int(codeLimit) { cells[code].free(&totals) }
    }

    /// Bytes allocated and touched.
    var byteCount: Int {
        table.byteCount + arena.byteCount + handles.byteCount + postings.byteCount
            + freeCodes.capacity * 4 + totals.byteCount
    }

    private var mask: Int { bucketCount - 1 }

    @inline(__always) private func buckets() -> UnsafeMutablePointer<UInt64> {
        table.cells(UInt64.self)
    }

    @inline(__always) static func tag(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        Hash64.hash(bytes) & 0xFFFF_FFFF_0000_0000
    }

    @inline(__always) private func home(_ tag: UInt64) -> Int { Int(tag >> 32) & mask }

    /// The code of a term, or nil. - Complexity: O(bytes).
    func find(_ bytes: UnsafeRawBufferPointer) -> UInt32? {
        let tag = TermTable.tag(bytes)
        let cells = buckets()
        var at = home(tag)
        while cells[at] != 0 {
            if cells[at] & 0xFFFF_FFFF_0000_0000 == tag {
                let code = UInt32(truncatingIfNeeded: cells[at])
                if equalBytes(view(code), bytes) { return code }
            }
            at = (at &+ 1) & mask
        }
        return nil
    }

    /// The code of a term, new if need be; the caller gives a new one its first row at once.
    ///
    /// - Complexity: O(bytes) amortised.
    mutating func intern(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        if let code = find(bytes) { return code }
        if (count + 1) * 4 > bucketCount * 3 { growTable() }
        let code: UInt32
        if let free = freeCodes.popLast() {
            code = free
        } else {
            precondition(codeLimit < UInt32.max, "codes are 32 bits")
            code = codeLimit
            codeLimit += 1
            handles.reserve(Int(codeLimit))
            postings.reserve(Int(codeLimit))
        }
        handles.cells(UInt64.self)[Int(code)] = arena.add(bytes)
        count += 1
        place(TermTable.tag(bytes) | UInt64(code))
        return code
    }

    func place(_ bucket: UInt64) {
        let cells = buckets()
        var at = home(bucket)
        while cells[at] != 0 { at = (at &+ 1) & mask }
        cells[at] = bucket
    }

    private mutating func growTable() {
        var old = SlotBuffer(width: 8)
        old.reserve(bucketCount * 2)
        swap(&old, &table)
        let oldCount = bucketCount
        bucketCount *= 2
        let cells = old.cells(UInt64.self)
        for i in 0..<oldCount where cells[i] != 0 { place(cells[i]) }
    }

    /// Forgets a term without rows. - Complexity: O(bytes).
    private mutating func forget(_ code: UInt32) {
        let cells = buckets()
        var hole = home(TermTable.tag(view(code)))
        while UInt32(truncatingIfNeeded: cells[hole]) != code { hole = (hole &+ 1) & mask }
        // Backward shift: a later entry may fill the hole unless its home lies after it.
        var at = hole
        while true {
            at = (at &+ 1) & mask
            if cells[at] == 0 { break }
            let distance = (at &- home(cells[at])) & mask
            if distance >= (at &- hole) & mask {
                cells[hole] = cells[at]
                hole = at
            }
        }
        cells[hole] = 0
        let handle = handles.cells(UInt64.self) + Int(code)
        arena.free(handle.pointee)
        handle.pointee = 0
        count -= 1
        freeCodes.append(code)
    }

    /// Adds a row to a term. - Complexity: O(1) amortised.
    @inline(__always) mutating func insert(_ slot: UInt32, _ code: UInt32) {
        postings.cells(PostingSet.self)[Int(code)].insert(slot, &totals)
    }

    /// Removes a row from a term, which dies with its last. - Complexity: O(1).
    mutating func remove(_ slot: UInt32, _ code: UInt32) {
        let posting = postings.cells(PostingSet.self) + Int(code)
        posting.pointee.remove(slot, &totals)
        if posting.pointee.count == 0 {
            posting.pointee.free(&totals)
            forget(code)
        }
    }

    /// The bytes of a live term, valid until the next change. - Complexity: O(1).
    @inline(__always) func view(_ code: UInt32) -> UnsafeRawBufferPointer {
        arena.view(handles.cells(UInt64.self)[Int(code)])
    }

    /// The rows of a term; none for a dead one. - Complexity: O(1).
    @inline(__always) func posting(_ code: UInt32) -> PostingSet {
        postings.cells(PostingSet.self)[Int(code)]
    }

    /// Traps if the table and the terms disagree. - Complexity: O(terms).
    func checkInvariants() {
        arena.checkInvariants()
        var live = 0
        for code in TermTable.firstCode..<codeLimit where posting(code).count > 0 {
            live += 1
            precondition(find(view(code)) == code, "a live term is found")
        }
        precondition(live == count, "a term lives iff it has rows")
        precondition(freeCodes.count + live == Int(codeLimit - TermTable.firstCode), "codes add up")
        precondition((0..<bucketCount).filter { buckets()[$0] != 0 }.count == live, "no ghosts")
    }
}

/// Byte equality. - Complexity: O(bytes).
@inline(__always) func equalBytes(
    _ a: UnsafeRawBufferPointer,
    _ b: UnsafeRawBufferPointer
) -> Bool {
    compareBytes(a, b, equalityOnly: true) == 0
}

/// Below 0, 0 or above 0 as `a` orders before, with or after `b`: by bytes, a prefix first.
@inline(__always) func compareBytes(
    _ a: UnsafeRawBufferPointer,
    _ b: UnsafeRawBufferPointer,
    equalityOnly: Bool = false
) -> Int {
    if equalityOnly, a.count != b.count { return 1 }
    if let p = a.baseAddress, let q = b.baseAddress {
        let order = memcmp(p, q, min(a.count, b.count))
        if order != 0 { return Int(order) }
    }
    return a.count - b.count
}

/// The first 8 bytes as a key that orders as the bytes do; shorter strings are filled with zeros.
///
/// Equal keys do not mean equal strings.
func prefixKey(_ bytes: UnsafeRawBufferPointer) -> Int64 {
    var bits: UInt64 = 0
    if bytes.count >= 8 {
        bits = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
    } else {
        for (i, byte) in bytes.enumerated() { bits |= UInt64(byte) << UInt64(56 - i * 8) }
    }
    return Int64(bitPattern: bits ^ (1 << 63))
}
