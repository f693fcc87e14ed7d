import Glibc

/// All places within an angle of a centre, the border included.
package struct Cap: Sendable, Hashable {
    package let center: SpherePoint
    /// The squared chord of the radius: places at most this far are in; below 0 none, from 4 on
    /// all.
    package let chord2: Double

    /// A cap of a radius in metres along the surface; negative or not a number: empty.
    package init(center: SpherePoint, radiusMeters: Double) {
        self.center = center
        chord2 = radiusMeters >= 0 ? Sphere.chord2(meters: radiusMeters) : -1
    }

    /// A cap by its squared chord.
    package init(center: SpherePoint, chord2: Double) {
        self.center = center
        self.chord2 = chord2
    }

    /// The radius as an angle in radians; negative for an empty cap.
    package var angle: Double { chord2 < 0 ? -1 : Sphere.angle(chord2: chord2) }

    /// Steradians.
    package var area: Double { chord2 < 0 ? 0 : Double.pi * min(chord2, 4) }

    /// The squared chord from the centre to a place.
    package func chord2(to p: SpherePoint) -> Double { center.chord2(to: p) }

    /// Whether a place is in. - Complexity: O(1).
    @inline(__always) package func contains(_ p: SpherePoint) -> Bool {
        center.chord2(to: p) <= chord2
    }

    /// Caps whose squared chord is less are convex, with room for rounding: the limit is 2. What
    /// has its border in one has its smaller side in it, and nothing at the antipode.
    static let convexMax = 1.9

    /// The place opposite of the centre.
    var antipode: SpherePoint { SpherePoint(x: -center.x, y: -center.y, z: -center.z) }

    /// A cap that holds the places and more by the rounding of its making; empty for none.
    ///
    /// - Complexity: O(n).
    static func holding(_ places: UnsafeBufferPointer<SpherePoint>) -> Cap {
        var (low, high) = (
            SpherePoint(x: 2, y: 2, z: 2), SpherePoint(x: -2, y: -2, z: -2)
        )
        for p in places {
            low = SpherePoint(x: min(low.x, p.x), y: min(low.y, p.y), z: min(low.z, p.z))
            high = SpherePoint(x: max(high.x, p.x), y: max(high.y, p.y), z: max(high.z, p.z))
        }
        guard let first = places.first else {
            return Cap(center: SpherePoint(x: 1, y: 0, z: 0), chord2: -1)
        }
        let sum = low + high
        // A box around the middle of the sphere has no direction: any place will do.
        let center = sum.dot(sum) > 1e-6 ? sum.normalized : first
        var chord2 = 0.0
        for p in places { chord2 = max(chord2, center.chord2(to: p)) }
        return Cap(center: center, chord2: min(4, chord2 * (1 + 1e-12) + 1e-28))
    }
}

extension SpherePoint {
    /// The squared chord to the nearest place of edge ab. - Complexity: O(1), one square root.
    func chord2(toEdge a: SpherePoint, _ b: SpherePoint) -> Double {
        let normal = SpherePoint.stableCross(a, b)
        let ahead = normal.cross(self)
        // `ahead` points from a towards b at the foot of the perpendicular: the foot is between
        // them if a lies behind and b ahead.
        let ends = min(chord2(to: a), chord2(to: b))
        let length2 = normal.dot(normal)
        if length2 == 0 || a.dot(ahead) >= 0 || b.dot(ahead) <= 0 { return ends }
        // In the plane across the edge: `height` off the great circle's plane, `reach` along it.
        let height = dot(normal)
        let reach = 1 - (ahead.dot(ahead) / length2).squareRoot()
        return min(ends, height * height / length2 + reach * reach)
    }

    /// The distance to the nearest place of edge ab, in metres.
    package func meters(toEdge a: SpherePoint, _ b: SpherePoint) -> Double {
        Sphere.meters(angle: Sphere.angle(chord2: chord2(toEdge: a, b)))
    }
}
