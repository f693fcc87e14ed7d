import Glibc

/// A part of the sphere that cells can be compared with.
package protocol Region {
    /// A cap that holds the region.
    var capBound: Cap { get }
    /// Whether the cell is wholly inside; false where that is not certain.
    func contains(_ cell: Cell) -> Bool
    /// Whether the cell has a place in common with the region; true where that is not certain.
    func mayIntersect(_ cell: Cell) -> Bool
}

extension Cap: Region {
    package var capBound: Cap { self }

    /// Exact but for rounding at the border, where the answer is false.
    package func contains(_ cell: Cell) -> Bool {
        if chord2 >= 4 { return true }
        if chord2 < 0 { return false }
        if chord2 < 2 {
            // Below a hemisphere a cap is convex: its border may pass a corner by rounding only.
            let limit = chord2 - 1e-15 * chord2.squareRoot() - 1e-30
            for k in 0..<4 where center.chord2(to: cell.vertex(k)) > limit { return false }
            return true
        }
        let antipode = SpherePoint(x: -center.x, y: -center.y, z: -center.z)
        return cell.chord2(to: antipode) > 4 - chord2 + 1e-14
    }

    /// Exact but for rounding at the border, where the answer is true.
    package func mayIntersect(_ cell: Cell) -> Bool {
        if chord2 < 0 { return false }
        return cell.chord2(to: center) <= chord2 + 1e-15 * chord2.squareRoot() + 1e-30
    }
}

extension LatLngRect: Region {
    package var capBound: Cap {
        if isEmpty { return Cap(center: SpherePoint(x: 1, y: 0, z: 0), chord2: -1) }
        guard width < 180 else {
            // Around the nearer pole.
            let atNorth = south + north >= 0
            let angle = (atNorth ? 90 - south : north + 90) * (Double.pi / 180)
            let pole = SpherePoint(x: 0, y: 0, z: atNorth ? 1 : -1)
            return Cap(center: pole, chord2: min(4, Sphere.chord2(angle: angle) + 1e-14))
        }
        let middle = LatLngRect.wrapped(west + width / 2)
        let center = SpherePoint(LatLng(latitude: (south + north) / 2, longitude: middle))
        // On each parallel the furthest place is at a side; along a side, at its ends or where the
        // parallel is widest.
        var furthest = 0.0
        for latitude in [south, north, max(south, min(north, 0))] {
            let p = SpherePoint(LatLng(latitude: latitude, longitude: west))
            furthest = max(furthest, center.chord2(to: p))
        }
        return Cap(center: center, chord2: min(4, furthest * (1 + 1e-12) + 1e-14))
    }

    package func contains(_ cell: Cell) -> Bool { !isEmpty && contains(cell.rectBound) }

    package func mayIntersect(_ cell: Cell) -> Bool { !isEmpty && intersects(cell.rectBound) }
}
