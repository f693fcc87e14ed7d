// Columns as flat arrays. What follows from other parts is not written: the table of terms, the
// rows of each term, the counts of states. So a column that comes back cannot contradict itself
// there, however its bytes were damaged, and the rest is checked in one pass over the rows.

internal import Glibc
package import Primitives

extension SlotBuffer {
    func write(to sink: any SectionSink, count: Int) {
        sink.put(UInt32(width))
        sink.put(UInt64(count))
        let there = min(count, cellCount)
        sink.put(UnsafeRawBufferPointer(start: base, count: there * width))
        // Cells behind the last that was used are zero, whether there is memory for them or not.
        for _ in 0..<(count - there) * width { sink.put(UInt8(0)) }
    }

    /// - Throws: as the source; `invalid` for a width that is not allowed, or for more cells than
    ///   `most`.
    static func read(
        from source: any SectionSource, widths: [Int], most: Int = 1 << 32
    ) throws(SectionError) -> SlotBuffer {
        let width = Int(try source.next(UInt32.self))
        try source.require(widths.contains(width), "cells have a width of their column's")
        let count = try source.count(ofStride: width)
        try source.require(count <= most, "there are no more cells than rows")
        var buffer = SlotBuffer(width: width)
        buffer.reserve(count)
        // SAFETY: `reserve` made `count` cells usable.
        try source.read(
            into: UnsafeMutableRawBufferPointer(start: buffer.base, count: count * width))
        return buffer
    }
}

extension ListArena {
    func write(to sink: any SectionSink) {
        sink.put(UInt64(used))
        sink.put(UnsafePointer(base), count: used)
        sink.put(array: freeHeads)
    }

    /// Fills an empty one.
    mutating func read(from source: any SectionSource) throws(SectionError) {
        let count = try source.count(ofStride: 4)
        try source.require(count >= 2 && count <= Int(UInt32.max), "an arena of lists")
        if count > capacity { grow(count) }
        used = count
        try source.read(into: base, count: count)
        let heads = try source.array(UInt32.self)
        try source.require(heads.count == freeHeads.count, "free lists come by size")
        freeHeads = heads
        var steps = 0
        for index in 1..<freeHeads.count {
            // As `sizeClass` has them.
            let (shift, quarter) = (5 + (index - 17) / 4, 4 + (index - 17) % 4)
            let length = index <= 16 ? index * 8 : (quarter + 1) << shift
            var head = Int(freeHeads[index])
            while head != 0 {
                try source.require(
                    head >= 2 && head + length / 4 <= used, "a free list lies inside")
                steps += 1
                try source.require(steps <= used / 2, "free lists end")
                head = Int(base[head])
            }
        }
        try source.require(freeHeads[0] == 0, "no list is empty")
    }

    /// Whether a handle names a list of at least two elements that lies in the arena.
    func holds(_ handle: UInt32) -> Bool {
        guard handle >= 2, Int(handle) < used else { return false }
        let count = Int(base[Int(handle)])
        return count >= 2 && Int(handle) + 1 + count <= used
    }
}

extension Sketch {
    func write(to sink: any SectionSink) {
        sink.put(UInt64(slotCount))
        codes.write(to: sink, count: slotCount)
        sink.put(UInt32(bucketCount))
        sink.put(UnsafePointer(lower), count: bucketCount)
        sink.put(UnsafePointer(minKeys), count: 256)
        sink.put(UnsafePointer(maxKeys), count: 256)
        sink.put(UInt64(changes))
        sink.put(UInt64(liveAtRebuild))
        sink.put(UInt8(isRebuildDue ? 1 : 0))
    }

    /// - Parameter most: rows that there are at most.
    mutating func read(from source: any SectionSource, most: Int) throws(SectionError) {
        let rows = try source.count(atMost: most)
        let cells = try SlotBuffer.read(from: source, widths: [1], most: rows)
        try source.require(cells.cellCount >= rows, "every row has a code")
        codes = cells
        slotCount = rows
        bucketCount = Int(try source.next(UInt32.self))
        try source.require(
            bucketCount >= 1 && bucketCount <= Sketch.bucketCountMax, "buckets are countable")
        try source.read(into: lower, count: bucketCount)
        try source.read(into: minKeys, count: 256)
        try source.read(into: maxKeys, count: 256)
        changes = try source.count(atMost: .max)
        liveAtRebuild = try source.count(atMost: most)
        isRebuildDue = try source.next(UInt8.self) != 0
        try source.require(lower[0] == .min, "the first bucket begins at the least key")
        for bucket in 1..<max(bucketCount, 1) {
            try source.require(lower[bucket] > lower[bucket - 1], "bounds rise")
        }
        countCodes()
        for code in Sketch.firstBucketCode + bucketCount..<256 {
            try source.require(counts[code] == 0, "codes are of buckets that there are")
        }
    }

    /// Counts from the codes themselves: four tables side by side, so that equal neighbours do not
    /// wait for each other.
    private mutating func countCodes() {
        var tables = [UInt32](repeating: 0, count: 4 * 256)
        let cells = codes.cells(UInt8.self)
        tables.withUnsafeMutableBufferPointer { tables in
            for row in 0..<slotCount { tables[(row & 3) * 256 + Int(cells[row])] &+= 1 }
            for code in 1..<256 {
                counts[code] =
                    tables[code] + tables[256 + code] + tables[512 + code] + tables[768 + code]
            }
        }
        counts[0] = 0
        liveCount = (Sketch.firstBucketCode..<256).reduce(0) { $0 + Int(counts[$1]) }
    }
}

extension NumericColumn {
    /// Writes the column down.
    package func write(to sink: any SectionSink) {
        sketch.write(to: sink)
        sink.put(UInt8(hasBase ? 1 : 0))
        sink.put(base)
        values.write(to: sink, count: sketch.liveCount > 0 ? slotCount : 0)
        lists.write(to: sink, count: sketch.count(ofCode: 3) > 0 ? slotCount : 0)
        arena.write(to: sink)
    }

    /// Makes an empty column what it was when it was written down.
    ///
    /// - Parameter most: rows that there are at most.
    /// - Throws: as the source; `invalid`. The column is of no use then.
    /// - Complexity: O(rows).
    package func read(from source: any SectionSource, most: Int) throws(SectionError) {
        try sketch.read(from: source, most: most)
        hasBase = try source.next(UInt8.self) != 0
        base = try source.next()
        values = try SlotBuffer.read(from: source, widths: [1, 2, 4, 8], most: slotCount)
        lists = try SlotBuffer.read(from: source, widths: [4], most: slotCount)
        try arena.read(from: source)
        try source.require(values.width < 8 || base == 0, "whole keys have no base")
        // Rows without a key may have come behind the last cell.
        values.reserve(slotCount)
        try source.require(hasBase || sketch.liveCount == 0, "keys have a base")
        let codes = sketch.codes.cells(UInt8.self)
        let cells = lists.cells(UInt32.self)
        let listed = min(lists.cellCount, slotCount)
        var several = 0
        for row in 0..<listed where codes[row] == 3 || cells[row] != 0 {
            try source.require(codes[row] == 3 && arena.holds(cells[row]), "lists match codes")
            let keys = arena.keys(cells[row])
            try source.require(arena.list(cells[row]).count % 2 == 0, "keys take two elements")
            try source.require(keys.count > 1, "a list has several keys")
            for i in 1..<keys.count { try source.require(keys[i - 1] <= keys[i], "a list ascends") }
            several += 1
        }
        try source.require(several == sketch.count(ofCode: 3), "rows of several keys have lists")
    }
}

extension TermTable {
    func write(to sink: any SectionSink) {
        arena.write(to: sink)
        sink.put(codeLimit)
        let first = handles.cells(UInt64.self) + Int(TermTable.firstCode)
        sink.put(UnsafePointer(first), count: Int(codeLimit - TermTable.firstCode))
        sink.put(array: freeCodes)
    }

    /// Fills an empty table; its terms are still without rows.
    mutating func read(from source: any SectionSource) throws(SectionError) {
        try arena.read(from: source)
        let limit = try source.next(UInt32.self)
        try source.require(
            limit >= TermTable.firstCode
                && Int(limit - TermTable.firstCode) <= source.remaining / 8,
            "every code has a handle")
        handles.reserve(Int(limit))
        let names = handles.cells(UInt64.self)
        try source.read(
            into: names + Int(TermTable.firstCode), count: Int(limit - TermTable.firstCode))
        freeCodes = try source.array()
        let free = Bitmap(capacity: Int(limit))
        for code in freeCodes {
            try source.require(
                code >= TermTable.firstCode && code < limit && !free.test(code),
                "a free code is free once")
            free.set(code)
        }
        for code in TermTable.firstCode..<limit {
            try source.require(arena.holds(names[Int(code)]), "a term lies in the arena")
        }
        count = Int(limit - TermTable.firstCode) - freeCodes.count
        codeLimit = limit
        postings.reserve(Int(limit))
        while count * 4 > bucketCount * 3 { bucketCount *= 2 }
        table = SlotBuffer(width: 8)
        table.reserve(bucketCount)
        for code in TermTable.firstCode..<limit where !free.test(code) {
            place(TermTable.tag(view(code)) | UInt64(code))
        }
    }

    /// Whether every term has rows, and no free code has.
    func rowsAreThere(_ source: any SectionSource) throws(SectionError) {
        var live = 0
        for code in TermTable.firstCode..<codeLimit where posting(code).count > 0 { live += 1 }
        try source.require(live == count, "a term lives iff it has rows")
        for code in freeCodes {
            try source.require(posting(code).count == 0, "a free code has no rows")
        }
    }
}

extension KeywordColumn {
    /// Writes the column down.
    package func write(to sink: any SectionSink) {
        sink.put(UInt64(slotCount))
        codes.write(to: sink, count: slotCount)
        lists.write(to: sink, count: severalCount > 0 ? slotCount : 0)
        arena.write(to: sink)
        terms.write(to: sink)
        sink.put(UInt8(isSortable ? 1 : 0))
        if isSortable { sketch.write(to: sink) }
    }

    /// Makes an empty column what it was when it was written down.
    ///
    /// - Parameter most: rows that there are at most.
    /// - Throws: as the source; `invalid`. The column is of no use then.
    /// - Complexity: O(rows + terms).
    package func read(from source: any SectionSource, most: Int) throws(SectionError) {
        slotCount = try source.count(atMost: most)
        codes = try SlotBuffer.read(from: source, widths: [1, 2, 4], most: slotCount)
        try source.require(codes.cellCount >= slotCount, "every row has a code")
        lists = try SlotBuffer.read(from: source, widths: [4], most: slotCount)
        try arena.read(from: source)
        try terms.read(from: source)
        try source.require(
            try source.next(UInt8.self) == (isSortable ? 1 : 0), "orders are as declared")
        if isSortable { try sketch.read(from: source, most: most) }
        try postRows(source)
        try terms.rowsAreThere(source)
        guard isSortable else { return }
        try source.require(sketch.slotCount == slotCount, "the sketch knows the same rows")
        for row in 0..<UInt32(slotCount) {
            let known = UInt32(sketch.code(row))
            try source.require(min(code(row), 4) == min(known, 4), "the sketch knows the states")
        }
    }

    /// Gives every term its rows, and counts states, from the rows' codes.
    private func postRows(_ source: any SectionSource) throws(SectionError) {
        let limit = terms.codeLimit
        for slot in 0..<UInt32(slotCount) {
            let code = code(slot)
            switch code {
            case 0: continue
            case 1: nullCount += 1
            case 2: emptyArrayCount += 1
            case 3:
                try source.require(Int(slot) < lists.cellCount, "a list has a cell")
                let handle = lists.cells(UInt32.self)[Int(slot)]
                try source.require(arena.holds(handle), "a list lies in the arena")
                let list = arena.list(handle)
                for term in list {
                    try source.require(
                        term >= TermTable.firstCode && term < limit, "codes are of terms")
                    try source.require(
                        !terms.posting(term).ends(with: slot), "codes of a list differ")
                    terms.insert(slot, term)
                }
                severalCount += 1
                presentCount += 1
            default:
                try source.require(code < limit, "codes are of terms")
                terms.insert(slot, code)
                presentCount += 1
            }
        }
    }
}
