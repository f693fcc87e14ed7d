extension Update {
    /// Decides whether an array's element meets a `$pull` condition that is an object.
    package typealias PullMatcher =
        (_ condition: JSON, _ element: JSON) throws(UpdateError) -> Bool

    /// Applies the update to a document; the document itself is untouched when it fails.
    ///
    /// Missing objects on the way are created (a numeric step too makes an object, as in MongoDB);
    /// an index beyond an array's end fills up with nulls; `$unset` of an element leaves null.
    /// - Parameters:
    ///   - now: milliseconds since 1970, for `$currentDate`.
    ///   - depthMax: levels that the result may have.
    ///   - matches: for `$pull` with an object; a `$pull` of any other value compares by value.
    /// - Throws: `UpdateError`.
    /// - Complexity: O(operations × (members passed + array elements touched)).
    package func apply(
        to document: JSON,
        now: Int64,
        depthMax: Int = 64,
        matches: PullMatcher = { (condition, element) in condition == element }
    ) throws(UpdateError) -> JSON {
        guard case .object(let object) = document else { throw .documentNotObject }
        let result: JSON
        switch content {
        case .merge(let patch):
            result = .object(Self.merge(patch, into: object))
        case .operations(let operations):
            var changed = document
            for operation in operations {
                try operation.apply(to: &changed, now: now, matches: matches)
            }
            result = changed
        }
        guard result.depth <= depthMax else { throw .tooDeep(maximum: depthMax) }
        return result
    }

    /// RFC 7396. Recursion is bounded by the patch's depth, which the parser bounds.
    private static func merge(_ patch: JSONObject, into target: JSONObject) -> JSONObject {
        var result = target
        for (key, value) in patch.members {
            switch value {
            case .null: result[key] = nil
            case .object(let nested):
                result[key] = .object(merge(nested, into: result[key]?.object ?? JSONObject()))
            case .bool, .number, .string, .array: result[key] = value
            }
        }
        return result
    }
}

extension Update.Operation {
    fileprivate func apply(
        to document: inout JSON,
        now: Int64,
        matches: Update.PullMatcher
    ) throws(UpdateError) {
        try visit(&document, 0) { (value) throws(UpdateError) in
            try change(&value, now: now, matches: matches)
        }
    }

    /// Whether the operator makes the field, and the way to it, when it is missing.
    private var isCreating: Bool {
        switch action {
        case .unset, .pull: false
        case .set, .increment, .multiply, .minimum, .maximum, .push, .addToSet, .currentDate: true
        }
    }

    /// Goes down the path, hands the place at its end to `body` (nil is absent, before and after)
    /// and puts the parts together again. Recursion is bounded by the path's steps.
    private func visit(
        _ value: inout JSON,
        _ at: Int,
        _ body: (inout JSON?) throws(UpdateError) -> Void
    ) throws(UpdateError) {
        let isLast = at == keys.count - 1
        func descend(_ slot: inout JSON?) throws(UpdateError) {
            guard !isLast else { return try body(&slot) }
            var child: JSON
            if let present = slot { child = present } else { child = .object(JSONObject()) }
            slot = nil
            try visit(&child, at + 1, body)
            slot = child
        }
        switch value {
        case .object(var object):
            // The tree's own reference goes first, so that the change is made in place.
            value = .null
            let index = object.index(of: keys[at])
            guard index != nil || isCreating else {
                value = .object(object)
                return
            }
            var slot: JSON?
            if let index {
                slot = object.members[index].value
                object.members[index].value = .null
            }
            try descend(&slot)
            switch (index, slot) {
            case (let index?, let slot?): object.members[index].value = slot
            case (let index?, nil): object.members.remove(at: index)
            case (nil, let slot?): object.members.append((key: keys[at], value: slot))
            case (nil, nil): break
            }
            value = .object(object)
        case .array(var elements):
            guard let index = path.arrayIndex(at: at) else {
                guard isCreating else { return }
                throw .cannotCreate(path: path.text, at: keys[..<at].joined(separator: "."))
            }
            guard index < elements.count || isCreating else { return }
            guard index - elements.count <= Update.paddingMax else {
                throw .indexTooLarge(path: path.text, maximum: elements.count + Update.paddingMax)
            }
            value = .null
            var slot: JSON?
            if index < elements.count {
                slot = elements[index]
                elements[index] = .null
            }
            try descend(&slot)
            while elements.count <= index { elements.append(.null) }
            elements[index] = slot ?? .null
            value = .array(elements)
        case .null, .bool, .number, .string:
            guard isCreating else { return }
            throw .cannotCreate(path: path.text, at: keys[..<at].joined(separator: "."))
        }
    }

    private func change(
        _ slot: inout JSON?,
        now: Int64,
        matches: Update.PullMatcher
    ) throws(UpdateError) {
        switch action {
        case .set(let value): slot = value
        case .unset: slot = nil
        case .increment(let amount):
            slot = .number(try arithmetic(slot, "$inc", amount, DecimalArithmetic.add))
        case .multiply(let factor):
            // MongoDB: an absent field becomes zero of the factor's kind.
            let zero = factor.isInteger ? "0" : "0.0"
            let present = slot ?? .number(JSONNumber(validText: zero))
            slot = .number(try arithmetic(present, "$mul", factor, DecimalArithmetic.multiply))
        case .minimum(let value):
            if let present = slot, ValueOrder.compare(value, present) >= 0 { return }
            slot = value
        case .maximum(let value):
            if let present = slot, ValueOrder.compare(value, present) <= 0 { return }
            slot = value
        case .push(let push):
            var elements = try array(slot, "$push") ?? []
            slot = nil
            push.apply(to: &elements)
            slot = .array(elements)
        case .addToSet(let values):
            var elements = try array(slot, "$addToSet") ?? []
            slot = nil
            for value in values where !elements.contains(value) { elements.append(value) }
            slot = .array(elements)
        case .pull(let condition):
            guard let elements = try array(slot, "$pull") else { return }
            var kept: [JSON] = []
            for element in elements where try !pulls(condition, element, matches) {
                kept.append(element)
            }
            slot = .array(kept)
        case .currentDate(let isMilliseconds):
            slot = isMilliseconds ? .int(now) : .string(DateTime.format(now))
        }
    }

    private func pulls(
        _ condition: JSON,
        _ element: JSON,
        _ matches: Update.PullMatcher
    ) throws(UpdateError) -> Bool {
        guard case .object = condition else { return condition == element }
        return try matches(condition, element)
    }

    private func array(_ slot: JSON?, _ name: String) throws(UpdateError) -> [JSON]? {
        guard let slot else { return nil }
        guard case .array(let elements) = slot else {
            throw .wrongKind(path: path.text, operator: name, kind: slot.kind)
        }
        return elements
    }

    private func arithmetic(
        _ slot: JSON?,
        _ name: String,
        _ operand: JSONNumber,
        _ compute: (JSONNumber, JSONNumber) throws(DecimalError) -> JSONNumber
    ) throws(UpdateError) -> JSONNumber {
        guard let slot else { return operand }
        guard case .number(let number) = slot else {
            throw .wrongKind(path: path.text, operator: name, kind: slot.kind)
        }
        do throws(DecimalError) { return try compute(number, operand) } catch {
            throw .arithmetic(path: path.text, error)
        }
    }
}

extension Update.Push {
    /// Inserts, sorts (stably), then cuts. A negative position counts from the end, a negative
    /// slice keeps the last ones.
    fileprivate func apply(to elements: inout [JSON]) {
        let end = elements.count
        var at = end
        if let position {
            at = position >= 0 ? min(position, end) : max(0, end + max(position, -end))
        }
        elements.insert(contentsOf: values, at: at)
        if let sort {
            let order = elements.indices.sorted { a, b in
                let order = sort.compare(elements[a], elements[b])
                return order == 0 ? a < b : order < 0
            }
            elements = order.map { elements[$0] }
        }
        if let slice {
            elements =
                slice >= 0
                ? Array(elements.prefix(slice))
                : Array(elements.suffix(Int(min(slice.magnitude, UInt(elements.count)))))
        }
    }
}

extension Update.Sort {
    fileprivate func compare(_ a: JSON, _ b: JSON) -> Int {
        switch self {
        case .values(let isAscending):
            let order = ValueOrder.compare(a, b)
            return isAscending ? order : -order
        case .fields(let fields):
            for field in fields {
                let order = ValueOrder.compare(field.value(in: a), field.value(in: b))
                if order != 0 { return field.isAscending ? order : -order }
            }
            return 0
        }
    }
}

extension Update.SortField {
    /// Absent orders as null.
    fileprivate func value(in element: JSON) -> JSON {
        var value = element
        for key in keys {
            guard let member = value[key] else { return .null }
            value = member
        }
        return value
    }
}
