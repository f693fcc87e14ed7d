import Documents
import Engine
import Primitives
import Query
import RESP
import Schema

/// `FIND`, `COUNT` and `EXPLAIN`.
extension DataHandler {
    fileprivate static let limitRules = [
        OptionRule("TIMEOUT"), OptionRule("PARTIAL", 0), OptionRule("PARAMS"),
        OptionRule("BLOB", 2), OptionRule("AT"),
    ]
    fileprivate static let findRules = pageRules + [OptionRule("AT")]
    /// What pages of documents may be asked with.
    static let pageRules = [
        OptionRule("TIMEOUT"), OptionRule("PARTIAL", 0), OptionRule("PARAMS"),
        OptionRule("BLOB", 2), OptionRule("SORT"), OptionRule("LIMIT"), OptionRule("SKIP"),
        OptionRule("AFTER"), OptionRule("FIELDS"), OptionRule("FACET"), OptionRule("STATS"),
        OptionRule("BY"), OptionRule("DISTINCT"), OptionRule("META", 0),
    ]
    /// How long a lookup may take where `TIMEOUT` says nothing.
    private static let defaultTimeoutMilliseconds: Int64 = 5_000

    func explain(
        _ request: RequestFrame, _ session: Session, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        var verb = 1
        var explanation = Explanation.plan
        if request.equals(1, "AS"), request.count > 3 {
            verb = 3
            if request.equals(2, "GEOJSON") {
                explanation = .drawing(.geoJSON)
            } else if request.equals(2, "SVG") {
                explanation = .drawing(.svg)
            } else {
                throw EngineError(
                    .syntax, "AS", "is geojson or svg, got \(request.string(2).prefix(32))")
            }
        }
        let first = verb + 1
        switch request.string(verb).uppercased() {
        case "FIND", "COUNT":
            return try lookup(
                FindLookup(
                    isCount: request.equals(verb, "COUNT"), first: first, explain: explanation),
                request,
                session, &reply)
        case "NEARBY":
            return try lookup(
                NearbyLookup(first: first, explain: explanation), request, session, &reply)
        case "WITHIN":
            return try lookup(
                WithinLookup(first: first, explain: explanation), request, session, &reply)
        case "COVER":
            return try lookup(
                CoverLookup(first: first, explain: explanation), request, session, &reply)
        case "DELIVERS":
            return try delivers(request, from: first, &reply, explain: explanation)
        case "SIMILAR", "RECOMMEND":
            guard explanation.isPlan else { throw Self.nothingToDraw }
            let isRecommendation = request.equals(verb, "RECOMMEND")
            return try lookup(
                SimilarLookup(
                    isRecommendation: isRecommendation, first: first, isExplained: true),
                request, session, &reply)
        default: break
        }
        throw EngineError(
            .syntax, String(request.string(verb).prefix(32)), "is no lookup that can be explained",
            hint: "EXPLAIN FIND c f …, also COUNT, SIMILAR, RECOMMEND, NEARBY, WITHIN, COVER, "
                + "DELIVERS")
    }

    static let nothingToDraw = EngineError(
        .invalid, "AS", "the lookup asks for no place: there is nothing to draw",
        hint: "draw NEARBY, WITHIN, COVER, or FIND with an operator of places")

    private func draw(
        _ execution: FindExecution, _ shape: LookupShape, _ format: DrawingFormat,
        _ reply: inout ReplyWriter
    ) throws(EngineError) {
        var predicates: [Predicate] = []
        shape.find.filter.root.placePredicates(into: &predicates)
        guard let first = predicates.first else { throw Self.nothingToDraw }
        var drawing = PlaceDrawing()
        for predicate in predicates {
            if case .place(let test) = predicate.test { drawing.add(test) }
        }
        for hit in execution.outcome.hits {
            try add(hit.key, hit.id, first.path, to: &drawing)
        }
        reply.bulk(format == .svg ? drawing.svg : drawing.geoJSON)
    }

    // MARK: - Answers

    fileprivate func answer(
        _ execution: FindExecution, _ shape: LookupShape, _ started: UInt64, explain: Explanation,
        _ reply: inout ReplyWriter
    ) throws(EngineError) {
        let outcome = execution.outcome
        switch explain {
        case .none: break
        case .drawing(let format): return try draw(execution, shape, format, &reply)
        case .plan:
            plan(
                outcome.plan, total: outcome.total, hitCount: outcome.hits.count, started, &reply)
            return
        }
        if shape.find.isCount {
            guard outcome.isPartial else { return reply.integer(outcome.total) }
            reply.map(3)
            reply.bulk("total")
            reply.integer(outcome.total)
            reply.bulk("exact")
            reply.bool(false)
            reply.bulk("partial")
            reply.bool(true)
            return
        }
        reply.map(
            5 + (outcome.facets.isEmpty ? 0 : 1) + (outcome.stats.isEmpty ? 0 : 1)
                + (outcome.distinct == nil ? 0 : 1) + (outcome.next == nil ? 0 : 1)
                + (outcome.isPartial ? 1 : 0))
        reply.bulk("total")
        reply.integer(outcome.total)
        reply.bulk("exact")
        reply.bool(!outcome.isPartial)
        reply.bulk("hits")
        try hits(outcome, shape, &reply)
        if !outcome.facets.isEmpty { facets(outcome.facets, &reply) }
        if !outcome.stats.isEmpty { stats(outcome.stats, &reply) }
        if let distinct = outcome.distinct {
            reply.bulk("distinct")
            reply.array(distinct.count)
            for value in distinct { reply.value(value) }
        }
        if let next = outcome.next {
            reply.bulk("cursor")
            let cursor = Cursor(queryHash: shape.queryHash, keys: next.keys, id: next.id)
            reply.bulk(cursor.encodedBytes(secret: cursorSecret))
        }
        lookupEnd(outcome.version, isPartial: outcome.isPartial, started, &reply)
    }

    /// What every lookup's reply ends with.
    func lookupEnd(
        _ version: Version, isPartial: Bool, _ started: UInt64, _ reply: inout ReplyWriter
    ) {
        if isPartial {
            reply.bulk("partial")
            reply.bool(true)
        }
        reply.bulk("version")
        reply.version(version)
        reply.bulk("took_us")
        reply.integer(Int((Clock.monotonicNanoseconds() - started) / 1000))
    }

    private func hits(
        _ outcome: FindOutcome, _ shape: LookupShape, _ reply: inout ReplyWriter
    ) throws(EngineError) {
        let start = reply.byteCount
        let view = shape.find.view
        let wantsVectors = shape.projection.map { wants($0, vectorsOf: view) } ?? false
        reply.array(outcome.hits.count)
        for hit in outcome.hits {
            reply.map(shape.wantsMeta ? 3 : 2)
            reply.bulk("id")
            reply.bulk(hit.id)
            if shape.wantsMeta {
                reply.bulk("version")
                reply.version(hit.key.version)
            }
            try hitDocument(
                hit.key, view, shape.projection, wantsVectors: wantsVectors, &reply)
            try checkByteCount(of: reply, since: start)
        }
    }

    /// Writes `doc` and the document of a hit.
    func hitDocument(
        _ key: LogKey, _ view: CollectionView, _ projection: Projection?, wantsVectors: Bool,
        _ reply: inout ReplyWriter
    ) throws(EngineError) {
        reply.bulk("doc")
        guard let projection else {
            try context.withDocument(key) { reply.bulk($0) }
            return
        }
        if projection.namesOnlyID {
            reply.bulk("{}")
            return
        }
        let failure: EngineError? = try context.withDocument(key, wantsVectors: wantsVectors) {
            bytes, vectors in
            do throws(EngineError) {
                try document(bytes, vectors: vectors, view, projection, &reply)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    func checkByteCount(of reply: ReplyWriter, since start: Int) throws(EngineError) {
        guard reply.byteCount - start > limits.replyByteCountMax else { return }
        throw EngineError(
            .limit, "reply", "at most \(limits.replyByteCountMax) bytes",
            hint: "ask for fewer hits or name FIELDS")
    }

    private func facets(_ facets: [FacetResult], _ reply: inout ReplyWriter) {
        reply.bulk("facets")
        reply.map(facets.count)
        for facet in facets {
            reply.bulk(facet.path)
            if facet.ranges.isEmpty {
                reply.array(facet.values.count)
                for (value, count) in facet.values {
                    reply.array(2)
                    reply.value(value)
                    reply.integer(count)
                }
            } else {
                reply.array(facet.ranges.count)
                for (from, to, count) in facet.ranges {
                    reply.array(2)
                    reply.array(2)
                    reply.json(from)
                    reply.json(to)
                    reply.integer(count)
                }
            }
        }
    }

    private func stats(_ stats: [StatsResult], _ reply: inout ReplyWriter) {
        reply.bulk("stats")
        reply.map(stats.count)
        for field in stats {
            reply.bulk(field.path)
            if let overall = field.overall {
                reply.figures(overall)
                continue
            }
            reply.array(field.groups.count)
            for (value, figures) in field.groups {
                reply.array(2)
                reply.value(value)
                reply.figures(figures)
            }
        }
    }

    func plan(
        _ plan: FindPlan, total: Int, hitCount: Int, _ started: UInt64, _ reply: inout ReplyWriter
    ) {
        reply.map(8)
        reply.bulk("plan")
        reply.bulk(plan.stages.map { "\($0.name) (\($0.detail))" }.joined(separator: " > "))
        reply.bulk("estimate")
        reply.integer(plan.estimate)
        reply.bulk("total")
        reply.integer(total)
        reply.bulk("hits")
        reply.integer(hitCount)
        reply.bulk("documents_read")
        reply.integer(plan.documentsRead)
        reply.bulk("warnings")
        reply.array(plan.warnings.count)
        for warning in plan.warnings { reply.bulk(warning) }
        reply.bulk("stages")
        reply.array(plan.stages.count)
        for stage in plan.stages {
            reply.map(4)
            reply.bulk("stage")
            reply.bulk(stage.name)
            reply.bulk("how")
            reply.bulk(stage.detail)
            reply.bulk("rows")
            reply.integer(stage.rows)
            reply.bulk("took_us")
            reply.integer(stage.microseconds)
        }
        reply.bulk("took_us")
        reply.integer(Int((Clock.monotonicNanoseconds() - started) / 1000))
    }

    /// When a lookup is to give up.
    func deadline(_ options: Options) throws(EngineError) -> UInt64 {
        let timeout = try options.milliseconds("TIMEOUT") ?? Self.defaultTimeoutMilliseconds
        return Clock.monotonicNanoseconds() &+ UInt64(min(timeout, 1 << 40)) &* 1_000_000
    }
}

/// `FIND` and `COUNT`, whose collection is argument `first`.
struct FindLookup: FilterLookup {
    let isCount: Bool
    let first: Int
    let explain: Explanation

    func read(
        _ request: RequestFrame, _ handler: DataHandler
    ) throws(EngineError) -> LookupShape {
        let view = try handler.view(request, first)
        guard request.count > first + 1 else {
            throw EngineError(.syntax, "filter", "is missing; {} matches all")
        }
        let options = try Options(
            request, from: first + 2, isCount ? DataHandler.limitRules : DataHandler.findRules)
        return try LookupShape(request, first, options, view, handler, isCount: isCount)
    }
}

/// A verb that asks with a filter, its own or one that it stands for.
protocol FilterLookup: LookupVerb where Arguments == LookupShape, Execution == FindExecution {
    var explain: Explanation { get }
}

extension FilterLookup {
    func begin(
        _ shape: LookupShape, _ handler: DataHandler
    ) throws(EngineError) -> FindExecution {
        var find = shape.find
        find.isExplained = explain.isPlan
        return try FindExecution(find, context: handler.context)
    }

    func answer(
        _ execution: FindExecution, _ shape: LookupShape, _ started: UInt64,
        _ handler: DataHandler, _ reply: inout ReplyWriter
    ) throws(EngineError) {
        try handler.answer(execution, shape, started, explain: explain, &reply)
    }
}

/// What makes a lookup, besides its collection and order.
private enum LookupIdentity {
    case filter(JSON)
    /// A verb's own condition, and its `WHERE`.
    case place(LookupCondition, JSON?)

    /// In their canonical form.
    var texts: [String] {
        switch self {
        case .filter(let tree): [tree.text]
        case .place(let place, let tree):
            [place.verb, place.field.path, place.condition.text] + (tree.map { [$0.text] } ?? [])
        }
    }
}

/// A lookup's options, read.
struct LookupShape: LookupArguments {
    var find: FindRequest
    var projection: Projection?
    var wantsMeta: Bool
    private let identity: LookupIdentity

    /// What a cursor must belong to. Most lookups neither take nor give one: their filters are
    /// written out in one form only where it is asked for.
    var queryHash: UInt64 {
        Cursor.queryHash([find.view.name] + identity.texts + [find.sort?.text ?? ""])
    }

    var deadlineNanoseconds: UInt64 {
        get { find.deadlineNanoseconds }
        set { find.deadlineNanoseconds = newValue }
    }

    init(
        _ request: RequestFrame, _ verb: Int, _ options: Options, _ view: CollectionView,
        _ handler: DataHandler, isCount: Bool
    ) throws(EngineError) {
        let limits = handler.limits
        let tree = try options.filterTree(
            request.bytes(verb + 1), path: "filter", parser: handler.context.parser)
        let filter: Filter
        do {
            filter = try Filter(parsing: tree, limits: limits)
        } catch {
            throw EngineError(error)
        }
        try self.init(
            filter, .filter(tree), options, view, handler, isCount: isCount)
    }

    /// A lookup that a verb of places stands for, and its `WHERE`.
    init(
        _ condition: LookupCondition, _ options: Options, _ view: CollectionView,
        _ handler: DataHandler
    ) throws(EngineError) {
        var filter = Filter.field(
            path: condition.field.path, conditions: [.place(condition.condition)])
        let tree = try options.filterTree("WHERE", parser: handler.context.parser)
        if let tree {
            do throws(QueryError) {
                filter = .and([try Filter(parsing: tree, limits: handler.limits), filter])
            } catch {
                throw EngineError(error)
            }
        }
        try self.init(
            filter, .place(condition, tree), options, view, handler, isCount: false,
            defaultSort: SortSpec(keys: []))
    }

    private init(
        _ filter: Filter, _ identity: LookupIdentity, _ options: Options,
        _ view: CollectionView, _ handler: DataHandler, isCount: Bool,
        defaultSort: SortSpec? = nil
    ) throws(EngineError) {
        let limits = handler.limits
        self.identity = identity
        find = FindRequest(
            view: view, filter: try handler.compile(filter, view), limit: limits.limitDefault)
        find.isCount = isCount
        // By id, whatever `$near` the filter holds: nil leaves the order to that.
        find.sort = defaultSort
        find.version = try options.version("AT")
        find.deadlineNanoseconds = try handler.deadline(options)
        find.allowsPartial = options.has("PARTIAL")
        wantsMeta = options.has("META")
        if isCount { return }
        find.limit = try options.integer("LIMIT", 0...limits.limitMax) ?? limits.limitDefault
        find.skip = try options.integer("SKIP", 0...limits.skipPlusLimitMax) ?? 0
        guard find.skip + find.limit <= limits.skipPlusLimitMax else {
            throw EngineError(
                .limit, "SKIP", "SKIP + LIMIT is at most \(limits.skipPlusLimitMax)",
                hint: "page on with AFTER and the cursor")
        }
        try options.refuse("SKIP", with: "AFTER")
        if options.has("BY"), !options.has("STATS") {
            throw EngineError(.syntax, "BY", "belongs to STATS")
        }
        do {
            if let text = try options.text("SORT") { find.sort = try SortSpec(parsing: text) }
            if let text = try options.text("FIELDS") {
                projection = try handler.projection(text)
            }
            if let text = try options.text("FACET") {
                find.facets = try FacetSpec(parsing: text, limits: limits).facets.map {
                    (facet) throws(QueryError) in try Self.facet(facet, view, limits)
                }
            }
            if let text = try options.text("STATS") {
                let spec = try StatsSpec(parsing: text, by: try options.text("BY"))
                find.stats = spec.paths
                find.statsBy = spec.by
            }
            if let text = try options.text("DISTINCT") {
                find.distinct = try DistinctSpec(parsing: text).path
            }
            if let text = try options.text("AFTER") {
                let cursor = try Cursor(
                    decoding: text, secret: handler.cursorSecret, queryHash: queryHash)
                let keyCount = find.near == nil ? find.sort?.keys.count ?? 0 : 1
                guard cursor.keys.count == keyCount else {
                    throw EngineError(
                        .invalid, "AFTER", "is a cursor of this query as it was given")
                }
                find.after = CursorPlace(keys: cursor.keys, id: cursor.id)
            }
        } catch let error as QueryError {
            throw EngineError(error)
        } catch let error as EngineError {
            throw error
        } catch {
            throw EngineError(.syntax, "", "the options cannot be read")
        }
    }

    private static func facet(
        _ facet: FacetSpec.Facet, _ view: CollectionView, _ limits: Limits
    ) throws(QueryError) -> FacetRequest {
        var keys: [Int64] = []
        if facet.edges != nil, let field = view.schema.field(at: facet.path),
            field.type.isNumeric
        {
            keys = try facet.edgeKeys(
                for: field, nowMilliseconds: Clock.wallMilliseconds())
        }
        return FacetRequest(
            path: facet.path, limit: facet.limit ?? min(100, limits.facetValueCountMax),
            edges: facet.edges ?? [], edgeKeys: keys)
    }
}
