import Documents
import Foundation
import HoursIndex
import Primitives
import Query
import Schema
import Snapshot
import TestSupport
import Testing

@testable import Engine
@testable import Partition

/// Goal: a start from a snapshot gives what a start from the log alone gives, whatever happened
/// before, between and to the file.
@Suite struct SnapshotTests {
    static let schema = """
        {"fields":{"n":{"type":"int","index":true,"sort":true},
        "p":{"type":"decimal","scale":2,"index":true,"sort":true},
        "r":{"type":"float","index":true,"sort":true},"b":{"type":"bool","index":true},
        "t":{"type":"datetime","index":true,"sort":true},
        "k":{"type":"keyword","index":true,"sort":true,"facet":true},
        "tags":{"type":"keyword","array":true,"index":true,"sort":true,"facet":true},
        "nums":{"type":"int","array":true,"index":true,"sort":true},
        "code":{"type":"keyword","unique":true},
        "v":{"type":"vector","dimensions":4,"metric":"l2",
            "index":{"kind":"hnsw","m":4,"storage":"f32"}},
        \(TestData.placeFields)}}
        """

    private func churn(
        _ harness: EngineHarness, _ count: Int, _ random: inout TestRandom, expiring: Bool = false
    ) throws {
        var bodies: [WriteRequest.Body] = []
        for _ in 0..<count {
            let id = TestData.id(&random, of: 120)
            switch random.below(5) {
            case 0: bodies.append(.one(harness.remove(id)))
            case 1:
                let patch = "{\"$set\":{\"n\":\(random.below(9))}}"
                bodies.append(.one(try harness.patch(id, patch, upsert: true)))
            default:
                var text = TestData.placed(TestData.document(&random), &random)
                let vector = (0..<4).map { _ in "\(random.below(9))" }.joined(separator: ",")
                let rest = text == "{}" ? "}" : "," + text.dropFirst()
                text = "{\"v\":[\(vector)],\"code\":\"of \(id)\"" + rest
                var operation = try harness.put(id, text)
                if expiring, random.one(in: 4) {
                    operation.expiry = .at(Clock.wallMilliseconds() + 3_600_000)
                }
                bodies.append(.one(operation))
            }
        }
        for result in harness.write(bodies) { #expect(result.code == nil) }
    }

    /// Everything that lookups of all kinds say, as one text.
    /// Begins anew where an index comes into use meanwhile, as the server does.
    private func find(
        _ harness: EngineHarness, _ request: () throws -> FindRequest
    ) throws -> FindOutcome {
        while true {
            do {
                return try harness.find(try request())
            } catch let error as EngineError where error.isSchemaChange {
                continue
            }
        }
    }

    private func answers(_ harness: EngineHarness, seed: UInt64) throws -> String {
        var random = TestRandom(seed: seed)
        var lines = [try harness.contents()]
        for _ in 0..<40 {
            let filter = TestData.filter(&random)
            let sort = random.pick(["n", "-p", "r", "-t", "k", "-tags", "nums", "_id"])
            let outcome = try find(harness) {
                try harness.request(filter, sort: "[\"\(sort)\"]", limit: 10)
            }
            let ids = outcome.hits.map { String(decoding: $0.id, as: UTF8.self) }
            lines.append("\(filter) \(sort): \(outcome.total) \(ids)")
        }
        for _ in 0..<20 {
            let (west, south) = (random.below(300) - 180, random.below(150) - 90)
            let (east, north) = (west + random.below(60), south + random.below(30))
            let field = random.pick(["at", "spots", "area", "plan"])
            let shape = field == "area" || random.one(in: 2) ? "$polygon" : "$box"
            let corners =
                shape == "$box"
                ? "[\(west),\(south)],[\(east),\(north)]"
                : "[\(west),\(south)],[\(east + 1),\(south)],[\(west),\(north + 1)]"
            let filter =
                field == "area"
                ? """
                {"area":{"$geoIntersects":{"$geometry":{"type":"Polygon","coordinates":
                [[\(corners),[\(west),\(south)]]]}}}}
                """ : "{\"\(field)\":{\"$geoWithin\":{\"\(shape)\":[\(corners)]}}}"
            let outcome = try find(harness) {
                try harness.request(filter, sort: "[\"_id\"]", limit: 500)
            }
            lines.append(
                "\(filter): \(outcome.hits.map { String(decoding: $0.id, as: UTF8.self) })")
        }
        let open = harness.view.partitions.map { partition in
            (0..<Slot(partition.slotBound)).count { slot in
                partition.rows.live.test(slot)
                    && partition.hoursFields.allSatisfy { $0.isReady && $0.table.hasHours(slot) }
            }
        }
        lines.append("\(open.reduce(0, +)) with hours")
        return lines.joined(separator: "\n")
    }

    private func take(_ harness: EngineHarness, _ name: String, entries: Bool = true) throws {
        let status = harness.wait(
            for: try harness.engine.takeSnapshot(name: name, hasEntries: entries))
        try #require(status.state == .done, "\(status.text)")
    }

    private func path(_ harness: EngineHarness, _ name: String) -> String {
        harness.engine.shelf.path(name)
    }

    @Test(arguments: [true, false])
    func aStartFromASnapshotEqualsOneFromTheLog(entries: Bool) throws {
        var random = TestRandom()
        print("seed \(random.seed)")
        let harness = try EngineHarness { $0.retentionMilliseconds = 50 }
        try harness.create("c", Self.schema)
        for round in 0..<5 {
            try churn(harness, 300, &random, expiring: true)
            try take(harness, "s\(round)", entries: entries)
            if round > 0 { try churn(harness, 200, &random, expiring: true) }
            let before = try answers(harness, seed: 7)
            let totals = try harness.totals()
            try harness.reopen()
            #expect(harness.engine.recovery.snapshot == "s\(round)", "seed \(random.seed)")
            #expect(harness.engine.recovery.notes == [], "seed \(random.seed)")
            // Only what came behind the snapshot was read from the log.
            #expect(harness.engine.recovery.entryCount <= (round > 0 ? 200 : 0))
            #expect(try answers(harness, seed: 7) == before, "seed \(random.seed)")
            #expect(try harness.totals().live == totals.live, "seed \(random.seed)")
        }
        // The same without any snapshot.
        let before = try answers(harness, seed: 8)
        for round in 0..<5 { _ = try harness.engine.shelf.drop("s\(round)") }
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot == nil)
        #expect(try answers(harness, seed: 8) == before, "seed \(random.seed)")
    }

    @Test func uniqueValuesAndTimesToLiveSurvive() throws {
        let harness = try EngineHarness()
        try harness.create("c", Self.schema)
        var operation = try harness.put("short", "{\"code\":\"x\"}")
        operation.expiry = .at(Clock.wallMilliseconds() + 400)
        harness.write([.one(operation), .one(try harness.put("long", "{\"code\":\"y\"}"))])
        try take(harness, "one")
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot == "one")
        #expect(
            harness.write(.one(try harness.put("other", "{\"code\":\"y\"}"))).code == .duplicate)
        for _ in 0..<300 where try harness.fetch("short") != nil { usleep(10_000) }
        #expect(try harness.fetch("short") == nil)
        #expect(harness.write(.one(try harness.put("other", "{\"code\":\"x\"}"))).code == nil)
    }

    /// One section after the other is damaged: what it held is made anew, and no answer changes.
    @Test func damagedSectionsAreMadeAnew() throws {
        var random = TestRandom()
        print("seed \(random.seed)")
        let harness = try EngineHarness(partitions: 2)
        try harness.create("c", Self.schema)
        try churn(harness, 400, &random, expiring: true)
        try take(harness, "one")
        try churn(harness, 100, &random, expiring: true)
        let before = try answers(harness, seed: 3)
        let path = path(harness, "one")
        let good = try Data(contentsOf: URL(fileURLWithPath: path))
        let sections = try SnapshotFile(path: path).sections
        #expect(sections.count > 20)
        for section in sections where section.storedByteCount > 0 {
            var bad = good
            bad[Int(section.offset) + random.below(Int(section.storedByteCount))] ^= 64
            try bad.write(to: URL(fileURLWithPath: path))
            try harness.reopen()
            let kind = SectionKind(rawValue: section.id.kind)
            switch kind {
            case .books: #expect(harness.engine.recovery.snapshot == nil)
            case .base, .column, .packedVectors, .places, .hours:
                #expect(harness.engine.recovery.snapshot == "one")
                #expect(!harness.engine.recovery.notes.isEmpty, "\(section.id)")
            default: #expect(harness.engine.recovery.snapshot == "one")
            }
            let isEqual = try answers(harness, seed: 3) == before
            #expect(isEqual, "\(section.id), seed \(random.seed)")
        }
    }

    @Test func filesThatAreNoSnapshotsArePassedOver() throws {
        var random = TestRandom()
        let harness = try EngineHarness()
        try harness.create("c", Self.schema)
        try churn(harness, 100, &random)
        try take(harness, "older")
        try churn(harness, 100, &random)
        try take(harness, "newer")
        let before = try answers(harness, seed: 3)
        let newer = URL(fileURLWithPath: path(harness, "newer"))
        let good = try Data(contentsOf: newer)
        for count in [0, 50, 96, good.count / 2, good.count - 1] {
            try good.prefix(count).write(to: newer)
            try harness.reopen()
            #expect(harness.engine.recovery.snapshot == "older", "\(count) bytes")
            #expect(harness.engine.recovery.notes.count == 1)
            #expect(try answers(harness, seed: 3) == before)
        }
        // One that another data directory made.
        let other = try EngineHarness()
        try other.create("c", Self.schema)
        try churn(other, 300, &random)
        try take(other, "foreign")
        try FileManager.default.removeItem(at: newer)
        try FileManager.default.copyItem(
            atPath: path(other, "foreign"), toPath: path(harness, "foreign"))
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot == "older")
        #expect(try answers(harness, seed: 3) == before)
    }

    /// A log that no longer has what came behind a snapshot must not be caught up with from it.
    @Test func aSnapshotWhoseLogWasTrimmedIsPassedOver() throws {
        var random = TestRandom()
        let harness = try EngineHarness {
            $0.retentionMilliseconds = 0
            $0.retentionPercent = 0
        }
        try harness.create("c", Self.schema)
        try churn(harness, 200, &random)
        try take(harness, "one")
        let path = path(harness, "one")
        // Out of sight: the log is trimmed as if it were not there.
        try FileManager.default.moveItem(atPath: path, toPath: path + ".kept")
        harness.engine.noteSnapshots()
        for id in 0..<120 { harness.write(.one(harness.remove("product-number-000\(id)"))) }
        try churn(harness, 50, &random)
        #expect(try harness.trimAll())
        let before = try answers(harness, seed: 3)
        try FileManager.default.moveItem(atPath: path + ".kept", toPath: path)
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot == nil)
        #expect(try answers(harness, seed: 3) == before)
    }

    @Test func theLogIsKeptForASnapshot() throws {
        var random = TestRandom()
        let harness = try EngineHarness {
            $0.retentionMilliseconds = 0
            $0.retentionPercent = 0
        }
        try harness.create("c", Self.schema)
        try churn(harness, 200, &random)
        try take(harness, "one")
        for id in 0..<60 { harness.write(.one(harness.remove("product-number-000\(id)"))) }
        try churn(harness, 50, &random)
        #expect(try !harness.trimAll())
        let before = try answers(harness, seed: 3)
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot == "one")
        #expect(try answers(harness, seed: 3) == before)
        // Without it everything may go.
        _ = try harness.engine.shelf.drop("one")
        harness.engine.noteSnapshots()
        #expect(try harness.trimAll())
    }

    @Test func anOrderlyStopLeavesASnapshotAndOldOnesGo() throws {
        var random = TestRandom()
        let harness = try EngineHarness { $0.snapshots.isTakenAtStop = true }
        try harness.create("c", Self.schema)
        for round in 0..<4 {
            try churn(harness, 60, &random)
            let before = try answers(harness, seed: 3)
            try harness.reopen()
            #expect(harness.engine.recovery.snapshot?.hasSuffix("-stop") == true)
            #expect(harness.engine.recovery.entryCount == 0)
            #expect(try answers(harness, seed: 3) == before)
            #expect(harness.engine.shelf.items().count <= 2, "round \(round)")
            // Names carry the second.
            usleep(1_050_000)
        }
    }

    @Test func aCollectionThatWasDroppedOrMadeSinceIsAsTheLogSays() throws {
        var random = TestRandom()
        let harness = try EngineHarness()
        try harness.create("c", Self.schema)
        try harness.create("gone")
        try churn(harness, 100, &random)
        harness.write(.one(try harness.put("a", "{\"n\":1}", in: "gone")))
        try take(harness, "one")
        #expect(harness.write(.administrative { try $0.drop("gone") }).code == nil)
        try harness.create("new")
        harness.write(.one(try harness.put("b", "{\"n\":2}", in: "new")))
        try churn(harness, 50, &random)
        let before = try answers(harness, seed: 3)
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot == "one")
        #expect(try answers(harness, seed: 3) == before)
        #expect(harness.engine.shared.catalog.sortedNames == ["c", "new"])
        #expect(harness.view("new").documentCount == 1)
    }

    @Test func indexesDeclaredSinceAreFilled() throws {
        var random = TestRandom()
        let harness = try EngineHarness()
        try harness.create("c", Self.schema)
        try churn(harness, 150, &random)
        try take(harness, "one")
        let status = try harness.alter(
            "{\"add\":{\"x\":{\"type\":\"int\",\"index\":true,\"sort\":true}}}")
        try #require(status.state == .done, "\(status.text)")
        let request = try harness.request("{\"x\":{\"$gte\":1}}", sort: "[\"x\"]", limit: 1_000)
        let before = try harness.find(request).hits.map(\.id)
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot == "one")
        let again = try harness.request("{\"x\":{\"$gte\":1}}", sort: "[\"x\"]", limit: 1_000)
        #expect(try harness.find(again).hits.map(\.id) == before)
        #expect(before.count > 5)
    }

    /// Writes go on while snapshots are taken; each of them is a moment of the history.
    @Test func snapshotsTakenUnderWritesAreWhole() throws {
        var random = TestRandom()
        let harness = try EngineHarness()
        try harness.create("c", Self.schema)
        try churn(harness, 200, &random)
        for round in 0..<5 {
            let id = try harness.engine.takeSnapshot(name: "s\(round)")
            try churn(harness, 400, &random)
            #expect(harness.wait(for: id).state == .done)
            try SnapshotFile(path: path(harness, "s\(round)")).verify()
        }
        let before = try answers(harness, seed: 3)
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot == "s4")
        #expect(try answers(harness, seed: 3) == before)
        #expect(harness.engine.shared.snapshots.figures.failedCount == 0)
    }

    /// What lookups say without versions, which a restore moves.
    private func withoutVersions(_ answers: String) -> [String] {
        answers.split(separator: "\n").map { line in
            let words = line.split(separator: " ", maxSplits: 2)
            return words.count == 3 && UInt64(words[1]) != nil
                ? "\(words[0]) \(words[2])" : String(line)
        }
    }

    /// Documents whose time to live the committer knows.
    private func expiring(_ harness: EngineHarness) throws -> Int {
        let found = Guarded(0)
        try harness.engine.onCommitter { committer in
            let count = committer.expiries.items.count { item in
                guard let view = committer.shared.catalog.byID[item.collection] else {
                    return false
                }
                let heads = view.partition(hash: item.hash).heads
                return item.number < heads.numberBound && heads.key(item.number) == item.key
            }
            found.withLock { $0 = count }
            return .done
        }
        return found.withLock { $0 }
    }

    /// Goal: a restore on a running server takes the file's indexes where they fit, builds them
    /// where not, and cannot be told from the other by any answer then or later.
    @Test(arguments: [false, true])
    func aRestoreTakesTheIndexesOfTheFile(isDamaged: Bool) throws {
        var random = TestRandom()
        print("seed \(random.seed)")
        let harness = try EngineHarness(partitions: 3) { $0.retentionMilliseconds = 50 }
        try harness.create("c", Self.schema)
        try churn(harness, 700, &random, expiring: true)
        // What is not linked when a snapshot begins is not linked in it.
        for _ in 0..<5_000 where harness.view.partitions.contains(where: { $0.vectorTailCount > 0 })
        {
            usleep(1_000)
        }
        try take(harness, "one")
        let before = withoutVersions(try answers(harness, seed: 5))
        let expiringBefore = try expiring(harness)
        #expect(expiringBefore > 5)
        if isDamaged {
            let path = path(harness, "one")
            let sections = try SnapshotFile(path: path).sections
            let section = try #require(
                sections.first { $0.id.kind == SectionKind.places.rawValue })
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[Int(section.offset) + 40] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
        }
        try churn(harness, 300, &random)
        for _ in 0..<2 {
            let status = harness.wait(
                for: try harness.engine.restoreSnapshot("one", moment: .end, target: nil))
            try #require(status.state == .done, "\(status.text)")
            #expect(status.text.contains("built anew") == isDamaged, "\(status.text)")
            #expect(withoutVersions(try answers(harness, seed: 5)) == before)
            #expect(try expiring(harness) == expiringBefore, "seed \(random.seed)")
            let vectors = harness.view.partitions.flatMap(\.vectorFields)
            #expect(vectors.allSatisfy { $0.isReady })
            let tail = vectors.reduce(0) { $0 + $1.index.tailCount }
            #expect(isDamaged || tail == 0)
        }
        // Unique values and times to live came with it, and it lives on.
        // Documents that a patch made have no code.
        let line = before.first { $0.contains("\"code\":\"of ") }
        let holder = try #require(line?.split(separator: " ").first)
        let taken = harness.write(
            .one(try harness.put("another", "{\"code\":\"of \(holder)\"}")))
        #expect(taken.code == .duplicate)
        try churn(harness, 200, &random)
        let after = try answers(harness, seed: 6)
        try harness.reopen()
        #expect(try answers(harness, seed: 6) == after, "seed \(random.seed)")
        let only = harness.wait(
            for: try harness.engine.restoreSnapshot(
                "one", moment: .end, target: RestoreJob.Target(source: "c", name: "c2")))
        #expect(only.state == .done, "\(only.text)")
        #expect(harness.view("c2").documentCount == before.count { $0.hasPrefix("product-") })
    }
}
