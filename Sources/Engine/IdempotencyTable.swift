import Primitives

/// The replies of writes that carried a `KEY`, for ten minutes.
///
/// Bounded: beyond `countMax` keys or `byteCountMax` bytes the oldest go first.
/// Kept in memory only: a restart forgets.
struct IdempotencyTable {
    static let lifetimeMilliseconds: Int64 = 600_000
    static let countMax = 1_000_000
    static let byteCountMax = 64 << 20

    private struct Kept {
        var result: WriteResult
        var expiresAt: Int64
    }

    private var kept: [[UInt8]: Kept] = [:]
    private var order: [[UInt8]] = []
    /// About what keys and replies take.
    private(set) var byteCount = 0
    private var orderHead = 0
    private var pending: [(key: [UInt8], result: WriteResult)] = []
    /// Where each key stands in `pending`: a group may hold thousands.
    private var pendingPlaces: [[UInt8]: Int] = [:]

    /// The first reply under this key, from an earlier group or this one.
    func reply(_ key: [UInt8], now: Int64) -> WriteResult? {
        if let earlier = kept[key], earlier.expiresAt > now { return earlier.result }
        return pendingPlaces[key].map { pending[$0].result }
    }

    /// Remembers a reply, once the group is committed.
    mutating func note(_ key: [UInt8], _ result: WriteResult) {
        pendingPlaces[key] = pending.count
        pending.append((key, result))
    }

    /// The group failed: its replies are not kept.
    mutating func dropPending() { dropPending(to: 0) }

    /// Replies noted in the current group.
    var pendingCount: Int { pending.count }

    /// A transaction failed: what was noted since `pendingCount` was `count` is not kept.
    mutating func dropPending(to count: Int) {
        while pending.count > count { pendingPlaces[pending.removeLast().key] = nil }
    }

    mutating func keepPending(now: Int64) {
        guard !pending.isEmpty || orderHead < order.count else { return }
        for (key, result) in pending {
            if let old = kept[key] {
                byteCount -= Self.byteCount(key, old.result)
            } else {
                order.append(key)
            }
            byteCount += Self.byteCount(key, result)
            kept[key] = Kept(result: result, expiresAt: now + Self.lifetimeMilliseconds)
        }
        pending = []
        pendingPlaces = [:]
        while orderHead < order.count {
            let key = order[orderHead]
            let isOld = kept[key].map { $0.expiresAt <= now } ?? true
            guard
                isOld || order.count - orderHead > Self.countMax
                    || byteCount > Self.byteCountMax
            else { break }
            if let old = kept.removeValue(forKey: key) {
                byteCount -= Self.byteCount(key, old.result)
            }
            orderHead += 1
        }
        if orderHead > 1024, orderHead * 2 > order.count {
            order.removeFirst(orderHead)
            orderHead = 0
        }
    }

    private static func byteCount(_ key: [UInt8], _ result: WriteResult) -> Int {
        2 * key.count + result.byteCount + 160
    }
}
