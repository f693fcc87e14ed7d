import Documents
package import Query
package import Schema

/// A vector that a reply shows among a document's members: it is kept apart, and comes only when it
/// is named.
package struct NamedVector {
    /// Dotted path of its field.
    package var path: String
    package var values: [Float]

    package init(path: String, values: [Float]) {
        self.path = path
        self.values = values
    }

    /// Adds vectors to a projected document's text, as JSON arrays.
    ///
    /// - Throws: `CORRUPT` where the text cannot be read.
    /// - Complexity: O(bytes + components); nothing without vectors.
    package static func append(
        _ vectors: [NamedVector], to document: inout [UInt8]
    ) throws(EngineError) {
        if vectors.isEmpty { return }
        var tree: JSON
        do {
            tree = try JSON(parsing: document)
        } catch {
            throw EngineError(.corrupt, "", "a projected document cannot be read")
        }
        for vector in vectors {
            set(
                &tree, path: vector.path[...],
                .array(vector.values.map { .number(JSONNumber(validText: "\($0)")) }))
        }
        document = []
        tree.serialize(into: &document)
    }

    private static func set(_ node: inout JSON, path: Substring, _ value: JSON) {
        guard let dot = path.firstIndex(of: ".") else {
            node[String(path)] = value
            return
        }
        let head = String(path[..<dot])
        var child = node[head] ?? .object(JSONObject())
        set(&child, path: path[path.index(after: dot)...], value)
        node[head] = child
    }
}

extension Schema {
    /// Whether a projection names a vector field.
    package func namesVectors(_ projection: Projection) -> Bool {
        fields.contains { $0.vectorOptions != nil && projection.names($0.path) }
    }
}
