import Glibc

extension Polygon {
    /// Whether the insides of two polygons have a place in common. Borders that only touch do not.
    ///
    /// - Complexity: O(n log n) for n edges of both, where their bounds meet.
    package func intersects(_ other: Polygon) -> Bool {
        guard boundsMeet(bound, other.bound) else { return false }
        let meetings = meetings(with: other)
        if meetings.crossing != nil { return true }
        let shared = sharedVertices(meetings, other)
        for corners in shared.values where corners.overlap { return true }
        // Not crossing, each ring is wholly on one side of the other polygon.
        return hasRing(of: other, sharing: shared) { self.contains($0) }
            || hasRing(of: self, sharing: shared) { other.contains($0) }
    }

    /// Whether all of the other polygon is in this one. Borders may touch where they share
    /// vertices; where one runs along the other without, rounding decides.
    ///
    /// - Complexity: as for ``intersects(_:)``.
    package func contains(_ other: Polygon) -> Bool {
        guard boundsMeet(bound, other.bound) else { return false }
        let meetings = meetings(with: other)
        if meetings.crossing != nil { return false }
        let shared = sharedVertices(meetings, other)
        for corners in shared.values where !corners.firstHoldsSecond { return false }
        return !hasRing(of: other, sharing: shared) { !self.contains($0) }
            && !hasRing(of: self, sharing: shared) { other.contains($0) }
    }

    private func boundsMeet(_ a: Cap, _ b: Cap) -> Bool {
        a.center.angle(to: b.center) <= a.angle + b.angle + 1e-12
    }

    /// The corners of both polygons at each vertex that they share.
    private func sharedVertices(
        _ meetings: EdgeMeetings, _ other: Polygon
    ) -> [SpherePoint: SharedCorners] {
        var result: [SpherePoint: SharedCorners] = [:]
        for pair in meetings.shared {
            let isFirst = pair.0 >> 31 == 0
            let own = Int(isFirst ? pair.0 : pair.1)
            let foreign = Int((isFirst ? pair.1 : pair.0) & 0x7FFF_FFFF)
            let corner = corner(of: own)
            result[corner.vertex, default: SharedCorners()].add(
                corner, isFirst: true)
            result[corner.vertex, default: SharedCorners()].add(
                other.corner(of: foreign), isFirst: false)
        }
        return result
    }

    /// Whether the first vertex of some ring that is not shared passes a test. A ring whose
    /// vertices are all shared was judged at its corners.
    private func hasRing(
        of polygon: Polygon, sharing shared: [SpherePoint: SharedCorners],
        where test: (SpherePoint) -> Bool
    ) -> Bool {
        for ring in polygon.rings {
            for vertex in ring.start..<ring.start + ring.count
            where shared[polygon.vertices[vertex]] == nil {
                if test(polygon.vertices[vertex]) { return true }
                break
            }
        }
        return false
    }
}

/// How two polygons lie around a vertex that they share. Several rings of each may meet there.
///
/// The legs of all corners divide the surroundings into sectors. In the sector that follows a leg
/// counterclockwise a polygon is or is not, wholly: it has no border there.
private struct SharedCorners {
    private struct Side {
        var corners: [Corner] = []

        /// Whether the polygon is in the sector after the leg to `p`.
        func holdsSector(after p: SpherePoint) -> Bool {
            // Each ring with a corner here turns inside into outside; and the polygon is on the
            // left of each of its edges, so in the sector after the leg that goes out.
            isOddLeft(after: p) == isOddLeft(after: corners[0].after)
        }

        private func isOddLeft(after p: SpherePoint) -> Bool {
            var odd = false
            for corner in corners where SharedCorners.isLeft(of: corner, after: p) {
                odd.toggle()
            }
            return odd
        }
    }

    private var first = Side()
    private var second = Side()

    /// Notes a corner, once however often it is added.
    mutating func add(_ corner: Corner, isFirst: Bool) {
        var side = isFirst ? first : second
        let isKnown = side.corners.contains {
            $0.before == corner.before && $0.after == corner.after
        }
        if isKnown { return }
        side.corners.append(corner)
        if isFirst { first = side } else { second = side }
    }

    private static func isLeft(of corner: Corner, after p: SpherePoint) -> Bool {
        if p == corner.after { return true }
        if p == corner.before { return false }
        return Predicates.ordered(corner.after, p, corner.before, around: corner.vertex)
    }

    private var legs: [SpherePoint] {
        (first.corners + second.corners).flatMap { [$0.before, $0.after] }
    }

    /// Whether both polygons are in some sector.
    var overlap: Bool {
        legs.contains { first.holdsSector(after: $0) && second.holdsSector(after: $0) }
    }

    /// Whether the first polygon is in all sectors of the second.
    var firstHoldsSecond: Bool {
        legs.allSatisfy { first.holdsSector(after: $0) || !second.holdsSector(after: $0) }
    }
}

extension Polygon {
    /// Whether a cap and the polygon have a place in common. - Complexity: O(edges).
    package func intersects(_ cap: Cap) -> Bool {
        guard cap.chord2 >= 0 && boundsMeet(bound, cap) else { return false }
        return contains(cap.center) || chord2ToBoundary(cap.center) <= cap.chord2
    }

    /// Whether all of a cap is in the polygon. - Complexity: O(edges).
    package func contains(_ cap: Cap) -> Bool {
        if cap.chord2 < 0 { return true }
        return contains(cap.center) && chord2ToBoundary(cap.center) >= cap.chord2
    }

    /// Whether a box and the polygon have a place in common. - Complexity: O(edges).
    package func intersects(_ box: LatLngRect) -> Bool {
        if box.isEmpty { return false }
        for ring in rings where box.contains(vertices[ring.start]) { return true }
        return box.corners.contains { self.contains($0) } || crossesBorder(of: box)
    }

    /// Whether all of a box is in the polygon. - Complexity: O(edges).
    package func contains(_ box: LatLngRect) -> Bool {
        if box.isEmpty { return true }
        guard box.corners.allSatisfy({ self.contains($0) }) && !crossesBorder(of: box) else {
            return false
        }
        // No ring lies within the box, as a hole would.
        return !rings.contains { box.contains(vertices[$0.start]) }
    }

    /// Whether an edge meets the border of a box. - Complexity: O(edges).
    private func crossesBorder(of box: LatLngRect) -> Bool {
        for index in 0..<edgeCount {
            let vertex = Int(edges[index])
            if box.borderMeets(vertices[vertex], vertices[vertex + 1]) { return true }
        }
        return false
    }
}

extension Cap {
    /// Whether two caps have a place in common.
    package func intersects(_ other: Cap) -> Bool {
        chord2 >= 0 && other.chord2 >= 0
            && center.angle(to: other.center) <= angle + other.angle
    }

    /// Whether all of another cap is in this one.
    package func contains(_ other: Cap) -> Bool {
        if other.chord2 < 0 || chord2 >= 4 { return true }
        return chord2 >= 0 && center.angle(to: other.center) + other.angle <= angle
    }

    /// Whether all of a polygon is in the cap. - Complexity: O(vertices).
    package func contains(_ polygon: Polygon) -> Bool {
        if chord2 >= 4 { return true }
        for vertex in 0..<polygon.vertexCount
        where center.chord2(to: polygon.vertices[vertex]) > chord2 { return false }
        if chord2 <= 2 { return true }
        // A cap over a hemisphere is what a smaller cap around the antipode leaves.
        let antipode = SpherePoint(x: -center.x, y: -center.y, z: -center.z)
        return !polygon.contains(antipode) && polygon.chord2ToBoundary(antipode) >= 4 - chord2
    }

    /// Whether the cap and a box have a place in common.
    package func intersects(_ box: LatLngRect) -> Bool {
        if chord2 < 0 || box.isEmpty { return false }
        return box.contains(center) || box.chord2ToBorder(center) <= chord2
    }
}

extension Cap {
    /// Whether all of a box is in the cap.
    package func contains(_ box: LatLngRect) -> Bool {
        if box.isEmpty || chord2 >= 4 { return true }
        let antipode = SpherePoint(x: -center.x, y: -center.y, z: -center.z)
        if chord2 < 0 || box.contains(antipode) { return false }
        // Along a parallel the furthest place is at an end or half a turn away.
        let opposite = LatLngRect.wrapped(center.latLng.longitude + 180)
        var places = box.corners
        if box.containsLongitude(opposite, 0) {
            places.append(SpherePoint(LatLng(latitude: box.south, longitude: opposite)))
            places.append(SpherePoint(LatLng(latitude: box.north, longitude: opposite)))
        }
        if places.contains(where: { center.chord2(to: $0) > chord2 }) { return false }
        // Over a hemisphere a side may leave the cap between its ends.
        return chord2 <= 2 || box.chord2ToBorder(antipode) >= 4 - chord2
    }
}

extension LatLngRect {
    /// The corners, counterclockwise from south-west.
    var corners: [SpherePoint] {
        [(south, west), (south, east), (north, east), (north, west)]
            .map { SpherePoint(LatLng(latitude: $0.0, longitude: $0.1)) }
    }

    /// Whether all of a polygon is in the box. - Complexity: O(edges).
    package func contains(_ polygon: Polygon) -> Bool {
        for vertex in 0..<polygon.vertexCount where !contains(polygon.vertices[vertex]) {
            return false
        }
        // Edges bulge towards the poles: none may leave over a parallel. One that only touches the
        // border at its ends has its middle inside.
        for index in 0..<polygon.edgeCount {
            let vertex = Int(polygon.edges[index])
            if leaves(polygon.vertices[vertex], polygon.vertices[vertex + 1]) { return false }
        }
        // The polygon may hold what is outside of the box as an island.
        let outside = [
            (90.0, 0.0, north < 90), (-90, 0, south > -90),
            (0, LatLngRect.wrapped(west + width / 2 + 180), width < 360),
        ]
        for (latitude, longitude, isOutside) in outside where isOutside {
            let place = SpherePoint(LatLng(latitude: latitude, longitude: longitude))
            if polygon.contains(place) { return false }
        }
        return true
    }

    /// Whether all of a cap is in the box.
    package func contains(_ cap: Cap) -> Bool {
        if cap.chord2 < 0 { return true }
        if !contains(cap.center) { return false }
        return chord2ToBorder(cap.center) >= cap.chord2 * (1 - 1e-12)
    }

    /// Whether an edge with both ends in the box goes outside in between.
    private func leaves(_ a: SpherePoint, _ b: SpherePoint) -> Bool {
        let normal = SpherePoint.stableCross(a, b)
        let length2 = normal.dot(normal)
        guard length2 > 0 else { return false }
        // The highest and lowest places of the great circle, where they are on the edge.
        let horizontal2 = normal.x * normal.x + normal.y * normal.y
        if horizontal2 > 0 {
            let top = SpherePoint(
                x: -normal.x * normal.z, y: -normal.y * normal.z, z: horizontal2
            ).normalized
            for p in [top, SpherePoint(x: -top.x, y: -top.y, z: -top.z)]
            where LatLngRect.isOn(p, a, b, normal) && !contains(p) { return true }
        }
        if width >= 360 { return false }
        // Between two places of a box up to half a turn wide, the way does not leave its meridians.
        return width > 180 && !contains((a + b).normalized)
    }

    /// Whether a place of the great circle of an edge is between its ends.
    private static func isOn(
        _ p: SpherePoint, _ a: SpherePoint, _ b: SpherePoint, _ normal: SpherePoint
    ) -> Bool {
        normal.cross(a).dot(p) >= 0 && normal.cross(b).dot(p) <= 0
    }

    /// The sides along meridians, as edges of at most a quarter turn.
    private var sides: [(SpherePoint, SpherePoint)] {
        if width >= 360 { return [] }
        func point(_ latitude: Double, _ longitude: Double) -> SpherePoint {
            SpherePoint(LatLng(latitude: latitude, longitude: longitude))
        }
        let cuts = [south] + [0].filter { $0 > south && $0 < north } + [north]
        return zip(cuts, cuts.dropFirst()).flatMap { low, high in
            [west, east].map { (point(low, $0), point(high, $0)) }
        }
    }

    /// Whether an edge meets the border of the box.
    func borderMeets(_ a: SpherePoint, _ b: SpherePoint) -> Bool {
        for (c, d) in sides where Predicates.crossing(a, b, c, d) >= 0 { return true }
        let normal = SpherePoint.stableCross(a, b).normalized
        let horizontal = (normal.x * normal.x + normal.y * normal.y).squareRoot()
        for latitude in [south, north] where latitude.magnitude < 90 && horizontal > 0 {
            // Where the edge's plane meets the parallel: two places around the foot of the normal.
            let z = sin(latitude * Double.pi / 180)
            let radius2 = 1 - z * z
            let foot = -normal.z * z / horizontal
            guard foot * foot <= radius2 else { continue }
            let reach = (radius2 - foot * foot).squareRoot()
            let (ux, uy) = (normal.x / horizontal, normal.y / horizontal)
            for side in [reach, -reach] {
                let p = SpherePoint(x: foot * ux - side * uy, y: foot * uy + side * ux, z: z)
                let longitude = atan2(p.y, p.x) * 180 / Double.pi
                if LatLngRect.isOn(p, a, b, normal) && containsLongitude(longitude, 0) {
                    return true
                }
            }
        }
        return false
    }

    /// The squared chord from a place to the nearest place of the border; 4 without a border.
    func chord2ToBorder(_ p: SpherePoint) -> Double {
        var nearest = 4.0
        for (a, b) in sides { nearest = min(nearest, p.chord2(toEdge: a, b)) }
        let longitude = p.latLng.longitude
        for latitude in [south, north] where latitude.magnitude < 90 {
            // Along a parallel the nearest place has the same longitude, or is at an end.
            let columns = containsLongitude(longitude, 0) ? [longitude] : [west, east]
            for column in columns {
                let other = SpherePoint(LatLng(latitude: latitude, longitude: column))
                nearest = min(nearest, p.chord2(to: other))
            }
        }
        return nearest
    }
}
