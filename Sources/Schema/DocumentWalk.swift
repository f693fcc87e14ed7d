import Documents

/// One pass over a document's tape along the plan of its schema.
///
/// Gathers entries, vectors and the edits that make the stored text from the minified one. Members
/// are visited in their order, so edits come out sorted by offset. An error travels upwards and
/// gathers its path on the way: the path costs nothing while all is well.
struct DocumentWalk {
    /// Replaces `minified[start..<end]` by `insertions[from..<to]`.
    struct Edit {
        var start: Int
        var end: Int
        var from = 0
        var to = 0
        /// The `created` stamp that lies in the inserted text, `stampOffset` bytes into it.
        var createdStamp: FieldNumber?
        var stampOffset = 0
    }

    let plan: SchemaPlan
    let minified: UnsafeRawBufferPointer
    let isValidating: Bool
    /// Not validating, but adding the defaults that stored documents may lack.
    var isFilling = false
    var nowMilliseconds: Int64 = 0
    var heldVectors: [FieldNumber] = []
    var entries: [FieldEntry] = []
    var edits: [Edit] = []
    var insertions: [UInt8] = []
    var strings: [UInt8] = []
    var vectors: [PreparedDocument.VectorValue] = []
    var places: [PreparedDocument.PlaceValue] = []
    var hours: [PreparedDocument.HoursValue] = []
    /// Places and hours are gathered where nothing is checked too.
    var takesPlaces = false
    var hasMismatch = false
    /// Entries of fields inside arrays of objects come interleaved.
    var needsGrouping = false

    init(plan: SchemaPlan, minified: UnsafeRawBufferPointer, isValidating: Bool) {
        self.plan = plan
        self.minified = minified
        self.isValidating = isValidating
    }

    /// Refuses the value when validating; notes a mismatch when extracting.
    mutating func fail(_ rule: BrokenRule, _ value: TapeValue) throws(ValidationError) {
        guard isValidating else {
            hasMismatch = true
            return
        }
        throw ValidationError(path: "", rule: text(of: rule), value: describe(value))
    }

    /// A rule that a value breaks; the numbers are places in the plan.
    enum BrokenRule {
        case type(Int)
        case arrayType(Int)
        case allowed(Int)
        case minimum(Int)
        case maximum(Int)
        case text(String)
    }

    // MARK: Objects

    /// Walks the members of an object whose declared members are the children of `parent`.
    mutating func object(
        _ parent: Int,
        _ value: TapeValue,
        isInsideArray: Bool
    ) throws(ValidationError) {
        let flags = plan.nodes[parent].flags
        let first = Int(plan.nodes[parent].firstChild)
        let dropsUnknown = isValidating && flags.contains(.dropUnknown)
        let refusesUnknown = isValidating && flags.contains(.refuseUnknown)
        var members = MemberEdits(firstOffset: value.textRange.lowerBound + 1)
        var seen: UInt64 = 0
        var guess = 0
        var children = value.children
        while let child = children.next() {
            let end = child.value.textRange.upperBound
            members.enter(&edits)
            guard let index = plan.child(of: parent, named: child.key, guess: guess) else {
                if refusesUnknown {
                    throw ValidationError(
                        path: String(decoding: child.key, as: UTF8.self),
                        rule: "is a declared field",
                        value: describe(child.value)
                    )
                }
                dropsUnknown ? members.remove(upTo: end, &edits) : members.keep(upTo: end)
                continue
            }
            guess = index - first + 1
            let ordinal = plan.nodes[index].checkOrdinal
            if ordinal < 64 { seen |= 1 << UInt64(ordinal) }
            let isRemoved: Bool
            do throws(ValidationError) {
                isRemoved = try member(index, child.value, isInsideArray: isInsideArray)
            } catch {
                throw error.prefixed(by: String(decoding: child.key, as: UTF8.self))
            }
            isRemoved ? members.remove(upTo: end, &edits) : members.keep(upTo: end)
        }
        let checkCount = Int(plan.nodes[parent].checkCount)
        guard isValidating || isFilling, checkCount > 0,
            checkCount > 64 || seen.nonzeroBitCount < checkCount
        else { return }
        try addMissing(
            parent,
            value,
            seen: seen,
            hasMembers: members.keptCount > 0,
            isInsideArray: isInsideArray
        )
    }

    /// Adds defaults and stamps at the object's end, and refuses what is required and missing.
    private mutating func addMissing(
        _ parent: Int,
        _ value: TapeValue,
        seen: UInt64,
        hasMembers: Bool,
        isInsideArray: Bool
    ) throws(ValidationError) {
        let first = Int(plan.nodes[parent].firstChild)
        let end = value.textRange.upperBound - 1
        var needsComma = hasMembers
        for index in first..<first + Int(plan.nodes[parent].childCount) {
            let node = plan.nodes[index]
            if node.checkOrdinal == 255 { continue }
            if node.checkOrdinal < 64 {
                if seen & 1 << UInt64(node.checkOrdinal) != 0 { continue }
            } else if value.member(UnsafeRawBufferPointer(plan.name(of: index))) != nil {
                continue
            }
            if node.kind == .vector && heldVectors.contains(node.number) { continue }
            if isFilling && !node.flags.contains(.fillsReads) { continue }
            let isStamp = !isFilling && !node.flags.isDisjoint(with: .stamped)
            guard isStamp || node.flags.contains(.hasDefault) else {
                throw ValidationError(
                    path: String(decoding: plan.name(of: index), as: UTF8.self),
                    rule: "required",
                    value: ""
                )
            }
            var edit = Edit(start: end, end: end, from: insertions.count)
            if needsComma { insertions.append(UInt8(ascii: ",")) }
            needsComma = true
            insertions.append(UInt8(ascii: "\""))
            insertions.append(contentsOf: plan.name(of: index))
            insertions.append(contentsOf: [UInt8(ascii: "\""), UInt8(ascii: ":")])
            if isStamp {
                appendStamp(node, to: &edit)
            } else {
                appendDefault(index, isInsideArray: isInsideArray)
            }
            edit.to = insertions.count
            edits.append(edit)
        }
    }

    private mutating func appendStamp(_ node: PlanNode, to edit: inout Edit) {
        insertions.append(UInt8(ascii: "\""))
        if node.flags.contains(.createdStamp) {
            edit.createdStamp = node.number
            edit.stampOffset = insertions.count - edit.from
        }
        insertions.append(contentsOf: StampText.bytes(nowMilliseconds))
        insertions.append(UInt8(ascii: "\""))
        if node.flags.contains(.entries) {
            append(.int, node.number, UInt64(bitPattern: nowMilliseconds))
        }
    }

    private mutating func appendDefault(_ index: Int, isInsideArray: Bool) {
        let value = plan.defaults[index]
        insertions.append(contentsOf: value.text)
        if isInsideArray && !value.entries.isEmpty { needsGrouping = true }
        if isValidating || takesPlaces {
            places += value.places
            hours += value.hours
        }
        let shift = UInt64(strings.count)
        strings.append(contentsOf: value.strings)
        for entry in value.entries {
            let payload = entry.kind == .string ? entry.payload + shift : entry.payload
            entries.append(
                FieldEntry(
                    field: entry.field,
                    kind: entry.kind,
                    length: entry.length,
                    payload: payload
                )
            )
        }
    }

    // MARK: Values

    /// Checks one declared member. Returns whether it is taken out of the stored text.
    private mutating func member(
        _ index: Int,
        _ value: TapeValue,
        isInsideArray: Bool
    ) throws(ValidationError) -> Bool {
        let node = plan.nodes[index]
        if isInsideArray && node.flags.contains(.entries) { needsGrouping = true }
        if isValidating && !node.flags.isDisjoint(with: .stamped) {
            var edit = Edit(
                start: value.textRange.lowerBound,
                end: value.textRange.upperBound,
                from: insertions.count
            )
            appendStamp(node, to: &edit)
            edit.to = insertions.count
            edits.append(edit)
            return false
        }
        if value.isNull {
            if node.flags.contains(.required) { try fail(.text("required"), value) }
            if node.flags.contains(.entries) { append(.null, node.number, 0) }
            return false
        }
        if node.flags.contains(.array) {
            try array(index, node, value)
            return false
        }
        try element(index, node, value, isInsideArray: isInsideArray)
        return isValidating && node.kind == .vector
    }

    private mutating func array(
        _ index: Int,
        _ node: PlanNode,
        _ value: TapeValue
    ) throws(ValidationError) {
        guard value.kind == .array else {
            return try fail(.arrayType(index), value)
        }
        if value.count == 0 && node.flags.contains(.entries) {
            append(.emptyArray, node.number, 0)
        }
        var children = value.children
        var position = 0
        while let child = children.next() {
            do throws(ValidationError) {
                if child.value.isNull {
                    try fail(.type(index), child.value)
                } else {
                    try element(index, node, child.value, isInsideArray: true)
                }
            } catch {
                throw error.prefixed(by: String(position))
            }
            position += 1
        }
    }

    private mutating func element(
        _ index: Int,
        _ node: PlanNode,
        _ value: TapeValue,
        isInsideArray: Bool
    ) throws(ValidationError) {
        switch node.kind {
        case .string: try string(index, node, value)
        case .int, .float, .decimal, .bool, .datetime: try number(index, node, value)
        case .object:
            guard value.kind == .object else { return try fail(.type(index), value) }
            try object(index, value, isInsideArray: isInsideArray)
        case .json: break
        case .geopoint, .geoshape, .hours, .vector:
            // A text holds a vector only if it was stored before the field was declared: the
            // vector is found, and one that is none is passed over.
            if isValidating {
                try structured(index, node, value)
            } else if node.kind == .vector || (takesPlaces && node.flags.contains(.taken)) {
                try? structured(index, node, value)
            }
        }
    }

    @inline(__always)
    private mutating func string(
        _ index: Int,
        _ node: PlanNode,
        _ value: TapeValue
    ) throws(ValidationError) {
        guard value.kind == .string else { return try fail(.type(index), value) }
        let bytes = value.stringBytes
        if node.flags.contains(.allowed) && isValidating && !isAllowed(index, bytes) {
            return try fail(.allowed(index), value)
        }
        guard node.flags.contains(.entries) else { return }
        guard bytes.count <= DocumentWalk.indexedStringByteCountMax else {
            let limit = DocumentWalk.indexedStringByteCountMax
            return try fail(.text("at most \(limit) bytes where indexed"), value)
        }
        appendString(node.number, bytes)
    }

    /// The longest string that a column takes, in bytes.
    static let indexedStringByteCountMax = 8_192

    @inline(__always)
    private mutating func appendString(_ number: FieldNumber, _ bytes: UnsafeRawBufferPointer) {
        var payload = FieldEntry.inStrings | UInt64(strings.count)
        let length = UInt32(bytes.count)
        if let start = bytes.baseAddress, let base = minified.baseAddress, start >= base,
            start < base + minified.count
        {
            payload = UInt64(start - base)
        } else {
            strings.append(contentsOf: bytes)
        }
        entries.append(FieldEntry(field: number, kind: .string, length: length, payload: payload))
    }

    @inline(__always)
    private mutating func number(
        _ index: Int,
        _ node: PlanNode,
        _ value: TapeValue
    ) throws(ValidationError) {
        let key: Int64? =
            switch node.kind {
            case .int: ScalarReader.int(value)
            case .float: ScalarReader.float(value)
            case .decimal: ScalarReader.decimal(value, scale: Int(node.scale))
            case .bool: value.kind == .bool ? (value.bool ? 1 : 0) : nil
            case .datetime: ScalarReader.datetime(value)
            case .string, .geopoint, .geoshape, .vector, .hours, .object, .json: nil
            }
        guard let key else { return try fail(.type(index), value) }
        if isValidating && node.flags.contains(.bounded) {
            if key < node.minimum { return try fail(.minimum(index), value) }
            if key > node.maximum { return try fail(.maximum(index), value) }
        }
        if node.flags.contains(.allowed) && isValidating && !isAllowed(index, key) {
            return try fail(.allowed(index), value)
        }
        guard node.flags.contains(.entries) else { return }
        if node.kind == .float {
            append(.double, node.number, OrderedKey.double(key).bitPattern)
        } else {
            append(.int, node.number, UInt64(bitPattern: key))
        }
    }

    @inline(__always)
    private mutating func append(_ kind: FieldEntry.Kind, _ number: FieldNumber, _ payload: UInt64)
    {
        entries.append(FieldEntry(field: number, kind: kind, payload: payload))
    }
}

/// Follows an object's members and records which are taken out, commas included.
private struct MemberEdits {
    /// Where the current member's key begins.
    private var start: Int
    /// Where the member before it ends; its comma follows.
    private var previousEnd: Int
    private(set) var keptCount = 0
    private var isFirst = true
    private var lastWasRemoved = false

    init(firstOffset: Int) {
        start = firstOffset
        previousEnd = firstOffset
    }

    mutating func enter(_ edits: inout [DocumentWalk.Edit]) {
        if !isFirst { start = previousEnd + 1 }
        isFirst = false
        // With nothing kept before it, a removed member takes the comma behind it along.
        if lastWasRemoved && keptCount == 0 { edits[edits.count - 1].end = start }
        lastWasRemoved = false
    }

    mutating func keep(upTo end: Int) {
        keptCount += 1
        previousEnd = end
    }

    mutating func remove(upTo end: Int, _ edits: inout [DocumentWalk.Edit]) {
        edits.append(.init(start: keptCount > 0 ? previousEnd : start, end: end))
        previousEnd = end
        lastWasRemoved = true
    }
}
