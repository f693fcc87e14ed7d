import ColumnIndex
import Documents
import Partition
import Primitives
import Schema

/// `STATS a [BY c]`: count, least, greatest, sum and average of one numeric field.
struct StatsAccumulator {
    private let pathText: String
    private let groupText: String?
    private let declared: Field?
    private let groupDeclared: Field?
    private let field: Field?
    private let groupField: Field?
    private let path: FieldPath?
    private let groupPath: FieldPath?
    private var overall = NumericStats()
    private var groups: [FacetValue: NumericStats] = [:]
    private var matches = FieldPath.Matches()
    private var groupMatches = FieldPath.Matches()
    /// A partition's groups that are not added yet, and how many of them are.
    private var pending: [GroupStats]?
    private var pendingStart = 0

    init(_ path: String, by group: String?, _ view: CollectionView) {
        pathText = path
        groupText = group
        declared = view.schema.field(at: path)
        groupDeclared = group.flatMap { view.schema.field(at: $0) }
        field = view.columnField(path)
        groupField = group.flatMap { view.columnField($0) }
        self.path = try? FieldPath(path)
        groupPath = group.flatMap { try? FieldPath($0) }
    }

    /// Whether columns answer it: a numeric one, and for groups one of keywords.
    var usesColumns: Bool {
        guard let field, field.type.isNumeric else { return false }
        guard groupText != nil else { return true }
        return groupField?.type.isString ?? false
    }

    var groupCount: Int { groups.count }

    /// Groups that one step adds.
    private static let stepCount = 2_048

    /// Adds some more of a partition's matches; says whether all of them are in.
    mutating func step(_ partition: CollectionPartition, _ match: Bitmap) -> Bool {
        guard usesColumns, let field,
            case .numeric(let column)? = partition.readyColumn(field.number)?.storage
        else { return true }
        guard let groupField else {
            overall.merge(column.stats(match))
            return true
        }
        guard case .keyword(let terms)? = partition.readyColumn(groupField.number)?.storage else {
            return true
        }
        let found = pending ?? column.stats(match, by: terms)
        let end = min(found.count, pendingStart + Self.stepCount)
        for group in found[pendingStart..<end] {
            groups[.string([UInt8](terms.term(group.code))), default: NumericStats()].merge(
                group.stats)
        }
        let isDone = end == found.count
        (pending, pendingStart) = isDone ? (nil, 0) : (found, end)
        return isDone
    }

    mutating func add(_ root: TapeValue, isForced: Bool = false) {
        guard isForced || !usesColumns, let path else { return }
        path.lookup(in: root, into: &matches)
        let values = numbers(matches.values)
        if values.isEmpty { return }
        guard let groupPath else {
            for value in values { overall.note(value) }
            return
        }
        groupPath.lookup(in: root, into: &groupMatches)
        var seen: Set<FacetValue> = []
        for group in groupMatches.values {
            let scalars = group.kind == .array ? group.children.map(\.value) : [group]
            for scalar in scalars {
                // Null is no value of a column, so it is no group here.
                guard scalar.kind != .null, let name = FacetValue(scalar, groupDeclared),
                    seen.insert(name).inserted
                else { continue }
                for value in values { groups[name, default: NumericStats()].note(value) }
            }
        }
    }

    private func numbers(_ values: [TapeValue]) -> [StatsNumber] {
        var numbers: [StatsNumber] = []
        for value in values {
            let scalars = value.kind == .array ? value.children.map(\.value) : [value]
            for scalar in scalars {
                if let declared, declared.type.isNumeric, declared.type != .float {
                    if let key = ColumnKey.key(scalar.json, declared) { numbers.append(.key(key)) }
                } else if scalar.kind == .number {
                    numbers.append(.double(scalar.double))
                }
            }
        }
        return numbers
    }

    func result() -> StatsResult {
        guard groupText != nil else {
            return StatsResult(path: pathText, overall: figures(overall), groups: [])
        }
        let sorted = groups.map { (value: $0.key, figures: figures($0.value)) }.sorted {
            $0.figures.count != $1.figures.count
                ? $0.figures.count > $1.figures.count : $0.value < $1.value
        }
        return StatsResult(path: pathText, overall: nil, groups: sorted)
    }

    private func figures(_ stats: NumericStats) -> StatsFigures {
        var figures = StatsFigures()
        figures.count = stats.count
        guard stats.count > 0 else { return figures }
        let type = declared?.type ?? .float
        if type == .float || !type.isNumeric {
            figures.min = .double(OrderedKey.double(stats.min))
            figures.max = .double(OrderedKey.double(stats.max))
            figures.sum = .double(stats.doubleSum)
            figures.average = .double(stats.doubleSum / Double(stats.count))
            return figures
        }
        guard let declared else { return figures }
        figures.min = FacetValue(key: stats.min, declared)
        figures.max = FacetValue(key: stats.max, declared)
        var scale = 0
        if case .decimal(let digits) = type { scale = digits }
        if scale == 0, let whole = Int64(exactly: stats.sum) {
            figures.sum = .int(whole)
        } else {
            figures.sum = .text(ScaledDecimal.format(stats.sum, scale: scale))
        }
        if let average = ScaledDecimal.average(sum: stats.sum, count: stats.count) {
            figures.average = .text(
                ScaledDecimal.format(average, scale: scale + ScaledDecimal.averageExtraScale))
        }
        return figures
    }
}

/// A number of a document: exact where its field is, else a double.
enum StatsNumber {
    case key(Int64)
    case double(Double)
}

extension NumericStats {
    /// Counts one number.
    mutating func note(_ value: StatsNumber) {
        var one = NumericStats()
        one.count = 1
        switch value {
        case .key(let key):
            one.min = key
            one.max = key
            one.sum = Int128(key)
        case .double(let double):
            one.min = OrderedKey.key(double)
            one.max = one.min
            one.doubleSum = double
        }
        merge(one)
    }
}
