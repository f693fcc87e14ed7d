import Documents
import Engine
import GeoIndex
import GeoJSON
import Primitives
import Query
import RESP
import Schema

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// `WITHIN`, whose collection is argument `first`.
struct WithinLookup: FilterLookup {
    let first: Int
    let explain: Explanation

    func read(
        _ request: RequestFrame, _ handler: DataHandler
    ) throws(EngineError) -> LookupShape {
        let view = try handler.view(request, first)
        let place = first + 1
        guard request.count > place else {
            throw EngineError(
                .syntax, "WITHIN", "takes a GeoJSON polygon, BOX w s e n or CIRCLE lon lat 5km")
        }
        let isBox = request.equals(place, "BOX")
        let isCircle = request.equals(place, "CIRCLE")
        let start = place + (isBox ? 5 : isCircle ? 4 : 1)
        if isBox || isCircle {
            try PlaceArguments.checkForm(
                request, place + 1..<start, DataHandler.regionRules, isBox: isBox)
        }
        let sign = request.bytes(place).first { $0 > 0x20 }
        if !isBox, !isCircle, sign != UInt8(ascii: "{"), sign != UInt8(ascii: "$") {
            throw EngineError(
                .syntax, "WITHIN",
                "takes a GeoJSON polygon, BOX w s e n or CIRCLE lon lat 5km, got "
                    + "\(request.string(place).prefix(64))")
        }
        let options = try Options(request, from: start, DataHandler.regionRules)
        let field = try DataHandler.placeTarget(options, view).field
        let condition: PlaceCondition
        if isBox {
            condition = try handler.box(options, at: place + 1, field)
        } else if isCircle {
            condition = try handler.circle(options, at: place + 1, field)
        } else {
            condition = try handler.region(request.bytes(place), options, field)
        }
        return try LookupShape(
            LookupCondition(verb: "WITHIN", field: field, condition: condition), options, view,
            handler)
    }
}

/// `COVER`, whose collection is argument `first`.
struct CoverLookup: FilterLookup {
    let first: Int
    let explain: Explanation

    func read(
        _ request: RequestFrame, _ handler: DataHandler
    ) throws(EngineError) -> LookupShape {
        let view = try handler.view(request, first)
        guard request.count > first + 2 else {
            throw EngineError(.syntax, "COVER", "takes a longitude and a latitude")
        }
        let options = try Options(request, from: first + 3, DataHandler.regionRules)
        let place = try PlaceArguments.place(options, at: first + 1)
        let field = try DataHandler.zoneField(options, view)
        let source = JSON.array([
            .string("COVER"), .double(place.longitude), .double(place.latitude),
        ])
        let kind: PlaceCondition.Kind =
            field.type == .geoshape
            ? .region(.point(SpherePoint(place)), .intersects) : .zone(place)
        return try LookupShape(
            LookupCondition(
                verb: "COVER", field: field, condition: PlaceCondition(kind, source: source)),
            options, view, handler)
    }
}

/// What `WITHIN` and `COVER` ask for: conditions about places, for a filter.
extension DataHandler {
    fileprivate static let regionRules =
        [OptionRule("WHERE"), OptionRule("FIELD")] + pageRules

    // MARK: - Regions

    fileprivate func region(
        _ bytes: UnsafeRawBufferPointer, _ options: Options, _ field: Field
    ) throws(EngineError) -> PlaceCondition {
        guard !field.definition.place.isFlat else {
            throw EngineError(
                .invalid, field.path, "is of type 2d: ask with BOX, or with $polygon in FIND")
        }
        let parser = context.parser
        if Self.namesParameters(bytes) {
            let tree = try options.filterTree(bytes, path: "region", parser: parser)
            let kind = try region(field) { () throws(GeoJSONError) in try GeoJSON.shape(tree) }
            return PlaceCondition(kind, source: tree)
        }
        // A polygon of a thousand corners is read once, not made a tree first.
        let value: TapeValue
        do throws(JSONError) {
            value = try parser.parse(bytes, depthMax: Options.filterDepthMax)
        } catch {
            throw EngineError(error, path: "region")
        }
        let kind = try region(field) { () throws(GeoJSONError) in try GeoJSON.shape(value) }
        return PlaceCondition(kind, text: String(decoding: parser.minified, as: UTF8.self))
    }

    /// Whether JSON may have parameters in it.
    private static func namesParameters(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let start = bytes.baseAddress else { return false }
        return memchr(start, Int32(UInt8(ascii: "$")), bytes.count) != nil
    }

    private func region(
        _ field: Field, _ read: () throws(GeoJSONError) -> Geometry
    ) throws(EngineError) -> PlaceCondition.Kind {
        let geometry: Geometry
        do throws(GeoJSONError) {
            geometry = try read()
        } catch {
            throw EngineError(QueryError(error, at: "region"))
        }
        guard case .polygon(let polygon) = geometry else {
            throw EngineError(
                .invalid, "region", "is a Polygon or MultiPolygon, got a \(geometry.typeName)")
        }
        return .region(.polygon(PolygonRegion(polygon)), relation(to: field))
    }

    /// Points are within; of shapes all that have a place in common are found.
    private func relation(to field: Field) -> ShapeRelation {
        field.type == .geoshape ? .intersects : .within
    }

    fileprivate func box(
        _ options: Options, at index: Int, _ field: Field
    ) throws(EngineError) -> PlaceCondition {
        let isFlat = field.definition.place.isFlat
        let west = try PlaceArguments.longitude(options.argument(index), "west")
        let south = try PlaceArguments.latitude(
            options.argument(index + 1), "south", isFlat: isFlat)
        let east = try PlaceArguments.longitude(options.argument(index + 2), "east")
        let north = try PlaceArguments.latitude(
            options.argument(index + 3), "north", isFlat: isFlat)
        guard south <= north else {
            throw EngineError(
                .invalid, "BOX", "south is at most north, got \(south) and \(north)",
                hint: isFlat
                    ? "the order is west south east north"
                    : "the order is west south east north; west may be greater than east")
        }
        let source = JSON.array(
            [.string("BOX")] + [west, south, east, north].map { JSON.double($0) })
        if isFlat {
            guard west <= east else {
                throw EngineError(
                    .invalid, "BOX",
                    "west is at most east on a plane, which \(field.path) is, got \(west) and "
                        + "\(east)", hint: "ask for the part on each side, with $or in FIND")
            }
            return PlaceCondition(
                .flat(.box(FlatPoint(x: west, y: south), FlatPoint(x: east, y: north))),
                source: source)
        }
        let box = LatLngRect(south: south, west: west, north: north, east: east)
        return PlaceCondition(.region(.box(box), relation(to: field)), source: source)
    }

    fileprivate func circle(
        _ options: Options, at index: Int, _ field: Field
    ) throws(EngineError) -> PlaceCondition {
        let center = try PlaceArguments.place(options, at: index)
        let meters = try PlaceArguments.meters(options.argument(index + 2), "CIRCLE")
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
