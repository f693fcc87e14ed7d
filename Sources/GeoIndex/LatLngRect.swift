/// Places between two parallels and two meridians, the borders included, in degrees.
///
/// From `west` eastwards to `east`: where `west` is greater, across the antimeridian. West -180 and
/// east 180 are all longitudes; at a pole every longitude is in.
package struct LatLngRect: Sendable, Hashable {
    package let south: Double
    package let west: Double
    package let north: Double
    package let east: Double

    /// Everything.
    package static var full: LatLngRect {
        LatLngRect(south: -90, west: -180, north: 90, east: 180)
    }

    /// Latitudes in [-90, 90] and longitudes in [-180, 180]; empty where south is above north.
    package init(south: Double, west: Double, north: Double, east: Double) {
        self.south = south
        self.west = west
        self.north = north
        self.east = east
    }

    package var isEmpty: Bool { !(south <= north) }

    static func wrapped(_ longitude: Double) -> Double {
        longitude > 180 ? longitude - 360 : longitude < -180 ? longitude + 360 : longitude
    }

    /// Degrees eastwards from `west`, in [0, 360].
    var width: Double { east >= west ? east - west : east - west + 360 }

    /// Whether a place is in, or outside by no more than the rounding of its coordinates: 1e-13°,
    /// which is 11 nm.
    package func contains(_ p: SpherePoint) -> Bool {
        let place = p.latLng
        let slack = 1e-13
        guard place.latitude >= south - slack && place.latitude <= north + slack else {
            return false
        }
        return containsLongitude(place.longitude, slack) || place.latitude.magnitude > 90 - 1e-13
    }

    func containsLongitude(_ longitude: Double, _ slack: Double) -> Bool {
        var offset = longitude - west
        if offset < 0 { offset += 360 }
        return offset <= width + slack || offset >= 360 - slack
    }

    /// Whether all of another is in.
    func contains(_ other: LatLngRect) -> Bool {
        guard other.south >= south && other.north <= north else { return false }
        if width >= 360 { return true }
        var offset = other.west - west
        if offset < 0 { offset += 360 }
        return offset + other.width <= width
    }

    /// Whether the two have a place in common.
    func intersects(_ other: LatLngRect) -> Bool {
        guard other.south <= north && other.north >= south else { return false }
        var offset = other.west - west
        if offset < 0 { offset += 360 }
        return offset <= width || offset + other.width >= 360
            || other.south == -90 && south == -90 || other.north == 90 && north == 90
    }
}
