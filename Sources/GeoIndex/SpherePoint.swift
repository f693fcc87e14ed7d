import Glibc

/// A direction from the centre of the sphere: a place, as a vector of length 1.
///
/// x points to latitude 0, longitude 0; y to longitude 90° east; z to the north pole.
///
/// Invariant: each component is zero or at least 2^-150 in magnitude, so that the exact predicates
/// neither overflow nor underflow; nearer to zero it is set to zero, a shift of less than 10^-38 m.
package struct SpherePoint: Hashable, Sendable, BitwiseCopyable {
    package var x: Double
    package var y: Double
    package var z: Double

    /// The vector as it is; of length 1 up to rounding where a place is meant.
    @inlinable package init(x: Double, y: Double, z: Double) {
        self.x = x
        self.y = y
        self.z = z
    }

    /// The place of a latitude and longitude.
    ///
    /// - Complexity: O(1), two sines and two cosines.
    package init(_ place: LatLng) {
        let phi = place.latitude * (Double.pi / 180)
        let theta = place.longitude * (Double.pi / 180)
        let cosPhi = cos(phi)
        self.init(
            x: SpherePoint.flushed(cos(theta) * cosPhi),
            y: SpherePoint.flushed(sin(theta) * cosPhi),
            z: SpherePoint.flushed(sin(phi)))
    }

    private static func flushed(_ value: Double) -> Double {
        value.magnitude < 0x1p-150 ? 0 : value
    }

    /// Latitude in [-90, 90] and longitude in [-180, 180], in degrees.
    package var latLng: LatLng {
        LatLng(
            latitude: atan2(z, (x * x + y * y).squareRoot()) * (180 / Double.pi),
            longitude: atan2(y, x) * (180 / Double.pi))
    }

    /// The vector of length 1 in the same direction; the vector itself if it has no length.
    var normalized: SpherePoint {
        let length = dot(self).squareRoot()
        guard length > 0 else { return self }
        return SpherePoint(
            x: SpherePoint.flushed(x / length), y: SpherePoint.flushed(y / length),
            z: SpherePoint.flushed(z / length))
    }

    @inline(__always) func dot(_ o: SpherePoint) -> Double { x * o.x + y * o.y + z * o.z }

    @inline(__always) func cross(_ o: SpherePoint) -> SpherePoint {
        SpherePoint(x: y * o.z - z * o.y, y: z * o.x - x * o.z, z: x * o.y - y * o.x)
    }

    @inline(__always) static func + (a: SpherePoint, b: SpherePoint) -> SpherePoint {
        SpherePoint(x: a.x + b.x, y: a.y + b.y, z: a.z + b.z)
    }

    @inline(__always) static func - (a: SpherePoint, b: SpherePoint) -> SpherePoint {
        SpherePoint(x: a.x - b.x, y: a.y - b.y, z: a.z - b.z)
    }

    @inline(__always) static func * (a: SpherePoint, factor: Double) -> SpherePoint {
        SpherePoint(x: a.x * factor, y: a.y * factor, z: a.z * factor)
    }

    /// The square of the straight distance through the sphere, in [0, 4]: what searches compare.
    ///
    /// It rises with the angle; its rounding error is about 4e-16 times its root, so near the
    /// antipode places that lie within 0.1 m of each other may compare either way.
    @inline(__always) func chord2(to o: SpherePoint) -> Double {
        let dx = x - o.x
        let dy = y - o.y
        let dz = z - o.z
        return dx * dx + dy * dy + dz * dz
    }

    /// The angle between two places, in radians, in [0, π]; right to about 3e-16 anywhere.
    package func angle(to o: SpherePoint) -> Double {
        let difference = (self - o).dot(self - o).squareRoot()
        let sum = (self + o).dot(self + o).squareRoot()
        return 2 * atan2(difference, sum)
    }

    /// The distance on the sphere, in metres.
    package func meters(to o: SpherePoint) -> Double { Sphere.meters(angle: angle(to: o)) }

    /// A vector at a right angle to both, on the left of the way from `a` to `b`; precise also
    /// where the two are close together. Not of length 1.
    static func stableCross(_ a: SpherePoint, _ b: SpherePoint) -> SpherePoint {
        (b + a).cross(b - a)
    }

    /// Whether `a` comes before `b` in the order of x, then y, then z.
    @inline(__always) static func isBefore(_ a: SpherePoint, _ b: SpherePoint) -> Bool {
        if a.x != b.x { return a.x < b.x }
        if a.y != b.y { return a.y < b.y }
        return a.z < b.z
    }
}

/// A latitude and a longitude, in degrees.
package struct LatLng: Hashable, Sendable {
    package var latitude: Double
    package var longitude: Double

    @inlinable package init(latitude: Double, longitude: Double) {
        self.latitude = latitude
        self.longitude = longitude
    }

    /// Both numbers finite, the latitude in [-90, 90] and the longitude in [-180, 180].
    @inlinable package var isValid: Bool {
        latitude.magnitude <= 90 && longitude.magnitude <= 180
    }
}

/// The sphere that distances are measured on.
package enum Sphere {
    /// The earth's mean radius, in metres.
    package static let radiusMeters = 6_371_010.0

    /// Metres along the surface for an angle in radians.
    @inlinable package static func meters(angle: Double) -> Double { angle * radiusMeters }

    /// The angle in radians for metres along the surface, no more than π.
    package static func angle(meters: Double) -> Double { min(meters / radiusMeters, Double.pi) }

    /// The squared chord of an angle in radians; 4 from π on, -1 below 0.
    package static func chord2(angle: Double) -> Double {
        if angle < 0 { return -1 }
        if angle >= Double.pi { return 4 }
        let half = sin(angle / 2)
        return 4 * half * half
    }

    /// The squared chord of metres along the surface: what "at most this far" compares with.
    package static func chord2(meters: Double) -> Double {
        chord2(angle: meters / radiusMeters)
    }

    /// The angle in radians of a squared chord.
    package static func angle(chord2: Double) -> Double {
        2 * asin(min(1, max(0, chord2).squareRoot() / 2))
    }
}
