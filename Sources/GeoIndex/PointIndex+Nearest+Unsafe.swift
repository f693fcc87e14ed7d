import Primitives

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
    ///   - scratch: takes the hits, nearest first, ties by slot.
    /// - Complexity: O(n / 2,300 + log n + limit · log limit) for points that spread evenly; with a
    ///   filter that accepts a share s, the points seen are about limit / s.
    package func nearest(
        to center: SpherePoint, limit: Int, chord2Max: Double = 4, chord2Min: Double = 0,
        accepted: AcceptedSlots = .all, scratch: GeoScratch
    ) {
        scratch.hits.count = 0
        guard limit > 0 && chord2Max >= 0 else { return }
        var search = NearestSearch(
            index: self, center: center, limit: limit, chord2Max: chord2Max,
            chord2Min: chord2Min, accepted: accepted)
        search.run(&scratch.frontier, &scratch.hits)
        HitHeap.sort(&scratch.hits)
    }

    /// How many accepted slots have a point within a distance.
    ///
    /// - Complexity: O(n / 2,300 + points near the border of the circle), and with a filter the
    ///   points within it.
    package func count(
        within cap: Cap, accepted: AcceptedSlots = .all, scratch: GeoScratch
    ) -> Int {
        if hasExtras {
            // A slot counts once, however many of its points are in.
            collect(within: cap, accepted: accepted, scratch: scratch)
            return scratch.slots.count
        }
        var visitor = CapScan(index: self, cap: cap, accepted: accepted, collects: false)
        visitor.run(&scratch.slots)
        return visitor.count
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

    // SAFETY: zones, groups and chunks are those of `index`, which no one changes meanwhile.
    @inline(__always)
    mutating func run(
        _ frontier: inout GrowingBuffer<SearchFrontier.Item>,
        _ hits: inout GrowingBuffer<GeoHit>
    ) {
        frontier.count = 0
        var worst = chord2Max
        let zones = index.list.zones
        pushZones(&frontier)
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
                    SearchFrontier.push(
                        SearchFrontier.Item(
                            nearest: nearest, zone: item.zone, kind: 2,
                            chunk: UInt16(truncatingIfNeeded: number), group: item.group),
                        &frontier)
                }
            default:
                let group = zones[zone].groups[Int(item.group)]
                scan(group.pointee.chunks + Int(item.chunk), &worst, &hits)
            }
        }
    }

    private func pushZones(_ frontier: inout GrowingBuffer<SearchFrontier.Item>) {
        let zones = index.list.zones
        // Below a quarter turn sines are not needed: only zones near the centre can have points.
        let reach = Sphere.angle(chord2: chord2Max)
        for zone in 0..<CellList.zoneCount where zones[zone].count > 0 {
            let frame = ZoneFrame.all[zone]
            // The chord to the middle less the chord to the corner is less than that to a point.
            let toMiddle = frame.c.chord2(to: center)
            var nearest = 0.0
            if toMiddle > frame.chord2 {
                let chord = toMiddle.squareRoot() - frame.chord2.squareRoot()
                nearest = chord * chord
            }
            if nearest > chord2Max || reach < 0 { continue }
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
        for place in 0..<Int(chunk.pointee.count) {
            let number = values[place]
            let chord2 = index.point(number).chord2(to: center)
            if chord2 > worst || chord2 < chord2Min { continue }
            let slot = index.slot(number)
            guard accepted.accepts(slot) else { continue }
            offer(GeoHit(chord2: chord2, slot: slot), &worst, &hits)
        }
    }

    @inline(__always)
    private func offer(
        _ hit: GeoHit, _ worst: inout Double, _ hits: inout GrowingBuffer<GeoHit>
    ) {
        if index.hasExtras && replacesOwn(hit, &hits) {
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
                let isInside = box.furthest(q) <= cap.chord2
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
            let isInside = chunk.pointee.box.furthest(q) <= cap.chord2
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
            if !isInside && index.point(number).chord2(to: cap.center) > cap.chord2 { continue }
            let slot = index.slot(number)
            guard accepted.accepts(slot) else { continue }
            count &+= 1
            if collects { slots.append(slot) }
        }
    }
}
