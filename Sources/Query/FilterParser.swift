import Documents
import Primitives

/// Makes filters of JSON, counting what it makes.
struct FilterParser {
    let limits: Limits
    private var nodeCount = 0
    /// How often `$near` stands in it.
    private(set) var nearCount = 0

    init(limits: Limits) { self.limits = limits }

    private func error(_ path: String, _ rule: String, _ value: JSON) -> QueryError {
        .invalid(path: path.isEmpty ? "filter" : path, rule: rule, value: shortened(value.text))
    }

    private mutating func count(_ amount: Int = 1) throws(QueryError) {
        nodeCount += amount
        guard nodeCount <= limits.filterNodeCountMax else {
            throw .limit(
                name: "operators and operands of a filter",
                maximum: limits.filterNodeCountMax
            )
        }
    }

    private func check(depth: Int) throws(QueryError) {
        guard depth <= limits.filterDepthMax else {
            throw .limit(name: "depth of a filter", maximum: limits.filterDepthMax)
        }
    }

    mutating func filter(_ json: JSON, path: String, depth: Int) throws(QueryError) -> Filter {
        try check(depth: depth)
        guard case .object(let object) = json else { throw error(path, "is an object", json) }
        var parts: [Filter] = []
        for (key, value) in object.members {
            try count()
            switch key {
            case "$and": parts.append(.and(try list(value, key, path: path, depth: depth)))
            case "$or": parts.append(.or(try list(value, key, path: path, depth: depth)))
            case "$nor": parts.append(.nor(try list(value, key, path: path, depth: depth)))
            case "$literal", "$not":
                throw error(key, "does not stand here", value)
            default:
                if key.utf8.first == UInt8(ascii: "$") {
                    try refuse(key, at: key, value)
                }
                let full = path.isEmpty ? key : path + "." + key
                do {
                    _ = try FieldPath(key)
                } catch {
                    throw self.error(full, "is a field path", .string(key))
                }
                parts.append(
                    .field(path: key, conditions: try operand(value, path: full, depth: depth))
                )
            }
        }
        return parts.isEmpty ? .all : parts.count == 1 ? parts[0] : .and(parts)
    }

    private mutating func list(
        _ json: JSON,
        _ name: String,
        path: String,
        depth: Int
    ) throws(QueryError) -> [Filter] {
        let place = path.isEmpty ? name : path + "." + name
        guard case .array(let items) = json, !items.isEmpty else {
            throw error(place, "is a non-empty array of filters", json)
        }
        var result: [Filter] = []
        for item in items { result.append(try filter(item, path: path, depth: depth + 1)) }
        return result
    }

    /// Unknown operators, and known ones of indexes that do not exist yet.
    private func refuse(_ name: String, at path: String, _ value: JSON) throws(QueryError) {
        switch name {
        case "$near", "$nearSphere", "$geoWithin", "$geoIntersects":
            throw error(path, "\(name) stands behind a field's name", value)
        case "$text":
            throw .needsIndex(path: path, operation: name)
        default: throw error(path, "unknown operator \(name)", value)
        }
    }

    /// What stands behind a field's name: a value, or an object of operators.
    private mutating func operand(
        _ json: JSON,
        path: String,
        depth: Int
    ) throws(QueryError) -> [Filter.Condition] {
        if case .object(let object) = json, isOperator(object.members.first?.key) {
            return try conditions(object, path: path, depth: depth)
        }
        return [.equal(try value(json, path: path, depth: depth))]
    }

    private func isOperator(_ key: String?) -> Bool { key?.utf8.first == UInt8(ascii: "$") }

    /// An operand that is compared with; its size counts.
    private mutating func value(
        _ json: JSON,
        path: String,
        depth: Int
    ) throws(QueryError) -> JSON {
        try check(depth: depth)
        try count()
        switch json {
        case .null, .bool, .number, .string: break
        case .array(let items):
            for item in items { _ = try value(item, path: path, depth: depth + 1) }
        case .object(let object):
            for member in object.members {
                // Operators inside a compared object would silently be plain keys.
                if isOperator(member.key) {
                    throw error(path, "mixes operators and values", json)
                }
                _ = try value(member.value, path: path, depth: depth + 1)
            }
        }
        return json
    }

    private mutating func values(
        _ json: JSON,
        _ name: String,
        path: String,
        depth: Int
    ) throws(QueryError) -> [JSON] {
        guard case .array(let items) = json else {
            throw error(path, "\(name) takes an array", json)
        }
        for item in items { _ = try value(item, path: path, depth: depth + 1) }
        return items
    }

    private mutating func conditions(
        _ object: JSONObject,
        path: String,
        depth: Int
    ) throws(QueryError) -> [Filter.Condition] {
        try check(depth: depth)
        var result: [Filter.Condition] = []
        for (key, json) in object.members {
            try count()
            switch key {
            case "$eq": result.append(.equal(try value(json, path: path, depth: depth)))
            case "$ne": result.append(.notEqual(try value(json, path: path, depth: depth)))
            case "$lt": result.append(.less(try value(json, path: path, depth: depth)))
            case "$lte": result.append(.lessOrEqual(try value(json, path: path, depth: depth)))
            case "$gt": result.append(.greater(try value(json, path: path, depth: depth)))
            case "$gte": result.append(.greaterOrEqual(try value(json, path: path, depth: depth)))
            case "$in": result.append(.oneOf(try values(json, key, path: path, depth: depth)))
            case "$nin":
                result.append(.noneOf(try values(json, key, path: path, depth: depth)))
            case "$all": result.append(try all(json, path: path, depth: depth))
            case "$size": result.append(.size(try size(json, path: path)))
            case "$exists": result.append(.exists(try truth(json, path: path)))
            case "$type": result.append(.type(try types(json, path: path)))
            case "$not": result.append(.not(try negated(json, path: path, depth: depth)))
            case "$elemMatch":
                result.append(try elementMatch(json, path: path, depth: depth))
            case "$regex":
                result.append(.regex(try regex(json, options: object["$options"], path: path)))
            case "$options":
                guard object["$regex"] != nil else {
                    throw error(path, "$options stands beside $regex", json)
                }
            case "$near", "$nearSphere", "$geoWithin", "$geoIntersects":
                result.append(.place(try place(key, json, siblings: object, path: path)))
            case "$maxDistance", "$minDistance":
                guard object["$near"] != nil || object["$nearSphere"] != nil else {
                    throw error(path, "\(key) stands beside $near", json)
                }
            default:
                guard isOperator(key) else {
                    throw error(path, "mixes operators and values", .object(object))
                }
                try refuse(key, at: path, json)
            }
        }
        return result
    }

    private mutating func place(
        _ name: String, _ json: JSON, siblings: JSONObject, path: String
    ) throws(QueryError) -> PlaceCondition {
        let condition = try PlaceParser.condition(name, json, siblings: siblings, path: path)
        if condition.isNear { nearCount += 1 }
        return condition
    }

    private mutating func all(
        _ json: JSON,
        path: String,
        depth: Int
    ) throws(QueryError) -> Filter.Condition {
        guard case .array(let items) = json else { throw error(path, "$all takes an array", json) }
        let matchCount = items.count { $0.object?.members.first?.key == "$elemMatch" }
        guard matchCount > 0 else {
            return .allOf(try values(json, "$all", path: path, depth: depth))
        }
        guard matchCount == items.count else {
            throw error(path, "$all holds values or $elemMatch, not both", json)
        }
        var matches: [Filter.Condition] = []
        for item in items {
            guard let object = item.object, object.count == 1 else {
                throw error(path, "$elemMatch stands alone in $all", item)
            }
            matches.append(
                try elementMatch(object.members[0].value, path: path, depth: depth)
            )
        }
        return .allMatching(matches)
    }

    private mutating func elementMatch(
        _ json: JSON,
        path: String,
        depth: Int
    ) throws(QueryError) -> Filter.Condition {
        guard case .object(let object) = json else {
            throw error(path, "$elemMatch takes an object", json)
        }
        let first = object.members.first?.key
        let isLogical = first.map { ["$and", "$or", "$nor"].contains($0) } ?? true
        if isOperator(first) && !isLogical {
            return .elementIs(try conditions(object, path: path, depth: depth + 1))
        }
        return .elementMatches(try filter(json, path: path, depth: depth + 1))
    }

    private mutating func negated(
        _ json: JSON,
        path: String,
        depth: Int
    ) throws(QueryError) -> [Filter.Condition] {
        guard case .object(let object) = json, isOperator(object.members.first?.key) else {
            throw error(path, "$not takes an object of operators", json)
        }
        return try conditions(object, path: path, depth: depth + 1)
    }

    private func size(_ json: JSON, path: String) throws(QueryError) -> Int {
        guard case .number(let number) = json,
            let size = try? ScaledDecimal.parse(number.text, scale: 0), size >= 0
        else { throw error(path, "$size takes an integer from 0", json) }
        return Int(size)
    }

    private func truth(_ json: JSON, path: String) throws(QueryError) -> Bool {
        switch json {
        case .bool(let value): return value
        case .number(let number): return number.double != 0
        case .null, .string, .array, .object:
            throw error(path, "$exists takes true or false", json)
        }
    }

    private func types(_ json: JSON, path: String) throws(QueryError) -> ValueTypes {
        var result: ValueTypes = []
        let items = json.array ?? [json]
        for item in items {
            guard let type = ValueTypes(item) else {
                throw error(path, "$type takes names or numbers of JSON's types", item)
            }
            result.formUnion(type)
        }
        guard !items.isEmpty else { throw error(path, "$type takes at least one type", json) }
        return result
    }

    private func regex(
        _ json: JSON,
        options: JSON?,
        path: String
    ) throws(QueryError) -> Regex {
        guard case .string(let pattern) = json else {
            throw error(path, "$regex takes a string", json)
        }
        var letters = ""
        if let options {
            guard case .string(let text) = options else {
                throw error(path, "$options takes a string", options)
            }
            letters = text
        }
        do {
            return try Regex(
                pattern,
                options: letters,
                byteCountMax: limits.regexByteCountMax
            )
        } catch RegexError.tooLong(let maximum) {
            throw .limit(name: "bytes of $regex", maximum: maximum)
        } catch {
            throw .invalid(
                path: path,
                rule: "$regex \(error.message)",
                value: shortened(json.text)
            )
        }
    }
}
