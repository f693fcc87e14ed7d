package import Client
import Glibc

/// A `.npy` file of vectors, mapped: one row of f16 or f32 for each document.
package final class NPYFile {
    /// Rows.
    package let count: Int
    /// Numbers of a row.
    package let dimensions: Int
    private let file: MappedFile
    private let dataOffset: Int
    private let isHalf: Bool

    /// Maps the file and reads its header: version 1 to 3, `<f2` or `<f4`, C order, two axes.
    ///
    /// - Throws: ``LoadError/file(path:reason:)``, ``LoadError/vectors(path:reason:)``.
    package init(path: String) throws(LoadError) {
        file = try MappedFile(path: path)
        let bytes = file.bytes
        guard bytes.count >= 12, bytes[0] == 0x93, bytes[1..<6].elementsEqual("NUMPY".utf8) else {
            throw .vectors(path: path, reason: "not a .npy file")
        }
        let isOld = bytes[6] == 1
        let length = (0..<(isOld ? 2 : 4)).reduce(0) { $0 | Int(bytes[8 + $1]) << (8 * $1) }
        dataOffset = (isOld ? 10 : 12) + length
        guard dataOffset <= bytes.count else {
            throw .vectors(path: path, reason: "the header is cut off")
        }
        let header = String(decoding: bytes[(isOld ? 10 : 12)..<dataOffset], as: UTF8.self)
        guard header.contains("'fortran_order': False") else {
            throw .vectors(path: path, reason: "rows must be contiguous (C order)")
        }
        if header.contains("'<f2'") {
            isHalf = true
        } else if header.contains("'<f4'") {
            isHalf = false
        } else {
            throw .vectors(path: path, reason: "numbers must be little-endian f16 or f32")
        }
        guard let open = header.firstIndex(of: "("), let close = header.firstIndex(of: ")"),
            open < close
        else { throw .vectors(path: path, reason: "the header names no shape") }
        let shape = header[header.index(after: open)..<close].split(separator: ",")
            .compactMap { part in Int(part.filter { $0 != " " }) }
        guard shape.count == 2, shape[0] >= 0, (1...65_536).contains(shape[1]) else {
            throw .vectors(path: path, reason: "the shape must be (rows, dimensions)")
        }
        count = shape[0]
        dimensions = shape[1]
        let (expected, overflow) = count.multipliedReportingOverflow(
            by: dimensions * (isHalf ? 2 : 4)
        )
        guard !overflow, bytes.count - dataOffset >= expected else {
            throw .vectors(path: path, reason: "fewer bytes than the shape says")
        }
    }

    /// Adds row `index` to `queue` as little-endian f32: 4 × dimensions bytes.
    ///
    /// - Complexity: O(dimensions).
    package func append(row index: Int, to queue: ByteQueue) {
        precondition(index >= 0 && index < count, "no such row")
        guard let base = file.bytes.baseAddress else { return }
        let rowByteCount = dimensions * (isHalf ? 2 : 4)
        let start = base + dataOffset + index * rowByteCount
        guard isHalf else {
            queue.append(UnsafeRawBufferPointer(start: start, count: rowByteCount))
            return
        }
        let target = queue.reserve(dimensions * 4)
        for at in 0..<dimensions {
            let half = start.loadUnaligned(fromByteOffset: at &* 2, as: UInt16.self)
            target.storeBytes(
                of: HalfPrecision.widen(UInt16(littleEndian: half)).littleEndian,
                toByteOffset: at &* 4,
                as: UInt32.self
            )
        }
        queue.wrote(dimensions * 4)
    }
}

/// IEEE 754 half precision, on bit patterns: the same everywhere, without a half-width type.
package enum HalfPrecision {
    /// The bit pattern of the f32 equal to the f16 with the pattern `half`.
    @inlinable package static func widen(_ half: UInt16) -> UInt32 {
        let sign = UInt32(half & 0x8000) << 16
        let exponent = UInt32(half >> 10) & 0x1F
        var mantissa = UInt32(half) & 0x3FF
        if exponent == 0x1F { return sign | 0x7F80_0000 | mantissa << 13 }
        if exponent > 0 { return sign | (exponent + 112) << 23 | mantissa << 13 }
        if mantissa == 0 { return sign }
        // A subnormal: shift until its first bit is the hidden one.
        var shift: UInt32 = 0
        while mantissa & 0x400 == 0 {
            mantissa <<= 1
            shift += 1
        }
        return sign | (113 - shift) << 23 | (mantissa & 0x3FF) << 13
    }
}

/// Which row of a `.npy` file belongs to which id, from a file with one id on each line.
package final class VectorRows {
    private let file: MappedFile
    private var rows: [UInt64: (row: Int, start: Int, end: Int)] = [:]

    /// Reads the ids.
    ///
    /// - Complexity: O(bytes); 40 bytes of memory for each id.
    package init(path: String) throws(LoadError) {
        file = try MappedFile(path: path)
        var start = 0
        var row = 0
        while start < file.bytes.count {
            let end = file.bytes[start...].firstIndex(of: 0x0A) ?? file.bytes.count
            var stop = end
            if stop > start, file.bytes[stop - 1] == 0x0D { stop -= 1 }
            let id = UnsafeRawBufferPointer(rebasing: file.bytes[start..<stop])
            var key = hashBytes(id)
            while rows[key] != nil { key &+= 1 }
            rows[key] = (row, start, stop)
            row += 1
            start = end + 1
        }
    }

    /// The row of `id`, the first one if it is named twice; nil if it is not named.
    package func row(of id: UnsafeRawBufferPointer) -> Int? {
        var key = hashBytes(id)
        while let found = rows[key] {
            let count = found.end - found.start
            if count == id.count, let a = file.bytes.baseAddress, let b = id.baseAddress,
                memcmp(a + found.start, b, count) == 0
            {
                return found.row
            }
            key &+= 1
        }
        return nil
    }
}

/// FNV-1a over eight bytes at a time, mixed at the end: for routing and tables, not for enemies.
func hashBytes(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(bytes.count)
    guard let base = bytes.baseAddress else { return hash }
    var at = 0
    while at &+ 8 <= bytes.count {
        hash = (hash ^ base.loadUnaligned(fromByteOffset: at, as: UInt64.self)) &* 0x100_0000_01b3
        hash ^= hash >> 29
        at &+= 8
    }
    while at < bytes.count {
        hash = (hash ^ UInt64(base.load(fromByteOffset: at, as: UInt8.self))) &* 0x100_0000_01b3
        at &+= 1
    }
    hash ^= hash >> 33
    hash = hash &* 0xff51_afd7_ed55_8ccd
    return hash ^ hash >> 33
}
