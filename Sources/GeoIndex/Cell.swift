import Glibc

/// A cell's outline: four geodesic edges on one face.
package struct Cell: Sendable {
    package let id: CellID
    let face: Int
    let u0: Double
    let u1: Double
    let v0: Double
    let v1: Double

    /// The outline of a valid cell. - Complexity: O(1).
    package init(_ id: CellID) {
        self.id = id
        let p = id.placement
        face = p.face
        u0 = CellProjection.uv(st: Double(p.i) * 0x1p-30)
        u1 = CellProjection.uv(st: Double(p.i + p.size) * 0x1p-30)
        v0 = CellProjection.uv(st: Double(p.j) * 0x1p-30)
        v1 = CellProjection.uv(st: Double(p.j + p.size) * 0x1p-30)
    }

    /// A corner, 0...3 counterclockwise from (u0, v0); of length 1.
    package func vertex(_ k: Int) -> SpherePoint {
        CellProjection.direction(
            face: face, u: k == 1 || k == 2 ? u1 : u0, v: k >= 2 ? v1 : v0
        ).normalized
    }

    package var vertices: [SpherePoint] { (0..<4).map(vertex) }

    /// Whether a place is in the closed cell.
    package func contains(_ p: SpherePoint) -> Bool {
        let f = CellProjection.local(p, face: face)
        guard f.w > 0 else { return false }
        // An ulp more on each side, for the projection rounds.
        let (u, v) = (f.u / f.w, f.v / f.w)
        let slack = 0x1p-52
        return u >= u0 - slack && u <= u1 + slack && v >= v0 - slack && v <= v1 + slack
    }

    /// The squared chord to the nearest place of the cell; 0 inside.
    func chord2(to p: SpherePoint) -> Double {
        if contains(p) { return 0 }
        let corners = (vertex(0), vertex(1), vertex(2), vertex(3))
        return min(
            p.chord2(toEdge: corners.0, corners.1), p.chord2(toEdge: corners.1, corners.2),
            p.chord2(toEdge: corners.2, corners.3), p.chord2(toEdge: corners.3, corners.0))
    }

    /// Steradians: the sum of two triangles.
    package var area: Double {
        let (a, b, c, d) = (vertex(0), vertex(1), vertex(2), vertex(3))
        func triangle(_ a: SpherePoint, _ b: SpherePoint, _ c: SpherePoint) -> Double {
            2 * atan2(a.dot((b - a).cross(c - a)), 1 + a.dot(b) + b.dot(c) + c.dot(a))
        }
        return triangle(a, b, c) + triangle(a, c, d)
    }

    /// A rectangle of latitudes and longitudes that holds the cell.
    ///
    /// Below level 0 a cell lies on one side of its face's middle lines, and the extremes of both
    /// coordinates are at corners; a corner at a pole has no longitude, and the two beside it have
    /// those of the quadrant.
    var rectBound: LatLngRect {
        if id.level == 0 { return .full }
        var (south, north) = (90.0, -90.0)
        let middle = id.center.latLng.longitude
        var (west, east) = (0.0, 0.0)
        for k in 0..<4 {
            let p = vertex(k).latLng
            south = min(south, p.latitude)
            north = max(north, p.latitude)
            if p.latitude.magnitude > 90 - 1e-9 { continue }
            var offset = p.longitude - middle
            if offset > 180 { offset -= 360 }
            if offset < -180 { offset += 360 }
            west = min(west, offset)
            east = max(east, offset)
        }
        let slack = 1e-12
        return LatLngRect(
            south: max(-90, south - slack), west: LatLngRect.wrapped(middle + west - slack),
            north: min(90, north + slack), east: LatLngRect.wrapped(middle + east + slack))
    }
}
