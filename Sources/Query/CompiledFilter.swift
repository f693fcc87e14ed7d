package import Documents
package import Schema

/// A filter bound to a schema: operands converted to what columns hold, ready to be asked per
/// document and to be taken apart by a planner.
///
/// MongoDB's semantics on the document's tape; no allocation per document, except where `$regex`
/// runs an expression too large for a table. An immutable value.
package struct CompiledFilter: Sendable {
    /// The conditions as a tree for planners. See ``CompiledNode``.
    package let root: CompiledNode
    /// The order of hits that a `$near` asks for.
    package let near: NearOrder?
    private let source: Filter
    private let nowMilliseconds: Int64

    /// Binds `filter` to a schema.
    ///
    /// - Parameter nowMilliseconds: what `now` stands for in operands of datetime fields.
    /// - Throws: ``QueryError`` `invalid` for an operand that is no value of its field: a text that
    ///   is no time for a datetime field, a text that is no number for a decimal one.
    package init(
        _ filter: Filter,
        schema: Schema,
        nowMilliseconds: Int64
    ) throws(QueryError) {
        let compiler = FilterCompiler(schema: schema, nowMilliseconds: nowMilliseconds)
        root = try compiler.node(filter, prefix: "")
        near = try compiler.near(filter)
        source = filter
        self.nowMilliseconds = nowMilliseconds
    }

    /// The same filter bound to another schema, with the same `now`.
    ///
    /// - Throws: as ``init(_:schema:nowMilliseconds:)``.
    package func rebound(to schema: Schema) throws(QueryError) -> CompiledFilter {
        try CompiledFilter(source, schema: schema, nowMilliseconds: nowMilliseconds)
    }

    /// The keys of a field that every match has one of, inclusive; nil where the filter does not
    /// bound them. A range says more than a look at the column only for fields of one value.
    package func keyRange(of field: FieldNumber) -> ClosedRange<Int64>? {
        switch root {
        case .predicate(let predicate): predicate.keyRange(of: field)
        case .and(let parts):
            parts.lazy.compactMap { part in
                guard case .predicate(let predicate) = part else { return nil }
                return predicate.keyRange(of: field)
            }.first
        case .all, .none, .or, .not: nil
        }
    }

    /// Whether the document matches. Complexity: O(members passed × operators).
    ///
    /// - Parameter id: the document's id in UTF-8, which `_id` names.
    @inlinable package func matches(_ document: TapeValue, id: UnsafeRawBufferPointer) -> Bool {
        root.matches(document, id: id)
    }
}

/// A compiled filter's tree. `and` and `or` have at least two parts; `all` and `none` stand only at
/// the root.
package indirect enum CompiledNode: Sendable {
    case all
    case none
    case and([CompiledNode])
    case or([CompiledNode])
    case not(CompiledNode)
    case predicate(Predicate)

    /// Whether the document matches this part.
    package func matches(_ document: TapeValue, id: UnsafeRawBufferPointer) -> Bool {
        switch self {
        case .all: return true
        case .none: return false
        case .and(let parts):
            for part in parts where !part.matches(document, id: id) { return false }
            return true
        case .or(let parts):
            for part in parts where part.matches(document, id: id) { return true }
            return false
        case .not(let part): return !part.matches(document, id: id)
        case .predicate(let predicate): return predicate.matches(document, id: id)
        }
    }

    /// `and` without parts that say nothing; nested ones are flattened.
    static func conjunction(_ parts: [CompiledNode]) -> CompiledNode {
        var result: [CompiledNode] = []
        for part in parts {
            switch part {
            case .all: continue
            case .none: return .none
            case .and(let inner): result += inner
            case .or, .not, .predicate: result.append(part)
            }
        }
        guard let merged = mergingRanges(result) else { return .none }
        return merged.isEmpty ? .all : merged.count == 1 ? merged[0] : .and(merged)
    }

    /// `or` without parts that say nothing.
    static func disjunction(_ parts: [CompiledNode]) -> CompiledNode {
        var result: [CompiledNode] = []
        for part in parts {
            switch part {
            case .none: continue
            case .all: return .all
            case .or(let inner): result += inner
            case .and, .not, .predicate: result.append(part)
            }
        }
        return result.isEmpty ? .none : result.count == 1 ? result[0] : .or(result)
    }

    static func negation(_ part: CompiledNode) -> CompiledNode {
        switch part {
        case .all: .none
        case .none: .all
        case .not(let inner): inner
        case .and, .or, .predicate: .not(part)
        }
    }

    /// The predicates about places that stand in it, those within `$elemMatch` left out.
    package func placePredicates(into found: inout [Predicate]) {
        switch self {
        case .all, .none: return
        case .and(let parts), .or(let parts):
            for part in parts { part.placePredicates(into: &found) }
        case .not(let part): part.placePredicates(into: &found)
        case .predicate(let predicate):
            if case .place = predicate.test { found.append(predicate) }
        }
    }

    /// Ranges of one single-valued field become one range. Nil when one of them is empty.
    ///
    /// A field with many values keeps its conditions apart: different values may meet each.
    private static func mergingRanges(_ parts: [CompiledNode]) -> [CompiledNode]? {
        var result: [CompiledNode] = []
        var placeByPath: [String: Int] = [:]
        for part in parts {
            guard case .predicate(let new) = part, let field = new.field, !field.isMultiValued,
                let range = new.test.asKeyRange
            else {
                result.append(part)
                continue
            }
            guard let place = placeByPath[new.path], case .predicate(let old) = result[place],
                let earlier = old.test.asKeyRange
            else {
                placeByPath[new.path] = result.count
                result.append(part)
                continue
            }
            let lower = max(range.lower, earlier.lower)
            let upper = min(range.upper, earlier.upper)
            guard lower <= upper else { return nil }
            result[place] = .predicate(
                new.replacing(
                    test: lower == upper
                        ? .keyEqual(lower) : .keyRange(lower: lower, upper: upper)
                )
            )
        }
        return result
    }
}

/// What is asked of the values at one path.
///
/// Keys are those of columns (``OrderedKey``): ints, decimals at the field's scale, datetimes in
/// milliseconds, bools 0 and 1, floats by their bits. Bytes are UTF-8, compared as such. An array
/// is met when one of its elements is, or (for `other`) the whole.
package indirect enum CompiledPredicate: Sendable {
    case keyEqual(Int64)
    /// Inclusive; lower ≤ upper.
    case keyRange(lower: Int64, upper: Int64)
    /// Ascending, without doubles, not empty.
    case keyIn([Int64])
    case bytesEqual([UInt8])
    case bytesRange(lower: Bound?, upper: Bound?)
    /// Ascending, without doubles, not empty.
    case bytesIn([[UInt8]])
    case prefix([UInt8])
    /// See ``Regex/literalPrefix`` for what an index can narrow it to.
    case regex(Regex)
    /// Null, or a branch of the path ends early.
    case isNullOrAbsent
    /// Some value is there, be it null.
    case exists
    /// Places.
    case place(PlaceTest)
    /// Anything else: only ``CompiledFilter/matches(_:id:)`` knows.
    case other(OtherPredicate)

    /// One end of a range of bytes.
    package struct Bound: Sendable, Equatable {
        package let bytes: [UInt8]
        package let isInclusive: Bool
    }

    /// Equality and ranges of keys as a range.
    var asKeyRange: (lower: Int64, upper: Int64)? {
        switch self {
        case .keyEqual(let key): (key, key)
        case .keyRange(let lower, let upper): (lower, upper)
        case .keyIn, .bytesEqual, .bytesRange, .bytesIn, .prefix, .regex, .isNullOrAbsent, .exists,
            .place, .other:
            nil
        }
    }
}

extension Predicate {
    /// The keys that it allows, if it is about the values of `field` and bounds them.
    fileprivate func keyRange(of field: FieldNumber) -> ClosedRange<Int64>? {
        guard self.field?.number == field, let range = test.asKeyRange, range.lower <= range.upper
        else { return nil }
        return range.lower...range.upper
    }
}

/// Conditions that no column answers.
package indirect enum OtherPredicate: Sendable {
    case equal(JSON)
    case less(JSON, orEqual: Bool)
    case greater(JSON, orEqual: Bool)
    case oneOf([JSON])
    case size(Int)
    case type(ValueTypes)
    /// An element, itself an object, matches the tree.
    case elementMatches(CompiledNode)
    /// An element itself meets the tree, whose predicates have empty paths.
    case elementIs(CompiledNode)
}
