// Compiled zone files, TZif (RFC 8536), versions 1 to 4.
//
// ```
// header  "TZif" version 15×0 | counts of isut, isstd, leap, time, type, char (6 × UInt32)
// data    time × transition | time × type index | type × (offset Int32, isdst, name) | …
// ```
// From version 2 on a second header and data block follow, with transitions of 64 bits, and then
// the footer between two newlines. All integers are big-endian.

/// Why bytes are no zone file.
package enum ZoneFileError: Error, Equatable, Sendable {
    /// It does not begin as one.
    case notAZoneFile
    /// It ends before what it announces, or what it says does not go together.
    case broken
    /// Its seconds count leap seconds, which no other time here does.
    case leapSeconds
}

extension ZoneRules {
    /// Reads a compiled zone file.
    ///
    /// - Throws: every case of ``ZoneFileError``. Complexity: O(bytes).
    package convenience init(
        name: String, file bytes: [UInt8]
    ) throws(ZoneFileError) {
        var reader = ZoneFileReader(bytes: bytes)
        var header = try reader.header()
        if header.version >= UInt8(ascii: "2") {
            try reader.skip(header.dataByteCount(timeByteCount: 4))
            header = try reader.header()
            let data = try reader.data(header, timeByteCount: 8)
            self.init(
                name: name, transitions: data.transitions, offsets: data.offsets,
                footer: try reader.footer())
        } else {
            let data = try reader.data(header, timeByteCount: 4)
            self.init(
                name: name, transitions: data.transitions, offsets: data.offsets, footer: nil)
        }
    }
}

/// Reads a zone file from its beginning on.
private struct ZoneFileReader {
    struct Header {
        var version: UInt8
        var utCount, standardCount, leapCount, timeCount, typeCount, nameByteCount: Int

        func dataByteCount(timeByteCount: Int) -> Int {
            timeCount * (timeByteCount + 1) + typeCount * 6 + nameByteCount
                + leapCount * (timeByteCount + 4) + standardCount + utCount
        }
    }

    let bytes: [UInt8]
    var index = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func skip(_ count: Int) throws(ZoneFileError) {
        guard bytes.count - index >= count else { throw .broken }
        index += count
    }

    /// A big-endian integer of 4 or 8 bytes. REQUIRES: they are there.
    private mutating func integer(_ byteCount: Int) -> Int64 {
        var value: UInt64 = 0
        for byte in bytes[index..<index + byteCount] { value = value << 8 | UInt64(byte) }
        index += byteCount
        let shift = UInt64(64 - byteCount * 8)
        return Int64(bitPattern: value << shift) >> Int64(shift)
    }

    mutating func header() throws(ZoneFileError) -> Header {
        guard bytes.count - index >= 44, bytes[index..<index + 4].elementsEqual("TZif".utf8) else {
            throw .notAZoneFile
        }
        let version = bytes[index + 4]
        index += 20
        var counts: [Int] = []
        for _ in 0..<6 {
            let count = Int(integer(4))
            // More than any zone has; the sums below cannot overflow.
            guard count >= 0 && count <= 1 << 20 else { throw .broken }
            counts.append(count)
        }
        return Header(
            version: version, utCount: counts[0], standardCount: counts[1], leapCount: counts[2],
            timeCount: counts[3], typeCount: counts[4], nameByteCount: counts[5])
    }

    mutating func data(
        _ header: Header, timeByteCount: Int
    ) throws(ZoneFileError) -> (transitions: [Int64], offsets: [Int32]) {
        guard bytes.count - index >= header.dataByteCount(timeByteCount: timeByteCount) else {
            throw .broken
        }
        guard header.leapCount == 0 else { throw .leapSeconds }
        guard header.typeCount > 0 else { throw .broken }
        let end = index + header.dataByteCount(timeByteCount: timeByteCount)
        let transitions = (0..<header.timeCount).map { _ in integer(timeByteCount) }
        let types = bytes[index..<index + header.timeCount].map { Int($0) }
        index += header.timeCount
        let typeOffsets = (0..<header.typeCount).map { _ in
            let offset = Int32(truncatingIfNeeded: integer(4))
            index += 2
            return offset
        }
        index = end
        guard types.allSatisfy({ $0 < typeOffsets.count }),
            typeOffsets.allSatisfy({ $0.magnitude <= 26 * 3_600 }),
            zip(transitions, transitions.dropFirst()).allSatisfy({ $0 < $1 })
        else { throw .broken }
        // The first type holds before the first transition.
        return (transitions, [typeOffsets[0]] + types.map { typeOffsets[$0] })
    }

    /// The rule between newlines; nil where there is none.
    mutating func footer() throws(ZoneFileError) -> ZoneFooter? {
        guard index < bytes.count, bytes[index] == 0x0A,
            let end = bytes[(index + 1)...].firstIndex(of: 0x0A)
        else { throw .broken }
        let text = Array(bytes[index + 1..<end])
        index = end + 1
        if text.isEmpty { return nil }
        guard let footer = ZoneFooter(text) else { throw .broken }
        return footer
    }
}
