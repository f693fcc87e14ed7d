package import GeoIndex
import GeoJSON
package import Primitives
package import Query
import Schema

/// The rows of one partition whose places meet a predicate, gathered in slices from the index.
///
/// The caller holds a pin of the version until it is done; rows that the version does not see may
/// be among them.
package final class PlaceCollector {
    package let predicate: Predicate
    /// The rows found; complete once ``step()`` has said so.
    package let rows: Bitmap
    /// Whether all of them meet it; otherwise their documents have to be asked.
    package private(set) var isExact = true

    private let partition: CollectionPartition
    private let test: PlaceTest
    private let field: FieldNumber
    private let version: Version
    private let pool: BitmapPool
    private let scratch: GeoScratch
    private var work = Work.start

    private enum Work {
        case start
        case points(RegionScan)
        case zones([Slot], next: Int)
        case flats(next: Int)
        case finished
    }

    /// Points that are looked at in one step: about a third of a millisecond.
    private static let pointCount = 8_192
    /// Zones that are compared with a region in one step.
    private static let zoneCount = 16
    private static let flatCount = 32_768

    /// Nil where no index answers the predicate.
    ///
    /// The partition's reader lock is not held.
    package init?(
        _ predicate: Predicate, partition: CollectionPartition, version: Version,
        pool: BitmapPool, scratch: GeoScratch
    ) {
        guard case .place(let test) = predicate.test, let field = predicate.field else {
            return nil
        }
        partition.lock.lockForReading()
        let isReady = partition.placeField(field.number) != nil
        partition.lock.unlock()
        guard isReady else { return nil }
        self.predicate = predicate
        self.test = test
        self.field = field.number
        self.partition = partition
        self.version = version
        self.pool = pool
        self.scratch = scratch
        rows = pool.borrow(capacity: 512)
        rows.clearAll()
    }

    deinit { pool.giveBack(rows) }

    /// Gathers on, for well under a millisecond.
    ///
    /// - Returns: whether it is finished.
    package func step() -> Bool {
        partition.lock.lockForReading()
        defer { partition.lock.unlock() }
        guard let places = partition.placeField(field) else { return true }
        switch work {
        case .start: start(places)
        case .points(var scan):
            let isDone = scan.step(places.points, budget: Self.pointCount) { rows.set($0) }
            work = isDone ? .finished : .points(scan)
        case .zones(let shapes, let next): compare(places, shapes, from: next)
        case .flats(let next): compareFlats(places, from: next)
        case .finished: return true
        }
        if case .finished = work { return true }
        return false
    }

    // MARK: - Start

    private func start(_ places: PlaceField) {
        switch test.kind {
        case .region(let region, let relation):
            if places.field.type == .geoshape {
                startZones(places, region)
            } else if relation == .contains {
                work = .finished
            } else {
                startPoints(places, region)
            }
        case .degrees(let region):
            // Rounding may put a place of the border on its other side: documents decide.
            isExact = false
            startPoints(places, .box(Self.box(around: region)))
        case .ellipsoid(let center, _, let to):
            isExact = false
            let meters = EarthModel.wgs84.sphereMeters(covering: min(to, 3e7))
            startPoints(
                places, .cap(Cap(center: SpherePoint(center), radiusMeters: meters), from: 0))
        case .zone(let place, _, let earth):
            isExact = earth == .sphere
            startZones(places, .point(SpherePoint(place)))
        case .flat:
            work = .flats(next: 0)
        }
    }

    private func startPoints(_ places: PlaceField, _ region: PlaceRegion) {
        if collectFew(places.points, region) {
            work = .finished
            return
        }
        var scan = RegionScan(region)
        let isDone = scan.step(places.points, budget: Self.pointCount) { rows.set($0) }
        work = isDone ? .finished : .points(scan)
    }

    /// Collects at once where there are few points around the region: that needs no cells.
    private func collectFew(_ points: PointIndex, _ region: PlaceRegion) -> Bool {
        let near = points.pointCount(within: region.bound, scratch: scratch)
        guard near <= Self.pointCount else { return false }
        switch region {
        case .point: return false
        case .cap(let cap, let from):
            guard from <= 0 else { return false }
            points.collect(within: cap, scratch: scratch)
        case .box(let box): points.collect(within: box, scratch: scratch)
        case .polygon(let region): points.collect(within: region.polygon, scratch: scratch)
        }
        for slot in scratch.slotBuffer { rows.set(slot) }
        return true
    }

    private func startZones(_ places: PlaceField, _ region: PlaceRegion) {
        if case .point(let place) = region, test.isCovering {
            places.zones.index.covering(place, scratch: scratch)
            for shape in scratch.slotBuffer { take(places.zones.owner(of: shape), places) }
            work = .finished
            return
        }
        let cells = region.covering(cellCountMax: 64)
        compare(places, places.zones.index.candidates(cells, .all, scratch), from: 0)
    }

    /// A box on the sphere that holds all points whose degrees lie in a region, and a little more.
    private static func box(around region: FlatRegion) -> LatLngRect {
        let (low, high) = region.bounds
        let slack = 1e-9
        return LatLngRect(
            south: max(-90, min(90, low.y - slack)), west: max(-180, min(180, low.x - slack)),
            north: max(-90, min(90, high.y + slack)), east: max(-180, min(180, high.x + slack)))
    }

    // MARK: - Zones

    private func compare(_ places: PlaceField, _ shapes: [Slot], from start: Int) {
        guard case .region(let region, let relation) = test.kind else {
            preconditionFailure("zones are compared with regions")
        }
        let end = min(shapes.count, start + Self.zoneCount)
        for number in shapes[start..<end] {
            guard let shape = places.zones.index.shape(of: number),
                region.isMet(by: shape, relation)
            else { continue }
            let set = places.zones.owner(of: number)
            // Of several shapes all, or just one, may have to lie so: the document knows.
            if places.zones.memberCount(of: set) > 1 { isExact = false }
            take(set, places)
        }
        work = end == shapes.count ? .finished : .zones(shapes, next: end)
    }

    /// Adds the row in which the version sees a set of zones.
    private func take(_ set: UInt32, _ places: PlaceField) {
        let newest = places.zones.row(of: set)
        if partition.isVisible(newest, at: version) {
            rows.set(newest)
        } else if let slot = partition.slot(of: partition.number(newest), at: version),
            places.zones.set(of: slot) == set
        {
            rows.set(slot)
        }
    }

    // MARK: - Planes

    private func compareFlats(_ places: PlaceField, from start: Int) {
        guard case .flat(let region) = test.kind else {
            preconditionFailure("flat points are compared with flat regions")
        }
        let end = min(places.flats.slotBound, start + Self.flatCount)
        for slot in start..<max(start, end)
        where places.flats.hasPoint(Slot(slot), where: { region.contains($0) }) {
            rows.set(Slot(slot))
        }
        work = end >= places.flats.slotBound ? .finished : .flats(next: end)
    }
}

extension PlaceTest {
    /// Whether it asks which zones hold a place.
    fileprivate var isCovering: Bool {
        switch kind {
        case .zone: true
        case .region(_, let relation): relation != .within
        case .degrees, .flat, .ellipsoid: false
        }
    }
}
