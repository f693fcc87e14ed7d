import CSIMDJSON

/// Why a text is not an acceptable JSON document.
package struct JSONError: Error, Equatable, Sendable {
    /// The rule that was broken.
    package enum Code: Equatable, Sendable {
        case empty
        case syntax
        case unclosedString
        case controlCharacter
        case invalidUTF8
        case badEscape
        case loneSurrogate
        case badNumber
        case trailingContent
        case tooDeep(maximum: Int)
        /// The dotted path of the object that holds the key twice (empty for the root), and the
        /// key.
        case duplicateKey(path: String, key: String)
        case tooLarge
        case outOfMemory
    }

    package let code: Code
    /// A byte offset in the input near the fault; 0 where it is not known.
    package let offset: Int

    package init(code: Code, offset: Int) {
        self.code = code
        self.offset = offset
    }

    /// What is wrong, for the one who sent the text.
    package var reason: String {
        let place = offset > 0 ? " near byte \(offset)" : ""
        switch code {
        case .empty: return "there is no text"
        case .syntax: return "not JSON" + place
        case .unclosedString: return "a string is not closed" + place
        case .controlCharacter: return "a string holds a control character" + place
        case .invalidUTF8: return "the text is not UTF-8"
        case .badEscape: return "a string holds an escape that JSON does not have" + place
        case .loneSurrogate: return "a string holds half of a surrogate pair" + place
        case .badNumber: return "a number is not as JSON writes it" + place
        case .trailingContent: return "there is more text behind the value" + place
        case .tooDeep(let maximum): return "nesting is at most \(maximum) levels"
        case .duplicateKey(let path, let key):
            return "\(path.isEmpty ? "" : path + ": ")the key \"\(key)\" is there twice"
        case .tooLarge: return "the text is too long"
        case .outOfMemory: return "the text takes more memory than there is"
        }
    }
}

/// Parses JSON documents into a tape and minifies them on the way, reusing its buffers.
///
/// One per thread: neither Sendable nor safe to share. Linear in the input; at most 1,024 levels.
package final class JSONParser {
    // SAFETY: owned; freed in deinit. Every TapeValue points into its buffers until the next parse.
    private let parser: OpaquePointer
    private var view = aisle_json_view()

    /// No document may be nested deeper, whatever the caller allows.
    package static let depthLimit = 1_024

    package init() {
        guard let parser = aisle_json_parser_create() else { fatalError("out of memory") }
        self.parser = parser
    }

    deinit { aisle_json_parser_destroy(parser) }

    /// Parses one document.
    /// - Parameter depthMax: levels of arrays and objects that are allowed; 0 allows only scalars.
    /// - Returns: the root, valid until the next parse.
    /// - Throws: `JSONError` for anything outside RFC 8259, lone surrogates and duplicate keys.
    /// - Complexity: O(bytes).
    package func parse(
        _ bytes: UnsafeRawBufferPointer,
        depthMax: Int = 64
    ) throws(JSONError) -> TapeValue {
        let depth = max(0, min(depthMax, Self.depthLimit))
        let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let code = Int(aisle_json_parse(parser, start, bytes.count, UInt32(depth), &view))
        guard code == AISLE_JSON_OK, let root else { throw failure(code, depthMax: depth) }
        return root
    }

    /// Parses one document: see ``parse(_:depthMax:)``.
    package func parse(_ bytes: [UInt8], depthMax: Int = 64) throws(JSONError) -> TapeValue {
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(JSONError) in try parse(buffer, depthMax: depthMax) }
        }
        return try result.get()
    }

    /// Parses one document: see ``parse(_:depthMax:)``.
    package func parse(_ text: String, depthMax: Int = 64) throws(JSONError) -> TapeValue {
        try parse(Array(text.utf8), depthMax: depthMax)
    }

    /// The last document without whitespace, all else as written. Valid until the next parse.
    package var minified: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: view.text, count: Int(view.text_length))
    }

    private var root: TapeValue? {
        guard let nodes = view.nodes, let text = view.text, let strings = view.strings else {
            return nil
        }
        return TapeValue(node: nodes, text: text, strings: strings)
    }

    private func failure(_ code: Int, depthMax: Int) -> JSONError {
        let reason: JSONError.Code
        switch code {
        case AISLE_JSON_EMPTY: reason = .empty
        case AISLE_JSON_UNCLOSED_STRING: reason = .unclosedString
        case AISLE_JSON_CONTROL_CHARACTER: reason = .controlCharacter
        case AISLE_JSON_UTF8: reason = .invalidUTF8
        case AISLE_JSON_ESCAPE: reason = .badEscape
        case AISLE_JSON_SURROGATE: reason = .loneSurrogate
        case AISLE_JSON_NUMBER_GRAMMAR: reason = .badNumber
        case AISLE_JSON_TRAILING: reason = .trailingContent
        case AISLE_JSON_TOO_DEEP: reason = .tooDeep(maximum: depthMax)
        case AISLE_JSON_DUPLICATE_KEY: reason = duplicateKey(Int(view.error_node))
        case AISLE_JSON_TOO_LARGE: reason = .tooLarge
        case AISLE_JSON_MEMORY: reason = .outOfMemory
        default: reason = .syntax
        }
        return JSONError(code: reason, offset: Int(view.error_offset))
    }

    /// Walks from the root to the object that holds the key at `target`, gathering the path.
    private func duplicateKey(_ target: Int) -> JSONError.Code {
        guard let root else { return .syntax }
        func string(_ index: Int) -> String {
            TapeValue(node: root.node + index, text: root.text, strings: root.strings).string
        }
        var path: [String] = []
        var container = 0
        descent: while true {
            let isObject = root.node[container].type == TapeValue.Kind.object.rawValue
            var index = container + 1
            var ordinal = 0
            while index < target {
                let value = isObject ? index + 1 : index
                // Containers still open at the fault have the greatest span, so they hold it too.
                let end = value + Int(root.node[value].span)
                if target < end && target > value {
                    path.append(isObject ? string(index) : String(ordinal))
                    container = value
                    continue descent
                }
                index = end
                ordinal += 1
            }
            return .duplicateKey(path: path.joined(separator: "."), key: string(target))
        }
    }
}
