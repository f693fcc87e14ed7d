import GeoIndex
import HoursIndex
import Partition
import Primitives
import Schema

/// Which rows have the stock and are open, before the nearest of them are looked for.
extension NearbyExecution {
    func narrow(_ index: Int) throws(EngineError) {
        let partition = view.partitions[index]
        let rows = context.bitmaps.borrow(capacity: 512)
        partition.lock.lockForReading()
        let scratch = context.bitmaps.borrow(capacity: partition.slotBound)
        if let filter, !filter.matchesAll[index] {
            rows.assign(filter.matches[index])
        } else {
            rows.assign(partition.visible(at: version, scratch: scratch))
        }
        if let stock {
            scratch.clearAll()
            for id in stock.found {
                id.withUnsafeBytes { bytes in
                    let hash = view.hash(bytes)
                    guard view.partitionIndex(hash: hash) == index,
                        let number = partition.heads.number(hash: hash, id: bytes),
                        let slot = partition.slot(of: number, at: version)
                    else { return }
                    scratch.set(slot)
                }
            }
            rows.formIntersection(scratch)
        }
        var isReady = true
        if let opening = request.opening {
            if let hours = partition.hoursField(opening.field.number) {
                context.hoursMoment.set(milliseconds: opening.milliseconds, for: hours.table)
                if !keepOpenWithinRadius(rows, hours.table, partition, scratch) {
                    hours.table.collectOpen(context.hoursMoment, into: scratch)
                    rows.formIntersection(scratch)
                }
            } else {
                isReady = false
            }
        }
        partition.lock.unlock()
        context.bitmaps.giveBack(scratch)
        allowed.append(rows)
        guard isReady else { throw hoursAreNotReady }
        if index + 1 < view.partitions.count {
            phase = .narrow(partition: index + 1)
            return
        }
        note(
            "narrow",
            stock != nil
                ? "what has the stock"
                : askedWithinRadius
                    ? "what is open within the radius"
                    : request.opening != nil ? "what is open" : "all",
            rows: allowed.reduce(0) { $0 + $1.count })
        phase = scanned.isNeeded ? .scan(partition: 0, from: 0) : .search(partition: 0)
    }

    /// Leaves of `rows` those within the radius that are open, where few points lie within.
    ///
    /// - Returns: whether they are few; else `rows` is as it was.
    /// - Complexity: O(points within), and copying the bitmap.
    private func keepOpenWithinRadius(
        _ rows: Bitmap, _ hours: HoursTable, _ partition: CollectionPartition, _ scratch: Bitmap
    ) -> Bool {
        guard let radius = request.radiusMeters,
            let points = partition.placeField(request.target.number)?.points
        else { return false }
        let meters = earth == .sphere ? radius : earth.sphereMeters(covering: radius)
        let cap = Cap(center: center, radiusMeters: meters)
        let found = context.geoScratch
        guard points.pointCount(within: cap, scratch: found) <= hours.costOfAll else {
            return false
        }
        points.collect(within: cap, scratch: found)
        scratch.clearAll()
        for slot in found.slotBuffer where rows.test(slot) {
            if hours.isOpen(slot, context.hoursMoment) { scratch.set(slot) }
        }
        rows.assign(scratch)
        askedWithinRadius = true
        return true
    }

    var hoursAreNotReady: EngineError {
        EngineError(
            .busy, request.opening?.field.path ?? "", "its hours are being brought in",
            hint: "wait until JOBS says that it is done")
    }
}
