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
    /// What vector fields become that may refuse the vectors they hold; see the plan.
    private let strictFields: [FieldNumber: Field]
    /// The first by id, with what is wrong, in order.
    private var offenders: [(id: [UInt8], text: String)] = []
    private static let countMax = 10

    init(_ plan: SchemaChange.Result, limits: Limits) {
        schema = plan.schema
        strictFields = plan.strictVectors
        self.limits = limits
    }

    /// Checks a document.
    ///
    /// - Returns: those of its vectors whose components have to be looked at as well; see
    ///   ``check(_:of:id:)``.
    mutating func check(_ entry: EntryView) -> [VectorReference] {
        let held = entry.vectors
        do throws(ValidationError) {
            // What a field of another form or name has is none of the new field's.
            _ = try preparer.prepare(
                entry.document, schema: schema, parser: parser, nowMilliseconds: 0,
                heldVectors: held.map(\.field))
        } catch {
            note([UInt8](entry.id), error)
            return []
        }
        return strictFields.isEmpty ? [] : held.filter { strictFields[$0.field] != nil }
    }

    /// Checks a vector that a document has.
    mutating func check(_ values: [Float], of reference: VectorReference, id: [UInt8]) {
        guard let field = strictFields[reference.field] else { return }
        do throws(ValidationError) {
            try DocumentPreparer.check(vector: values, for: field)
        } catch {
            note(id, error)
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
        _ view: CollectionView, _ plan: SchemaChange.Result, after version: Version, limits: Limits
    ) throws {
        var checker = SchemaChecker(plan, limits: limits)
        try reader.begin()
        defer { reader.end() }
        for partition in view.partitions {
            var slot: Slot = 0
            while true {
                let rows = partition.liveRows(from: &slot, after: version, limit: 1024)
                if rows.isEmpty { break }
                for row in rows {
                    let (id, references) = try withStoredEntry(row.key) { entry in
                        ([UInt8](entry.id), checker.check(entry))
                    }
                    for reference in references {
                        checker.check(try loadVector(reference), of: reference, id: id)
                    }
                }
            }
        }
        if let error = checker.error { throw error }
    }
}
