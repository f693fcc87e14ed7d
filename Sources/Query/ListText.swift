import Documents

/// The lists of options: `a,b:20,price:[0,50]` or a JSON array.
enum ListText {
    /// The items of a list. In the plain form they are strings; commas inside brackets do not
    /// separate. Throws `syntax` for an empty item and `invalid` for bad JSON.
    static func items(_ text: String, option: String) throws(QueryError) -> [JSON] {
        if text.hasPrefix("[") {
            guard let json = try? JSON(parsing: text, depthMax: 8), case .array(let items) = json
            else {
                throw .invalid(path: option, rule: "is a JSON array", value: shortened(text))
            }
            return try checked(items, option)
        }
        var items: [JSON] = []
        var item = ""
        var depth = 0
        for character in text {
            if character == "[" { depth += 1 }
            if character == "]" { depth -= 1 }
            if character == "," && depth == 0 {
                items.append(.string(item))
                item = ""
            } else {
                item.append(character)
            }
        }
        items.append(.string(item))
        return try checked(items, option)
    }

    /// Items of one list, at most.
    static let itemCountMax = 1_000

    private static func checked(_ items: [JSON], _ option: String) throws(QueryError) -> [JSON] {
        guard !items.isEmpty, !items.contains(.string("")) else {
            throw .syntax(option: option, rule: "has no empty item")
        }
        guard items.count <= itemCountMax else {
            throw .limit(name: "items of \(option)", maximum: itemCountMax)
        }
        return items
    }

    /// Splits `name:rest` at its first colon.
    static func split(_ text: String) -> (name: String, rest: String?) {
        guard let colon = text.firstIndex(of: ":") else { return (text, nil) }
        return (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    /// Checks that a name is a path. ASCII characters that no declared name has are refused: a list
    /// where one name is meant, as a rule.
    static func path(_ text: String, option: String) throws(QueryError) -> String {
        let isAddressable = text.utf8.allSatisfy { byte in
            byte >= 0x80 || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
                || byte == UInt8(ascii: "-") || (0x30...0x39).contains(byte)
                || (0x61...0x7A).contains(byte | 0x20)
        }
        guard isAddressable, let path = try? FieldPath(text) else {
            throw .invalid(path: option, rule: "is a field path", value: "\"\(shortened(text))\"")
        }
        return path.text
    }

    /// Ids or other strings of a list such as `NOT`.
    static func strings(_ text: String, option: String) throws(QueryError) -> [String] {
        var result: [String] = []
        for item in try items(text, option: option) {
            guard case .string(let string) = item else {
                throw .invalid(path: option, rule: "holds strings", value: shortened(item.text))
            }
            result.append(string)
        }
        return result
    }
}

/// Lists of plain names, such as ids: `a,b` or `["a,b"]`.
package enum NameList {
    /// The strings of a list. Throws ``QueryError``.
    ///
    /// - Parameter allowsNone: an empty JSON array is no error.
    package static func parse(
        _ text: String, option: String, allowsNone: Bool = false
    ) throws(QueryError) -> [String] {
        if allowsNone, let json = try? JSON(parsing: text, depthMax: 2), json == .array([]) {
            return []
        }
        return try ListText.strings(text, option: option)
    }
}
