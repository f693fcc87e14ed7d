import Documents
import Query
import Schema
import Testing

/// Goal: the matcher on the tape means what MongoDB's manual says.
/// Method: random filters on random documents against a naive matcher over trees that shares no
/// code with it, not even the comparison of values.
@Suite struct FilterPropertyTests {
    @Test func randomFiltersAgreeWithTheNaiveMatcher() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededRandom(seed: seed)
        let parser = JSONParser()
        var matchCount = 0
        for _ in 0..<6_000 {
            let filter = RandomQuery.filter(depth: 2, &random)
            let text = filter.text
            let compiled = try CompiledFilter(
                Filter(parsing: filter),
                schema: .empty,
                nowMilliseconds: 0
            )
            for _ in 0..<6 {
                let document = RandomQuery.document(&random)
                let root = try parser.parse(document.text)
                let found = withBytes("k1") { compiled.matches(root, id: $0) }
                let expected = NaiveMatcher.matches(filter, document)
                if expected { matchCount += 1 }
                #expect(found == expected, "\(text) on \(document.text), seed \(seed)")
            }
        }
        // A test in which nothing matches would prove nothing.
        #expect(matchCount > 1_000 && matchCount < 33_000)
    }

    @Test func declaringFieldsDoesNotChangeAnswers() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededRandom(seed: seed)
        let parser = JSONParser()
        let schema = try Schema(
            parsing: JSON(
                parsing: """
                    {"fields":{"a":{"type":"int","index":true},"b":{"type":"keyword","index":true},
                    "c":{"type":"bool","index":true},"d":{"type":"int","array":true,"index":true},
                    "o":{"type":"object","array":true,"fields":{"a":{"type":"float","index":true},
                    "b":{"type":"keyword","index":true}}}}}
                    """
            )
        )
        for _ in 0..<4_000 {
            let filter = RandomQuery.typedFilter(depth: 2, &random)
            let parsed = try Filter(parsing: filter)
            let typed = try CompiledFilter(parsed, schema: schema, nowMilliseconds: 0)
            let plain = try CompiledFilter(parsed, schema: .empty, nowMilliseconds: 0)
            for _ in 0..<6 {
                let document = RandomQuery.typedDocument(&random)
                let root = try parser.parse(document.text)
                let id = UnsafeRawBufferPointer(start: nil, count: 0)
                #expect(
                    typed.matches(root, id: id) == plain.matches(root, id: id),
                    "\(filter.text) on \(document.text), seed \(seed)"
                )
            }
        }
    }
}

/// Random filters and documents over few names and values, so that they often meet.
enum RandomQuery {
    static func pick<T>(_ values: [T], _ random: inout SeededRandom) -> T {
        values[Int.random(in: 0..<values.count, using: &random)]
    }

    static func object(_ members: [(key: String, value: JSON)]) -> JSON {
        .object(JSONObject(members))
    }

    static func scalar(_ random: inout SeededRandom) -> JSON {
        switch Int.random(in: 0..<8, using: &random) {
        case 0: .null
        case 1: .bool(Bool.random(using: &random))
        case 2, 3, 4:
            .number(JSONNumber(validText: pick(["0", "1", "2", "1.0", "1.5", "-1"], &random)))
        default: .string(pick(["a", "b", "ab", "1"], &random))
        }
    }

    static func value(depth: Int, _ random: inout SeededRandom) -> JSON {
        switch Int.random(in: 0..<(depth == 0 ? 4 : 8), using: &random) {
        case 0...3: return scalar(&random)
        case 4, 5:
            let count = Int.random(in: 0...3, using: &random)
            return .array((0..<count).map { _ in value(depth: depth - 1, &random) })
        default:
            let names = ["a", "b", "0"].filter { _ in Bool.random(using: &random) }
            return object(names.map { ($0, value(depth: depth - 1, &random)) })
        }
    }

    static func document(_ random: inout SeededRandom) -> JSON {
        object(
            ["a", "b"].filter { _ in Int.random(in: 0..<5, using: &random) > 0 }
                .map { ($0, value(depth: 3, &random)) }
        )
    }

    static func condition(depth: Int, _ random: inout SeededRandom) -> (key: String, value: JSON) {
        switch Int.random(in: 0..<(depth == 0 ? 14 : 18), using: &random) {
        case 0: return ("$eq", value(depth: 1, &random))
        case 1: return ("$ne", value(depth: 1, &random))
        case 2: return ("$lt", value(depth: 1, &random))
        case 3: return ("$lte", value(depth: 1, &random))
        case 4: return ("$gt", value(depth: 1, &random))
        case 5: return ("$gte", value(depth: 1, &random))
        case 6, 7: return ("$in", values(&random))
        case 8: return ("$nin", values(&random))
        case 9: return ("$all", values(&random))
        case 10: return ("$size", .int(Int64.random(in: 0...3, using: &random)))
        case 11: return ("$exists", .bool(Bool.random(using: &random)))
        case 12:
            return (
                "$type", .string(pick(["string", "array", "object", "number", "null"], &random))
            )
        case 13: return ("$regex", .string(pick(["^a", "b$", "a|1"], &random)))
        case 14: return ("$not", conditions(depth: depth - 1, &random))
        case 15: return ("$elemMatch", conditions(depth: depth - 1, &random))
        default: return ("$elemMatch", filter(depth: depth - 1, &random))
        }
    }

    static func values(_ random: inout SeededRandom) -> JSON {
        .array((0..<Int.random(in: 0...3, using: &random)).map { _ in value(depth: 1, &random) })
    }

    static func conditions(depth: Int, _ random: inout SeededRandom) -> JSON {
        var all = JSONObject()
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            let one = condition(depth: depth, &random)
            all[one.key] = one.value
        }
        return .object(all)
    }

    static func filter(depth: Int, _ random: inout SeededRandom) -> JSON {
        let paths = ["a", "b", "a.b", "a.a", "a.0", "b.0.a", "a.b.a"]
        var result = JSONObject()
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            if depth > 0 && Int.random(in: 0..<5, using: &random) == 0 {
                let parts = (0..<2).map { _ in filter(depth: depth - 1, &random) }
                result[pick(["$and", "$or", "$nor"], &random)] = .array(parts)
            } else if Int.random(in: 0..<3, using: &random) == 0 {
                result[pick(paths, &random)] = value(depth: 2, &random)
            } else {
                result[pick(paths, &random)] = conditions(depth: depth, &random)
            }
        }
        return .object(result)
    }

    /// Filters on the fields that a schema declares; operands are scalars of any type.
    static func typedFilter(depth: Int, _ random: inout SeededRandom) -> JSON {
        var result = JSONObject()
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            if depth > 0 && Int.random(in: 0..<5, using: &random) == 0 {
                let parts = (0..<2).map { _ in typedFilter(depth: depth - 1, &random) }
                result[pick(["$and", "$or", "$nor"], &random)] = .array(parts)
            } else {
                let path = pick(["a", "b", "c", "d", "d.0", "o.a", "o.b", "o.0.a"], &random)
                result[path] = conditions(depth: 0, &random)
            }
        }
        return .object(result)
    }

    /// Documents that keep the rules of that schema.
    static func typedDocument(_ random: inout SeededRandom) -> JSON {
        func maybe(_ make: (inout SeededRandom) -> JSON) -> JSON? {
            switch Int.random(in: 0..<6, using: &random) {
            case 0: nil
            case 1: .null
            default: make(&random)
            }
        }
        func int(_ random: inout SeededRandom) -> JSON {
            .int(Int64.random(in: -1...2, using: &random))
        }
        func word(_ random: inout SeededRandom) -> JSON {
            .string(pick(["a", "b", "ab"], &random))
        }
        var result = JSONObject()
        result["a"] = maybe(int)
        result["b"] = maybe(word)
        result["c"] = maybe { .bool(Bool.random(using: &$0)) }
        result["d"] = maybe { random in
            .array((0..<Int.random(in: 0...3, using: &random)).map { _ in int(&random) })
        }
        result["o"] = maybe { random in
            .array(
                (0..<Int.random(in: 0...2, using: &random)).map { _ in
                    var element = JSONObject()
                    if Bool.random(using: &random) {
                        element["a"] = .number(
                            JSONNumber(validText: pick(["1", "1.5", "-1", "1.0"], &random))
                        )
                    }
                    if Bool.random(using: &random) { element["b"] = word(&random) }
                    return .object(element)
                }
            )
        }
        return .object(result)
    }
}

/// MongoDB's semantics written down once more, over trees: slow and plain.
enum NaiveMatcher {
    static func matches(_ filter: JSON, _ document: JSON) -> Bool {
        (filter.object?.members ?? []).allSatisfy { key, value in
            let parts = value.array ?? []
            switch key {
            case "$and": return parts.allSatisfy { matches($0, document) }
            case "$or": return parts.contains { matches($0, document) }
            case "$nor": return !parts.contains { matches($0, document) }
            default:
                let found = values(document, key.split(separator: ".").map(String.init)[...])
                return meets(value, found, entersArrays: true)
            }
        }
    }

    /// All values at a path; nil stands for a branch that ends early.
    private static func values(_ value: JSON, _ path: ArraySlice<String>) -> [JSON?] {
        guard let step = path.first else { return [value] }
        switch value {
        case .object(let object):
            guard let member = object.members.first(where: { $0.key == step }) else { return [nil] }
            return values(member.value, path.dropFirst())
        case .array(let items):
            var result: [JSON?] = []
            for (index, item) in items.enumerated() {
                if item.object != nil { result += values(item, path) }
                let isContainer = item.object != nil || item.array != nil
                if String(index) == step && (path.count == 1 || isContainer) {
                    result += values(item, path.dropFirst())
                }
            }
            return result
        default: return [nil]
        }
    }

    private static func meets(_ condition: JSON, _ found: [JSON?], entersArrays: Bool) -> Bool {
        guard let object = condition.object, object.members.first?.key.hasPrefix("$") == true else {
            return one("$eq", condition, found, entersArrays)
        }
        return object.members.allSatisfy { one($0.key, $0.value, found, entersArrays) }
    }

    private static func one(
        _ name: String,
        _ operand: JSON,
        _ found: [JSON?],
        _ entersArrays: Bool
    ) -> Bool {
        /// The values, their elements, and null for what is missing.
        func any(_ test: (JSON) -> Bool, missing: Bool = false) -> Bool {
            found.contains { value in
                guard let value else { return missing }
                if entersArrays, let items = value.array, items.contains(where: test) {
                    return true
                }
                return test(value)
            }
        }
        func whole(_ test: (JSON) -> Bool) -> Bool { found.contains { $0.map(test) ?? false } }
        switch name {
        case "$eq":
            let isNull = operand.isNull
            return any({ order($0, operand) == 0 }, missing: isNull)
        case "$ne": return !one("$eq", operand, found, entersArrays)
        case "$lt": return any { (order($0, operand) ?? 1) < 0 }
        case "$gt": return any { (order($0, operand) ?? -1) > 0 }
        case "$lte":
            return one("$lt", operand, found, entersArrays)
                || one("$eq", operand, found, entersArrays)
        case "$gte":
            return one("$gt", operand, found, entersArrays)
                || one("$eq", operand, found, entersArrays)
        case "$in": return (operand.array ?? []).contains { one("$eq", $0, found, entersArrays) }
        case "$nin": return !one("$in", operand, found, entersArrays)
        case "$all":
            let all = operand.array ?? []
            return !all.isEmpty && all.allSatisfy { one("$eq", $0, found, entersArrays) }
        case "$size": return whole { $0.array?.count == operand.int64.map(Int.init) }
        case "$exists": return found.contains { $0 != nil } == (operand.bool ?? false)
        case "$type":
            return any { value in
                switch (value, operand.string ?? "") {
                case (.string, "string"), (.array, "array"), (.object, "object"),
                    (.number, "number"), (.null, "null"):
                    true
                default: false
                }
            }
        case "$regex":
            return any { value in
                guard let text = value.string else { return false }
                switch operand.string ?? "" {
                case "^a": return text.hasPrefix("a")
                case "b$": return text.hasSuffix("b")
                default: return text.contains("a") || text.contains("1")
                }
            }
        case "$not": return !meets(operand, found, entersArrays: entersArrays)
        case "$elemMatch":
            let isOfValues = operand.object?.members.first.map {
                $0.key.hasPrefix("$") && !["$and", "$or", "$nor"].contains($0.key)
            }
            return whole { value in
                (value.array ?? []).contains { element in
                    isOfValues ?? false
                        ? meets(operand, [element], entersArrays: false)
                        : element.object != nil && matches(operand, element)
                }
            }
        default: return false
        }
    }

    /// Order within one type, nil across types.
    private static func order(_ a: JSON, _ b: JSON) -> Int? {
        rank(a) == rank(b) ? total(a, b) : nil
    }

    private static func rank(_ value: JSON) -> Int {
        switch value {
        case .null: 0
        case .number: 1
        case .string: 2
        case .object: 3
        case .array: 4
        case .bool: 5
        }
    }

    private static func total(_ a: JSON, _ b: JSON) -> Int {
        switch (a, b) {
        case (.number(let x), .number(let y)):
            let (x, y) = (Double(x.text) ?? 0, Double(y.text) ?? 0)
            return x < y ? -1 : x > y ? 1 : 0
        case (.string(let x), .string(let y)): return x < y ? -1 : x > y ? 1 : 0
        case (.bool(let x), .bool(let y)): return (x ? 1 : 0) - (y ? 1 : 0)
        case (.array(let x), .array(let y)):
            for (p, q) in zip(x, y) where total(p, q) != 0 { return total(p, q) }
            return x.count - y.count
        case (.object(let x), .object(let y)):
            for (p, q) in zip(x.members, y.members) {
                let kinds = rank(p.value) - rank(q.value)
                if kinds != 0 { return kinds }
                if p.key != q.key { return p.key < q.key ? -1 : 1 }
                if total(p.value, q.value) != 0 { return total(p.value, q.value) }
            }
            return x.members.count - y.members.count
        default: return rank(a) - rank(b)
        }
    }
}
