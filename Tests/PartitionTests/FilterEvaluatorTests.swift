import Documents
import Primitives
import Query
import Schema
import TestSupport
import Testing

@testable import Partition

/// Goal: what columns answer is what the matcher says of each document, and a superset is never
/// short of one.
@Suite struct FilterEvaluatorTests {
    @Test func randomFiltersAgreeWithTheMatcher() throws {
        var random = TestRandom()
        let schema = try TestData.schema()
        let partition = CollectionPartition(schema: schema)
        let parser = JSONParser()
        let preparer = DocumentPreparer()
        var history: [[String: String]] = [[:]]
        for version in 1...400 {
            var documents = history[version - 1]
            let id = TestData.id(&random, of: 150)
            let text = random.one(in: 5) ? nil : TestData.document(&random)
            let prepared = try text.map {
                try preparer.prepare(
                    Array($0.utf8), schema: schema, parser: parser, nowMilliseconds: 0)
            }
            Array(id.utf8).withUnsafeBytes { bytes in
                partition.apply(
                    id: bytes, hash: hash(bytes),
                    key: LogKey(version: Version(UInt64(version)), index: 0), prepared: prepared)
            }
            documents[id] = text
            history.append(documents)
            if random.one(in: 4) { partition.reclaim(horizon: Version(200), limit: 3) }
        }
        var hits = 0
        for _ in 0..<1_500 {
            let version = random.one(in: 2) ? 400 : 200 + random.below(200)
            let text = TestData.filter(&random)
            hits += try check(
                partition, schema, text, history[version], at: Version(UInt64(version)),
                random.seed)
        }
        // A test in which nothing matches would prove nothing.
        #expect(hits > 5_000)
    }

    private func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 { Hash64.hash(bytes, seed: 3) }

    private func check(
        _ partition: CollectionPartition, _ schema: Schema, _ text: String,
        _ documents: [String: String], at version: Version, _ seed: UInt64
    ) throws -> Int {
        let filter = try TestData.compile(text, schema)
        let pool = BitmapPool()
        let scratch = pool.borrow(capacity: partition.slotBound)
        let visible = partition.visible(at: version, scratch: scratch)
        let evaluator = FilterEvaluator(
            partition: partition, visible: visible, version: version, pool: pool, hash: hash)
        let bitmap = pool.borrow(capacity: 64)
        let exactness = evaluator.evaluate(filter, into: bitmap)
        var found: Set<String> = []
        bitmap.forEach { found.insert(String(decoding: partition.id($0), as: UTF8.self)) }
        let expected = Set(
            try NaiveCollection(schema: schema, documents: documents).ids(
                matching: filter, sort: nil))
        switch exactness {
        case .all:
            #expect(expected.count == documents.count && found == expected, "\(text), \(seed)")
        case .exact:
            #expect(found == expected, "\(text) at \(version.rawValue), seed \(seed)")
        case .superset:
            #expect(found.isSuperset(of: expected), "\(text), seed \(seed)")
            #expect(found.isSubset(of: documents.keys), "\(text), seed \(seed)")
        }
        return expected.count
    }
}
