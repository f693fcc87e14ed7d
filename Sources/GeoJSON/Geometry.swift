package import GeoIndex

/// A geometry as GeoJSON has it, checked.
package enum Geometry: Sendable {
    case point(LatLng)
    /// At least one.
    case multiPoint([LatLng])
    /// At least two, of which neighbours are not antipodes.
    case lineString([LatLng])
    /// A Polygon or a MultiPolygon.
    case polygon(Polygon)

    /// The name of its type in GeoJSON.
    package var typeName: String {
        switch self {
        case .point: "Point"
        case .multiPoint: "MultiPoint"
        case .lineString: "LineString"
        case .polygon(let polygon): polygon.polygonCount == 1 ? "Polygon" : "MultiPolygon"
        }
    }
}

/// A place on a plane: what a `2d` field holds. No unit.
package struct FlatPoint: Hashable, Sendable {
    package var x: Double
    package var y: Double

    @inlinable package init(x: Double, y: Double) {
        self.x = x
        self.y = y
    }

    /// The largest coordinate of a plane, in magnitude.
    package static let coordinateMax = 180.0
}
