package import Primitives
import Synchronization

/// A polygon that a lookup asks for, and its cells as soon as something needs them: where few
/// points lie around it nothing does.
package final class PolygonRegion: Sendable {
    package let polygon: Polygon
    private let made = AtomicLazyReference<PolygonCells>()

    package init(_ polygon: Polygon) { self.polygon = polygon }

    /// - Complexity: at first as ``PolygonCells/init(_:)``, then O(1).
    package var cells: PolygonCells {
        made.load() ?? made.storeIfNil(PolygonCells(polygon))
    }
}

/// A part of the sphere that a lookup asks for.
package enum PlaceRegion: Sendable {
    /// One place: what zones may hold.
    case point(SpherePoint)
    /// All within a cap, and at least as far from its centre as a squared chord.
    case cap(Cap, from: Double)
    case box(LatLngRect)
    case polygon(PolygonRegion)

    /// A cap that holds it.
    package var bound: Cap {
        switch self {
        case .point(let p): Cap(center: p, chord2: 0)
        case .cap(let cap, _): cap
        case .box(let box): box.capBound
        case .polygon(let region): region.polygon.bound
        }
    }

    /// Whether a place is in. - Complexity: O(log edges).
    package func contains(_ p: SpherePoint) -> Bool {
        switch self {
        case .point(let own): return own == p
        case .cap(let cap, let from):
            let chord2 = cap.center.chord2(to: p)
            return chord2 <= cap.chord2 && chord2 >= from
        case .box(let box): return !box.isEmpty && box.contains(p)
        case .polygon(let region): return region.cells.contains(p)
        }
    }

    /// Whether a polygon lies so to it. - Complexity: O(edges of both · log).
    package func isMet(by polygon: Polygon, _ relation: ShapeRelation) -> Bool {
        switch (self, relation) {
        case (.point(let p), .intersects), (.point(let p), .contains): polygon.contains(p)
        case (.point, .within): false
        case (.cap(let cap, _), .intersects): polygon.intersects(cap)
        case (.cap(let cap, _), .within): cap.contains(polygon)
        case (.cap(let cap, _), .contains): polygon.contains(cap)
        case (.box(let box), .intersects): polygon.intersects(box)
        case (.box(let box), .within): box.contains(polygon)
        case (.box(let box), .contains): polygon.contains(box)
        case (.polygon(let region), .intersects):
            ShapeIndex.sharesVertex(polygon, region.cells) || polygon.intersects(region.polygon)
        case (.polygon(let region), .within): region.polygon.contains(polygon)
        case (.polygon(let region), .contains): polygon.contains(region.polygon)
        }
    }

    /// Whether a circle, which may be a single place, lies so to it.
    package func isMet(by cap: Cap, _ relation: ShapeRelation) -> Bool {
        // A place has no extent: to be within and to meet is the same.
        if cap.chord2 == 0, relation != .contains { return contains(cap.center) }
        switch (self, relation) {
        case (.point(let p), .intersects), (.point(let p), .contains): return cap.contains(p)
        case (.point, .within): return false
        case (.cap(let own, _), .intersects): return own.intersects(cap)
        case (.cap(let own, _), .within): return own.contains(cap)
        case (.cap(let own, _), .contains): return cap.contains(own)
        case (.box(let box), .intersects): return cap.intersects(box)
        case (.box(let box), .within): return box.contains(cap)
        case (.box(let box), .contains): return cap.contains(box)
        case (.polygon(let region), .intersects): return region.polygon.intersects(cap)
        case (.polygon(let region), .within): return region.polygon.contains(cap)
        case (.polygon(let region), .contains): return cap.contains(region.polygon)
        }
    }

    /// Whether a shape lies so to it.
    package func isMet(by shape: Shape, _ relation: ShapeRelation) -> Bool {
        switch shape {
        case .polygon(let cells): isMet(by: cells.polygon, relation)
        case .cap(let cap): isMet(by: cap, relation)
        }
    }

    /// Cells that together hold it, ascending, none within another.
    package func covering(cellCountMax: Int) -> [CellID] {
        let coverer = RegionCoverer(cellCountMax: cellCountMax)
        return switch self {
        case .point(let p): [CellID(p)]
        case .cap(let cap, _): coverer.covering(of: cap)
        case .box(let box): coverer.covering(of: box)
        case .polygon(let region): coverer.covering(of: region.cells)
        }
    }
}

/// The slots with a point in a region, gathered a few thousand points at a time.
///
/// It goes along the region's cells and remembers the next leaf, not a place in memory: points may
/// come and go between two steps. A point that stays is seen exactly once or more often.
package struct RegionScan {
    private struct Part {
        var first: UInt64
        var last: UInt64
        var isInside: Bool
    }

    private let region: PlaceRegion
    private var parts: [Part] = []
    private var part = 0
    private var next: UInt64 = 0

    /// - Complexity: O(cells of the region).
    package init(_ region: PlaceRegion) {
        self.region = region
        switch region {
        case .point(let p):
            let leaf = CellID(p).rawValue
            parts = [Part(first: leaf, last: leaf, isInside: false)]
        case .polygon(let region):
            let cells = region.cells
            parts.reserveCapacity(cells.count)
            for index in 0..<cells.count {
                add(cells.cell(index), isInside: cells.isInterior(index))
            }
        case .cap(let cap, let from):
            for cell in region.covering(cellCountMax: 32) {
                add(cell, isInside: from <= 0 && cap.contains(Cell(cell)))
            }
        case .box(let box):
            for cell in region.covering(cellCountMax: 32) {
                add(cell, isInside: box.contains(Cell(cell)))
            }
        }
    }

    private mutating func add(_ cell: CellID, isInside: Bool) {
        parts.append(
            Part(
                first: cell.rangeMin.rawValue, last: cell.rangeMax.rawValue, isInside: isInside))
    }

    /// Hands the slots of about `budget` more points to `body`, perhaps some of them twice.
    ///
    /// - Returns: whether that was all.
    /// - Complexity: O(budget + cells passed · log n).
    package mutating func step(
        _ points: PointIndex, budget: Int, _ body: (Slot) -> Void
    ) -> Bool {
        var left = budget
        while part < parts.count {
            let current = parts[part]
            let start = max(current.first, next)
            var reader = CellRangeReader(points.list, start, current.last)
            while reader.next() {
                for place in 0..<reader.count {
                    let number = reader.values[place]
                    if current.isInside || region.contains(points.point(number)) {
                        body(points.slot(number))
                    }
                }
                left -= reader.count + 2
                // All points of one leaf are in one step, or there would be no way on.
                if left <= 0, reader.keys[reader.count - 1] > start {
                    next = reader.keys[reader.count - 1]
                    return false
                }
            }
            left -= 8
            part += 1
            next = 0
        }
        return true
    }
}
