import Glibc

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

    /// Latitudes and longitudes in their ranges and none NaN: what searches and coverings need.
    package var isValid: Bool {
        south.magnitude <= 90 && north.magnitude <= 90 && west.magnitude <= 180
            && east.magnitude <= 180
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

/// Decides most comparisons with a box by products instead of angles.
///
/// Latitudes are compared by z, longitudes by the side of the meridians' planes; what is nearer to
/// a border than `slack` goes the long way.
struct BoxTester {
    let box: LatLngRect
    private let southZ: Double
    private let northZ: Double
    private let westX: Double
    private let westY: Double
    private let eastX: Double
    private let eastY: Double
    /// At most half a turn wide: being inside is being on the inner side of both meridians.
    private let isNarrow: Bool
    private let isAround: Bool

    /// More than the rounding of sines and products, in parts of the sphere's radius.
    private static let slack = 1e-14

    init(_ box: LatLngRect) {
        func radians(_ degrees: Double) -> Double { degrees * (Double.pi / 180) }
        self.box = box
        southZ = box.south <= -90 ? -2 : sin(radians(box.south))
        northZ = box.north >= 90 ? 2 : sin(radians(box.north))
        (westX, westY) = (cos(radians(box.west)), sin(radians(box.west)))
        (eastX, eastY) = (cos(radians(box.east)), sin(radians(box.east)))
        isNarrow = box.width <= 180
        isAround = box.width >= 360
    }

    /// The least of how far inside of each border a place is; negative outside.
    @inline(__always) private func depth(_ p: SpherePoint) -> Double {
        let vertical = min(p.z - southZ, northZ - p.z)
        if isAround { return vertical }
        // Positive eastwards of the western meridian, and westwards of the eastern one.
        let (a, b) = (westX * p.y - westY * p.x, eastY * p.x - eastX * p.y)
        return min(vertical, isNarrow ? min(a, b) : max(a, b))
    }

    /// Whether a place is in the box, its borders included.
    @inline(__always) func contains(_ p: SpherePoint) -> Bool {
        let depth = depth(p)
        if depth > BoxTester.slack { return true }
        if depth < -BoxTester.slack { return false }
        return box.contains(p)
    }

    enum Position {
        case inside
        case outside
        case border
    }

    /// How a cell below level 0 lies to the box; `border` where that is not certain.
    ///
    /// The extremes of both coordinates are at the corners of such a cell; and it is convex, so
    /// that with all corners beyond one meridian's plane it is.
    func position(of cell: Cell) -> Position {
        var isInside = true
        var (south, north, west, east) = (true, true, true, true)
        let slack = BoxTester.slack
        for k in 0..<4 {
            let p = cell.vertex(k)
            if depth(p) <= slack { isInside = false }
            if p.z >= southZ - slack { south = false }
            if p.z <= northZ + slack { north = false }
            if westX * p.y - westY * p.x >= -slack { west = false }
            if eastY * p.x - eastX * p.y >= -slack { east = false }
        }
        if south || north { return .outside }
        if isNarrow && (west || east) { return .outside }
        if !isNarrow && !isAround && west && east { return .outside }
        if isInside && (isNarrow || isAround) { return .inside }
        return isInside && box.contains(cell.rectBound) ? .inside : .border
    }
}
