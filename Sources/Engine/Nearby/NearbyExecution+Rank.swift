import GeoIndex
import Partition
import Primitives

/// The partitions' hits in one order, cut to what was asked for.
extension NearbyExecution {
    func rank() {
        if request.isExplained {
            outcome.plan.estimate = searches.reduce(0) { $0 + $1.estimate }
            note(
                "search", Set(searches.map(\.method.rawValue)).sorted().joined(separator: ", "),
                rows: searches.reduce(0) { $0 + $1.hits.count })
        }
        view.partitions.lockForReading()
        defer { view.partitions.unlock() }
        if earth == .wgs84 { return rankOnEllipsoid() }
        if request.radiusMeters != nil {
            var total = 0
            for search in searches { total += search.total }
            outcome.total = total
        }
        let rows =
            check.isNeeded
            ? check.passed
            : PlaceRanking.rows(searches, view.partitions, count: request.limit + 1)
        let count = min(request.limit, rows.count)
        emit(rows, count)
        if rows.count > request.limit, let last = outcome.hits.last {
            outcome.next = PlaceCursor(
                distance: rows[request.limit - 1].chord2, id: outcome.id(last))
        }
        finishRanking()
    }

    private func finishRanking() {
        note("rank", "by distance", rows: outcome.hits.count)
        phase = .finished
    }

    /// Makes the first `count` rows hits.
    private func emit(_ rows: [PlaceRanking.Row], _ count: Int) {
        outcome.hits.reserveCapacity(count)
        outcome.ids.reserveCapacity(16 * count)
        withUnsafeTemporaryAllocation(of: PlaceHitView.self, capacity: count) { hits in
            for place in 0..<count {
                hits.initializeElement(
                    at: place,
                    to: PlaceHitView(partition: rows[place].partition, slot: rows[place].slot))
            }
            for index in 0..<view.partitions.count {
                view.partitions[index].read(
                    hits, of: Int32(truncatingIfNeeded: index), field: request.target.number,
                    to: center, wantsKeys: request.wantsKeys)
            }
            for hit in hits {
                outcome.append(
                    key: LogKey(rawValue: hit.key), id: hit.id,
                    meters: Sphere.meters(angle: hit.angle))
            }
        }
    }

    // MARK: - On an ellipsoid

    /// A hit and how far it is on the ellipsoid.
    private struct Measured {
        var row: PlaceRanking.Row
        var meters: Double
        var id: [UInt8]
    }

    /// Measures the hits on the ellipsoid; searches on, wider, where one that was not found may
    /// come before the last.
    private func rankOnEllipsoid() {
        let points = view.partitions.map { $0.placeField(request.target.number)?.points }
        var measured: [Measured] = []
        for row in PlaceRanking.rows(searches, view.partitions, count: .max) {
            let index = Int(row.partition)
            let places = points[index]?.positions(of: row.slot) ?? []
            let meters = places.map { earth.meters(request.center, $0.latLng) }.min() ?? 0
            measured.append(
                Measured(
                    row: row, meters: meters, id: [UInt8](view.partitions[index].id(row.slot))))
        }
        if let after = request.after {
            measured.removeAll {
                $0.meters < after.distance
                    || ($0.meters == after.distance
                        && !after.id.lexicographicallyPrecedes($0.id))
            }
        }
        measured.sort {
            $0.meters != $1.meters
                ? $0.meters < $1.meters : $0.id.lexicographicallyPrecedes($1.id)
        }
        let isWhole = searches.allSatisfy { search in
            guard search.hits.count >= asked, let last = search.hits.last else { return true }
            guard measured.count > request.limit else { return false }
            let covered = earth.sphereMeters(covering: measured[request.limit].meters)
            return Sphere.meters(angle: Sphere.angle(chord2: last.chord2)) > covered
        }
        if !isWhole, !outcome.isPartial {
            asked *= 2
            searches = []
            phase = .search(partition: 0)
            return
        }
        if request.radiusMeters != nil {
            outcome.total =
                allowed.isEmpty
                ? filter?.outcome.total ?? 0 : allowed.reduce(0) { $0 + $1.count }
        }
        for hit in measured.prefix(request.limit) {
            let key = view.partitions[Int(hit.row.partition)].key(hit.row.slot)
            hit.id.withUnsafeBytes { outcome.append(key: key, id: $0, meters: hit.meters) }
        }
        if measured.count > request.limit, let last = outcome.hits.last {
            outcome.next = PlaceCursor(distance: last.meters, id: outcome.id(last))
        }
        finishRanking()
    }
}
