import Glibc

/// One or more polygons with holes on the sphere, checked when made and never changed.
///
/// Edges are geodesics. A place on a shared edge or vertex is in exactly one of the polygons that
/// share it. What a polygon holds is decided exactly: see `Predicates`.
///
/// Memory: rings one after another, each with its first vertex again at its end, so that edge `e`
/// goes from vertex `e` to vertex `e + 1`; the last vertex of a ring begins no edge. The inside is
/// on the left of each edge: outer rings run counterclockwise, holes clockwise.
///
/// Sendable: nothing changes after the initialiser, and the memory is freed by deinit alone.
package final class Polygon: @unchecked Sendable {
    /// One ring among the vertices.
    struct Ring {
        /// Its first vertex.
        var start: Int
        /// Its edges, which is its vertices without the repeated one.
        var count: Int
        var polygon: Int
        /// 0 for the outer ring of its polygon.
        var ring: Int
        /// Whether its vertices stand here in the opposite order of the input.
        var isReversed: Bool
        /// Where each vertex of the input's order stood in it; empty if none was left out.
        var given: [Int]
    }

    // SAFETY: `vertexCount` vertices and `edgeCount` numbers, initialised in init, freed in deinit.
    let vertices: UnsafePointer<SpherePoint>
    let vertexCount: Int
    /// The first vertex of each edge.
    let edges: UnsafePointer<UInt32>
    /// Edges of all rings.
    package let edgeCount: Int
    let rings: [Ring]
    /// Whether `Polygon.origin` is inside.
    let originInside: Bool
    /// A cap that holds the polygon.
    package let bound: Cap
    /// Steradians.
    package let area: Double

    /// The place from which ways to other places start; its position means nothing.
    static let origin = SpherePoint(LatLng(latitude: 61.073_194_2, longitude: 97.391_847_3))

    init(vertices source: [SpherePoint], rings: [Ring], originInside: Bool, area: Double) {
        self.rings = rings
        self.originInside = originInside
        self.area = area
        vertexCount = source.count
        edgeCount = rings.reduce(0) { $0 + $1.count }
        let vertices = UnsafeMutablePointer<SpherePoint>.allocate(capacity: source.count)
        for (index, vertex) in source.enumerated() { (vertices + index).initialize(to: vertex) }
        let edges = UnsafeMutablePointer<UInt32>.allocate(capacity: edgeCount)
        var next = 0
        for ring in rings {
            for vertex in ring.start..<ring.start + ring.count {
                (edges + next).initialize(to: UInt32(vertex))
                next += 1
            }
        }
        self.vertices = UnsafePointer(vertices)
        self.edges = UnsafePointer(edges)
        let cap = Cap.holding(UnsafeBufferPointer(start: vertices, count: source.count))
        // Caps below a hemisphere are convex, so that they hold the edges and the smaller side.
        bound = cap.chord2 < Cap.convexMax ? cap : Cap(center: cap.center, chord2: 4)
    }

    deinit {
        vertices.deallocate()
        edges.deallocate()
    }

    /// Polygons of a multipolygon; at least 1.
    package var polygonCount: Int { (rings.last?.polygon ?? 0) + 1 }

    /// Whether both have the same rings, vertex by vertex. - Complexity: O(vertices).
    package func isSame(as other: Polygon) -> Bool {
        guard vertexCount == other.vertexCount, edgeCount == other.edgeCount,
            rings.count == other.rings.count
        else { return false }
        for (a, b) in zip(rings, other.rings)
        where a.start != b.start || a.polygon != b.polygon || a.ring != b.ring { return false }
        for index in 0..<vertexCount where vertices[index] != other.vertices[index] {
            return false
        }
        return true
    }

    /// Bytes allocated.
    package var byteCount: Int {
        vertexCount * MemoryLayout<SpherePoint>.stride + edgeCount * 4
            + rings.count * MemoryLayout<Ring>.stride
    }

    /// Whether a place is inside. - Complexity: O(edges), less for places outside of the bound.
    package func contains(_ p: SpherePoint) -> Bool {
        bound.contains(p) && containsUnbounded(p)
    }

    func containsUnbounded(_ p: SpherePoint) -> Bool {
        var inside = originInside
        let origin = Polygon.origin
        for index in 0..<edgeCount {
            let vertex = Int(edges[index])
            if Predicates.crosses(origin, p, vertices[vertex], vertices[vertex + 1]) {
                inside.toggle()
            }
        }
        return inside
    }

    /// The squared chord from a place to the nearest place of the boundary.
    ///
    /// - Complexity: O(edges).
    func chord2ToBoundary(_ p: SpherePoint) -> Double {
        var nearest = 4.0
        for index in 0..<edgeCount {
            let vertex = Int(edges[index])
            nearest = min(nearest, p.chord2(toEdge: vertices[vertex], vertices[vertex + 1]))
        }
        return nearest
    }

    /// Metres to the nearest place of the polygon; 0 inside. - Complexity: O(edges).
    package func meters(from p: SpherePoint) -> Double {
        contains(p) ? 0 : Sphere.meters(angle: Sphere.angle(chord2: chord2ToBoundary(p)))
    }

    /// The ring that edge or vertex `vertex` is of. - Complexity: O(log rings).
    func ring(of vertex: Int) -> Ring {
        var (low, high) = (0, rings.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if rings[middle].start <= vertex { low = middle } else { high = middle - 1 }
        }
        return rings[low]
    }

    /// Where in the input edge `vertex` begins.
    func place(of vertex: Int) -> GeoError.Place {
        let ring = ring(of: vertex)
        let index = vertex - ring.start
        // Reversed, edge k runs from vertex n - 1 - k to n - 2 - k of the input.
        let own = ring.isReversed ? (2 * ring.count - 2 - index) % ring.count : index
        let given = ring.given.isEmpty ? own : ring.given[own]
        return GeoError.Place(polygon: ring.polygon, ring: ring.ring, vertex: given)
    }
}
