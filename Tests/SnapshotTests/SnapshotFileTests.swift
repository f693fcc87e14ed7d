import Primitives
import TestSupport
import Testing

@testable import Snapshot

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// A file of its own that goes with the test.
final class TemporaryFile {
    let path: String

    init() throws {
        var name = Array("snapshot-test-XXXXXX".utf8CString)
        let directory = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        name.insert(contentsOf: Array(directory.utf8CString.dropLast()) + [47], at: 0)
        let descriptor = mkstemp(&name)
        try #require(descriptor >= 0)
        close(descriptor)
        path = name.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    deinit { unlink(path) }

    func write(_ bytes: [UInt8]) throws {
        let descriptor = open(path, O_WRONLY | O_TRUNC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        try #require(count == bytes.count)
    }

    func bytes() throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Int(lseek(descriptor, 0, SEEK_END)))
        let status = bytes.withUnsafeMutableBytes { readFully(descriptor, 0, $0) }
        try #require(status == 0)
        return bytes
    }
}

/// One section as a test thinks of it.
struct TestSection {
    var id: SectionID
    var bytes: [UInt8]
    var usesDictionary = false
}

extension TemporaryFile {
    /// Makes the file a snapshot of these sections.
    func write(_ sections: [TestSection], level: Int = 1, dictionary: [UInt8]? = nil) throws {
        let descriptor = open(path, O_WRONLY | O_TRUNC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let writer = try SnapshotWriter(
            descriptor: descriptor, header: SnapshotFileTests.header, level: level,
            sectionCountMax: max(1, sections.count))
        for section in sections {
            try writer.use(dictionary: section.usesDictionary ? dictionary : nil)
            writer.begin(section.id, shape: UInt64(section.bytes.count))
            section.bytes.withUnsafeBytes { writer.put($0) }
            writer.end()
        }
        try writer.finish()
    }
}

@Suite struct SnapshotFileTests {
    static let header = SnapshotHeader(
        version: Version(77), lastKey: LogKey(version: Version(76), index: 3),
        lastChecksum: 0xABCD, createdMilliseconds: 1_700_000_000_123, identity: 5,
        partitionCount: 4, hasEntries: true)

    /// What every section of a file holds.
    private func read(_ path: String) throws -> [TestSection] {
        let file = try SnapshotFile(path: path)
        var dictionary: SnapshotDictionary?
        if let section = file.section(SectionID(.dictionary)) {
            dictionary = try SnapshotDictionary(file.source(section))
        }
        return try file.sections.map { section in
            let source = try file.source(section, dictionary: dictionary)
            var bytes = [UInt8](repeating: 0, count: source.remaining)
            // In pieces of odd sizes, so that blocks are read in parts.
            var done = 0
            while done < bytes.count {
                let count = min(bytes.count - done, 1 + done * 3 % 300_000)
                try bytes.withUnsafeMutableBytes {
                    try source.read(
                        into: UnsafeMutableRawBufferPointer(rebasing: $0[done..<done + count]))
                }
                done += count
            }
            try source.finish()
            return TestSection(id: section.id, bytes: bytes)
        }
    }

    private func sections(_ random: inout TestRandom, sizes: [Int]) -> [TestSection] {
        sizes.enumerated().map { index, size in
            let range = random.pick([2, 30, 256])
            return TestSection(
                id: SectionID(.column, collection: 9, partition: index, field: 3),
                bytes: (0..<size).map { _ in UInt8(random.below(range)) })
        }
    }

    @Test(arguments: [0, 1, 9])
    func whatWasPutInComesOut(level: Int) throws {
        var random = TestRandom()
        print("seed \(random.seed)")
        let block = Layout.blockByteCount
        let wanted = sections(
            &random, sizes: [0, 1, 15, 5_000, block - 1, block, block + 1, 3 * block + 77])
        let file = try TemporaryFile()
        try file.write(wanted, level: level)
        let found = try read(file.path)
        #expect(found.map(\.id) == wanted.map(\.id))
        #expect(found.map(\.bytes) == wanted.map(\.bytes))
        let opened = try SnapshotFile(path: file.path)
        #expect(opened.header == Self.header)
        #expect(opened.sections.map(\.shape) == wanted.map { UInt64($0.bytes.count) })
        try opened.verify()
    }

    @Test func aDictionaryIsUsedAndNeeded() throws {
        let text = Array(String(repeating: "{\"name\":\"a kettle\",\"price\":12}", count: 40).utf8)
        let file = try TemporaryFile()
        try file.write(
            [
                TestSection(id: SectionID(.dictionary), bytes: text),
                TestSection(
                    id: SectionID(.entries), bytes: Array(text.prefix(90)), usesDictionary: true),
            ], dictionary: text)
        #expect(try read(file.path)[1].bytes == Array(text.prefix(90)))
        let opened = try SnapshotFile(path: file.path)
        let section = try #require(opened.section(SectionID(.entries)))
        #expect(section.storedByteCount < 60)
        try opened.verify()
        let source = try opened.source(section)
        #expect(throws: SectionError.checksum) { try source.next(UInt8.self) }
    }

    /// Every bit of a file is covered: no single change goes unnoticed by opening and verifying.
    @Test func everyFlippedByteIsNoticed() throws {
        var random = TestRandom()
        print("seed \(random.seed)")
        let file = try TemporaryFile()
        try file.write(sections(&random, sizes: [300, 0, 700, 40]))
        let good = try file.bytes()
        for place in good.indices {
            for bit in 0..<8 {
                var bad = good
                bad[place] ^= 1 << bit
                try file.write(bad)
                #expect(throws: SnapshotError.self, "byte \(place), bit \(bit)") {
                    try SnapshotFile(path: file.path).verify()
                }
            }
        }
    }

    @Test func everyTruncationIsNoticed() throws {
        var random = TestRandom()
        let file = try TemporaryFile()
        try file.write(sections(&random, sizes: [300, 700]))
        let good = try file.bytes()
        for count in good.indices {
            try file.write(Array(good[..<count]))
            #expect(throws: SnapshotError.self, "\(count) bytes") {
                try SnapshotFile(path: file.path).verify()
            }
        }
        try file.write(good + [0])
        #expect(throws: SnapshotError.self) { try SnapshotFile(path: file.path) }
    }

    /// The same of a file of many blocks, for some places: its edges, those of all sections and
    /// blocks, and others by chance.
    @Test func damageToALargeFileIsNoticed() throws {
        var random = TestRandom()
        print("seed \(random.seed)")
        let block = Layout.blockByteCount
        let file = try TemporaryFile()
        try file.write(sections(&random, sizes: [3 * block + 77, 5, block, 700_000]), level: 1)
        let good = try file.bytes()
        var edges = [0, Layout.headerByteCount, good.count - Layout.trailerByteCount, good.count]
        for section in try SnapshotFile(path: file.path).sections {
            edges += [Int(section.offset), Int(section.offset + section.storedByteCount)]
            edges.append(Int(section.offset) + Layout.blockHeadByteCount)
        }
        var places = Set(edges.flatMap { [$0 - 1, $0] })
        for _ in 0..<200 { places.insert(random.below(good.count)) }
        for place in places where good.indices.contains(place) {
            var bad = good
            bad[place] ^= 1 << random.below(8)
            try file.write(bad)
            #expect(throws: SnapshotError.self, "byte \(place), seed \(random.seed)") {
                try SnapshotFile(path: file.path).verify()
            }
            try file.write(Array(good[..<place]))
            #expect(throws: SnapshotError.self, "\(place) bytes, seed \(random.seed)") {
                try SnapshotFile(path: file.path).verify()
            }
        }
    }

    /// Blocks name the place where they stand: two good blocks cannot change places.
    @Test func swappedBlocksAreNoticed() throws {
        let file = try TemporaryFile()
        let one = TestSection(id: SectionID(.base, partition: 0), bytes: [UInt8](0..<200))
        let two = TestSection(
            id: SectionID(.base, partition: 1), bytes: [UInt8]((0..<200).reversed()))
        try file.write([one, two], level: 0)
        var bytes = try file.bytes()
        let size = Layout.blockHeadByteCount + 200
        let start = Layout.headerByteCount
        let first = Array(bytes[start..<start + size])
        bytes.replaceSubrange(
            start..<start + size, with: bytes[start + size..<start + 2 * size])
        bytes.replaceSubrange(start + size..<start + 2 * size, with: first)
        try file.write(bytes)
        #expect(throws: SnapshotError.damaged(.section(one.id))) {
            try SnapshotFile(path: file.path).verify()
        }
    }

    @Test func aLaterFormatIsRefusedByItsNumber() throws {
        let file = try TemporaryFile()
        try file.write([TestSection]())
        var bytes = try file.bytes()
        bytes[8] = 2
        try file.write(bytes)
        #expect(throws: SnapshotError.formatTooNew(found: 2, known: 1)) {
            try SnapshotFile(path: file.path)
        }
    }

    @Test func aFullDiskIsAnError() throws {
        let descriptor = open("/dev/full", O_WRONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let writer = try SnapshotWriter(
            descriptor: descriptor, header: Self.header, level: 1, sectionCountMax: 1)
        writer.begin(SectionID(.base))
        writer.put(UInt64(1))
        writer.end()
        #expect(throws: SnapshotError.full) { try writer.finish() }
    }

    @Test func readingBeyondTheEndIsAnError() throws {
        let file = try TemporaryFile()
        try file.write([TestSection(id: SectionID(.base), bytes: [1, 2, 3])])
        let opened = try SnapshotFile(path: file.path)
        let source = try opened.source(opened.sections[0])
        #expect(throws: SectionError.length) { try source.next(UInt32.self) }
        #expect(try source.next(UInt16.self) == 0x0201)
        #expect(throws: SectionError.length) { try source.finish() }
    }
}
