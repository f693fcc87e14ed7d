import Partition
import Primitives
import Query
import Schema

/// How a lookup's order is answered.
enum OrderPlan {
    /// The levels to order by columns, the id last; nil when a key has no column that can.
    static func levels(_ request: FindRequest) -> [OrderLevel]? {
        if request.near != nil { return nil }
        var levels: [OrderLevel] = []
        for key in request.sort?.keys ?? [] {
            if key.path == "_id" {
                // Ids differ: what comes behind cannot matter.
                levels.append(.id(descending: key.isDescending))
                return isReady(levels, request.view) ? levels : nil
            }
            guard let field = request.view.schema.field(at: key.path), !field.isInsideArray else {
                return nil
            }
            levels.append(.column(field.number, descending: key.isDescending))
        }
        levels.append(.id(descending: false))
        return isReady(levels, request.view) ? levels : nil
    }

    private static func isReady(_ levels: [OrderLevel], _ view: CollectionView) -> Bool {
        view.partitions.allSatisfy { partition in
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            return partition.canOrder(by: levels)
        }
    }

    /// A cursor's values by level, the id last.
    static func values(of place: CursorPlace, levels: [OrderLevel]) -> [OrderValue] {
        var values: [OrderValue] = []
        for (level, key) in zip(levels, place.keys) {
            if case .id = level { break }
            values.append(OrderValue(key))
        }
        values.append(.bytes(place.id))
        return values
    }
}

extension OrderValue {
    init(_ key: SortKeyValue) {
        switch key {
        case .emptyArray: self = .emptyArray
        case .null, .json: self = .missing
        case .key(let key): self = .key(key)
        case .bytes(let bytes): self = .bytes(bytes)
        }
    }

    /// The same value as cursors hold it.
    var sortKey: SortKeyValue {
        switch self {
        case .emptyArray: .emptyArray
        case .missing: .null
        case .key(let key): .key(key)
        case .bytes(let bytes): .bytes(bytes)
        }
    }
}
