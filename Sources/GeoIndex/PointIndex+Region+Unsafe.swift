extension PointIndex {
    /// All accepted slots with a point in a polygon, ascending, into the scratch's slots.
    ///
    /// The walk goes down only where there are points, until few are left in a cell or few edges
    /// pass through it.
    ///
    /// - Complexity: O(edges + cells of the boundary with points + m log m) for m slots found.
    package func collect(
        within polygon: Polygon, accepted: AcceptedSlots = .all, scratch: GeoScratch
    ) {
        scratch.slots.count = 0
        var visitor = PolygonScan(
            index: self, polygon: polygon, accepted: accepted, scratch: scratch)
        scratch.walk.walk(polygon, visitor: &visitor)
        finish(&scratch.slots, &scratch.spare)
    }

    /// All accepted slots with a point in a box, ascending, into the scratch's slots.
    ///
    /// - Complexity: O(cells of the border with points + m log m) for m slots found.
    package func collect(
        within box: LatLngRect, accepted: AcceptedSlots = .all, scratch: GeoScratch
    ) {
        scratch.slots.count = 0
        guard !box.isEmpty else { return }
        let tester = BoxTester(box)
        for face in 0..<6 { collect(tester, CellID(face: face), accepted, scratch) }
        finish(&scratch.slots, &scratch.spare)
    }

    private func collect(
        _ box: BoxTester, _ cell: CellID, _ accepted: AcceptedSlots, _ scratch: GeoScratch
    ) {
        let (first, last) = (cell.rangeMin.rawValue, cell.rangeMax.rawValue)
        // Splitting takes four searches and outlines: as much as testing some tens of points.
        let few = 40
        let count = list.count(first, last, enough: few + 1)
        if count == 0 { return }
        if count > few && !cell.isLeaf {
            let position = cell.level == 0 ? .border : box.position(of: Cell(cell))
            if position == .outside { return }
            if position == .border {
                for position in 0..<4 { collect(box, cell.child(position), accepted, scratch) }
                return
            }
            take(first, last, accepted, scratch)
            return
        }
        var reader = CellRangeReader(list, first, last)
        while reader.next() {
            for place in 0..<reader.count {
                let number = reader.values[place]
                let slot = slot(number)
                guard accepted.accepts(slot), box.contains(point(number)) else { continue }
                scratch.slots.append(slot)
            }
        }
    }

    /// Takes all points with cells in a range.
    func take(
        _ first: UInt64, _ last: UInt64, _ accepted: AcceptedSlots, _ scratch: GeoScratch
    ) {
        var reader = CellRangeReader(list, first, last)
        while reader.next() {
            for place in 0..<reader.count {
                let slot = slot(reader.values[place])
                if accepted.accepts(slot) { scratch.slots.append(slot) }
            }
        }
    }
}

/// Tests the points of the cells that a polygon's edges pass through.
private struct PolygonScan: EdgeVisitor {
    static let needsCenter = true
    let index: PointIndex
    let polygon: Polygon
    let accepted: AcceptedSlots
    let scratch: GeoScratch

    func wants(_ cell: CellID) -> Bool {
        index.list.hasAny(cell.rangeMin.rawValue, cell.rangeMax.rawValue)
    }

    // SAFETY: edges and numbers are those of the polygon and the index, which nobody changes.
    mutating func visit(
        _ cell: CellID, edges: UnsafeBufferPointer<UInt32>, centerInside: Bool
    ) -> Bool {
        let (first, last) = (cell.rangeMin.rawValue, cell.rangeMax.rawValue)
        if edges.isEmpty {
            if centerInside { index.take(first, last, accepted, scratch) }
            return false
        }
        // Going down costs about as much per edge as testing a few points against it does.
        let few = 6 + 160 / edges.count
        if !cell.isLeaf && index.list.count(first, last, enough: few + 1) > few { return true }
        let center = cell.center
        let vertices = polygon.vertices
        var reader = CellRangeReader(index.list, first, last)
        while reader.next() {
            for place in 0..<reader.count {
                let number = reader.values[place]
                let slot = index.slot(number)
                guard accepted.accepts(slot) else { continue }
                let p = index.point(number)
                var inside = centerInside
                for edge in edges {
                    let vertex = Int(edge)
                    if Predicates.crosses(center, p, vertices[vertex], vertices[vertex &+ 1]) {
                        inside.toggle()
                    }
                }
                if inside { scratch.slots.append(slot) }
            }
        }
        return false
    }
}
