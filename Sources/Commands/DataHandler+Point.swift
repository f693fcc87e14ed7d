import Documents
import Engine
import Primitives
import Query
import RESP

/// `FETCH` and `MFETCH`.
extension DataHandler {
    private static let fetchRules = [OptionRule("FIELDS"), OptionRule("AT"), OptionRule("META", 0)]
    private static let manyRules = [
        OptionRule("FIELDS"), OptionRule("AT"), OptionRule("META", 0), OptionRule("IDS"),
    ]

    func fetch(_ request: RequestFrame, _ reply: inout ReplyWriter) throws(EngineError)
        -> Disposition
    {
        let named = try view(request)
        let id = try id(request, 2)
        let (version, view) = try context.pin(named)
        defer { context.pins.release(version) }
        if request.count == 3 {
            try context.withPoint(view, id: id, at: version) { point in
                if let point { reply.bulk(point.document) } else { reply.null() }
            }
            return .replied
        }
        let options = try Options(request, from: 3, Self.fetchRules)
        let shape = try PointShape(options, self)
        if let older = shape.version { try context.check(older, view) }
        try write(view, id, at: shape.version ?? version, shape, &reply)
        return .replied
    }

    func fetchMany(_ request: RequestFrame, _ reply: inout ReplyWriter) throws(EngineError)
        -> Disposition
    {
        let named = try view(request)
        let (ids, options) = try idList(request, Self.manyRules)
        let shape = try PointShape(options, self)
        let (version, view) = try context.pin(named)
        defer { context.pins.release(version) }
        if let older = shape.version { try context.check(older, view) }
        let start = reply.byteCount
        reply.array(ids.count)
        for id in ids {
            try id.withBytes(request) { (bytes) throws(EngineError) in
                try checkID(bytes)
                if shape.isPlain {
                    try context.withPoint(view, id: bytes, at: version) { point in
                        if let point { reply.bulk(point.document) } else { reply.null() }
                    }
                } else {
                    try write(view, bytes, at: shape.version ?? version, shape, &reply)
                }
            }
            if reply.byteCount - start > limits.replyByteCountMax {
                throw EngineError(.limit, "reply", "at most \(limits.replyByteCountMax) bytes")
            }
        }
        return .replied
    }

    /// The ids of `MFETCH` and `REMOVE`: options count only at the end, or directly behind the
    /// collection.
    func idList(
        _ request: RequestFrame, _ rules: [OptionRule]
    ) throws(EngineError) -> ([IDArgument], Options) {
        var ids: [IDArgument] = []
        var start = 2
        if !request.equals(2, "IDS") {
            var end = request.count
            // From the back: the longest tail that reads as options.
            var isGrowing = true
            while isGrowing {
                isGrowing = false
                for rule in rules where rule.name != "IDS" {
                    let place = end - 1 - rule.valueCount
                    if place > 2, place < end, request.string(place).uppercased() == rule.name {
                        end = place
                        isGrowing = true
                        break
                    }
                }
            }
            for index in 2..<end { ids.append(.argument(index)) }
            start = end
        }
        let options = try Options(request, from: start, rules)
        if options.has("IDS") {
            guard ids.isEmpty else {
                throw EngineError(.syntax, "IDS", "stands in place of ids")
            }
            guard let list = try options.json("IDS")?.array else {
                throw EngineError(.invalid, "IDS", "is a JSON array of strings")
            }
            for item in list {
                guard let text = item.string else {
                    throw EngineError(.invalid, "IDS", "is a JSON array of strings")
                }
                ids.append(.bytes([UInt8](text.utf8)))
            }
        }
        guard ids.count <= limits.idCountMax else {
            throw EngineError(.limit, "ids", "at most \(limits.idCountMax), got \(ids.count)")
        }
        return (ids, options)
    }

    private func write(
        _ view: CollectionView, _ id: UnsafeRawBufferPointer, at version: Version,
        _ shape: PointShape, _ reply: inout ReplyWriter
    ) throws(EngineError) {
        let wantsVectors = shape.projection.map { wants($0, vectorsOf: view) } ?? false
        let failure: EngineError? = try context.withPoint(
            view, id: id, at: version, wantsVectors: wantsVectors
        ) { point in
            guard let point else {
                reply.null()
                return nil
            }
            do throws(EngineError) {
                if shape.wantsMeta {
                    reply.map(point.expiryMilliseconds == 0 ? 3 : 4)
                    reply.bulk("id")
                    reply.bulk(id)
                    reply.bulk("version")
                    reply.version(point.key.version)
                    reply.bulk("doc")
                }
                try document(
                    point.document, vectors: point.vectors, view, shape.projection, &reply)
                if shape.wantsMeta, point.expiryMilliseconds != 0 {
                    reply.bulk("expires_at")
                    reply.bulk(DateTime.format(point.expiryMilliseconds))
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }
}

/// An id as an argument of the request or as a string of a JSON array.
enum IDArgument {
    case argument(Int)
    case bytes([UInt8])

    func withBytes(
        _ request: RequestFrame,
        _ body: (UnsafeRawBufferPointer) throws(EngineError) -> Void
    ) throws(EngineError) {
        switch self {
        case .argument(let index): try body(request.bytes(index))
        case .bytes(let bytes):
            var failure: EngineError?
            bytes.withUnsafeBytes { raw in
                do throws(EngineError) { try body(raw) } catch { failure = error }
            }
            if let failure { throw failure }
        }
    }
}

/// What a point read answers with.
struct PointShape {
    var projection: Projection?
    var version: Version?
    var wantsMeta: Bool

    init(_ options: Options, _ handler: DataHandler) throws(EngineError) {
        wantsMeta = options.has("META")
        version = try options.version("AT")
        if let fields = try options.text("FIELDS") {
            do {
                projection = try handler.projection(fields)
            } catch {
                throw EngineError(error)
            }
        }
    }

    /// Whole documents of the newest version, and nothing else.
    var isPlain: Bool { projection == nil && version == nil && !wantsMeta }
}
