import Foundation
import Primitives
import TestSupport
import Testing

@testable import Engine
@testable import Snapshot

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Goal: a section that is read ahead is what it is when it is read at once, up to the first byte
/// that is damaged, and may be left at any place.
@Suite struct ReadAheadTests {
    private static let byteCount = 7 << 20

    /// A file of one section that does not compress, and the section's bytes.
    private func made(_ seed: UInt64) throws -> (path: String, bytes: [UInt8]) {
        let path = FileManager.default.temporaryDirectory.path + "/ahead-\(UUID().uuidString)"
        var random = Xoshiro256(seed: seed)
        let bytes = (0..<Self.byteCount + 5).map { _ in UInt8.random(in: 0...255, using: &random) }
        let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let header = SnapshotHeader(
            version: Version(1), lastKey: LogKey.none, lastChecksum: 0, createdMilliseconds: 0,
            identity: 1, partitionCount: 1, hasEntries: true)
        let writer = try SnapshotWriter(
            descriptor: descriptor, header: header, level: 1, sectionCountMax: 1)
        writer.begin(SectionID(.entries))
        bytes.withUnsafeBytes { writer.put($0) }
        writer.end()
        try writer.finish()
        return (path, bytes)
    }

    /// Reads pieces of random lengths until the end or an error.
    private func read(
        _ path: String, seed: UInt64
    ) throws -> (bytes: [UInt8], error: SectionError?) {
        let file = try SnapshotFile(path: path)
        let source = try ReadAhead(file, file.sections[0], dictionary: nil)
        var random = Xoshiro256(seed: seed)
        var bytes: [UInt8] = []
        while source.remaining > 0 {
            let most = [9, 5_000, 3 << 20].randomElement(using: &random) ?? 1
            let count = min(source.remaining, Int.random(in: 1...most, using: &random))
            var piece = [UInt8](repeating: 0, count: count)
            let result = piece.withUnsafeMutableBytes { piece in
                Result { () throws(SectionError) in try source.read(into: piece) }
            }
            if case .failure(let error) = result { return (bytes, error) }
            bytes += piece
        }
        #expect(throws: SectionError.length) { try source.next(UInt8.self) }
        return (bytes, nil)
    }

    @Test func bytesComeAsTheyAre() throws {
        let seed = UInt64.random(in: 0 ... .max)
        let (path, bytes) = try made(seed)
        defer { unlink(path) }
        for round in UInt64(0)..<3 {
            let found = try read(path, seed: seed &+ round)
            #expect(found.error == nil && found.bytes == bytes, "seed \(seed)")
        }
    }

    @Test func whatIsGoodBeforeADamagedBlockIsRead() throws {
        let (path, bytes) = try made(3)
        defer { unlink(path) }
        let descriptor = open(path, O_RDWR)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        // In the third quarter of a chunk that holds the blocks 8 to 11.
        let damaged = 10 * Layout.blockByteCount
        var byte: UInt8 = 0
        let place = off_t(damaged + 20_000)
        #expect(pread(descriptor, &byte, 1, place) == 1)
        byte ^= 0x40
        #expect(pwrite(descriptor, &byte, 1, place) == 1)
        let file = try SnapshotFile(path: path)
        let source = try ReadAhead(file, file.sections[0], dictionary: nil)
        var good = [UInt8](repeating: 0, count: damaged)
        try good.withUnsafeMutableBytes { try source.read(into: $0) }
        #expect(good == Array(bytes[..<damaged]))
        for _ in 0..<2 { #expect(throws: SectionError.checksum) { try source.next(UInt8.self) } }
    }

    @Test func itMayBeLeftAtAnyPlace() throws {
        let (path, _) = try made(4)
        defer { unlink(path) }
        let file = try SnapshotFile(path: path)
        for count in [0, 1, 1 << 20, 3 << 20, 6 << 20] {
            let source = try ReadAhead(file, file.sections[0], dictionary: nil)
            var piece = [UInt8](repeating: 0, count: count)
            try piece.withUnsafeMutableBytes { try source.read(into: $0) }
            #expect(source.remaining == Self.byteCount + 5 - count)
        }
    }
}
