import Glibc
import Primitives
import Testing

@testable import DocumentStore

@Suite struct VerificationTests {
    private func key(_ version: UInt64) -> LogKey { LogKey(version: Version(version), index: 0) }

    private func fill(_ directory: TemporaryDirectory, _ entries: [Entry]) throws {
        let writer = try LogStore(StoreOptions(directory: directory.path)).makeWriter()
        try writer.begin()
        for entry in entries { try writer.append(entry) }
        try withBytes([1, 2]) { (bytes) throws(StoreError) in
            try writer.appendVector(key(1), field: 1, bytes)
        }
        try writer.putMeta("schema", [1])
        try writer.commit()
    }

    /// Changes one byte of the only place in the data file that holds `pattern`.
    private func damage(_ directory: TemporaryDirectory, _ pattern: [UInt8]) throws {
        let path = directory.file("data.mdb")
        let descriptor = open(path, O_RDWR)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Int(try StoreFiles.byteCount(descriptor)))
        #expect(pread(descriptor, &bytes, bytes.count, 0) == bytes.count)
        let places = (0...bytes.count - pattern.count).filter {
            bytes[$0] == pattern[0] && bytes[$0..<$0 + pattern.count].elementsEqual(pattern)
        }
        try #require(places.count == 1)
        #expect(pwrite(descriptor, [pattern[0] ^ 1], 1, off_t(places[0])) == 1)
    }

    @Test func wholeStoreIsClean() throws {
        let directory = TemporaryDirectory()
        let reference = VectorReference(field: 1, dimensions: 1, key: key(1))
        try fill(
            directory,
            [
                Entry(1, vectors: [reference]), Entry(2, previous: key(1), vectors: [reference]),
                Entry(3, operation: .remove, previous: key(2)),
            ]
        )
        let report = try verifyStore(directory.path)
        #expect(report.isClean)
        #expect(report.entryCount == 3)
        #expect(report.tombstoneCount == 1)
        #expect(report.vectorReferenceCount == 2)
        #expect(report.vectorCount == 1)
        #expect(report.metaCount == 1)
        #expect(report.firstKey == key(1))
        #expect(report.lastKey == key(3))
    }

    @Test func eachKindOfProblemIsFound() throws {
        let directory = TemporaryDirectory()
        let missing = VectorReference(field: 9, dimensions: 1, key: key(1))
        try fill(
            directory,
            [
                Entry(1, document: Array("unlikely-words".utf8)),
                Entry(2, previous: key(2)),
                Entry(3, id: "other", previous: key(2)),
                Entry(4, vectors: [missing]),
            ]
        )
        try damage(directory, Array("unlikely-words".utf8))
        let report = try verifyStore(directory.path)
        #expect(
            report.problems == [
                .damaged(.checksum(key(1))), .previousNotOlder(key(2)), .previousForeign(key(3)),
                .vectorMissing(key(4), field: 9),
            ]
        )
        #expect(report.problemCount == 4)
    }

    /// A restore that was cut short leaves entries whose vectors had not come yet.
    @Test func vectorsOfCollectionsThatAreGoneAreNotMissed() throws {
        let directory = TemporaryDirectory()
        let missing = VectorReference(field: 9, dimensions: 1, key: key(1))
        try fill(directory, [Entry(1), Entry(4, vectors: [missing])])
        #expect(try verifyStore(directory.path).problemCount == 1)
        let report = try verifyStore(directory.path, collections: { _ in [] })
        #expect(report.isClean)
        #expect(report.entryCount == 2)
        #expect(report.orphanCount == 2)
    }

    @Test func damagedLengthsAreFoundAndPassedOver() throws {
        let directory = TemporaryDirectory()
        try fill(directory, [Entry(1, id: "unlikely"), Entry(2)])
        // The document's length and the checksum stand before the id; its length is the 4 bytes
        // at 36, so that a change there makes the lengths disagree.
        let path = directory.file("data.mdb")
        let descriptor = open(path, O_RDWR)
        var bytes = [UInt8](repeating: 0, count: Int(try StoreFiles.byteCount(descriptor)))
        #expect(pread(descriptor, &bytes, bytes.count, 0) == bytes.count)
        let id = Array("unlikely".utf8)
        let place = try #require(
            (0..<bytes.count - 8).first { bytes[$0..<$0 + 8].elementsEqual(id) }
        )
        #expect(pwrite(descriptor, [200] as [UInt8], 1, off_t(place - 8)) == 1)
        close(descriptor)
        let report = try verifyStore(directory.path)
        #expect(report.problems == [.damaged(.entry(key(1)))])
        #expect(report.entryCount == 1)
    }

    @Test func everyFlippedBitOfAnEntryIsNoticed() throws {
        let entry = Entry(
            5,
            id: "abc",
            document: Array(#"{"a":1}"#.utf8),
            vectors: [VectorReference(field: 1, dimensions: 2, key: key(4))]
        )
        let count = LogEntryLayout.byteCount(idByteCount: 3, vectorCount: 1, documentByteCount: 7)
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { target in
            entry.id.withUnsafeBytes { id in
                entry.document.withUnsafeBytes { document in
                    LogEntryLayout.write(
                        into: target,
                        key: entry.key,
                        header: entry.header,
                        id: id,
                        document: document,
                        vectors: entry.vectors
                    )
                }
            }
        }
        func check(_ bytes: [UInt8], _ key: LogKey) throws {
            try withBytes(bytes) { (raw) throws(StoreError) in
                try LogEntryView(key: key, bytes: raw).verify()
            }
        }
        try check(bytes, entry.key)
        #expect(throws: StoreError.self) { try check(bytes, key(6)) }
        for bit in 0..<count * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: StoreError.self) { try check(damaged, entry.key) }
        }
        for length in 0..<count {
            #expect(throws: StoreError.self) { try check(Array(bytes[..<length]), entry.key) }
        }
    }

    @Test func compactionKeepsEverythingAndShrinksTheFile() throws {
        let directory = TemporaryDirectory()
        let options = StoreOptions(directory: directory.path)
        let document = [UInt8](repeating: 5, count: 1_000)
        do {
            let store = try LogStore(options)
            let writer = try store.makeWriter()
            for version in 1...20 as ClosedRange<UInt64> {
                try writer.commit((0..<100).map { Entry(version, $0, document: document) })
            }
            try writer.begin()
            for version in 1...19 as ClosedRange<UInt64> {
                for index in 0..<100 {
                    try writer.delete(LogKey(version: Version(version), index: index))
                }
            }
            try writer.putMeta("a", [1])
            try writer.commit()
            #expect(throws: StoreError.locked) { try compactStore(directory.path) }
            let copy = directory.file("copy")
            try store.copyCompact(to: copy)
            #expect(throws: StoreError.io(code: EEXIST)) { try store.copyCompact(to: copy) }
        }
        let result = try compactStore(directory.path)
        #expect(result.byteCountAfter < 300_000)
        #expect(result.byteCountBefore > 2_000_000)
        let store = try LogStore(options)
        let reader = try store.makeReader()
        #expect(try reader.all() == (0..<100).map { Entry(20, $0, document: document) })
        #expect(try reader.withTransaction { () throws(StoreError) in try reader.meta("a") } == [1])
        #expect(try store.makeWriter().lastKey == LogKey(version: Version(20), index: 99))
    }

    @Test func fileStaysWithinBoundUnderRandomRewrites() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        let ratio = try rewriteRatio(documentCount: 1_000, rewrites: 20, batch: 10, seed: seed)
        #expect(ratio <= 3, "seed \(seed)")
    }

    /// Rewrites every document `rewrites` times in random order, trimming in the same commits, and
    /// returns the file's bytes over the live bytes.
    private func rewriteRatio(
        documentCount: Int,
        rewrites: Int,
        batch: Int,
        seed: UInt64
    ) throws -> Double {
        var random = SeededGenerator(seed: seed)
        let directory = TemporaryDirectory()
        let store = try LogStore(
            StoreOptions(directory: directory.path, preallocationByteCount: 1 << 16)
        )
        let writer = try store.makeWriter()
        let policy = TrimPolicy(retentionByteCountMin: 0)
        let document = [UInt8](repeating: 7, count: 1_000)
        var heads = [LogKey](repeating: .none, count: documentCount)
        var trimmer = LogTrimmer()
        var version: UInt64 = 0
        for _ in 0...rewrites {
            let order = (0..<documentCount).shuffled(using: &random)
            for start in stride(from: 0, to: documentCount, by: batch) {
                version += 1
                try writer.begin()
                for (index, id) in order[start..<min(start + batch, documentCount)].enumerated() {
                    let entry = Entry(version, index, document: document, previous: heads[id])
                    try writer.append(entry)
                    trimmer.addLive(byteCount: 1_044)
                    if heads[id] != .none {
                        trimmer.supersede(
                            heads[id],
                            by: entry.key,
                            atMilliseconds: 0,
                            byteCount: 1_044
                        )
                    }
                    heads[id] = entry.key
                }
                let trimmed = trimmer.next(
                    limit: 4 * batch,
                    horizonVersion: Version(version - 1),
                    horizonMilliseconds: -1,
                    bytesOverBudget: policy.bytesOverBudget(
                        live: trimmer.liveByteCount,
                        superseded: trimmer.supersededByteCount
                    )
                )
                try writer.trim(trimmed)
                try writer.commit()
                trimmer.confirm(trimmed)
            }
        }
        let reader = try store.makeReader()
        try reader.begin()
        defer { reader.end() }
        return Double(try reader.statistics().fileByteCount) / Double(trimmer.liveByteCount)
    }
}
