internal import CKernels
package import Primitives

/// Filters: each turns a predicate into a bitmap of rows, or narrows one.
///
/// A row matches if any of its terms does. Bitmaps are overwritten whole; bits past
/// ``KeywordColumn/slotCount`` are 0.
extension KeywordColumn {
    /// Terms up to which a test of every term beats a pass over the sketch.
    private static let termScanMax = 4_096

    /// The rows with a term. - Complexity: O(bytes + rows / 64 + listed rows).
    package func fillEqual(_ bytes: UnsafeRawBufferPointer, into bitmap: Bitmap) {
        bitmap.reserve(blockCount * 64)
        guard let code = terms.find(bytes) else { return bitmap.clearAll() }
        terms.posting(code).fill(bitmap)
    }

    /// Keeps the rows with a term. - Complexity: as ``fillEqual(_:into:)``.
    package func andEqual(_ bytes: UnsafeRawBufferPointer, with bitmap: Bitmap) {
        guard let code = terms.find(bytes) else { return bitmap.clearAll() }
        terms.posting(code).intersect(bitmap)
    }

    /// The rows with any of some terms. - Complexity: as ``fillEqual(_:into:)``, for each.
    package func fillIn(_ list: [UnsafeRawBufferPointer], into bitmap: Bitmap) {
        bitmap.reserve(blockCount * 64)
        bitmap.clearAll()
        for bytes in list {
            if let code = terms.find(bytes) { terms.posting(code).union(into: bitmap) }
        }
    }

    /// The rows with a term that begins with `prefix`; any term begins with none.
    ///
    /// - Complexity: O(terms), or O(rows) over a byte per row if sortable and of many terms.
    package func fillPrefix(_ prefix: UnsafeRawBufferPointer, into bitmap: Bitmap) {
        guard prefix.count > 0 else { return fillPresent(into: bitmap) }
        let isPrefix = { (term: UnsafeRawBufferPointer) in
            term.count >= prefix.count
                && equalBytes(UnsafeRawBufferPointer(rebasing: term[..<prefix.count]), prefix)
        }
        guard isSortable, terms.count > KeywordColumn.termScanMax else {
            return fillWhere(isPrefix, into: bitmap)
        }
        let lo = prefixKey(prefix)
        // Every string with the prefix has a key of the prefix's bits and any bits after.
        let free = UInt64(max(0, 8 - prefix.count)) * 8
        let hi = lo | Int64(bitPattern: free == 64 ? ~0 : (1 << free) - 1)
        // A shorter string's key looks like one with zeros after it.
        let isWhole = prefix.count <= 8 && prefix[prefix.count - 1] != 0
        scan(lo, hi, isLoWhole: isWhole, isHiWhole: isWhole, bitmap, isPrefix)
    }

    /// The rows with a term in a range; nil is no bound. Bytes order as
    /// ``compare(_:_:descending:)``.
    ///
    /// - Complexity: O(terms), or O(rows) over a byte per row if sortable and of many terms.
    package func fillRange(
        lower: UnsafeRawBufferPointer?,
        lowerInclusive: Bool,
        upper: UnsafeRawBufferPointer?,
        upperInclusive: Bool,
        into bitmap: Bitmap
    ) {
        let isInside = { (term: UnsafeRawBufferPointer) in
            if let lower {
                let order = compareBytes(term, lower)
                if order < 0 || (order == 0 && !lowerInclusive) { return false }
            }
            if let upper {
                let order = compareBytes(term, upper)
                if order > 0 || (order == 0 && !upperInclusive) { return false }
            }
            return true
        }
        guard isSortable, terms.count > KeywordColumn.termScanMax else {
            return fillWhere(isInside, into: bitmap)
        }
        let lo = lower.map(prefixKey) ?? .min
        let hi = upper.map(prefixKey) ?? .max
        scan(lo, hi, isLoWhole: lower == nil, isHiWhole: upper == nil, bitmap, isInside)
    }

    /// The rows with a term that passes a test. - Complexity: O(terms + their rows).
    package func fillWhere(_ test: (UnsafeRawBufferPointer) -> Bool, into bitmap: Bitmap) {
        bitmap.reserve(blockCount * 64)
        bitmap.clearAll()
        for code in TermTable.firstCode..<terms.codeLimit where terms.posting(code).count > 0 {
            if test(terms.view(code)) { terms.posting(code).union(into: bitmap) }
        }
    }

    /// One pass over the sketch for prefix keys in lo...hi. A row whose bucket is cut is tested,
    /// and so is one whose bucket touches a bound that is not whole: where equal keys need not both
    /// match.
    private func scan(
        _ lo: Int64,
        _ hi: Int64,
        isLoWhole: Bool,
        isHiWhole: Bool,
        _ bitmap: Bitmap,
        _ test: (UnsafeRawBufferPointer) -> Bool
    ) {
        bitmap.reserve(blockCount * 64)
        let blocks = blockCount
        let bits = bitmap.words
        if var window = sketch.window(lo, hi) {
            if !isLoWhole, let bounds = sketch.bounds(ofCode: window.first), bounds.min <= lo {
                window.edgeA = window.first
            }
            if !isHiWhole, let bounds = sketch.bounds(ofCode: window.last), bounds.max >= hi {
                window.edgeB = window.last == window.edgeA ? 0 : window.last
            }
            let list = Scratch<UInt32>(sketch.edgeCapacity(window))
            let count = ck_scan().pointee.u8_range_edges(
                sketch.codes.cells(UInt8.self),
                blocks,
                UInt8(window.first),
                UInt8(window.last),
                UInt8(window.edgeA),
                UInt8(window.edgeB),
                nil,
                bits,
                list.base
            )
            for i in 0..<count where !test(terms.view(code(list.base[i]))) {
                bitmap.clear(list.base[i])
            }
            bitmap.clearWords(from: blocks)
        } else {
            bitmap.clearAll()
        }
        sketch.forEachSeveral(nil, nil) { slot in
            for code in arena.list(lists.cells(UInt32.self)[Int(slot)])
            where test(terms.view(code)) {
                bitmap.set(slot)
                break
            }
        }
    }

    /// The rows with at least one term. - Complexity: O(rows).
    package func fillPresent(into bitmap: Bitmap) {
        fillCode(0, into: bitmap)
        bitmap.complement(slotCount)
        for state in [1, 2] as [UInt32] where state == 1 ? nullCount > 0 : emptyArrayCount > 0 {
            let scratch = Bitmap(capacity: slotCount)
            fillCode(state, into: scratch)
            bitmap.subtract(scratch)
        }
    }

    /// The rows that are an explicit null. - Complexity: O(rows).
    package func fillNull(into bitmap: Bitmap) { fillCode(1, into: bitmap) }

    /// The rows that are an array without elements. - Complexity: O(rows).
    package func fillEmptyArray(into bitmap: Bitmap) { fillCode(2, into: bitmap) }

    /// The rows that the column has seen in any state but absent. - Complexity: O(rows).
    package func fillKnown(into bitmap: Bitmap) {
        fillCode(0, into: bitmap)
        bitmap.complement(slotCount)
    }

    /// The rows whose cell is a code.
    func fillCode(_ code: UInt32, into bitmap: Bitmap) {
        bitmap.reserve(blockCount * 64)
        let blocks = blockCount
        let scan = ck_scan().pointee
        switch codes.width {
        case 1 where code <= 0xFF:
            scan.u8_equal(codes.cells(UInt8.self), blocks, UInt8(code), bitmap.words)
        case 2 where code <= 0xFFFF:
            scan.u16_equal(codes.cells(UInt16.self), blocks, UInt16(code), bitmap.words)
        case 4: scan.u32_equal(codes.cells(UInt32.self), blocks, code, bitmap.words)
        default: bitmap.clearAll()
        }
        bitmap.clearWords(from: blocks)
    }

    /// As ``NumericColumn/collectExtremes(match:visible:count:descending:bound:into:)``, on
    /// ``sortKey(_:)``: among equal keys the caller decides by ``compare(_:_:descending:)``, which
    /// is why all ties of the k-th key are there. A bound's key should be inclusive for the same
    /// reason.
    ///
    /// The column must be sortable.
    package func collectExtremes(
        match: Bitmap?,
        visible: Bitmap,
        count: Int,
        descending: Bool,
        bound: KeyBound? = nil,
        into found: inout [KeyedSlot]
    ) {
        precondition(isSortable, "the column is sortable")
        guard
            let query = ExtremesQuery(
                match: match,
                visible: visible,
                count: count,
                descending: descending,
                bound: bound
            )
        else { return }
        let start = found.count
        sketch.collect(query, keys, into: &found)
        if severalCount > 0 {
            sketch.forEachSeveral(match, visible) { slot in
                guard let code = sortCode(slot, descending: descending) else { return }
                let key = prefixKey(terms.view(code))
                if key >= query.lo, key <= query.hi {
                    found.append(KeyedSlot(key: key, slot: slot))
                }
            }
        }
        pruneExtremes(&found, from: start, count: count, descending: descending)
    }

    /// As ``NumericColumn/cut(rank:descending:)``, on ``sortKey(_:)``. - Complexity: O(256).
    package func cut(rank: Int, descending: Bool) -> Int64? { sketch.cut(rank, descending) }
}
