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
        }
        let depth = context.shared.options.limits.documentDepthMax + 1
        var matches = FieldPath.Matches()
        while documentCount < request.documentCountMax, found.count < request.idCountMax {
            let keys = find.matchingRows(partition: &partition, from: &slot, limit: Self.batch)
            if keys.isEmpty { return true }
            documentCount += keys.count
            for key in keys {
                try context.withEntry(key) { entry in
                    guard let root = try? context.parser.parse(entry.document, depthMax: depth)
                    else { return }
                    request.path.lookup(in: root, into: &matches)
                    for value in matches.values { take(value) }
                }
            }
            if Clock.monotonicNanoseconds() >= deadline { return false }
        }
        return true
    }

    private func take(_ value: TapeValue) {
        switch value.kind {
        case .string:
            let id = [UInt8](value.stringBytes)
            if !id.isEmpty, seen.insert(id).inserted { found.append(id) }
        case .array:
            var children = value.children
            while let child = children.next() {
                if child.value.kind == .string { take(child.value) }
            }
        case .null, .bool, .number, .object: return
        }
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
