import Primitives

extension PointIndex {
    /// The nearest accepted slots within a distance, as a search for the nearest finds them, and
    /// how many points there are in all: in one pass over the boxes.
    ///
    /// REQUIRES: no slot has several points.
    ///
    /// - Parameter hitMax: what is further is counted, but need not be a hit.
    /// - Returns: points within the distance, those of slots that are not accepted among them.
    /// - Complexity: O(n / 2,300 + points near the border and near the centre).
    package func nearestAndCount(
        to center: SpherePoint, limit: Int, chord2Max: Double, hitMax: Double = 4,
        accepted: AcceptedSlots, scratch: GeoScratch
    ) -> Int {
        precondition(!hasExtras, "a slot has one point")
        scratch.hits.count = 0
        guard limit > 0 && chord2Max >= 0 else { return 0 }
        var scan = CircleScan(
            index: self, center: center, limit: limit, chord2Max: chord2Max, hitMax: hitMax,
            accepted: accepted, distances: scratch.distances)
        scan.run(&scratch.hits)
        HitHeap.sort(&scratch.hits)
        return scan.count
    }
}

/// One pass over the points of a circle that counts them all and keeps the nearest.
///
/// What is further than enough hits is counted by its chunk, unseen. So that this is soon nearly
/// everything, the chunk around the centre says first how far the hits are at most.
private struct CircleScan {
    let index: PointIndex
    let center: SpherePoint
    let limit: Int
    let chord2Max: Double
    let accepted: AcceptedSlots
    /// Room for the squared chords of a chunk.
    let distances: UnsafeMutablePointer<Double>
    var count = 0
    /// No hit is further.
    private var worst: Double

    init(
        index: PointIndex, center: SpherePoint, limit: Int, chord2Max: Double, hitMax: Double,
        accepted: AcceptedSlots, distances: UnsafeMutablePointer<Double>
    ) {
        self.distances = distances
        self.index = index
        self.center = center
        self.limit = limit
        self.chord2Max = chord2Max
        self.accepted = accepted
        worst = min(chord2Max, hitMax)
    }

    // SAFETY: zones, groups and chunks are those of `index`, which no one changes meanwhile.
    mutating func run(_ hits: inout GrowingBuffer<GeoHit>) {
        if worst == chord2Max { seed(&hits) }
        let zones = index.list.zones
        let reachOfCap = chord2Max.squareRoot()
        for zone in 0..<CellList.zoneCount where zones[zone].count > 0 {
            let frame = ZoneFrame.all[zone]
            let reach = reachOfCap + frame.chord2.squareRoot()
            if frame.c.chord2(to: center) > reach * reach { continue }
            let q = ZoneFrame.packed(frame.local(center))
            for number in 0..<zones[zone].count {
                let box = zones[zone].boxes[number]
                let nearest = box.nearest(q)
                if nearest > chord2Max { continue }
                let group = zones[zone].groups[number]
                if nearest > worst && box.furthest(q) <= chord2Max {
                    count &+= group.pointee.entryCount
                } else {
                    scan(group, q, &hits)
                }
            }
        }
    }

    /// Learns from the points around the centre how far the hits are at most.
    private mutating func seed(_ hits: inout GrowingBuffer<GeoHit>) {
        let leaf = CellID(center).rawValue
        let at = index.list.lowerBound(leaf)
        let zone = index.list.zones[at.zone]
        guard at.group < zone.count, at.chunk < zone.groups[at.group].pointee.count else { return }
        let chunk = zone.groups[at.group].pointee.chunks + at.chunk
        // Of a chunk that reaches beyond the circle few points may be in it: nothing is gained.
        let q = ZoneFrame.packed(ZoneFrame.all[at.zone].local(center))
        guard chunk.pointee.box.furthest(q) <= chord2Max else { return }
        offerAll(chunk, &hits)
        hits.count = 0
    }

    private mutating func scan(
        _ group: UnsafeMutablePointer<CellGroup>, _ q: SIMD4<Float>,
        _ hits: inout GrowingBuffer<GeoHit>
    ) {
        let chunks = group.pointee.chunks
        for number in 0..<group.pointee.count {
            let chunk = chunks + number
            let nearest = chunk.pointee.box.nearest(q)
            if nearest > chord2Max { continue }
            if chunk.pointee.box.furthest(q) <= chord2Max {
                count &+= Int(chunk.pointee.count)
                if nearest <= worst { offerAll(chunk, &hits) }
            } else {
                countAndOffer(chunk, &hits)
            }
        }
    }

    @inline(__always)
    private mutating func offerAll(
        _ chunk: UnsafeMutablePointer<CellChunk>, _ hits: inout GrowingBuffer<GeoHit>
    ) {
        measure(chunk)
        let values = chunk.pointee.values
        for place in 0..<Int(chunk.pointee.count) where distances[place] <= worst {
            offer(distances[place], values[place], &hits)
        }
    }

    /// Measures all points before one is looked at: where nothing depends on what comes out, the
    /// processor waits for many places of memory at once.
    @inline(__always)
    private func measure(_ chunk: UnsafeMutablePointer<CellChunk>) {
        let (values, positions, distances) = (
            chunk.pointee.values, index.positions.base, distances
        )
        for place in 0..<Int(chunk.pointee.count) {
            distances[place] = positions[Int(values[place])].chord2(to: center)
        }
    }

    @inline(__always)
    private mutating func countAndOffer(
        _ chunk: UnsafeMutablePointer<CellChunk>, _ hits: inout GrowingBuffer<GeoHit>
    ) {
        measure(chunk)
        let values = chunk.pointee.values
        for place in 0..<Int(chunk.pointee.count) {
            let chord2 = distances[place]
            if chord2 > chord2Max { continue }
            count &+= 1
            if chord2 <= worst { offer(chord2, values[place], &hits) }
        }
    }

    @inline(__always)
    private mutating func offer(
        _ chord2: Double, _ slot: Slot, _ hits: inout GrowingBuffer<GeoHit>
    ) {
        guard accepted.accepts(slot) else { return }
        let hit = GeoHit(chord2: chord2, slot: slot)
        if hits.count < limit {
            HitHeap.push(hit, &hits)
        } else if GeoHit.isBefore(hit, hits[0]) {
            HitHeap.replaceTop(hit, hits.base, count: hits.count)
        }
        if hits.count == limit { worst = min(worst, hits[0].chord2) }
    }
}
