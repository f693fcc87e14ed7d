package import Client

/// Made-up embeddings in clusters, as f16 rows of a `.npy` file.
///
/// Each vector is one of 64 centres plus noise, scaled to unit length: near neighbours exist, as
/// they do among real embeddings.
package struct GeneratorVectors: Sendable {
    private let seed: UInt64
    private let dimensions: Int

    /// Vectors of `dimensions` numbers under `seed`.
    package init(seed: UInt64, dimensions: Int) {
        precondition(dimensions > 0 && dimensions <= 65_536, "dimensions out of range")
        self.seed = seed
        self.dimensions = dimensions
    }

    /// Adds the header of a file of `count` rows: 128 bytes.
    package func appendHeader(count: Int, to output: ByteQueue) {
        let start = output.count
        output.append([0x93])
        output.append("NUMPY")
        output.append([1, 0, 118, 0])
        output.append("{'descr': '<f2', 'fortran_order': False, 'shape': (")
        output.append("\(count), \(dimensions)), }")
        while output.count - start < 127 { output.append(byte: 0x20) }
        output.append(byte: 0x0A)
    }

    /// Adds row `index`: 2 × dimensions bytes.
    package func append(_ index: Int, to output: ByteQueue) {
        var random = GeneratorRandom(seed: seed &+ 5 << 40, index: UInt64(index))
        let cluster = random.below(64)
        var centre = GeneratorRandom(seed: seed &+ 6 << 40, index: UInt64(cluster))
        var numbers: [Double] = []
        numbers.reserveCapacity(dimensions)
        var square = 0.0
        for _ in 0..<dimensions {
            let number = centre.normal() + 0.7 * random.normal()
            numbers.append(number)
            square += number * number
        }
        let scale = 1 / max(square, 1e-12).squareRoot()
        for number in numbers {
            let half = HalfPrecision.narrow(Float(number * scale))
            output.append(byte: UInt8(truncatingIfNeeded: half))
            output.append(byte: UInt8(truncatingIfNeeded: half >> 8))
        }
    }
}

extension HalfPrecision {
    /// The bit pattern of the f16 nearest to `value`, ties to even; infinity beyond its range.
    package static func narrow(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
        let magnitude = bits & 0x7FFF_FFFF
        if magnitude > 0x7F80_0000 { return sign | 0x7E00 }
        if magnitude >= 0x4780_0000 { return sign | 0x7C00 }
        if magnitude < 0x3880_0000 {
            // A subnormal counts steps of 2^-24; adding a large power of two rounds to even.
            let steps = (Float(bitPattern: magnitude) * 0x1p24 + 0x1p23) - 0x1p23
            return sign | UInt16(steps)
        }
        let rounded = magnitude &+ 0xFFF &+ (magnitude >> 13 & 1)
        return sign | UInt16(truncatingIfNeeded: (rounded >> 13) &- (112 << 10))
    }
}
