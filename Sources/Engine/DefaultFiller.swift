import DocumentStore
import Documents
import Primitives
import Schema

/// Puts defaults that came with an `ALTER` into documents that were stored before it.
///
/// ```
/// log ── entry ──> DefaultFiller ──> filter, sort, projection, reply
/// ```
/// Stored bytes stay as they are. Not Sendable: one per thread, with a parser of its own, as
/// whoever reads an entry is about to use the thread's.
final class DefaultFiller {
    private let parser = JSONParser()
    private let preparer = DocumentPreparer()

    /// Runs `body` on the entry, with its document filled where its collection asks for that.
    ///
    /// - Complexity: O(1) for other collections, else O(document).
    func with<T>(_ entry: EntryView, _ catalog: Catalog, _ body: (EntryView) -> T) -> T {
        guard catalog.fillsReads, !entry.isTombstone,
            let schema = catalog.byID[entry.header.collection]?.writeSchema, schema.fillsReads,
            let bytes = preparer.filled(entry.document, schema: schema, parser: parser)
        else { return body(entry) }
        return bytes.withUnsafeBytes { body(entry.replacing(document: $0)) }
    }
}
