import Documents
import Foundation
import Primitives
import Query
import Schema
import TestSupport
import Testing

@testable import Engine
@testable import Partition

/// Goal: pages that are read off from kept orders are those that sorting the documents gives, while
/// documents come, change and go.
@Suite struct OrderedRowsTests {
    private static let schema = """
        {"fields":{"n":{"type":"int","index":true,"sort":true},\
        "p":{"type":"decimal","scale":2,"index":true,"sort":true},\
        "f":{"type":"float","index":true,"sort":true},"k":{"type":"keyword","index":true},\
        "nums":{"type":"int","array":true,"index":true}}}
        """

    /// Ids of several kinds: many share their first sixteen bytes, so that their keys tie.
    private func id(_ random: inout TestRandom, of count: Int) -> String {
        let number = random.below(count)
        // Rare ones, so that partitions differ in what all their ids begin with.
        if number == 7 { return "a" }
        return number % 3 == 0 ? "a-long-shared-prefix-\(number)" : "a-\(number)"
    }

    private func document(_ random: inout TestRandom, full: Bool) -> String {
        var parts = ["\"k\":\"\(random.pick(["red", "green", "blue"]))\""]
        if full || !random.one(in: 5) { parts.append("\"n\":\(random.below(7) - 3)") }
        if full || !random.one(in: 5) { parts.append("\"p\":\(random.below(4_000)).25") }
        if full || !random.one(in: 5) { parts.append("\"f\":\(random.below(100)).5") }
        if random.one(in: 2) { parts.append("\"nums\":[1,\(random.below(5))]") }
        return "{\(parts.joined(separator: ","))}"
    }

    private func harness(_ partitions: Int) throws -> EngineHarness {
        let harness = try EngineHarness(partitions: partitions) { $0.orderedRowCountMin = 0 }
        try harness.create("c", Self.schema)
        return harness
    }

    private func write(
        _ count: Int, to harness: EngineHarness, ids: Int, full: Bool, _ random: inout TestRandom,
        _ documents: inout [String: String]
    ) throws {
        var batch: [WriteRequest.Body] = []
        for _ in 0..<count {
            let id = id(&random, of: ids)
            if random.one(in: 5) {
                batch.append(.one(harness.remove(id)))
                documents[id] = nil
            } else {
                let text = document(&random, full: full)
                batch.append(.one(try harness.put(id, text)))
                documents[id] = text
            }
        }
        for result in harness.write(batch) { #expect(result.code == nil) }
    }

    /// Asks for the order until lookups find it.
    private func makeOrder(_ sort: String, _ harness: EngineHarness) throws -> Bool {
        let field = harness.view.schema.field(at: String(sort.split(separator: ":")[0]))
        guard field != nil || sort == "_id:1" else { return false }
        let descending = sort.hasSuffix("-1")
        let end = Clock.monotonicNanoseconds() + 20_000_000_000
        while Clock.monotonicNanoseconds() < end {
            _ = try harness.find(harness.request(sort: sort, limit: 1))
            let isThere = harness.view.partitions.allSatisfy { partition in
                partition.lock.lockForReading()
                defer { partition.lock.unlock() }
                return partition.orders(field?.number)?.order(descending: descending) != nil
            }
            if isThere { return true }
            usleep(1_000)
        }
        return false
    }

    private func checkInvariants(_ harness: EngineHarness) {
        for partition in harness.view.partitions {
            partition.lock.lockForReading()
            defer { partition.lock.unlock() }
            for column in partition.allColumns {
                for order in column.orders.all {
                    order.checkInvariants(slots: partition.slotBound)
                }
            }
            for order in partition.idOrders.all {
                order.checkInvariants(slots: partition.slotBound)
            }
        }
    }

    private func walk(_ request: FindRequest, _ harness: EngineHarness) throws -> [String] {
        var request = request
        var found: [String] = []
        while true {
            let outcome = try harness.find(request)
            found += outcome.hits.map { String(decoding: $0.id, as: UTF8.self) }
            request.skip = 0
            guard let next = outcome.next else { return found }
            request.after = next
        }
    }

    @Test(arguments: [(1, true), (2, true), (5, true), (1, false), (3, false)])
    func pagesAreThoseOfSorting(partitions: Int, full: Bool) throws {
        var random = TestRandom()
        let harness = try harness(partitions)
        var documents: [String: String] = [:]
        try write(4_000, to: harness, ids: 2_500, full: full, &random, &documents)
        let sorts = ["n:1", "n:-1", "p:1", "p:-1", "f:1", "f:-1", "_id:1"]
        if full {
            for sort in sorts { #expect(try makeOrder(sort, harness), "\(sort)") }
        }
        for round in 0..<12 {
            let naive = NaiveCollection(schema: harness.view.schema, documents: documents)
            for sort in sorts {
                let low = random.below(3_000)
                let filter = random.pick([
                    "{}", "{\"k\":\"red\"}", "{\"p\":{\"$gte\":\(low),\"$lt\":\(low + 900)}}",
                    "{\"n\":{\"$gte\":-1},\"k\":{\"$ne\":\"blue\"}}", "{\"n\":2}",
                    "{\"nums\":3}", "{\"f\":{\"$lt\":20},\"p\":{\"$gt\":\(low)}}",
                ])
                let expected = try naive.ids(
                    matching: TestData.compile(filter, harness.view.schema),
                    sort: SortSpec(parsing: sort))
                var request = try harness.request(filter, sort: sort, limit: random.pick([7, 60]))
                request.skip = random.pick([0, 3, 300, 1_000, max(0, expected.count - 5)])
                let page = Array(expected.dropFirst(request.skip))
                let found = try walk(request, harness)
                #expect(
                    found == page,
                    "round \(round), \(filter) by \(sort), skip \(request.skip), seed \(random.seed)"
                )
                if found != page { return }
            }
            checkInvariants(harness)
            // Small changes stay in the tails, large ones are merged.
            let count = random.pick([1, 40, 3_000])
            try write(count, to: harness, ids: 2_500, full: full, &random, &documents)
        }
    }

    @Test func pinnedVersionsKeepTheirPagesWhileRowsChange() throws {
        var random = TestRandom()
        let harness = try harness(2)
        var documents: [String: String] = [:]
        try write(3_000, to: harness, ids: 2_000, full: true, &random, &documents)
        #expect(try makeOrder("p:1", harness))
        for _ in 0..<10 {
            let naive = NaiveCollection(schema: harness.view.schema, documents: documents)
            let request = try harness.request(sort: "p:1", limit: 500)
            let expected = try naive.ids(
                matching: TestData.compile("{}", harness.view.schema),
                sort: SortSpec(parsing: "p:1"))
            // The version is pinned here; its filter runs, then rows change under it.
            let execution = try FindExecution(request, context: harness.context)
            defer { execution.finish() }
            _ = try execution.run(until: 0)
            try write(700, to: harness, ids: 2_000, full: true, &random, &documents)
            while try !execution.run(until: 0) {}
            let found = execution.outcome.hits.map { String(decoding: $0.id, as: UTF8.self) }
            #expect(found == Array(expected.prefix(500)), "seed \(random.seed)")
        }
    }

    @Test func anOrderThatNobodyReadsIsGivenUp() throws {
        var random = TestRandom()
        let harness = try harness(1)
        var documents: [String: String] = [:]
        try write(2_000, to: harness, ids: 1_500, full: true, &random, &documents)
        #expect(try makeOrder("p:1", harness))
        let partition = harness.view.partitions[0]
        let field = try #require(harness.view.schema.field(at: "p"))
        let column = try #require(partition.readyColumn(field.number))
        #expect(column.orders.all.count == 1)
        for _ in 0..<60 {
            try write(1_000, to: harness, ids: 1_500, full: true, &random, &documents)
        }
        #expect(column.orders.all.isEmpty)
        #expect(try makeOrder("p:1", harness))
    }

    @Test func aNewFirstByteOfIdsDropsTheOrders() throws {
        var random = TestRandom()
        let harness = try harness(1)
        var documents: [String: String] = [:]
        try write(500, to: harness, ids: 400, full: true, &random, &documents)
        #expect(try makeOrder("n:1", harness))
        harness.write(.one(try harness.put("zebra", "{\"k\":\"red\",\"n\":0,\"p\":1,\"f\":1}")))
        documents["zebra"] = "{\"k\":\"red\",\"n\":0,\"p\":1,\"f\":1}"
        #expect(try makeOrder("n:1", harness))
        let naive = NaiveCollection(schema: harness.view.schema, documents: documents)
        let expected = try naive.ids(
            matching: TestData.compile("{}", harness.view.schema), sort: SortSpec(parsing: "n:1"))
        #expect(try walk(harness.request(sort: "n:1", limit: 9), harness) == expected)
        checkInvariants(harness)
    }

    @Test func partitionsWhoseIDsBeginDifferentlyAreMergedByID() throws {
        var random = TestRandom()
        let ids = [
            "a", "ab", "ab-12345678-x", "ab-12345678-y", "ab-12345678-yy", "b", "m1", "m10", "m2",
            "m20000000001", "m20000000002", "z", "zz", "zzzzzzzzzzzzzzzz", "äö",
        ]
        for _ in 0..<25 {
            let harness = try harness(random.pick([2, 7]))
            var documents: [String: String] = [:]
            for id in ids.shuffled(using: &random).prefix(random.pick([3, 6, 15])) {
                documents[id] = "{\"k\":\"red\",\"n\":\(random.below(2)),\"p\":1,\"f\":1}"
            }
            harness.write(try documents.map { .one(try harness.put($0.key, $0.value)) })
            let naive = NaiveCollection(schema: harness.view.schema, documents: documents)
            for sort in ["n:1", "_id:1"] {
                #expect(try makeOrder(sort, harness))
                let expected = try naive.ids(
                    matching: TestData.compile("{}", harness.view.schema),
                    sort: SortSpec(parsing: sort))
                let found = try walk(harness.request(sort: sort, limit: 2), harness)
                #expect(found == expected, "\(sort), seed \(random.seed)")
            }
        }
    }

    @Test func idsThatTieByTheThousandInTheirKeysAreInOrder() throws {
        var random = TestRandom()
        let harness = try harness(2)
        var documents: [String: String] = [:]
        for family in ["customer", "supplier"] {
            for number in 0..<3_000 {
                documents["\(family)-of-the-shop-\(number)"] = document(&random, full: true)
            }
        }
        harness.write(try documents.map { .one(try harness.put($0.key, $0.value)) })
        let naive = NaiveCollection(schema: harness.view.schema, documents: documents)
        for sort in ["_id:1", "n:1", "p:-1"] {
            #expect(try makeOrder(sort, harness))
            let expected = try naive.ids(
                matching: TestData.compile("{}", harness.view.schema),
                sort: SortSpec(parsing: sort))
            var request = try harness.request(sort: sort, limit: 900)
            request.isExplained = true
            let outcome = try harness.find(request)
            let stage = try #require(outcome.plan.stages.last)
            #expect(stage.detail.contains("read off"), "\(sort)")
            #expect(try walk(request, harness) == expected, "\(sort), seed \(random.seed)")
        }
    }
}
