// Zones by the cells that they touch.
//
// `list` holds a pair (cell, slot) for each cell of each shape: the cells of a polygon cut by
// PolygonCells, or of a cap's covering. The shapes that hold a place are among those with a cell
// that is an ancestor of its leaf: one search per level that is in use. What a pair means (wholly
// inside, or which edges pass through) is with the shape, found by the cell.
//
// About 32 bytes per cell; a county polygon of 30 vertices has about 20.

package import Primitives

/// A polygon or a circle that has a place in the index.
package enum Shape: Sendable {
    case polygon(PolygonCells)
    case cap(Cap)

    /// A cap that holds it.
    package var bound: Cap {
        switch self {
        case .polygon(let cells): cells.polygon.bound
        case .cap(let cap): cap
        }
    }

    /// Whether a place is inside. - Complexity: O(log cells).
    package func contains(_ p: SpherePoint) -> Bool {
        switch self {
        case .polygon(let cells): cells.contains(p)
        case .cap(let cap): cap.contains(p)
        }
    }
}

/// How shapes are to lie to a region.
package enum ShapeRelation: Sendable {
    /// A place in common; borders of polygons that only touch are not.
    case intersects
    /// The shape is wholly in the region.
    case within
    /// The region is wholly in the shape.
    case contains
}

/// Shapes on the sphere by slot: which hold a place, which intersect a region.
///
/// Threads: one writer or many readers, by the owner's lock; each reader has its own `GeoScratch`.
package final class ShapeIndex {
    /// What a search needs of a shape without reference counts.
    struct Hot: BitwiseCopyable {
        /// Nil for a cap and for no shape.
        var cells: Unmanaged<PolygonCells>?
        var center: SpherePoint
        /// Below 0 for no shape.
        var chord2: Double
    }

    static let absent = Hot(
        cells: nil, center: SpherePoint(x: 1, y: 0, z: 0), chord2: -1)
    private static let capCellCountMax = 16

    var list = CellList()
    /// Owns the shapes; `hot` has the same by slot.
    var shapes: [Slot: Shape] = [:]
    var hot = GrowingBuffer<Hot>()
    /// The cells of circles, which take a while to make.
    var capCells: [Slot: [CellID]] = [:]
    /// Cells of each level in `list`, and a bit for each level that has any.
    var levelCounts = [Int](repeating: 0, count: 31)
    var levels: UInt32 = 0

    package init() {}

    /// Shapes.
    package var count: Int { shapes.count }

    /// Bytes allocated, those of the shapes included. - Complexity: O(shapes).
    package var byteCount: Int {
        var sum = list.byteCount + hot.byteCount + capCells.count * 160
        for shape in shapes.values {
            sum += 64
            if case .polygon(let cells) = shape {
                sum += cells.byteCount + cells.polygon.byteCount
            }
        }
        return sum
    }

    /// The shape of a slot; nil if it has none.
    package func shape(of slot: Slot) -> Shape? { shapes[slot] }

    /// Gives a slot a polygon in place of what it had. - Complexity: O(cells · log n).
    package func set(_ slot: Slot, _ cells: PolygonCells) { set(slot, .polygon(cells)) }

    /// Gives a slot a circle in place of what it had. - Complexity: O(cells · log n).
    package func set(_ slot: Slot, _ cap: Cap) { set(slot, .cap(cap)) }

    /// Gives a slot a shape in place of what it had.
    ///
    /// - Parameter covering: what ``covering(of:)`` says of it, if that was made before; empty to
    ///   make it now.
    package func set(_ slot: Slot, _ shape: Shape, covering: [CellID] = []) {
        remove(slot)
        if case .cap = shape {
            capCells[slot] = covering.isEmpty ? ShapeIndex.covering(of: shape) : covering
        }
        keep(slot, shape)
        forEachCell(slot, shape) { cell in
            list.insert(cell.rawValue, slot)
            count(cell)
        }
    }

    /// Takes a shape up, without its cells.
    func keep(_ slot: Slot, _ shape: Shape) {
        hot.grow(to: Int(slot) + 1, filler: ShapeIndex.absent)
        shapes[slot] = shape
        switch shape {
        case .polygon(let cells):
            let bound = cells.polygon.bound
            hot[Int(slot)] = Hot(
                cells: .passUnretained(cells), center: bound.center,
                chord2: max(0, bound.chord2))
        case .cap(let cap):
            hot[Int(slot)] = Hot(cells: nil, center: cap.center, chord2: cap.chord2)
        }
    }

    /// Counts a cell that came into `list`.
    func count(_ cell: CellID) {
        levelCounts[cell.level] += 1
        levels |= 1 << UInt32(cell.level)
    }

    /// Takes the shape of a slot out; false if it had none. - Complexity: O(cells · log n).
    @discardableResult
    package func remove(_ slot: Slot) -> Bool {
        guard let shape = shapes.removeValue(forKey: slot) else { return false }
        forEachCell(slot, shape) { cell in
            list.remove(cell.rawValue, slot)
            levelCounts[cell.level] -= 1
            if levelCounts[cell.level] == 0 { levels &= ~(1 << UInt32(cell.level)) }
        }
        capCells[slot] = nil
        hot[Int(slot)] = ShapeIndex.absent
        return true
    }

    /// The cells of a circle in an index; empty for a polygon, which is cut into its own.
    ///
    /// - Complexity: some tens of microseconds; O(1) for a place.
    package static func covering(of shape: Shape) -> [CellID] {
        guard case .cap(let cap) = shape else { return [] }
        if cap.chord2 == 0 { return [CellID(cap.center)] }
        return RegionCoverer(cellCountMax: capCellCountMax).covering(of: cap)
    }

    private func forEachCell(_ slot: Slot, _ shape: Shape, _ body: (CellID) -> Void) {
        switch shape {
        case .polygon(let cells):
            for index in 0..<cells.count { body(cells.cell(index)) }
        case .cap:
            for cell in capCells[slot] ?? [] { body(cell) }
        }
    }

    /// All accepted slots whose shape holds a place, ascending, into the scratch's slots.
    ///
    /// - Complexity: O(levels in use · log n + shapes near the place).
    package func covering(
        _ p: SpherePoint, accepted: AcceptedSlots = .all, scratch: GeoScratch
    ) {
        scratch.slots.count = 0
        let leaf = CellID(p)
        var rest = levels
        while rest != 0 {
            let level = rest.trailingZeroBitCount
            rest &= rest &- 1
            let key = leaf.parent(level: level).rawValue
            var reader = CellRangeReader(list, key, key)
            while reader.next() {
                for place in 0..<reader.count {
                    let slot = reader.values[place]
                    guard accepted.accepts(slot) else { continue }
                    if holds(slot, p, leaf.rawValue) { scratch.slots.append(slot) }
                }
            }
        }
        SlotSort.sort(&scratch.slots, &scratch.spare)
    }

    // SAFETY: slots in `list` have an entry in `hot`, whose polygon `shapes` keeps alive.
    @inline(__always) private func holds(_ slot: Slot, _ p: SpherePoint, _ leaf: UInt64) -> Bool {
        let shape = hot.base[Int(slot)]
        guard let cells = shape.cells else { return shape.center.chord2(to: p) <= shape.chord2 }
        return cells._withUnsafeGuaranteedRef { $0.contains(p, leaf: leaf) }
    }

    /// All accepted slots with a shape that may have a place in common with a region, ascending.
    ///
    /// - Complexity: O(cells · levels · log n + m log m) for m found.
    package func candidates(
        _ cells: [CellID], _ accepted: AcceptedSlots = .all, _ scratch: GeoScratch
    ) -> [Slot] {
        scratch.slots.count = 0
        func take(_ first: UInt64, _ last: UInt64) {
            var reader = CellRangeReader(list, first, last)
            while reader.next() {
                for place in 0..<reader.count where accepted.accepts(reader.values[place]) {
                    scratch.slots.append(reader.values[place])
                }
            }
        }
        for cell in cells {
            take(cell.rangeMin.rawValue, cell.rangeMax.rawValue)
            for level in 0..<cell.level where levels >> UInt32(level) & 1 != 0 {
                let key = cell.parent(level: level).rawValue
                take(key, key)
            }
        }
        SlotSort.sort(&scratch.slots, &scratch.spare)
        var result: [Slot] = []
        for index in 0..<scratch.slots.count where result.last != scratch.slots[index] {
            result.append(scratch.slots[index])
        }
        return result
    }

    /// All accepted slots whose shape lies so to a polygon, ascending, into the scratch's slots.
    ///
    /// - Complexity: O(candidates · edges of both · levels).
    package func search(
        _ relation: ShapeRelation, _ region: PolygonCells, accepted: AcceptedSlots = .all,
        scratch: GeoScratch
    ) {
        let cells = RegionCoverer(cellCountMax: 64).covering(of: region)
        let polygon = region.polygon
        filter(cells, accepted, scratch) { shape in
            switch (relation, shape) {
            case (.intersects, .polygon(let own)):
                return ShapeIndex.sharesVertex(own.polygon, region)
                    || own.polygon.intersects(polygon)
            case (.intersects, .cap(let cap)): return polygon.intersects(cap)
            case (.within, .polygon(let own)): return polygon.contains(own.polygon)
            case (.within, .cap(let cap)): return polygon.contains(cap)
            case (.contains, .polygon(let own)): return own.polygon.contains(polygon)
            case (.contains, .cap(let cap)): return cap.contains(polygon)
            }
        }
    }

    /// Whether some vertex is strictly inside of the region's interior cells: then the insides
    /// meet, and the edges need not be compared.
    static func sharesVertex(_ polygon: Polygon, _ region: PolygonCells) -> Bool {
        for ring in polygon.rings where region.isInterior(at: polygon.vertices[ring.start]) {
            return true
        }
        return false
    }

    /// All accepted slots whose shape lies so to a cap, ascending, into the scratch's slots.
    package func search(
        _ relation: ShapeRelation, _ region: Cap, accepted: AcceptedSlots = .all,
        scratch: GeoScratch
    ) {
        let cells = RegionCoverer(cellCountMax: 16).covering(of: region)
        filter(cells, accepted, scratch) { shape in
            switch (relation, shape) {
            case (.intersects, .polygon(let own)): return own.polygon.intersects(region)
            case (.intersects, .cap(let cap)): return cap.intersects(region)
            case (.within, .polygon(let own)): return region.contains(own.polygon)
            case (.within, .cap(let cap)): return region.contains(cap)
            case (.contains, .polygon(let own)): return own.polygon.contains(region)
            case (.contains, .cap(let cap)): return cap.contains(region)
            }
        }
    }

    /// All accepted slots whose shape lies so to a box, ascending, into the scratch's slots.
    package func search(
        _ relation: ShapeRelation, _ region: LatLngRect, accepted: AcceptedSlots = .all,
        scratch: GeoScratch
    ) {
        let cells = RegionCoverer(cellCountMax: 16).covering(of: region)
        filter(cells, accepted, scratch) { shape in
            switch (relation, shape) {
            case (.intersects, .polygon(let own)): return own.polygon.intersects(region)
            case (.intersects, .cap(let cap)): return cap.intersects(region)
            case (.within, .polygon(let own)): return region.contains(own.polygon)
            case (.within, .cap(let cap)): return region.contains(cap)
            case (.contains, .polygon(let own)): return own.polygon.contains(region)
            case (.contains, .cap(let cap)): return cap.contains(region)
            }
        }
    }

    private func filter(
        _ cells: [CellID], _ accepted: AcceptedSlots, _ scratch: GeoScratch,
        _ test: (Shape) -> Bool
    ) {
        let slots = candidates(cells, accepted, scratch)
        scratch.slots.count = 0
        for slot in slots {
            if let shape = shapes[slot], test(shape) { scratch.slots.append(slot) }
        }
    }

    /// Traps if an invariant does not hold. - Complexity: O(n).
    package func checkInvariants() {
        list.checkInvariants()
        precondition(levelCounts.reduce(0, +) == list.count, "levels count all cells")
        for level in 0...30 {
            precondition(
                (levels >> UInt32(level) & 1 != 0) == (levelCounts[level] > 0),
                "levels in use are marked")
        }
    }
}
