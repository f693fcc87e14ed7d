import GeoIndex
import GeoJSON
import Partition
import Primitives
package import Query
package import Schema

/// The page in the order of `$near`, where an index of points can give it.
extension FindExecution {
    /// Whether every partition's index can put its matches in order.
    var isNearByIndex: Bool {
        guard let near = request.near, let field = near.field, request.version == nil,
            case .sphere(_, .sphere) = near.center
        else { return false }
        return request.view.hasReadyPlaces(field)
    }

    /// One step of a partition's search among its matches.
    func searchNear(_ index: Int) {
        guard let near = request.near, let field = near.field,
            case .sphere(let center, _) = near.center
        else { preconditionFailure("an order by distance") }
        if nearSearches.count == index {
            nearSearches.append(
                PlaceSearch(
                    partition: partitions[index],
                    query: PlaceQuery(
                        field: field.number, center: SpherePoint(center), chord2Max: 4,
                        after: request.after.flatMap { PlaceAfter($0) },
                        count: request.skip + request.limit + 1, wantsTotal: false),
                    version: version, match: .rows(matches[index]), pool: context.bitmaps,
                    scratch: context.geoScratch))
        }
        guard nearSearches[index].step() else { return }
        if index + 1 < partitions.count {
            phase = .near(partition: index + 1)
        } else {
            noteStage(
                "near", Set(nearSearches.map(\.method.rawValue)).sorted().joined(separator: ", "),
                rows: nearSearches.reduce(0) { $0 + $1.hits.count })
            phase = .select
        }
    }

    /// Merges the partitions' hits and cuts the page.
    func selectNear() {
        partitions.lockForReading()
        defer { partitions.unlock() }
        let ranked = PlaceRanking.rows(
            nearSearches, partitions, count: request.skip + request.limit + 1)
        for row in ranked.dropFirst(request.skip).prefix(request.limit) {
            let partition = partitions[Int(row.partition)]
            outcome.hits.append(
                FindHit(key: partition.key(row.slot), id: [UInt8](partition.id(row.slot))))
        }
        guard ranked.count > request.skip + request.limit, let hit = outcome.hits.last else {
            return
        }
        let last = ranked[request.skip + request.limit - 1]
        outcome.next = CursorPlace(keys: [.key(OrderedKey.key(last.chord2))], id: hit.id)
    }
}

extension PlaceAfter {
    /// The place of a cursor in the order of distances.
    init?(_ place: CursorPlace) {
        guard place.keys.count == 1, case .key(let key) = place.keys[0] else { return nil }
        self.init(chord2: OrderedKey.double(key), id: place.id)
    }
}

extension CollectionView {
    /// Whether columns alone cannot answer a filter.
    package func readsDocuments(for filter: CompiledFilter) -> Bool {
        let partition = partitions[0]
        partition.lock.lockForReading()
        defer { partition.lock.unlock() }
        let evaluator = FilterEvaluator(
            partition: partition, visible: Bitmap(capacity: 1), version: .zero,
            pool: BitmapPool(), hash: hash)
        return !evaluator.unindexedPaths(filter).isEmpty
    }

    /// Whether every partition's index of a field may be used.
    package func hasReadyPlaces(_ field: Field) -> Bool {
        for partition in partitions {
            partition.lock.lockForReading()
            let isReady = partition.placeField(field.number) != nil
            partition.lock.unlock()
            if !isReady { return false }
        }
        return true
    }
}
