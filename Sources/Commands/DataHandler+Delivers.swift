import Documents
import Engine
import GeoIndex
import GeoJSON
import Primitives
import Query
import RESP
import Schema

/// `DELIVERS`: whether a document's own zone holds a place, and if not why.
extension DataHandler {
    private static let deliversRules = [
        OptionRule("FIELD"), OptionRule("META", 0), OptionRule("TIMEOUT"),
        OptionRule("PARTIAL", 0), OptionRule("PARAMS"), OptionRule("BLOB", 2),
    ]

    /// What can be said of one document's zone.
    private struct Delivery {
        var canDeliver = false
        var meters: Double?
        var radiusMeters: Double?
        var reason: String
        /// Where the document is.
        var key = LogKey.none
    }

    /// Answers for one document; its collection is argument `first`.
    func delivers(
        _ request: RequestFrame, from first: Int, _ reply: inout ReplyWriter, explain: Explanation
    ) throws(EngineError) -> Disposition {
        let started = Clock.monotonicNanoseconds()
        let view = try view(request, first)
        guard request.count > first + 3 else {
            throw EngineError(.syntax, "DELIVERS", "takes an id, a longitude and a latitude")
        }
        let id = try id(request, first + 1)
        let options = try Options(request, from: first + 4, Self.deliversRules)
        let place = try PlaceArguments.place(options, at: first + 2)
        let field = try deliveringField(options, view)
        let deadline = try self.deadline(options)
        let depth = limits.documentDepthMax + 1
        let (version, current) = try context.pin(view)
        defer { context.pins.release(version) }
        let found: Delivery? = try context.withPoint(current, id: id, at: version) { point in
            guard let point,
                let root = try? context.parser.parse(point.document, depthMax: depth)
            else { return nil }
            var delivery = Self.delivery(root, field, place)
            delivery.key = point.key
            return delivery
        }
        guard let found else {
            throw EngineError(
                .notFound, request.string(first + 1), "no document with this id")
        }
        // A shape of very many vertices may have taken long.
        guard Clock.monotonicNanoseconds() < deadline else {
            throw EngineError(
                .timeout, "", "the time for this lookup is over",
                hint: "raise TIMEOUT: there is no part of an answer about one document")
        }
        switch explain {
        case .none: write(found, wantsMeta: options.has("META"), &reply)
        case .plan: plan(Self.plan(found, field, started), total: 1, hitCount: 1, started, &reply)
        case .drawing(let format):
            var drawing = PlaceDrawing()
            drawing.add(center: place)
            try add(
                found.key, [UInt8](id), field.path, meters: found.meters,
                radiusMeters: found.radiusMeters, to: &drawing)
            reply.bulk(format == .svg ? drawing.svg : drawing.geoJSON)
        }
        return .replied
    }

    private func write(_ found: Delivery, wantsMeta: Bool, _ reply: inout ReplyWriter) {
        reply.map(wantsMeta ? 5 : 4)
        reply.bulk("can_deliver")
        reply.bool(found.canDeliver)
        reply.bulk("distance_m")
        found.meters.map { reply.double($0) } ?? reply.null()
        reply.bulk("radius_m")
        found.radiusMeters.map { reply.double($0) } ?? reply.null()
        reply.bulk("reason")
        reply.bulk(found.reason)
        guard wantsMeta else { return }
        reply.bulk("version")
        reply.version(found.key.version)
    }

    private static func plan(_ found: Delivery, _ field: Field, _ started: UInt64) -> FindPlan {
        var plan = FindPlan()
        plan.estimate = 1
        plan.documentsRead = 1
        let microseconds = Int((Clock.monotonicNanoseconds() - started) / 1_000)
        plan.stages = [
            FindPlan.Stage(
                name: "fetch", detail: "the document of the id, without an index", rows: 1,
                microseconds: microseconds),
            FindPlan.Stage(
                name: "measure", detail: "\(field.path): \(found.reason)",
                rows: found.canDeliver ? 1 : 0, microseconds: 0),
        ]
        return plan
    }

    /// A field need not have an index here: only one document is asked.
    private func deliveringField(
        _ options: Options, _ view: CollectionView
    ) throws(EngineError) -> Field {
        let fields = view.schema.fields.filter { $0.isZone && !$0.isInsideArray }
        if let name = try options.text("FIELD") {
            if let field = fields.first(where: { $0.path == name }) { return field }
            throw EngineError(
                .invalid, String(name.prefix(64)), "is no field of zones",
                hint: "a geoshape, or a geopoint with a radius, is")
        }
        guard let field = fields.first else {
            throw EngineError(
                .invalid, view.name, "has no field of zones",
                hint: "ALTER adds a geoshape, or a radius to a geopoint")
        }
        guard fields.count == 1 else {
            let names = fields.map(\.path).joined(separator: ", ")
            throw EngineError(
                .syntax, "FIELD", "one of several fields of zones has to be named: \(names)")
        }
        return field
    }

    private static func delivery(_ root: TapeValue, _ field: Field, _ place: LatLng) -> Delivery {
        guard let path = try? FieldPath(field.path), let value = path.single(in: root),
            !value.isNull
        else { return Delivery(reason: "it has no place in \(field.path)") }
        if field.type == .geoshape { return delivery(shapes: value, place) }
        let points =
            (try? GeoJSON.point(value)).map { [$0] }
            ?? value.children.compactMap {
                try? GeoJSON.point($0.value)
            }
        let earth = field.definition.place.earth
        let distances = points.map { (point: $0, meters: earth.meters($0, place)) }
        guard let nearest = distances.min(by: { $0.meters < $1.meters }) else {
            return Delivery(reason: "it has no place in \(field.path)")
        }
        let radiusPath = field.definition.place.radiusPath ?? ""
        guard let radius = (try? FieldPath(radiusPath))?.single(in: root), !radius.isNull else {
            return Delivery(
                meters: nearest.meters, reason: "it does not deliver: \(radiusPath) is not set")
        }
        let kilometers = radius.kind == .string ? Double(radius.string) ?? 0 : radius.double
        let canDeliver = PlaceTest.isHeld(
            place, by: nearest.point, meters: kilometers * 1_000, earth)
        let (far, limit) = (text(nearest.meters / 1_000), text(kilometers))
        return Delivery(
            canDeliver: canDeliver, meters: nearest.meters, radiusMeters: kilometers * 1_000,
            reason: canDeliver
                ? "within \(limit) km"
                : "too far: \(far == limit ? "just over " : "")\(far) km, it delivers within "
                    + "\(limit) km")
    }

    private static func delivery(shapes value: TapeValue, _ place: LatLng) -> Delivery {
        let values = value.kind == .array ? value.children.map(\.value) : [value]
        let p = SpherePoint(place)
        var nearest: Double?
        for value in values {
            guard let geometry = try? GeoJSON.shape(value) else { continue }
            let meters: Double
            switch geometry {
            case .polygon(let polygon): meters = polygon.meters(from: p)
            case .point(let point): meters = SpherePoint(point).meters(to: p)
            case .multiPoint(let points):
                meters = points.map { SpherePoint($0).meters(to: p) }.min() ?? .infinity
            case .lineString: continue
            }
            nearest = min(nearest ?? meters, meters)
        }
        guard let nearest else { return Delivery(reason: "it has no zone") }
        return Delivery(
            canDeliver: nearest == 0, meters: nearest,
            reason: nearest == 0
                ? "within its zone" : "outside of its zone by \(text(nearest / 1_000)) km")
    }

    /// Kilometres to the metre, without zeros at the end.
    private static func text(_ kilometers: Double) -> String {
        let meters = (kilometers * 1_000).rounded()
        return ReplyWriter.shortest(meters / 1_000)
    }
}
