import Documents
import Primitives
import Query
import Schema
import TestSupport
import Testing

@testable import Engine
@testable import Partition

/// Goal: lookups give what sorting and matching the documents themselves gives, page after page,
/// in any number of partitions.
@Suite struct LookupTests {
    private func fill(
        _ harness: EngineHarness, count: Int, ids: Int, _ random: inout TestRandom
    ) throws -> [String: String] {
        var documents: [String: String] = [:]
        var batch: [WriteRequest.Body] = []
        for _ in 0..<count {
            let id = TestData.id(&random, of: ids)
            if random.one(in: 6) {
                batch.append(.one(harness.remove(id)))
                documents[id] = nil
            } else {
                let text = TestData.document(&random)
                batch.append(.one(try harness.put(id, text)))
                documents[id] = text
            }
        }
        for result in harness.write(batch) { #expect(result.code == nil) }
        return documents
    }

    private func sort(_ random: inout TestRandom) -> String {
        var keys = TestData.sortable.shuffled(using: &random).prefix(1 + random.below(3))
        if let place = keys.firstIndex(of: "_id") { keys = keys[...place] }
        return keys.map { "\($0):\(random.pick(["1", "-1"]))" }.joined(separator: ",")
    }

    @Test(arguments: [1, 2, 3, 7])
    func pagesWalkTheWholeSetWithoutRepeatOrSkip(partitions: Int) throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: partitions)
        try harness.create("c")
        let documents = try fill(harness, count: 900, ids: 400, &random)
        let naive = NaiveCollection(schema: harness.view.schema, documents: documents)
        for _ in 0..<120 {
            let filter = random.one(in: 3) ? "{}" : TestData.filter(&random)
            let order = sort(&random)
            let limit = random.pick([1, 3, 10, 50, 1000])
            let expected = try naive.ids(
                matching: TestData.compile(filter, harness.view.schema),
                sort: SortSpec(parsing: order))
            if limit == 1, expected.count > 60 { continue }
            var request = try harness.request(filter, sort: order, limit: limit)
            var found: [String] = []
            var pageCount = 0
            while pageCount <= expected.count {
                let outcome = try harness.find(request)
                #expect(outcome.total == expected.count)
                found += outcome.hits.map { String(decoding: $0.id, as: UTF8.self) }
                pageCount += 1
                guard let next = outcome.next else { break }
                request.after = next
            }
            #expect(
                found == expected,
                "\(filter) by \(order), pages of \(limit), seed \(random.seed)")
            if found != expected { return }
        }
    }

    @Test(arguments: [1, 3])
    func skippedPagesAreTheSameAsWalkedOnes(partitions: Int) throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: partitions)
        try harness.create("c")
        let documents = try fill(harness, count: 4_000, ids: 3_000, &random)
        let naive = NaiveCollection(schema: harness.view.schema, documents: documents)
        for _ in 0..<60 {
            let filter = random.one(in: 2) ? "{}" : TestData.filter(&random)
            let order = sort(&random)
            let expected = try naive.ids(
                matching: TestData.compile(filter, harness.view.schema),
                sort: SortSpec(parsing: order))
            var request = try harness.request(filter, sort: order, limit: 20)
            for skip in [0, 5, 300, 700, 1_500, expected.count - 3] where skip >= 0 {
                request.skip = skip
                let found = try harness.find(request).hits.map {
                    String(decoding: $0.id, as: UTF8.self)
                }
                let page = Array(expected.dropFirst(skip).prefix(20))
                #expect(
                    found == page, "\(filter) by \(order), skip \(skip), seed \(random.seed)")
                if found != page { return }
            }
        }
    }

    @Test func manyTiesInTheFirstKeyAreDecidedByTheNext() throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 2)
        try harness.create("c")
        var documents: [String: String] = [:]
        var batch: [WriteRequest.Body] = []
        for number in 0..<6_000 {
            let text = "{\"n\":\(random.below(2)),\"p\":\(random.below(3)),\"nums\":[1,2]}"
            documents["d\(number)"] = text
            batch.append(.one(try harness.put("d\(number)", text)))
        }
        harness.write(batch)
        let naive = NaiveCollection(schema: harness.view.schema, documents: documents)
        for order in ["n:1,p:-1", "n:-1", "nums:1,p:1", "n:1,_id:-1", "b:1,n:1"] {
            let expected = try naive.ids(
                matching: TestData.compile("{}", harness.view.schema),
                sort: SortSpec(parsing: order))
            var request = try harness.request(sort: order, limit: 997)
            var found: [String] = []
            for _ in 0..<7 {
                let outcome = try harness.find(request)
                found += outcome.hits.map { String(decoding: $0.id, as: UTF8.self) }
                guard let next = outcome.next else { break }
                request.after = next
            }
            #expect(found == expected, "\(order), seed \(random.seed)")
        }
    }

    @Test func aggregatesAreTheSameInAnyNumberOfPartitions() throws {
        let seed = TestRandom().seed
        var answers: [[String]] = []
        for partitions in [1, 2, 3, 7] {
            var random = TestRandom(seed: seed)
            let harness = try EngineHarness(partitions: partitions)
            try harness.create("c")
            _ = try fill(harness, count: 700, ids: 300, &random)
            var lines: [String] = []
            for _ in 0..<40 {
                var request = try harness.request(TestData.filter(&random), limit: 0)
                for path in ["k", "tags", "n", "nums", "b", "x"] {
                    request.facets.append(
                        FacetRequest(path: path, limit: 5, edges: [], edgeKeys: []))
                }
                request.facets.append(
                    FacetRequest(
                        path: "n", limit: 5, edges: [.int(-3), .int(0), .int(4)],
                        edgeKeys: [-3, 0, 4]))
                request.stats = ["n", "p", "r", "nums", "x"]
                request.distinct = random.pick(["k", "tags", "n", "x"])
                lines.append(describe(try harness.find(request)))
                request.statsBy = "tags"
                lines.append(describe(try harness.find(request)))
            }
            answers.append(lines)
        }
        for other in answers.dropFirst() { #expect(other == answers[0], "seed \(seed)") }
    }

    @Test func sumsOfDoublesDoNotDependOnThePartitions() throws {
        // Tenths and numbers of very different size: added one after another in another order they
        // come to another last bit.
        let seed = TestRandom().seed
        var answers: [[String]] = []
        for partitions in [1, 2, 3, 7] {
            var random = TestRandom(seed: seed)
            let harness = try EngineHarness(partitions: partitions)
            try harness.create("c")
            harness.write(
                try (0..<3_000).map { number in
                    let value = "\(random.below(1_000)).\(random.below(10))e\(random.below(9) - 4)"
                    let text = "{\"r\":\(value),\"k\":\"k\(random.below(3))\"}"
                    return .one(try harness.put("d\(number)", text))
                })
            var lines: [String] = []
            for filter in ["{}", "{\"k\":\"k1\"}", "{\"r\":{\"$gt\":10}}"] {
                var request = try harness.request(filter, limit: 0)
                request.stats = ["r"]
                lines.append(describe(try harness.find(request)))
                request.statsBy = "k"
                lines.append(describe(try harness.find(request)))
            }
            answers.append(lines)
        }
        for other in answers.dropFirst() { #expect(other == answers[0], "seed \(seed)") }
    }

    @Test func columnsAggregateAsDocumentsDo() throws {
        var random = TestRandom()
        let harness = try EngineHarness(partitions: 3)
        try harness.create("c")
        _ = try fill(harness, count: 600, ids: 300, &random)
        let version = harness.engine.publishedVersion
        // One more write, so that `AT` is not the newest version and reads documents.
        harness.write(.one(try harness.put("later", "{\"n\":1}")))
        harness.write(.one(harness.remove("later")))
        for _ in 0..<60 {
            let text = TestData.filter(&random)
            var request = try harness.request(text, limit: 0)
            for path in ["k", "tags", "n", "nums", "b", "t", "p"] {
                request.facets.append(
                    FacetRequest(path: path, limit: 50, edges: [], edgeKeys: []))
            }
            request.facets.append(
                FacetRequest(
                    path: "nums", limit: 5, edges: [.int(-3), .int(0), .int(4)],
                    edgeKeys: [-3, 0, 4]))
            request.stats = ["n", "p", "nums"]
            request.statsBy = random.one(in: 2) ? "k" : nil
            request.distinct = random.pick(["k", "tags", "n", "b"])
            let now = describe(try harness.find(request))
            request.version = version
            let then = describe(try harness.find(request))
            let lines = zip(now.split(separator: "\n"), then.split(separator: "\n"))
            for (left, right) in lines where left != right {
                Issue.record("\(left) is not \(right): \(text), seed \(random.seed)")
                return
            }
        }
    }

    @Test func idsAreGatheredInSlices() throws {
        let harness = try EngineHarness(partitions: 3)
        try harness.create("c")
        let count = 2_000
        harness.write(try (0..<count).map { .one(try harness.put("d\($0)", "{}")) })
        for limit in [0, 1, 700, count, Int.max] {
            let execution = try FindExecution(harness.request(limit: 0), context: harness.context)
            defer { execution.finish() }
            while try !execution.run(until: 0) {}
            var place = RowPlace.start
            var ids: [[UInt8]] = []
            var sliceCount = 0
            while true {
                let before = ids.count
                // A time that is over: as little as possible at once.
                if execution.gatherIDs(from: &place, into: &ids, limit: limit, until: 0) { break }
                #expect(ids.count - before <= 256)
                sliceCount += 1
                // What is written meanwhile does not matter to the version.
                harness.write(.one(harness.remove("d\(sliceCount)")))
                harness.write(.one(try harness.put("d\(sliceCount)", "{}")))
            }
            #expect(Set(ids).count == ids.count && ids.count == min(limit, count))
            #expect(limit < count || sliceCount >= count / 256)
        }
    }

    private func describe(_ outcome: FindOutcome) -> String {
        var text = "\(outcome.total)"
        for facet in outcome.facets {
            text += "\n\(facet.path): \(facet.values.map { "\($0.value)=\($0.count)" })"
            text += "\(facet.ranges.map(\.count))"
        }
        for stats in outcome.stats {
            text += "\n\(stats.path): \(stats.overall.map { "\($0)" } ?? "")"
            text += "\(stats.groups.map { "\($0.value) \($0.figures)" })"
        }
        return text + "\n\(outcome.distinct.map { "\($0)" } ?? "")"
    }
}
