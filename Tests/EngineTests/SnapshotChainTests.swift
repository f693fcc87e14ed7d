import Foundation
import Primitives
import Snapshot
import TestSupport
import Testing

@testable import Engine

/// Goal: a snapshot that goes on from others holds what a whole one would, at every moment between,
/// and is never taken or left behind where it could not be restored.
@Suite struct SnapshotChainTests {
    private func churn(
        _ harness: EngineHarness, _ count: Int, _ random: inout TestRandom, ids: Int = 400
    ) throws {
        var bodies: [WriteRequest.Body] = []
        for _ in 0..<count {
            let id = TestData.id(&random, of: ids)
            if random.one(in: 5) {
                bodies.append(.one(harness.remove(id)))
                continue
            }
            let vector = (0..<4).map { _ in "\(random.below(9))" }.joined(separator: ",")
            let text = TestData.document(&random)
            let rest = text == "{}" ? "}" : "," + text.dropFirst()
            bodies.append(.one(try harness.put(id, "{\"v\":[\(vector)]" + rest)))
        }
        for result in harness.write(bodies) { #expect(result.code == nil) }
    }

    private func makeHarness(
        _ change: (inout EngineOptions) -> Void = { _ in }
    ) throws -> EngineHarness {
        let harness = try EngineHarness(partitions: 2, change)
        try harness.create("c", SnapshotTests.schema)
        return harness
    }

    @discardableResult
    private func take(
        _ harness: EngineHarness, _ name: String, whole: Bool = false
    ) throws -> String {
        let id = try harness.engine.takeSnapshot(name: name, isIncremental: !whole)
        let status = harness.wait(for: id)
        try #require(status.state == .done, "\(status.text)")
        return status.text
    }

    private func path(_ harness: EngineHarness, _ name: String) -> String {
        harness.engine.shelf.path(name)
    }

    /// What a data directory that is made of a snapshot holds.
    private func restored(
        _ path: String, _ moment: SnapshotMoment = .end
    ) throws -> (text: String, recovery: Engine.Recovery) {
        let directory = NSTemporaryDirectory() + "aisle-chain-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        _ = try DirectoryRestore(path: path, directory: directory, moment: moment).run { _, _ in }
        let harness = try EngineHarness(partitions: 5, directory: directory)
        return (try harness.contents(), harness.engine.recovery)
    }

    /// Contents without versions, which a restore on a running server changes.
    private func plain(_ contents: String) -> [String] {
        contents.split(separator: "\n").map { line in
            let parts = line.split(separator: " ", maxSplits: 2)
            return "\(parts[0]) \(parts[2])"
        }
    }

    @Test func everyLinkOfAChainIsAMomentOfTheHistory() throws {
        var random = TestRandom()
        print("seed \(random.seed)")
        let harness = try makeHarness()
        try churn(harness, 900, &random)
        try take(harness, "s0", whole: true)
        var moments: [(name: String, version: Version, contents: String)] = []
        for round in 1...4 {
            try churn(harness, 20, &random)
            moments.append(
                ("between", harness.engine.publishedVersion, try harness.contents()))
            try churn(harness, 20, &random)
            let text = try take(harness, "s\(round)")
            #expect(text.contains("goes on from s\(round - 1)"), "\(text)")
            moments.append(
                ("s\(round)", harness.engine.publishedVersion, try harness.contents()))
            try SnapshotChain(path: path(harness, "s\(round)")).verify()
        }
        let sizes = harness.engine.shelf.items().map(\.byteCount)
        #expect(sizes[0] * 4 < sizes[4], "\(sizes)")
        for moment in moments where moment.name != "between" {
            let (text, recovery) = try restored(path(harness, moment.name))
            #expect(text == moment.contents, "\(moment.name), seed \(random.seed)")
            // The indexes are those of the first, and the log behind it is read.
            #expect(recovery.snapshot == "restored" && recovery.notes == [])
        }
        for moment in moments {
            let (text, _) = try restored(path(harness, "s4"), .version(moment.version))
            #expect(text == moment.contents, "\(moment.version), seed \(random.seed)")
        }
        // On the running server: a moment of the third link, of the first file, then the end.
        let first = try #require(harness.engine.shelf.items().last?.header?.version)
        let zero = try restored(path(harness, "s4"), .version(first)).text
        for (moment, contents) in [
            (SnapshotMoment.version(moments[4].version), moments[4].contents),
            (.version(first), zero), (.end, moments[7].contents),
        ] {
            let id = try harness.engine.restoreSnapshot("s4", moment: moment, target: nil)
            let status = harness.wait(for: id)
            #expect(status.state == .done, "\(status.text)")
            #expect(plain(try harness.contents()) == plain(contents), "seed \(random.seed)")
        }
        let before = try harness.contents()
        try harness.reopen()
        #expect(try harness.contents() == before)
    }

    @Test func whatOthersGoOnFromIsNotDropped() throws {
        var random = TestRandom()
        let harness = try makeHarness()
        try churn(harness, 900, &random)
        try take(harness, "whole", whole: true)
        try churn(harness, 10, &random)
        try take(harness, "more")
        try churn(harness, 10, &random)
        try take(harness, "most")
        for name in ["whole", "more"] {
            let error = #expect(throws: EngineError.self) {
                try harness.engine.dropSnapshot(name)
            }
            #expect(error?.code == .conflict)
        }
        for name in ["most", "more", "whole"] {
            let status = harness.wait(for: try harness.engine.dropSnapshot(name))
            #expect(status.state == .done, "\(status.text)")
        }
        #expect(harness.engine.shelf.items().isEmpty)
    }

    @Test func aChainEndsAfterEightOrWhereAWholeOneCostsNoMore() throws {
        var random = TestRandom()
        let harness = try makeHarness()
        try churn(harness, 2_000, &random)
        #expect(try take(harness, "s").contains("there is none to go on from"))
        for round in 1...8 {
            try churn(harness, 2, &random)
            #expect(try take(harness, "s\(round)").contains("goes on from"))
        }
        try churn(harness, 2, &random)
        #expect(try take(harness, "whole").contains("8 go on from s already"))
        try churn(harness, 6_000, &random)
        #expect(try take(harness, "large").contains("too much since the last one"))
        #expect(harness.engine.shelf.items()[0].origin == nil)
    }

    @Test func theServersOwnKeepWhatTheyGoOnFrom() throws {
        var random = TestRandom()
        let harness = try makeHarness { $0.snapshots.keepCount = 2 }
        try churn(harness, 1_500, &random)
        try take(harness, "mine", whole: true)
        var first = ""
        for round in 0..<12 {
            try churn(harness, 3, &random)
            let text = try take(harness, "auto-\(round + 100)")
            // Others than its own may be dropped by people.
            if round == 0 { #expect(text.contains("none to go on from"), "\(text)") }
            if text.contains("a whole one") { first = "auto-\(round + 100)" }
            let items = harness.engine.shelf.items()
            #expect(items.allSatisfy { $0.problem == nil }, "round \(round)")
            #expect(items.count <= 12)
        }
        // The first chain is gone but for what the newest two need.
        let names = Set(harness.engine.shelf.items().map(\.name))
        #expect(first == "auto-109")
        #expect(names == ["mine", "auto-109", "auto-110", "auto-111"])
    }

    /// Removals that the log forgot would come back to life.
    @Test func aTrimmedLogGivesAWholeOne() throws {
        var random = TestRandom()
        let harness = try makeHarness {
            $0.retentionMilliseconds = 0
            $0.retentionPercent = 0
        }
        try churn(harness, 900, &random)
        try take(harness, "s0", whole: true)
        let file = path(harness, "s0")
        try FileManager.default.moveItem(atPath: file, toPath: file + ".kept")
        harness.engine.noteSnapshots()
        for id in 0..<60 { harness.write(.one(harness.remove("product-number-000\(id)"))) }
        _ = try harness.trimAll()
        try FileManager.default.moveItem(atPath: file + ".kept", toPath: file)
        #expect(try take(harness, "s1").contains("the log behind it was trimmed"))
        #expect(try restored(path(harness, "s1")).text == harness.contents())
    }

    @Test func aMissingOrOtherFirstFileIsSaidAndHurtsNobody() throws {
        var random = TestRandom()
        let harness = try makeHarness()
        try churn(harness, 900, &random)
        try take(harness, "older", whole: true)
        try take(harness, "base", whole: true)
        try churn(harness, 10, &random)
        try take(harness, "more")
        let before = try harness.contents()
        let file = path(harness, "base")
        func check(_ expected: SnapshotError) throws {
            try harness.reopen()
            #expect(try harness.contents() == before)
            let items = harness.engine.shelf.items()
            #expect(items.first { $0.name == "more" }?.problem == expected)
            for id in [
                try harness.engine.verifySnapshot("more"),
                try harness.engine.restoreSnapshot("more", moment: .end, target: nil),
            ] {
                let status = harness.wait(for: id)
                #expect(status.state == .failed && status.text.hasPrefix("CORRUPT"), "\(status)")
            }
            #expect(try harness.contents() == before)
            #expect(throws: SnapshotError.self) { try self.restored(self.path(harness, "more")) }
        }
        try FileManager.default.moveItem(atPath: file, toPath: file + ".kept")
        try check(.baseMissing("base"))
        try FileManager.default.copyItem(atPath: path(harness, "older"), toPath: file)
        try check(.baseOther("base"))
        // One that goes on from itself.
        let own = try Data(contentsOf: URL(fileURLWithPath: path(harness, "more")))
        try own.write(to: URL(fileURLWithPath: file))
        #expect(throws: SnapshotError.self) { try SnapshotChain(path: file) }
        try FileManager.default.removeItem(atPath: file)
        try FileManager.default.moveItem(atPath: file + ".kept", toPath: file)
        #expect(try restored(path(harness, "more")).text == before)
    }
}
