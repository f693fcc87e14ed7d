package import Primitives

// Points in the order of their leaf cells.
//
// A slot's first point is in `positions[slot]`; further points of a slot (array fields) are in
// `extra`, chained. `list` holds a pair (leaf cell, number) per point: the number is the slot, or
// with the top bit set the place in `extra`.
//
//     positions: 24 bytes per slot · list: about 15 bytes per point (see CellList)
//
// Over the 16 bytes of the latitude and longitude themselves that is 22.8 to 23.7 bytes a point,
// as they are spread, crowded, all at one place or moved about.
//
// Chunks and groups carry boxes that hold their points (ZoneBox, in the frame of the zone). A
// search for the nearest opens zones, groups and chunks by the nearest that their boxes allow; a
// chunk that is wholly within a radius is counted unseen.

/// Points on the sphere by slot: radius, nearest, box, cap and polygon.
///
/// Threads: one writer or many readers, by the owner's lock; each reader has its own `GeoScratch`.
package final class PointIndex {
    /// A further point of a slot that has one already.
    struct Extra: BitwiseCopyable {
        var position: SpherePoint
        var slot: Slot
        /// The next one of the same slot or a free one's successor; `none` at the end.
        var next: UInt32
    }

    static let none = UInt32.max
    static let extraBit: UInt32 = 1 << 31
    /// Slots at most: the top bit marks further points.
    package static let slotMax = Slot(1 << 31 - 1)

    var list = CellList()
    var positions = GrowingBuffer<SpherePoint>()
    var extra = GrowingBuffer<Extra>(capacity: 4)
    /// The first free place in `extra`.
    var extraFree = PointIndex.none
    /// The first further point of each slot that has any.
    var extraHead: [Slot: UInt32] = [:]
    /// Slots with at least one point.
    package internal(set) var slotCount = 0

    package init() {}

    /// Points in all slots.
    package var pointCount: Int { list.count }

    /// Whether some slot has several points.
    package var hasExtras: Bool { !extraHead.isEmpty }

    /// Bytes allocated. - Complexity: O(points / 48).
    package var byteCount: Int {
        list.byteCount + positions.byteCount + extra.byteCount + extraHead.capacity * 12
    }

    static var absent: SpherePoint { SpherePoint(x: .nan, y: 0, z: 0) }

    /// The first point of a slot; nil if it has none. - Complexity: O(1).
    package func position(of slot: Slot) -> SpherePoint? {
        guard Int(slot) < positions.count else { return nil }
        let p = positions[Int(slot)]
        return p.x.isNaN ? nil : p
    }

    /// All points of a slot in the order given; empty if it has none.
    package func positions(of slot: Slot) -> [SpherePoint] {
        guard let first = position(of: slot) else { return [] }
        var result = [first]
        var next = extraHead[slot] ?? PointIndex.none
        while next != PointIndex.none {
            result.append(extra[Int(next)].position)
            next = extra[Int(next)].next
        }
        return result
    }

    /// Gives a slot one point in place of those that it had.
    ///
    /// The place is valid (`LatLng.isValid`) and the slot at most `slotMax`.
    ///
    /// - Complexity: O(log n).
    package func set(_ slot: Slot, _ place: LatLng) {
        remove(slot)
        insertFirst(slot, PointIndex.point(place))
    }

    /// Gives a slot several points in place of those that it had; none removes it.
    ///
    /// - Complexity: O(m log n).
    package func set(_ slot: Slot, _ places: [LatLng]) {
        remove(slot)
        guard let first = places.first else { return }
        insertFirst(slot, PointIndex.point(first))
        // Chained from the last, so that they come out in the order given.
        for place in places.dropFirst().reversed() {
            insertExtra(slot, PointIndex.point(place))
        }
    }

    private static func point(_ place: LatLng) -> SpherePoint {
        precondition(place.isValid, "a place is checked before it is indexed")
        return SpherePoint(place)
    }

    private func insertFirst(_ slot: Slot, _ p: SpherePoint) {
        precondition(slot <= PointIndex.slotMax, "slots have 31 bits")
        positions.grow(to: Int(slot) + 1, filler: PointIndex.absent)
        positions[Int(slot)] = p
        slotCount += 1
        insert(CellID(p), slot, p)
    }

    private func insertExtra(_ slot: Slot, _ p: SpherePoint) {
        let entry = Extra(position: p, slot: slot, next: extraHead[slot] ?? PointIndex.none)
        let number: UInt32
        if extraFree != PointIndex.none {
            number = extraFree
            extraFree = extra[Int(number)].next
            extra[Int(number)] = entry
        } else {
            number = UInt32(extra.count)
            extra.append(entry)
        }
        extraHead[slot] = number
        insert(CellID(p), number | PointIndex.extraBit, p)
    }

    private func insert(_ cell: CellID, _ number: UInt32, _ p: SpherePoint) {
        let at = list.insert(cell.rawValue, number)
        extend(at, p)
        refresh(at.zone, at.group)
    }

    /// Lets the boxes around a pair hold its point.
    @inline(__always) func extend(_ at: CellCursor, _ p: SpherePoint) {
        let packed = ZoneFrame.packed(ZoneFrame.all[at.zone].local(p))
        let group = list.zones[at.zone].groups[at.group]
        group.pointee.chunks[at.chunk].box.extend(packed)
        list.zones[at.zone].boxes[at.group].extend(packed)
    }

    /// Takes all points of a slot out; false if it had none.
    ///
    /// - Complexity: O(m log n) for m points.
    @discardableResult
    package func remove(_ slot: Slot) -> Bool {
        guard let first = position(of: slot) else { return false }
        take(CellID(first), slot, first)
        positions[Int(slot)] = PointIndex.absent
        slotCount -= 1
        var next = extraHead.removeValue(forKey: slot) ?? PointIndex.none
        while next != PointIndex.none {
            let entry = extra[Int(next)]
            take(CellID(entry.position), next | PointIndex.extraBit, entry.position)
            extra[Int(next)].next = extraFree
            extraFree = next
            next = entry.next
        }
        return true
    }

    private func take(_ cell: CellID, _ number: UInt32, _ p: SpherePoint) {
        guard let at = list.remove(cell.rawValue, number) else {
            preconditionFailure("a slot's point is in the list")
        }
        guard at.group < list.zones[at.zone].count else { return }
        let group = list.zones[at.zone].groups[at.group]
        if at.chunk < group.pointee.count {
            // A point inside of the box leaves it as it is; one at its border may have held it up.
            let packed = ZoneFrame.packed(ZoneFrame.all[at.zone].local(p))
            let box = group.pointee.chunks[at.chunk].box
            let low = packed - ZoneBox.slack .<= box.low
            let high = packed + ZoneBox.slack .>= box.high
            // The fourth number is always at the border and says nothing.
            if low[0] || low[1] || low[2] || high[0] || high[1] || high[2] {
                group.pointee.chunks[at.chunk].isStale = true
                group.pointee.isStale = true
            }
        }
        refresh(at.zone, at.group)
    }

    /// Makes the boxes right of a group that was changed and of the next, which a split may have
    /// made out of it.
    private func refresh(_ zone: Int, _ first: Int) {
        for index in first..<min(first + 2, list.zones[zone].count) {
            let group = list.zones[zone].groups[index]
            guard group.pointee.isStale else { continue }
            group.pointee.isStale = false
            var whole = ZoneBox()
            for number in 0..<group.pointee.count {
                let chunk = group.pointee.chunks + number
                if chunk.pointee.isStale {
                    chunk.pointee.isStale = false
                    chunk.pointee.box = box(of: chunk.pointee, zone: zone)
                }
                whole.extend(chunk.pointee.box)
            }
            list.zones[zone].boxes[index] = whole
        }
        // The group before may have been split to make room for this one.
        if first > 0 && list.zones[zone].groups[first - 1].pointee.isStale {
            refresh(zone, first - 1)
        }
    }

    private func box(of chunk: CellChunk, zone: Int) -> ZoneBox {
        let frame = ZoneFrame.all[zone]
        var box = ZoneBox()
        for index in 0..<Int(chunk.count) {
            box.extend(ZoneFrame.packed(frame.local(point(chunk.values[index]))))
        }
        return box
    }

    /// The least of a measure over the points of a slot; `first` is that of its first point.
    @inline(never)
    func nearest(_ slot: Slot, _ first: Double, _ measure: (SpherePoint) -> Double) -> Double {
        var least = first
        var next = extraHead[slot] ?? PointIndex.none
        while next != PointIndex.none {
            least = min(least, measure(extra[Int(next)].position))
            next = extra[Int(next)].next
        }
        return least
    }

    /// The point of a number in the list.
    @inline(__always) func point(_ number: UInt32) -> SpherePoint {
        // SAFETY: the list holds numbers of points that exist.
        number & PointIndex.extraBit == 0
            ? positions.base[Int(number)]
            : extra.base[Int(number & ~PointIndex.extraBit)].position
    }

    /// The slot of a number in the list.
    @inline(__always) func slot(_ number: UInt32) -> Slot {
        number & PointIndex.extraBit == 0
            ? number : extra.base[Int(number & ~PointIndex.extraBit)].slot
    }

    /// Traps if an invariant does not hold. - Complexity: O(n).
    package func checkInvariants() {
        list.checkInvariants()
        for zone in 0..<CellList.zoneCount {
            for index in 0..<list.zones[zone].count {
                let group = list.zones[zone].groups[index].pointee
                precondition(!group.isStale, "boxes are made right after each change")
                let box = list.zones[zone].boxes[index]
                for number in 0..<group.count {
                    check(group.chunks[number], in: box, zone: zone)
                }
            }
        }
    }

    private func check(_ chunk: CellChunk, in box: ZoneBox, zone: Int) {
        precondition(!chunk.isStale, "boxes are made right after each change")
        for place in 0..<Int(chunk.count) {
            let p = point(chunk.values[place])
            precondition(CellID(p).rawValue == chunk.keys[place], "a pair has its point's cell")
            let local = ZoneFrame.packed(ZoneFrame.all[zone].local(p))
            precondition(chunk.box.nearest(local) == 0, "a chunk's box holds its points")
            precondition(box.nearest(local) == 0, "a group's box holds its points")
        }
    }
}
