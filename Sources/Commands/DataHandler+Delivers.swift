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
    private static let deliversRules = [OptionRule("FIELD")]

    /// What can be said of one document's zone.
    private struct Delivery {
        var canDeliver = false
        var meters: Double?
        var radiusMeters: Double?
        var reason: String
    }

    func delivers(
        _ request: RequestFrame, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        let view = try view(request)
        let id = try id(request, 2)
        let place = try PlaceArguments.place(request, at: 3)
        let options = try Options(request, from: 5, Self.deliversRules)
        let field = try deliveringField(options, view)
        let depth = limits.documentDepthMax + 1
        let (version, current) = try context.pin(view)
        defer { context.pins.release(version) }
        let found: Delivery? = try context.withPoint(current, id: id, at: version) { point in
            guard let point,
                let root = try? context.parser.parse(point.document, depthMax: depth)
            else { return nil }
            return Self.delivery(root, field, place)
        }
        guard let found else {
            throw EngineError(
                .notFound, request.string(2), "no document with this id")
        }
        reply.map(4)
        reply.bulk("can_deliver")
        reply.bool(found.canDeliver)
        reply.bulk("distance_m")
        found.meters.map { reply.double($0) } ?? reply.null()
        reply.bulk("radius_m")
        found.radiusMeters.map { reply.double($0) } ?? reply.null()
        reply.bulk("reason")
        reply.bulk(found.reason)
        return .replied
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
        return Delivery(
            canDeliver: canDeliver, meters: nearest.meters, radiusMeters: kilometers * 1_000,
            reason: canDeliver
                ? "within \(text(kilometers)) km"
                : "too far: \(text(nearest.meters / 1_000)) km, it delivers within "
                    + "\(text(kilometers)) km")
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
