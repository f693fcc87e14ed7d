import CKernels

/// CRC-32C (Castagnoli), reflected, polynomial 0x1EDC6F41: the checksum of iSCSI, ext4 and Btrfs.
///
/// Sixteen tables of 256 words let one step take 16 bytes ("slicing by 16", after Kounavis and
/// Berry, "A Systematic Approach to Building High Performance Software-based CRC Generators",
/// 2005). A step waits for the one before it, so that long inputs go through in two stripes side
/// by side: the first stripe's sum is then moved past the second's bytes by four more tables (a sum
/// is linear, and so is appending zeros to it). Checked against the vectors of RFC 3720, B.4.
package enum CRC32C {
    private static let sliceCount = 16
    /// Bytes of one stripe.
    private static let stripe = 128

    /// `tables[slice * 256 + byte]`; behind the slices, the four tables that append one stripe of
    /// zeros to a sum.
    // SAFETY: allocated once, filled before it is published, never written or freed after.
    private nonisolated(unsafe) static let tables: UnsafePointer<UInt32> = {
        let tables = UnsafeMutablePointer<UInt32>.allocate(
            capacity: (sliceCount + 4) * 256
        )
        for byte in 0..<256 {
            var value = UInt32(byte)
            for _ in 0..<8 {
                value = value & 1 == 0 ? value >> 1 : value >> 1 ^ 0x82F6_3B78
            }
            tables[byte] = value
        }
        for slice in 1..<sliceCount {
            for byte in 0..<256 {
                let before = tables[(slice - 1) * 256 + byte]
                tables[slice * 256 + byte] = before >> 8 ^ tables[Int(before & 0xFF)]
            }
        }
        for slice in 0..<4 {
            for byte in 0..<256 {
                var value = UInt32(byte) << UInt32(8 * slice)
                for _ in 0..<stripe { value = value >> 8 ^ tables[Int(value & 0xFF)] }
                tables[(sliceCount + slice) * 256 + byte] = value
            }
        }
        return UnsafePointer(tables)
    }()

    /// The checksum of `bytes` that follow bytes whose checksum is `seed` (0 for none).
    /// - Complexity: O(n), about 0.3 ns per byte.
    package static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let start = bytes.baseAddress else { return seed }
        if hasInstruction {
            // SAFETY: `bytes` holds `count` readable bytes from `start` on.
            return ck_crc32c(
                start.assumingMemoryBound(to: UInt8.self), bytes.count, seed)
        }
        return tableChecksum(start, bytes.count, seed: seed)
    }

    private static let hasInstruction = ck_has_crc32c() != 0

    /// The same without the instruction: for machines that have none, and as the tests' oracle.
    static func tableChecksum(
        _ start: UnsafeRawPointer, _ count: Int, seed: UInt32 = 0
    ) -> UInt32 {
        return advance(start, count, seed, tables)
    }

    // SAFETY: reads exactly `count` bytes from `start`; table indexes are a slice below 16 and a
    // byte, so below 4,096.
    private static func advance(
        _ start: UnsafeRawPointer,
        _ count: Int,
        _ seed: UInt32,
        _ tables: UnsafePointer<UInt32>
    ) -> UInt32 {
        var crc = ~seed
        var cursor = start
        var left = count
        while left >= 2 * stripe {
            var second: UInt32 = 0
            for offset in stride(from: 0, to: stripe, by: 16) {
                crc = step(cursor + offset, crc, tables)
                second = step(cursor + (stripe + offset), second, tables)
            }
            crc = appendStripe(crc, tables + sliceCount * 256) ^ second
            cursor += 2 * stripe
            left &-= 2 * stripe
        }
        while left >= 16 {
            crc = step(cursor, crc, tables)
            cursor += 16
            left &-= 16
        }
        while left > 0 {
            let byte = cursor.load(as: UInt8.self)
            crc = crc >> 8 ^ tables[Int((crc ^ UInt32(byte)) & 0xFF)]
            cursor += 1
            left &-= 1
        }
        return ~crc
    }

    /// Takes 16 bytes.
    @inline(__always)
    private static func step(
        _ cursor: UnsafeRawPointer,
        _ crc: UInt32,
        _ tables: UnsafePointer<UInt32>
    ) -> UInt32 {
        let low = UInt64(littleEndian: cursor.loadUnaligned(as: UInt64.self)) ^ UInt64(crc)
        let high = UInt64(littleEndian: cursor.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        return fold(low, tables + 8 * 256) ^ fold(high, tables)
    }

    /// The sum after one more stripe of zeros.
    @inline(__always)
    private static func appendStripe(_ crc: UInt32, _ tables: UnsafePointer<UInt32>) -> UInt32 {
        tables[Int(crc & 0xFF)] ^ tables[256 + Int(crc >> 8 & 0xFF)]
            ^ tables[512 + Int(crc >> 16 & 0xFF)] ^ tables[768 + Int(crc >> 24)]
    }

    /// Folds 8 bytes through 8 tables that begin at `tables`, the last byte through the first.
    @inline(__always)
    private static func fold(_ word: UInt64, _ tables: UnsafePointer<UInt32>) -> UInt32 {
        let a = tables[7 * 256 + Int(word & 0xFF)] ^ tables[6 * 256 + Int(word >> 8 & 0xFF)]
        let b = tables[5 * 256 + Int(word >> 16 & 0xFF)] ^ tables[4 * 256 + Int(word >> 24 & 0xFF)]
        let c = tables[3 * 256 + Int(word >> 32 & 0xFF)] ^ tables[2 * 256 + Int(word >> 40 & 0xFF)]
        let d = tables[256 + Int(word >> 48 & 0xFF)] ^ tables[Int(word >> 56)]
        return (a ^ b) ^ (c ^ d)
    }
}
