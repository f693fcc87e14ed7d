internal import CKernels
package import Primitives

/// Figures over some rows of a numeric column.
package struct NumericStats: Equatable, Sendable {
    /// Keys counted: every key of a row of several.
    package var count = 0
    /// Least and greatest key; `Int64.max` and `Int64.min` if there are none.
    package var min = Int64.max
    package var max = Int64.min
    /// The exact sum of the keys; only in columns of integers, else 0.
    package var sum: Int128 = 0
    /// The sum of the doubles, with Neumaier's compensation; only in columns of doubles, else 0.
    package var doubleSum = 0.0
    var correction = 0.0

    package init() {}

    /// Adds what another part counted. - Complexity: O(1).
    package mutating func merge(_ other: NumericStats) {
        count += other.count
        min = Swift.min(min, other.min)
        max = Swift.max(max, other.max)
        sum += other.sum
        addDouble(other.doubleSum)
        correction += other.correction
        finish()
    }

    mutating func add(_ key: Int64, _ kind: NumericColumn.Kind) {
        count += 1
        min = Swift.min(min, key)
        max = Swift.max(max, key)
        if kind == .integer { sum += Int128(key) } else { addDouble(OrderedDouble.decode(key)) }
    }

    @inline(__always) mutating func addDouble(_ value: Double) {
        let next = doubleSum + value
        // Infinities would turn the correction into NaN.
        if next.isFinite {
            correction +=
                doubleSum.magnitude >= value.magnitude
                ? (doubleSum - next) + value : (value - next) + doubleSum
        }
        doubleSum = next
    }

    /// Becomes what a kernel counted.
    mutating func take(_ group: ck_double_group) {
        (count, min, max) = (Int(group.count), group.min, group.max)
        (doubleSum, correction) = (group.sum, group.correction)
    }

    /// Makes ``doubleSum`` the sum as well as a double can say it, and keeps what is left over: so
    /// that the order in which parts are merged does not show.
    mutating func finish() {
        let total = doubleSum + correction
        if total.isFinite { correction = (doubleSum - total) + correction }
        doubleSum = total
    }
}

/// Figures of one group.
package struct GroupStats: Sendable {
    /// The code of the group's term in the grouping column.
    package var code: UInt32
    package var stats: NumericStats
}

extension NumericColumn {
    /// Count, least, greatest and sum of the keys of the rows in `match`.
    ///
    /// - Complexity: O(rows).
    package func stats(_ match: Bitmap) -> NumericStats {
        var result = NumericStats()
        let (mask, blocks) = singles(match)
        if kind == .integer {
            var group = ck_group(count: 0, sum_low: 0, sum_high: 0, min: .max, max: .min)
            ck_stats(values.base, Int32(values.width), blocks, mask.words, &group)
            result = exact(group)
        } else {
            doubleStats(mask, blocks, &result)
        }
        sketch.forEachSeveral(match, nil) { slot in
            let list = list(slot)
            for i in 0..<list.count { result.add(list[i], kind) }
        }
        result.finish()
        return result
    }

    private func doubleStats(_ mask: Bitmap, _ blocks: Int, _ result: inout NumericStats) {
        guard values.width == 8 else {
            // A few doubles close together may fit narrow cells.
            let keys = keys
            return mask.forEach { result.add(keys.key($0), .double) }
        }
        var group = ck_double_group(count: 0, sum: 0, correction: 0, min: .max, max: .min)
        ck_double_stats(values.cells(Int64.self), blocks, mask.words, &group)
        result.take(group)
    }

    /// The rows of `match` with exactly one key, and how many blocks they fill.
    private func singles(_ match: Bitmap) -> (Bitmap, Int) {
        let blocks = min(sketch.blockCount, match.wordCapacity)
        let mask = Bitmap(capacity: blocks * 64)
        // No row lists anything: no bucket has code 0.
        let list = Scratch<UInt32>(64)
        _ = ck_scan().pointee.u8_range_edges(
            sketch.codes.cells(UInt8.self),
            blocks,
            4,
            255,
            0,
            0,
            match.words,
            mask.words,
            list.base
        )
        // The last block of values may not exist yet if only states were ever set there.
        return (mask, min(blocks, values.cellCount / 64))
    }

    /// A group in the stored domain as figures of keys.
    private func exact(_ group: ck_group) -> NumericStats {
        var stats = NumericStats()
        guard group.count > 0 else { return stats }
        stats.count = Int(group.count)
        stats.min = base &+ group.min
        stats.max = base &+ group.max
        stats.sum =
            Int128(group.sum_high) << 32 + Int128(group.sum_low)
            + Int128(base) * Int128(group.count)
        return stats
    }

    /// The figures of `match` for each term of another column that occurs there, by code. A row of
    /// several terms counts in each.
    ///
    /// - Complexity: O(rows + terms).
    package func stats(_ match: Bitmap, by groups: KeywordColumn) -> [GroupStats] {
        var (mask, blocks) = singles(match)
        blocks = min(blocks, groups.codes.cellCount / 64)
        var stats = [NumericStats](repeating: NumericStats(), count: groups.codeLimit)
        if kind == .integer {
            let empty = ck_group(count: 0, sum_low: 0, sum_high: 0, min: .max, max: .min)
            var raw = [ck_group](repeating: empty, count: groups.codeLimit)
            ck_group_stats(
                values.base,
                Int32(values.width),
                groups.codes.base,
                Int32(groups.codes.width),
                blocks,
                mask.words,
                &raw
            )
            for code in raw.indices where raw[code].count > 0 && code > 3 {
                stats[code] = exact(raw[code])
            }
        } else {
            doubleStats(mask, blocks, by: groups, &stats)
        }
        // Rows of several terms, and rows of several keys.
        if groups.severalCount > 0 {
            let several = Bitmap(capacity: groups.slotCount)
            groups.fillCode(3, into: several)
            several.formIntersection(mask)
            let keys = keys
            several.forEach { slot in
                for code in groups.termCodes(slot) { stats[Int(code)].add(keys.key(slot), kind) }
            }
        }
        sketch.forEachSeveral(match, nil) { slot in
            let list = list(slot)
            for code in groups.termCodes(slot) {
                for i in 0..<list.count { stats[Int(code)].add(list[i], kind) }
            }
        }
        var result: [GroupStats] = []
        for code in stats.indices.dropFirst(4) where stats[code].count > 0 {
            stats[code].finish()
            result.append(GroupStats(code: UInt32(code), stats: stats[code]))
        }
        return result
    }

    private func doubleStats(
        _ mask: Bitmap,
        _ blocks: Int,
        by groups: KeywordColumn,
        _ stats: inout [NumericStats]
    ) {
        guard values.width == 8 else {
            let keys = keys
            return mask.forEach { slot in
                stats[Int(groups.code(slot))].add(keys.key(slot), .double)
            }
        }
        let empty = ck_double_group(count: 0, sum: 0, correction: 0, min: .max, max: .min)
        var raw = [ck_double_group](repeating: empty, count: groups.codeLimit)
        ck_double_group_stats(
            values.cells(Int64.self),
            groups.codes.base,
            Int32(groups.codes.width),
            blocks,
            mask.words,
            &raw
        )
        for code in raw.indices.dropFirst(4) where raw[code].count > 0 {
            stats[code].take(raw[code])
        }
    }

    /// How many rows of `match` have a key in each of edges[0]..<edges[1], edges[1]..<edges[2], ….
    /// Edges must not fall; one or none give no ranges.
    ///
    /// - Complexity: O(rows × ranges), one byte per row.
    package func rangeCounts(_ match: Bitmap, edges: [Int64]) -> [Int] {
        guard edges.count > 1 else { return [] }
        let scratch = Bitmap(capacity: match.capacity)
        return (1..<edges.count).map { i in
            precondition(edges[i - 1] <= edges[i], "edges do not fall")
            if edges[i - 1] == edges[i] { return 0 }
            return countRange(edges[i - 1], edges[i] - 1, match: match, scratch: scratch)
        }
    }

    /// The distinct keys of the rows in `match`, ascending; at most `limit`, which ones is not
    /// said.
    ///
    /// - Complexity: O(rows): over one byte each where a bucket holds one key, else by hashing.
    package func distinct(_ match: Bitmap, limit: Int) -> [Int64] {
        guard limit > 0 else { return [] }
        var counts = [UInt32](repeating: 0, count: 256)
        let blocks = min(sketch.blockCount, match.wordCapacity)
        ck_histogram(sketch.codes.base, 1, blocks, match.words, &counts)
        var found: Set<Int64> = []
        var table = [UInt8](repeating: 0, count: 256)
        for code in 4..<256 where counts[code] > 0 {
            guard let bounds = sketch.bounds(ofCode: code) else { continue }
            if bounds.min == bounds.max { found.insert(bounds.min) } else { table[code] = 1 }
        }
        if table.contains(1), found.count < limit {
            let mixed = Bitmap(capacity: blocks * 64)
            let scan = ck_scan().pointee
            scan.u8_table(sketch.codes.cells(UInt8.self), blocks, table, 1, mixed.words)
            scan.words_and(mixed.words, match.words, blocks)
            let keys = keys
            var next = mixed.first()
            while let slot = next, found.count < limit {
                found.insert(keys.key(slot))
                next = mixed.first(from: slot + 1)
            }
        }
        if counts[3] > 0 {
            sketch.forEachSeveral(match, nil) { slot in
                let list = list(slot)
                for i in 0..<list.count where found.count < limit { found.insert(list[i]) }
            }
        }
        return Array(found.sorted().prefix(limit))
    }
}
