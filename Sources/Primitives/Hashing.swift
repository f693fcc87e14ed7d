/// A seeded 64-bit hash of bytes: fast for keys of 8 to 64 bytes, not cryptographic.
///
/// Each 16 bytes are folded by one 64x64→128-bit multiplication of the two halves, both mixed with
/// secrets; inputs up to 16 bytes take two overlapping reads and no loop. The value depends on the
/// bytes, their number and the seed alone, on little-endian machines: it may be stored.
package enum Hash64 {
    @usableFromInline static let secret0: UInt64 = 0xA076_1D64_78BD_642F
    @usableFromInline static let secret1: UInt64 = 0xE703_7ED1_A0B4_28DB
    @usableFromInline static let secret2: UInt64 = 0x8EBC_6AF0_9C88_C6E3
    @usableFromInline static let secret3: UInt64 = 0x5899_65CC_7537_4CC3

    @inlinable static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }

    // SAFETY: the three reads below stay inside the caller's `offset + width <= count`.
    @inlinable static func read64(_ p: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        p.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    @inlinable static func read32(_ p: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        UInt64(p.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inlinable static func read8(_ p: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        UInt64(p.load(fromByteOffset: offset, as: UInt8.self))
    }

    /// The hash of `bytes`; no bytes are a valid input.
    ///
    /// - Complexity: O(bytes).
    @inlinable package static func hash(
        _ bytes: UnsafeRawBufferPointer,
        seed: UInt64 = 0
    ) -> UInt64 {
        let count = bytes.count
        let start = seed ^ fold(seed ^ secret0, secret1)
        guard let p = bytes.baseAddress, count > 0 else { return finish(0, 0, 0, start) }
        if count <= 16 { return hashShort(p, count, start) }
        var state = start
        var offset = 0
        if count > 48 {
            var (lane1, lane2) = (state, state)
            repeat {
                state = fold(read64(p, offset) ^ secret1, read64(p, offset &+ 8) ^ state)
                lane1 = fold(read64(p, offset &+ 16) ^ secret2, read64(p, offset &+ 24) ^ lane1)
                lane2 = fold(read64(p, offset &+ 32) ^ secret3, read64(p, offset &+ 40) ^ lane2)
                offset &+= 48
            } while count &- offset > 48
            state ^= lane1 ^ lane2
        }
        while count &- offset > 16 {
            state = fold(read64(p, offset) ^ secret1, read64(p, offset &+ 8) ^ state)
            offset &+= 16
        }
        return finish(read64(p, count &- 16), read64(p, count &- 8), count, state)
    }

    @inlinable static func hashShort(_ p: UnsafeRawPointer, _ count: Int, _ start: UInt64) -> UInt64
    {
        if count >= 8 { return finish(read64(p, 0), read64(p, count &- 8), count, start) }
        if count >= 4 { return finish(read32(p, 0), read32(p, count &- 4), count, start) }
        let bytes = read8(p, 0) << 16 | read8(p, count >> 1) << 8 | read8(p, count &- 1)
        return finish(bytes, 0, count, start)
    }

    @inlinable static func finish(
        _ a: UInt64,
        _ b: UInt64,
        _ count: Int,
        _ state: UInt64
    ) -> UInt64 {
        let mixed = fold(a ^ secret1, b ^ state)
        return fold(mixed ^ secret0 ^ UInt64(truncatingIfNeeded: count), state ^ secret1)
    }

    /// The hash of one number. - Complexity: O(1).
    @inlinable package static func hash(_ value: UInt64, seed: UInt64 = 0) -> UInt64 {
        finish(value, value, 8, seed ^ fold(seed ^ secret0, secret1))
    }
}
