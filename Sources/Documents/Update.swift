/// Why an update cannot be parsed or applied.
package enum UpdateError: Error, Equatable, Sendable {
    /// The update is no object.
    case notAnObject
    /// Some keys begin with `$` and some do not; the first that does not.
    case mixed(key: String)
    case unknownOperator(String)
    /// An operator's operand must be an object of paths.
    case operandNotObject(operator: String)
    case badPath(operator: String, FieldPathError)
    /// `_id` names the id and is never in a document.
    case idIsImmutable(path: String)
    /// Two operations on one path, or one on a path that leads through the other's.
    case conflict(path: String, other: String)
    /// An operand breaks the operator's rule.
    case badOperand(path: String, operator: String, rule: String)
    case tooManyOperations(maximum: Int)
    /// The document itself is no object.
    case documentNotObject
    /// The field is there and of a kind that the operator cannot work on.
    case wrongKind(path: String, operator: String, kind: TapeValue.Kind)
    /// A scalar or null lies on the way, or an array met a step that is no index.
    case cannotCreate(path: String, at: String)
    /// An index so far beyond the array's end that filling up with nulls is refused.
    case indexTooLarge(path: String, maximum: Int)
    case arithmetic(path: String, DecimalError)
    case tooDeep(maximum: Int)
    /// A `$pull` condition that the matcher refuses.
    case badCondition(path: String, reason: String)
}

/// A change to a document: MongoDB's update operators, or a merge patch (RFC 7396).
package struct Update: Sendable, Equatable {
    /// Paths in one update.
    package static let operationCountMax = 1_000
    /// Nulls that an index beyond an array's end may fill in.
    package static let paddingMax = 1_000

    /// One operator on one path.
    package struct Operation: Sendable, Equatable {
        package let path: FieldPath
        package let action: Action
        let keys: [String]
    }

    /// What happens at the path.
    package enum Action: Sendable, Equatable {
        case set(JSON)
        case unset
        case increment(JSONNumber)
        case multiply(JSONNumber)
        case minimum(JSON)
        case maximum(JSON)
        case push(Push)
        case addToSet([JSON])
        /// A value to equal, or a condition (an object) for the matcher.
        case pull(JSON)
        /// A datetime as text, or as milliseconds since 1970.
        case currentDate(isMilliseconds: Bool)
    }

    /// `$push` with its modifiers, applied in the order position, sort, slice.
    package struct Push: Sendable, Equatable {
        package var values: [JSON]
        package var position: Int?
        package var slice: Int?
        package var sort: Sort?
    }

    /// The order of `$push`'s `$sort`.
    package enum Sort: Sendable, Equatable {
        case values(isAscending: Bool)
        case fields([SortField])
    }

    /// One key of `$push`'s `$sort` over objects.
    package struct SortField: Sendable, Equatable {
        let keys: [String]
        let isAscending: Bool
    }

    /// The two kinds of updates.
    package enum Content: Sendable, Equatable {
        case merge(JSONObject)
        case operations([Operation])
    }

    package let content: Content

    /// Reads an update: all keys begin with `$`, or none does. `{}` is a merge patch that changes
    /// nothing.
    /// - Throws: `UpdateError` for anything that can be known to be wrong without the document.
    /// - Complexity: O(operations²) for the conflict check, at most 1,000 operations.
    package init(_ json: JSON) throws(UpdateError) {
        guard case .object(let object) = json else { throw .notAnObject }
        let isOperator = object.members.map { $0.key.utf8.first == 0x24 }
        guard isOperator.contains(true) else {
            guard object["_id"] == nil else { throw .idIsImmutable(path: "_id") }
            content = .merge(object)
            return
        }
        if let plain = isOperator.firstIndex(of: false) {
            throw .mixed(key: object.members[plain].key)
        }
        var operations: [Operation] = []
        for (name, operand) in object.members {
            guard Self.operators.contains(name) else { throw .unknownOperator(name) }
            guard case .object(let paths) = operand else {
                throw .operandNotObject(operator: name)
            }
            for (text, value) in paths.members {
                guard operations.count < Self.operationCountMax else {
                    throw .tooManyOperations(maximum: Self.operationCountMax)
                }
                operations.append(try Self.operation(name, text, value))
            }
        }
        try Self.checkConflicts(operations)
        content = .operations(operations)
    }

    /// The conditions and values of all `$pull`s, so that a caller can validate them beforehand.
    package var pullConditions: [JSON] {
        guard case .operations(let operations) = content else { return [] }
        return operations.compactMap { if case .pull(let json) = $0.action { json } else { nil } }
    }

    private static let operators: Set<String> = [
        "$set", "$unset", "$inc", "$mul", "$min", "$max", "$push", "$addToSet", "$pull",
        "$currentDate",
    ]

    private static func operation(
        _ name: String,
        _ text: String,
        _ value: JSON
    ) throws(UpdateError) -> Operation {
        let path: FieldPath
        do throws(FieldPathError) { path = try FieldPath(text) } catch {
            throw .badPath(operator: name, error)
        }
        let keys = path.keys
        guard keys.first != "_id" else { throw .idIsImmutable(path: text) }
        func number() throws(UpdateError) -> JSONNumber {
            guard case .number(let number) = value else {
                throw .badOperand(path: text, operator: name, rule: "a number")
            }
            return number
        }
        let action: Action
        switch name {
        case "$set": action = .set(value)
        case "$unset": action = .unset
        case "$inc": action = .increment(try number())
        case "$mul": action = .multiply(try number())
        case "$min": action = .minimum(value)
        case "$max": action = .maximum(value)
        case "$push": action = .push(try push(text, value))
        case "$addToSet": action = .addToSet(try each(text, name, value))
        case "$pull": action = .pull(value)
        default: action = .currentDate(isMilliseconds: try currentDate(text, value))
        }
        return Operation(path: path, action: action, keys: keys)
    }

    /// Sorted by keys, conflicting paths are neighbours: a prefix directly precedes its extensions.
    private static func checkConflicts(_ operations: [Operation]) throws(UpdateError) {
        let sorted = operations.sorted { a, b in
            for (x, y) in zip(a.keys, b.keys) {
                let order = ValueOrder.compareStrings(x, y)
                if order != 0 { return order < 0 }
            }
            return a.keys.count < b.keys.count
        }
        for (a, b) in zip(sorted, sorted.dropFirst()) where a.path.conflicts(with: b.path) {
            throw .conflict(path: b.path.text, other: a.path.text)
        }
    }

    private static func currentDate(_ path: String, _ value: JSON) throws(UpdateError) -> Bool {
        if case .bool(true) = value { return false }
        if case .object(let object) = value, object.count == 1 {
            switch object["$type"]?.string {
            case "date": return false
            case "timestamp": return true
            default: break
            }
        }
        throw .badOperand(
            path: path,
            operator: "$currentDate",
            rule: #"true, {"$type":"date"} or {"$type":"timestamp"}"#
        )
    }

    /// The values of `{"$each":[…]}`, or the one value itself.
    private static func each(
        _ path: String,
        _ name: String,
        _ value: JSON
    ) throws(UpdateError) -> [JSON] {
        guard case .object(let object) = value, object.members.first?.key.utf8.first == 0x24 else {
            return [value]
        }
        guard case .array(let values)? = object["$each"], object.count == 1 else {
            throw .badOperand(path: path, operator: name, rule: #"a value or {"$each":[…]}"#)
        }
        return values
    }

    private static func push(_ path: String, _ value: JSON) throws(UpdateError) -> Push {
        guard case .object(let object) = value, object.members.first?.key.utf8.first == 0x24 else {
            return Push(values: [value])
        }
        func bad(_ rule: String) -> UpdateError {
            .badOperand(path: path, operator: "$push", rule: rule)
        }
        func integer(_ name: String, _ value: JSON) throws(UpdateError) -> Int {
            guard let integer = value.int64 else { throw bad("\(name) is an integer") }
            return Int(integer)
        }
        guard case .array(let values)? = object["$each"] else { throw bad("$each is an array") }
        var push = Push(values: values)
        for (key, modifier) in object.members {
            switch key {
            case "$each": break
            case "$position": push.position = try integer(key, modifier)
            case "$slice": push.slice = try integer(key, modifier)
            case "$sort": push.sort = try sort(path, modifier)
            default: throw bad("modifiers are $each, $position, $slice and $sort")
            }
        }
        return push
    }

    private static func sort(_ path: String, _ value: JSON) throws(UpdateError) -> Sort {
        let bad = UpdateError.badOperand(
            path: path,
            operator: "$push",
            rule: "$sort is 1, -1 or an object of them"
        )
        func direction(_ value: JSON) throws(UpdateError) -> Bool {
            if value == .int(1) { return true }
            if value == .int(-1) { return false }
            throw bad
        }
        guard case .object(let object) = value else {
            return .values(isAscending: try direction(value))
        }
        guard !object.isEmpty else { throw bad }
        var fields: [SortField] = []
        for (key, value) in object.members {
            let field: FieldPath
            do throws(FieldPathError) { field = try FieldPath(key) } catch {
                throw .badPath(operator: "$sort", error)
            }
            fields.append(SortField(keys: field.keys, isAscending: try direction(value)))
        }
        return .fields(fields)
    }
}
