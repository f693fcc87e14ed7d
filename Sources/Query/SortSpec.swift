import Documents

/// The order of hits: keys in their order, ties by id.
package struct SortSpec: Sendable, Equatable {
    /// One key.
    package struct Key: Sendable, Equatable {
        package let path: String
        package let isDescending: Bool

        /// A distance: its values are made by whoever orders.
        package static let distance = Key(path: "$distance", isDescending: false)

        /// A key; `path` may be `_id`.
        package init(path: String, isDescending: Bool) {
            self.path = path
            self.isDescending = isDescending
        }
    }

    package let keys: [Key]

    /// Keys of one order, at most.
    package static let keyCountMax = 8

    /// Reads `price:-1,name` or `[["price",-1],["name",1]]`. Throws ``QueryError``.
    package init(parsing text: String) throws(QueryError) {
        var keys: [Key] = []
        for item in try ListText.items(text, option: "SORT") {
            let key: Key
            switch item {
            case .string(let text):
                let (name, direction) = ListText.split(text)
                key = try SortSpec.key(name, direction ?? "1")
            case .array(let pair):
                guard (1...2).contains(pair.count), let name = pair[0].string,
                    pair.count == 1 || pair[1].number != nil
                else {
                    throw .syntax(option: "SORT", rule: "an item is [field, 1 or -1]")
                }
                key = try SortSpec.key(name, pair.count == 1 ? "1" : pair[1].number?.text ?? "1")
            case .null, .bool, .number, .object:
                throw .syntax(option: "SORT", rule: "an item is a field or [field, 1 or -1]")
            }
            guard !keys.contains(where: { $0.path == key.path }) else {
                throw .syntax(option: "SORT", rule: "names \(key.path) once")
            }
            keys.append(key)
        }
        guard keys.count <= SortSpec.keyCountMax else {
            throw .limit(name: "keys of SORT", maximum: SortSpec.keyCountMax)
        }
        self.init(keys: keys)
    }

    /// An order of these keys. Ids differ, so that keys behind `_id` say nothing and are left out:
    /// whoever answers the order, from columns or documents, then sees the same keys.
    package init(keys: [Key]) {
        let end = keys.firstIndex { $0.path == "_id" } ?? keys.count
        self.keys = Array(keys.prefix(end + 1))
    }

    private static func key(_ name: String, _ direction: String) throws(QueryError) -> Key {
        guard direction == "1" || direction == "-1" else {
            throw .syntax(option: "SORT", rule: "a direction is 1 or -1")
        }
        return Key(
            path: try ListText.path(name, option: "SORT"),
            isDescending: direction == "-1"
        )
    }

    /// The order in its canonical form, `a:1,b:-1`: for hashing a query.
    package var text: String {
        keys.map { "\($0.path):\($0.isDescending ? -1 : 1)" }.joined(separator: ",")
    }
}
