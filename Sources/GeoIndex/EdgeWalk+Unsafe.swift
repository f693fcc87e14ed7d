// The walk down the cells that edges pass through.
//
// On the plane of a cube's face a geodesic is a straight line and a cell a rectangle (u0, u1, v0,
// v1), so whether an edge meets a cell is a plain test of a segment and a rectangle. Each edge is
// clipped to every face that it touches; from a face the walk goes down, handing each child the
// edges of its parent that meet it.
//
// All tests are padded by `padding`, far more than the error of clipping and far less than a leaf
// cell: an edge may be reported to a cell that it misses by less than 10 µm, never left out.

/// What a walk does at each cell.
protocol EdgeVisitor {
    /// Whether the walk has to know if the middle of a cell is inside of the polygon.
    static var needsCenter: Bool { get }
    /// Whether to look at a cell at all.
    mutating func wants(_ cell: CellID) -> Bool
    /// Says what meets a wanted cell; true to go on to its children.
    ///
    /// `edges` are numbers of edges (see `EdgeWalk`), valid during the call.
    mutating func visit(
        _ cell: CellID, edges: UnsafeBufferPointer<UInt32>, centerInside: Bool
    ) -> Bool
}

/// A walk's memory, for use again and again. One thread at a time.
///
/// An edge's number is its first vertex in its polygon; in a walk over two polygons, edges of the
/// second have the top bit set.
struct EdgeWalk: ~Copyable {
    /// An edge's part on a face.
    struct Segment: BitwiseCopyable {
        var u0: Double
        var v0: Double
        var u1: Double
        var v1: Double
        var edge: UInt32
    }

    /// A cell and where it lies.
    private struct Node {
        var cell: CellID
        var face: Int
        var i: Int
        var j: Int
        var size: Int
        var orientation: Int

        init(_ cell: CellID) {
            self.cell = cell
            let p = cell.placement
            (face, i, j, size, orientation) = (p.face, p.i, p.j, p.size, p.orientation)
        }

        func child(_ position: Int) -> Node {
            var node = self
            let quarter = Int(0x874B_78B4 >> UInt32((orientation * 4 + position) * 2)) & 3
            node.size = size / 2
            node.i += quarter & 2 != 0 ? node.size : 0
            node.j += quarter & 1 != 0 ? node.size : 0
            node.orientation ^= (0xC1 >> (position * 2)) & 3
            node.cell = cell.child(position)
            return node
        }
    }

    static let padding = 1e-12

    private var segments = GrowingBuffer<Segment>(capacity: 64)
    /// Numbers of segments: one list per level of the walk, one after another.
    private var lists = GrowingBuffer<UInt32>(capacity: 256)
    /// For each place in `lists`, the quarters of its cell that the segment meets.
    private var quarters = GrowingBuffer<UInt8>(capacity: 256)
    /// The edges of the cell that is visited.
    private var visited = GrowingBuffer<UInt32>(capacity: 64)

    init() {}

    /// Bytes allocated.
    var byteCount: Int {
        segments.byteCount + lists.byteCount + quarters.byteCount + visited.byteCount
    }

    /// Walks one polygon, or the edges of two.
    ///
    /// Cells without edges are visited too, once; wholly inside or outside as their middle is.
    /// Faces out of reach of the polygon's bound are not visited.
    ///
    /// - Complexity: O(edges · levels) at most, for edges that spread over cells.
    mutating func walk<V: EdgeVisitor>(
        _ polygon: Polygon, and other: Polygon? = nil, visitor: inout V
    ) {
        for face in 0..<6 {
            guard visitor.wants(CellID(face: face)) else { continue }
            // A polygon that does not reach a face has nothing to say there.
            let outline = Cell(CellID(face: face))
            guard polygon.bound.mayIntersect(outline) else { continue }
            segments.count = 0
            lists.count = 0
            clip(polygon, face: face, tag: 0)
            if let other {
                guard other.bound.mayIntersect(outline) else { continue }
                clip(other, face: face, tag: 1 << 31)
            }
            var start = CellID(face: face)
            if segments.count > 0 {
                start = holder(face: face)
            } else if !V.needsCenter {
                continue
            }
            for index in 0..<segments.count { lists.append(UInt32(index)) }
            // Outside of the holder there are no edges: all of the face beside it is on one side.
            if start.level > 0 && V.needsCenter {
                visitRest(polygon, of: CellID(face: face), beside: start, visitor: &visitor)
            }
            guard start.level == 0 || visitor.wants(start) else { continue }
            let inside = V.needsCenter && polygon.contains(start.center)
            descend(
                polygon, Node(start), lists: 0..<lists.count, inside: inside, visitor: &visitor)
        }
    }

    /// Visits the cells that together are `cell` without `beside`; none of them meets an edge.
    private mutating func visitRest<V: EdgeVisitor>(
        _ polygon: Polygon, of cell: CellID, beside: CellID, visitor: inout V
    ) {
        // They are all on the same side, unless the polygon's edges lie on their common border:
        // those would be within the padding and so in `beside` alone.
        let empty = UnsafeBufferPointer<UInt32>(start: nil, count: 0)
        var parent = cell
        var inside: Bool?
        while parent != beside {
            for position in 0..<4 {
                let child = parent.child(position)
                if child.contains(beside) || !visitor.wants(child) { continue }
                let known = inside ?? polygon.contains(child.center)
                inside = known
                _ = visitor.visit(child, edges: empty, centerInside: known)
            }
            parent = beside.parent(level: parent.level + 1)
        }
    }

    /// The deepest cell that holds all segments with their padding.
    private func holder(face: Int) -> CellID {
        var (u0, u1, v0, v1) = (2.0, -2.0, 2.0, -2.0)
        for index in 0..<segments.count {
            let s = segments[index]
            u0 = min(u0, s.u0, s.u1)
            u1 = max(u1, s.u0, s.u1)
            v0 = min(v0, s.v0, s.v1)
            v1 = max(v1, s.v0, s.v1)
        }
        func leaf(_ u: Double) -> Int {
            CellProjection.leaf(st: CellProjection.st(uv: max(-1, min(1, u))))
        }
        let pad = EdgeWalk.padding * 4
        let first = CellID(face: face, i: leaf(u0 - pad), j: leaf(v0 - pad))
        let last = CellID(face: face, i: leaf(u1 + pad), j: leaf(v1 + pad))
        let a = first.placement
        let b = last.placement
        // The deepest aligned square that holds both corners.
        let difference = (a.i ^ b.i) | (a.j ^ b.j)
        let level = 30 - (Int.bitWidth - difference.leadingZeroBitCount)
        return first.parent(level: level)
    }

    private mutating func descend<V: EdgeVisitor>(
        _ polygon: Polygon, _ node: Node, lists range: Range<Int>, inside: Bool, visitor: inout V
    ) {
        visited.count = 0
        for index in range {
            let edge = segments[Int(lists[index])].edge
            // An edge in two halves has two segments, one after the other: it is named once.
            if visited.count > 0 && visited[visited.count - 1] == edge { continue }
            visited.append(edge)
        }
        // SAFETY: `visited` is not touched while the visitor runs.
        let seen = UnsafeBufferPointer(
            start: UnsafePointer(visited.base), count: visited.count)
        guard visitor.visit(node.cell, edges: seen, centerInside: inside), node.size > 1 else {
            return
        }
        let center = V.needsCenter ? node.cell.center : Polygon.origin
        markQuarters(range, of: node)
        for position in 0..<4 {
            let child = node.child(position)
            guard visitor.wants(child.cell) else { continue }
            let start = lists.count
            let quarter: UInt8 = 1 << ((child.i > node.i ? 2 : 0) + (child.j > node.j ? 1 : 0))
            for index in range where quarters.base[index] & quarter != 0 {
                lists.append(lists.base[index])
            }
            var childInside = inside
            if V.needsCenter {
                // The middle of a cell is a corner of its child, so the way is in the child.
                childInside = crossParity(
                    polygon, start..<lists.count, face: child.face, from: center,
                    to: child.cell.center, inside: inside)
            }
            descend(
                polygon, child, lists: start..<lists.count, inside: childInside,
                visitor: &visitor)
            lists.count = start
        }
    }

    /// Notes for each segment of a list which quarters of the cell it meets: bit 2·(i half) + (j
    /// half). All of them meet the cell.
    private mutating func markQuarters(_ range: Range<Int>, of node: Node) {
        quarters.grow(to: lists.count, filler: 0)
        let pad = EdgeWalk.padding
        let half = node.size / 2
        func u(_ column: Int) -> Double { CellProjection.uv(st: Double(column) * 0x1p-30) }
        let (u0, um, u1) = (u(node.i) - pad, u(node.i + half), u(node.i + node.size) + pad)
        let (v0, vm, v1) = (u(node.j) - pad, u(node.j + half), u(node.j + node.size) + pad)
        for index in range {
            // SAFETY: the list holds numbers of segments, and `quarters` is as long as the lists.
            let s = segments.base[Int(lists.base[index])]
            var mask: UInt8 = 0b1111
            if max(s.u0, s.u1) < um - pad { mask &= 0b0011 }
            if min(s.u0, s.u1) > um + pad { mask &= 0b1100 }
            if max(s.v0, s.v1) < vm - pad { mask &= 0b0101 }
            if min(s.v0, s.v1) > vm + pad { mask &= 0b1010 }
            // On one side of both middle lines it meets the quarter there, for it meets the cell.
            if mask.nonzeroBitCount > 1 {
                let (low, high) = (um - pad, um + pad)
                if !EdgeWalk.meets(s, u0, high, v0, vm + pad) { mask &= 0b1110 }
                if !EdgeWalk.meets(s, u0, high, vm - pad, v1) { mask &= 0b1101 }
                if !EdgeWalk.meets(s, low, u1, v0, vm + pad) { mask &= 0b1011 }
                if !EdgeWalk.meets(s, low, u1, vm - pad, v1) { mask &= 0b0111 }
            }
            quarters.base[index] = mask
        }
    }

    /// Whether a place of a cell is inside, known for another: how often the way crosses edges.
    private func crossParity(
        _ polygon: Polygon, _ range: Range<Int>, face: Int, from: SpherePoint, to: SpherePoint,
        inside: Bool
    ) -> Bool {
        var result = inside
        // On the face the way is a straight line: edges beside its rectangle cannot cross it.
        let p = CellProjection.local(from, face: face)
        let q = CellProjection.local(to, face: face)
        let pad = EdgeWalk.padding
        let (pu, pv, qu, qv) = (p.u / p.w, p.v / p.w, q.u / q.w, q.v / q.w)
        let (u0, u1) = (min(pu, qu) - pad, max(pu, qu) + pad)
        let (v0, v1) = (min(pv, qv) - pad, max(pv, qv) + pad)
        var tested = UInt32.max
        for index in range {
            let s = segments[Int(lists[index])]
            if max(s.u0, s.u1) < u0 || min(s.u0, s.u1) > u1 || max(s.v0, s.v1) < v0
                || min(s.v0, s.v1) > v1
            {
                continue
            }
            let edge = Int(s.edge)
            // An edge in two halves has two segments, one after the other: it counts once.
            if s.edge == tested { continue }
            tested = s.edge
            if Predicates.crosses(from, to, polygon.vertices[edge], polygon.vertices[edge + 1]) {
                result.toggle()
            }
        }
        return result
    }

    @inline(__always)
    private static func meets(
        _ s: Segment, _ u0: Double, _ u1: Double, _ v0: Double, _ v1: Double
    ) -> Bool {
        if max(s.u0, s.u1) < u0 || min(s.u0, s.u1) > u1 || max(s.v0, s.v1) < v0
            || min(s.v0, s.v1) > v1
        {
            return false
        }
        // The line through the segment passes the rectangle if corners lie on both sides of it.
        let (du, dv) = (s.u1 - s.u0, s.v1 - s.v0)
        let middle = du * ((v0 + v1) * 0.5 - s.v0) - dv * ((u0 + u1) * 0.5 - s.u0)
        let reach = 0.5 * (du.magnitude * (v1 - v0) + dv.magnitude * (u1 - u0))
        // The slack covers the rounding of the test itself, which the padding does not where the
        // segment is long and the cell small.
        return middle.magnitude <= reach + padding * (du.magnitude + dv.magnitude)
    }

    /// Whether an edge meets a cell, padded as in a walk.
    static func meets(_ a: SpherePoint, _ b: SpherePoint, _ cell: Cell) -> Bool {
        if a.dot(b) <= -0.5 {
            let middle = (a + b).normalized
            return meets(a, middle, cell) || meets(middle, b, cell)
        }
        guard let segment = segment(a, b, face: cell.face, number: 0) else { return false }
        return meets(
            segment, cell.u0 - padding, cell.u1 + padding, cell.v0 - padding, cell.v1 + padding)
    }

    /// Clips all edges of a polygon to a face.
    private mutating func clip(_ polygon: Polygon, face: Int, tag: UInt32) {
        for index in 0..<polygon.edgeCount {
            let edge = Int(polygon.edges[index])
            let a = polygon.vertices[edge]
            let b = polygon.vertices[edge + 1]
            let number = UInt32(edge) | tag
            if a.dot(b) > -0.5 {
                clip(a, b, face: face, number: number)
            } else {
                // The chord of a long edge runs near the middle of the sphere: two halves do not.
                let middle = (a + b).normalized
                clip(a, middle, face: face, number: number)
                clip(middle, b, face: face, number: number)
            }
        }
    }

    private mutating func clip(_ a: SpherePoint, _ b: SpherePoint, face: Int, number: UInt32) {
        if let segment = EdgeWalk.segment(a, b, face: face, number: number) {
            segments.append(segment)
        }
    }

    /// The part of an edge below 120° on a face; nil if there is none.
    private static func segment(
        _ a: SpherePoint, _ b: SpherePoint, face: Int, number: UInt32
    ) -> Segment? {
        let p = CellProjection.local(a, face: face)
        let q = CellProjection.local(b, face: face)
        // On the chord p + t (q - p), each side of the face is a linear condition on t.
        var (low, high) = (0.0, 1.0)
        let scale = 1 + EdgeWalk.padding
        func side(_ f: FaceVector, _ number: Int) -> Double {
            switch number {
            case 0: scale * f.w - f.u
            case 1: scale * f.w + f.u
            case 2: scale * f.w - f.v
            default: scale * f.w + f.v
            }
        }
        for number in 0..<4 {
            let (d0, d1) = (side(p, number), side(q, number))
            if d0 < 0 && d1 < 0 { return nil }
            if d0 < 0 { low = max(low, d0 / (d0 - d1)) }
            if d1 < 0 { high = min(high, d0 / (d0 - d1)) }
        }
        // Rounding may cut off what only just touches a corner: those edges stay.
        if low > high + 1e-11 { return nil }
        func point(_ t: Double) -> (Double, Double) {
            if t == 0 { return (p.u / p.w, p.v / p.w) }
            if t == 1 { return (q.u / q.w, q.v / q.w) }
            let w = p.w + t * (q.w - p.w)
            return ((p.u + t * (q.u - p.u)) / w, (p.v + t * (q.v - p.v)) / w)
        }
        let (u0, v0) = point(low)
        let (u1, v1) = point(high)
        return Segment(u0: u0, v0: v0, u1: u1, v1: v1, edge: number)
    }
}
