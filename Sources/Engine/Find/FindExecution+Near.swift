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
        let ranked = PlaceRanking.merge(nearSearches, partitions) { ranked, id in
            let page = ranked.dropFirst(request.skip).prefix(request.limit)
            for row in page {
                outcome.hits.append(
                    FindHit(key: partitions[row.partition].key(row.slot), id: [UInt8](id(row))))
            }
            return page.last
        }
        let count = nearSearches.reduce(0) { $0 + $1.hits.count }
        guard let last = ranked, let hit = outcome.hits.last,
            count > request.skip + request.limit
        else { return }
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

/// Rows of several partitions in the order of distance and id.
enum PlaceRanking {
    struct Row {
        var chord2: Double
        var partition: Int
        var slot: Slot
    }

    /// Hands the hits of all searches in their order to `body`, with a way to their ids, while the
    /// partitions are locked for reading.
    static func merge<Result>(
        _ searches: [PlaceSearch], _ partitions: [CollectionPartition],
        _ body: ([Row], (Row) -> UnsafeRawBufferPointer) -> Result
    ) -> Result {
        var rows: [Row] = []
        rows.reserveCapacity(searches.reduce(0) { $0 + $1.hits.count })
        for (index, search) in searches.enumerated() {
            for hit in search.hits {
                rows.append(Row(chord2: hit.chord2, partition: index, slot: hit.slot))
            }
        }
        for partition in partitions { partition.lock.lockForReading() }
        defer { for partition in partitions { partition.lock.unlock() } }
        rows.sort {
            $0.chord2 != $1.chord2
                ? $0.chord2 < $1.chord2
                : compareBytes(
                    partitions[$0.partition].id($0.slot), partitions[$1.partition].id($1.slot)) < 0
        }
        return body(rows) { partitions[$0.partition].id($0.slot) }
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
