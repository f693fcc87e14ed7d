import DocumentStore
import Documents
import Partition
import Primitives
import Schema

/// Checks stored documents against a schema and collects offenders.
struct SchemaChecker {
    private let schema: Schema
    private let parser = JSONParser()
    private let preparer = DocumentPreparer()
    private let limits: Limits
    /// The first by id, with what is wrong, in order.
    private var offenders: [(id: [UInt8], text: String)] = []
    private static let countMax = 10

    init(schema: Schema, limits: Limits) {
        self.schema = schema
        self.limits = limits
    }

    mutating func check(
        _ document: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, held: [VectorReference]
    ) {
        do {
            _ = try preparer.prepare(
                document, schema: schema, parser: parser, nowMilliseconds: 0,
                heldVectors: held.map(\.field))
        } catch {
            note([UInt8](id), error)
        }
    }

    private mutating func note(_ id: [UInt8], _ error: ValidationError) {
        let place =
            offenders.firstIndex { id.lexicographicallyPrecedes($0.id) } ?? offenders.count
        guard place < Self.countMax else { return }
        let text = "\(String(decoding: id, as: UTF8.self)) (\(error.message))"
        offenders.insert((id, text), at: place)
        if offenders.count > Self.countMax { offenders.removeLast() }
    }

    /// What to answer, if anything is wrong.
    var error: EngineError? {
        guard !offenders.isEmpty else { return nil }
        return EngineError(
            .invalid, "",
            "stored documents break the new rule: " + offenders.map(\.text).joined(separator: ", "),
            hint: "mend them first; nothing was changed")
    }
}

extension Committer {
    /// Checks what changed after `version`; the committer stands still meanwhile.
    func checkNewest(
        _ view: CollectionView, _ schema: Schema, after version: Version, limits: Limits
    ) throws {
        var checker = SchemaChecker(schema: schema, limits: limits)
        try reader.begin()
        defer { reader.end() }
        for partition in view.partitions {
            var slot: Slot = 0
            while true {
                let rows = partition.liveRows(from: &slot, after: version, limit: 1024)
                if rows.isEmpty { break }
                for row in rows {
                    try withStoredEntry(row.key) { entry in
                        checker.check(entry.document, id: entry.id, held: entry.vectors)
                    }
                }
            }
        }
        if let error = checker.error { throw error }
    }
}
