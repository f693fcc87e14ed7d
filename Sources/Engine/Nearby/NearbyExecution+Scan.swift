import Documents
import GeoIndex
import Partition
import Primitives
import Query

/// The nearest documents so far of a lookup whose index is not there yet.
struct NearbyScan {
    /// Whether the index was found missing.
    var isNeeded = false
    var total = 0
    fileprivate var hits: [Hit] = []
    fileprivate var order: NearOrder?

    fileprivate struct Hit {
        /// A squared chord on the sphere, metres on an ellipsoid.
        var distance: Double
        var id: [UInt8]
        var key: LogKey

        func isBefore(_ other: Hit) -> Bool {
            distance != other.distance
                ? distance < other.distance : id.lexicographicallyPrecedes(other.id)
        }
    }

    fileprivate mutating func cut(to count: Int) {
        hits.sort { $0.isBefore($1) }
        if hits.count > count { hits.removeLast(hits.count - count) }
    }
}

/// Measuring documents one by one, while an `ALTER` builds the index.
extension NearbyExecution {
    private static let batch = 64

    /// Begins anew, with bitmaps of all rows that are to be read.
    func startScan() {
        scanned.isNeeded = true
        scanned.order = NearOrder(
            path: request.target.path, center: .sphere(request.center, earth), field: nil)
        outcome.plan.warnings.append(
            "the index of \(request.target.path) is being built: documents are read and measured")
        check.asksHours = false
        dropAllowed()
        searches = []
        phase = .narrow(partition: 0)
    }

    func scan(_ index: Int, from start: Slot) throws(EngineError) {
        let partition = view.partitions[index]
        var rows: [(slot: Slot, key: LogKey)] = []
        rows.reserveCapacity(Self.batch)
        var next: Slot? = start
        partition.lock.lockForReading()
        while rows.count < Self.batch, let from = next,
            let slot = allowed[index].first(from: from)
        {
            rows.append((slot, partition.key(slot)))
            next = slot + 1
        }
        partition.lock.unlock()
        for row in rows { try measure(row.key) }
        outcome.plan.documentsRead += rows.count
        if rows.count == Self.batch, let next {
            phase = .scan(partition: index, from: next)
        } else if index + 1 < view.partitions.count {
            phase = .scan(partition: index + 1, from: 0)
        } else {
            finishScan()
        }
    }

    private func measure(_ key: LogKey) throws(EngineError) {
        if check.readsDocuments, let filter, try !filter.match(key) { return }
        let depth = context.shared.options.limits.documentDepthMax + 1
        let order = scanned.order
        let hit: NearbyScan.Hit? = try context.withEntry(key) { entry in
            guard let root = try? context.parser.parse(entry.document, depthMax: depth),
                let distance = order?.distance(in: root)
            else { return nil }
            return NearbyScan.Hit(distance: distance, id: [UInt8](entry.id), key: key)
        }
        guard let hit else { return }
        if let radius = request.radiusMeters {
            let bound = earth == .sphere ? Sphere.chord2(meters: radius) : radius
            guard hit.distance <= bound else { return }
        }
        scanned.total += 1
        if let after = request.after,
            hit.distance < after.distance
                || (hit.distance == after.distance && !after.id.lexicographicallyPrecedes(hit.id))
        {
            return
        }
        scanned.hits.append(hit)
        if scanned.hits.count > 4 * request.limit + 1_024 { scanned.cut(to: request.limit + 1) }
    }

    func finishScan() {
        scanned.cut(to: request.limit + 1)
        if request.radiusMeters != nil { outcome.total = scanned.total }
        for hit in scanned.hits.prefix(request.limit) {
            let meters =
                earth == .sphere
                ? Sphere.meters(angle: Sphere.angle(chord2: hit.distance)) : hit.distance
            hit.id.withUnsafeBytes { outcome.append(key: hit.key, id: $0, meters: meters) }
        }
        if scanned.hits.count > request.limit, request.limit > 0 {
            let last = scanned.hits[request.limit - 1]
            outcome.next = PlaceCursor(distance: last.distance, id: last.id)
        }
        note("scan", "documents measured", rows: scanned.total)
        phase = .finished
    }
}
