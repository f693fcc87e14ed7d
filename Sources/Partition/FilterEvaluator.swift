import ColumnIndex
package import Primitives
package import Query
import Schema

/// Answers a compiled filter from one partition's columns, as a bitmap of rows.
///
/// Each part of the filter gives either exactly the rows that meet it or a superset of them; the
/// caller reads the documents of a superset and checks them. Only visible rows are in a result.
package struct FilterEvaluator {
    /// What a bitmap says about its part of the filter.
    package enum Exactness {
        /// All visible rows meet it.
        case all
        case exact
        case superset
    }

    /// Terms up to which an expression is tried on each term rather than on documents.
    private static let regexTermCountMax = 20_000

    private let partition: CollectionPartition
    private let visible: Bitmap
    private let version: Version
    private let pool: BitmapPool
    private let hash: (UnsafeRawBufferPointer) -> UInt64
    /// What the indexes of places answered beforehand, in slices of their own.
    private let places: [PlaceCollector]

    package init(
        partition: CollectionPartition, visible: Bitmap, version: Version, pool: BitmapPool,
        places: [PlaceCollector] = [], hash: @escaping (UnsafeRawBufferPointer) -> UInt64
    ) {
        self.places = places
        self.partition = partition
        self.visible = visible
        self.version = version
        self.pool = pool
        self.hash = hash
    }

    /// Fills `bitmap` with the visible rows that meet the filter, or a superset of them.
    ///
    /// - Complexity: O(slots / 8) bytes touched per predicate.
    package func evaluate(_ filter: CompiledFilter, into bitmap: Bitmap) -> Exactness {
        if case .all = filter.root {
            bitmap.assign(visible)
            return .all
        }
        let isExact = evaluate(filter.root, into: bitmap)
        bitmap.formIntersection(visible)
        return isExact ? .exact : .superset
    }

    /// Fills `bitmap`; rows that are not visible may be in it.
    ///
    /// - Returns: whether it is exact.
    private func evaluate(_ node: CompiledNode, into bitmap: Bitmap) -> Bool {
        switch node {
        case .all:
            bitmap.assign(visible)
            return true
        case .none:
            bitmap.clearAll()
            return true
        case .and(let parts):
            return conjunction(parts, into: bitmap)
        case .or(let parts):
            return disjunction(parts, into: bitmap)
        case .not(let part):
            guard evaluate(part, into: bitmap) else {
                bitmap.assign(visible)
                return false
            }
            bitmap.complement(partition.slotBound)
            return true
        case .predicate(let predicate):
            return evaluate(predicate, into: bitmap)
        }
    }

    /// Narrows part by part, those that cost least and cut most first.
    private func conjunction(_ parts: [CompiledNode], into bitmap: Bitmap) -> Bool {
        var isExact = true
        var isStarted = false
        for part in parts.sorted(by: { rank($0) < rank($1) }) {
            if isStarted, case .predicate(let predicate) = part, narrow(bitmap, predicate) {
                continue
            }
            if !isStarted {
                isExact = evaluate(part, into: bitmap)
                isStarted = true
                continue
            }
            let scratch = pool.borrow(capacity: partition.slotBound)
            defer { pool.giveBack(scratch) }
            if !evaluate(part, into: scratch) { isExact = false }
            bitmap.formIntersection(scratch)
        }
        return isExact
    }

    private func disjunction(_ parts: [CompiledNode], into bitmap: Bitmap) -> Bool {
        bitmap.clearAll()
        var isExact = true
        let scratch = pool.borrow(capacity: partition.slotBound)
        defer { pool.giveBack(scratch) }
        for part in parts {
            if !evaluate(part, into: scratch) { isExact = false }
            bitmap.formUnion(scratch)
        }
        return isExact
    }

    /// Lower goes first: equalities of strings are ready-made sets, ranges narrow what is there,
    /// what no column answers adds nothing.
    private func rank(_ node: CompiledNode) -> Int {
        guard case .predicate(let predicate) = node else { return 3 }
        if predicate.isID { return 0 }
        if places.contains(where: { $0.predicate === predicate }) { return 1 }
        guard column(predicate) != nil else { return 9 }
        switch predicate.test {
        case .bytesEqual: return 1
        case .bytesIn, .keyEqual: return 2
        case .keyRange, .keyIn: return 4
        case .bytesRange, .prefix, .isNullOrAbsent, .exists: return 5
        case .regex: return 6
        case .place, .other: return 9
        }
    }

    // MARK: - Predicates

    private func column(_ predicate: Predicate) -> FieldColumn? {
        predicate.field.flatMap { partition.readyColumn($0.number) }
    }

    /// Narrows an exact or superset bitmap in place, where the column can.
    private func narrow(_ bitmap: Bitmap, _ predicate: Predicate) -> Bool {
        guard let column = column(predicate) else { return false }
        switch (predicate.test, column.storage) {
        case (.keyEqual(let key), .numeric(let numeric)):
            numeric.andRange(key, key, with: bitmap)
        case (.keyRange(let lower, let upper), .numeric(let numeric)):
            numeric.andRange(lower, upper, with: bitmap)
        case (.keyIn(let keys), .numeric(let numeric)):
            numeric.andIn(keys, with: bitmap)
        case (.bytesEqual(let bytes), .keyword(let keyword)):
            bytes.withUnsafeBytes { keyword.andEqual($0, with: bitmap) }
        default:
            return false
        }
        return true
    }

    private func evaluate(_ predicate: Predicate, into bitmap: Bitmap) -> Bool {
        if predicate.isID { return evaluateID(predicate, into: bitmap) }
        if let found = places.first(where: { $0.predicate === predicate }) {
            bitmap.assign(found.rows)
            return found.isExact
        }
        guard let column = column(predicate) else {
            bitmap.assign(visible)
            return false
        }
        switch column.storage {
        case .numeric(let numeric):
            return evaluate(predicate, numeric, column.field, into: bitmap)
        case .keyword(let keyword):
            return evaluate(predicate, keyword, column.field, into: bitmap)
        }
    }

    private func evaluate(
        _ predicate: Predicate, _ column: NumericColumn, _ field: Field, into bitmap: Bitmap
    ) -> Bool {
        switch predicate.test {
        case .keyEqual(let key): column.fillRange(key, key, into: bitmap)
        case .keyRange(let lower, let upper): column.fillRange(lower, upper, into: bitmap)
        case .keyIn(let keys): column.fillIn(keys, into: bitmap)
        case .isNullOrAbsent where !field.isInsideArray:
            let scratch = pool.borrow(capacity: partition.slotBound)
            defer { pool.giveBack(scratch) }
            column.fillPresent(into: bitmap)
            column.fillEmptyArray(into: scratch)
            bitmap.formUnion(scratch)
            bitmap.complement(partition.slotBound)
        case .exists where !field.isInsideArray:
            column.fillKnown(into: bitmap)
        case .bytesEqual, .bytesRange, .bytesIn, .prefix, .regex, .isNullOrAbsent, .exists, .place,
            .other:
            bitmap.assign(visible)
            return false
        }
        return true
    }

    private func evaluate(
        _ predicate: Predicate, _ column: KeywordColumn, _ field: Field, into bitmap: Bitmap
    ) -> Bool {
        switch predicate.test {
        case .bytesEqual(let bytes):
            bytes.withUnsafeBytes { column.fillEqual($0, into: bitmap) }
        case .bytesIn(let list):
            bitmap.clearAll()
            let scratch = pool.borrow(capacity: partition.slotBound)
            defer { pool.giveBack(scratch) }
            for bytes in list {
                bytes.withUnsafeBytes { column.fillEqual($0, into: scratch) }
                bitmap.formUnion(scratch)
            }
        case .bytesRange(let lower, let upper):
            (lower?.bytes ?? []).withUnsafeBytes { low in
                (upper?.bytes ?? []).withUnsafeBytes { high in
                    column.fillRange(
                        lower: lower == nil ? nil : low,
                        lowerInclusive: lower?.isInclusive ?? true,
                        upper: upper == nil ? nil : high,
                        upperInclusive: upper?.isInclusive ?? true, into: bitmap)
                }
            }
        case .prefix(let prefix):
            prefix.withUnsafeBytes { column.fillPrefix($0, into: bitmap) }
        case .regex(let regex):
            return evaluate(regex, column, into: bitmap)
        case .isNullOrAbsent where !field.isInsideArray:
            let scratch = pool.borrow(capacity: partition.slotBound)
            defer { pool.giveBack(scratch) }
            column.fillPresent(into: bitmap)
            column.fillEmptyArray(into: scratch)
            bitmap.formUnion(scratch)
            bitmap.complement(partition.slotBound)
        case .exists where !field.isInsideArray:
            column.fillKnown(into: bitmap)
        case .keyEqual, .keyRange, .keyIn, .isNullOrAbsent, .exists, .place, .other:
            bitmap.assign(visible)
            return false
        }
        return true
    }

    private func evaluate(_ regex: Regex, _ column: KeywordColumn, into bitmap: Bitmap) -> Bool {
        if regex.isExactPrefix {
            regex.literalPrefix.withUnsafeBytes { column.fillPrefix($0, into: bitmap) }
            return true
        }
        if column.termCount <= Self.regexTermCountMax {
            column.fillWhere({ regex.matches($0) }, into: bitmap)
            return true
        }
        regex.literalPrefix.withUnsafeBytes { column.fillPrefix($0, into: bitmap) }
        return false
    }

    private func evaluateID(_ predicate: Predicate, into bitmap: Bitmap) -> Bool {
        let ids: [[UInt8]]
        switch predicate.test {
        case .bytesEqual(let id): ids = [id]
        case .bytesIn(let list): ids = list
        default:
            bitmap.assign(visible)
            return false
        }
        bitmap.clearAll()
        for id in ids {
            id.withUnsafeBytes { bytes in
                if let number = partition.heads.number(hash: hash(bytes), id: bytes),
                    let slot = partition.slot(of: number, at: version)
                {
                    bitmap.set(slot)
                }
            }
        }
        return true
    }

    // MARK: - For people

    /// The paths of a filter that no ready column answers.
    package func unindexedPaths(_ filter: CompiledFilter) -> [String] {
        var paths: [String] = []
        collectUnindexed(filter.root, into: &paths)
        return paths
    }

    private func collectUnindexed(_ node: CompiledNode, into paths: inout [String]) {
        switch node {
        case .all, .none: return
        case .and(let parts), .or(let parts):
            for part in parts { collectUnindexed(part, into: &paths) }
        case .not(let part): collectUnindexed(part, into: &paths)
        case .predicate(let predicate):
            let isIDLookup = predicate.isID && isEquality(predicate.test)
            if isIDLookup || paths.contains(predicate.path) { return }
            // An index that leaves documents to be read has its word in the plan.
            if places.contains(where: { $0.predicate === predicate }) { return }
            let isOther = if case .other = predicate.test { true } else { false }
            if column(predicate) == nil || isOther { paths.append(predicate.path) }
        }
    }

    private func isEquality(_ test: CompiledPredicate) -> Bool {
        switch test {
        case .bytesEqual, .bytesIn: true
        default: false
        }
    }

    /// One line about how the filter is answered.
    package func description(of filter: CompiledFilter) -> String {
        var used: [String] = []
        describe(filter.root, into: &used)
        return used.isEmpty ? "all documents" : used.joined(separator: ", ")
    }

    private func describe(_ node: CompiledNode, into used: inout [String]) {
        switch node {
        case .all: return
        case .none: used.append("nothing can match")
        case .and(let parts), .or(let parts):
            for part in parts { describe(part, into: &used) }
        case .not(let part): describe(part, into: &used)
        case .predicate(let predicate):
            let name: String
            if predicate.isID {
                name = isEquality(predicate.test) ? "id table" : "documents"
            } else if let found = places.first(where: { $0.predicate === predicate }) {
                name = found.isExact ? "places" : "places, then documents"
            } else if let column = column(predicate) {
                switch column.storage {
                case .numeric: name = "numeric column"
                case .keyword: name = "keyword postings"
                }
            } else {
                name = "documents"
            }
            used.append("\(predicate.path): \(name)")
        }
    }
}
