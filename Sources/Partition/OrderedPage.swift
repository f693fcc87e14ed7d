package import Primitives
package import Query
package import Schema
import Synchronization

/// A page read off from the partitions' ``OrderedRows``, merged.
package struct OrderedPage {
    /// What a page is of.
    package struct Request {
        /// Nil: the order is that of ids.
        package let field: FieldNumber?
        let isDescending: Bool
        /// Keys of the field that can match, inclusive, if the filter bounds them.
        let range: ClosedRange<Int64>?
        /// The place behind which the page begins.
        let after: (key: Int64, id: [UInt8])?
        let skip: Int
        let count: Int

        /// - Parameters:
        ///   - levels: the order; nil is the result for one that is neither a field's and then the
        ///     id's nor the id's alone, ascending.
        ///   - after: the cursor's values by level.
        ///   - filter: bounds the keys of the field.
        package init?(
            _ levels: [OrderLevel], filter: CompiledFilter, after: [OrderValue]?, skip: Int,
            count: Int
        ) {
            guard case .id(descending: false)? = levels.last, levels.count <= 2 else { return nil }
            if case .column(let field, let descending) = levels[0] {
                self.field = field
                isDescending = descending
                range = filter.keyRange(of: field)
            } else {
                guard levels.count == 1 else { return nil }
                field = nil
                isDescending = false
                range = nil
            }
            switch (after?.first, after?.last) {
            case (nil, _): self.after = nil
            case (.key(let key), .bytes(let id)) where field != nil: self.after = (key, id)
            case (_, .bytes(let id)) where field == nil: self.after = (0, id)
            default: return nil
            }
            self.skip = skip
            self.count = count
        }
    }

    /// Rows that a page may look at; beyond that, choosing from all costs less.
    private static let lookMax = 65_536

    private let request: Request
    private let partitions: [CollectionPartition]
    private var cursors: [OrderedCursor] = []
    /// The next row of each partition.
    private var heads: [OrderedRow?] = []
    /// Bytes that the ids of every partition leave out of their keys.
    private let sharedIDCount: Int
    /// By partition, how its keys of ids become those of what all partitions leave out.
    private let alignments: [IDKeyAlignment]

    /// Reads the rows of ranks [skip, skip + count).
    ///
    /// The partitions' reader locks are held.
    /// - Parameters:
    ///   - matches: by partition, the rows that match.
    ///   - counts: how many these are.
    ///   - pool: lends bitmaps.
    /// - Returns: nil where a partition has no such order, rows may lack the value, or another way
    ///   would cost less.
    package static func rows(
        _ request: Request, _ partitions: [CollectionPartition], matches: [Bitmap], counts: [Int],
        pool: BitmapPool
    ) -> [Candidate]? {
        var scratch: [Bitmap] = []
        defer { for bitmap in scratch { pool.giveBack(bitmap) } }
        let isBounded = request.range != nil
        guard partitions.allSatisfy({ $0.canReadOff(request.field, hasRange: isBounded) }),
            let orders = orders(request, partitions)
        else { return nil }
        var page = OrderedPage(request, partitions)
        for (index, partition) in partitions.enumerated() {
            scratch.append(pool.borrow(capacity: partition.slotBound))
            let bounds = bounds(request, partition)
            let cursor = (request.after?.id ?? []).withUnsafeBytes { id in
                OrderedCursor(
                    orders[index], match: matches[index], scratch: scratch[index],
                    least: bounds.least, leastID: bounds.isPlace ? id : nil, most: bounds.most,
                    lookMax: lookMax)
            }
            page.cursors.append(cursor)
        }
        let matching = counts.reduce(0, +)
        let within = page.cursors.reduce(0) { $0 + $1.remaining }
        let wanted = Double(request.skip) + Double(request.count)
        // As if the matches were spread evenly over the rows in question.
        let looks = wanted * Double(within) / Double(max(1, matching))
        guard looks <= Double(lookMax / 2) else { return nil }
        for order in orders { order.isUsed.store(true, ordering: .relaxed) }
        let passed = page.passBy(matching: matching)
        return page.merge(skip: request.skip - passed)
    }

    private init(_ request: Request, _ partitions: [CollectionPartition]) {
        self.request = request
        self.partitions = partitions
        let shared = CollectionPartition.sharedIDPrefixCount(partitions)
        sharedIDCount = shared
        alignments = partitions.map { IDKeyAlignment(prefix: $0.commonIDPrefix, shared: shared) }
    }

    private static func orders(
        _ request: Request, _ partitions: [CollectionPartition]
    ) -> [OrderedRows]? {
        // Each is asked, so that all that are missed are noted.
        let orders = partitions.compactMap {
            $0.orders(request.field)?.order(descending: request.isDescending)
        }
        return orders.count == partitions.count ? orders : nil
    }

    /// The first and last place that counts in a partition; whether the first is that behind which
    /// the page begins.
    private static func bounds(
        _ request: Request, _ partition: CollectionPartition
    ) -> (least: OrderKey, most: OrderKey, isPlace: Bool) {
        let range = request.range ?? Int64.min...Int64.max
        let descending = request.isDescending
        let least = OrderKey(key: descending ? ~range.upperBound : range.lowerBound, id: .min)
        let most = OrderKey(key: descending ? ~range.lowerBound : range.upperBound, id: .max)
        guard let after = request.after else { return (least, most, false) }
        let place = OrderKey(
            key: descending ? ~after.key : after.key,
            id: after.id.withUnsafeBytes { partition.idKey(ofForeign: $0) })
        return place < least ? (least, most, false) : (place, most, true)
    }

    /// Moves the cursors on over most of the rows that are skipped, which are counted only.
    ///
    /// - Returns: how many matching rows that were.
    private mutating func passBy(matching: Int) -> Int {
        guard request.skip >= 256, request.after == nil, matching > request.skip,
            let leader = cursors.indices.max(by: {
                cursors[$0].remaining < cursors[$1].remaining
            })
        else { return 0 }
        var share = 0.97 * Double(request.skip) / Double(matching)
        for _ in 0..<4 {
            let offset = Int(share * Double(cursors[leader].remaining))
            guard let row = cursors[leader].row(after: offset) else { return 0 }
            let targets = targets(row, of: partitions[leader])
            let counted = cursors.indices.map { cursors[$0].count(before: targets[$0]) }
            let passed = counted.reduce(0) { $0 + $1.rows }
            if passed <= request.skip {
                for index in cursors.indices {
                    cursors[index].move(to: counted[index].place, targets[index])
                }
                return passed
            }
            share *= 0.9 * Double(request.skip) / Double(passed)
        }
        return 0
    }

    /// One place in the order as each partition's keys tell it: that of a row's key and of so much
    /// of its id as the keys of all partitions can tell. Rows before it in any partition come
    /// before all rows that are not.
    private func targets(_ row: OrderedRow, of owner: CollectionPartition) -> [OrderKey] {
        let id = owner.id(row.slot)
        let start = UnsafeRawBufferPointer(rebasing: id[..<min(id.count, sharedIDCount + 8)])
        return partitions.map {
            OrderKey(key: row.order.key, id: $0.idKey(ofForeign: start))
        }
    }

    /// Passes `skip` rows and gives those that follow; nil when that takes too long.
    private mutating func merge(skip: Int) -> [Candidate]? {
        for index in cursors.indices {
            heads.append(cursors[index].next())
            if cursors[index].isExhausted { return nil }
        }
        var rows: [Candidate] = []
        rows.reserveCapacity(min(request.count, 1_024))
        var toSkip = skip
        while rows.count < request.count, let index = least() {
            guard let row = heads[index] else { break }
            heads[index] = cursors[index].next()
            if cursors[index].isExhausted { return nil }
            if !isBehindPlace(row, index) { continue }
            if toSkip > 0 {
                toSkip -= 1
                continue
            }
            rows.append(
                Candidate(key: row.order.key, partition: UInt16(index), slot: row.slot))
        }
        return rows
    }

    /// Whether a row comes behind the cursor that the page was asked with.
    private func isBehindPlace(_ row: OrderedRow, _ index: Int) -> Bool {
        guard let after = request.after else { return true }
        let key = request.isDescending ? ~after.key : after.key
        if row.order.key != key { return true }
        return after.id.withUnsafeBytes {
            compareBytes(partitions[index].id(row.slot), $0) > 0
        }
    }

    /// The partition whose next row comes first.
    private func least() -> Int? {
        var best: Int?
        for (index, head) in heads.enumerated() {
            guard let head else { continue }
            guard let known = best, let other = heads[known] else {
                best = index
                continue
            }
            if comes(head, of: index, before: other, of: known) { best = index }
        }
        return best
    }

    private func comes(
        _ row: OrderedRow, of index: Int, before other: OrderedRow, of known: Int
    ) -> Bool {
        if row.order.key != other.order.key { return row.order.key < other.order.key }
        let key = alignments[index].align(row.order.id)
        let otherKey = alignments[known].align(other.order.id)
        if key != otherKey { return key < otherKey }
        return compareBytes(partitions[index].id(row.slot), partitions[known].id(other.slot)) < 0
    }
}

/// Makes keys of ids, which leave out what all ids of a partition begin with, comparable with keys
/// that leave out less of the same beginning. Ids whose keys differ are in the order of these.
struct IDKeyAlignment {
    /// The bytes that come in front, at the top of a word.
    private let front: UInt64
    private let bitCount: UInt64

    /// - Parameters:
    ///   - prefix: what the partition's keys leave out.
    ///   - shared: how many of these bytes all partitions leave out.
    init(prefix: [UInt8], shared: Int) {
        let bytes = prefix.dropFirst(shared)
        var word: UInt64 = 0
        for (index, byte) in bytes.prefix(8).enumerated() {
            word |= UInt64(byte) << UInt64(56 - 8 * index)
        }
        front = word
        bitCount = UInt64(bytes.count * 8)
    }

    /// The key as the others' are. - Complexity: O(1).
    func align(_ key: Int64) -> UInt64 {
        let word = UInt64(bitPattern: key) ^ (1 << 63)
        return front | (bitCount == 0 ? word : word >> bitCount)
    }
}
