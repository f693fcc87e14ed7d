import Documents
import GeoIndex
import GeoJSON
import Schema

/// Binds conditions about places to fields.
extension FilterCompiler {
    /// How the values of a target are measured.
    private func options(
        _ target: Target, _ operation: String
    ) throws(QueryError) -> PlaceOptions {
        guard !target.isID else {
            throw .invalid(path: "_id", rule: "is no place", value: "")
        }
        guard let declared = target.declared else { return PlaceOptions() }
        guard declared.type == .geopoint || declared.type == .geoshape || declared.type == .json
        else {
            throw .invalid(
                path: target.fullPath,
                rule: "is a field of type \(declared.type.name), which holds no places", value: "")
        }
        return declared.definition.place
    }

    func place(
        _ condition: PlaceCondition, _ target: Target
    ) throws(QueryError) -> CompiledNode {
        let options = try options(target, "")
        func error(_ rule: String) -> QueryError {
            .invalid(path: target.fullPath, rule: rule, value: "")
        }
        switch condition.kind {
        case .region(let region, let relation):
            guard !options.isFlat else {
                throw error("is of type 2d: $box, $center and $polygon are for it")
            }
            return target.predicate(.place(PlaceTest(kind: .region(region, relation))))
        case .flat(let region):
            if case .box(let a, let b) = region { try check(box: a, b, target, options) }
            if options.isFlat { return target.predicate(.place(PlaceTest(kind: .flat(region)))) }
            if case .box(let a, let b) = region, a.y >= -90, b.y <= 90 {
                let box = LatLngRect(south: a.y, west: a.x, north: b.y, east: b.x)
                return target.predicate(.place(PlaceTest(kind: .region(.box(box), .within))))
            }
            guard target.declared?.type != .geoshape else {
                throw error("holds shapes: $geometry is for it")
            }
            return target.predicate(.place(PlaceTest(kind: .degrees(region))))
        case .near(let near):
            return target.predicate(.place(PlaceTest(kind: try self.near(near, target, options))))
        case .zone(let place):
            guard let path = options.radiusPath, let radius = try? FieldPath(path) else {
                throw error("has no radius")
            }
            return target.predicate(
                .place(
                    PlaceTest(kind: .zone(place, radiusPath: radius, options.earth))))
        }
    }

    /// A box goes from its lower left corner to the upper right one. On the globe it may go across
    /// the antimeridian; a plane has none.
    private func check(
        box a: FlatPoint, _ b: FlatPoint, _ target: Target, _ options: PlaceOptions
    ) throws(QueryError) {
        let path = target.fullPath + ".$geoWithin.$box"
        let corners = "[[\(a.x),\(a.y)],[\(b.x),\(b.y)]]"
        guard a.y <= b.y else {
            throw .invalid(
                path: path, rule: "is [[west, south], [east, north]], south at most north",
                value: corners)
        }
        guard a.x > b.x else { return }
        if options.isFlat {
            throw .invalid(
                path: path,
                rule: "is [[least x, least y], [greatest x, greatest y]]: a plane has no "
                    + "antimeridian to go across",
                value: corners)
        }
        guard a.y >= -90, b.y <= 90 else {
            throw .invalid(path: path, rule: "latitude is from -90 to 90", value: corners)
        }
    }

    private func near(
        _ near: NearCondition, _ target: Target, _ options: PlaceOptions
    ) throws(QueryError) -> PlaceTest.Kind {
        let path = target.fullPath + ".$near"
        if target.declared?.type == .geoshape {
            throw .invalid(path: path, rule: "is for points, not for a geoshape", value: "")
        }
        if options.isFlat {
            guard !near.isGeoJSON else {
                throw .invalid(
                    path: path, rule: "takes [x, y] and degrees on a field of type 2d", value: "")
            }
            return .flat(
                .ring(
                    near.center, from: near.distanceMin ?? 0, to: near.distanceMax ?? .infinity))
        }
        let center = try PlaceParser.place(near.center, path)
        let factor = near.isGeoJSON ? 1 : Sphere.radiusMeters
        let bound = near.isGeoJSON ? "20015118 metres" : "π radians"
        func meters(_ value: Double?, _ name: String) throws(QueryError) -> Double? {
            guard let value else { return nil }
            guard value * factor <= Sphere.meters(angle: Double.pi) else {
                throw .invalid(
                    path: path + "." + name,
                    rule: "is at most half the way around the globe, \(bound)", value: "\(value)")
            }
            return value * factor
        }
        let to = try meters(near.distanceMax, "$maxDistance")
        let from = try meters(near.distanceMin, "$minDistance") ?? 0
        if options.earth == .wgs84 {
            return .ellipsoid(center, from: from, to: to ?? .infinity)
        }
        let cap = Cap(
            center: SpherePoint(center), chord2: to.map { Sphere.chord2(meters: $0) } ?? 4)
        return .region(.cap(cap, from: from > 0 ? Sphere.chord2(meters: from) : 0), .within)
    }

    /// The order of hits that a filter's `$near` asks for.
    func near(_ filter: Filter) throws(QueryError) -> NearOrder? {
        guard let (path, near) = filter.topNear else { return nil }
        let target = Target(path: path, prefix: "", schema: schema)
        let options = try options(target, "$near")
        let field = target.field.flatMap { $0.hasPlaceIndex ? $0 : nil }
        let center: NearOrder.Center =
            options.isFlat
            ? .flat(near.center)
            : .sphere(try PlaceParser.place(near.center, path + ".$near"), options.earth)
        return NearOrder(path: path, center: center, field: field)
    }
}
