package import GeoIndex
package import Primitives
package import Schema

/// What a search for near places asks of each partition. Distances are squared chords.
package struct PlaceQuery: Sendable {
    package var field: FieldNumber
    /// Of length 1.
    package var center: SpherePoint
    /// Hits are at most this far; 4 for no radius.
    package var chord2Max: Double
    /// Hits are at least this far.
    package var chord2Min: Double
    /// What is further than this is counted, but need not be a hit: others are known to be nearer.
    package var hitMax = 4.0
    /// Hits come behind this place in their order; it does not matter for the count.
    package var after: PlaceAfter?
    /// Hits wanted at most.
    package var count: Int
    /// Whether all rows between both distances are to be counted.
    package var wantsTotal: Bool

    package init(
        field: FieldNumber, center: SpherePoint, chord2Max: Double, chord2Min: Double = 0,
        after: PlaceAfter? = nil, count: Int, wantsTotal: Bool
    ) {
        self.field = field
        self.center = center
        self.chord2Max = chord2Max
        self.chord2Min = chord2Min
        self.after = after
        self.count = count
        self.wantsTotal = wantsTotal
    }
}

/// A place in the order of distance and id.
package struct PlaceAfter: Sendable {
    package var chord2: Double
    package var id: [UInt8]

    package init(chord2: Double, id: [UInt8]) {
        self.chord2 = chord2
        self.id = id
    }
}

/// One row and the squared chord to its nearest point.
package struct PlaceHit: Equatable, Sendable {
    package var slot: Slot
    package var chord2: Double
}

/// The rows of one partition whose points are nearest, at one version, found in slices.
///
/// ```
/// no filter, or one that many rows pass ──> walk outwards, asking each row ──> too many seen ─┐
/// few rows pass, or most of them lie within a wide radius ────> compare every row that passes <┘
/// ```
/// Rows at the same distance come by id: where the last place is one of several, all rows at its
/// distance are gathered and put in order.
///
/// The caller holds a pin of the version until it is done.
package final class PlaceSearch {
    /// Which rows may be hits.
    package enum Match {
        /// All that the version sees.
        case all
        /// Those in the bitmap, which stays as it is.
        case rows(Bitmap)
    }

    /// False where the field has no index that may be used: then there are no hits.
    package private(set) var hasIndex = true

    /// How the hits were found.
    package enum Method: String, Sendable {
        case none = "no points"
        case walk = "walk outwards"
        case filteredWalk = "walk outwards under the filter"
        case compare = "every match compared"
    }

    private let partition: CollectionPartition
    private let query: PlaceQuery
    private let version: Version
    private let match: Match
    private let pool: BitmapPool
    private let scratch: GeoScratch
    private var phase = Phase.start
    /// The rows that the version sees, where slices need them to stay as they are.
    private var visible: Bitmap?

    private enum Phase {
        case start
        case compare(from: Int)
        case finished
    }

    /// Nearest first, ties by id; complete once ``step()`` has said so.
    package private(set) var hits: [PlaceHit] = []
    /// Rows between both distances, where they were asked for.
    package private(set) var total = 0
    package private(set) var method = Method.none
    /// Points or rows that the plan expected to look at.
    package private(set) var estimate = 0

    /// Points that a walk looks at before every match is compared instead: well under half a
    /// millisecond.
    private static let seenMax = 40_000
    /// Rows that are compared in one slice.
    private static let window = 65_536
    /// Hits beyond those wanted, so that ids mostly decide among equals without another search.
    private static let equalCount = 2

    package init(
        partition: CollectionPartition, query: PlaceQuery, version: Version, match: Match,
        pool: BitmapPool, scratch: GeoScratch
    ) {
        self.partition = partition
        self.query = query
        self.version = version
        self.match = match
        self.pool = pool
        self.scratch = scratch
    }

    deinit { giveBack() }

    private func giveBack() {
        if let visible { pool.giveBack(visible) }
        visible = nil
    }

    /// Searches on, for well under a millisecond.
    ///
    /// - Returns: whether it is finished.
    package func step() -> Bool {
        partition.lock.lockForReading()
        defer { partition.lock.unlock() }
        guard let places = partition.placeField(query.field) else {
            hasIndex = false
            phase = .finished
            return true
        }
        guard places.points.slotCount > 0 else {
            phase = .finished
            return true
        }
        switch phase {
        case .finished: return true
        case .start: start(places.points)
        case .compare(let from): compare(places.points, from: from)
        }
        if case .finished = phase { return true }
        return false
    }

    // MARK: - Plan

    private var cap: Cap { Cap(center: query.center, chord2: query.chord2Max) }

    private func start(_ points: PointIndex) {
        switch match {
        case .all:
            estimate = query.count
            if query.wantsTotal, !points.hasExtras, query.after == nil, query.chord2Min == 0 {
                circle(points)
                return
            }
            if partition.seesAllRows(at: version) {
                walk(points, .all, method: .walk)
                if query.wantsTotal { total = countAll(points) }
                return
            }
            let rows = pool.borrow(capacity: partition.slotBound)
            let seen = partition.visible(at: version, scratch: rows)
            if walk(points, AcceptedSlots(seen), method: .walk) {
                if query.wantsTotal { total = countAll(points) }
                pool.giveBack(rows)
                return
            }
            // Between slices the partition's own set of live rows may change.
            if seen !== rows { rows.assign(seen) }
            visible = rows
        case .rows(let rows):
            let count = rows.count
            let within = query.chord2Max < 4 ? points.pointCount(within: cap, scratch: scratch) : 0
            let seen = expected(rows: count, points: points, within: within)
            let isWide = query.wantsTotal && within > Self.seenMax
            if seen < count, !isWide {
                estimate = seen
                if walk(points, AcceptedSlots(rows), method: .filteredWalk) {
                    if query.wantsTotal { total = countWithin(points, AcceptedSlots(rows)) }
                    return
                }
            }
            estimate = count
        }
        method = .compare
        compare(points, from: 0)
    }

    /// Finds and counts in one pass.
    private func circle(_ points: PointIndex) {
        if partition.seesAllRows(at: version) {
            circle(points, .all)
            return
        }
        let rows = pool.borrow(capacity: partition.slotBound)
        defer { pool.giveBack(rows) }
        circle(points, AcceptedSlots(partition.visible(at: version, scratch: rows)))
        partition.forEachInvisible(at: version) { slot in
            if points.chord2(of: slot, to: query.center) <= query.chord2Max { total -= 1 }
        }
    }

    private func circle(_ points: PointIndex, _ accepted: AcceptedSlots) {
        total = points.nearestAndCount(
            to: query.center, limit: wanted, chord2Max: query.chord2Max, hitMax: query.hitMax,
            accepted: accepted, scratch: scratch)
        method = .walk
        takeHits()
        finish(points, accepted)
    }

    /// Points that a walk would look at until it has its hits.
    private func expected(rows: Int, points: PointIndex, within: Int) -> Int {
        guard rows > 0 else { return .max }
        let all = points.pointCount
        let walked = (query.count + 1) * all / rows + 200
        return query.chord2Max < 4 ? min(walked, within + 200) : walked
    }

    /// All rows between both distances that the version sees.
    private func countAll(_ points: PointIndex) -> Int {
        if points.hasExtras || query.chord2Min > 0 {
            let rows = pool.borrow(capacity: partition.slotBound)
            defer { pool.giveBack(rows) }
            let seen = partition.visible(at: version, scratch: rows)
            return countWithin(points, AcceptedSlots(seen))
        }
        var count = points.pointCount(within: cap, scratch: scratch)
        partition.forEachInvisible(at: version) { slot in
            if points.chord2(of: slot, to: query.center) <= query.chord2Max { count -= 1 }
        }
        return count
    }

    private func countWithin(_ points: PointIndex, _ accepted: AcceptedSlots) -> Int {
        points.count(
            within: cap, from: query.chord2Min, accepted: accepted, scratch: scratch)
    }

    // MARK: - Searching

    /// Where hits begin: behind those of the page before.
    private var hitMin: Double {
        query.after.map { max(query.chord2Min, $0.chord2.nextUp) } ?? query.chord2Min
    }

    private var wanted: Int { query.count + Self.equalCount }

    /// - Returns: whether it came to its end.
    @discardableResult
    private func walk(_ points: PointIndex, _ accepted: AcceptedSlots, method: Method) -> Bool {
        let isComplete = points.nearest(
            to: query.center, limit: wanted, chord2Max: min(query.chord2Max, query.hitMax),
            chord2Min: hitMin, accepted: accepted, seenMax: Self.seenMax, scratch: scratch)
        guard isComplete else { return false }
        self.method = method
        takeHits()
        finish(points, accepted)
        return true
    }

    private func takeHits() {
        hits.reserveCapacity(hits.count + scratch.hitCount)
        for rank in 0..<scratch.hitCount {
            let hit = scratch.hit(rank)
            hits.append(PlaceHit(slot: hit.slot, chord2: hit.chord2))
        }
    }

    private func compare(_ points: PointIndex, from start: Int) {
        method = .compare
        let rows: Bitmap
        switch match {
        case .rows(let bitmap): rows = bitmap
        case .all:
            guard let visible else { preconditionFailure("the rows that are seen were kept") }
            rows = visible
        }
        let end = min(start + Self.window, rows.capacity)
        total += points.nearest(
            to: query.center, in: start..<end, limit: wanted, chord2Max: query.chord2Max,
            chord2Min: query.chord2Min, hitMin: hitMin, accepted: AcceptedSlots(rows),
            scratch: scratch)
        takeHits()
        hits.sort { $0.chord2 != $1.chord2 ? $0.chord2 < $1.chord2 : $0.slot < $1.slot }
        if hits.count > wanted { hits.removeLast(hits.count - wanted) }
        if end < rows.capacity {
            phase = .compare(from: end)
            return
        }
        finish(points, AcceptedSlots(rows))
        giveBack()
    }

    // MARK: - Equals

    /// Puts equals in the order of their ids, and those behind the cursor's place in front.
    private func finish(_ points: PointIndex, _ accepted: AcceptedSlots) {
        phase = .finished
        if hits.count == wanted, let last = hits.last,
            hits[query.count - 1].chord2 == last.chord2
        {
            hits.removeAll { $0.chord2 == last.chord2 }
            hits += equals(
                points, accepted, at: last.chord2, after: nil, need: query.count - hits.count)
        }
        if let after = query.after, after.chord2 >= query.chord2Min {
            hits =
                equals(points, accepted, at: after.chord2, after: after.id, need: query.count)
                + hits
        }
    }

    /// Up to `need` rows, and perhaps some more, at exactly a distance, behind an id.
    private func equals(
        _ points: PointIndex, _ accepted: AcceptedSlots, at chord2: Double, after: [UInt8]?,
        need: Int
    ) -> [PlaceHit] {
        points.collect(at: chord2, from: query.center, accepted: accepted, scratch: scratch)
        guard scratch.slotCount > 0 else { return [] }
        let rows = pool.borrow(capacity: partition.slotBound)
        defer { pool.giveBack(rows) }
        rows.clearAll()
        for slot in scratch.slotBuffer { rows.set(slot) }
        var collector = CandidateCollector(
            partition: partition, index: 0, levels: [.id(descending: false)], count: need,
            pool: pool)
        collector.collect(match: rows, visible: rows, after: after.map { [.bytes($0)] })
        return collector.found.map { PlaceHit(slot: $0.slot, chord2: chord2) }
    }
}
