// A polygon cut into disjoint cells: those wholly inside, and those that few edges pass through.
//
// For a place in a boundary cell, only the edges of that cell are looked at: the way from the
// middle of the cell, whose side is known, stays in the cell.

/// See above. Made once, read by any number of threads.
///
/// Sendable: nothing changes after the initialiser, and the memory is freed by deinit alone.
package final class PolygonCells: @unchecked Sendable {
    /// A cell and its edges.
    struct Entry: BitwiseCopyable {
        var cell: UInt64
        /// Where its edges begin in `edges`.
        var edgeStart: UInt32
        var edgeCount: UInt16
        var kind: Kind
        /// Zero: without padding the record can be written as it is.
        var reserved: UInt8 = 0
    }

    enum Kind: UInt8, BitwiseCopyable {
        case outsideAtCenter
        case insideAtCenter
        case interior
    }

    /// Edges of a boundary cell at most, except in the smallest cells.
    private static let edgesPerCell = 8

    package let polygon: Polygon
    // SAFETY: both are filled in init and not changed after it.
    var entryBuffer: GrowingBuffer<Entry>
    var edgeBuffer: GrowingBuffer<UInt32>

    /// - Complexity: O(edges · levels), and at least about ten cells.
    package convenience init(_ polygon: Polygon) {
        var walk = EdgeWalk()
        self.init(polygon, &walk)
    }

    init(_ polygon: Polygon, _ walk: inout EdgeWalk) {
        self.polygon = polygon
        entryBuffer = GrowingBuffer()
        edgeBuffer = GrowingBuffer()
        var visitor = Builder(cells: self, polygon: polygon)
        walk.walk(polygon, visitor: &visitor)
        // The walk goes from face to face and down the curve: in ascending order already, except
        // that cells beside the first one with edges come before it.
        var all = UnsafeMutableBufferPointer(
            start: entryBuffer.base, count: entryBuffer.count)
        all.sort { $0.cell < $1.cell }
    }

    /// Cells that were made before: see ``read(from:)``.
    init(
        _ polygon: Polygon, entries: consuming GrowingBuffer<Entry>,
        edges: consuming GrowingBuffer<UInt32>
    ) {
        self.polygon = polygon
        entryBuffer = entries
        edgeBuffer = edges
    }

    /// Cells.
    package var count: Int { entryBuffer.count }

    /// Bytes allocated, without the polygon's.
    package var byteCount: Int { entryBuffer.byteCount + edgeBuffer.byteCount }

    @inline(__always) func entry(_ index: Int) -> Entry { entryBuffer.base[index] }

    /// A cell by place, ascending.
    package func cell(_ index: Int) -> CellID {
        precondition(index >= 0 && index < count, "an index is within the cells")
        return CellID(rawValue: entryBuffer[index].cell)
    }

    /// Whether a cell is wholly inside.
    package func isInterior(_ index: Int) -> Bool {
        precondition(index >= 0 && index < count, "an index is within the cells")
        return entryBuffer[index].kind == .interior
    }

    /// The place of the first cell whose last leaf is not before `leaf`; the count if none.
    @inline(__always) func lowerBound(_ leaf: UInt64) -> Int {
        var (low, high) = (0, entryBuffer.count)
        let base = entryBuffer.base
        while low < high {
            let middle = (low &+ high) &>> 1
            if CellID(rawValue: base[middle].cell).rangeMax.rawValue < leaf {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// Whether a place is inside. - Complexity: O(log cells + edges per cell).
    package func contains(_ p: SpherePoint) -> Bool { contains(p, leaf: CellID(p).rawValue) }

    @inline(__always) func contains(_ p: SpherePoint, leaf: UInt64) -> Bool {
        let index = lowerBound(leaf)
        guard index < entryBuffer.count else { return false }
        let entry = entryBuffer.base[index]
        guard CellID(rawValue: entry.cell).rangeMin.rawValue <= leaf else { return false }
        return contains(p, in: entry)
    }

    /// Whether a place is in a cell that is wholly inside.
    func isInterior(at p: SpherePoint) -> Bool {
        let leaf = CellID(p)
        let index = lowerBound(leaf.rawValue)
        guard index < entryBuffer.count else { return false }
        let entry = entryBuffer.base[index]
        return entry.kind == .interior && CellID(rawValue: entry.cell).rangeMin <= leaf
    }

    /// Whether a place that lies in a cell is inside.
    @inline(__always) func contains(_ p: SpherePoint, in entry: Entry) -> Bool {
        if entry.kind == .interior { return true }
        var inside = entry.kind == .insideAtCenter
        let center = CellID(rawValue: entry.cell).center
        let vertices = polygon.vertices
        let edges = edgeBuffer.base + Int(entry.edgeStart)
        for number in 0..<Int(entry.edgeCount) {
            let vertex = Int(edges[number])
            if Predicates.crosses(center, p, vertices[vertex], vertices[vertex &+ 1]) {
                inside.toggle()
            }
        }
        return inside
    }

    /// Collects the cells of a walk.
    private struct Builder: EdgeVisitor {
        static let needsCenter = true
        let cells: PolygonCells
        let levelMin: Int
        let entryCountMax: Int

        init(cells: PolygonCells, polygon: Polygon) {
            self.cells = cells
            // Cells about as wide as the polygon is around its middle.
            let angle = max(polygon.bound.angle, 1e-9)
            var level = 0
            var width = 1.5
            while level < 28 && width > angle {
                level += 1
                width /= 2
            }
            levelMin = level
            // Beyond it cells are not split: edges that crowd around a place would make many.
            entryCountMax = 64 + 4 * polygon.edgeCount
        }

        func wants(_ cell: CellID) -> Bool { true }

        mutating func visit(
            _ cell: CellID, edges: UnsafeBufferPointer<UInt32>, centerInside: Bool
        ) -> Bool {
            if edges.isEmpty {
                if centerInside { add(cell, .interior, edges) }
                return false
            }
            let isSmall = edges.count <= PolygonCells.edgesPerCell
            let mayStop = cell.isLeaf || cells.entryBuffer.count >= entryCountMax
            if (isSmall && cell.level >= levelMin) || (mayStop && edges.count < 1 << 16) {
                add(cell, centerInside ? .insideAtCenter : .outsideAtCenter, edges)
                return false
            }
            precondition(!cell.isLeaf, "a checked polygon has fewer edges in a leaf")
            return true
        }

        private func add(_ cell: CellID, _ kind: Kind, _ edges: UnsafeBufferPointer<UInt32>) {
            cells.entryBuffer.append(
                Entry(
                    cell: cell.rawValue, edgeStart: UInt32(cells.edgeBuffer.count),
                    edgeCount: UInt16(edges.count), kind: kind))
            for edge in edges { cells.edgeBuffer.append(edge) }
        }
    }
}

extension PolygonCells: Region {
    package var capBound: Cap { polygon.bound }

    package func contains(_ cell: Cell) -> Bool { relation(cell) == .interior }

    package func mayIntersect(_ cell: Cell) -> Bool { relation(cell) != nil }

    /// Nil: apart; interior: wholly inside; else across the boundary.
    private func relation(_ cell: Cell) -> Kind? {
        let index = lowerBound(cell.id.rangeMin.rawValue)
        guard index < entryBuffer.count else { return nil }
        let entry = entryBuffer.base[index]
        let found = CellID(rawValue: entry.cell)
        if found.rangeMin > cell.id.rangeMax { return nil }
        if !found.contains(cell.id) {
            // Smaller cells within it: an inside without edges would have been one cell.
            return .outsideAtCenter
        }
        if entry.kind == .interior { return .interior }
        for number in 0..<Int(entry.edgeCount) {
            let vertex = Int(edgeBuffer.base[Int(entry.edgeStart) + number])
            if EdgeWalk.meets(polygon.vertices[vertex], polygon.vertices[vertex + 1], cell) {
                return .outsideAtCenter
            }
        }
        return contains(cell.id.center, in: entry) ? .interior : nil
    }
}
