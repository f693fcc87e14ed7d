import Documents
import Engine
import GeoIndex
import GeoJSON
import Primitives
import Query
import RESP
import Schema

/// `WITHIN` and `COVER`: lookups whose filter holds a condition about places.
extension DataHandler {
    private static let regionRules =
        [OptionRule("WHERE"), OptionRule("FIELD")] + pageRules

    /// Starts a lookup within a region whose verb is argument `verb - 1`.
    func within(
        _ request: RequestFrame, from verb: Int, _ session: Session, _ reply: inout ReplyWriter,
        explain: Explanation
    ) throws(EngineError) -> Disposition {
        let started = Clock.monotonicNanoseconds()
        let view = try view(request, verb)
        guard request.count > verb + 1 else {
            throw EngineError(
                .syntax, "WITHIN", "takes a GeoJSON polygon, BOX w s e n or CIRCLE lon lat 5km")
        }
        var start = verb + 2
        let isBox = request.equals(verb + 1, "BOX")
        let isCircle = request.equals(verb + 1, "CIRCLE")
        if isBox { start = verb + 6 }
        if isCircle { start = verb + 5 }
        guard request.count >= start else {
            throw EngineError(
                .syntax, isBox ? "BOX" : "CIRCLE",
                isBox ? "takes west south east north" : "takes a longitude, a latitude, a radius")
        }
        let options = try Options(request, from: start, Self.regionRules)
        let field = try Self.placeTarget(options, view).field
        let condition: PlaceCondition
        if isBox {
            condition = try box(request, at: verb + 2, field)
        } else if isCircle {
            condition = try circle(request, at: verb + 2, field)
        } else {
            let tree = try options.filterTree(
                request.bytes(verb + 1), path: "region", parser: context.parser)
            condition = try region(tree, field)
        }
        return try find(
            view, LookupCondition(verb: "WITHIN", field: field, condition: condition), options,
            session, started, &reply, explain: explain)
    }

    /// Starts a lookup of the zones that hold a place.
    func cover(
        _ request: RequestFrame, from verb: Int, _ session: Session, _ reply: inout ReplyWriter,
        explain: Explanation
    ) throws(EngineError) -> Disposition {
        let started = Clock.monotonicNanoseconds()
        let view = try view(request, verb)
        guard request.count > verb + 2 else {
            throw EngineError(.syntax, "COVER", "takes a longitude and a latitude")
        }
        let place = try PlaceArguments.place(request, at: verb + 1)
        let options = try Options(request, from: verb + 3, Self.regionRules)
        let field = try Self.zoneField(options, view)
        let source = JSON.array([
            .string("COVER"), .double(place.longitude), .double(place.latitude),
        ])
        let kind: PlaceCondition.Kind =
            field.type == .geoshape
            ? .region(.point(SpherePoint(place)), .intersects) : .zone(place)
        return try find(
            view,
            LookupCondition(
                verb: "COVER", field: field, condition: PlaceCondition(kind, source: source)),
            options, session, started, &reply, explain: explain)
    }

    private func find(
        _ view: CollectionView, _ condition: LookupCondition, _ options: Options,
        _ session: Session, _ started: UInt64, _ reply: inout ReplyWriter, explain: Explanation
    ) throws(EngineError) -> Disposition {
        var shape = try LookupShape(condition, options, view, self)
        shape.find.isExplained = explain.isPlan
        return try find(shape, session, started, &reply, explain: explain)
    }

    // MARK: - Regions

    private func region(_ tree: JSON, _ field: Field) throws(EngineError) -> PlaceCondition {
        guard !field.definition.place.isFlat else {
            throw EngineError(
                .invalid, field.path, "is of type 2d: ask with BOX, or with $polygon in FIND")
        }
        let geometry: Geometry
        do throws(GeoJSONError) {
            geometry = try GeoJSON.shape(tree)
        } catch {
            throw EngineError(QueryError(error, at: "region"))
        }
        guard case .polygon(let polygon) = geometry else {
            throw EngineError(
                .invalid, "region", "is a Polygon or MultiPolygon, got a \(geometry.typeName)")
        }
        return PlaceCondition(
            .region(.polygon(PolygonCells(polygon)), relation(to: field)), source: tree)
    }

    /// Points are within; of shapes all that have a place in common are found.
    private func relation(to field: Field) -> ShapeRelation {
        field.type == .geoshape ? .intersects : .within
    }

    private func box(
        _ request: RequestFrame, at index: Int, _ field: Field
    ) throws(EngineError) -> PlaceCondition {
        let west = try PlaceArguments.longitude(request.string(index), "west")
        let south = try PlaceArguments.latitude(request.string(index + 1), "south")
        let east = try PlaceArguments.longitude(request.string(index + 2), "east")
        let north = try PlaceArguments.latitude(request.string(index + 3), "north")
        guard south <= north else {
            throw EngineError(
                .invalid, "BOX", "south is at most north, got \(south) and \(north)",
                hint: "the order is west south east north; west may be greater than east")
        }
        let source = JSON.array(
            [.string("BOX")] + [west, south, east, north].map { JSON.double($0) })
        if field.definition.place.isFlat {
            return PlaceCondition(
                .flat(.box(FlatPoint(x: west, y: south), FlatPoint(x: east, y: north))),
                source: source)
        }
        let box = LatLngRect(south: south, west: west, north: north, east: east)
        return PlaceCondition(.region(.box(box), relation(to: field)), source: source)
    }

    private func circle(
        _ request: RequestFrame, at index: Int, _ field: Field
    ) throws(EngineError) -> PlaceCondition {
        let center = try PlaceArguments.place(request, at: index)
        let meters = try PlaceArguments.meters(request.string(index + 2), "CIRCLE")
        guard !field.definition.place.isFlat else {
            throw EngineError(
                .invalid, field.path, "is of type 2d: ask with BOX, or with $center in FIND")
        }
        let source = JSON.array(
            [.string("CIRCLE")]
                + [center.longitude, center.latitude, meters].map { JSON.double($0) })
        if field.definition.place.earth == .wgs84 {
            return PlaceCondition(
                .near(
                    NearCondition(
                        center: FlatPoint(x: center.longitude, y: center.latitude),
                        isGeoJSON: true, distanceMax: meters, distanceMin: nil)), source: source)
        }
        let cap = Cap(center: SpherePoint(center), radiusMeters: meters)
        return PlaceCondition(.region(.cap(cap, from: 0), relation(to: field)), source: source)
    }

    /// The field of zones that is meant: the one that is named, or the only one.
    static func zoneField(
        _ options: Options, _ view: CollectionView
    ) throws(EngineError) -> Field {
        let fields = view.placeTargets.map(\.field).filter(\.isZone)
        if try options.text("FIELD") == nil {
            if fields.count == 1 { return fields[0] }
            guard fields.count > 1 else {
                throw EngineError(
                    .noIndex, view.name, "has no field of zones with an index",
                    hint: "a geoshape, or a geopoint with a radius, with index true")
            }
            let names = fields.map(\.path).joined(separator: ", ")
            throw EngineError(
                .syntax, "FIELD", "one of several fields of zones has to be named: \(names)")
        }
        let field = try placeTarget(options, view).field
        guard field.isZone else {
            throw EngineError(
                .noIndex, field.path, "holds no zones",
                hint: "a geoshape, or a geopoint with a radius, does")
        }
        return field
    }
}

extension Field {
    /// Whether its places are zones: shapes, or points with a radius.
    var isZone: Bool { type == .geoshape || definition.place.radiusPath != nil }
}

/// A condition about places that a verb stands for, and what of the request makes it.
struct LookupCondition {
    let verb: String
    let field: Field
    let condition: PlaceCondition
}
