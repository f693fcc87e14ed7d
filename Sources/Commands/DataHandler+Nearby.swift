import Documents
import Engine
import GeoIndex
import GeoJSON
import Primitives
import Query
import RESP
import Schema

/// `NEARBY`.
extension DataHandler {
    fileprivate static let nearbyRules = [
        OptionRule("RADIUS"), OptionRule("LIMIT"), OptionRule("FIELDS"), OptionRule("WHERE"),
        OptionRule("OPEN"), OptionRule("HOURS"), OptionRule("STOCK", 4),
        OptionRule("FIELD"), OptionRule("AFTER"), OptionRule("META", 0), OptionRule("TIMEOUT"),
        OptionRule("PARTIAL", 0), OptionRule("PARAMS"), OptionRule("BLOB", 2),
    ]

    fileprivate func answer(
        _ execution: NearbyExecution, _ shape: NearbyShape, _ started: UInt64, explain: Explanation,
        _ reply: inout ReplyWriter
    ) throws(EngineError) {
        let outcome = execution.outcome
        switch explain {
        case .none: break
        case .drawing(let format): return try draw(execution, format, &reply)
        case .plan:
            plan(
                outcome.plan, total: outcome.total ?? outcome.hits.count,
                hitCount: outcome.hits.count, started, &reply)
            return
        }
        reply.map(
            4 + (outcome.total == nil ? 0 : 1) + (outcome.next == nil ? 0 : 1)
                + (outcome.isPartial ? 1 : 0))
        if let total = outcome.total {
            reply.bulk("total")
            reply.integer(total)
        }
        reply.bulk("exact")
        reply.bool(!outcome.isPartial)
        reply.bulk("hits")
        try hits(outcome, shape, &reply)
        if let next = outcome.next {
            reply.bulk("cursor")
            let cursor = Cursor(
                queryHash: shape.queryHash, keys: [.key(OrderedKey.key(next.distance))],
                id: next.id)
            reply.bulk(cursor.encodedBytes(secret: cursorSecret))
        }
        lookupEnd(outcome.version, isPartial: outcome.isPartial, started, &reply)
    }

    private func hits(
        _ outcome: NearbyOutcome, _ shape: NearbyShape, _ reply: inout ReplyWriter
    ) throws(EngineError) {
        let start = reply.byteCount
        let view = shape.request.view
        reply.array(outcome.hits.count)
        guard shape.wantsKeys else {
            outcome.forEachHit { hit, id in
                reply.map(
                    of: 3, "$2\r\nid\r\n", id, "$10\r\ndistance_m\r\n", billionths: hit.meters,
                    "$3\r\ndoc\r\n$2\r\n{}\r\n")
            }
            return try checkByteCount(of: reply, since: start)
        }
        let wantsVectors = shape.projection.map { wants($0, vectorsOf: view) } ?? false
        try outcome.forEachHit { (hit, id) throws(EngineError) in
            reply.map(shape.wantsMeta ? 4 : 3)
            reply.bulk("id")
            reply.bulk(id)
            reply.bulk("distance_m")
            reply.billionths(hit.meters)
            if shape.wantsMeta {
                reply.bulk("version")
                reply.version(hit.key.version)
            }
            try hitDocument(
                hit.key, view, shape.projection, wantsVectors: wantsVectors, &reply)
            try checkByteCount(of: reply, since: start)
        }
    }

    private func draw(
        _ execution: NearbyExecution, _ format: DrawingFormat, _ reply: inout ReplyWriter
    ) throws(EngineError) {
        let request = execution.request
        var drawing = PlaceDrawing()
        // Without a radius the circle through the last hit shows how far it looked.
        let reach = request.radiusMeters ?? execution.outcome.hits.last?.meters
        if let reach {
            let cap = Cap(center: SpherePoint(request.center), radiusMeters: reach)
            drawing.add(.cap(cap, from: 0))
        } else {
            drawing.add(center: request.center)
        }
        let outcome = execution.outcome
        for hit in outcome.hits {
            try add(
                hit.key, outcome.id(hit), request.target.path, meters: hit.meters, to: &drawing)
        }
        reply.bulk(format == .svg ? drawing.svg : drawing.geoJSON)
    }

    /// Adds the places of a hit's document to a drawing; with a radius points are zones.
    func add(
        _ key: LogKey, _ id: [UInt8], _ path: String, meters: Double? = nil,
        radiusMeters: Double? = nil, to drawing: inout PlaceDrawing
    ) throws(EngineError) {
        guard let path = try? FieldPath(path) else { return }
        let depth = limits.documentDepthMax + 1
        let geometries: [Geometry] = try context.withDocument(key) { bytes in
            guard let root = try? context.parser.parse(bytes, depthMax: depth) else { return [] }
            var matches = FieldPath.Matches()
            path.lookup(in: root, into: &matches)
            return matches.values.flatMap { value -> [Geometry] in
                if let geometry = Self.geometry(value) { return [geometry] }
                return value.children.compactMap { Self.geometry($0.value) }
            }
        }
        for geometry in geometries {
            if let radiusMeters, case .point(let point) = geometry {
                let radius = min(radiusMeters, PlaceArguments.metersMax)
                let cap = Cap(center: SpherePoint(point), radiusMeters: radius)
                drawing.add(zone: cap)
            }
            drawing.add(hit: id, geometry, meters: meters)
        }
    }

    private static func geometry(_ value: TapeValue) -> Geometry? {
        if let point = try? GeoJSON.point(value) { return .point(point) }
        return value.kind == .object ? try? GeoJSON.shape(value) : nil
    }

    /// The field of places that is meant: the one that is named, or the only one.
    static func placeTarget(
        _ options: Options, _ view: CollectionView
    ) throws(EngineError) -> PlaceTarget {
        let fields = view.placeTargets
        if let name = try options.text("FIELD") {
            if let field = fields.first(where: { $0.path == name }) { return field }
            throw EngineError(
                .noIndex, String(name.prefix(64)), "is no field of places with an index",
                hint: "DESCRIBE \(view.name) lists the fields, ALTER adds an index")
        }
        guard let field = fields.first else {
            throw EngineError(
                .noIndex, view.name, "has no field of places with an index",
                hint: "ALTER adds one, of type geopoint with index true")
        }
        guard fields.count == 1 else {
            let names = fields.map(\.path).joined(separator: ", ")
            throw EngineError(
                .syntax, "FIELD", "one of several fields of places has to be named: \(names)")
        }
        return field
    }
}

/// `NEARBY`, whose collection is argument `first`.
struct NearbyLookup: LookupVerb {
    let first: Int
    let explain: Explanation

    func read(
        _ request: RequestFrame, _ handler: DataHandler
    ) throws(EngineError) -> NearbyShape {
        let view = try handler.view(request, first)
        guard request.count > first + 2 else {
            throw EngineError(.syntax, "NEARBY", "takes a longitude and a latitude")
        }
        let options = try Options(request, from: first + 3, DataHandler.nearbyRules)
        let center = try PlaceArguments.place(options, at: first + 1)
        let shape = try NearbyShape(options, view, center, handler)
        shape.request.isExplained = explain.isPlan
        if case .none = explain { shape.request.wantsKeys = shape.wantsKeys }
        return shape
    }

    func begin(
        _ shape: NearbyShape, _ handler: DataHandler
    ) throws(EngineError) -> NearbyExecution {
        try NearbyExecution(shape.request, context: handler.context)
    }

    func answer(
        _ execution: NearbyExecution, _ shape: NearbyShape, _ started: UInt64,
        _ handler: DataHandler, _ reply: inout ReplyWriter
    ) throws(EngineError) {
        try handler.answer(execution, shape, started, explain: explain, &reply)
    }
}

/// The options of a lookup of near places, read. A class, so that nothing of it is copied.
final class NearbyShape: LookupArguments {
    let request: NearbyRequest
    var projection: Projection?
    var wantsMeta: Bool
    private var filterText = ""
    private var stockText = ""

    var deadlineNanoseconds: UInt64 {
        get { request.deadlineNanoseconds }
        set {
            request.deadlineNanoseconds = newValue
            request.stock?.find.deadlineNanoseconds = newValue
        }
    }

    /// Whether hits have to say where their documents are.
    private(set) var wantsKeys = true

    /// What a cursor must belong to.
    var queryHash: UInt64 {
        Cursor.queryHash(
            [
                UInt64(request.target.number),
                request.center.longitude.bitPattern, request.center.latitude.bitPattern,
                (request.radiusMeters ?? -1).bitPattern,
                UInt64(bitPattern: request.opening?.milliseconds ?? .min),
            ], ["NEARBY", request.view.name, filterText, stockText])
    }

    init(
        _ options: Options, _ view: CollectionView, _ center: LatLng, _ handler: DataHandler
    ) throws(EngineError) {
        let limits = handler.limits
        let target = try DataHandler.placeTarget(options, view)
        guard target.holdsPoints else {
            throw EngineError(
                .invalid, target.path, "holds no points of the globe",
                hint: target.field.type == .geoshape
                    ? "ask with COVER or WITHIN" : "ask with $near in FIND")
        }
        wantsMeta = options.has("META")
        let limit = try options.integer("LIMIT", 0...limits.limitMax) ?? limits.limitDefault
        request = NearbyRequest(view: view, target: target, center: center, limit: limit)
        if let bytes = options.bytes("RADIUS") {
            request.radiusMeters = try PlaceArguments.meters(bytes, options, "RADIUS")
        }
        var filter = Filter.all
        if let tree = try options.filterTree("WHERE", parser: handler.context.parser) {
            filterText = tree.text
            do throws(QueryError) {
                filter = try Filter(parsing: tree, limits: limits)
            } catch {
                throw EngineError(error)
            }
        }
        if !filter.matchesAll { request.filter = try handler.compile(filter, view) }
        if let condition = radiusCondition() {
            filter = filter.matchesAll ? condition : .and([condition, filter])
            request.filter = try handler.compile(filter, view)
        }
        try narrow(options, handler)
        request.deadlineNanoseconds = try handler.deadline(options)
        request.allowsPartial = options.has("PARTIAL")
        if let text = try options.text("FIELDS") {
            do throws(QueryError) {
                projection = try handler.projection(text)
            } catch {
                throw EngineError(error)
            }
        }
        if !wantsMeta, let projection, projection.namesOnlyID { wantsKeys = false }
        if let text = try options.text("AFTER") {
            request.after = try Self.cursor(text, queryHash, handler)
        }
    }

    /// The radius as a condition of the filter, where the filter reads documents (then only those
    /// within it) or the radius is one of an ellipsoid.
    private func radiusCondition() -> Filter? {
        guard let meters = request.radiusMeters else { return nil }
        let isEllipsoid = request.target.earth == .wgs84
        let readsDocuments = request.filter.map { request.view.readsDocuments(for: $0) } ?? false
        guard isEllipsoid || readsDocuments else { return nil }
        let source = JSON.array([.string("RADIUS"), .double(meters)])
        let center = request.center
        let kind: PlaceCondition.Kind =
            isEllipsoid
            ? .near(
                NearCondition(
                    center: FlatPoint(x: center.longitude, y: center.latitude), isGeoJSON: true,
                    distanceMax: meters, distanceMin: nil))
            : .region(
                .cap(Cap(center: SpherePoint(center), radiusMeters: meters), from: 0), .within)
        return .field(
            path: request.target.path, conditions: [.place(PlaceCondition(kind, source: source))])
    }

    /// The years 1 to 9999, in milliseconds since 1970.
    private static let moments: ClosedRange<Int64> = -62_135_596_800_000...253_402_300_799_999

    /// `OPEN` and `STOCK`.
    private func narrow(
        _ options: Options, _ handler: DataHandler
    ) throws(EngineError) {
        if let text = try options.text("OPEN") {
            let moment: Int64
            do {
                moment =
                    try Int64(text)
                    ?? DateTime.parse(text, nowMilliseconds: Clock.wallMilliseconds())
            } catch {
                throw EngineError(
                    .invalid, "OPEN",
                    "is now, now+1h or a time such as 2026-05-01T18:30:00-07:00, got "
                        + "\(text.prefix(64))")
            }
            guard Self.moments.contains(moment) else {
                throw EngineError(
                    .invalid, "OPEN", "is a time of the years 1 to 9999, got \(text.prefix(64))")
            }
            request.opening = OpeningRequest(
                field: try hoursField(options), milliseconds: moment)
        } else if options.has("HOURS") {
            throw EngineError(.syntax, "HOURS", "belongs to OPEN")
        }
        if options.has("STOCK") { try stock(options, handler) }
    }

    private func hoursField(_ options: Options) throws(EngineError) -> Field {
        let fields = request.view.schema.fields.filter(\.hasHours)
        if let name = try options.text("HOURS") {
            if let field = fields.first(where: { $0.path == name }) { return field }
            throw EngineError(.noIndex, String(name.prefix(64)), "is no field of hours")
        }
        guard let field = fields.first else {
            throw EngineError(
                .noIndex, request.view.name, "has no field of hours", hint: "ALTER adds one")
        }
        guard fields.count == 1 else {
            let names = fields.map(\.path).joined(separator: ", ")
            throw EngineError(
                .syntax, "HOURS", "one of several fields of hours has to be named: \(names)")
        }
        return field
    }

    private func stock(_ options: Options, _ handler: DataHandler) throws(EngineError) {
        let words = try options.words("STOCK", count: 4)
        guard words.count == 4, words[2].uppercased() == "IN" else {
            throw EngineError(.syntax, "STOCK", "takes sku qty IN collection")
        }
        let view = try handler.context.collection(words[3])
        guard let names = view.schema.stockOf else {
            throw EngineError(
                .noIndex, view.name, "its schema does not say which fields hold the stock",
                hint: "CREATE it with stock_of: store, sku and quantity")
        }
        guard let quantity = JSONNumber(words[1]), quantity.double >= 0 else {
            throw EngineError(
                .invalid, "STOCK", "a quantity is a number from 0, got \(words[1].prefix(64))")
        }
        let filter = Filter.and([
            .field(path: names.sku, conditions: [.equal(.string(words[0]))]),
            .field(path: names.quantity, conditions: [.greaterOrEqual(.number(quantity))]),
        ])
        var find = FindRequest(view: view, filter: try handler.compile(filter, view), limit: 0)
        find.deadlineNanoseconds = try handler.deadline(options)
        do throws(FieldPathError) {
            var history = HistoryRequest(find: find, path: try FieldPath(names.store))
            history.documentCountMax = .max
            history.idCountMax = .max
            request.stock = history
        } catch {
            throw EngineError(.invalid, view.name, "the stock's store is no field path")
        }
        stockText = words.joined(separator: " ")
    }

    private static func cursor(
        _ text: String, _ queryHash: UInt64, _ handler: DataHandler
    ) throws(EngineError) -> PlaceCursor {
        do throws(QueryError) {
            let cursor = try Cursor(
                decoding: text, secret: handler.cursorSecret, queryHash: queryHash)
            guard cursor.keys.count == 1, case .key(let key) = cursor.keys[0] else {
                throw .invalid(
                    path: "AFTER", rule: "is a cursor of this query as it was given", value: "")
            }
            return PlaceCursor(distance: OrderedKey.double(key), id: cursor.id)
        } catch {
            throw EngineError(error)
        }
    }
}
