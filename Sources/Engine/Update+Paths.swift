import Documents

extension Update {
    /// Whether the update writes or removes what is at a path, by itself or with what holds it.
    ///
    /// Complexity: O(operations + steps of the path).
    func touches(_ path: String) -> Bool {
        switch content {
        case .merge(let object): Self.touches(object, path[...])
        case .operations(let operations):
            operations.contains { path == $0.path.text || path.hasPrefix($0.path.text + ".") }
        }
    }

    /// The path of the first operator that would look at what is at `path`, which is kept apart
    /// from the document: any one inside of it, and any on it or on what holds it but those that
    /// replace and remove whatever is there.
    ///
    /// Complexity: O(operations).
    func pathThatReads(_ path: String) -> String? {
        guard case .operations(let operations) = content else { return nil }
        return operations.first { operation in
            let text = operation.path.text
            if text.hasPrefix(path + ".") { return true }
            switch operation.action {
            case .set, .unset: return false
            case .increment, .multiply, .minimum, .maximum, .push, .addToSet, .pull, .currentDate:
                return path == text || path.hasPrefix(text + ".")
            }
        }?.path.text
    }

    /// A merge leaves alone what its objects do not name.
    private static func touches(_ object: JSONObject, _ path: Substring) -> Bool {
        let name = path.prefix { $0 != "." }
        guard let value = object[String(name)] else { return false }
        guard case .object(let inner) = value, name.endIndex < path.endIndex else { return true }
        return touches(inner, path[path.index(after: name.endIndex)...])
    }
}
