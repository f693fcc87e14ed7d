/// What is wrong with a geometry, and where.
///
/// `polygon` counts the polygons of a multipolygon, `ring` the rings of one polygon (0 is the outer
/// ring), `vertex` the positions of a ring as given; all from 0.
package enum GeoError: Error, Equatable, Sendable {
    /// Where in the input a mistake is.
    package struct Place: Equatable, Sendable {
        package var polygon: Int
        package var ring: Int
        package var vertex: Int

        package init(polygon: Int, ring: Int, vertex: Int) {
            self.polygon = polygon
            self.ring = ring
            self.vertex = vertex
        }
    }

    /// No polygon, or a polygon without rings.
    case empty(polygon: Int)
    /// A ring of less than four positions, the closing one included and repetitions not.
    case tooFewPositions(polygon: Int, ring: Int, count: Int)
    /// The last position is not the first.
    case unclosedRing(polygon: Int, ring: Int)
    /// A coordinate is NaN or infinite.
    case notFinite(Place)
    /// A latitude outside of [-90, 90]; swapped coordinates often are.
    case latitudeOutOfRange(Place, value: Double)
    /// A longitude outside of [-180, 180].
    case longitudeOutOfRange(Place, value: Double)
    /// A position occurs twice in its ring, with others in between.
    case duplicateVertex(Place, first: Int)
    /// Two positions that follow each other are (nearly) antipodes: the edge has no direction.
    case edgeTooLong(Place)
    /// All positions of the ring are on one great circle: it has no area.
    case noArea(polygon: Int, ring: Int)
    /// Two edges of a ring cross; each is named by its first vertex.
    case selfCrossing(Place, with: Place)
    /// Edges of two rings cross.
    case crossingRings(Place, with: Place)
    /// A hole is not inside of its outer ring.
    case holeOutsideShell(polygon: Int, ring: Int)
    /// A hole, with those before it, covers all of its outer ring's area.
    case holeCoversShell(polygon: Int, ring: Int)
    /// A hole is inside of another.
    case nestedHole(polygon: Int, ring: Int, inside: Int)
    /// A polygon of a multipolygon covers a part of another.
    case overlappingPolygons(first: Int, second: Int)
    /// A polygon has more vertices than the limit.
    case tooManyVertices(count: Int, limit: Int)
    /// More rings than can be compared with each other.
    case tooManyRings(count: Int, limit: Int)
}
