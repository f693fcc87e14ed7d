// Shapes on the sphere as rings on a map.
//
// A map ends at the antimeridian and knows no poles: a ring is unrolled so that its longitudes have
// no jumps, a ring around a pole is led along the pole's edge of the map, and what lies beyond the
// map's border is cut off there and moved to the other side, as RFC 7946 (3.1.9) has it. Long edges
// get points in between, because a map draws them straight.

package import GeoIndex
import Glibc

/// A shape as rings on a map of longitudes and latitudes: polygons, their rings with the outer one
/// first, and the positions of a ring, the first again at its end.
///
/// For drawings: positions are rounded, and cuts along the antimeridian may run along an edge
/// twice.
package struct Outline: Sendable {
    package typealias Ring = [LatLng]

    package private(set) var polygons: [[Ring]] = []

    /// Degrees between points of an edge, at most.
    private static let stepDegrees = 2.0
    private static let circlePointCount = 72

    /// Polygons with their holes.
    package init(_ polygon: Polygon) {
        for rings in polygon.ringVertices {
            add(rings.map(Outline.line), holdsNorth: polygon.contains(Outline.northPole))
        }
    }

    /// A circle; nothing for an empty one, the whole map for one that is all of the globe.
    package init(_ cap: Cap) {
        guard cap.chord2 >= 0 else { return }
        guard cap.angle < .pi else {
            polygons = [[Outline.map]]
            return
        }
        let ring = Outline.circle(cap)
        let holdsNorth = cap.contains(Outline.northPole)
        let southPole = SpherePoint(LatLng(latitude: -90, longitude: 0))
        if holdsNorth && cap.contains(southPole) {
            // The rest of the globe is the smaller part: a hole in the map.
            let hole = Outline.pieces(of: ring, holdsNorth: false)
            polygons = [[Outline.map] + hole.map(\.ring)]
        } else {
            add([ring], holdsNorth: holdsNorth)
        }
    }

    /// A box: its borders are lines of a map.
    package init(_ box: LatLngRect) {
        guard !box.isEmpty else { return }
        let east = box.east < box.west ? box.east + 360 : box.east
        let ring = [
            LatLng(latitude: box.south, longitude: box.west),
            LatLng(latitude: box.south, longitude: east),
            LatLng(latitude: box.north, longitude: east),
            LatLng(latitude: box.north, longitude: box.west),
            LatLng(latitude: box.south, longitude: box.west),
        ]
        for (_, piece) in Outline.cut(ring) { polygons.append([piece]) }
    }

    /// Cells, each a polygon of its own.
    package init(_ cells: [CellID]) {
        for id in cells {
            let cell = Cell(id)
            let ring = cell.vertices + [cell.vertex(0)]
            add([Outline.line(ring)], holdsNorth: cell.contains(Outline.northPole))
        }
    }

    private static let northPole = SpherePoint(LatLng(latitude: 90, longitude: 0))
    private static let map: Ring = [
        LatLng(latitude: -90, longitude: -180), LatLng(latitude: -90, longitude: 180),
        LatLng(latitude: 90, longitude: 180), LatLng(latitude: 90, longitude: -180),
        LatLng(latitude: -90, longitude: -180),
    ]

    /// Takes a polygon, cut into the pieces that a map needs.
    private mutating func add(_ rings: [[LatLng]], holdsNorth: Bool) {
        var byWindow: [Int: Int] = [:]
        for (number, ring) in rings.enumerated() {
            for piece in Outline.pieces(of: ring, holdsNorth: holdsNorth) {
                if number == 0 {
                    byWindow[piece.window] = polygons.count
                    polygons.append([piece.ring])
                } else if let index = byWindow[piece.window] {
                    polygons[index].append(piece.ring)
                }
            }
        }
    }

    /// The points of a ring on the sphere, with more of them on long edges.
    private static func line(_ ring: [SpherePoint]) -> [LatLng] {
        guard var last = ring.first else { return [] }
        var result = [last.latLng]
        for next in ring.dropFirst() {
            let angle = last.angle(to: next)
            let count = Int((angle * (180 / .pi) / stepDegrees).rounded(.up))
            for step in stride(from: 1, to: count, by: 1) {
                let part = Double(step) / Double(count)
                let (a, b) = (sin((1 - part) * angle), sin(part * angle))
                let between = SpherePoint(
                    x: last.x * a + next.x * b, y: last.y * a + next.y * b,
                    z: last.z * a + next.z * b)
                result.append(between.latLng)
            }
            result.append(next.latLng)
            last = next
        }
        return result
    }

    /// Points all around a circle, counterclockwise as seen from above its centre.
    private static func circle(_ cap: Cap) -> [LatLng] {
        let (center, angle) = (cap.center, cap.angle)
        // Two directions at right angles to the centre and to each other.
        let helper =
            abs(center.z) < 0.9
            ? SpherePoint(x: 0, y: 0, z: 1) : SpherePoint(x: 1, y: 0, z: 0)
        let east = unit(cross(helper, center))
        let north = cross(center, east)
        let points = (0...circlePointCount).map { index in
            let turn = 2 * Double.pi * Double(index % circlePointCount) / Double(circlePointCount)
            let (along, across) = (sin(angle) * cos(turn), sin(angle) * sin(turn))
            let up = cos(angle)
            return SpherePoint(
                x: center.x * up + east.x * along + north.x * across,
                y: center.y * up + east.y * along + north.y * across,
                z: center.z * up + east.z * along + north.z * across)
        }
        return line(points)
    }

    private static func cross(_ a: SpherePoint, _ b: SpherePoint) -> SpherePoint {
        SpherePoint(x: a.y * b.z - a.z * b.y, y: a.z * b.x - a.x * b.z, z: a.x * b.y - a.y * b.x)
    }

    private static func unit(_ p: SpherePoint) -> SpherePoint {
        let length = (p.x * p.x + p.y * p.y + p.z * p.z).squareRoot()
        return SpherePoint(x: p.x / length, y: p.y / length, z: p.z / length)
    }

    // MARK: Cutting

    /// A ring unrolled, led along a pole if it goes around one, and cut at the antimeridian.
    private static func pieces(
        of ring: [LatLng], holdsNorth: Bool
    ) -> [(window: Int, ring: Ring)] {
        guard let start = ring.firstIndex(where: { !isPole($0) }) else { return [] }
        var last = ring[start]
        var unrolled = [last]
        // The last position is the first again.
        let rest = start == 0 ? [] : Array(ring[1...start])
        for place in ring[(start + 1)...] + rest {
            var next = place
            // At a pole all longitudes are the same: a ring comes in by one and leaves by another.
            if isPole(next) { next.longitude = last.longitude }
            next.longitude = last.longitude + turn(from: last.longitude, to: next.longitude)
            if isPole(last) {
                unrolled.append(LatLng(latitude: last.latitude, longitude: next.longitude))
            }
            unrolled.append(next)
            last = next
        }
        let first = unrolled[0]
        if abs(last.longitude - first.longitude) > 180 {
            let pole = holdsNorth ? 90.0 : -90.0
            unrolled.append(LatLng(latitude: pole, longitude: last.longitude))
            unrolled.append(LatLng(latitude: pole, longitude: first.longitude))
            unrolled.append(first)
        }
        return cut(unrolled)
    }

    private static func isPole(_ place: LatLng) -> Bool { place.latitude.magnitude > 89.999_999_9 }

    /// Degrees of longitude from one to another the short way.
    private static func turn(from: Double, to: Double) -> Double {
        var turn = (to - from).truncatingRemainder(dividingBy: 360)
        if turn > 180 { turn -= 360 } else if turn < -180 { turn += 360 }
        return turn
    }

    /// The parts of an unrolled ring on each turn of the map, moved into [-180, 180].
    private static func cut(_ ring: [LatLng]) -> [(window: Int, ring: Ring)] {
        let longitudes = ring.map(\.longitude)
        guard let west = longitudes.min(), let east = longitudes.max() else { return [] }
        let windows =
            Int(
                ((west + 180) / 360).rounded(.down))...Int(
                max(((west + 180) / 360).rounded(.down), ((east + 180) / 360).rounded(.up) - 1))
        var result: [(window: Int, ring: Ring)] = []
        for window in windows {
            let border = Double(window) * 360 - 180
            var piece = ring
            if west < border { piece = clip(piece, at: border) { $0 >= border } }
            if east > border + 360 { piece = clip(piece, at: border + 360) { $0 <= border + 360 } }
            guard piece.count >= 4 else { continue }
            result.append(
                (
                    window,
                    piece.map {
                        LatLng(
                            latitude: rounded($0.latitude),
                            longitude: rounded($0.longitude - Double(window) * 360))
                    }
                ))
        }
        return result
    }

    /// The part of a ring on one side of a meridian (Sutherland and Hodgman).
    private static func clip(
        _ ring: [LatLng], at border: Double, isInside: (Double) -> Bool
    ) -> [LatLng] {
        var result: [LatLng] = []
        for (a, b) in zip(ring, ring.dropFirst()) {
            if isInside(a.longitude) { result.append(a) }
            if isInside(a.longitude) != isInside(b.longitude) {
                let part = (border - a.longitude) / (b.longitude - a.longitude)
                result.append(
                    LatLng(
                        latitude: a.latitude + (b.latitude - a.latitude) * part,
                        longitude: border))
            }
        }
        if let first = result.first { result.append(first) }
        return result
    }

    /// To 1e-9 of a degree, a tenth of a millimetre: beyond it is rounding.
    private static func rounded(_ degrees: Double) -> Double {
        (degrees * 1e9).rounded() / 1e9 + 0
    }
}
