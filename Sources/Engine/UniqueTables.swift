import Primitives
import Schema

/// Which document holds which value of a unique field: the committer's own.
///
/// Keys are 64-bit hashes of (field, value) seeded per data directory; two values that share one
/// would be taken for equal, which for a million values has a chance of about 3 in 10^8.
struct UniqueTable {
    /// Hash of the value → partition << 32 | document number.
    private var holders: [UInt64: UInt64] = [:]

    struct Holder: Equatable {
        var partition: Int
        var number: UInt32
    }

    func holder(of key: UInt64) -> Holder? {
        guard let packed = holders[key] else { return nil }
        return Holder(partition: Int(packed >> 32), number: UInt32(truncatingIfNeeded: packed))
    }

    mutating func set(_ key: UInt64, to holder: Holder) {
        holders[key] = UInt64(holder.partition) << 32 | UInt64(holder.number)
    }

    mutating func remove(_ key: UInt64) { holders[key] = nil }

    mutating func removeAll() { holders = [:] }

    var count: Int { holders.count }

    /// Allocated bytes: a dictionary has a power of two of buckets, at most 3/4 of them full, two
    /// words and a bit each.
    var byteCount: Int {
        var buckets = 1
        while buckets * 3 / 4 < holders.capacity { buckets *= 2 }
        return buckets * 16 + buckets / 8
    }
}
