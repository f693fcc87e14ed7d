import Primitives
import Testing

@testable import ColumnIndex

/// Goal: every operation of a numeric column equals a plain scan over an array of cells.
/// Method: random histories of set, clear and reuse, several distributions, seeds printed.
enum NumericCell: Equatable {
    case absent, null, emptyArray
    case keys([Int64])

    var keys: [Int64] { if case .keys(let k) = self { k } else { [] } }
}

/// How keys are drawn.
enum Distribution: CaseIterable {
    case tiny, constant, narrow, skewed, wide, extreme, rising

    func draw(_ random: inout SplitMix64, _ step: Int) -> Int64 {
        switch self {
        case .tiny: return Int64.random(in: 0...5, using: &random)
        case .constant: return 42
        case .narrow: return Int64.random(in: -300...40_000, using: &random)
        case .skewed:
            return Bool.random(using: &random) ? 7 : 1 << Int64.random(in: 0...40, using: &random)
        case .wide: return Int64.random(in: .min ... .max, using: &random)
        case .extreme:
            let all: [Int64] = [.min, .min + 1, -1, 0, 1, .max - 1, .max]
            return all[Int.random(in: 0..<all.count, using: &random)]
        case .rising: return Int64(step) * 1_000 + Int64.random(in: 0...999, using: &random)
        }
    }
}

struct NumericModel {
    let column: NumericColumn
    var cells: [NumericCell]
    var random: SplitMix64
    let distribution: Distribution

    init(rows: Int, distribution: Distribution, seed: UInt64, kind: NumericColumn.Kind = .integer) {
        column = NumericColumn(kind: kind)
        cells = Array(repeating: .absent, count: rows)
        random = SplitMix64(seed: seed)
        self.distribution = distribution
    }

    func encode(_ key: Int64) -> Int64 {
        column.kind == .double ? OrderedDouble.encode(Double(key) / 16) : key
    }

    mutating func step(_ index: Int, arrays: Bool) {
        guard !cells.isEmpty else { return }
        let row = Int.random(in: 0..<cells.count, using: &random)
        let slot = UInt32(row)
        switch Int.random(in: 0..<20, using: &random) {
        case 0:
            column.setNull(slot)
            cells[row] = .null
        case 1:
            column.setEmptyArray(slot)
            cells[row] = .emptyArray
        case 2:
            column.clear(slot)
            cells[row] = .absent
        case 3, 4, 5:
            guard arrays else { fallthrough }
            let count = Int.random(in: 0...6, using: &random)
            let keys = (0..<count).map { _ in encode(distribution.draw(&random, index)) }
            column.set(slot, list: keys)
            cells[row] = keys.isEmpty ? .emptyArray : .keys(keys.sorted())
        default:
            let key = encode(distribution.draw(&random, index))
            column.set(slot, key)
            cells[row] = .keys([key])
        }
    }

    func bitmap(_ matches: (NumericCell) -> Bool) -> [UInt32] {
        cells.indices.filter { matches(cells[$0]) }.map(UInt32.init)
    }

    mutating func randomMatch(_ oneIn: Int) -> Bitmap {
        let match = Bitmap(capacity: cells.count)
        for row in cells.indices where Int.random(in: 0..<oneIn, using: &random) == 0 {
            match.set(UInt32(row))
        }
        return match
    }

    mutating func bounds() -> (Int64, Int64) {
        let a = encode(distribution.draw(&random, Int.random(in: 0...cells.count, using: &random)))
        let b = encode(distribution.draw(&random, Int.random(in: 0...cells.count, using: &random)))
        return Int.random(in: 0..<10, using: &random) == 0
            ? (max(a, b), min(a, b)) : (min(a, b), max(a, b))
    }
}

private func check(_ model: inout NumericModel) {
    let column = model.column
    column.checkInvariants()
    let into = Bitmap()
    for (row, cell) in model.cells.enumerated() {
        #expect(column.allKeys(UInt32(row)) == cell.keys)
    }
    column.fillNull(into: into)
    #expect(into.slots() == model.bitmap { $0 == .null })
    column.fillEmptyArray(into: into)
    #expect(into.slots() == model.bitmap { $0 == .emptyArray })
    column.fillPresent(into: into)
    #expect(into.slots() == model.bitmap { !$0.keys.isEmpty })
    for _ in 0..<6 {
        let (lo, hi) = model.bounds()
        let inside = { (cell: NumericCell) in cell.keys.contains { $0 >= lo && $0 <= hi } }
        column.fillRange(lo, hi, into: into)
        #expect(into.slots() == model.bitmap(inside))
        let match = model.randomMatch(3)
        let matching = Set(match.slots())
        let both = model.bitmap(inside).filter { matching.contains($0) }
        into.assign(match)
        column.andRange(lo, hi, with: into)
        #expect(into.slots() == both)
        #expect(column.countRange(lo, hi, match: match, scratch: into) == both.count)
        let wanted = (0..<Int.random(in: 0...5, using: &model.random)).map { _ in model.bounds().0 }
        let isWanted = { (cell: NumericCell) in cell.keys.contains { wanted.contains($0) } }
        column.fillIn(wanted, into: into)
        #expect(into.slots() == model.bitmap(isWanted))
        into.assign(match)
        column.andIn(wanted, with: into)
        #expect(into.slots() == model.bitmap(isWanted).filter { matching.contains($0) })
        checkExtremes(&model, match)
        checkStats(&model, match)
    }
}

private func checkExtremes(_ model: inout NumericModel, _ match: Bitmap) {
    let visible = model.randomMatch(2)
    let shown = Set(visible.slots())
    let matching = Set(match.slots())
    for descending in [false, true] {
        for useMatch in [false, true] {
            let bound = KeyBound(
                key: model.bounds().0,
                inclusive: Bool.random(using: &model.random)
            )
            for bound in [nil, bound] {
                let k = Int.random(in: 1...(model.cells.count + 2), using: &model.random)
                var found: [KeyedSlot] = []
                model.column.collectExtremes(
                    match: useMatch ? match : nil,
                    visible: visible,
                    count: k,
                    descending: descending,
                    bound: bound,
                    into: &found
                )
                var expected: [KeyedSlot] = []
                for (row, cell) in model.cells.enumerated() {
                    let slot = UInt32(row)
                    guard let key = descending ? cell.keys.last : cell.keys.first,
                        shown.contains(slot), !useMatch || matching.contains(slot)
                    else { continue }
                    if let bound {
                        if key == bound.key, !bound.inclusive { continue }
                        if descending ? key > bound.key : key < bound.key { continue }
                    }
                    expected.append(KeyedSlot(key: key, slot: slot))
                }
                let order = { (a: KeyedSlot, b: KeyedSlot) in
                    if a.key == b.key { return a.slot < b.slot }
                    return descending ? a.key > b.key : a.key < b.key
                }
                expected.sort(by: order)
                found.sort(by: order)
                // Every row up to the k-th key with its ties, and nothing that does not belong.
                var needed = expected.prefix(k)
                if let last = needed.last?.key {
                    needed = expected.prefix { descending ? $0.key >= last : $0.key <= last }
                }
                #expect(Array(found.prefix(needed.count)) == Array(needed))
                let all = Set(expected.map(\.slot))
                #expect(found.allSatisfy { all.contains($0.slot) && isOwnKey(model, $0) })
                #expect(Set(found.map(\.slot)).count == found.count)
            }
        }
    }
}

private func isOwnKey(_ model: NumericModel, _ found: KeyedSlot) -> Bool {
    let keys = model.cells[Int(found.slot)].keys
    return keys.first == found.key || keys.last == found.key
}

private func checkStats(_ model: inout NumericModel, _ match: Bitmap) {
    let keys = match.slots().flatMap { model.cells[Int($0)].keys }
    let stats = model.column.stats(match)
    #expect(stats.count == keys.count)
    #expect(stats.min == keys.min() ?? .max)
    #expect(stats.max == keys.max() ?? .min)
    if model.column.kind == .integer {
        #expect(stats.sum == keys.reduce(Int128(0)) { $0 + Int128($1) })
    } else {
        let sum = keys.reduce(0.0) { $0 + OrderedDouble.decode($1) }
        #expect(abs(stats.doubleSum - sum) <= 1e-9 * max(1, abs(sum)))
    }
    let edges = [model.bounds().0, model.bounds().0, model.bounds().0].sorted()
    let counts = (1..<edges.count).map { i in
        match.slots().filter { slot in
            model.cells[Int(slot)].keys.contains { $0 >= edges[i - 1] && $0 < edges[i] }
        }.count
    }
    #expect(model.column.rangeCounts(match, edges: edges) == counts)
    #expect(model.column.distinct(match, limit: .max) == Set(keys).sorted())
    #expect(model.column.distinct(match, limit: 3).count == min(3, Set(keys).count))
}

@Suite struct NumericColumnTests {
    @Test(arguments: [0, 1, 63, 64, 65, 700, 3_000], Distribution.allCases)
    func historiesEqualThePlainScan(rows: Int, distribution: Distribution) {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed) rows \(rows) \(distribution)")
        for arrays in [false, true] {
            var model = NumericModel(rows: rows, distribution: distribution, seed: seed)
            for round in 0..<3 {
                for i in 0..<rows * 2 { model.step(round * rows + i, arrays: arrays) }
                check(&model)
            }
        }
    }

    @Test(arguments: [65, 1_500]) func doublesEqualThePlainScan(rows: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed) rows \(rows)")
        for distribution in [Distribution.tiny, .narrow, .skewed] {
            var model = NumericModel(
                rows: rows,
                distribution: distribution,
                seed: seed,
                kind: .double
            )
            for i in 0..<rows * 3 { model.step(i, arrays: true) }
            check(&model)
        }
    }

    @Test func doubleKeysOrderAsDoubles() {
        let numbers: [Double] = [
            -.infinity, -1e300, -2, -1.5, -.leastNonzeroMagnitude, 0, .leastNonzeroMagnitude, 1e-9,
            1, 2, 1e300, .infinity,
        ]
        let keys = numbers.map(OrderedDouble.encode)
        #expect(keys == keys.sorted())
        #expect(Set(keys).count == keys.count)
        #expect(keys.map(OrderedDouble.decode) == numbers)
        #expect(OrderedDouble.encode(-0.0) == OrderedDouble.encode(0.0))
    }

    @Test func emptyColumnMatchesNothing() {
        let column = NumericColumn()
        let into = Bitmap()
        into.set(5)
        column.fillRange(.min, .max, into: into)
        #expect(into.isEmpty)
        into.set(5)
        column.andRange(.min, .max, with: into)
        #expect(into.isEmpty)
        #expect(column.state(9) == .absent)
    }

    @Test func cutLiesNearTheRank() {
        let column = NumericColumn()
        var random = SplitMix64(seed: 1)
        var keys: [Int64] = []
        for slot in 0..<20_000 as Range<UInt32> {
            let key = Int64.random(in: 0...1_000_000, using: &random)
            column.set(slot, key)
            keys.append(key)
        }
        let cut = column.cut(rank: 10_000, descending: false)
        let before = keys.filter { $0 < cut ?? -1 }.count
        #expect(before <= 10_000 && before > 9_000)
        #expect(column.cut(rank: 0, descending: false) == nil)
    }

    @Test func uniformKeysAreEstimatedWithinAFewPercent() {
        let column = NumericColumn()
        var random = SplitMix64(seed: 2)
        for slot in 0..<50_000 as Range<UInt32> {
            column.set(slot, Int64.random(in: 0...1_000_000, using: &random))
        }
        let estimate = column.estimateCount(250_000, 499_999)
        #expect(abs(estimate - 12_500) < 600)
    }
}
