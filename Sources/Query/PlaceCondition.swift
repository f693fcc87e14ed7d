package import Documents
package import GeoIndex
package import GeoJSON

/// A condition about places, read from a filter and not yet bound to a field.
package struct PlaceCondition: Sendable, Equatable {
    package enum Kind: Sendable {
        /// Lies so to a part of the sphere.
        case region(PlaceRegion, ShapeRelation)
        /// Lies in a part of the plane of degrees: `$box`, `$center`, `$polygon`.
        case flat(FlatRegion)
        /// Is near to a place.
        case near(NearCondition)
        /// Is the middle of a zone, as wide as its document says, that holds the place.
        case zone(LatLng)
    }

    package let kind: Kind
    /// The operator and its operand, by which conditions are compared.
    private let source: JSON

    /// A condition that a command makes itself; `source` says what it is.
    package init(_ kind: Kind, source: JSON) {
        self.kind = kind
        self.source = source
    }

    /// The same of an operand that was not read as a tree; `text` is all of it.
    package init(_ kind: Kind, text: String) { self.init(kind, source: .string(text)) }

    package static func == (a: PlaceCondition, b: PlaceCondition) -> Bool { a.source == b.source }

    /// What it says: for hashing a query.
    package var text: String {
        if case .string(let text) = source { text } else { source.text }
    }

    var isNear: Bool { if case .near = kind { true } else { false } }
}

/// `$near` and its distances.
package struct NearCondition: Sendable {
    /// Where to: `[x, y]` as given, in degrees.
    package var center: FlatPoint
    /// Whether it was given as GeoJSON: distances are metres then, else radians on the sphere and
    /// degrees on a plane.
    package var isGeoJSON: Bool
    /// Nil for no bound.
    package var distanceMax: Double?
    package var distanceMin: Double?

    package init(
        center: FlatPoint, isGeoJSON: Bool, distanceMax: Double?, distanceMin: Double?
    ) {
        self.center = center
        self.isGeoJSON = isGeoJSON
        self.distanceMax = distanceMax
        self.distanceMin = distanceMin
    }
}

/// A part of the plane, borders included.
package enum FlatRegion: Sendable {
    /// From the corner of the least coordinates to that of the greatest; on the globe the first
    /// `x` may be the greater one.
    case box(FlatPoint, FlatPoint)
    /// At least and at most so far from a place.
    case ring(FlatPoint, from: Double, to: Double)
    /// Corners; the last is joined to the first.
    case polygon([FlatPoint])

    /// Whether a place is in. - Complexity: O(corners).
    package func contains(_ p: FlatPoint) -> Bool {
        switch self {
        case .box(let a, let b):
            return p.x >= min(a.x, b.x) && p.x <= max(a.x, b.x) && p.y >= min(a.y, b.y)
                && p.y <= max(a.y, b.y)
        case .ring(let center, let from, let to):
            let (dx, dy) = (p.x - center.x, p.y - center.y)
            let distance = (dx * dx + dy * dy).squareRoot()
            return distance >= from && distance <= to
        case .polygon(let corners): return FlatRegion.holds(corners, p)
        }
    }

    /// The box that holds it: least and greatest coordinates.
    package var bounds: (low: FlatPoint, high: FlatPoint) {
        switch self {
        case .box(let a, let b):
            return (
                FlatPoint(x: min(a.x, b.x), y: min(a.y, b.y)),
                FlatPoint(x: max(a.x, b.x), y: max(a.y, b.y))
            )
        case .ring(let center, _, let to):
            return (
                FlatPoint(x: center.x - to, y: center.y - to),
                FlatPoint(x: center.x + to, y: center.y + to)
            )
        case .polygon(let corners):
            var (low, high) = (corners[0], corners[0])
            for corner in corners {
                low = FlatPoint(x: min(low.x, corner.x), y: min(low.y, corner.y))
                high = FlatPoint(x: max(high.x, corner.x), y: max(high.y, corner.y))
            }
            return (low, high)
        }
    }

    private static func holds(_ corners: [FlatPoint], _ p: FlatPoint) -> Bool {
        var inside = false
        for index in corners.indices {
            let a = corners[index]
            let b = corners[index + 1 == corners.count ? 0 : index + 1]
            let cross = (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x)
            if cross == 0, p.x >= min(a.x, b.x), p.x <= max(a.x, b.x), p.y >= min(a.y, b.y),
                p.y <= max(a.y, b.y)
            {
                return true
            }
            if (a.y > p.y) != (b.y > p.y), (cross > 0) == (b.y > a.y) { inside.toggle() }
        }
        return inside
    }
}
