/// A small seeded generator (SplitMix64): the same numbers on every machine.
///
/// Everything made of it uses integers and the four basic operations on doubles only, which IEEE
/// 754 defines to the last bit, so generated files are equal byte for byte.
package struct GeneratorRandom: Sendable {
    private var state: UInt64

    /// The stream of item `index` under `seed`: streams do not depend on each other.
    package init(seed: UInt64, index: UInt64) {
        state = Self.mix(seed &+ 0x9e37_79b9_7f4a_7c15) ^ Self.mix(index &* 0xd134_2543_de82_ef95)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    /// 64 random bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Self.mix(state)
    }

    /// A number from 0 to `bound` - 1; the bias is below bound / 2^64.
    package mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0, "a range needs a value")
        return Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// True `percent` times of a hundred.
    package mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    /// From 0 up to, not including, 1.
    package mutating func unit() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    /// Close to a standard normal number, between -6 and 6: a sum of twelve uniform ones.
    package mutating func normal() -> Double {
        var sum: UInt64 = 0
        for _ in 0..<3 {
            let bits = next()
            sum &+= bits & 0xFFFF
            sum &+= bits >> 16 & 0xFFFF
            sum &+= bits >> 32 & 0xFFFF
            sum &+= bits >> 48
        }
        return Double(sum) / 65_536 - 6
    }

    /// `median` times e to a normal number of deviation `sigma`.
    package mutating func logNormal(median: Double, sigma: Double) -> Double {
        median * Self.exp2(normal() * sigma * 1.442_695_040_888_963_4)
    }

    /// 2^x within 1e-7, by basic operations only.
    static func exp2(_ x: Double) -> Double {
        let whole = x.rounded(.down)
        let f = x - whole
        let polynomial =
            1 + f
            * (0.693_147_18
                + f
                * (0.240_226_5
                    + f * (0.055_504_1 + f * (0.009_618_1 + f * (0.001_333_4 + f * 0.000_154_0)))))
        return polynomial * Double(sign: .plus, exponent: Int(whole), significand: 1)
    }
}

/// Calendar arithmetic on the proleptic Gregorian calendar, UTC.
enum Calendar {
    /// Year, month and day of a count of days since 1970-01-01.
    ///
    /// Counts years from March, so that the leap day is a year's last.
    static func civil(days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
            dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        )
    }
}
