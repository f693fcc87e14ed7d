/// The axes of a zone, a cell of level 2: east-like, north-like and outward at its middle.
///
/// Within a zone the surface leans at most 17° against the outward axis, so that a box along these
/// axes around points of a small region is nearly as tight as one on a map.
struct ZoneFrame {
    let a: SpherePoint
    let b: SpherePoint
    let c: SpherePoint
    /// The squared chord from the middle to the furthest corner of the zone.
    let chord2: Double
    /// The angle of the same, in radians.
    let angle: Double

    static let all: [ZoneFrame] = (0..<CellList.zoneCount).map {
        ZoneFrame(cell: CellID(rawValue: UInt64($0) << 57 | 1 << 56))
    }

    init(cell: CellID) {
        c = cell.center
        let p = cell.placement
        func corner(_ di: Int, _ dj: Int) -> SpherePoint {
            CellProjection.direction(
                face: p.face, u: CellProjection.uv(st: Double(p.i + di * p.size) * 0x1p-30),
                v: CellProjection.uv(st: Double(p.j + dj * p.size) * 0x1p-30)
            ).normalized
        }
        let corners = [corner(0, 0), corner(1, 0), corner(1, 1), corner(0, 1)]
        let along = (corners[1] + corners[2]) - (corners[0] + corners[3])
        b = c.cross(along).normalized
        a = b.cross(c)
        var furthest = 0.0
        for corner in corners { furthest = max(furthest, c.chord2(to: corner)) }
        chord2 = furthest + 1e-12
        angle = Sphere.angle(chord2: chord2) + 1e-12
    }

    /// A point along the axes.
    @inline(__always) func local(_ p: SpherePoint) -> SpherePoint {
        SpherePoint(x: a.dot(p), y: b.dot(p), z: c.dot(p))
    }

    @inline(__always) static func packed(_ p: SpherePoint) -> SIMD4<Float> {
        SIMD4(Float(p.x), Float(p.y), Float(p.z), 0)
    }
}

extension ZoneBox {
    /// The greater of each two: the library's own function is not inlined.
    @inline(__always)
    private static func greater(_ a: SIMD4<Float>, _ b: SIMD4<Float>) -> SIMD4<Float> {
        a.replacing(with: b, where: b .> a)
    }

    /// No point in the box is nearer than this squared chord. `q` is in the frame of the box.
    ///
    /// In Float: the slack of the box covers the rounding of `q`, and the factor that of the sum.
    @inline(__always) func nearest(_ q: SIMD4<Float>) -> Double {
        let d = ZoneBox.greater(ZoneBox.greater(low - q, q - high), SIMD4(repeating: 0))
        let squares = d * d
        return Double(squares[0] + squares[1] + squares[2]) * (1 - 1e-6)
    }

    /// No point in the box is further than this squared chord.
    @inline(__always) func furthest(_ q: SIMD4<Float>) -> Double {
        let d = ZoneBox.greater(q - low, high - q)
        let squares = d * d
        return Double(squares[0] + squares[1] + squares[2]) * (1 + 1e-6)
    }
}
