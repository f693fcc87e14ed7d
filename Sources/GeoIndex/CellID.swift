// Cell ids, bit-compatible with S2's.
//
//     63    61 60                                       0
//     ┌───────┬───────────────────────────┬─┬──────────┐
//     │ face  │ 2 bits per level of depth │1│  zeros   │
//     └───────┴───────────────────────────┴─┴──────────┘
//
// A face of the cube is the cell of level 0; each cell has four children, in the order of a Hilbert
// curve, down to level 30 (about 1 cm). The bit after the last pair marks the level, so a cell's id
// is in the middle of the range of its leaves, and a cell contains another exactly if the ranges
// do.
//
// The curve: `orientation` says how it lies in a cell, bit 0 with i and j swapped, bit 1 with both
// reversed. Position on the curve ↔ quarter (i, j) of the cell is one table per orientation; four
// levels at once are looked up in a table built from it.

/// The name of a cell: a quadrilateral on the sphere with geodesic edges, one of 31 sizes.
///
/// Any bit pattern may be held; operations other than `isValid` and comparison need a valid one.
package struct CellID: Hashable, Comparable, Sendable {
    package var rawValue: UInt64

    /// The deepest level: leaf cells.
    package static let levelMax = 30

    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable package static func < (a: CellID, b: CellID) -> Bool { a.rawValue < b.rawValue }

    /// The leaf cell that holds a place. - Complexity: O(1).
    package init(_ p: SpherePoint) {
        let face = CellProjection.face(of: p)
        let f = CellProjection.local(p, face: face)
        self.init(
            face: face,
            i: CellProjection.leaf(st: CellProjection.st(uv: f.u / f.w)),
            j: CellProjection.leaf(st: CellProjection.st(uv: f.v / f.w)))
    }

    /// The leaf cell that holds a place. - Complexity: O(1).
    package init(_ place: LatLng) { self.init(SpherePoint(place)) }

    /// The cell of level 0 of a face, 0...5.
    package init(face: Int) {
        precondition((0..<6).contains(face), "a cube has faces 0 to 5")
        rawValue = UInt64(face) << 61 | 1 << 60
    }

    /// The leaf cell in column `i` and row `j`, each in 0 ..< 2^30, of a face.
    init(face: Int, i: Int, j: Int) {
        assert(i >= 0 && i < 1 << 30 && j >= 0 && j < 1 << 30, "leaf columns have 30 bits")
        var path: UInt64 = 0
        var state = face & 1
        for shift in stride(from: 28, through: 0, by: -4) {
            let key = (state << 8) | ((i >> shift) & 15) << 4 | (j >> shift) & 15
            let entry = Int(HilbertTables.shared.positions[key])
            // The first step has the two top bits of columns only; the rest of its key is zero and
            // swapping by two levels comes to nothing: see the note in HilbertTables.
            path = path << 8 | UInt64(entry >> 2)
            state = entry & 3
        }
        rawValue = UInt64(face) << 61 | path << 1 | 1
    }

    /// The face that the cell lies on, 0...5.
    @inlinable package var face: Int { Int(rawValue >> 61) }

    /// The bit that marks the level.
    @inlinable var lowestBit: UInt64 { rawValue & (0 &- rawValue) }

    /// 0 for a face ... 30 for a leaf.
    @inlinable package var level: Int { 30 &- rawValue.trailingZeroBitCount &>> 1 }

    @inlinable package var isLeaf: Bool { rawValue & 1 != 0 }

    /// Whether the bits name a cell.
    @inlinable package var isValid: Bool {
        rawValue >> 61 < 6 && lowestBit & 0x1555_5555_5555_5555 != 0
    }

    /// The first leaf under the cell.
    @inlinable package var rangeMin: CellID { CellID(rawValue: rawValue &- (lowestBit &- 1)) }

    /// The last leaf under the cell.
    @inlinable package var rangeMax: CellID { CellID(rawValue: rawValue &+ (lowestBit &- 1)) }

    /// Whether `other` is this cell or lies within it.
    @inlinable package func contains(_ other: CellID) -> Bool {
        other >= rangeMin && other <= rangeMax
    }

    /// Whether one of the two contains the other.
    @inlinable package func intersects(_ other: CellID) -> Bool {
        other.rangeMin <= rangeMax && other.rangeMax >= rangeMin
    }

    /// The ancestor of a level that is at most the cell's own.
    @inlinable package func parent(level: Int) -> CellID {
        assert(level >= 0 && level <= self.level, "an ancestor is no deeper than the cell")
        let bit = CellID.lowestBit(level: level)
        return CellID(rawValue: rawValue & (0 &- bit) | bit)
    }

    /// The parent; nil for a face.
    package var parent: CellID? { level > 0 ? parent(level: level - 1) : nil }

    /// The child at place 0...3 of the curve. The cell is not a leaf.
    @inlinable package func child(_ position: Int) -> CellID {
        assert(!isLeaf, "a leaf has no children")
        let bit = lowestBit >> 2
        return CellID(
            rawValue: rawValue &+ UInt64(truncatingIfNeeded: 2 * position - 3) &* bit)
    }

    /// The four children in the order of the curve; none for a leaf.
    package var children: [CellID] { isLeaf ? [] : (0..<4).map(child) }

    /// The next cell of the same level on the curve; after the last of face 5 it is not valid.
    @inlinable package var next: CellID { CellID(rawValue: rawValue &+ lowestBit << 1) }

    @inlinable static func lowestBit(level: Int) -> UInt64 { 1 << UInt64(2 * (30 - level)) }

    /// The deepest cell that holds both; nil on different faces. - Complexity: O(1).
    package func commonAncestor(with other: CellID) -> CellID? {
        let difference = max(rawValue ^ other.rawValue, max(lowestBit, other.lowestBit))
        let top = 63 - difference.leadingZeroBitCount
        guard top <= 60 else { return nil }
        return parent(level: (60 - top) / 2)
    }
}

extension CellID {
    /// Where a cell lies on its face.
    struct Placement {
        var face: Int
        /// Column and row of one leaf of the cell: the least of both, rounded down to the size.
        var i: Int
        var j: Int
        /// Leaves along an edge.
        var size: Int
        /// How the curve lies in the cell.
        var orientation: Int
    }

    /// Face, columns and orientation, by undoing the curve. - Complexity: O(1).
    var placement: Placement {
        var (i, j) = (0, 0)
        var state = face & 1
        let bits = rawValue >> 1
        for step in 0..<8 {
            let shift = UInt64(56 - 8 * step)
            // The top step holds the face as well: keep its two pairs.
            let mask: UInt64 = step == 0 ? 15 : 255
            let key = state << 8 | Int((bits >> shift) & mask)
            let entry = Int(HilbertTables.shared.columns[key])
            i = i << 4 | entry >> 6
            j = j << 4 | (entry >> 2) & 15
            state = entry & 3
        }
        let size = 1 << (CellID.levelMax - level)
        // The marker bit and the zeros after it were walked like pairs: the columns are of a leaf
        // in the cell, and a swap happened wherever such a pair was zero.
        if lowestBit & 0x1111_1111_1111_1110 != 0 { state ^= 1 }
        return Placement(
            face: face, i: i & ~(size - 1), j: j & ~(size - 1), size: size, orientation: state)
    }

    /// The middle of the cell in (s, t), as a place of length 1.
    package var center: SpherePoint {
        let p = placement
        let half = Double(p.size) / 2
        return CellProjection.direction(
            face: p.face,
            u: CellProjection.uv(st: (Double(p.i) + half) * 0x1p-30),
            v: CellProjection.uv(st: (Double(p.j) + half) * 0x1p-30)
        ).normalized
    }
}

/// Four steps of the Hilbert curve at once.
///
/// Key of `positions`: orientation (2 bits), then 4 bits of i, 4 bits of j; its value: 8 bits of
/// position, 2 bits of orientation after it. `columns` is the inverse with the same layout, for the
/// key orientation, position.
///
/// 30 levels are 7½ such steps. The first has two bits of columns only, under two zeros: two levels
/// of the quarter (0, 0), whose position is 0 and which swap the axes each, so that orientation and
/// position come out right for starting orientations without reversal, which faces have.
struct HilbertTables: Sendable {
    let positions: [UInt16]
    let columns: [UInt16]

    static let shared = HilbertTables()

    /// Quarter (i, j) as 2i + j at each position of the curve, for each orientation.
    static let quarters: [[Int]] = [[0, 1, 3, 2], [0, 2, 3, 1], [3, 2, 0, 1], [3, 1, 0, 2]]
    /// What each position changes about the orientation of the curve within it.
    static let turns = [1, 0, 0, 3]

    private init() {
        var positions = [UInt16](repeating: 0, count: 1 << 10)
        var columns = positions
        for start in 0..<4 {
            for position in 0..<256 {
                var (i, j, state) = (0, 0, start)
                for step in [6, 4, 2, 0] {
                    let digit = (position >> step) & 3
                    let quarter = HilbertTables.quarters[state][digit]
                    i = i << 1 | quarter >> 1
                    j = j << 1 | quarter & 1
                    state ^= HilbertTables.turns[digit]
                }
                positions[start << 8 | i << 4 | j] = UInt16(position << 2 | state)
                columns[start << 8 | position] = UInt16(i << 6 | j << 2 | state)
            }
        }
        self.positions = positions
        self.columns = columns
    }
}
