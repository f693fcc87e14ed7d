extension CellID {
    /// The four cells of the same level across an edge: below, right, above, left in (i, j).
    ///
    /// - Complexity: O(1).
    package var edgeNeighbours: [CellID] {
        let p = placement
        let level = self.level
        return [(0, -1), (1, 0), (0, 1), (-1, 0)].map { di, dj in
            CellID(wrappingFace: p.face, i: p.i + di * p.size, j: p.j + dj * p.size)
                .parent(level: level)
        }
    }

    /// All cells of `level`, which is at least the cell's own, that touch the cell from outside, in
    /// ascending order. 8 at the cell's own level, 7 where a corner of the cube is touched.
    ///
    /// - Complexity: O(n log n) for n = 4 · 2^(level - own level) neighbours.
    package func allNeighbours(level: Int) -> [CellID] {
        precondition(level >= self.level && level <= CellID.levelMax, "neighbours are not larger")
        let p = placement
        let step = 1 << (CellID.levelMax - level)
        var found: Set<CellID> = []
        func add(_ i: Int, _ j: Int) {
            found.insert(CellID(wrappingFace: p.face, i: i, j: j).parent(level: level))
        }
        for offset in stride(from: -step, through: p.size, by: step) {
            add(p.i + offset, p.j - step)
            add(p.i + offset, p.j + p.size)
            add(p.i - step, p.j + offset)
            add(p.i + p.size, p.j + offset)
        }
        // A corner beyond the corner of a cube falls onto a cell beside it, or onto the cell.
        return found.filter { !self.contains($0) }.sorted()
    }

    /// The three or four cells of `level` around the corner of the cell of that level nearest to
    /// the middle of this one; `level` is less than the cell's own.
    ///
    /// The first is the ancestor itself.
    package func vertexNeighbours(level: Int) -> [CellID] {
        precondition(level >= 0 && level < self.level, "neighbours around a corner are larger")
        let p = placement
        let half = 1 << (CellID.levelMax - level - 1)
        let size = half * 2
        let di = p.i & half != 0 ? size : -size
        let dj = p.j & half != 0 ? size : -size
        let limit = 1 << CellID.levelMax
        let iStays = (0..<limit).contains(p.i + di)
        let jStays = (0..<limit).contains(p.j + dj)
        var result = [parent(level: level)]
        result.append(
            CellID(wrappingFace: p.face, i: p.i + di, j: p.j).parent(level: level))
        result.append(
            CellID(wrappingFace: p.face, i: p.i, j: p.j + dj).parent(level: level))
        // Beyond two edges at once is the corner of a cube, where three cells meet.
        if iStays || jStays {
            result.append(
                CellID(wrappingFace: p.face, i: p.i + di, j: p.j + dj).parent(level: level))
        }
        return result
    }

    /// A leaf by columns that may lie outside of the face: then it is on the face across the edge.
    init(wrappingFace face: Int, i: Int, j: Int) {
        let limit = 1 << CellID.levelMax
        if (0..<limit).contains(i) && (0..<limit).contains(j) {
            self.init(face: face, i: i, j: j)
            return
        }
        // One leaf beyond the border is enough to land on the right face. Along the border the
        // linear map of columns to (u, v) serves both ways, for it is the same on both faces.
        func coordinate(_ k: Int) -> Double {
            let clamped = max(-1, min(limit, k))
            let value = Double(2 * clamped + 1 - limit) * 0x1p-30
            return max(-1 - 0x1p-52, min(1 + 0x1p-52, value))
        }
        let p = CellProjection.direction(face: face, u: coordinate(i), v: coordinate(j))
        let other = CellProjection.face(of: p)
        let f = CellProjection.local(p, face: other)
        self.init(
            face: other, i: CellProjection.leaf(st: 0.5 * (f.u / f.w + 1)),
            j: CellProjection.leaf(st: 0.5 * (f.v / f.w + 1)))
    }
}
