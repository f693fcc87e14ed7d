import Documents
import Primitives
import Query

/// Reads which ids the documents of another collection name, in slices.
///
/// Pins that collection's newest version until ``finish()``.
final class HistoryReader {
    private let request: HistoryRequest
    private let context: ReadContext
    private let find: FindExecution
    private var partition = 0
    private var slot: Slot = 0
    private var isMatched = false
    private var documentCount = 0
    /// The ids that are named, in the order in which they turned up.
    private(set) var found: [[UInt8]] = []
    private var seen: Set<[UInt8]> = []

    private static let batch = 64

    /// Whether the documents' own ids are meant.
    private var namesOwnIDs: Bool { request.path.text == "_id" }

    init(_ request: HistoryRequest, context: ReadContext) throws(EngineError) {
        var request = request
        request.find.isCount = true
        self.request = request
        self.context = context
        find = try FindExecution(request.find, context: context)
    }

    func finish() { find.finish() }

    /// - Returns: whether all is read.
    func run(until deadline: UInt64) throws(EngineError) -> Bool {
        if !isMatched {
            guard try find.run(until: deadline) else { return false }
            isMatched = true
            guard find.outcome.total <= request.documentCountMax else {
                throw limit("documents", request.documentCountMax)
            }
        }
        let depth = context.shared.options.limits.documentDepthMax + 1
        var matches = FieldPath.Matches()
        while true {
            let keys = find.matchingRows(partition: &partition, from: &slot, limit: Self.batch)
            if keys.isEmpty { return true }
            documentCount += keys.count
            for key in keys {
                try context.withEntry(key) { entry in
                    if namesOwnIDs { return take([UInt8](entry.id)) }
                    guard let root = try? context.parser.parse(entry.document, depthMax: depth)
                    else { return }
                    request.path.lookup(in: root, into: &matches)
                    for value in matches.values { take(value) }
                }
            }
            guard found.count <= request.idCountMax else {
                throw limit("ids", request.idCountMax)
            }
            if Clock.monotonicNanoseconds() >= deadline { return false }
        }
    }

    private func limit(_ what: String, _ most: Int) -> EngineError {
        EngineError(
            .limit, "FROM", "at most \(most) \(what) of a history",
            hint: "narrow the filter, to what was bought lately for instance")
    }

    private func take(_ value: TapeValue) {
        switch value.kind {
        case .string: take([UInt8](value.stringBytes))
        case .number: take([UInt8](value.rawText))
        case .array:
            var children = value.children
            while let child = children.next() {
                if child.value.kind != .array { take(child.value) }
            }
        case .null, .bool, .object: return
        }
    }

    private func take(_ id: [UInt8]) {
        if !id.isEmpty, seen.insert(id).inserted { found.append(id) }
    }

    /// - Throws: `NOHISTORY` where nothing is named.
    func ids() throws(EngineError) -> [[UInt8]] {
        guard !found.isEmpty else {
            throw EngineError(
                .noHistory, request.find.view.name,
                documentCount == 0
                    ? "no document matches" : "no matching document names an id at this path",
                hint: "look at FROM's filter and PATH, or give ids with LIKE")
        }
        return found
    }
}
