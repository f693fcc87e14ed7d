import Primitives
import Testing

@testable import ColumnIndex

/// Goal: every operation of a keyword column equals a plain scan over an array of cells.
/// Method: random histories of set, clear and reuse over vocabularies of several sizes.
struct KeywordModel {
    let column: KeywordColumn
    /// Nil absent; states by number; else the distinct terms.
    var cells: [[[UInt8]]?]
    var states: [SlotState]
    var random: SplitMix64
    let vocabulary: [[UInt8]]

    init(rows: Int, vocabulary count: Int, isSortable: Bool, seed: UInt64) {
        column = KeywordColumn(isSortable: isSortable)
        cells = Array(repeating: nil, count: rows)
        states = Array(repeating: .absent, count: rows)
        var random = SplitMix64(seed: seed)
        // Short alphabets and zeros make shared prefixes and ties of the first 8 bytes.
        vocabulary = (0..<count).map { _ in
            let length = Int.random(in: 0...14, using: &random)
            return (0..<length).map { i in
                i < 9
                    ? [0, 97, 98][Int.random(in: 0..<3, using: &random)]
                    : UInt8.random(in: 0...255, using: &random)
            }
        }
        self.random = random
    }

    mutating func word() -> [UInt8] {
        vocabulary[Int.random(in: 0..<vocabulary.count, using: &random)]
    }

    mutating func step(arrays: Bool) {
        guard !cells.isEmpty else { return }
        let row = Int.random(in: 0..<cells.count, using: &random)
        let slot = UInt32(row)
        switch Int.random(in: 0..<20, using: &random) {
        case 0:
            column.setNull(slot)
            (cells[row], states[row]) = (nil, .null)
        case 1:
            column.setEmptyArray(slot)
            (cells[row], states[row]) = (nil, .emptyArray)
        case 2:
            column.clear(slot)
            (cells[row], states[row]) = (nil, .absent)
        case 3...9:
            guard arrays else { fallthrough }
            let list = (0..<Int.random(in: 0...5, using: &random)).map { _ in word() }
            withViews(list) { column.set(slot, list: $0) }
            var distinct: [[UInt8]] = []
            for word in list where !distinct.contains(word) { distinct.append(word) }
            cells[row] = distinct.isEmpty ? nil : distinct
            states[row] = distinct.isEmpty ? .emptyArray : .present
        default:
            let word = word()
            word.withUnsafeBytes { column.set(slot, $0) }
            (cells[row], states[row]) = ([word], .present)
        }
    }

    func rows(_ test: ([UInt8]) -> Bool) -> [UInt32] {
        cells.indices.filter { cells[$0]?.contains(where: test) ?? false }.map(UInt32.init)
    }

    mutating func randomMatch(_ oneIn: Int) -> Bitmap {
        let match = Bitmap(capacity: cells.count)
        for row in cells.indices where Int.random(in: 0..<oneIn, using: &random) == 0 {
            match.set(UInt32(row))
        }
        return match
    }
}

/// Calls `body` with views that live as long as the call.
func withViews<R>(_ list: [[UInt8]], _ body: ([UnsafeRawBufferPointer]) -> R) -> R {
    let copies = list.map { word in
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: word.count, alignment: 1)
        copy.copyBytes(from: word)
        return copy
    }
    defer { for copy in copies { copy.deallocate() } }
    return body(copies.map { UnsafeRawBufferPointer($0) })
}

private func less(_ a: [UInt8], _ b: [UInt8]) -> Bool { a.lexicographicallyPrecedes(b) }

private func check(_ model: inout KeywordModel) {
    let column = model.column
    column.checkInvariants()
    let into = Bitmap()
    for row in model.cells.indices {
        let slot = UInt32(row)
        #expect(column.state(slot) == model.states[row])
        let terms = column.termCodes(slot).map { Array(column.term($0)) }
        #expect(terms == model.cells[row] ?? [])
    }
    column.fillNull(into: into)
    #expect(
        into.slots() == model.states.indices.filter { model.states[$0] == .null }.map(UInt32.init)
    )
    column.fillEmptyArray(into: into)
    #expect(
        into.slots()
            == model.states.indices.filter { model.states[$0] == .emptyArray }.map(UInt32.init)
    )
    column.fillPresent(into: into)
    #expect(into.slots() == model.rows { _ in true })
    for _ in 0..<5 {
        let word = model.word()
        let match = model.randomMatch(3)
        let matching = Set(match.slots())
        let equal = model.rows { $0 == word }
        word.withUnsafeBytes { bytes in
            column.fillEqual(bytes, into: into)
            #expect(into.slots() == equal)
            into.assign(match)
            column.andEqual(bytes, with: into)
            #expect(into.slots() == equal.filter { matching.contains($0) })
            #expect(column.count(of: bytes) == equal.count)
            #expect(column.slots(of: bytes) == equal)
            #expect(column.singleSlot(of: bytes) == (equal.count == 1 ? equal[0] : nil))
        }
        let wanted = (0..<Int.random(in: 0...4, using: &model.random)).map { _ in model.word() }
        withViews(wanted) { column.fillIn($0, into: into) }
        #expect(into.slots() == model.rows { wanted.contains($0) })
        let prefix = Array(word.prefix(Int.random(in: 0...14, using: &model.random)))
        prefix.withUnsafeBytes { column.fillPrefix($0, into: into) }
        #expect(into.slots() == model.rows { $0.starts(with: prefix) })
        checkRange(&model, into)
        checkFacets(&model, match)
        if column.isSortable { checkOrder(&model, match) }
    }
}

private func checkRange(_ model: inout KeywordModel, _ into: Bitmap) {
    let (a, b) = (model.word(), model.word())
    let hasLower = Bool.random(using: &model.random)
    let hasUpper = Bool.random(using: &model.random)
    let (withLower, withUpper) = (
        Bool.random(using: &model.random), Bool.random(using: &model.random)
    )
    a.withUnsafeBytes { lower in
        b.withUnsafeBytes { upper in
            model.column.fillRange(
                lower: hasLower ? lower : nil,
                lowerInclusive: withLower,
                upper: hasUpper ? upper : nil,
                upperInclusive: withUpper,
                into: into
            )
        }
    }
    let expected = model.rows { term in
        if hasLower, less(term, a) || (term == a && !withLower) { return false }
        if hasUpper, less(b, term) || (term == b && !withUpper) { return false }
        return true
    }
    #expect(into.slots() == expected)
}

private func checkFacets(_ model: inout KeywordModel, _ match: Bitmap) {
    var counts: [[UInt8]: Int] = [:]
    for slot in match.slots() {
        for term in model.cells[Int(slot)] ?? [] { counts[term, default: 0] += 1 }
    }
    for facets in [
        model.column.facetCounts(match), model.column.facetByRow(match),
        model.column.facetByTerm(match),
    ] {
        var found: [[UInt8]: Int] = [:]
        for facet in facets { found[Array(model.column.term(facet.code))] = facet.count }
        #expect(found == counts)
        #expect(facets.map(\.code) == facets.map(\.code).sorted())
    }
    // Group figures of a numeric column whose keys are the row numbers.
    let numbers = NumericColumn()
    for row in model.cells.indices {
        if row % 7 == 0 {
            numbers.set(UInt32(row), list: [Int64(row), -5])
        } else if row % 5 != 0 {
            numbers.set(UInt32(row), Int64(row))
        }
    }
    var sums: [[UInt8]: [Int]] = [:]
    for slot in match.slots() {
        let row = Int(slot)
        let keys = row % 7 == 0 ? [row, -5] : (row % 5 != 0 ? [row] : [])
        for term in model.cells[row] ?? [] where !keys.isEmpty { sums[term, default: []] += keys }
    }
    let groups = numbers.stats(match, by: model.column)
    #expect(groups.count == sums.count)
    for group in groups {
        let keys = sums[Array(model.column.term(group.code))] ?? []
        #expect(group.stats.count == keys.count)
        #expect(Int(group.stats.sum) == keys.reduce(0, +))
        #expect(group.stats.min == Int64(keys.min() ?? -1))
        #expect(group.stats.max == Int64(keys.max() ?? -1))
    }
}

private func checkOrder(_ model: inout KeywordModel, _ match: Bitmap) {
    let visible = model.randomMatch(2)
    visible.formIntersection(match)
    for descending in [false, true] {
        let k = Int.random(in: 1...20, using: &model.random)
        var found: [KeyedSlot] = []
        model.column.collectExtremes(
            match: match,
            visible: visible,
            count: k,
            descending: descending,
            into: &found
        )
        let cells = model.cells
        let best = { (row: Int) -> [UInt8]? in
            let terms = cells[row]?.sorted(by: less)
            return descending ? terms?.last : terms?.first
        }
        let expected = visible.slots().filter { cells[Int($0)] != nil }.sorted { a, b in
            guard let x = best(Int(a)), let y = best(Int(b)), x != y else { return a < b }
            return descending ? less(y, x) : less(x, y)
        }
        let column = model.column
        let slots = found.map(\.slot).sorted { a, b in
            let order = column.compare(a, b, descending: descending)
            return order == 0 ? a < b : (descending ? order > 0 : order < 0)
        }
        #expect(slots.count >= min(k, expected.count))
        #expect(slots.prefix(k) == expected.prefix(k))
        for entry in found {
            guard let term = best(Int(entry.slot)) else { continue }
            #expect(entry.key == term.withUnsafeBytes(KeywordColumn.sortKey))
        }
    }
}

@Suite struct KeywordColumnTests {
    @Test(arguments: [0, 1, 64, 65, 900], [1, 3, 40, 700])
    func historiesEqualThePlainScan(rows: Int, vocabulary: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed) rows \(rows) vocabulary \(vocabulary)")
        for (arrays, isSortable) in [(false, false), (false, true), (true, true)] {
            var model = KeywordModel(
                rows: rows,
                vocabulary: vocabulary,
                isSortable: isSortable,
                seed: seed
            )
            for _ in 0..<2 {
                for _ in 0..<rows * 3 { model.step(arrays: arrays) }
                check(&model)
            }
        }
    }

    /// Over 4,096 terms the range and prefix filters take the sketch.
    @Test func manyTermsEqualThePlainScan() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var model = KeywordModel(rows: 9_000, vocabulary: 20_000, isSortable: true, seed: seed)
        for _ in 0..<30_000 { model.step(arrays: true) }
        check(&model)
    }

    @Test func codesWidenToFourBytes() {
        let column = KeywordColumn()
        for i in 0..<70_000 as Range<UInt32> {
            withUnsafeBytes(of: i) { column.set(i, $0) }
        }
        column.checkInvariants()
        #expect(column.termCount == 70_000)
        #expect(withUnsafeBytes(of: UInt32(69_999)) { column.singleSlot(of: $0) } == 69_999)
        for i in 0..<70_000 as Range<UInt32> { column.clear(i) }
        column.checkInvariants()
        #expect(column.termCount == 0)
    }

    /// Large sets take lists, chunks and bitmaps, and come back.
    @Test func postingSetsEqualSortedSets() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var totals = PostingTotals()
        for spread in [600, 5_000, 200_000] as [UInt32] {
            var set = PostingSet()
            var model: Set<UInt32> = []
            for phase in 0..<6 {
                for _ in 0..<12_000 {
                    let row = UInt32.random(in: 0..<spread, using: &random)
                    if phase % 2 == 0 {
                        if model.insert(row).inserted { set.insert(row, &totals) }
                    } else if model.remove(row) != nil {
                        set.remove(row, &totals)
                    }
                }
                if phase == 5 {
                    for row in model.sorted().dropFirst(3) {
                        set.remove(row, &totals)
                        model.remove(row)
                    }
                }
                let sorted = model.sorted()
                #expect(Int(set.count) == sorted.count)
                var rows: [UInt32] = []
                set.forEach { rows.append($0) }
                #expect(rows == sorted)
                let bitmap = Bitmap(capacity: Int(spread))
                set.fill(bitmap)
                #expect(bitmap.slots() == sorted)
                let other = Bitmap(capacity: Int(spread / 2))
                for row in 0..<spread / 2 where random.next() % 3 == 0 { other.set(row) }
                let both = other.slots().filter { model.contains($0) }
                #expect(set.countIntersection(other) == both.count)
                set.intersect(other)
                #expect(other.slots() == both)
            }
            set.free(&totals)
            #expect(totals.byteCount == 0 && totals.listedCount == 0 && totals.bitmapCount == 0)
        }
    }
}
