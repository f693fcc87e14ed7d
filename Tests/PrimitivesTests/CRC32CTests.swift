import Testing

@testable import Primitives

@Suite struct CRC32CTests {
    private func checksum(_ bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBytes { CRC32C.checksum($0) }
    }

    @Test func testVectorsOfTheStandardHold() {
        #expect(checksum([]) == 0)
        #expect(checksum(Array("123456789".utf8)) == 0xE306_9283)
        #expect(checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(checksum((0..<32).map { UInt8($0) }) == 0x46DD_794E)
        #expect(checksum((0..<32).reversed().map { UInt8($0) }) == 0x113F_DB5C)
    }

    @Test func everyLengthAgreesWithTheDefinition() {
        let bytes = (0..<700).map { UInt8(truncatingIfNeeded: $0 &* 151 ^ $0 >> 3) }
        var crc = ~UInt32(0)
        for (length, byte) in bytes.enumerated() {
            #expect(checksum(Array(bytes[..<length])) == ~crc, "length \(length)")
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0x82F6_3B78 }
        }
    }

    @Test func everySplitGivesTheSameSum() {
        let bytes = (0..<1_000).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let whole = checksum(bytes)
        bytes.withUnsafeBytes { raw in
            for cut in 0...bytes.count {
                let first = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: raw[..<cut]))
                let both = CRC32C.checksum(
                    UnsafeRawBufferPointer(rebasing: raw[cut...]),
                    seed: first
                )
                #expect(both == whole, "cut at \(cut)")
            }
        }
    }
}

extension CRC32CTests {
    /// The processor's instruction and the tables are twins: each is the other's oracle.
    @Test func instructionAndTablesAgreeAtEveryLengthAndAlignment() {
        let bytes = (0..<700).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 3) }
        bytes.withUnsafeBytes { raw in
            for start in 0..<9 {
                for count in 0..<(raw.count - start) {
                    let part = UnsafeRawBufferPointer(rebasing: raw[start..<start + count])
                    guard let base = part.baseAddress else { continue }
                    #expect(
                        CRC32C.checksum(part, seed: 7)
                            == CRC32C.tableChecksum(base, count, seed: 7))
                }
            }
        }
    }
}
