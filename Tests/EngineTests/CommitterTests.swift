import DocumentStore
import Documents
import Primitives
import Query
import Schema
import TestSupport
import Testing

@testable import Engine
@testable import Partition

/// Goal: writes are decided in their order, whether they share a group or not.
/// Method: requests that are submitted together are taken together, so they share a group.
@Suite struct CommitterTests {
    private static let uniqueSchema = """
        {"fields":{"u":{"type":"keyword","unique":true},"v":{"type":"int","unique":true},
        "n":{"type":"int","index":true}}}
        """

    private func harness(_ schema: String = uniqueSchema) throws -> EngineHarness {
        let harness = try EngineHarness()
        try harness.create("c", schema)
        return harness
    }

    // MARK: - Conditions

    @Test func conditionsSeeTheirOwnGroup() throws {
        let harness = try harness()
        var absent = try harness.put("a", #"{"n":1}"#)
        absent.condition = .absent
        var again = try harness.put("a", #"{"n":2}"#)
        again.condition = .absent
        var present = try harness.put("a", #"{"n":3}"#)
        present.condition = .present
        var gone = try harness.put("b", "{}")
        gone.condition = .present
        let results = harness.write([.one(absent), .one(again), .one(present), .one(gone)])
        #expect(results.map(\.code) == [nil, .conflict, nil, .conflict])
        #expect(results[0].version == 1 && results[2].version == 2)
        #expect(try harness.fetch("a") == #"{"n":3}"#)
    }

    @Test func versionConditionNamesTheNewestOnly() throws {
        let harness = try harness()
        let first = harness.write(.one(try harness.put("a", "{}"))).version
        var stale = try harness.put("a", #"{"n":1}"#)
        stale.condition = .version(Version(first ?? 0))
        let results = harness.write([.one(stale), .one(stale)])
        #expect(results.map(\.code) == [nil, .conflict])
    }

    @Test func filterConditionSeesTheStagedDocument() throws {
        let harness = try harness()
        let schema = harness.view.schema
        var bump = try harness.patch("a", #"{"$inc":{"n":1}}"#)
        bump.condition = .matches(try TestData.compile(#"{"n":{"$lt":3}}"#, schema))
        let results = harness.write(
            [.one(try harness.put("a", #"{"n":0}"#))] + (0..<6).map { _ in .one(bump) })
        #expect(results.filter { $0.code == nil }.count == 4)
        #expect(results.filter { $0.code == .conflict }.count == 3)
        #expect(try harness.fetch("a") == #"{"n":3}"#)
    }

    @Test func patchOfAnAbsentDocumentNeedsUpsert() throws {
        let harness = try harness()
        let results = harness.write([
            .one(try harness.patch("a", #"{"n":1}"#)),
            .one(try harness.patch("a", #"{"n":1}"#, upsert: true)),
        ])
        #expect(results.map(\.code) == [.notFound, nil])
    }

    // MARK: - Unique keys

    @Test func uniqueValueHasOneHolderWithinAGroupAndAcross() throws {
        let harness = try harness()
        let first = harness.write([
            .one(try harness.put("a", #"{"u":"x"}"#)), .one(try harness.put("b", #"{"u":"x"}"#)),
        ])
        #expect(first.map(\.code) == [nil, .duplicate])
        #expect(harness.write(.one(try harness.put("c", #"{"u":"x"}"#))).code == .duplicate)
        if case .failed(let error) = harness.write(.one(try harness.put("c", #"{"u":"x"}"#))) {
            #expect(error.path == "u" && error.text.contains("a"))
        }
        #expect(harness.write(.one(try harness.put("a", #"{"u":"x","n":1}"#))).code == nil)
    }

    @Test func uniqueValueMovesWithinOneGroup() throws {
        let harness = try harness()
        harness.write(.one(try harness.put("a", #"{"u":"x"}"#)))
        let results = harness.write([
            .one(try harness.put("b", #"{"u":"x"}"#)), .one(try harness.put("a", #"{"u":"y"}"#)),
            .one(try harness.put("b", #"{"u":"x"}"#)), .one(try harness.put("a", #"{"u":"x"}"#)),
            .one(harness.remove("b")), .one(try harness.put("a", #"{"u":"x"}"#)),
        ])
        #expect(results.map(\.code) == [.duplicate, nil, nil, .duplicate, nil, nil])
        #expect(harness.write(.one(try harness.put("z", #"{"u":"y"}"#))).code == nil)
        #expect(harness.write(.one(try harness.put("z", #"{"u":"x"}"#))).code == .duplicate)
    }

    @Test func transactionSwapsUniqueValuesByWayOfAThird() throws {
        let harness = try harness()
        harness.write([
            .one(try harness.put("a", #"{"u":"x"}"#)), .one(try harness.put("b", #"{"u":"y"}"#)),
        ])
        let direct = harness.write(
            .transaction([
                try harness.put("a", #"{"u":"y"}"#), try harness.put("b", #"{"u":"x"}"#),
            ]))
        #expect(direct.code == .duplicate)
        let swap = harness.write(
            .transaction([
                harness.remove("a"), try harness.put("b", #"{"u":"x"}"#),
                try harness.put("a", #"{"u":"y"}"#),
            ]))
        #expect(swap.code == nil)
        #expect(harness.write(.one(try harness.put("d", #"{"u":"x"}"#))).code == .duplicate)
        #expect(harness.write(.one(try harness.put("d", #"{"u":"y"}"#))).code == .duplicate)
        #expect(try harness.fetch("a") == #"{"u":"y"}"#)
    }

    @Test func randomWritesKeepUniqueValuesAsTheirModelDoes() throws {
        var random = TestRandom()
        let harness = try harness()
        var model: [String: (u: Int?, v: Int?)] = [:]
        func document(_ u: Int?, _ v: Int?) -> String {
            let members = [u.map { "\"u\":\"k\($0)\"" }, v.map { "\"v\":\($0)" }]
            return "{" + members.compactMap { $0 }.joined(separator: ",") + "}"
        }
        /// The model's outcome of a put: whether it is taken.
        func put(_ id: String, _ u: Int?, _ v: Int?) -> Bool {
            let isTaken = model.contains { other, values in
                other != id && ((u != nil && values.u == u) || (v != nil && values.v == v))
            }
            if !isTaken { model[id] = (u, v) }
            return !isTaken
        }
        for round in 0..<150 {
            var bodies: [WriteRequest.Body] = []
            var expected: [Bool] = []
            for _ in 0..<random.below(12) {
                var operations: [WriteOperation] = []
                let before = model
                var isWell = true
                for _ in 0..<(random.one(in: 3) ? 4 : 1) {
                    let id = "d\(random.below(12))"
                    if random.one(in: 4) {
                        operations.append(harness.remove(id))
                        if isWell { model[id] = nil }
                    } else {
                        let u = random.one(in: 5) ? nil : random.below(10)
                        let v = random.one(in: 3) ? nil : random.below(10)
                        operations.append(try harness.put(id, document(u, v)))
                        if isWell { isWell = put(id, u, v) }
                    }
                }
                if !isWell { model = before }
                expected.append(isWell)
                bodies.append(
                    operations.count == 1 ? .one(operations[0]) : .transaction(operations))
            }
            let results = harness.write(bodies)
            #expect(
                results.map { $0.code == nil } == expected, "round \(round), seed \(random.seed)")
            if random.one(in: 40) { try harness.reopen() }
        }
        for id in 0..<12 {
            let expected = model["d\(id)"].map { document($0.u, $0.v) }
            #expect(try harness.fetch("d\(id)") == expected, "seed \(random.seed)")
        }
    }

    // MARK: - Transactions and removals

    @Test func failedTransactionLeavesNothingBehind() throws {
        let harness = try harness()
        harness.write(.one(try harness.put("a", #"{"u":"x","n":1}"#)))
        let before = try harness.contents()
        var key = try harness.put("k", #"{"u":"q"}"#)
        key.idempotencyKey = [1]
        var late = try harness.put("z", #"{"u":"q"}"#)
        late.commandNumber = 3
        let results = harness.write([
            .transaction([try harness.put("a", #"{"u":"w"}"#), key, late]),
            .one(try harness.put("y", #"{"u":"w"}"#)), .one(key),
        ])
        guard case .failed(let error) = results[0] else {
            Issue.record("the transaction fails")
            return
        }
        #expect(error.code == .duplicate && error.text.hasPrefix("#3 "))
        #expect(results[1].code == nil && results[1].version == 2)
        #expect(results[2].code == nil && results[2].version == 3)
        #expect(try harness.contents().hasPrefix(before))
    }

    @Test func transactionSeesItsOwnWritesAndHasOneVersion() throws {
        let harness = try harness()
        let view = harness.view
        let fetch = WriteOperation(
            kind: .fetch(nil, withMeta: false), collection: view, id: Array("a".utf8))
        let result = harness.write(
            .transaction([
                try harness.put("a", #"{"n":1}"#), try harness.patch("a", #"{"$inc":{"n":5}}"#),
                fetch, harness.remove("b"), try harness.put("b", "{}"), harness.remove("b"),
            ]))
        guard case .transaction(let results) = result else {
            Issue.record("the transaction is carried out")
            return
        }
        #expect(results[0].version == 1 && results[1].version == 1)
        if case .document(let bytes?) = results[2] {
            #expect(String(decoding: bytes, as: UTF8.self) == #"{"n":6}"#)
        } else {
            Issue.record("the fetch sees the patch")
        }
        #expect(results[3].removedCount == 0 && results[5].removedCount == 1)
        #expect(try harness.fetch("b") == nil)
        #expect(harness.engine.publishedVersion == Version(1))
        #expect(try harness.find(harness.request()).total == 1)
    }

    @Test func transactionWithTooManyChangesIsRefused() throws {
        let harness = try harness()
        let operations = try (0..<65_537).map { try harness.put("d\($0 % 7)", "{}") }
        #expect(harness.write(.transaction(operations)).code == .limit)
        #expect(try harness.find(harness.request()).total == 0)
        #expect(harness.write(.transaction(Array(operations.dropLast()))).code == nil)
        #expect(try harness.find(harness.request()).total == 7)
    }

    @Test func removalOfManyCountsThoseThatStillMatch() throws {
        let harness = try harness()
        harness.write(try (0..<6).map { .one(try harness.put("d\($0)", "{\"n\":\($0)}")) })
        let filter = try TestData.compile(#"{"n":{"$gte":2}}"#, harness.view.schema)
        let ids = (0..<9).map { Array("d\($0)".utf8) }
        let body = WriteRequest.Body.removeMany(
            harness.view, ids, condition: .matches(filter), idempotencyKey: [7])
        let results = harness.write([body, body])
        #expect(results.map(\.removedCount) == [4, 4])
        #expect(try harness.find(harness.request()).total == 2)
    }

    @Test func removalOfManyThatFailsHalfWayRemovesNothing() throws {
        let harness = try harness()
        harness.write(try (0..<4).map { .one(try harness.put("d\($0)", "{}")) })
        let view = harness.view
        let ids = (0..<4).map { Array("d\($0)".utf8) }
        try harness.engine.onCommitter { committer in
            // The third document's entry is lost: its removal cannot be measured.
            let hash = ids[2].withUnsafeBytes { view.hash($0) }
            let heads = view.partition(hash: hash).heads
            guard let number = ids[2].withUnsafeBytes({ heads.number(hash: hash, id: $0) }) else {
                return .done
            }
            try committer.writer.begin()
            _ = try committer.writer.delete(heads.key(number))
            try committer.writer.commit()
            return .done
        }
        let result = harness.write(
            .removeMany(view, ids, condition: .always, idempotencyKey: nil))
        #expect(result.code == .corrupt)
        #expect(view.documentCount == 4)
        #expect(harness.write(.one(harness.remove("d0"))).removedCount == 1)
        #expect(harness.engine.publishedVersion == Version(5))
    }

    // MARK: - Idempotency

    @Test func sameKeyAnswersTheFirstReplyAndWritesNothing() throws {
        let harness = try harness()
        var first = try harness.put("a", #"{"n":1}"#)
        first.idempotencyKey = Array("k".utf8)
        var second = try harness.put("b", #"{"n":2}"#)
        second.idempotencyKey = Array("k".utf8)
        let results = harness.write([.one(first), .one(second)])
        #expect(results.map(\.version) == [1, 1])
        #expect(harness.write(.one(second)).version == 1)
        #expect(try harness.fetch("b") == nil)
    }

    @Test func failedWriteDoesNotUseItsKeyUp() throws {
        let harness = try harness()
        var write = try harness.put("a", "{}")
        write.idempotencyKey = Array("k".utf8)
        write.condition = .present
        #expect(harness.write(.one(write)).code == .conflict)
        write.condition = .always
        #expect(harness.write(.one(write)).version == 1)
    }

    // MARK: - Read-only and dropped

    @Test func transactionOfReadsIsAnsweredWhereNoWriteIsTaken() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        harness.write(.one(try harness.put("d", #"{"n":1}"#)))
        let fetch = WriteOperation(
            kind: .fetch(nil, withMeta: false), collection: harness.view, id: Array("d".utf8))
        let put = try harness.put("d", #"{"n":2}"#)
        harness.engine.shared.restoringJob = 1
        let result = harness.write(.transaction([fetch, fetch]))
        guard case .transaction(let replies) = result, replies.count == 2,
            case .document(let bytes?) = replies[1]
        else {
            Issue.record("answered \(result)")
            return
        }
        #expect(bytes == Array(#"{"n":1}"#.utf8))
        #expect(harness.write(.transaction([fetch, put])).code == .readOnly)
        harness.engine.shared.restoringJob = nil
        #expect(harness.write(.transaction([fetch, put])).code == nil)
    }

    @Test func writeToADroppedCollectionIsRefused() throws {
        let harness = try harness()
        let write = try harness.put("a", "{}")
        harness.write(.administrative { try $0.drop("c") })
        #expect(harness.write(.one(write)).code == .notFound)
    }
}
