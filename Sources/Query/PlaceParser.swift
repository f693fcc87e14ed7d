import Documents
import GeoIndex
package import GeoJSON

/// Reads MongoDB's operators of places. Every error names the operator and what is wrong.
enum PlaceParser {
    /// Reads an operator; `siblings` is the object in which it stands.
    static func condition(
        _ name: String, _ json: JSON, siblings: JSONObject, path: String
    ) throws(QueryError) -> PlaceCondition {
        let full = path + "." + name
        let kind: PlaceCondition.Kind
        switch name {
        case "$near", "$nearSphere": kind = try near(json, siblings, full)
        case "$geoIntersects":
            guard case .object(let object) = json, object.count == 1,
                let geometry = object["$geometry"]
            else { throw error(full, "takes {\"$geometry\": a GeoJSON geometry}", json) }
            kind = .region(
                try region(geometry, full + ".$geometry", takesPoint: true), .intersects)
        default: kind = try within(json, full)
        }
        var source = JSONObject([(key: name, value: json)])
        for sibling in ["$maxDistance", "$minDistance"] {
            if let value = siblings[sibling] { source[sibling] = value }
        }
        return PlaceCondition(kind, source: .object(source))
    }

    private static func error(_ path: String, _ rule: String, _ value: JSON) -> QueryError {
        .invalid(path: path, rule: rule, value: shortened(value.text))
    }

    // MARK: - Regions

    private static func within(
        _ json: JSON, _ path: String
    ) throws(QueryError) -> PlaceCondition.Kind {
        guard case .object(let object) = json, object.count == 1, let member = object.members.first
        else {
            throw error(
                path, "takes one of $geometry, $box, $center, $centerSphere, $polygon", json)
        }
        let full = path + "." + member.key
        switch member.key {
        case "$geometry":
            return .region(try region(member.value, full, takesPoint: false), .within)
        case "$box":
            let corners = try points(member.value, full)
            guard corners.count == 2 else {
                throw error(full, "is [[west, south], [east, north]]", member.value)
            }
            return .flat(.box(corners[0], corners[1]))
        case "$polygon":
            let corners = try points(member.value, full)
            guard corners.count >= 3 else {
                throw error(full, "is at least 3 points [x, y]", member.value)
            }
            return .flat(.polygon(corners))
        case "$center":
            let (center, radius) = try circle(member.value, full)
            guard radius <= 360 else {
                throw error(full, "a radius is from 0 to 360 degrees", member.value)
            }
            return .flat(.ring(center, from: 0, to: radius))
        case "$centerSphere":
            let (center, radius) = try circle(member.value, full)
            guard radius <= Double.pi else {
                throw error(full, "a radius is from 0 to π radians, 3.14159…", member.value)
            }
            let cap = Cap(
                center: SpherePoint(try place(center, full)),
                chord2: Sphere.chord2(angle: radius))
            return .region(.cap(cap, from: 0), .within)
        default:
            throw error(
                path, "takes one of $geometry, $box, $center, $centerSphere, $polygon", json)
        }
    }

    /// A region of a GeoJSON geometry.
    static func region(
        _ json: JSON, _ path: String, takesPoint: Bool
    ) throws(QueryError) -> PlaceRegion {
        let geometry: Geometry
        do throws(GeoJSONError) {
            geometry = try GeoJSON.shape(json)
        } catch {
            throw QueryError(error, at: path)
        }
        switch geometry {
        case .polygon(let polygon): return .polygon(PolygonRegion(polygon))
        case .point(let point) where takesPoint: return .point(SpherePoint(point))
        case .point, .multiPoint, .lineString:
            throw error(
                path,
                takesPoint
                    ? "is a Point, Polygon or MultiPolygon"
                    : "has an inside: is a "
                        + "Polygon or MultiPolygon", json)
        }
    }

    // MARK: - Near

    private static func near(
        _ json: JSON, _ siblings: JSONObject, _ path: String
    ) throws(QueryError) -> PlaceCondition.Kind {
        var near = NearCondition(
            center: FlatPoint(x: 0, y: 0), isGeoJSON: false, distanceMax: nil, distanceMin: nil)
        var distances = siblings
        switch json {
        case .array: near.center = try point(json, path)
        case .object(let object):
            guard let geometry = object["$geometry"] else {
                throw error(path, "takes [x, y] or {\"$geometry\": a GeoJSON Point}", json)
            }
            let known = ["$geometry", "$maxDistance", "$minDistance"]
            if let stranger = object.members.first(where: { !known.contains($0.key) }) {
                throw error(path + "." + stranger.key, "is no part of it", stranger.value)
            }
            let place: LatLng
            do throws(GeoJSONError) {
                place = try GeoJSON.point(geometry)
            } catch {
                throw QueryError(error, at: path + ".$geometry")
            }
            near.center = FlatPoint(x: place.longitude, y: place.latitude)
            near.isGeoJSON = true
            for name in ["$maxDistance", "$minDistance"] where object[name] != nil {
                guard siblings[name] == nil else {
                    throw error(path + "." + name, "is given once", json)
                }
                distances[name] = object[name]
            }
        case .null, .bool, .number, .string:
            throw error(path, "takes [x, y] or {\"$geometry\": a GeoJSON Point}", json)
        }
        near.distanceMax = try distance("$maxDistance", distances, path)
        near.distanceMin = try distance("$minDistance", distances, path)
        return .near(near)
    }

    private static func distance(
        _ name: String, _ object: JSONObject, _ path: String
    ) throws(QueryError) -> Double? {
        guard let json = object[name] else { return nil }
        guard case .number(let number) = json, number.double.isFinite, number.double >= 0 else {
            throw error(path + "." + name, "is a number from 0", json)
        }
        return number.double
    }

    // MARK: - Pairs of numbers

    private static func point(_ json: JSON, _ path: String) throws(QueryError) -> FlatPoint {
        do throws(GeoJSONError) {
            return try GeoJSON.flatPoint(json)
        } catch {
            throw QueryError(error, at: path)
        }
    }

    private static func points(_ json: JSON, _ path: String) throws(QueryError) -> [FlatPoint] {
        guard case .array(let items) = json, items.count <= GeoJSON.positionCountMax else {
            throw error(path, "is an array of points [x, y]", json)
        }
        var result: [FlatPoint] = []
        for (index, item) in items.enumerated() {
            result.append(try point(item, "\(path).\(index)"))
        }
        return result
    }

    private static func circle(
        _ json: JSON, _ path: String
    ) throws(QueryError) -> (FlatPoint, Double) {
        guard case .array(let items) = json, items.count == 2,
            case .number(let radius) = items[1], radius.double.isFinite, radius.double >= 0
        else { throw error(path, "is [[x, y], radius]", json) }
        return (try point(items[0], path + ".0"), radius.double)
    }

    /// A pair as longitude and latitude.
    static func place(_ point: FlatPoint, _ path: String) throws(QueryError) -> LatLng {
        let place = LatLng(latitude: point.y, longitude: point.x)
        guard place.isValid else {
            throw .invalid(
                path: path, rule: "latitude is from -90 to 90",
                value: "[\(point.x), \(point.y)]")
        }
        return place
    }
}

extension QueryError {
    /// What is wrong with a geometry in a query.
    package init(_ error: GeoJSONError, at path: String) {
        self = .invalid(
            path: error.path.isEmpty ? path : path + "." + error.path, rule: error.rule,
            value: shortened(error.value))
    }
}
