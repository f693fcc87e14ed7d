// Pairs of edges that meet, found among those that share a small cell.

/// What is known about how the boundaries of two polygons, or the rings of one, meet.
struct EdgeMeetings {
    /// Two edges that cross inside of both, by number.
    var crossing: (UInt32, UInt32)?
    /// More edges meet in one leaf cell than can be compared in a bounded time; one of them.
    var tooDense: UInt32?
    /// Vertices that stand in two rings: pairs of edge numbers that begin there.
    var shared: [(UInt32, UInt32)] = []
}

/// Visits cells down to a few edges each and compares all of those.
///
/// Two edges that meet are both handed to the cell of the place where they meet, so each meeting is
/// seen at least once. Shared vertices may be seen several times.
struct EdgePairVisitor: EdgeVisitor {
    static let needsCenter = false
    private static let edgesPerCell = 12
    private static let edgesPerLeaf = 2_000
    /// Edges that may be handed to cells, for each edge that there is. Where edges lie apart it is
    /// the depth of the walk, 30 at most; long ones side by side are in a cell each with most
    /// others, which would cost the square of their number.
    private static let visitsPerEdge = 100

    /// In a walk over two polygons only pairs of one edge from each count.
    let first: Polygon
    let second: Polygon?
    // SAFETY: those of the two, which this keeps: pairs are compared without counting references.
    private let vertices: (first: UnsafePointer<SpherePoint>, second: UnsafePointer<SpherePoint>)
    var meetings = EdgeMeetings()
    private var visitsLeft: Int

    init(first: Polygon, second: Polygon?) {
        (self.first, self.second) = (first, second)
        vertices = (first.vertices, (second ?? first).vertices)
        let count = first.edgeCount + (second?.edgeCount ?? 0)
        visitsLeft = 100_000 + Self.visitsPerEdge * count
    }

    func wants(_ cell: CellID) -> Bool {
        meetings.crossing == nil && meetings.tooDense == nil
    }

    mutating func visit(
        _ cell: CellID, edges: UnsafeBufferPointer<UInt32>, centerInside: Bool
    ) -> Bool {
        if edges.count < 2 { return false }
        visitsLeft -= edges.count
        if visitsLeft < 0 {
            meetings.tooDense = edges[0]
            return false
        }
        if second != nil && !hasBoth(edges) { return false }
        if edges.count > EdgePairVisitor.edgesPerCell && !cell.isLeaf { return true }
        if edges.count > EdgePairVisitor.edgesPerLeaf {
            meetings.tooDense = edges[0]
            return false
        }
        for x in 1..<edges.count {
            for y in 0..<x where second == nil || (edges[x] ^ edges[y]) >> 31 != 0 {
                compare(edges[y], edges[x])
                if meetings.crossing != nil { return false }
            }
        }
        return false
    }

    private func hasBoth(_ edges: UnsafeBufferPointer<UInt32>) -> Bool {
        let side = edges[0] >> 31
        for edge in edges where edge >> 31 != side { return true }
        return false
    }

    private func ends(_ edge: UInt32) -> (SpherePoint, SpherePoint) {
        let from = (edge >> 31 == 0 ? vertices.first : vertices.second) + Int(edge & 0x7FFF_FFFF)
        return (from[0], from[1])
    }

    /// Whether edges that cross do so by more than the rounding of their coordinates, 6 nm: each
    /// end is further than that from the other edge's great circle.
    ///
    /// A vertex in the middle of another edge, as where a ring runs back along a meridian, may be
    /// on either side by rounding alone; nobody could put that right.
    private static func isPlain(
        _ a: SpherePoint, _ b: SpherePoint, _ c: SpherePoint, _ d: SpherePoint
    ) -> Bool {
        func isOff(_ p: SpherePoint, _ from: SpherePoint, _ to: SpherePoint) -> Bool {
            let normal = SpherePoint.stableCross(from, to)
            let height = normal.dot(p)
            return height * height > 1e-30 * normal.dot(normal)
        }
        return isOff(a, c, d) && isOff(b, c, d) && isOff(c, a, b) && isOff(d, a, b)
    }

    private mutating func compare(_ x: UInt32, _ y: UInt32) {
        if x == y { return }
        let (a, b) = ends(x)
        let (c, d) = ends(y)
        let kind = Predicates.crossing(a, b, c, d)
        if kind > 0 && EdgePairVisitor.isPlain(a, b, c, d) {
            meetings.crossing = x < y ? (x, y) : (y, x)
        }
        if kind < 0 { return }
        // Each vertex that two rings share is noted once, by the edges that begin there: both pass
        // through the cell of the vertex.
        if a == c && (second != nil || first.ring(of: Int(x)).start != first.ring(of: Int(y)).start)
        {
            meetings.shared.append(x < y ? (x, y) : (y, x))
        }
    }
}

/// Three vertices of a ring that follow each other; the inside is on the left of the way.
struct Corner {
    var before: SpherePoint
    var vertex: SpherePoint
    var after: SpherePoint
}

extension Polygon {
    /// How the edges of this polygon meet each other, or those of another.
    func meetings(with other: Polygon? = nil) -> EdgeMeetings {
        var walk = EdgeWalk()
        var visitor = EdgePairVisitor(first: self, second: other)
        walk.walk(self, and: other, visitor: &visitor)
        return visitor.meetings
    }

    /// The vertices before, at and after the first of an edge, along its ring.
    func corner(of edge: Int) -> Corner {
        let ring = ring(of: edge)
        let before = edge == ring.start ? ring.start + ring.count - 1 : edge - 1
        return Corner(
            before: vertices[before], vertex: vertices[edge], after: vertices[edge + 1])
    }

    /// - Throws: `selfCrossing`, `crossingRings`, `overlappingPolygons`, `tooManyVertices`.
    func checkCrossings() throws(GeoError) {
        let meetings = meetings()
        if meetings.tooDense != nil {
            throw .tooManyVertices(count: edgeCount, limit: edgeCount - 1)
        }
        if let (x, y) = meetings.crossing { throw crossing(Int(x), Int(y)) }
        for pair in meetings.shared where cornersCross(Int(pair.0), Int(pair.1)) {
            throw crossing(Int(pair.0), Int(pair.1))
        }
    }

    /// Whether the corners at the vertex where two edges begin cross there: one leg of the second
    /// is inside of the first and the other is not.
    private func cornersCross(_ x: Int, _ y: Int) -> Bool {
        let a = corner(of: x)
        let b = corner(of: y)
        if b.before == a.before || b.before == a.after { return false }
        if b.after == a.before || b.after == a.after { return false }
        return Predicates.ordered(a.after, b.before, a.before, around: a.vertex)
            != Predicates.ordered(a.after, b.after, a.before, around: a.vertex)
    }

    private func crossing(_ x: Int, _ y: Int) -> GeoError {
        let (a, b) = (place(of: x), place(of: y))
        if a.polygon != b.polygon {
            return .overlappingPolygons(first: a.polygon, second: b.polygon)
        }
        return a.ring == b.ring ? .selfCrossing(a, with: b) : .crossingRings(a, with: b)
    }

    /// Checks that holes are in their outer rings, not in each other, and polygons apart. Rings are
    /// known not to cross, so that one vertex of a ring that is not on another's tells the place of
    /// the whole ring.
    ///
    /// - Throws: `holeOutsideShell`, `nestedHole`, `overlappingPolygons`.
    func checkNesting() throws(GeoError) {
        if rings.count == 1 { return }
        let outlines = rings.map { RingOutline(self, $0) }
        for (index, ring) in rings.enumerated() where ring.ring > 0 {
            guard let shell = rings.firstIndex(where: { $0.polygon == ring.polygon }) else {
                continue
            }
            if !outlines[shell].holds(outlines[index]) {
                throw .holeOutsideShell(polygon: ring.polygon, ring: ring.ring)
            }
            for other in shell + 1..<rings.count
            where rings[other].polygon == ring.polygon && other != index {
                if outlines[other].holds(outlines[index]) {
                    throw .nestedHole(
                        polygon: ring.polygon, ring: ring.ring, inside: rings[other].ring)
                }
            }
        }
        try checkPolygonsApart(outlines)
    }

    private func checkPolygonsApart(_ outlines: [RingOutline]) throws(GeoError) {
        let shells = rings.indices.filter { rings[$0].ring == 0 }
        for x in shells {
            for y in shells where y != x && outlines[x].holds(outlines[y]) {
                // Within a hole of the other it is apart.
                let polygon = rings[x].polygon
                let inHole = rings.indices.contains {
                    rings[$0].polygon == polygon && rings[$0].ring > 0
                        && outlines[$0].holds(outlines[y])
                }
                if !inHole {
                    throw .overlappingPolygons(
                        first: min(polygon, rings[y].polygon),
                        second: max(polygon, rings[y].polygon))
                }
            }
        }
    }
}

/// One ring as a region of its own: the smaller area inside of it.
private struct RingOutline {
    let polygon: Polygon
    let ring: Polygon.Ring
    let bound: Cap
    let originInside: Bool

    init(_ polygon: Polygon, _ ring: Polygon.Ring) {
        self.polygon = polygon
        self.ring = ring
        bound = Cap.holding(
            UnsafeBufferPointer(start: polygon.vertices + ring.start, count: ring.count))
        // As when the polygon was made; holes are stored in the other direction.
        let vertex = polygon.vertices + ring.start
        var (holds, place) = (false, bound.antipode)
        if bound.chord2 >= Cap.convexMax {
            holds =
                ring.ring == 0
                ? Predicates.cornerHolds(vertex[0], vertex[1], vertex[2])
                : Predicates.cornerHolds(vertex[2], vertex[1], vertex[0])
            place = vertex[1]
        }
        originInside = holds != RingOutline.parity(polygon, ring, to: place)
    }

    private static func parity(_ polygon: Polygon, _ ring: Polygon.Ring, to p: SpherePoint) -> Bool
    {
        var odd = false
        for edge in ring.start..<ring.start + ring.count
        where Predicates.crosses(
            Polygon.origin, p, polygon.vertices[edge], polygon.vertices[edge + 1])
        {
            odd.toggle()
        }
        return odd
    }

    func contains(_ p: SpherePoint) -> Bool {
        if bound.chord2 < Cap.convexMax && !bound.contains(p) { return false }
        return originInside != RingOutline.parity(polygon, ring, to: p)
    }

    /// Whether the other ring lies inside of this one. They do not cross.
    func holds(_ other: RingOutline) -> Bool {
        let distance = bound.center.angle(to: other.bound.center)
        if bound.chord2 < Cap.convexMax && distance > bound.angle + other.bound.angle {
            return false
        }
        let own = Set(
            UnsafeBufferPointer(start: polygon.vertices + ring.start, count: ring.count))
        for vertex in other.ring.start..<other.ring.start + other.ring.count
        where !own.contains(other.polygon.vertices[vertex]) {
            return contains(other.polygon.vertices[vertex])
        }
        // All vertices are shared: the middle of an edge that is not shared is as good.
        for vertex in other.ring.start..<other.ring.start + other.ring.count {
            let (a, b) = (other.polygon.vertices[vertex], other.polygon.vertices[vertex + 1])
            if !hasEdge(a, b) { return contains((a + b).normalized) }
        }
        return true
    }

    private func hasEdge(_ a: SpherePoint, _ b: SpherePoint) -> Bool {
        for edge in ring.start..<ring.start + ring.count {
            let (c, d) = (polygon.vertices[edge], polygon.vertices[edge + 1])
            if (a == c && b == d) || (a == d && b == c) { return true }
        }
        return false
    }
}
