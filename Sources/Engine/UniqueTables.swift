import Primitives
import Schema

/// One value of one unique field: a 64-bit hash of (field, value), seeded per data directory.
///
/// Two values that share one would be taken for equal, which for a million values has a chance of
/// about 3 in 10^8.
struct UniqueKey: Equatable, Sendable {
    var field: FieldNumber
    var key: UInt64
}

/// Which document holds which value of a unique field: the committer's own.
///
/// While a new unique key is being built nothing refuses a second holder, so all of them are kept:
/// at the end the table itself says whether there are duplicates.
struct UniqueTable {
    /// Key → partition << 32 | document number.
    private var holders: [UInt64: UInt64] = [:]
    /// Further holders of a key; empty once the field is in force.
    private var others: [UInt64: [UInt64]] = [:]

    struct Holder: Equatable {
        var partition: Int
        var number: UInt32

        init(partition: Int, number: UInt32) {
            self.partition = partition
            self.number = number
        }

        fileprivate init(packed: UInt64) {
            self.init(
                partition: Int(packed >> 32), number: UInt32(truncatingIfNeeded: packed))
        }

        fileprivate var packed: UInt64 { UInt64(partition) << 32 | UInt64(number) }
    }

    /// The document that holds a value, the first one if there are several.
    func holder(of key: UInt64) -> Holder? { holders[key].map { Holder(packed: $0) } }

    /// Complexity: O(1), or O(holders of the key) where there are several.
    mutating func add(_ key: UInt64, _ holder: Holder) {
        let new = holder.packed
        guard let old = holders.updateValue(new, forKey: key), old != new else { return }
        holders[key] = old
        if others[key]?.contains(new) != true { others[key, default: []].append(new) }
    }

    /// Forgets that `holder` holds the value; nothing if it does not.
    mutating func remove(_ key: UInt64, _ holder: Holder) {
        let packed = holder.packed
        guard var more = others[key] else {
            if holders[key] == packed { holders[key] = nil }
            return
        }
        if holders[key] == packed {
            holders[key] = more.removeLast()
        } else {
            more.removeAll { $0 == packed }
        }
        others[key] = more.isEmpty ? nil : more
    }

    /// Up to `limit` pairs of documents that hold the same value.
    func duplicates(limit: Int) -> [(first: Holder, second: Holder)] {
        var pairs: [(first: Holder, second: Holder)] = []
        for (key, more) in others {
            guard let first = holders[key] else { continue }
            for second in more {
                if pairs.count == limit { return pairs }
                pairs.append((Holder(packed: first), Holder(packed: second)))
            }
        }
        return pairs
    }

    var count: Int { holders.count }

    /// Allocated bytes: a dictionary has a power of two of buckets, at most 3/4 of them full, two
    /// words and a bit each.
    var byteCount: Int {
        var buckets = 1
        while buckets * 3 / 4 < holders.capacity { buckets *= 2 }
        return buckets * 16 + buckets / 8 + others.count * 64
    }
}
