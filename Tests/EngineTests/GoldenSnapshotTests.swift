import Documents
import Foundation
import Primitives
import Query
import Snapshot
import TestSupport
import Testing

@testable import Engine

/// Goal: files of every format that there ever was open for good.
@Suite struct GoldenSnapshotTests {
    private static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Snapshots/golden")

    @Test(arguments: ["format-1", "format-1-packed"])
    func aGoldenFileIsRestoredWithItsIndexes(name: String) throws {
        let path = Self.folder.appendingPathComponent(name + ".snap").path
        try SnapshotFile(path: path).verify()
        let directory = NSTemporaryDirectory() + "aisle-golden-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let report = try DirectoryRestore(path: path, directory: directory).run { _, _ in }
        #expect(report.vectorCount > 100)
        let engine = try Engine(
            EngineOptions(directory: directory, partitionCount: 5, loopCount: 1))
        defer { engine.close() }
        #expect(engine.recovery.snapshot == "restored")
        #expect(engine.recovery.notes == [])
        #expect(engine.recovery.entryCount == 0)
        let view = try #require(engine.shared.catalog.collection(named: "stuff"))
        #expect(view.name == "things" && view.partitions.count == 2)
        #expect(view.documentCount == 53)
        let waiting = engine.indexStates(of: view).filter { !$0.isReady }
        #expect(waiting.isEmpty)
        let context = try engine.makeReadContext(loop: 0)
        defer { context.endTransaction() }
        let filter = try TestData.compile("{\"k\":\"patched\"}", view.schema)
        let execution = try FindExecution(
            FindRequest(view: view, filter: filter, limit: 100), context: context)
        defer { execution.finish() }
        while try !execution.run(until: Clock.monotonicNanoseconds() + 1_000_000) {}
        #expect(execution.outcome.total == 7)
    }
}
