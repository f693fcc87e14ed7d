import DocumentStore
import Documents
import Engine
import Primitives
import Query
import RESP
import Schema

/// Writing one document into a reply.
extension DataHandler {
    /// The projection that `FIELDS` asks for; the last one is kept, for a client asks alike.
    func projection(_ text: String) throws(QueryError) -> Projection {
        if let cachedProjection, cachedProjection.text == text {
            return cachedProjection.projection
        }
        let projection = try Projection(parsing: text)
        cachedProjection = (text, projection)
        return projection
    }

    /// Whether a projection names a vector field: vectors come only when they are named.
    func wants(_ projection: Projection, vectorsOf view: CollectionView) -> Bool {
        view.schema.hasVectorFields
            && view.schema.fields.contains { field in
                if case .vector = field.type { projection.names(field.path) } else { false }
            }
    }

    /// Writes a document as a bulk string, with a projection where one is given.
    func document(
        _ bytes: UnsafeRawBufferPointer, vectors: [VectorReference], _ view: CollectionView,
        _ projection: Projection?, _ reply: inout ReplyWriter
    ) throws(EngineError) {
        guard let projection else {
            reply.bulk(bytes)
            return
        }
        var output: [UInt8] = []
        do {
            let root = try context.parser.parse(bytes, depthMax: limits.documentDepthMax + 1)
            projection.apply(to: root, into: &output)
        } catch {
            throw EngineError(.corrupt, "", "a stored document cannot be read")
        }
        if !vectors.isEmpty { try append(vectors, view, projection, to: &output) }
        reply.bulk(output)
    }

    /// Adds the named vectors to a projected document, as JSON arrays.
    private func append(
        _ vectors: [VectorReference], _ view: CollectionView, _ projection: Projection,
        to output: inout [UInt8]
    ) throws(EngineError) {
        var tree: JSON
        do {
            tree = try JSON(parsing: output)
        } catch {
            throw EngineError(.corrupt, "", "a projected document cannot be read")
        }
        for reference in vectors {
            guard let field = view.schema.field(numbered: reference.field),
                projection.names(field.path)
            else { continue }
            let values = try context.vector(reference)
            set(
                &tree, path: field.path[...],
                .array(values.map { .number(JSONNumber(validText: "\($0)")) }))
        }
        output = []
        tree.serialize(into: &output)
    }

    private func set(_ node: inout JSON, path: Substring, _ value: JSON) {
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
