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
        !projection.namesOnlyID && view.schema.namesVectors(projection)
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

    /// Adds the named vectors to a projected document.
    private func append(
        _ vectors: [VectorReference], _ view: CollectionView, _ projection: Projection,
        to output: inout [UInt8]
    ) throws(EngineError) {
        var named: [NamedVector] = []
        for reference in vectors {
            guard let field = view.schema.field(numbered: reference.field),
                projection.names(field.path)
            else { continue }
            named.append(
                NamedVector(path: field.path, values: try context.vector(reference)))
        }
        try NamedVector.append(named, to: &output)
    }
}
