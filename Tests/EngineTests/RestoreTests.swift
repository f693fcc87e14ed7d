import DocumentStore
import Documents
import Foundation
import Primitives
import Snapshot
import TestSupport
import Testing

@testable import Engine
@testable import Partition

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Goal: a restore gives what was there at its moment, or says that it cannot.
@Suite struct RestoreTests {
    private func take(_ harness: EngineHarness, _ name: String) throws {
        let status = harness.wait(for: try harness.engine.takeSnapshot(name: name))
        try #require(status.state == .done, "\(status.text)")
    }

    private func restore(
        _ harness: EngineHarness, _ name: String, at moment: SnapshotMoment = .end,
        only source: String? = nil, as target: String? = nil
    ) throws -> JobStatus {
        let target = target.map { RestoreJob.Target(source: source, name: $0) }
        return harness.wait(
            for: try harness.engine.restoreSnapshot(name, moment: moment, target: target))
    }

    private func fill(
        _ harness: EngineHarness, _ range: Range<Int>, in name: String = "c"
    ) throws {
        let bodies = try range.map {
            WriteRequest.Body.one(try harness.put("d\($0)", "{\"n\":\($0)}", in: name))
        }
        for result in harness.write(bodies) { try #require(result.code == nil) }
    }

    private func version(_ harness: EngineHarness) -> Version { harness.engine.publishedVersion }

    /// A restore into a directory, and how many documents are then in each collection.
    private func directory(
        _ harness: EngineHarness, _ name: String, at moment: SnapshotMoment
    ) throws -> [String: Int] {
        let place = NSTemporaryDirectory() + "aisle-restored-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: place) }
        _ = try DirectoryRestore(
            path: harness.engine.shelf.path(name), directory: place, moment: moment
        ).run { _, _ in }
        let engine = try Engine(
            EngineOptions(directory: place, partitionCount: 2, loopCount: 1))
        defer { engine.close() }
        return engine.shared.catalog.collections.mapValues(\.documentCount)
    }

    /// What a moment before an earlier restore held has left the log.
    @Test func aMomentBeforeAnEarlierRestoreIsAGap() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        try fill(harness, 0..<20)
        try take(harness, "one")
        let middle = version(harness)
        let time = Clock.wallMilliseconds()
        usleep(5_000)
        try fill(harness, 20..<50)
        #expect(try restore(harness, "one").state == .done)
        let behind = version(harness)
        try fill(harness, 50..<55)
        try take(harness, "two")
        for moment in [SnapshotMoment.version(middle), .time(time)] {
            let status = try restore(harness, "two", at: moment)
            #expect(status.state == .failed && status.text.hasPrefix("GAP"), "\(status.text)")
            let one = try restore(harness, "two", at: moment, only: "c", as: "c2")
            #expect(one.state == .failed && one.text.hasPrefix("GAP"), "\(one.text)")
            #expect(throws: EngineError.self) { try directory(harness, "two", at: moment) }
        }
        #expect(harness.view.documentCount == 25)
        // Behind it the moment is there.
        #expect(try restore(harness, "two", at: .version(behind)).state == .done)
        #expect(harness.view.documentCount == 20)
        #expect(try directory(harness, "two", at: .version(behind)) == ["c": 20])
    }

    @Test func aMomentBeforeACollectionWasMadeAnewIsAGap() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        try harness.create("other")
        try fill(harness, 0..<20)
        try fill(harness, 0..<7, in: "other")
        let middle = version(harness)
        try fill(harness, 7..<9, in: "other")
        #expect(harness.write(.administrative { try $0.drop("c") }).code == nil)
        let dropped = version(harness)
        try harness.create("c")
        try fill(harness, 0..<3)
        try take(harness, "one")
        for only in [nil, "c"] {
            let status = try restore(
                harness, "one", at: .version(middle), only: only, as: only.map { _ in "c2" })
            #expect(status.state == .failed && status.text.hasPrefix("GAP"), "\(status.text)")
        }
        #expect(throws: EngineError.self) {
            try directory(harness, "one", at: .version(middle))
        }
        // Another collection goes back as far as it always did.
        let other = try restore(
            harness, "one", at: .version(middle), only: "other", as: "other2")
        #expect(other.state == .done, "\(other.text)")
        #expect(harness.view("other2").documentCount == 7)
        #expect(try directory(harness, "one", at: .version(dropped)) == ["c": 0, "other": 9])
    }

    /// A collection that nobody had made yet is not there; it is no gap.
    @Test func aCollectionOfLaterIsLeftOut() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        try fill(harness, 0..<5)
        let middle = version(harness)
        try fill(harness, 5..<8)
        try harness.create("later")
        try fill(harness, 0..<4, in: "later")
        try take(harness, "one")
        #expect(try directory(harness, "one", at: .version(middle)) == ["c": 5])
        let beside = try restore(
            harness, "one", at: .version(middle), only: "later", as: "c2")
        #expect(beside.text.hasPrefix("NOTFOUND"), "\(beside.text)")
        #expect(try restore(harness, "one", at: .version(middle)).state == .done)
        #expect(harness.engine.shared.catalog.sortedNames == ["c"])
        #expect(harness.view.documentCount == 5)
    }

    /// Rows of an earlier server do not say since when a collection is there: a moment before its
    /// first entry might be one before it was made anew.
    @Test func whatNobodyKnowsIsAGap() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        try harness.create("other")
        try fill(harness, 0..<5, in: "other")
        let before = version(harness)
        try fill(harness, 0..<5)
        let behind = version(harness)
        try fill(harness, 5..<8)
        for view in [harness.view, harness.view("other")] {
            let row = CollectionRow(id: view.id, schema: view.schema, born: nil).bytes
            try harness.engine.onCommitter { committer in
                try committer.writer.begin()
                try committer.writer.putMeta(MetaKey.collectionPrefix + view.name, row)
                try committer.writer.commit()
                return .done
            }
        }
        try take(harness, "one")
        let status = try restore(harness, "one", at: .version(before))
        #expect(status.text.hasPrefix("GAP"), "\(status.text)")
        #expect(throws: EngineError.self) {
            try directory(harness, "one", at: .version(before))
        }
        #expect(try directory(harness, "one", at: .version(behind)) == ["c": 5, "other": 5])
    }

    @Test func aTimeBehindTheSnapshotIsRefused() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        try fill(harness, 0..<5)
        try take(harness, "one")
        let late = try restore(harness, "one", at: .time(Clock.wallMilliseconds() + 60_000))
        #expect(late.text.hasPrefix("INVALID"), "\(late.text)")
        let far = try restore(harness, "one", at: .version(Version(1 << 30)))
        #expect(far.text.hasPrefix("INVALID"), "\(far.text)")
    }

    /// Reads of the past stop where the collection begins that is there now.
    @Test func whatARestoreReplacedReadsAsAGap() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        try fill(harness, 0..<5)
        try take(harness, "one")
        let before = version(harness)
        #expect(try restore(harness, "one").state == .done)
        #expect(throws: EngineError.self) { try harness.context.check(before, harness.view) }
        try harness.context.check(version(harness), harness.view)
        // It is known after a start, too.
        try harness.reopen()
        #expect(throws: EngineError.self) { try harness.context.check(before, harness.view) }
    }

    /// Versions have 48 bits: taking and restoring in turns must not double them each time.
    @Test func versionsGrowByWhatComesBack() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        try fill(harness, 0..<100)
        for round in 0..<12 {
            try take(harness, "s\(round)")
            #expect(try restore(harness, "s\(round)").state == .done)
        }
        #expect(version(harness).rawValue == 1_300)
        #expect(harness.view.documentCount == 100)
        try harness.reopen()
        #expect(harness.view.documentCount == 100)
    }

    @Test func whatBecameOverdueIsGoneAtOnce() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        var bodies: [WriteRequest.Body] = []
        for number in 0..<3_000 {
            var operation = try harness.put("d\(number)", "{\"n\":\(number)}")
            if number % 3 != 0 {
                operation.expiry = .at(Clock.wallMilliseconds() + (number % 3 == 1 ? 1 : 700))
            }
            bodies.append(.one(operation))
        }
        harness.write(bodies)
        try take(harness, "one")
        usleep(750_000)
        let status = try restore(harness, "one")
        #expect(status.state == .done, "\(status.text)")
        #expect(harness.view.documentCount == 1_000)
    }

    /// Expiry rests while a restore refuses writes: what became overdue meanwhile must not wait for
    /// the next turn.
    @Test func whatBecomesOverdueMeanwhileIsGoneAtItsEnd() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        let start = Clock.wallMilliseconds()
        var due: [Int64] = []
        var bodies: [WriteRequest.Body] = []
        for number in 0..<8_000 {
            var operation = try harness.put("d\(number)", "{\"n\":\(number)}")
            due.append(start + 1_000 + Int64(number))
            operation.expiry = .at(due[number])
            bodies.append(.one(operation))
        }
        harness.write(bodies)
        try take(harness, "one")
        let status = try restore(harness, "one")
        #expect(status.state == .done, "\(status.text)")
        let there = Set(try harness.find(try harness.request(limit: 100_000)).hits.map(\.id))
        // Between the last look at the clock and the job's end a little time passes.
        let late = due.indices.filter {
            due[$0] < status.endedMilliseconds - 60 && there.contains(Array("d\($0)".utf8))
        }
        #expect(late.count == 0, "\(status.endedMilliseconds - status.startedMilliseconds) ms")
    }

    /// Progress rises to the end and never falls.
    @Test func progressReachesItsEnd() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        try fill(harness, 0..<6_000)
        for kind in 0..<2 {
            let id =
                kind == 0
                ? try harness.engine.takeSnapshot(name: "one")
                : try harness.engine.restoreSnapshot("one", moment: .end, target: nil)
            var last = 0
            while let status = harness.engine.shared.jobs.status(id) {
                #expect(status.percent >= last)
                last = status.percent
                if status.endedMilliseconds != 0 {
                    #expect(status.state == .done && last == 100, "\(status)")
                    break
                }
                usleep(200)
            }
        }
    }

    @Test func writesDuringARestoreAreToldWhy() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        let id = harness.engine.shared.jobs.add(kind: "RESTORE", collection: "")
        harness.engine.shared.jobs.update(id) {
            ($0.done, $0.of, $0.text) = (42, 100, "snapshot one is brought back")
        }
        harness.engine.shared.restoringJob = id
        defer { harness.engine.shared.restoringJob = nil }
        guard case .failed(let error) = harness.write(.one(try harness.put("a", "{}"))) else {
            return #expect(Bool(false), "it was taken")
        }
        #expect(
            error.line
                == "READONLY job \(id): snapshot one is brought back, 42 % is done; send it again "
                + "when JOBS shows that the job has ended")
    }

    /// A stop leaves a snapshot where the last one is of another partitioning or other fields.
    @Test func aStopLeavesOneThatFits() throws {
        let harness = try EngineHarness { $0.snapshots.isTakenAtStop = true }
        try harness.create("c", "{\"fields\":{\"n\":{\"type\":\"int\",\"index\":true}}}")
        try fill(harness, 0..<50)
        try take(harness, "one")
        let resharded = harness.run("RESHARD") { try ReshardJob(partitionCount: 5).run($0) }
        #expect(resharded.state == .done, "\(resharded.text)")
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot?.hasSuffix("-stop") == true)
        #expect(harness.engine.recovery.entryCount == 0)
        let altered = try harness.alter("{\"add\":{\"x\":{\"type\":\"int\",\"index\":true}}}")
        #expect(altered.state == .done, "\(altered.text)")
        try harness.reopen()
        #expect(harness.engine.recovery.notes == [])
        // Nothing has changed: none is written.
        let names = harness.engine.shelf.items().map(\.name)
        try harness.reopen()
        #expect(harness.engine.shelf.items().map(\.name) == names)
    }

    /// A damaged file is refused, or what is damaged is not needed: never half of it comes back,
    /// and never anything else.
    @Test func aDamagedSnapshotIsRefusedOrRight() throws {
        var random = TestRandom()
        print("seed \(random.seed)")
        let harness = try EngineHarness()
        try harness.create("c")
        try fill(harness, 0..<200)
        try take(harness, "one")
        let path = URL(fileURLWithPath: harness.engine.shelf.path("one"))
        let good = try Data(contentsOf: path)
        let entries = try #require(
            try SnapshotFile(path: path.path).sections.first {
                $0.id.kind == SectionKind.entries.rawValue
            })
        var refused = 0
        for round in 0..<60 {
            var bad = good
            switch round % 4 {
            case 0:
                let place = Int(entries.offset) + random.below(Int(entries.storedByteCount))
                bad[place] ^= 1 << random.below(8)
            case 3: bad = good.prefix(random.below(good.count))
            default: bad[random.below(bad.count)] ^= 1 << random.below(8)
            }
            try bad.write(to: path)
            try fill(harness, 300 + round..<301 + round)
            let before = try harness.contents()
            let status = try restore(harness, "one")
            if status.state == .done {
                #expect(harness.view.documentCount == 200, "seed \(random.seed)")
                continue
            }
            refused += 1
            #expect(status.text.hasPrefix("CORRUPT"), "\(status.text), seed \(random.seed)")
            #expect(try harness.contents() == before, "seed \(random.seed)")
        }
        // What is cut off, and damaged entries, always are.
        #expect(refused >= 30)
    }

    @Test func moreThanOneSnapshotASecondIsTaken() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        for _ in 0..<3 {
            let id = try harness.engine.takeSnapshot(name: nil)
            #expect(harness.wait(for: id).state == .done)
        }
    }

    /// Pipes, folders, loops and sockets under a snapshot's name keep nobody waiting.
    @Test func whatIsNoFileIsPassedOver() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        try fill(harness, 0..<9)
        try take(harness, "good")
        let shelf = harness.engine.shelf
        #expect(mkfifo(shelf.path("pipe"), 0o600) == 0)
        #expect(mkdir(shelf.path("folder"), 0o700) == 0)
        #expect(symlink(shelf.path("loop"), shelf.path("loop")) == 0)
        #expect(symlink("/dev/tty", shelf.path("terminal")) == 0)
        #expect(symlink("/nowhere", shelf.path("dangling")) == 0)
        // One of the names under which the next snapshot is written.
        #expect(mkfifo(shelf.path("next") + ".new", 0o600) == 0)
        let found = harness.engine.snapshots()
        #expect(found.count == 6)
        #expect(found.filter { $0.problem == nil }.map(\.name) == ["good"])
        #expect(found.first { $0.name == "pipe" }?.problem == .foreign)
        #expect(found.first { $0.name == "folder" }?.problem == .foreign)
        try harness.reopen()
        #expect(harness.engine.recovery.snapshot == "good")
        #expect(harness.engine.recovery.notes.count == 5)
        try take(harness, "next")
        let status = try restore(harness, "pipe")
        #expect(status.text.hasPrefix("CORRUPT pipe: is not a snapshot"), "\(status.text)")
    }

    @Test func aFileThatSomebodyPutThereIsSeen() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        try fill(harness, 0..<9)
        try take(harness, "one")
        let shelf = harness.engine.shelf
        let bytes = try Data(contentsOf: URL(fileURLWithPath: shelf.path("one")))
        let copy = URL(fileURLWithPath: shelf.path("copy"))
        try bytes.prefix(200).write(to: copy)
        #expect(harness.engine.snapshots().first { $0.name == "copy" }?.problem != nil)
        // It grows in place, as a copy that goes on.
        let handle = try FileHandle(forWritingTo: copy)
        handle.seekToEndOfFile()
        handle.write(bytes.dropFirst(200))
        try handle.close()
        #expect(harness.engine.snapshots().filter { $0.problem == nil }.count == 2)
        #expect(try restore(harness, "copy").state == .done)
    }

    @Test(arguments: [
        ("77", SnapshotMoment.version(Version(77))), ("77ms", .time(77)),
        ("1767225600000", .time(1_767_225_600_000)),
        ("1767225600000ms", .time(1_767_225_600_000)),
        ("2026-01-01T00:00:00Z", .time(1_767_225_600_000)),
        ("2026-01-01", .time(1_767_225_600_000)),
        ("2026-01-01T01:00:00.5+01:00", .time(1_767_225_600_500)),
    ])
    func momentsHaveTheseForms(text: String, moment: SnapshotMoment) {
        #expect(SnapshotMoment(text) == moment)
    }

    @Test(arguments: [
        "", "x", "-5", "1.5", "yesterday", "99999999999999999999", "ms", "2026-13-01",
    ])
    func otherFormsAreNoMoments(text: String) { #expect(SnapshotMoment(text) == nil) }

    private func liveByteCount(_ harness: EngineHarness) throws -> Int {
        let found = Guarded(0)
        try harness.engine.onCommitter { (committer: Committer) -> WriteResult in
            found.withLock { $0 = committer.trimmer.liveByteCount }
            return .done
        }
        return found.withLock { $0 }
    }

    /// A restore that fails has appended entries already: they are cleaned up, and the books say
    /// so, or the next snapshot could not be written.
    @Test func aRestoreThatFailsLeavesTheBooksAsTheyWere() throws {
        let harness = try EngineHarness()
        try harness.create(
            "c", #"{"fields":{"v":{"type":"vector","dimensions":2,"metric":"l2"}}}"#)
        let bodies = try (0..<200).map {
            WriteRequest.Body.one(try harness.put("d\($0)", "{\"v\":[\($0),1]}"))
        }
        for result in harness.write(bodies) { try #require(result.code == nil) }
        try take(harness, "one")
        let path = harness.engine.shelf.path("one")
        let section = try #require(
            try SnapshotFile(path: path).section(SectionID(.originals)))
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[Int(section.offset) + 60] ^= 1
        try bytes.write(to: URL(fileURLWithPath: harness.engine.shelf.path("bad")))
        let before = try liveByteCount(harness)
        #expect(before > 0)
        for target in [nil, "other", nil, "other"] {
            let status = try restore(harness, "bad", as: target)
            #expect(status.state == .failed, "\(status.text)")
            let jobs = harness.engine.shared.jobs
            while jobs.all.contains(where: { $0.endedMilliseconds == 0 }) { usleep(1_000) }
            #expect(try liveByteCount(harness) == before)
        }
        try take(harness, "two")
        #expect(try restore(harness, "one").state == .done)
        let jobs = harness.engine.shared.jobs
        while jobs.all.contains(where: { $0.endedMilliseconds == 0 }) { usleep(1_000) }
        #expect(try liveByteCount(harness) == before)
        #expect(harness.view.documentCount == 200)
    }

    /// Whoever restores a damaged file has to learn of it, though everything comes back.
    @Test func aRestoreSaysThatTheFileIsNotWhole() throws {
        let harness = try EngineHarness()
        try harness.create("c", #"{"fields":{"n":{"type":"int","index":true}}}"#)
        try fill(harness, 0..<500)
        try take(harness, "one")
        #expect(try !restore(harness, "one").text.contains("not whole"))
        let path = harness.engine.shelf.path("one")
        let section = try #require(
            try SnapshotFile(path: path).sections.first {
                $0.id.kind == SectionKind.column.rawValue
            })
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[Int(section.offset) + 30] ^= 1
        try bytes.write(to: URL(fileURLWithPath: harness.engine.shelf.path("bad")))
        let status = try restore(harness, "bad")
        #expect(status.state == .done)
        #expect(status.text.contains("the file is not whole (c, partition"), "\(status.text)")
        #expect(try harness.find(harness.request(#"{"n":{"$lt":7}}"#)).total == 7)
    }

    @Test func aMomentBeforeEverythingIsRefused() throws {
        let harness = try EngineHarness()
        try harness.create("c")
        try fill(harness, 0..<20)
        try take(harness, "one")
        for moment in [SnapshotMoment.version(.zero), .time(1_577_836_800_000)] {
            let status = try restore(harness, "one", at: moment)
            #expect(status.state == .failed && status.text.contains("nothing had been written"))
            #expect(throws: EngineError.self) {
                _ = try directory(harness, "one", at: moment)
            }
        }
        #expect(harness.view.documentCount == 20)
    }
}
