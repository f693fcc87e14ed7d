package import Documents
package import GeoIndex
package import GeoJSON
package import Schema

/// A condition about places bound to a field: what an index answers, and what is asked of a value.
package struct PlaceTest: Sendable {
    package enum Kind: Sendable {
        case region(PlaceRegion, ShapeRelation)
        /// Points of the sphere whose degrees, taken as a plane, lie in a region.
        case degrees(FlatRegion)
        /// Points of a plane.
        case flat(FlatRegion)
        /// Points at most and at least so far from a place, in metres by a model of the earth.
        case ellipsoid(LatLng, from: Double, to: Double)
        /// Middles of zones that hold a place; the radius stands elsewhere in the document.
        case zone(LatLng, radiusPath: FieldPath, EarthModel)
    }

    package let kind: Kind

    /// Whether the document's value, one place or an array's element, meets it.
    ///
    /// - Complexity: O(1) for points; for shapes what the region's test costs.
    func meets(_ value: TapeValue) -> Bool {
        switch kind {
        case .region(let region, let relation):
            if let point = try? GeoJSON.point(value) {
                return relation != .contains && region.contains(SpherePoint(point))
            }
            return PlaceTest.meets(value, region, relation)
        case .degrees(let region):
            guard let point = try? GeoJSON.point(value) else { return false }
            return region.contains(FlatPoint(x: point.longitude, y: point.latitude))
        case .flat(let region):
            guard let point = try? GeoJSON.flatPoint(value) else { return false }
            return region.contains(point)
        case .ellipsoid(let center, let from, let to):
            guard let point = try? GeoJSON.point(value) else { return false }
            let meters = EarthModel.wgs84.meters(center, point)
            return meters >= from && meters <= to
        case .zone: return false
        }
    }

    private static func meets(
        _ value: TapeValue, _ region: PlaceRegion, _ relation: ShapeRelation
    ) -> Bool {
        guard value.kind == .object, let geometry = try? GeoJSON.shape(value) else {
            return false
        }
        switch geometry {
        case .point(let point): return region.contains(SpherePoint(point))
        case .multiPoint(let points):
            return relation == .within
                ? points.allSatisfy { region.contains(SpherePoint($0)) }
                : points.contains { region.contains(SpherePoint($0)) }
        // A line has no inside and is no zone.
        case .lineString: return false
        case .polygon(let polygon): return region.isMet(by: polygon, relation)
        }
    }

    /// Whether some point of a document is the middle of a zone that holds the place.
    func meets(_ document: TapeValue, at path: FieldPath) -> Bool {
        guard case .zone(let center, let radiusPath, let earth) = kind,
            let radius = radiusPath.single(in: document)
        else { return false }
        let kilometers = radius.kind == .string ? Double(radius.string) ?? .nan : radius.double
        var matches = FieldPath.Matches()
        path.lookup(in: document, into: &matches)
        func holds(_ value: TapeValue) -> Bool {
            guard let point = try? GeoJSON.point(value) else { return false }
            return PlaceTest.isHeld(center, by: point, meters: kilometers * 1_000, earth)
        }
        return matches.values.contains { value in
            holds(value) || (value.kind == .array && value.children.contains { holds($0.value) })
        }
    }

    /// Whether a zone of a radius around a point holds a place: up to the radius, as an index has
    /// it.
    package static func isHeld(
        _ place: LatLng, by point: LatLng, meters: Double, _ earth: EarthModel
    ) -> Bool {
        switch earth {
        case .sphere:
            Cap(center: SpherePoint(point), radiusMeters: meters).contains(SpherePoint(place))
        case .wgs84: earth.meters(place, point) <= meters
        }
    }
}

/// The order of hits by distance that `$near` asks for.
package struct NearOrder: Sendable {
    package enum Center: Sendable {
        case sphere(LatLng, EarthModel)
        case flat(FlatPoint)
    }

    package let path: String
    package let center: Center
    /// The field, if it has an index.
    package let field: Field?
    private let fieldPath: FieldPath

    /// Nil where `path` is no field path.
    package init?(path: String, center: Center, field: Field?) {
        guard let fieldPath = try? FieldPath(path) else { return nil }
        self.path = path
        self.center = center
        self.field = field
        self.fieldPath = fieldPath
    }

    /// What a document's nearest point is ordered by: a squared chord on the sphere, metres on an
    /// ellipsoid, a distance on a plane; nil if it has no point.
    package func distance(in document: TapeValue) -> Double? {
        var matches = FieldPath.Matches()
        fieldPath.lookup(in: document, into: &matches)
        var least: Double?
        func take(_ value: TapeValue) {
            guard let distance = distance(to: value) else { return }
            least = min(least ?? distance, distance)
        }
        for value in matches.values {
            take(value)
            if value.kind == .array { for child in value.children { take(child.value) } }
        }
        return least
    }

    private func distance(to value: TapeValue) -> Double? {
        switch center {
        case .sphere(let center, .sphere):
            guard let point = try? GeoJSON.point(value) else { return nil }
            return Cap(center: SpherePoint(center), chord2: 4).chord2(to: SpherePoint(point))
        case .sphere(let center, .wgs84):
            guard let point = try? GeoJSON.point(value) else { return nil }
            return EarthModel.wgs84.meters(center, point)
        case .flat(let center):
            guard let point = try? GeoJSON.flatPoint(value) else { return nil }
            let (dx, dy) = (point.x - center.x, point.y - center.y)
            return (dx * dx + dy * dy).squareRoot()
        }
    }
}
