import ColumnIndex
import Documents
import GeoIndex
import HoursIndex
import Primitives
import Schema
import TestSupport
import Testing

@testable import Partition

/// Goal: a partition that was written down and read back is the same partition. Method: random
/// histories of documents with values of every kind and with vectors; at some moment the partition
/// is written and read, both live on through the same history, and are written again: equal bytes.
@Suite struct PartitionSectionTests {
    private static let schemaText = """
        {"fields":{"n":{"type":"int","index":true,"sort":true},
        "p":{"type":"decimal","scale":2,"index":true,"sort":true},
        "r":{"type":"float","index":true,"sort":true},"b":{"type":"bool","index":true},
        "t":{"type":"datetime","index":true,"sort":true},
        "k":{"type":"keyword","index":true,"sort":true,"facet":true},
        "tags":{"type":"keyword","array":true,"index":true,"sort":true,"facet":true},
        "nums":{"type":"int","array":true,"index":true,"sort":true},
        "h":{"type":"vector","dimensions":4,"metric":"cosine","index":{"kind":"hnsw","m":4}},
        "i":{"type":"vector","dimensions":4,"metric":"l2",
            "index":{"kind":"ivf","numLists":16,"storage":"f32"}},
        "f":{"type":"vector","dimensions":4,"metric":"ip","index":{"kind":"flat"}},
        \(TestData.placeFields)}}
        """

    /// One step of a history, so that it can be taken twice.
    private struct Step {
        var id: [UInt8]
        var key: LogKey
        var prepared: PreparedDocument?
        var arrivals: [VectorArrival]
        var linkCount: Int
        var horizon: Version?

        /// What the row brings; shapes that the row before had are taken over.
        private func places(
            _ partition: CollectionPartition, _ id: UnsafeRawBufferPointer
        ) -> [PlaceArrival] {
            guard let prepared else { return [] }
            return PlaceArrival.all(of: prepared) {
                partition.zones(of: id, hash: Hash64.hash(id, seed: 3), $0)
            }
        }

        func take(_ partition: CollectionPartition) {
            id.withUnsafeBytes { bytes in
                partition.apply(
                    id: bytes, hash: Hash64.hash(bytes, seed: 3), key: key, prepared: prepared,
                    vectors: arrivals, places: places(partition, bytes))
            }
            for field in partition.vectorFields {
                for _ in 0..<linkCount where field.index.planNext(partition.lock) {
                    field.index.apply()
                }
            }
            if let horizon { partition.reclaim(horizon: horizon, limit: 8) }
        }
    }

    private func steps(
        _ schema: Schema, _ versions: ClosedRange<Int>, ids: Int, links: Int,
        _ sources: inout [String: LogKey], _ random: inout TestRandom
    ) throws -> [Step] {
        let parser = JSONParser()
        let preparer = DocumentPreparer()
        return try versions.map { version in
            let id = TestData.id(&random, of: ids)
            let key = LogKey(version: Version(UInt64(version)), index: 0)
            let text =
                random.one(in: 6) ? nil : TestData.placed(TestData.document(&random), &random)
            let prepared = try text.map {
                try preparer.prepare(
                    Array($0.utf8), schema: schema, parser: parser, nowMilliseconds: 0)
            }
            var arrivals: [VectorArrival] = []
            for name in ["h", "i", "f"] where prepared != nil {
                guard let field = schema.field(at: name) else { continue }
                let known = "\(name) \(id)"
                switch random.below(4) {
                case 0: sources[known] = nil
                case 1 where sources[known] != nil:
                    arrivals.append(
                        VectorArrival(
                            field: field.number, source: sources[known] ?? .none, values: []))
                default:
                    sources[known] = key
                    let values = (0..<4).map { _ in Float(random.below(200)) / 100 - 0.995 }
                    arrivals.append(
                        VectorArrival(field: field.number, source: key, values: values))
                }
            }
            if prepared == nil { for name in ["h", "i", "f"] { sources["\(name) \(id)"] = nil } }
            return Step(
                id: Array(id.utf8), key: key, prepared: prepared, arrivals: arrivals,
                linkCount: random.below(links),
                horizon: random.one(in: 4) ? Version(UInt64(max(0, version - 60))) : nil)
        }
    }

    /// All sections of a partition by name, in order.
    private func sections(
        _ partition: CollectionPartition, _ schema: Schema
    ) -> [(name: String, bytes: [UInt8])] {
        var sections: [(name: String, bytes: [UInt8])] = []
        let base = ByteSink()
        partition.writeBase(to: base)
        sections.append(("base", base.bytes))
        for field in schema.fields {
            let sink = ByteSink()
            if field.hasEntries { partition.writeColumn(field.number, to: sink) }
            if let vectors = partition.vectorField(field.number) { vectors.write(to: sink) }
            partition.placeField(field.number)?.write(to: sink)
            partition.hoursField(field.number)?.write(to: sink)
            if !sink.bytes.isEmpty { sections.append((field.path, sink.bytes)) }
        }
        return sections
    }

    private func read(
        _ sections: [(name: String, bytes: [UInt8])], _ schema: Schema
    ) throws -> CollectionPartition {
        let partition = CollectionPartition(schema: schema)
        for (name, bytes) in sections {
            if name == "base" {
                try partition.readBase(from: ByteSource(bytes))
                continue
            }
            let field = try #require(schema.field(at: name))
            if field.hasEntries { try partition.readColumn(field, from: ByteSource(bytes)) }
            if field.hasVectorIndex { try partition.readVectors(field, from: ByteSource(bytes)) }
            if field.hasPlaceIndex { try partition.readPlaces(field, from: ByteSource(bytes)) }
            if field.hasHours { try partition.readHours(field, from: ByteSource(bytes)) }
        }
        return partition
    }

    private func expectEqual(
        _ one: (name: String, bytes: [UInt8]), _ other: (name: String, bytes: [UInt8]),
        _ when: String, _ seed: UInt64
    ) {
        let place = zip(one.bytes, other.bytes).enumerated().first { $1.0 != $1.1 }?.offset
        let isEqual = one.bytes == other.bytes
        #expect(
            isEqual,
            """
            \(one.name), \(when): \(one.bytes.count) and \(other.bytes.count) bytes differ at \
            \(place ?? -1), seed \(seed)
            """)
    }

    private func check(_ partition: CollectionPartition) {
        for column in partition.allColumns {
            switch column.storage {
            case .numeric(let numeric): numeric.checkInvariants()
            case .keyword(let keyword): keyword.checkInvariants()
            }
        }
        partition.idOrder.checkInvariants()
        for places in partition.placeFields {
            places.points.checkInvariants()
            places.zones.index.checkInvariants()
        }
        for hours in partition.hoursFields { hours.table.checkInvariants() }
    }

    @Test(arguments: [(0, 40), (1, 40), (40, 20), (1_500, 90), (6_000, 9_000)])
    func whatIsReadLivesOnAsWhatWasWritten(versionCount: Int, ids: Int) throws {
        var random = TestRandom()
        print("seed \(random.seed)")
        let schema = try TestData.schema(Self.schemaText)
        let first = CollectionPartition(schema: schema)
        var sources: [String: LogKey] = [:]
        if versionCount > 0 {
            let past = try steps(
                schema, 1...versionCount, ids: ids, links: 5, &sources, &random)
            for step in past { step.take(first) }
        }
        let written = sections(first, schema)
        #expect(written.count == 17)
        let second = try read(written, schema)
        check(second)
        let again = sections(second, schema)
        for (one, other) in zip(written, again) {
            expectEqual(one, other, "read", random.seed)
        }
        let future = try steps(
            schema, versionCount + 1...versionCount + 700, ids: ids, links: 6, &sources, &random)
        for step in future {
            step.take(first)
            step.take(second)
        }
        check(second)
        for (one, other) in zip(sections(first, schema), sections(second, schema)) {
            expectEqual(one, other, "later", random.seed)
        }
        #expect(second.documentCount == first.documentCount)
    }

    /// Bytes that a checksum let through by chance: read or refused, but no crash.
    @Test func damagedBytesAreRefusedOrReadWithoutACrash() throws {
        var random = TestRandom()
        print("seed \(random.seed)")
        let schema = try TestData.schema(Self.schemaText)
        let partition = CollectionPartition(schema: schema)
        var sources: [String: LogKey] = [:]
        for step in try steps(schema, 1...600, ids: 70, links: 5, &sources, &random) {
            step.take(partition)
        }
        let good = sections(partition, schema)
        var refused = 0
        for round in 0..<300 {
            var bad = good
            let place = random.below(bad.count)
            damage(&bad[place].bytes, &random)
            do {
                _ = try read(bad, schema)
            } catch is SectionError {
                refused += 1
            } catch {
                Issue.record("round \(round), seed \(random.seed): \(error)")
            }
        }
        #expect(refused > 100)
    }

    private func damage(_ bytes: inout [UInt8], _ random: inout TestRandom) {
        switch random.below(4) {
        case 0: bytes[random.below(bytes.count)] ^= UInt8(1 << random.below(8))
        case 1: bytes.removeLast(1 + random.below(min(bytes.count, 40)))
        case 2: bytes.append(UInt8(random.below(256)))
        default:
            // A word of some other value: counts, slots and links that lie far outside.
            let word = random.pick([0, 1, 3, 255, UInt32.max, UInt32.max - 1, 1 << 20])
            let place = random.below(max(1, bytes.count / 4)) * 4
            for (offset, byte) in withUnsafeBytes(of: word, Array.init).enumerated()
            where place + offset < bytes.count { bytes[place + offset] = byte }
        }
    }
}
