/// Doubles as Int64 keys that order as the doubles do.
///
/// -0 and 0 are one key. Not a number has no place in the order and must not come here.
package enum OrderedDouble {
    /// The key of a number; infinities are the outermost. Traps on NaN. - Complexity: O(1).
    @inlinable package static func encode(_ value: Double) -> Int64 {
        precondition(!value.isNaN, "NaN has no order")
        let bits = Int64(bitPattern: (value == 0 ? 0.0 : value).bitPattern)
        // Negative numbers order backwards by their magnitude bits: flip those.
        return bits ^ ((bits >> 63) & Int64.max)
    }

    /// The number of a key. - Complexity: O(1).
    @inlinable package static func decode(_ key: Int64) -> Double {
        Double(bitPattern: UInt64(bitPattern: key ^ ((key >> 63) & Int64.max)))
    }
}
