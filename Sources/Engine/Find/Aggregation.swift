import ColumnIndex
import Documents
import Partition
import Primitives
package import Schema

/// Facets, statistics and distinct values of one lookup, merged over partitions.
///
/// Each part is answered by columns where every partition has a ready one of the right kind, and
/// from documents otherwise.
struct Aggregation {
    private var facets: [FacetAccumulator] = []
    private var stats: [StatsAccumulator] = []
    private var distinct: FacetAccumulator?
    /// The part that ``step(_:_:)`` is at.
    private var part = 0
    private let groupCountMax: Int

    init(_ request: FindRequest, _ limits: Limits) {
        groupCountMax = limits.groupCountMax
        facets = request.facets.map { FacetAccumulator($0, request.view) }
        stats = request.stats.map { StatsAccumulator($0, by: request.statsBy, request.view) }
        if let path = request.distinct {
            distinct = FacetAccumulator(
                FacetRequest(
                    path: path, limit: limits.groupCountMax, edges: [], edgeKeys: []),
                request.view)
        }
    }

    var isNeeded: Bool { !facets.isEmpty || !stats.isEmpty || distinct != nil }

    var needsDocuments: Bool {
        facets.contains { !$0.usesColumn } || stats.contains { !$0.usesColumns }
            || distinct?.usesColumn == false
    }

    /// Adds some more of a partition's matches from its columns. The caller holds the reader lock.
    ///
    /// - Returns: whether all of them are in.
    mutating func step(_ partition: CollectionPartition, _ match: Bitmap) -> Bool {
        let place = part - facets.count
        let isDone =
            place < 0
            ? facets[part].step(partition, match)
            : place < stats.count
                ? stats[place].step(partition, match)
                : distinct?.step(partition, match) ?? true
        if isDone { part += 1 }
        guard part == facets.count + stats.count + (distinct == nil ? 0 : 1) else { return false }
        part = 0
        return true
    }

    /// - Throws: `LIMIT` where there are more values or groups than a reply holds.
    func checkGroups() throws(EngineError) {
        let counts =
            [(name: "DISTINCT", count: distinct?.valueCount ?? 0)]
            + stats.map { (name: "BY", count: $0.groupCount) }
        for (name, count) in counts where count > groupCountMax {
            throw EngineError(
                .limit, name, "more than \(groupCountMax) values",
                hint: "narrow the filter, or raise max-groups")
        }
    }

    /// Adds one document to the parts that no column answers.
    mutating func add(_ root: TapeValue) {
        for index in facets.indices { facets[index].add(root) }
        for index in stats.indices { stats[index].add(root) }
        distinct?.add(root)
    }

    /// Adds a document of an older version, of which no column knows.
    mutating func addHistorical(_ root: TapeValue) {
        for index in facets.indices { facets[index].add(root, isForced: true) }
        for index in stats.indices { stats[index].add(root, isForced: true) }
        distinct?.add(root, isForced: true)
    }

    func finish(into outcome: inout FindOutcome) {
        outcome.facets = facets.map { $0.result() }
        outcome.stats = stats.map { $0.result() }
        outcome.distinct = distinct?.distinctValues()
    }
}

extension CollectionView {
    /// The declared field of a path, if every partition has a ready column for it.
    func columnField(_ path: String) -> Field? {
        guard let field = schema.field(at: path) else { return nil }
        for partition in partitions {
            partition.lock.lockForReading()
            let isReady = partition.readyColumn(field.number) != nil
            partition.lock.unlock()
            if !isReady { return nil }
        }
        return field
    }
}

/// Counts of one facet's values or ranges.
struct FacetAccumulator {
    private let request: FacetRequest
    private let field: Field?
    private let declared: Field?
    private let path: FieldPath?
    private var strings: [[UInt8]: Int] = [:]
    private var keys: [Int64: Int] = [:]
    private var others: [FacetValue: Int] = [:]
    private var ranges: [Int]
    /// Ranges that the current document was counted in.
    private var rangesSeen: Set<Int> = []
    private var matches = FieldPath.Matches()
    /// A partition's counts that are not added yet, and how many of them are.
    private var pending: [TermCount]?
    private var pendingStart = 0
    /// The next row of a partition to be counted.
    private var nextSlot: Slot = 0

    init(_ request: FacetRequest, _ view: CollectionView) {
        self.request = request
        field = view.columnField(request.path)
        declared = view.schema.field(at: request.path)
        path = try? FieldPath(request.path)
        ranges = Array(repeating: 0, count: max(0, request.edges.count - 1))
    }

    var usesColumn: Bool {
        guard let field else { return false }
        return request.edges.isEmpty || (field.type.isNumeric && !request.edgeKeys.isEmpty)
    }

    /// Values or groups so far.
    var valueCount: Int { strings.count + keys.count + others.count }

    /// Terms, or rows, that one step adds.
    private static let stepCount = 2_048

    /// Adds some more of a partition's matches; says whether all of them are in.
    mutating func step(_ partition: CollectionPartition, _ match: Bitmap) -> Bool {
        guard usesColumn, let field, let column = partition.readyColumn(field.number) else {
            return true
        }
        switch column.storage {
        case .keyword(let keyword): return step(keyword, match)
        case .numeric(let numeric) where !request.edges.isEmpty:
            for (index, count) in numeric.rangeCounts(match, edges: request.edgeKeys).enumerated() {
                ranges[index] += count
            }
            return true
        case .numeric(let numeric): return step(numeric, match)
        }
    }

    private mutating func step(_ keyword: KeywordColumn, _ match: Bitmap) -> Bool {
        let counts = pending ?? keyword.facetCounts(match)
        let end = min(counts.count, pendingStart + Self.stepCount)
        for term in counts[pendingStart..<end] {
            strings[[UInt8](keyword.term(term.code)), default: 0] += term.count
        }
        let isDone = end == counts.count
        (pending, pendingStart) = isDone ? (nil, 0) : (counts, end)
        return isDone
    }

    private mutating func step(_ numeric: NumericColumn, _ match: Bitmap) -> Bool {
        for _ in 0..<Self.stepCount {
            guard let slot = match.first(from: nextSlot) else {
                nextSlot = 0
                return true
            }
            nextSlot = slot + 1
            guard numeric.state(slot) == .present else { continue }
            if numeric.keyCount(slot) == 1 {
                keys[numeric.key(slot), default: 0] += 1
            } else {
                for key in Set(numeric.allKeys(slot)) { keys[key, default: 0] += 1 }
            }
        }
        return false
    }

    mutating func add(_ root: TapeValue, isForced: Bool = false) {
        guard isForced || !usesColumn, let path else { return }
        path.lookup(in: root, into: &matches)
        var seen: Set<FacetValue> = []
        rangesSeen.removeAll(keepingCapacity: true)
        for value in matches.values {
            if value.kind == .array {
                for child in value.children { note(child.value, &seen) }
            } else {
                note(value, &seen)
            }
        }
    }

    private mutating func note(_ value: TapeValue, _ seen: inout Set<FacetValue>) {
        // Null is no value of a column, so it is none here.
        guard value.kind != .null, let found = FacetValue(value, declared),
            seen.insert(found).inserted
        else { return }
        guard !request.edges.isEmpty else {
            others[found, default: 0] += 1
            return
        }
        if let declared, !request.edgeKeys.isEmpty {
            guard let key = ColumnKey.key(value.json, declared) else { return }
            for index in ranges.indices
            where key >= request.edgeKeys[index] && key < request.edgeKeys[index + 1] {
                countRange(index)
            }
            return
        }
        guard value.kind == .number else { return }
        for index in ranges.indices
        where ValueOrder.compare(value, request.edges[index]) >= 0
            && ValueOrder.compare(value, request.edges[index + 1]) < 0
        {
            countRange(index)
        }
    }

    /// Counts the document in a range, once whatever number of its values lie there.
    private mutating func countRange(_ index: Int) {
        if rangesSeen.insert(index).inserted { ranges[index] += 1 }
    }

    private var counted: [(value: FacetValue, count: Int)] {
        var values: [(value: FacetValue, count: Int)] = []
        values.reserveCapacity(strings.count + keys.count + others.count)
        for (bytes, count) in strings { values.append((.string(bytes), count)) }
        if let declared {
            for (key, count) in keys { values.append((FacetValue(key: key, declared), count)) }
        }
        for (value, count) in others { values.append((value, count)) }
        return values
    }

    func result() -> FacetResult {
        var result = FacetResult(path: request.path, values: [], ranges: [])
        if !request.edges.isEmpty {
            for (index, count) in ranges.enumerated() {
                result.ranges.append((request.edges[index], request.edges[index + 1], count))
            }
            return result
        }
        result.values = first(request.limit, of: counted)
        return result
    }

    /// The most frequent ones, ties by value.
    ///
    /// - Complexity: O(values) comparisons, as a rule: few values get among the first.
    private func first(
        _ limit: Int, of counted: [(value: FacetValue, count: Int)]
    ) -> [(value: FacetValue, count: Int)] {
        var best: [(value: FacetValue, count: Int)] = []
        best.reserveCapacity(min(limit, counted.count) + 1)
        for item in counted {
            if best.count == limit {
                guard let last = best.last, isBefore(item, last) else { continue }
                best.removeLast()
            }
            var (low, high) = (0, best.count)
            while low < high {
                let middle = (low + high) / 2
                if isBefore(best[middle], item) { low = middle + 1 } else { high = middle }
            }
            best.insert(item, at: low)
        }
        return best
    }

    private func isBefore(
        _ a: (value: FacetValue, count: Int), _ b: (value: FacetValue, count: Int)
    ) -> Bool {
        a.count != b.count ? a.count > b.count : a.value < b.value
    }

    func distinctValues() -> [FacetValue] {
        Array(counted.map(\.value).sorted().prefix(request.limit))
    }
}

/// Conversions between JSON operands and a numeric column's keys.
enum ColumnKey {
    /// The key of a JSON value of a field's type; nil if it has none. A decimal with more digits
    /// than the scale is rounded up, so that [from, to) keeps its meaning.
    static func key(_ json: JSON, _ field: Field) -> Int64? {
        switch field.type {
        case .int:
            if let int = json.int64 { return int }
            guard let double = json.number?.double.rounded(.up), !double.isNaN else { return nil }
            return double >= 0x1p63 ? .max : (double < -0x1p63 ? .min : Int64(double))
        case .decimal(let scale):
            guard let text = json.number?.text ?? json.string else { return nil }
            guard let bound = try? ScaledDecimal.bound(text, scale: scale) else { return nil }
            if bound.isBelowRange { return Int64.min }
            return bound.isExact || bound.floor == Int64.max ? bound.floor : bound.floor + 1
        case .float:
            return json.number.map { OrderedKey.key($0.double) }
        case .datetime:
            if let int = json.int64 { return int }
            guard let text = json.string else { return nil }
            return try? DateTime.parse(text)
        case .bool:
            return json.bool.map { $0 ? 1 : 0 }
        default:
            return nil
        }
    }
}

extension FacetValue: Comparable {
    /// The value that a numeric column's key stands for.
    package init(key: Int64, _ field: Field) {
        switch field.type {
        case .decimal(let scale): self = .decimal(key, scale: scale)
        case .float: self = .double(OrderedKey.double(key))
        case .bool: self = .bool(key != 0)
        case .datetime: self = .datetime(key)
        default: self = .int(key)
        }
    }

    /// A scalar of a document, read as its field's type.
    init?(_ value: TapeValue, _ field: Field?) {
        if let field, field.type.isNumeric, value.kind != .null {
            guard let key = ColumnKey.key(value.json, field) else { return nil }
            self.init(key: key, field)
            return
        }
        switch value.kind {
        case .null: self = .null
        case .bool: self = .bool(value.bool)
        // 1, 1.0 and 1e0 are one value.
        case .number:
            let whole = value.int64 ?? Int64(exactly: value.double)
            self = whole.map { .int($0) } ?? .double(value.double)
        case .string: self = .string([UInt8](value.stringBytes))
        case .array, .object: return nil
        }
    }

    private var rank: Int {
        switch self {
        case .null: 0
        case .int, .decimal, .double: 1
        case .string: 2
        case .bool: 3
        case .datetime: 4
        }
    }

    private var number: Double {
        switch self {
        case .int(let value), .datetime(let value): Double(value)
        case .decimal(let value, _): Double(value)
        case .double(let value): value
        case .bool(let value): value ? 1 : 0
        case .null, .string: 0
        }
    }

    package static func < (a: FacetValue, b: FacetValue) -> Bool {
        if a.rank != b.rank { return a.rank < b.rank }
        switch (a, b) {
        case (.int(let x), .int(let y)), (.datetime(let x), .datetime(let y)): return x < y
        case (.decimal(let x, let m), .decimal(let y, let n)) where m == n: return x < y
        case (.string(let x), .string(let y)): return x.lexicographicallyPrecedes(y)
        default: return a.number != b.number ? a.number < b.number : a.form < b.form
        }
    }

    /// Puts whole numbers in order that one double stands for.
    private var form: Int64 {
        switch self {
        case .int(let value): value
        case .null, .bool, .string, .datetime, .decimal, .double: Int64.min
        }
    }
}
