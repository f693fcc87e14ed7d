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

    /// A merge leaves alone what its objects do not name.
    private static func touches(_ object: JSONObject, _ path: Substring) -> Bool {
        let name = path.prefix { $0 != "." }
        guard let value = object[String(name)] else { return false }
        guard case .object(let inner) = value, name.endIndex < path.endIndex else { return true }
        return touches(inner, path[path.index(after: name.endIndex)...])
    }
}
