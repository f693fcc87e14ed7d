/// The SplitMix64 generator: one word of state, every seed good. For seeding and small draws.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    @usableFromInline var state: UInt64

    /// A generator whose sequence is a function of the seed alone.
    @inlinable package init(seed: UInt64) { state = seed }

    /// The next 64 random bits. - Complexity: O(1).
    @inlinable package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// The xoshiro256++ generator: long period, for simulations and workloads.
package struct Xoshiro256: RandomNumberGenerator, Sendable {
    @usableFromInline var a: UInt64
    @usableFromInline var b: UInt64
    @usableFromInline var c: UInt64
    @usableFromInline var d: UInt64

    /// A generator whose sequence is a function of the seed alone.
    @inlinable package init(seed: UInt64) {
        var seeder = SplitMix64(seed: seed)
        a = seeder.next()
        b = seeder.next()
        c = seeder.next()
        d = seeder.next()
    }

    /// The next 64 random bits. - Complexity: O(1).
    @inlinable package mutating func next() -> UInt64 {
        let sum = a &+ d
        let result = (sum << 23 | sum >> 41) &+ a
        let shifted = b << 17
        c ^= a
        d ^= b
        b ^= c
        a ^= d
        c ^= shifted
        d = d << 45 | d >> 19
        return result
    }
}
