import Documents
import Primitives
import Schema
import TestSupport
import Testing

@testable import Partition

/// Goal: at every version that is still kept, the nearest rows are those of comparing all of that
/// version's vectors, however rows come to share nodes, die, and are freed and used again.
@Suite struct VectorFieldTests {
    /// A document: its vector, nil for none, and the entry that brought it.
    private struct Document {
        var vector: [Float]?
        var source: LogKey
    }

    private let schemaText = """
        {"fields":{"v":{"type":"vector","dimensions":4,"metric":"l2",
        "index":{"kind":"KIND","storage":"f32","originals":"f32"}}}}
        """

    @Test(arguments: ["hnsw", "ivf", "flat"])
    func everyKeptVersionFindsItsOwnNeighbours(kind: String) throws {
        var random = TestRandom()
        let schema = try TestData.schema(
            schemaText.replacing("KIND", with: kind))
        let field = try #require(schema.field(at: "v"))
        let empty = try emptyDocument(schema)
        let partition = CollectionPartition(schema: schema)
        var history: [[String: Document]] = [[:]]
        var horizon = 0
        for version in 1...1_500 {
            var documents = history[version - 1]
            change(&documents, partition, field, version, empty, &random)
            history.append(documents)
            if random.one(in: 2) { link(partition, steps: random.below(4)) }
            if random.one(in: 16) { horizon = max(horizon, version - 40) }
            partition.reclaim(horizon: Version(UInt64(horizon)), limit: 4)
            guard random.one(in: 8) else { continue }
            let at = random.one(in: 2) ? version : horizon + random.below(version - horizon + 1)
            try check(partition, field, history[at], at: at, &random)
        }
        // Rows shared nodes, or half of what is tested never happened.
        let vectors = try #require(partition.vectorField(field.number))
        #expect(vectors.index.liveCount == history[1_500].values.count { $0.vector != nil })
    }

    private static let storeRanked = """
        {"fields":{"v":{"type":"vector","dimensions":4,"metric":"l2",
        "index":{"kind":"hnsw","originals":"store"}}}}
        """

    @Test func whatIsLeftToCompareKeepsItsVersionThoughWritesCome() throws {
        let schema = try TestData.schema(Self.storeRanked)
        let field = try #require(schema.field(at: "v"))
        let empty = try emptyDocument(schema)
        let partition = CollectionPartition(schema: schema)
        func write(_ number: Int, _ version: Int) {
            let key = LogKey(version: Version(UInt64(version)), index: 0)
            Array("d\(number)".utf8).withUnsafeBytes { bytes in
                partition.apply(
                    id: bytes, hash: Hash64.hash(bytes, seed: 3), key: key, prepared: empty,
                    vectors: [
                        VectorArrival(
                            field: field.number, source: key,
                            values: [Float(version), 1, 1, 1])
                    ])
            }
        }
        for i in 0..<100 { write(i, i + 1) }
        let search = NearestSearch(
            partition: partition, field: try #require(partition.vectorField(field.number)),
            query: NearestQuery(target: [0, 1, 1, 1], count: 5, width: nil, isExact: true),
            version: Version(100), match: .all, pool: BitmapPool(), scratch: NearestScratch())
        #expect(search.step() && search.leavesComparing)
        var sources = search.nextMatches(10).map(\.source)
        for i in 0..<60 { write(i, 101 + i) }
        while true {
            let matches = search.nextMatches(10)
            if matches.isEmpty { break }
            sources += matches.map(\.source)
        }
        #expect(sources == (1...100).map { LogKey(version: Version($0), index: 0) })
    }

    @Test(arguments: ["hnsw", "ivf", "flat"])
    func anExactScanKeepsItsVersionThoughWritesComeBetweenItsWindows(kind: String) throws {
        let schema = try TestData.schema(schemaText.replacing("KIND", with: kind))
        let field = try #require(schema.field(at: "v"))
        let empty = try emptyDocument(schema)
        let partition = CollectionPartition(schema: schema)
        let count = 20_000
        func write(_ number: Int, _ version: Int, _ vector: [Float]?) {
            let key = LogKey(version: Version(UInt64(version)), index: 0)
            Array("d\(number)".utf8).withUnsafeBytes { bytes in
                partition.apply(
                    id: bytes, hash: Hash64.hash(bytes, seed: 3), key: key,
                    prepared: vector == nil ? nil : empty,
                    vectors: vector.map {
                        [VectorArrival(field: field.number, source: key, values: $0)]
                    } ?? [])
            }
        }
        // The nearest of all lie behind the first window of a scan.
        for i in 0..<count { write(i, i + 1, [Float(count - i), 1, 1, 1]) }
        let search = NearestSearch(
            partition: partition, field: try #require(partition.vectorField(field.number)),
            query: NearestQuery(target: [0, 1, 1, 1], count: 5, width: nil, isExact: true),
            version: Version(UInt64(count)), match: .all, pool: BitmapPool(),
            scratch: NearestScratch())
        #expect(!search.step())
        write(count - 1, count + 1, nil)
        write(count - 2, count + 2, [500, 1, 1, 1])
        write(count, count + 3, [0, 1, 1, 1])
        while !search.step() {}
        let ids = search.hits.prefix(5).map {
            String(decoding: partition.id($0.slot), as: UTF8.self)
        }
        #expect(ids == (1...5).map { "d\(count - $0)" })
        #expect(search.hits.prefix(5).map(\.distance) == [1, 4, 9, 16, 25])
    }

    @Test(arguments: ["hnsw", "flat"])
    func nodesThatComeBetweenTheWindowsOfAFilteredScanAreNotLookedAt(kind: String) throws {
        let schema = try TestData.schema(schemaText.replacing("KIND", with: kind))
        let field = try #require(schema.field(at: "v"))
        let empty = try emptyDocument(schema)
        let partition = CollectionPartition(schema: schema)
        // Whole groups of words: the next node's bit lies behind a bitmap of these.
        let count = 20_480
        func write(_ number: Int, _ x: Float) {
            let key = LogKey(version: Version(UInt64(number + 1)), index: 0)
            Array("d\(number)".utf8).withUnsafeBytes { bytes in
                partition.apply(
                    id: bytes, hash: Hash64.hash(bytes, seed: 3), key: key, prepared: empty,
                    vectors: [
                        VectorArrival(field: field.number, source: key, values: [x, 1, 1, 1])
                    ])
            }
        }
        for i in 0..<count { write(i, Float(count - i)) }
        let pool = BitmapPool()
        // What was borrowed before leaves its bits behind.
        let used = (0..<4).map { _ in pool.borrow(capacity: 2 * count) }
        for bitmap in used { for row in 0..<2 * count { bitmap.set(Slot(row)) } }
        for bitmap in used { pool.giveBack(bitmap) }
        let rows = Bitmap(capacity: count)
        for row in 0..<count { rows.set(Slot(row)) }
        let search = NearestSearch(
            partition: partition, field: try #require(partition.vectorField(field.number)),
            query: NearestQuery(target: [0, 1, 1, 1], count: 5, width: nil, isExact: true),
            version: Version(UInt64(count)), match: .rows(rows), pool: pool,
            scratch: NearestScratch())
        #expect(!search.step())
        for i in count..<count + 40 { write(i, 0) }
        while !search.step() {}
        #expect(search.hits.prefix(5).map(\.distance) == [1, 4, 9, 16, 25])
    }

    /// The document itself does not matter here.
    private func emptyDocument(_ schema: Schema) throws -> PreparedDocument {
        try DocumentPreparer().prepare(
            Array("{}".utf8), schema: schema, parser: JSONParser(), nowMilliseconds: 0)
    }

    /// Writes or removes one document: a new vector, the one it has, or none.
    private func change(
        _ documents: inout [String: Document], _ partition: CollectionPartition, _ field: Field,
        _ version: Int, _ empty: PreparedDocument, _ random: inout TestRandom
    ) {
        let id = "d\(random.below(60))"
        let key = LogKey(version: Version(UInt64(version)), index: 0)
        var prepared: PreparedDocument? = empty
        var arrivals: [VectorArrival] = []
        switch random.below(6) {
        case 0:
            prepared = nil
            documents[id] = nil
        case 1:
            documents[id] = Document(vector: nil, source: key)
        case 2, 3:
            if let old = documents[id], old.vector != nil {
                arrivals = [VectorArrival(field: field.number, source: old.source, values: [])]
            } else {
                documents[id] = Document(vector: nil, source: key)
            }
        default:
            let vector = (0..<4).map { _ in Float(random.below(7)) }
            documents[id] = Document(vector: vector, source: key)
            arrivals = [VectorArrival(field: field.number, source: key, values: vector)]
        }
        Array(id.utf8).withUnsafeBytes { bytes in
            partition.apply(
                id: bytes, hash: Hash64.hash(bytes, seed: 3), key: key, prepared: prepared,
                vectors: arrivals)
        }
    }

    /// Lets the index's builder take some steps.
    private func link(_ partition: CollectionPartition, steps: Int) {
        for field in partition.vectorFields {
            for _ in 0..<steps where field.index.planNext(partition.lock) { field.index.apply() }
        }
    }

    private func check(
        _ partition: CollectionPartition, _ field: Field, _ documents: [String: Document],
        at version: Int, _ random: inout TestRandom
    ) throws {
        let target = (0..<4).map { _ in Float(random.below(7)) }
        let isFiltered = random.one(in: 2)
        let isExact = random.one(in: 2)
        let pool = BitmapPool()
        let scratch = pool.borrow(capacity: partition.slotBound)
        let rows = pool.borrow(capacity: partition.slotBound)
        rows.assign(partition.visible(at: Version(UInt64(version)), scratch: scratch))
        var allowed = documents.filter { $0.value.vector != nil }
        if isFiltered {
            var kept: Set<String> = []
            rows.forEach { slot in
                if random.one(in: 3) {
                    kept.insert(String(decoding: partition.id(slot), as: UTF8.self))
                } else {
                    rows.clear(slot)
                }
            }
            allowed = allowed.filter { kept.contains($0.key) }
        }
        let search = NearestSearch(
            partition: partition, field: try #require(partition.vectorField(field.number)),
            query: NearestQuery(
                target: target, count: 5, width: 200, isExact: isExact),
            version: Version(UInt64(version)), match: isFiltered ? .rows(rows) : .all, pool: pool,
            scratch: NearestScratch())
        while !search.step() {}
        let seed = random.seed
        #expect(search.matchCount == allowed.count, "version \(version), seed \(seed)")
        let expected = allowed.values.compactMap { $0.vector.map { squared($0, target) } }.sorted()
        let found = search.hits.prefix(5).map(\.distance)
        #expect(Array(found) == Array(expected.prefix(5)), "version \(version), seed \(seed)")
        for hit in search.hits {
            let id = String(decoding: partition.id(hit.slot), as: UTF8.self)
            let vector = try #require(allowed[id]?.vector, "\(id), seed \(seed)")
            #expect(squared(vector, target) == hit.distance, "\(id), seed \(seed)")
        }
    }

    private func squared(_ a: [Float], _ b: [Float]) -> Float {
        zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
}
