import Documents
import Engine
import Primitives
import Query
import RESP
import Schema

/// `SIMILAR` and `RECOMMEND`.
extension DataHandler {
    private static let sharedRules = [
        OptionRule("FIELD"), OptionRule("K"), OptionRule("MIN"), OptionRule("WHERE"),
        OptionRule("NOT"), OptionRule("EF"), OptionRule("EXACT", 0), OptionRule("DIVERSE"),
        OptionRule("FIELDS"), OptionRule("META", 0), OptionRule("TIMEOUT"),
        OptionRule("PARTIAL", 0), OptionRule("PARAMS"), OptionRule("BLOB", 2),
    ]
    fileprivate static let similarRules =
        sharedRules + [OptionRule("ID"), OptionRule("VEC"), OptionRule("TEXT")]
    fileprivate static let recommendRules =
        sharedRules + [
            OptionRule("LIKE"), OptionRule("UNLIKE"), OptionRule("FROM", 2),
            OptionRule("PATH"),
        ]

    // MARK: - Recall

    private static let recallRules = [OptionRule("SAMPLE"), OptionRule("TIMEOUT")]
    private static let recallTimeoutMilliseconds: Int64 = 60_000

    /// Measures a field's recall now.
    func recall(
        _ request: RequestFrame, _ session: Session, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        let view = try view(request)
        let options = try Options(request, from: 3, Self.recallRules)
        let name = request.string(2)
        guard let field = view.vectorFields.first(where: { $0.path == name }) else {
            throw EngineError(
                .noIndex, String(name.prefix(64)), "is no vector field with an index",
                hint: "DESCRIBE \(view.name) lists the fields")
        }
        let count = try options.integer("SAMPLE", 1...10_000) ?? 100
        let timeout = try options.milliseconds("TIMEOUT") ?? Self.recallTimeoutMilliseconds
        let execution = RecallExecution(
            view, field, count: count,
            deadlineNanoseconds: Clock.monotonicNanoseconds() + UInt64(timeout) * 1_000_000,
            context: context)
        deferLookup(
            session, run: { (deadline) throws(EngineError) in try execution.run(until: deadline) },
            answer: { (writer) throws(EngineError) in Self.answer(execution, &writer) },
            finish: { execution.finish() })
        return .deferredRead
    }

    private static func answer(_ execution: RecallExecution, _ reply: inout ReplyWriter) {
        let measured = execution.bands.filter { $0.lookupCount > 0 }
        var whole = RecallBand(name: "")
        for band in measured {
            whole.lookupCount += band.lookupCount
            whole.trueCount += band.trueCount
            whole.foundCount += band.foundCount
        }
        // Where nothing was measured nothing is known.
        reply.map(whole.lookupCount == 0 ? 4 : 5)
        if whole.lookupCount > 0 {
            reply.bulk("recall")
            reply.double(whole.recall)
        }
        reply.bulk("lookups")
        reply.integer(whole.lookupCount)
        reply.bulk("recent")
        reply.integer(execution.measured.recent)
        reply.bulk("sampled")
        reply.integer(execution.measured.sampled)
        reply.bulk("bands")
        reply.array(measured.count)
        for band in measured {
            reply.map(3)
            reply.bulk("band")
            reply.bulk(band.name)
            reply.bulk("lookups")
            reply.integer(band.lookupCount)
            reply.bulk("recall")
            reply.double(band.recall)
        }
    }

    // MARK: - Answers

    fileprivate func answer(
        _ execution: SimilarExecution, _ shape: SimilarShape, _ started: UInt64, explain: Bool,
        _ reply: inout ReplyWriter
    ) throws(EngineError) {
        let outcome = execution.outcome
        if explain {
            plan(
                outcome.plan, total: outcome.total, hitCount: outcome.hits.count, started, &reply)
            return
        }
        let isBased = shape.isRecommendation
        reply.map(5 + (isBased ? 1 : 0) + (outcome.isPartial ? 1 : 0))
        reply.bulk("total")
        reply.integer(outcome.total)
        reply.bulk("exact")
        reply.bool(outcome.isExact)
        reply.bulk("hits")
        try hits(outcome, shape, &reply)
        if isBased {
            reply.bulk("based_on")
            reply.array(outcome.basis.count)
            for id in outcome.basis { reply.bulk(id) }
        }
        lookupEnd(outcome.version, isPartial: outcome.isPartial, started, &reply)
    }

    private func hits(
        _ outcome: SimilarOutcome, _ shape: SimilarShape, _ reply: inout ReplyWriter
    ) throws(EngineError) {
        let start = reply.byteCount
        let view = shape.request.view
        reply.array(outcome.hits.count)
        let isCosine = shape.request.field.vectorOptions?.metric == .cosine
        if isCosine, !shape.wantsMeta, shape.projection?.namesOnlyID == true {
            for hit in outcome.hits {
                hit.id.withUnsafeBytes {
                    reply.map(
                        of: 3, "$2\r\nid\r\n", $0, "$5\r\nscore\r\n", billionths: hit.score,
                        "$3\r\ndoc\r\n$2\r\n{}\r\n")
                }
            }
            return try checkByteCount(of: reply, since: start)
        }
        let wantsVectors = shape.projection.map { wants($0, vectorsOf: view) } ?? false
        for hit in outcome.hits {
            reply.map(
                3 + (hit.distance == nil ? 0 : 1) + (shape.wantsMeta ? 1 : 0))
            reply.bulk("id")
            reply.bulk(hit.id)
            reply.bulk("score")
            isCosine ? reply.billionths(hit.score) : reply.double(hit.score)
            if let distance = hit.distance {
                reply.bulk("distance")
                reply.double(distance)
            }
            if shape.wantsMeta {
                reply.bulk("version")
                reply.version(hit.key.version)
            }
            try hitDocument(
                hit.key, view, shape.projection, wantsVectors: wantsVectors, &reply)
            try checkByteCount(of: reply, since: start)
        }
    }
}

/// `SIMILAR` and `RECOMMEND`, whose collection is argument `first`.
struct SimilarLookup: LookupVerb {
    let isRecommendation: Bool
    let first: Int
    let isExplained: Bool

    func read(
        _ request: RequestFrame, _ handler: DataHandler
    ) throws(EngineError) -> SimilarShape {
        let view = try handler.view(request, first)
        let options = try Options(
            request, from: first + 1,
            isRecommendation ? DataHandler.recommendRules : DataHandler.similarRules)
        return try SimilarShape(options, view, handler, isRecommendation: isRecommendation)
    }

    func begin(
        _ shape: SimilarShape, _ handler: DataHandler
    ) throws(EngineError) -> SimilarExecution {
        var request = shape.request
        request.isExplained = isExplained
        return try SimilarExecution(request, context: handler.context)
    }

    func answer(
        _ execution: SimilarExecution, _ shape: SimilarShape, _ started: UInt64,
        _ handler: DataHandler, _ reply: inout ReplyWriter
    ) throws(EngineError) {
        try handler.answer(execution, shape, started, explain: isExplained, &reply)
    }
}

/// The options of a lookup by nearness, read.
struct SimilarShape: LookupArguments {
    var request: SimilarRequest
    var projection: Projection?
    var wantsMeta: Bool
    var isRecommendation: Bool

    var deadlineNanoseconds: UInt64 {
        get { request.deadlineNanoseconds }
        set {
            request.deadlineNanoseconds = newValue
            guard case .history(var history) = request.target else { return }
            history.find.deadlineNanoseconds = newValue
            request.target = .history(history)
        }
    }

    private static let defaultCount = 10

    init(
        _ options: Options, _ view: CollectionView, _ handler: DataHandler, isRecommendation: Bool
    ) throws(EngineError) {
        let limits = handler.limits
        let field = try Self.field(options, view)
        let deadline = try handler.deadline(options)
        let target =
            isRecommendation
            ? try Self.examples(options, handler, deadline)
            : try Self.target(options, field, handler)
        let count = try options.integer("K", 1...limits.limitMax) ?? Self.defaultCount
        request = SimilarRequest(view: view, field: field, target: target, count: count)
        if let filter = try options.filter("WHERE", limits: limits), !filter.matchesAll {
            request.filter = try handler.compile(filter, view)
        }
        try options.refuse("EF", with: "EXACT")
        request.width = try options.integer("EF", 1...limits.searchWidthMax)
        request.isExact = options.has("EXACT")
        request.scoreMin = try options.number(
            "MIN", -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude)
        request.diversity = try options.number("DIVERSE", 0...1)
        request.deadlineNanoseconds = deadline
        request.allowsPartial = options.has("PARTIAL")
        wantsMeta = options.has("META")
        self.isRecommendation = isRecommendation
        do {
            if let text = try options.text("NOT") {
                request.excluded = try NameList.parse(text, option: "NOT", allowsNone: true).map {
                    [UInt8]($0.utf8)
                }
            }
            if let text = try options.text("FIELDS") {
                projection = try handler.projection(text)
            }
        } catch let error as QueryError {
            throw EngineError(error)
        } catch let error as EngineError {
            throw error
        } catch {
            throw EngineError(.syntax, "", "the options cannot be read")
        }
    }

    /// The vector field that is meant: the one that is named, or the only one.
    private static func field(
        _ options: Options, _ view: CollectionView
    ) throws(EngineError) -> Field {
        let fields = view.vectorFields
        if let name = try options.text("FIELD") {
            if let field = fields.first(where: { $0.path == name }) { return field }
            throw EngineError(
                .noIndex, String(name.prefix(64)), "is no vector field with an index",
                hint: "DESCRIBE \(view.name) lists the fields, ALTER adds an index")
        }
        guard let field = fields.first else {
            throw EngineError(
                .noIndex, view.name, "has no vector field with an index",
                hint: "ALTER adds one")
        }
        guard fields.count == 1 else {
            let names = fields.map(\.path).joined(separator: ", ")
            throw EngineError(
                .syntax, "FIELD", "one of several vector fields has to be named: \(names)")
        }
        return field
    }

    private static func target(
        _ options: Options, _ field: Field, _ handler: DataHandler
    ) throws(EngineError) -> SimilarRequest.Target {
        if options.has("TEXT") {
            throw EngineError(
                .noIndex, "TEXT", "there is no model that turns words into vectors",
                hint: "ask with VEC or ID")
        }
        let id = try options.text("ID")
        let vector = try options.vectorArgument()
        switch (id, vector) {
        case (let id?, nil):
            let bytes = [UInt8](id.utf8)
            try handler.checkID(bytes)
            return .document(bytes)
        case (nil, let bytes?):
            do throws(ValidationError) {
                return .vector(
                    try DocumentPreparer.vector(
                        argument: bytes, for: field, parser: handler.context.parser))
            } catch {
                throw EngineError(error)
            }
        case (nil, nil):
            throw EngineError(.syntax, "ID", "ID x or VEC v says what hits are to be like")
        case (_?, _?):
            throw EngineError(.syntax, "ID", "cannot stand beside VEC")
        }
    }

    private static func examples(
        _ options: Options, _ handler: DataHandler, _ deadline: UInt64
    ) throws(EngineError) -> SimilarRequest.Target {
        try options.refuse("LIKE", with: "FROM")
        try options.refuse("UNLIKE", with: "FROM")
        if let name = try options.text("FROM") {
            guard let path = try options.text("PATH") else {
                throw EngineError(.syntax, "PATH", "says where FROM's documents hold the ids")
            }
            let view = try handler.context.collection(name)
            guard
                let filter = try options.second(
                    of: "FROM", limits: handler.limits, parser: handler.context.parser)
            else { throw EngineError(.syntax, "FROM", "is a collection and a filter") }
            var find = FindRequest(
                view: view, filter: try handler.compile(filter, view), limit: 0)
            find.deadlineNanoseconds = deadline
            do throws(FieldPathError) {
                return .history(HistoryRequest(find: find, path: try FieldPath(path)))
            } catch {
                throw EngineError(
                    .invalid, "PATH", "is a field path, got \(path.prefix(64))")
            }
        }
        if options.has("PATH") { throw EngineError(.syntax, "PATH", "belongs to FROM") }
        guard let text = try options.text("LIKE") else {
            throw EngineError(
                .syntax, "LIKE", "LIKE ids or FROM c f PATH p says what is liked")
        }
        return .examples(
            likes: try ids(text, "LIKE", handler),
            unlikes: try options.text("UNLIKE").map { (text) throws(EngineError) in
                try ids(text, "UNLIKE", handler)
            } ?? [])
    }

    private static func ids(
        _ text: String, _ option: String, _ handler: DataHandler
    ) throws(EngineError) -> [[UInt8]] {
        let names: [String]
        do throws(QueryError) {
            names = try NameList.parse(text, option: option)
        } catch {
            throw EngineError(error)
        }
        var seen: Set<String> = []
        let ids = names.filter { seen.insert($0).inserted }.map { [UInt8]($0.utf8) }
        for id in ids { try handler.checkID(id) }
        return ids
    }
}
