// The map between the sphere and the six faces of a cube around it, after the published geometry of
// S2 (s2geometry.io): a point goes along its direction to the face plane, (u, v) in [-1, 1]², and
// from there by a quadratic to (s, t) in [0, 1]², which makes cells of a level nearly equal in
// area.
//
// Frame of a face: the axis W through its middle and U, V along it, a right-handed system. In local
// coordinates (U, V, W) of a place on the face, u = U / W and v = V / W.

/// A place in the frame of a face, not scaled: see the drawing of axes above.
struct FaceVector {
    var u: Double
    var v: Double
    var w: Double
}

enum CellProjection {
    /// The face whose axis is nearest to `p`, 0...5.
    @inline(__always) static func face(of p: SpherePoint) -> Int {
        let (ax, ay, az) = (p.x.magnitude, p.y.magnitude, p.z.magnitude)
        if ax > ay {
            if ax > az { return p.x < 0 ? 3 : 0 }
        } else if ay > az {
            return p.y < 0 ? 4 : 1
        }
        return p.z < 0 ? 5 : 2
    }

    /// `p` in the frame of `face`.
    @inline(__always) static func local(_ p: SpherePoint, face: Int) -> FaceVector {
        switch face {
        case 0: FaceVector(u: p.y, v: p.z, w: p.x)
        case 1: FaceVector(u: -p.x, v: p.z, w: p.y)
        case 2: FaceVector(u: -p.x, v: -p.y, w: p.z)
        case 3: FaceVector(u: -p.z, v: -p.y, w: -p.x)
        case 4: FaceVector(u: -p.z, v: p.x, w: -p.y)
        default: FaceVector(u: p.y, v: p.x, w: -p.z)
        }
    }

    /// The inverse of ``local(_:face:)``.
    @inline(__always) static func global(_ f: FaceVector, face: Int) -> SpherePoint {
        switch face {
        case 0: SpherePoint(x: f.w, y: f.u, z: f.v)
        case 1: SpherePoint(x: -f.u, y: f.w, z: f.v)
        case 2: SpherePoint(x: -f.u, y: -f.v, z: f.w)
        case 3: SpherePoint(x: -f.w, y: -f.v, z: -f.u)
        case 4: SpherePoint(x: f.v, y: -f.w, z: -f.u)
        default: SpherePoint(x: f.v, y: f.u, z: -f.w)
        }
    }

    /// The direction of (u, v) on a face, not of length 1.
    @inline(__always) static func direction(face: Int, u: Double, v: Double) -> SpherePoint {
        global(FaceVector(u: u, v: v, w: 1), face: face)
    }

    /// (s or t) → (u or v).
    @inline(__always) static func uv(st s: Double) -> Double {
        s >= 0.5
            ? (1.0 / 3) * (4 * s * s - 1)
            : (1.0 / 3) * (1 - 4 * (1 - s) * (1 - s))
    }

    /// (u or v) → (s or t).
    @inline(__always) static func st(uv u: Double) -> Double {
        u >= 0 ? 0.5 * (1 + 3 * u).squareRoot() : 1 - 0.5 * (1 - 3 * u).squareRoot()
    }

    /// The leaf column or row of s or t: 0 ..< 2^30, values outside go to the border.
    @inline(__always) static func leaf(st s: Double) -> Int {
        max(0, min((1 << 30) - 1, Int(s * 0x1p30)))
    }
}
