import Foundation
import Primitives
import Query
import Schema
import Snapshot
import Synchronization
import TestSupport
import Testing

@testable import Engine
@testable import Partition

/// Goal: an index of vectors that a snapshot cannot give is made anew while lookups are exact,
/// whatever is written meanwhile.
@Suite struct RebuildTests {
    private static func schema(_ kind: String) -> String {
        """
        {"fields":{"n":{"type":"int","index":true},
        "v":{"type":"vector","dimensions":3,"metric":"l2","index":{"kind":"\(kind)"}}}}
        """
    }

    private func churn(
        _ harness: EngineHarness, _ vectors: inout [String: [Float]], _ count: Int,
        _ random: inout TestRandom
    ) throws {
        var bodies: [WriteRequest.Body] = []
        for _ in 0..<count {
            let id = "d\(random.below(300))"
            switch random.below(6) {
            case 0:
                vectors[id] = nil
                bodies.append(.one(harness.remove(id)))
            case 1:
                // Its vector stays.
                bodies.append(.one(try harness.patch(id, "{\"$set\":{\"n\":7}}", upsert: true)))
            default:
                let vector = (0..<3).map { _ in Float(random.below(50)) + 1 }
                vectors[id] = vector
                let text = "{\"n\":1,\"v\":[\(vector[0]),\(vector[1]),\(vector[2])]}"
                bodies.append(.one(try harness.put(id, text)))
            }
        }
        for result in harness.write(bodies) { #expect(result.code == nil) }
    }

    private func distance(_ a: [Float], _ b: [Float]) -> Double {
        zip(a, b).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
    }

    private func check(
        _ harness: EngineHarness, _ vectors: [String: [Float]], _ random: inout TestRandom,
        byIndex: Bool?
    ) throws {
        let field = try #require(harness.view.vectorFields.first)
        for _ in 0..<6 {
            let target = (0..<3).map { _ in Float(random.below(50)) }
            var request = SimilarRequest(
                view: harness.view, field: field, target: .vector(target), count: 10)
            request.isExact = true
            let execution = try SimilarExecution(request, context: harness.context)
            defer { execution.finish() }
            if let byIndex { #expect((execution.unindexed == nil) == byIndex) }
            while try !execution.run(until: Clock.monotonicNanoseconds() + 100_000) {}
            let expected = vectors.map { (distance($0.value, target), $0.key) }.sorted(by: <)
                .prefix(10).map(\.1)
            let hits = execution.outcome.hits.map { String(decoding: $0.id, as: UTF8.self) }
            #expect(hits == expected, "seed \(random.seed)")
            #expect(execution.outcome.total == vectors.count)
        }
    }

    private func end(_ harness: EngineHarness) throws {
        let job = try #require(harness.engine.shared.jobs.all.first { $0.kind == "REBUILD" })
        let status = harness.wait(for: job.id)
        #expect(status.state == .done, "\(status.text)")
        #expect(harness.view.fieldsToRebuild.isEmpty)
        let isRebuilding = harness.engine.shared.isRebuilding.load(ordering: .relaxed)
        #expect(!isRebuilding)
    }

    @Test(arguments: ["hnsw", "ivf", "flat"])
    func aDamagedSectionIsMadeAnewBehindTheStart(kind: String) throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 2)
        try harness.create("c", Self.schema(kind))
        var vectors: [String: [Float]] = [:]
        try churn(harness, &vectors, 600, &random)
        let status = harness.wait(for: try harness.engine.takeSnapshot(name: "one"))
        try #require(status.state == .done)
        try churn(harness, &vectors, 60, &random)
        let path = harness.engine.shelf.path("one")
        let sections = try SnapshotFile(path: path).sections
        let section = try #require(
            sections.first { $0.id.kind == SectionKind.packedVectors.rawValue })
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[Int(section.offset) + 40] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot == "one")
        #expect(harness.engine.recovery.notes.count == 1)
        try check(harness, vectors, &random, byIndex: nil)
        try churn(harness, &vectors, 60, &random)
        try end(harness)
        try check(harness, vectors, &random, byIndex: true)
        // The next snapshot has it again.
        let next = harness.wait(for: try harness.engine.takeSnapshot(name: "two"))
        try #require(next.state == .done)
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot == "two")
        #expect(harness.engine.shared.jobs.all.isEmpty)
        try check(harness, vectors, &random, byIndex: true)
    }

    private static let columnsSchema = """
        {"fields":{"n":{"type":"int","index":true},"k":{"type":"keyword","index":true},
        "u":{"type":"keyword","unique":true},"at":{"type":"geopoint","index":true}}}
        """

    private struct Shop {
        var n: Int
        var k: String
        var longitude: Double
    }

    private func change(
        _ harness: EngineHarness, _ shops: inout [String: Shop], _ count: Int,
        _ random: inout TestRandom
    ) throws {
        var bodies: [WriteRequest.Body] = []
        for _ in 0..<count {
            let id = "s\(random.below(400))"
            if random.one(in: 5) {
                shops[id] = nil
                bodies.append(.one(harness.remove(id)))
                continue
            }
            let shop = Shop(
                n: random.below(20), k: "k\(random.below(6))",
                longitude: Double(random.below(9_000)) / 100)
            shops[id] = shop
            bodies.append(
                .one(
                    try harness.put(
                        id,
                        """
                        {"n":\(shop.n),"k":"\(shop.k)","u":"\(id)",
                        "at":{"type":"Point","coordinates":[\(shop.longitude),1]}}
                        """)))
        }
        for result in harness.write(bodies) { #expect(result.code == nil) }
    }

    /// What a filter counts; begun anew where the schema's generation changes, as the server does.
    private func count(_ harness: EngineHarness, _ filter: String) throws -> Int {
        while true {
            do {
                let compiled = try TestData.compile(filter, harness.view.schema)
                var request = FindRequest(view: harness.view, filter: compiled, limit: 0)
                request.isCount = true
                let execution = try FindExecution(request, context: harness.context)
                defer { execution.finish() }
                while try !execution.run(until: Clock.monotonicNanoseconds() + 100_000) {}
                return execution.outcome.total
            } catch let error as EngineError where error.isSchemaChange {
                continue
            }
        }
    }

    private func checkCounts(
        _ harness: EngineHarness, _ shops: [String: Shop], _ random: inout TestRandom
    ) throws {
        for _ in 0..<4 {
            let (n, k) = (random.below(20), "k\(random.below(6))")
            let least = shops.values.count { $0.n >= n }
            let equal = shops.values.count { $0.k == k && $0.n < n }
            #expect(try count(harness, "{\"n\":{\"$gte\":\(n)}}") == least)
            #expect(
                try count(harness, "{\"k\":\"\(k)\",\"n\":{\"$lt\":\(n)}}") == equal)
            let east = Double(random.below(90))
            let within = shops.values.count { $0.longitude <= east }
            #expect(
                try count(
                    harness, "{\"at\":{\"$geoWithin\":{\"$box\":[[-1,0],[\(east),2]]}}}")
                    == within)
        }
    }

    /// Each section of a column and of places in its turn: the start does not wait for it.
    @Test func damagedColumnsAndPlacesAreMadeAnewBehindTheStart() throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 2)
        try harness.create("c", Self.columnsSchema)
        var shops: [String: Shop] = [:]
        try change(harness, &shops, 1_500, &random)
        let status = harness.wait(for: try harness.engine.takeSnapshot(name: "one"))
        try #require(status.state == .done)
        let path = harness.engine.shelf.path("one")
        let good = try Data(contentsOf: URL(fileURLWithPath: path))
        let kinds = [SectionKind.column.rawValue, SectionKind.places.rawValue]
        let sections = try SnapshotFile(path: path).sections.filter { kinds.contains($0.id.kind) }
        let unique = try #require(harness.view.schema.field(at: "u")).number
        #expect(sections.count == 8)
        for section in sections {
            try change(harness, &shops, 40, &random)
            var bytes = good
            bytes[Int(section.offset) + 20] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
            try harness.reopen()
            #expect(harness.engine.recovery.snapshot == "one")
            #expect(harness.engine.recovery.notes.count == 1)
            try checkCounts(harness, shops, &random)
            try change(harness, &shops, 40, &random)
            try checkCounts(harness, shops, &random)
            let job = harness.engine.shared.jobs.all.first { $0.kind == "REBUILD" }
            // Writes rely on unique fields' columns: those are there before the start is over.
            #expect((job == nil) == (section.id.field == UInt32(unique)))
            if let job {
                let status = harness.wait(for: job.id)
                #expect(status.state == .done, "\(status.text)")
            }
            #expect(harness.view.columnsToRebuild.isEmpty)
            #expect(harness.view.placesToRebuild.isEmpty)
            try checkCounts(harness, shops, &random)
            try change(harness, &shops, 40, &random)
            try checkCounts(harness, shops, &random)
        }
    }

    /// A job that was cancelled leaves indexes half there: an `ALTER` makes them whole before it
    /// relies on them, and whether it succeeds or not they stay.
    @Test func anAlterMeetsNoIndexThatIsHalfThere() throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 2)
        try harness.create("c", Self.columnsSchema)
        var shops: [String: Shop] = [:]
        try change(harness, &shops, 900, &random)
        for path in ["n", "at"] {
            let field = try #require(harness.view.schema.field(at: path))
            for partition in harness.view.partitions {
                partition.lock.lockForWriting()
                partition.beginFilling(field)
                partition.lock.unlock()
            }
        }
        try change(harness, &shops, 100, &random)
        try checkCounts(harness, shops, &random)
        let failed = try harness.alter(#"{"set":{"n":{"unique":true}}}"#)
        #expect(failed.state == .failed && failed.text.contains("DUPLICATE"), "\(failed.text)")
        #expect(harness.view.columnsToRebuild.isEmpty && harness.view.placesToRebuild.isEmpty)
        try checkCounts(harness, shops, &random)
        try change(harness, &shops, 100, &random)
        try checkCounts(harness, shops, &random)
        let done = try harness.alter(#"{"add":{"more":{"type":"int","index":true}}}"#)
        #expect(done.state == .done, "\(done.text)")
        try checkCounts(harness, shops, &random)
    }

    /// The state in between, held still: lookups and writes do without the index.
    @Test func withoutTheIndexLookupsCompareStoredVectors() throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 2)
        try harness.create("c", Self.schema("hnsw"))
        var vectors: [String: [Float]] = [:]
        try churn(harness, &vectors, 500, &random)
        let field = try #require(harness.view.vectorFields.first)
        for partition in harness.view.partitions {
            partition.lock.lockForWriting()
            partition.beginFilling(field)
            partition.lock.unlock()
        }
        harness.engine.shared.isRebuilding.store(true, ordering: .releasing)
        try check(harness, vectors, &random, byIndex: false)
        try churn(harness, &vectors, 200, &random)
        try check(harness, vectors, &random, byIndex: false)
        let states = harness.engine.indexStates(of: harness.view)
        #expect(states.filter { !$0.isReady }.map(\.path) == ["v"])
        // A change of something else that fails takes nothing of it away.
        let failed = try harness.alter(
            "{\"add\":{\"w\":{\"type\":\"int\",\"required\":true,\"index\":true}}}")
        #expect(failed.state == .failed)
        try check(harness, vectors, &random, byIndex: false)
        harness.engine.rebuildIndexes()
        try churn(harness, &vectors, 200, &random)
        try end(harness)
        try check(harness, vectors, &random, byIndex: true)
    }
}
