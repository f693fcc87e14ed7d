package import Documents

/// Turns a document as sent into what is stored and indexed, or says which rule it breaks.
///
/// One per thread: it keeps scratch memory. See ``prepare(_:schema:parser:nowMilliseconds:)``.
package final class DocumentPreparer {
    private var entries: [FieldEntry] = []
    private var edits: [DocumentWalk.Edit] = []

    /// An empty preparer.
    package init() {}

    /// Checks a document against every rule of its schema and prepares it for storing.
    ///
    /// Defaults and stamps are appended at the end of their object; a stamp that was sent is
    /// overwritten; vectors and, under `drop`, undeclared members are taken out. `null` counts as
    /// absent for `required` and keeps a default away. Complexity: O(bytes).
    ///
    /// - Parameters:
    ///   - bytes: the JSON text; need not be minified.
    ///   - parser: its tape holds the document as sent afterwards, until its next parse.
    ///   - nowMilliseconds: the moment for stamps, since 1970.
    ///   - heldVectors: fields whose vector exists outside the text and so is not missing.
    /// - Throws: ``ValidationError`` for bad JSON and for the first broken rule.
    package func prepare(
        _ bytes: UnsafeRawBufferPointer,
        schema: Schema,
        parser: JSONParser,
        nowMilliseconds: Int64,
        depthMax: Int = 64,
        heldVectors: [FieldNumber] = []
    ) throws(ValidationError) -> PreparedDocument {
        let root: TapeValue
        do {
            root = try parser.parse(bytes, depthMax: depthMax)
        } catch {
            throw ValidationError(error)
        }
        return try prepare(
            root,
            minified: parser.minified,
            schema: schema,
            nowMilliseconds: nowMilliseconds,
            heldVectors: heldVectors
        )
    }

    /// The same for bytes in an array.
    package func prepare(
        _ bytes: [UInt8],
        schema: Schema,
        parser: JSONParser,
        nowMilliseconds: Int64,
        depthMax: Int = 64,
        heldVectors: [FieldNumber] = []
    ) throws(ValidationError) -> PreparedDocument {
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(ValidationError) in
                try prepare(
                    buffer,
                    schema: schema,
                    parser: parser,
                    nowMilliseconds: nowMilliseconds,
                    depthMax: depthMax,
                    heldVectors: heldVectors
                )
            }
        }
        return try result.get()
    }

    /// The same for a document that is parsed already; `minified` is its parser's text.
    package func prepare(
        _ root: TapeValue,
        minified: UnsafeRawBufferPointer,
        schema: Schema,
        nowMilliseconds: Int64,
        heldVectors: [FieldNumber] = []
    ) throws(ValidationError) -> PreparedDocument {
        guard root.kind == .object else {
            throw ValidationError(path: "", rule: "a document is an object", value: describe(root))
        }
        var walk = makeWalk(schema: schema, minified: minified, isValidating: true)
        walk.nowMilliseconds = nowMilliseconds
        walk.heldVectors = heldVectors
        defer { keepScratch(of: walk) }
        try walk.object(0, root, isInsideArray: false)
        try walk.addRadii(root)
        return walk.finish()
    }

    /// A stored document with the defaults that it lacks, because they are newer than it; nil if it
    /// lacks none. Complexity: O(bytes).
    ///
    /// A document that cannot be parsed lacks none: whoever reads it next will say so.
    package func filled(
        _ bytes: UnsafeRawBufferPointer,
        schema: Schema,
        parser: JSONParser
    ) -> [UInt8]? {
        guard schema.fillsReads, let root = try? parser.parse(bytes, depthMax: 128) else {
            return nil
        }
        let prepared = extract(
            from: root, minified: parser.minified, schema: schema, takingPlaces: false)
        return prepared.bytes.count == parser.minified.count ? nil : prepared.bytes
    }

    /// The entries of a stored document, for rebuilding indexes: nothing is checked, and only
    /// defaults that are newer than the document are added.
    ///
    /// Vectors are those that stand in the text, where they stay. Places and hours are read anew;
    /// those that break a rule are passed over. A value of a wrong type has no
    /// entry and sets `hasMismatch`. Strings refer to the returned
    /// `bytes`, a copy of the minified text. Never throws. Complexity: O(bytes), and what
    /// polygons cost: see ``GeoJSON/shape(_:positionCountMax:)-(TapeValue,_)``.
    ///
    /// - Parameter takingPlaces: false leaves out places and hours.
    package func extract(
        from root: TapeValue,
        minified: UnsafeRawBufferPointer,
        schema: Schema,
        takingPlaces: Bool = true
    ) -> PreparedDocument {
        var walk = makeWalk(schema: schema, minified: minified, isValidating: false)
        walk.isFilling = schema.fillsReads
        walk.takesPlaces = takingPlaces
        defer { keepScratch(of: walk) }
        if root.kind == .object {
            try? walk.object(0, root, isInsideArray: false)
            try? walk.addRadii(root)
        }
        return walk.finish()
    }

    private func makeWalk(
        schema: Schema,
        minified: UnsafeRawBufferPointer,
        isValidating: Bool
    ) -> DocumentWalk {
        var walk = DocumentWalk(plan: schema.plan, minified: minified, isValidating: isValidating)
        swap(&walk.entries, &entries)
        swap(&walk.edits, &edits)
        return walk
    }

    private func keepScratch(of walk: consuming DocumentWalk) {
        entries = walk.entries
        edits = walk.edits
        entries.removeAll(keepingCapacity: true)
        edits.removeAll(keepingCapacity: true)
    }

    /// Checks a vector that another form of the field allowed.
    ///
    /// Throws ``ValidationError`` as ``vector(_:for:)`` does.
    package static func check(
        vector values: [Float], for field: Field
    ) throws(ValidationError) {
        guard let options = field.vectorOptions else {
            throw ValidationError(
                path: field.path, rule: "type \(field.type.name)",
                value: "a vector of \(values.count) dimensions")
        }
        do throws(ValidationError) {
            try VectorReader.check(values, options)
        } catch {
            throw error.prefixed(by: field.path)
        }
    }

    /// Reads a vector of `field` from little-endian f32 bytes, as `VEC` sends it.
    ///
    /// Throws ``ValidationError`` for a field that is no vector, for a wrong length, for NaN and
    /// infinity, and for a zero vector under cosine.
    package static func vector(
        _ bytes: UnsafeRawBufferPointer,
        for field: Field
    ) throws(ValidationError) -> PreparedDocument.VectorValue {
        guard case .vector(let options) = field.type else {
            throw ValidationError(path: field.path, rule: "is a vector field", value: "")
        }
        do throws(ValidationError) {
            let values = try VectorReader.read(littleEndian: bytes, options: options)
            return .init(field: field.number, values: values)
        } catch {
            throw error.prefixed(by: field.path)
        }
    }

    /// Reads a vector as a lookup names it: little-endian f32 bytes, a JSON array, or base64 of
    /// such bytes. An array's text may be as long as the bytes: what reads as one is one, as bytes
    /// that do are no vector that anybody has. Else what has the length of the bytes is the bytes.
    ///
    /// Throws ``ValidationError`` as ``vector(_:for:)`` does, and for what is no array of numbers.
    package static func vector(
        argument: [UInt8], for field: Field, parser: JSONParser
    ) throws(ValidationError) -> [Float] {
        let result = argument.withUnsafeBytes { bytes in
            Result { () throws(ValidationError) in
                try vector(argument: bytes, for: field, parser: parser)
            }
        }
        return try result.get()
    }

    private static func vector(
        argument bytes: UnsafeRawBufferPointer, for field: Field, parser: JSONParser
    ) throws(ValidationError) -> [Float] {
        guard case .vector(let options) = field.type else {
            throw ValidationError(path: field.path, rule: "is a vector field", value: "")
        }
        do throws(ValidationError) {
            let hasLengthOfBytes = bytes.count == options.dimensions * 4
            if bytes.first == UInt8(ascii: "[") {
                let value: TapeValue?
                do throws(JSONError) {
                    value = try parser.parse(bytes, depthMax: 4)
                } catch {
                    if !hasLengthOfBytes { throw ValidationError(error) }
                    value = nil
                }
                if let value { return try VectorReader.read(value, options: options) }
            }
            if hasLengthOfBytes {
                return try VectorReader.read(littleEndian: bytes, options: options)
            }
            guard let decoded = Base64.decode(bytes), !decoded.isEmpty else {
                throw ValidationError(
                    path: "", rule: "\(options.dimensions) dimensions",
                    value: "\(bytes.count) bytes")
            }
            let result = decoded.withUnsafeBytes { raw in
                Result { () throws(ValidationError) in
                    try VectorReader.read(littleEndian: raw, options: options)
                }
            }
            return try result.get()
        } catch {
            throw error.prefixed(by: field.path)
        }
    }
}

extension ValidationError {
    /// A parse error as the user sees it.
    package init(_ error: JSONError) {
        switch error.code {
        case .duplicateKey(let path, let key):
            self.init(path: path, rule: "keys of an object are unique", value: "\"\(key)\"")
        case .tooDeep(let maximum):
            self.init(path: "", rule: "nesting is at most \(maximum) levels", value: "")
        case .empty, .syntax, .unclosedString, .controlCharacter, .invalidUTF8, .badEscape,
            .loneSurrogate, .badNumber, .trailingContent, .tooLarge, .outOfMemory:
            self.init(path: "", rule: "is to be JSON: \(error.reason)", value: "")
        }
    }
}

/// A value's JSON text for a message, cut to about 100 bytes.
func describe(_ value: TapeValue) -> String {
    let text = value.rawText
    guard text.count > 100 else { return String(decoding: text, as: UTF8.self) }
    // A cut through a character would show as a replacement character: step back to its start.
    var end = 90
    while end > 0 && text[end] & 0xC0 == 0x80 { end -= 1 }
    return String(decoding: text[..<end], as: UTF8.self) + "…"
}
