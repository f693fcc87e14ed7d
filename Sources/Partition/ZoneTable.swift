import GeoIndex
import Primitives

/// The zones of one field's rows.
///
/// The index knows shapes by number; a document's shapes are a *set*, and a row that leaves its
/// document's zones alone shares the set of the row before it: a change of stock cuts no polygon
/// into cells and moves no cell.
///
/// ```
/// sets    [UInt32]   by row: its set, or none
/// rows    [Slot]     by set: the newest row that has it
/// uses    [UInt32]   by set: rows that have it and are not freed
/// members [[UInt32]] by set: its shapes
/// owners  [UInt32]   by shape: its set
/// ```
/// Invariant: a shape is in the index while some row in use has its set.
final class ZoneTable {
    let index = ShapeIndex()
    let sets = GrowableBuffer<UInt32>(fill: ZoneTable.none)
    var rows: [Slot] = []
    var uses: [UInt32] = []
    var members: [[UInt32]] = []
    var owners: [UInt32] = []
    var freeSets: [UInt32] = []
    var freeShapes: [UInt32] = []

    static var none: UInt32 { .max }

    /// Rows that have zones.
    var rowCount = 0

    var byteCount: Int {
        index.byteCount + sets.byteCount + members.count * 32 + owners.count * 4
    }

    /// The row's set.
    func set(of slot: Slot) -> UInt32? {
        guard Int(slot) < sets.count, sets[Int(slot)] != Self.none else { return nil }
        return sets[Int(slot)]
    }

    /// The shapes of a row.
    func shapes(of slot: Slot) -> [Shape] {
        guard let set = set(of: slot) else { return [] }
        return members[Int(set)].compactMap { index.shape(of: $0) }
    }

    /// How many shapes a set has.
    func memberCount(of set: UInt32) -> Int { members[Int(set)].count }

    /// The set of a shape.
    func owner(of shape: UInt32) -> UInt32 { owners[Int(shape)] }

    /// The newest row that has a set.
    func row(of set: UInt32) -> Slot { rows[Int(set)] }

    /// Gives a row its shapes, or its set that of the row which it replaces where that has the
    /// same.
    ///
    /// - Parameter coverings: of each shape, see ``ShapeIndex/covering(of:)``.
    func assign(
        _ shapes: [Shape], _ coverings: [[CellID]], to slot: Slot, replacing old: Slot?
    ) {
        if shapes.isEmpty { return }
        if let old, let set = set(of: old), holds(set, shapes) {
            use(set, slot)
            return
        }
        let set: UInt32
        if let free = freeSets.popLast() {
            set = free
        } else {
            set = UInt32(members.count)
            members.append([])
            rows.append(0)
            uses.append(0)
        }
        for (shape, covering) in zip(shapes, coverings) {
            let number: UInt32
            if let free = freeShapes.popLast() {
                number = free
            } else {
                number = UInt32(owners.count)
                owners.append(0)
            }
            owners[Int(number)] = set
            members[Int(set)].append(number)
            index.set(number, shape, covering: covering)
        }
        use(set, slot)
    }

    private func use(_ set: UInt32, _ slot: Slot) {
        if Int(slot) >= sets.count { sets.resize(to: Int(slot) + 1) }
        sets[Int(slot)] = set
        rows[Int(set)] = slot
        uses[Int(set)] += 1
        rowCount += 1
    }

    private func holds(_ set: UInt32, _ shapes: [Shape]) -> Bool {
        let own = members[Int(set)]
        guard own.count == shapes.count else { return false }
        for (number, shape) in zip(own, shapes) {
            switch (index.shape(of: number), shape) {
            case (.polygon(let a)?, .polygon(let b)): if a !== b { return false }
            case (.cap(let a)?, .cap(let b)): if a != b { return false }
            case (.polygon?, .cap), (.cap?, .polygon), (nil, _): return false
            }
        }
        return true
    }

    /// A dead row is freed.
    func clear(_ slot: Slot) {
        guard let set = set(of: slot) else { return }
        sets[Int(slot)] = Self.none
        rowCount -= 1
        uses[Int(set)] -= 1
        if uses[Int(set)] > 0 { return }
        for number in members[Int(set)] {
            index.remove(number)
            freeShapes.append(number)
        }
        members[Int(set)] = []
        freeSets.append(set)
    }
}
