/// A set of Unicode scalars as sorted, disjoint ranges.
struct ScalarSet {
    private(set) var ranges: [ClosedRange<UInt32>] = []

    init(_ ranges: [ClosedRange<UInt32>] = []) {
        self.ranges = ranges
        normalise()
    }

    static let all = ScalarSet([0...0xD7FF, 0xE000...0x10FFFF])
    static let newline = ScalarSet([10...10])
    static let digits = ScalarSet([48...57])
    static let words = ScalarSet([48...57, 65...90, 95...95, 97...122])
    static let spaces = ScalarSet([9...13, 32...32])

    var isEmpty: Bool { ranges.isEmpty }

    /// The single member, if there is exactly one.
    var onlyScalar: Unicode.Scalar? {
        guard ranges.count == 1, ranges[0].count == 1 else { return nil }
        return Unicode.Scalar(ranges[0].lowerBound)
    }

    mutating func insert(_ range: ClosedRange<UInt32>) {
        ranges.append(range)
        normalise()
    }

    mutating func formUnion(_ other: ScalarSet) {
        ranges += other.ranges
        normalise()
    }

    /// All scalars that are not members; surrogates are none.
    var inverted: ScalarSet {
        var result: [ClosedRange<UInt32>] = []
        for whole in ScalarSet.all.ranges {
            var next = whole.lowerBound
            for range in ranges where range.overlaps(whole) {
                if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
                next = max(next, range.upperBound + 1)
            }
            if next <= whole.upperBound { result.append(next...whole.upperBound) }
        }
        return ScalarSet(result)
    }

    /// With the other-case forms of each member that have one scalar. Scalars from U+2500 on, where
    /// only rare scripts have case, stay as they are.
    var caseInsensitive: ScalarSet {
        var result = ranges
        for range in ranges where range.lowerBound < 0x2500 {
            for value in range.lowerBound...min(range.upperBound, 0x24FF) {
                guard let scalar = Unicode.Scalar(value) else { continue }
                for mapped in ScalarSet.otherCases(of: scalar) where mapped != scalar {
                    result.append(mapped.value...mapped.value)
                }
            }
        }
        return ScalarSet(result)
    }

    private static func otherCases(of scalar: Unicode.Scalar) -> [Unicode.Scalar] {
        let properties = scalar.properties
        return [properties.lowercaseMapping, properties.uppercaseMapping].compactMap { mapping in
            let scalars = mapping.unicodeScalars
            return scalars.count == 1 ? scalars.first : nil
        }
    }

    private mutating func normalise() {
        ranges.sort { $0.lowerBound < $1.lowerBound }
        var result: [ClosedRange<UInt32>] = []
        for range in ranges {
            if let last = result.last, range.lowerBound <= last.upperBound &+ 1 {
                result[result.count - 1] =
                    last.lowerBound...Swift.max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        ranges = result
    }
}

extension ScalarSet {
    /// The UTF-8 encodings of the members: alternatives, each a sequence of byte ranges.
    var byteSequences: [[ClosedRange<UInt8>]] {
        var result: [[ClosedRange<UInt8>]] = []
        for range in ranges {
            for length in 1...4 {
                let limits: [ClosedRange<UInt32>] = [
                    0...0x7F, 0x80...0x7FF, 0x800...0xFFFF, 0x1_0000...0x10_FFFF,
                ]
                let limit = limits[length - 1]
                guard range.overlaps(limit) else { continue }
                let part = range.clamped(to: limit)
                ScalarSet.split(part.lowerBound, part.upperBound, length, into: &result)
            }
        }
        return result
    }

    /// Splits until each part is a product of byte ranges: only the last bytes may differ freely.
    private static func split(
        _ low: UInt32,
        _ high: UInt32,
        _ length: Int,
        into result: inout [[ClosedRange<UInt8>]]
    ) {
        for index in 1..<max(1, length) {
            let mask: UInt32 = (1 << UInt32(6 * index)) - 1
            guard low & ~mask != high & ~mask else { continue }
            if low & mask != 0 {
                split(low, low | mask, length, into: &result)
                split((low | mask) + 1, high, length, into: &result)
                return
            }
            if high & mask != mask {
                split(low, (high & ~mask) - 1, length, into: &result)
                split(high & ~mask, high, length, into: &result)
                return
            }
        }
        let (a, b) = (encode(low, length), encode(high, length))
        result.append(zip(a, b).map { $0...$1 })
    }

    private static func encode(_ value: UInt32, _ length: Int) -> [UInt8] {
        switch length {
        case 1: [UInt8(value)]
        case 2: [0xC0 | UInt8(value >> 6), 0x80 | UInt8(value & 63)]
        case 3:
            [
                0xE0 | UInt8(value >> 12), 0x80 | UInt8(value >> 6 & 63), 0x80 | UInt8(value & 63),
            ]
        default:
            [
                0xF0 | UInt8(value >> 18), 0x80 | UInt8(value >> 12 & 63),
                0x80 | UInt8(value >> 6 & 63), 0x80 | UInt8(value & 63),
            ]
        }
    }
}
