import Foundation
import Primitives
import Query
import Schema
import TestSupport
import Testing

@testable import Engine
@testable import Partition

/// Goal: a lookup by nearness answers as comparing all vectors does, in any number of partitions,
/// with few and with many ids that are no hits, and in whatever slices it runs; what an `ALTER` or
/// a `RESHARD` does meanwhile leaves it right or ends it.
@Suite struct SimilarTests {
    private static let count = 400

    private static func schema(_ index: String, metric: String = "l2") -> String {
        """
        {"fields":{"n":{"type":"int","index":true},
        "v":{"type":"vector","dimensions":3,"metric":"\(metric)","index":\(index)}}}
        """
    }

    /// Documents d0, d1, … with `n` and a vector of whole numbers; each seventh has none.
    private func fill(
        _ harness: EngineHarness, _ random: inout TestRandom
    ) throws -> [String: [Float]] {
        var vectors: [String: [Float]] = [:]
        var batch: [WriteRequest.Body] = []
        for number in 0..<Self.count {
            let vector = (0..<3).map { _ in Float(random.below(50)) + 1 }
            if number % 7 != 0 { vectors["d\(number)"] = vector }
            let text = number % 7 == 0 ? "" : ",\"v\":[\(vector[0]),\(vector[1]),\(vector[2])]"
            batch.append(.one(try harness.put("d\(number)", "{\"n\":\(number)\(text)}")))
        }
        for result in harness.write(batch) { #expect(result.code == nil) }
        return vectors
    }

    private func request(
        _ harness: EngineHarness, _ target: SimilarRequest.Target, count: Int = 10
    ) throws -> SimilarRequest {
        let view = harness.view
        return SimilarRequest(
            view: view, field: try #require(view.vectorFields.first), target: target, count: count)
    }

    private func run(
        _ harness: EngineHarness, _ request: SimilarRequest, slice: UInt64 = 0
    ) throws -> SimilarOutcome {
        let execution = try SimilarExecution(request, context: harness.context)
        defer { execution.finish() }
        while try !execution.run(until: Clock.monotonicNanoseconds() + slice) {}
        return execution.outcome
    }

    private func distance(_ a: [Float], _ b: [Float]) -> Double {
        zip(a, b).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }.squareRoot()
    }

    @Test(arguments: [1, 3], ["f32", "store"])
    func exactIsBruteForce(partitions: Int, originals: String) throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: partitions)
        try harness.create(
            "c", Self.schema("{\"kind\":\"flat\",\"originals\":\"\(originals)\"}"))
        let vectors = try fill(harness, &random)
        let seed = random.seed
        for excludedCount in [0, 1, 64, 65, 200] {
            let target = (0..<3).map { _ in Float(random.below(50)) }
            let excluded = (0..<excludedCount).map { "d\($0 * 2)" }
            for isFiltered in [false, true] {
                var request = try request(harness, .vector(target))
                request.isExact = true
                request.excluded = excluded.map { Array($0.utf8) }
                if isFiltered {
                    request.filter = try TestData.compile(
                        "{\"n\":{\"$lt\":150}}", harness.view.schema)
                }
                let outcome = try run(harness, request)
                let matching = vectors.filter {
                    !isFiltered || (Int($0.key.dropFirst()) ?? 0) < 150
                }
                #expect(outcome.total == matching.count, "seed \(seed)")
                #expect(outcome.isExact)
                let expected = matching.filter { !excluded.contains($0.key) }
                    .sorted {
                        (distance($0.value, target), $0.key) < (distance($1.value, target), $1.key)
                    }
                    .prefix(10).map(\.key)
                #expect(
                    outcome.hits.map { String(decoding: $0.id, as: UTF8.self) } == expected,
                    "\(excludedCount) excluded, seed \(seed)")
            }
        }
    }

    /// The change takes hold after the first slice, and documents move on behind it.
    @Test(arguments: ["f16", "store"], [false, true])
    func aLookupKeepsTheIndexThatItBeganWith(originals: String, isExact: Bool) throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 3)
        try harness.create(
            "c", Self.schema("{\"kind\":\"flat\",\"originals\":\"\(originals)\"}"))
        let vectors = try fill(harness, &random)
        let target: [Float] = [1, 2, 3]
        var asked = try request(harness, .vector(target))
        asked.isExact = isExact
        let execution = try SimilarExecution(asked, context: harness.context)
        defer { execution.finish() }
        #expect(try !execution.run(until: 0))
        let changes = [
            #"{"set":{"v":{"metric":"cosine","index":{"kind":"ivf"}}}}"#,
            #"{"set":{"v":{"index":false}}}"#,
        ]
        for change in changes {
            let status = try harness.alter(change)
            #expect(status.state == .done, "\(status.text)")
            for result in harness.write((0..<100).map { .one(harness.remove("d\($0)")) }) {
                #expect(result.code == nil)
            }
        }
        while try !execution.run(until: 0) {}
        let expected = vectors.sorted {
            (distance($0.value, target), $0.key) < (distance($1.value, target), $1.key)
        }
        #expect(execution.outcome.total == vectors.count)
        #expect(
            execution.outcome.hits.map { String(decoding: $0.id, as: UTF8.self) }
                == expected.prefix(10).map(\.key), "seed \(random.seed)")
    }

    @Test func aRequestOfAnotherSchemaIsRetryable() throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 2)
        try harness.create("c", Self.schema("{\"kind\":\"flat\"}"))
        _ = try fill(harness, &random)
        // Its target was checked for l2.
        let asked = try request(harness, .vector([0, 0, 0]))
        let status = try harness.alter(#"{"set":{"v":{"metric":"cosine"}}}"#)
        #expect(status.state == .done, "\(status.text)")
        do {
            _ = try run(harness, asked)
            Issue.record("answered for a metric that is gone")
        } catch let error as EngineError {
            #expect(error.code == .busy)
        }
        #expect(try run(harness, try request(harness, .vector([1, 2, 3]))).hits.count == 10)
    }

    @Test func aSampleIsForgottenWithItsIndex() throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 2)
        try harness.create("c", Self.schema("{\"kind\":\"hnsw\"}"))
        _ = try fill(harness, &random)
        let monitor = harness.engine.shared.recall
        let key = RecallMonitor.Key(
            collection: harness.view.id,
            field: try #require(harness.view.vectorFields.first).number)
        for _ in 0..<70 { _ = try run(harness, try request(harness, .vector([1, 2, 3]))) }
        let sample = try #require(monitor.recent(key).first)
        #expect(sample.target == [1, 2, 3])
        #expect(sample.request(in: harness.view) != nil)
        // Another width of the same index is no other index.
        #expect(
            try harness.alter(#"{"set":{"v":{"index":{"kind":"hnsw","efSearch":7}}}}"#).state
                == .done)
        #expect(sample.request(in: harness.view)?.field.vectorOptions?.searchWidth == 7)
        #expect(
            try harness.alter(#"{"set":{"v":{"index":{"kind":"hnsw","m":4}}}}"#).state == .done)
        #expect(sample.request(in: harness.view) == nil)
        let execution = RecallExecution(
            harness.view, try #require(harness.view.vectorFields.first), count: 20,
            deadlineNanoseconds: .max, context: harness.context)
        defer { execution.finish() }
        while try !execution.run(until: .max) {}
        #expect(execution.measured.recent == 0)
        #expect(execution.measured.sampled > 10)
    }

    @Test func measuringKeepsNoPartitionAlive() throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 2)
        try harness.create("c", Self.schema("{\"kind\":\"flat\"}"))
        _ = try fill(harness, &random)
        for _ in 0..<70 { _ = try run(harness, try request(harness, .vector([1, 2, 3]))) }
        weak let partition = harness.view.partitions.first
        #expect(partition != nil)
        #expect(harness.run("RESHARD") { try ReshardJob(partitionCount: 3).run($0) }.state == .done)
        // What a context has cached is renewed by its next lookup.
        _ = try run(harness, try request(harness, .vector([1, 2, 3])))
        for _ in 0..<500 where partition != nil { usleep(10_000) }
        #expect(partition == nil)
    }

    @Test func manyExamplesAreReadInSlices() throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 3)
        try harness.create("c", Self.schema("{\"kind\":\"flat\"}"))
        let vectors = try fill(harness, &random)
        let likes = vectors.keys.sorted().prefix(300)
        let asked = try request(
            harness, .examples(likes: likes.map { Array($0.utf8) }, unlikes: []), count: 100)
        let outcome = try run(harness, asked)
        #expect(outcome.basis == likes.map { Array($0.utf8) })
        #expect(outcome.total == vectors.count)
        #expect(outcome.hits.count == vectors.count - 300)
        var mean: [Float] = [0, 0, 0]
        for id in likes {
            for (place, value) in (vectors[id] ?? []).enumerated() { mean[place] += value / 300 }
        }
        for hit in outcome.hits {
            let id = String(decoding: hit.id, as: UTF8.self)
            let vector = try #require(vectors[id], "\(id), seed \(random.seed)")
            #expect(abs(distance(vector, mean) - (hit.distance ?? -1)) < 0.05)
        }
    }
}
