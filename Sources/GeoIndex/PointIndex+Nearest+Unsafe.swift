package import Primitives

extension PointIndex {
    /// The nearest accepted slots within a distance, by their nearest point.
    ///
    /// - Parameters:
    ///   - center: of length 1.
    ///   - limit: hits at most; 0 finds none.
    ///   - chord2Max: the squared chord of the radius (`Sphere.chord2(meters:)`): hits are at most
    ///     this far. 4 for no radius.
    ///   - chord2Min: hits are at least this far; 0 for all.
    ///   - accepted: which slots count, before the limit.
    ///   - seenMax: points to look at before giving up.
    ///   - scratch: takes the hits, nearest first, ties by slot.
    /// - Returns: whether it came to its end; if not, the hits say nothing.
    /// - Complexity: O(n / 2,300 + log n + limit · log limit) for points that spread evenly; with a
    ///   filter that accepts a share s, the points seen are about limit / s.
    @discardableResult
    package func nearest(
        to center: SpherePoint, limit: Int, chord2Max: Double = 4, chord2Min: Double = 0,
        accepted: AcceptedSlots = .all, seenMax: Int = .max, scratch: GeoScratch
    ) -> Bool {
        scratch.hits.count = 0
        guard limit > 0 && chord2Max >= 0 else { return true }
        var search = NearestSearch(
            index: self, center: center, limit: limit, chord2Max: chord2Max,
            chord2Min: chord2Min, accepted: accepted, seenMax: seenMax,
            distances: scratch.distances, hasExtras: hasExtras)
        let isComplete = search.run(&scratch.frontier, &scratch.hits)
        HitHeap.sort(&scratch.hits)
        return isComplete
    }

    /// How many points are within a distance, whatever their slots.
    ///
    /// - Complexity: O(n / 2,300 + points near the border of the circle).
    package func pointCount(within cap: Cap, scratch: GeoScratch) -> Int {
        var visitor = CapScan(index: self, cap: cap, accepted: .all, collects: false)
        visitor.run(&scratch.slots)
        return visitor.count
    }

    /// The nearest accepted slots of a range of slots, each of which is looked at; see
    /// ``nearest(to:limit:chord2Max:chord2Min:accepted:seenMax:scratch:)``.
    ///
    /// - Parameter hitMin: hits are at least this far; nearer ones from `chord2Min` on only count.
    /// - Returns: how many accepted slots of the range are between both distances.
    /// - Complexity: O(slots / 64 + accepted slots).
    package func nearest(
        to center: SpherePoint, in range: Range<Int>, limit: Int, chord2Max: Double,
        chord2Min: Double, hitMin: Double, accepted: AcceptedSlots, scratch: GeoScratch
    ) -> Int {
        scratch.hits.count = 0
        guard let words = accepted.words else {
            preconditionFailure("a set of slots to look at")
        }
        var found = 0
        // SAFETY: words below `slotLimit` are readable, positions below their count.
        let end = min(range.upperBound, accepted.slotLimit, (positions.count + 63) / 64 * 64)
        for index in range.lowerBound / 64..<max(range.lowerBound / 64, (end + 63) / 64) {
            var word = words[index]
            while word != 0 {
                let slot = Slot(truncatingIfNeeded: index &* 64 &+ word.trailingZeroBitCount)
                word &= word &- 1
                guard Int(slot) < positions.count else { break }
                let chord2 = chord2(of: slot, to: center)
                // NaN where the slot has no point.
                guard chord2 <= chord2Max && chord2 >= chord2Min else { continue }
                found &+= 1
                if chord2 < hitMin { continue }
                let hit = GeoHit(chord2: chord2, slot: slot)
                if scratch.hits.count < limit {
                    HitHeap.push(hit, &scratch.hits)
                } else if limit > 0 && GeoHit.isBefore(hit, scratch.hits[0]) {
                    HitHeap.replaceTop(hit, scratch.hits.base, count: limit)
                }
            }
        }
        HitHeap.sort(&scratch.hits)
        return found
    }

    /// The squared chord from a place to the nearest point of a slot; NaN if it has none.
    @inline(__always)
    package func chord2(of slot: Slot, to center: SpherePoint) -> Double {
        guard Int(slot) < positions.count else { return .nan }
        let first = positions.base[Int(slot)].chord2(to: center)
        return hasExtras ? nearest(slot, first) { $0.chord2(to: center) } : first
    }

    /// The angle from a place to the nearest point of a slot, in radians, exact at any distance.
    /// REQUIRES: the slot has a point.
    package func angle(of slot: Slot, to center: SpherePoint) -> Double {
        let first = positions[Int(slot)].angle(to: center)
        return hasExtras ? nearest(slot, first) { $0.angle(to: center) } : first
    }

    /// How many accepted slots have a point within a distance.
    ///
    /// - Complexity: O(n / 2,300 + points near the border of the circle), and with a filter the
    ///   points within it.
    package func count(
        within cap: Cap, from chord2Min: Double = 0, accepted: AcceptedSlots = .all,
        scratch: GeoScratch
    ) -> Int {
        var visitor = CapScan(
            index: self, cap: cap, accepted: accepted, collects: hasExtras, chord2Min: chord2Min)
        scratch.slots.count = 0
        visitor.run(&scratch.slots)
        guard hasExtras else { return visitor.count }
        // A slot counts once, however many of its points are in, and is as far as the nearest.
        finish(&scratch.slots, &scratch.spare)
        guard chord2Min > 0 else { return scratch.slots.count }
        var count = 0
        for place in 0..<scratch.slots.count
        where chord2(of: scratch.slots[place], to: cap.center) >= chord2Min { count += 1 }
        return count
    }

    /// All accepted slots with a point in a cap, ascending, into the scratch's slots.
    ///
    /// - Complexity: O(n / 2,300 + m log m) for m slots found.
    package func collect(
        within cap: Cap, accepted: AcceptedSlots = .all, scratch: GeoScratch
    ) {
        scratch.slots.count = 0
        var visitor = CapScan(index: self, cap: cap, accepted: accepted, collects: true)
        visitor.run(&scratch.slots)
        finish(&scratch.slots, &scratch.spare)
    }

    /// All accepted slots whose nearest point is at exactly a squared chord, ascending.
    ///
    /// - Complexity: O(n / 2,300 + points near the circle + m log m) for m slots found.
    package func collect(
        at chord2: Double, from center: SpherePoint, accepted: AcceptedSlots, scratch: GeoScratch
    ) {
        scratch.slots.count = 0
        var visitor = CapScan(
            index: self, cap: Cap(center: center, chord2: chord2), accepted: accepted,
            collects: true, chord2Min: chord2)
        visitor.run(&scratch.slots)
        finish(&scratch.slots, &scratch.spare)
        guard hasExtras else { return }
        var kept = 0
        for place in 0..<scratch.slots.count
        where self.chord2(of: scratch.slots[place], to: center) == chord2 {
            scratch.slots[kept] = scratch.slots[place]
            kept += 1
        }
        scratch.slots.count = kept
    }

    /// Sorts slots and drops those that several points brought.
    func finish(_ slots: inout GrowingBuffer<Slot>, _ spare: inout GrowingBuffer<Slot>) {
        SlotSort.sort(&slots, &spare)
        guard hasExtras && slots.count > 1 else { return }
        var kept = 1
        for index in 1..<slots.count where slots[index] != slots[kept - 1] {
            slots[kept] = slots[index]
            kept += 1
        }
        slots.count = kept
    }
}

/// One search for the nearest. Borrowed pointers stay valid, for the index does not change.
private struct NearestSearch {
    let index: PointIndex
    let center: SpherePoint
    let limit: Int
    let chord2Max: Double
    let chord2Min: Double
    let accepted: AcceptedSlots
    let seenMax: Int
    /// Room for the squared chords of a chunk.
    let distances: UnsafeMutablePointer<Double>
    /// Whether some slot has several points.
    let hasExtras: Bool

    // SAFETY: zones, groups and chunks are those of `index`, which no one changes meanwhile.
    @inline(__always)
    mutating func run(
        _ frontier: inout GrowingBuffer<SearchFrontier.Item>,
        _ hits: inout GrowingBuffer<GeoHit>
    ) -> Bool {
        frontier.count = 0
        var worst = bound(&hits)
        var seen = 0
        let zones = index.list.zones
        pushZones(&frontier, worst)
        while frontier.count > 0 {
            let item = SearchFrontier.pop(&frontier)
            if item.nearest > worst { break }
            let zone = Int(item.zone)
            switch item.kind {
            case 0:
                let q = ZoneFrame.packed(ZoneFrame.all[zone].local(center))
                for number in 0..<zones[zone].count {
                    let nearest = zones[zone].boxes[number].nearest(q)
                    if nearest > worst { continue }
                    if isBefore(zones[zone].boxes[number], q) { continue }
                    SearchFrontier.push(
                        SearchFrontier.Item(
                            nearest: nearest, zone: item.zone, kind: 1, chunk: 0,
                            group: UInt32(truncatingIfNeeded: number)), &frontier)
                }
            case 1:
                let q = ZoneFrame.packed(ZoneFrame.all[zone].local(center))
                let group = zones[zone].groups[Int(item.group)]
                let chunks = group.pointee.chunks
                for number in 0..<group.pointee.count {
                    let nearest = chunks[number].box.nearest(q)
                    if nearest > worst { continue }
                    if isBefore(chunks[number].box, q) { continue }
                    SearchFrontier.push(
                        SearchFrontier.Item(
                            nearest: nearest, zone: item.zone, kind: 2,
                            chunk: UInt16(truncatingIfNeeded: number), group: item.group),
                        &frontier)
                }
            default:
                let group = zones[zone].groups[Int(item.group)]
                let chunk = group.pointee.chunks + Int(item.chunk)
                seen &+= Int(chunk.pointee.count)
                if seen > seenMax { return false }
                scan(chunk, &worst, &hits)
            }
        }
        return true
    }

    /// How far hits are at most, as the chunk around the centre has it: the search then opens
    /// little that it need not.
    @inline(__always)
    private func bound(_ hits: inout GrowingBuffer<GeoHit>) -> Double {
        var worst = chord2Max
        if chord2Min > 0 || hasExtras { return worst }
        let at = index.list.lowerBound(CellID(center).rawValue)
        let zone = index.list.zones[at.zone]
        guard at.group < zone.count, at.chunk < zone.groups[at.group].pointee.count else {
            return worst
        }
        scan(zone.groups[at.group].pointee.chunks + at.chunk, &worst, &hits)
        hits.count = 0
        return worst
    }

    /// Whether all points of a box are nearer than hits may be.
    @inline(__always) private func isBefore(_ box: ZoneBox, _ q: SIMD4<Float>) -> Bool {
        chord2Min > 0 && box.furthest(q) < chord2Min
    }

    private func pushZones(
        _ frontier: inout GrowingBuffer<SearchFrontier.Item>, _ worst: Double
    ) {
        let zones = index.list.zones
        for zone in 0..<CellList.zoneCount where zones[zone].count > 0 {
            let frame = ZoneFrame.all[zone]
            // The chord to the middle less the chord to the corner is less than that to a point.
            let toMiddle = frame.c.chord2(to: center)
            var nearest = 0.0
            if toMiddle > frame.chord2 {
                let chord = toMiddle.squareRoot() - frame.chord2.squareRoot()
                nearest = chord * chord
            }
            if nearest > worst { continue }
            SearchFrontier.push(
                SearchFrontier.Item(
                    nearest: nearest, zone: UInt8(truncatingIfNeeded: zone), kind: 0, chunk: 0,
                    group: 0), &frontier)
        }
    }

    @inline(__always)
    private func scan(
        _ chunk: UnsafeMutablePointer<CellChunk>, _ worst: inout Double,
        _ hits: inout GrowingBuffer<GeoHit>
    ) {
        let values = chunk.pointee.values
        // All are measured before one is looked at: see CircleScan.
        let count = Int(chunk.pointee.count)
        if hasExtras {
            for place in 0..<count {
                distances[place] = index.point(values[place]).chord2(to: center)
            }
        } else {
            let positions = index.positions.base
            for place in 0..<count {
                distances[place] = positions[Int(values[place])].chord2(to: center)
            }
        }
        for place in 0..<count {
            let chord2 = distances[place]
            if chord2 > worst || chord2 < chord2Min { continue }
            let slot = index.slot(values[place])
            guard accepted.accepts(slot) else { continue }
            // A slot is as far as its nearest point.
            if chord2Min > 0 && index.chord2(of: slot, to: center) < chord2Min { continue }
            offer(GeoHit(chord2: chord2, slot: slot), &worst, &hits)
        }
    }

    @inline(__always)
    private func offer(
        _ hit: GeoHit, _ worst: inout Double, _ hits: inout GrowingBuffer<GeoHit>
    ) {
        if hasExtras && replacesOwn(hit, &hits) {
            if hits.count == limit { worst = hits[0].chord2 }
            return
        }
        if hits.count < limit {
            HitHeap.push(hit, &hits)
        } else if GeoHit.isBefore(hit, hits[0]) {
            HitHeap.replaceTop(hit, hits.base, count: hits.count)
        }
        if hits.count == limit { worst = hits[0].chord2 }
    }

    /// Where the slot has a hit by another point already: keeps the nearer one. True if it had.
    @inline(never)
    private func replacesOwn(_ hit: GeoHit, _ hits: inout GrowingBuffer<GeoHit>) -> Bool {
        for place in 0..<hits.count where hits[place].slot == hit.slot {
            if hits[place].chord2 > hit.chord2 {
                // Build the heap anew: rare, and the heap is small.
                let count = hits.count
                hits[place] = hits[count - 1]
                hits.count = 0
                for index in 0..<count - 1 { HitHeap.push(hits.base[index], &hits) }
                HitHeap.push(hit, &hits)
            }
            return true
        }
        return false
    }
}

/// One pass over the points in a cap.
private struct CapScan {
    let index: PointIndex
    let cap: Cap
    let accepted: AcceptedSlots
    let collects: Bool
    /// Points that are nearer do not count.
    var chord2Min = 0.0
    var count = 0

    // SAFETY: as in NearestSearch.
    mutating func run(_ slots: inout GrowingBuffer<Slot>) {
        guard cap.chord2 >= 0 else { return }
        let zones = index.list.zones
        let limit = cap.chord2.squareRoot()
        for zone in 0..<CellList.zoneCount where zones[zone].count > 0 {
            let frame = ZoneFrame.all[zone]
            let reach = limit + frame.chord2.squareRoot()
            if frame.c.chord2(to: cap.center) > reach * reach { continue }
            let q = ZoneFrame.packed(frame.local(cap.center))
            for number in 0..<zones[zone].count {
                let box = zones[zone].boxes[number]
                if box.nearest(q) > cap.chord2 { continue }
                let furthest = box.furthest(q)
                if furthest < chord2Min { continue }
                let isInside = furthest <= cap.chord2 && chord2Min <= 0
                scan(zones[zone].groups[number], q, isInside: isInside, &slots)
            }
        }
    }

    private mutating func scan(
        _ group: UnsafeMutablePointer<CellGroup>, _ q: SIMD4<Float>, isInside: Bool,
        _ slots: inout GrowingBuffer<Slot>
    ) {
        let sees = collects || !accepted.acceptsAll
        if !sees && isInside {
            count += group.pointee.entryCount
            return
        }
        for number in 0..<group.pointee.count {
            let chunk = group.pointee.chunks + number
            if chunk.pointee.box.nearest(q) > cap.chord2 { continue }
            let furthest = chunk.pointee.box.furthest(q)
            if furthest < chord2Min { continue }
            let isInside = furthest <= cap.chord2 && chord2Min <= 0
            if isInside && !sees {
                count += Int(chunk.pointee.count)
            } else {
                scan(chunk, isInside: isInside, &slots)
            }
        }
    }

    @inline(__always)
    private mutating func scan(
        _ chunk: UnsafeMutablePointer<CellChunk>, isInside: Bool,
        _ slots: inout GrowingBuffer<Slot>
    ) {
        let values = chunk.pointee.values
        for place in 0..<Int(chunk.pointee.count) {
            let number = values[place]
            if !isInside {
                let chord2 = index.point(number).chord2(to: cap.center)
                if chord2 > cap.chord2 || chord2 < chord2Min { continue }
            }
            let slot = index.slot(number)
            guard accepted.accepts(slot) else { continue }
            count &+= 1
            if collects { slots.append(slot) }
        }
    }
}
