import Documents
import GeoJSON

/// The times that stamps write: always 24 characters, so that one can be overwritten in place.
enum StampText {
    static let count = 24

    static func bytes(_ milliseconds: Int64) -> [UInt8] {
        Array(DateTime.format(milliseconds).utf8)
    }
}

extension DocumentWalk {
    /// Makes the document: the minified text with the edits applied, entries and vectors.
    mutating func finish() -> PreparedDocument {
        if !edits.isEmpty { moveStringsOutOfText() }
        if needsGrouping { groupEntries() }
        var stamps: [PreparedDocument.CreatedStamp] = []
        var document = PreparedDocument(bytes: edits.isEmpty ? copy() : edited(&stamps))
        document.createdStamps = stamps
        document.strings = strings
        document.vectors = vectors
        document.places = places
        document.hours = hours
        document.hasMismatch = hasMismatch
        // An array of no capacity would write its count into the storage that all empty ones
        // share.
        if !entries.isEmpty {
            document.entries = Array(unsafeUninitializedCapacity: entries.count) { buffer, count in
                count = buffer.initialize(fromContentsOf: entries)
            }
        }
        return document
    }

    private func copy() -> [UInt8] {
        Array(unsafeUninitializedCapacity: minified.count) { buffer, count in
            UnsafeMutableRawBufferPointer(buffer).copyMemory(from: minified)
            count = minified.count
        }
    }

    private func edited(_ stamps: inout [PreparedDocument.CreatedStamp]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(minified.count + insertions.count)
        var position = 0
        for edit in edits {
            out.append(
                contentsOf: UnsafeRawBufferPointer(rebasing: minified[position..<edit.start])
            )
            if let field = edit.createdStamp {
                stamps.append(.init(field: field, offset: out.count + edit.stampOffset))
            }
            out.append(contentsOf: insertions[edit.from..<edit.to])
            position = edit.end
        }
        out.append(contentsOf: UnsafeRawBufferPointer(rebasing: minified[position...]))
        return out
    }

    /// Edits move text, so strings that lie in it are copied aside.
    private mutating func moveStringsOutOfText() {
        for index in entries.indices {
            let entry = entries[index]
            guard entry.kind == .string, entry.payload & FieldEntry.inStrings == 0 else { continue }
            let start = Int(entry.payload)
            let payload = FieldEntry.inStrings | UInt64(strings.count)
            strings.append(
                contentsOf: UnsafeRawBufferPointer(
                    rebasing: minified[start..<start + Int(entry.length)]
                )
            )
            entries[index] = FieldEntry(
                field: entry.field,
                kind: .string,
                length: entry.length,
                payload: payload
            )
        }
    }

    /// Brings entries of one field together and keeps the order within each.
    private mutating func groupEntries() {
        let order = entries.indices.sorted {
            (entries[$0].field, $0) < (entries[$1].field, $1)
        }
        entries = order.map { entries[$0] }
    }
}

// MARK: - Rules that are not in the plan's records

extension DocumentWalk {
    func text(of rule: BrokenRule) -> String {
        switch rule {
        case .type(let index): "type " + typeName(index)
        case .arrayType(let index): "type array of " + typeName(index)
        case .minimum(let index): "min " + (plan.definitions[index]?.minimum?.text ?? "")
        case .maximum(let index): "max " + (plan.definitions[index]?.maximum?.text ?? "")
        case .allowed(let index):
            "enum "
                + shortened(
                    (plan.definitions[index]?.allowed ?? []).map(\.text).joined(separator: ", ")
                )
        case .text(let text): text
        }
    }

    private func typeName(_ index: Int) -> String {
        plan.definitions[index]?.type.name ?? "object"
    }

    func isAllowed(_ index: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let all = plan.definitions[index]?.allowedStrings else { return true }
        return all.contains { candidate in
            candidate.withUnsafeBytes { bytesEqual($0, bytes) }
        }
    }

    func isAllowed(_ index: Int, _ key: Int64) -> Bool {
        plan.definitions[index]?.allowedKeys.contains(key) ?? true
    }

    /// Places, opening hours and vectors.
    mutating func structured(
        _ index: Int,
        _ node: PlanNode,
        _ value: TapeValue
    ) throws(ValidationError) {
        switch node.kind {
        case .geopoint, .geoshape:
            let place = try PlaceReader.place(value, node)
            // What was stored before lines were refused is read as it is.
            if isValidating, case .shape(.lineString) = place { throw PlaceReader.lineIsNoZone }
            if node.flags.contains(.taken) {
                places.append(.init(field: node.number, place: place))
            }
        case .hours:
            let value = try HoursRule.hours(value)
            if node.flags.contains(.taken) {
                hours.append(.init(field: node.number, hours: value))
            }
        case .vector:
            guard case .vector(let options)? = plan.definitions[index]?.type else { return }
            if heldVectors.contains(node.number) {
                throw ValidationError(path: "", rule: "is given once", value: "")
            }
            let values = try VectorReader.read(value, options: options)
            vectors.append(.init(field: node.number, values: values))
        case .string, .int, .float, .decimal, .bool, .datetime, .object, .json: break
        }
    }
}

extension SchemaPlan {
    /// A default as it is written into documents, and the entries it gives.
    struct DefaultValue {
        var text: [UInt8] = []
        var entries: [FieldEntry] = []
        var strings: [UInt8] = []
        var places: [PreparedDocument.PlaceValue] = []
        var hours: [PreparedDocument.HoursValue] = []
    }

    func makeDefaults() -> [DefaultValue] {
        let parser = JSONParser()
        return definitions.map { definition in
            guard let definition, let value = definition.defaultValue else { return DefaultValue() }
            var result = DefaultValue(text: Array(value.text.utf8))
            let wrapped = JSON.object(JSONObject([(key: definition.name, value: value)])).text
            guard let root = try? parser.parse(wrapped, depthMax: 64) else { return result }
            let probe = Schema(
                definitions: [definition.withoutDefault],
                unknown: .keep,
                compounds: [],
                stockOf: nil,
                nextFieldNumber: 0
            )
            var walk = DocumentWalk(
                plan: probe.plan,
                minified: parser.minified,
                isValidating: false
            )
            walk.takesPlaces = true
            try? walk.object(0, root, isInsideArray: false)
            let document = walk.finish()
            result.places = document.places
            result.hours = document.hours
            // All strings go to one place, so that adding the default is one append.
            for entry in document.entries {
                guard entry.kind == .string else {
                    result.entries.append(entry)
                    continue
                }
                let payload = FieldEntry.inStrings | UInt64(result.strings.count)
                document.withString(entry) { result.strings.append(contentsOf: $0) }
                result.entries.append(
                    FieldEntry(
                        field: entry.field,
                        kind: .string,
                        length: entry.length,
                        payload: payload
                    )
                )
            }
            return result
        }
    }
}

extension FieldDefinition {
    fileprivate var withoutDefault: FieldDefinition {
        var copy = self
        copy.defaultValue = nil
        return copy
    }
}
