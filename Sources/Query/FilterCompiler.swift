import Documents
import Schema

/// Binds filters to a schema.
struct FilterCompiler {
    let schema: Schema
    let nowMilliseconds: Int64

    /// `prefix` is the path, with its final point, of the array whose elements are asked.
    func node(_ filter: Filter, prefix: String) throws(QueryError) -> CompiledNode {
        switch filter {
        case .all: return .all
        case .and(let parts): return .conjunction(try nodes(parts, prefix: prefix))
        case .or(let parts): return .disjunction(try nodes(parts, prefix: prefix))
        case .nor(let parts):
            return .negation(.disjunction(try nodes(parts, prefix: prefix)))
        case .field(let path, let conditions):
            let target = Target(path: path, prefix: prefix, schema: schema)
            try refuseVectors(target.fullPath)
            return try all(conditions, target)
        }
    }

    /// Vectors are kept apart from the documents that a filter is held against.
    private func refuseVectors(_ path: String) throws(QueryError) {
        guard schema.hasVectorFields else { return }
        for field in schema.fields where field.vectorOptions != nil {
            if path == field.path || path.hasPrefix(field.path + ".") {
                throw .invalid(path: path, rule: "a vector cannot be filtered by", value: "")
            }
        }
    }

    private func nodes(_ parts: [Filter], prefix: String) throws(QueryError) -> [CompiledNode] {
        var result: [CompiledNode] = []
        for part in parts { result.append(try node(part, prefix: prefix)) }
        return result
    }

    /// The values that a condition is about.
    struct Target {
        let path: String
        /// From the document's root, for messages and declarations.
        let fullPath: String
        let field: Field?
        /// The declaration of the values, if there is one.
        let declared: Field?
        let isID: Bool
        let reader: ValueReader
        var entersLeafArrays = true

        init(path: String, prefix: String, schema: Schema) {
            self.path = path
            fullPath = prefix + path
            isID = prefix.isEmpty && path == "_id"
            let exact = isID ? nil : schema.field(at: fullPath)
            // Only a path from the root is one that a column answers.
            field = prefix.isEmpty ? exact : nil
            declared = exact ?? (isID ? nil : Target.element(fullPath, schema))
            reader = isID ? .bytes : ValueReader(declared?.type)
        }

        /// The elements of an array themselves.
        init(elementsOf array: Target) {
            path = ""
            fullPath = array.fullPath
            field = nil
            declared = array.declared
            isID = false
            reader = array.reader
            entersLeafArrays = false
        }

        /// The field whose elements a path names by number: `tags.0` is of the type of `tags`.
        private static func element(_ path: String, _ schema: Schema) -> Field? {
            let steps = path.split(separator: ".")
            let named = steps.filter { !$0.utf8.allSatisfy { $0 >= 48 && $0 <= 57 } }
            guard named.count < steps.count else { return nil }
            return schema.field(at: named.joined(separator: "."))
        }

        func predicate(_ test: CompiledPredicate) -> CompiledNode {
            .predicate(
                Predicate(
                    path: path,
                    field: field,
                    isID: isID,
                    reader: reader,
                    test: test,
                    entersLeafArrays: entersLeafArrays
                )
            )
        }

        func error(_ rule: String, _ value: JSON) -> QueryError {
            .invalid(path: fullPath, rule: rule, value: shortened(value.text))
        }
    }

    private func all(
        _ conditions: [Filter.Condition],
        _ target: Target
    ) throws(QueryError) -> CompiledNode {
        var parts: [CompiledNode] = []
        for condition in conditions { parts.append(try node(condition, target)) }
        return .conjunction(parts)
    }

    private func node(
        _ condition: Filter.Condition,
        _ target: Target
    ) throws(QueryError) -> CompiledNode {
        switch condition {
        case .equal(let value): return try equal(value, target)
        case .notEqual(let value): return .negation(try equal(value, target))
        case .less(let value): return try compare(.less, value, target)
        case .lessOrEqual(let value): return try compare(.lessOrEqual, value, target)
        case .greater(let value): return try compare(.greater, value, target)
        case .greaterOrEqual(let value): return try compare(.greaterOrEqual, value, target)
        case .oneOf(let values): return try oneOf(values, target)
        case .noneOf(let values): return .negation(try oneOf(values, target))
        case .allOf(let values):
            guard !values.isEmpty else { return .none }
            var parts: [CompiledNode] = []
            for value in values { parts.append(try equal(value, target)) }
            return .conjunction(parts)
        case .allMatching(let matches): return try all(matches, target)
        case .size(let size): return target.isID ? .none : target.predicate(.other(.size(size)))
        case .exists(let isThere):
            let exists = target.isID ? CompiledNode.all : target.predicate(.exists)
            return isThere ? exists : .negation(exists)
        case .type(let types): return target.predicate(.other(.type(types)))
        case .not(let conditions): return .negation(try all(conditions, target))
        case .regex(let regex):
            return target.predicate(
                regex.isExactPrefix ? .prefix(regex.literalPrefix) : .regex(regex)
            )
        case .place(let condition): return try place(condition, target)
        case .elementMatches(let filter):
            if target.isID { return .none }
            let inner = try node(filter, prefix: target.fullPath + ".")
            return target.predicate(.other(.elementMatches(inner)))
        case .elementIs(let conditions):
            if target.isID { return .none }
            let inner = try all(conditions, Target(elementsOf: target))
            return target.predicate(.other(.elementIs(inner)))
        }
    }

    // MARK: Equality

    /// An operand as the target's values are compared.
    private enum Operand {
        case key(Int64)
        case bytes([UInt8])
        case null
        /// An array, an object, or any value where nothing is declared.
        case json(JSON)
        /// No value of the field's type equals it.
        case impossible
    }

    private func operand(_ value: JSON, _ target: Target) throws(QueryError) -> Operand {
        switch value {
        case .null: return .null
        case .array, .object: return target.isID ? .impossible : .json(value)
        case .bool, .number, .string: break
        }
        switch target.reader {
        case .json: return .json(value)
        case .bytes:
            guard case .string(let text) = value else { return .impossible }
            return .bytes(Array(text.utf8))
        case .int, .float, .bool, .datetime, .decimal:
            guard let place = try Place(value, target, nowMilliseconds: nowMilliseconds),
                place.isExact
            else { return .impossible }
            return .key(place.floor)
        }
    }

    private func equal(_ value: JSON, _ target: Target) throws(QueryError) -> CompiledNode {
        switch try operand(value, target) {
        case .key(let key): target.predicate(.keyEqual(key))
        case .bytes(let bytes): target.predicate(.bytesEqual(bytes))
        case .null: target.isID ? .none : target.predicate(.isNullOrAbsent)
        case .json(let json): target.predicate(.other(.equal(json)))
        case .impossible: .none
        }
    }

    private func oneOf(_ values: [JSON], _ target: Target) throws(QueryError) -> CompiledNode {
        var keys: [Int64] = []
        var strings: [[UInt8]] = []
        var others: [JSON] = []
        var parts: [CompiledNode] = []
        var hasNull = false
        for value in values {
            switch try operand(value, target) {
            case .key(let key): keys.append(key)
            case .bytes(let bytes): strings.append(bytes)
            case .null: hasNull = true
            case .json(let json): others.append(json)
            case .impossible: continue
            }
        }
        keys.sort()
        strings.sort { $0.lexicographicallyPrecedes($1) }
        keys = FilterCompiler.unique(keys)
        strings = FilterCompiler.unique(strings)
        if keys.count == 1 {
            parts.append(target.predicate(.keyEqual(keys[0])))
        } else if !keys.isEmpty {
            parts.append(target.predicate(.keyIn(keys)))
        }
        if strings.count == 1 {
            parts.append(target.predicate(.bytesEqual(strings[0])))
        } else if !strings.isEmpty {
            parts.append(target.predicate(.bytesIn(strings)))
        }
        if !others.isEmpty { parts.append(target.predicate(.other(.oneOf(others)))) }
        if hasNull && !target.isID { parts.append(target.predicate(.isNullOrAbsent)) }
        return .disjunction(parts)
    }

    private static func unique<T: Equatable>(_ sorted: [T]) -> [T] {
        var result: [T] = []
        for value in sorted where result.last != value { result.append(value) }
        return result
    }

    // MARK: Order

    private enum Comparison { case less, lessOrEqual, greater, greaterOrEqual }

    private func compare(
        _ comparison: Comparison,
        _ value: JSON,
        _ target: Target
    ) throws(QueryError) -> CompiledNode {
        let orEqual = comparison == .lessOrEqual || comparison == .greaterOrEqual
        let isLess = comparison == .less || comparison == .lessOrEqual
        switch value {
        case .null:
            // Null has one value: it is only equal to itself.
            guard orEqual, !target.isID else { return .none }
            return target.predicate(.isNullOrAbsent)
        case .array, .object:
            if target.isID { return .none }
            return target.predicate(
                .other(
                    isLess
                        ? .less(value, orEqual: orEqual) : .greater(value, orEqual: orEqual)
                )
            )
        case .bool, .number, .string: break
        }
        switch target.reader {
        case .json:
            return target.predicate(
                .other(
                    isLess
                        ? .less(value, orEqual: orEqual) : .greater(value, orEqual: orEqual)
                )
            )
        case .bytes:
            guard case .string(let text) = value else { return .none }
            let bound = CompiledPredicate.Bound(bytes: Array(text.utf8), isInclusive: orEqual)
            return target.predicate(
                isLess
                    ? .bytesRange(lower: nil, upper: bound)
                    : .bytesRange(lower: bound, upper: nil)
            )
        case .int, .float, .bool, .datetime, .decimal:
            guard let place = try Place(value, target, nowMilliseconds: nowMilliseconds) else {
                return .none
            }
            return range(comparison, place, target)
        }
    }

    private func range(_ comparison: Comparison, _ place: Place, _ target: Target) -> CompiledNode {
        var (lower, upper) = (Int64.min, Int64.max)
        let floor = place.floor
        switch comparison {
        case .less:
            if place.isBelowRange || (place.isExact && floor == .min) { return .none }
            upper = place.isExact ? floor - 1 : floor
        case .lessOrEqual:
            if place.isBelowRange { return .none }
            upper = floor
        case .greater:
            if !place.isBelowRange {
                if floor == .max { return .none }
                lower = floor + 1
            }
        case .greaterOrEqual:
            if !place.isBelowRange && !place.isExact {
                if floor == .max { return .none }
                lower = floor + 1
            } else if !place.isBelowRange {
                lower = floor
            }
        }
        return target.predicate(.keyRange(lower: lower, upper: upper))
    }
}

/// Where an operand lies among the keys of a field: at `floor`, or between it and the next key.
struct Place {
    let floor: Int64
    let isExact: Bool
    /// Below every key; `floor` then means nothing.
    var isBelowRange = false

    /// Nil when the operand has another type and is not comparable.
    init?(
        _ value: JSON,
        _ target: FilterCompiler.Target,
        nowMilliseconds: Int64
    ) throws(QueryError) {
        switch (target.reader, value) {
        case (.bool, .bool(let flag)): (floor, isExact) = (flag ? 1 : 0, true)
        case (.float, .number(let number)):
            (floor, isExact) = (OrderedKey.key(number.double), true)
        case (.int, .number(let number)), (.datetime, .number(let number)):
            guard let bound = try? ScaledDecimal.bound(number.text, scale: 0) else { return nil }
            (floor, isExact, isBelowRange) = (bound.floor, bound.isExact, bound.isBelowRange)
        case (.decimal(let scale), .number(let number)):
            guard let bound = try? ScaledDecimal.bound(number.text, scale: scale) else {
                return nil
            }
            (floor, isExact, isBelowRange) = (bound.floor, bound.isExact, bound.isBelowRange)
        case (.decimal(let scale), .string(let text)):
            guard let bound = try? ScaledDecimal.bound(text, scale: scale) else {
                throw target.error("is a number", value)
            }
            (floor, isExact, isBelowRange) = (bound.floor, bound.isExact, bound.isBelowRange)
        case (.datetime, .string(let text)):
            guard let moment = try? DateTime.parse(text, nowMilliseconds: nowMilliseconds) else {
                throw target.error("is a date, a time or now±duration", value)
            }
            (floor, isExact) = (moment, true)
        case (.int, _), (.float, _), (.bool, _), (.datetime, _), (.decimal, _), (.bytes, _),
            (.json, _):
            return nil
        }
    }
}
