import Documents
import Primitives
import Query
import Schema
import Synchronization
import TestSupport
import Testing

@testable import Engine
@testable import Partition

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Goal: until an `ALTER` is done the old schema is in force, whatever is written meanwhile.
/// Method: a job is paused between the swap of the view and its end.
@Suite struct AlterTests {
    private static let count = 6_000

    /// A collection of `count` documents `{"n":0…,"u":"u0"…}`.
    private func filled(_ harness: EngineHarness, _ schema: String) throws {
        try harness.create("c", schema)
        for start in stride(from: 0, to: Self.count, by: 1_000) {
            harness.write(
                try (start..<start + 1_000).map {
                    .one(try harness.put("d\($0)", "{\"n\":\($0 % 50),\"u\":\"u\($0)\"}"))
                })
        }
    }

    /// Starts a change and pauses it while it fills its columns.
    private func pausedWithin(_ harness: EngineHarness, _ change: String) throws -> UInt64 {
        let jobs = harness.engine.shared.jobs
        let job = AlterJob(collection: "c", change: try JSON(parsing: change))
        let id = jobs.add(kind: "ALTER", collection: "c")
        harness.engine.run(Job(id: id) { try job.run($0) })
        while harness.view.former == nil { try #require(jobs.status(id)?.endedMilliseconds == 0) }
        #expect(jobs.pause(id))
        while jobs.status(id)?.state != .paused {
            try #require(jobs.status(id)?.endedMilliseconds == 0, "too fast to be paused")
            usleep(100)
        }
        return id
    }

    private func end(
        _ harness: EngineHarness, _ id: UInt64, cancels: Bool
    ) -> JobStatus.State {
        let jobs = harness.engine.shared.jobs
        _ = cancels ? jobs.cancel(id) : jobs.resume(id)
        return harness.wait(for: id).state
    }

    private func put(_ harness: EngineHarness, _ id: String, _ text: String) throws -> WriteResult {
        // As a client's loop does: refused when it is prepared or when it is decided.
        do {
            return harness.write(.one(try harness.put(id, text)))
        } catch let error as ValidationError {
            return .failed(EngineError(error))
        }
    }

    @Test(arguments: [true, false])
    func bothSchemasHoldUntilAChangeIsDone(cancels: Bool) throws {
        let harness = try EngineHarness()
        try filled(
            harness,
            #"{"fields":{"n":{"type":"int","index":true,"max":50},"u":{"type":"keyword","unique":true}}}"#
        )
        let id = try pausedWithin(
            harness,
            """
            {"set":{"n":{"max":100,"min":0,"sort":true},"u":{"unique":false}},
            "add":{"k":{"type":"keyword","index":true}}}
            """)
        #expect(try put(harness, "x", #"{"n":70}"#).code == .invalid)
        #expect(try put(harness, "x", #"{"n":-1}"#).code == .invalid)
        #expect(try put(harness, "x", #"{"k":5}"#).code == .invalid)
        #expect(try put(harness, "x", #"{"u":"u3"}"#).code == .duplicate)
        #expect(
            harness.write(.one(try harness.patch("d0", #"{"$set":{"n":70}}"#))).code == .invalid)
        #expect(try put(harness, "d3", #"{"n":1,"u":"v3","k":"w"}"#).code == nil)
        // The value that d3 has given up is free, the one that it took is not.
        #expect(try put(harness, "x", #"{"n":1,"u":"u3","k":"w"}"#).code == nil)
        #expect(try put(harness, "y", #"{"u":"v3"}"#).code == .duplicate)
        #expect(harness.write(.one(harness.remove("d4"))).removedCount == 1)
        #expect(try put(harness, "y", #"{"n":2,"u":"u4","k":"w"}"#).code == nil)
        #expect(try harness.find(harness.request(#"{"k":"w"}"#)).total == 3)
        #expect(end(harness, id, cancels: cancels) == (cancels ? .cancelled : .done))
        #expect(try harness.find(harness.request(#"{"k":"w"}"#)).total == 3)
        #expect(try harness.find(harness.request(#"{"n":1}"#)).total == 122)
        #expect(try put(harness, "z", #"{"u":"u4"}"#).code == (cancels ? .duplicate : nil))
        #expect(try put(harness, "z", #"{"n":70}"#).code == (cancels ? .invalid : nil))
        #expect(try put(harness, "z", #"{"k":5}"#).code == (cancels ? nil : .invalid))
        try harness.reopen()
        #expect(try put(harness, "zz", #"{"n":70}"#).code == (cancels ? .invalid : nil))
        #expect(try put(harness, "zz", #"{"u":"u3"}"#).code == (cancels ? .duplicate : nil))
    }

    @Test(arguments: ["keep", "refuse", "drop"])
    func defaultsAreStoredOnceTheChangeIsDone(unknown: String) throws {
        let harness = try EngineHarness()
        try filled(
            harness,
            """
            {"fields":{"n":{"type":"int","index":true},"u":{"type":"keyword"}},
            "unknown":"\(unknown)"}
            """)
        let change = #"{"add":{"s":{"type":"int","default":7,"index":true}}}"#
        let id = try pausedWithin(harness, change)
        #expect(try put(harness, "x", #"{"n":1}"#).code == nil)
        #expect(harness.write(.one(try harness.patch("d0", #"{"$inc":{"n":1}}"#))).code == nil)
        #expect(try harness.fetch("x") == #"{"n":1}"#)
        let own = try put(harness, "own", #"{"n":1,"s":9}"#)
        #expect(own.code == (unknown == "refuse" ? .invalid : nil))
        #expect(end(harness, id, cancels: true) == .cancelled)
        #expect(try harness.fetch("x") == #"{"n":1}"#)
        #expect(try harness.fetch("d0") == #"{"n":1,"u":"u0"}"#)
        // Whatever was written meanwhile can be written again.
        #expect(harness.write(.one(try harness.patch("x", #"{"$inc":{"n":1}}"#))).code == nil)
        #expect(harness.write(.one(try harness.patch("d0", #"{"$inc":{"n":1}}"#))).code == nil)
        let again = try pausedWithin(harness, change)
        #expect(try put(harness, "y", #"{"n":2}"#).code == nil)
        #expect(end(harness, again, cancels: false) == .done)
        #expect(try harness.fetch("y") == #"{"n":2,"s":7}"#)
        let total = Self.count + 2
        #expect(try harness.find(harness.request(#"{"s":7}"#)).total == total)
        if unknown == "keep" {
            #expect(try harness.fetch("own") == #"{"n":1,"s":9}"#)
        }
        try harness.reopen()
        #expect(try harness.find(harness.request(#"{"s":7}"#)).total == total)
    }

    @Test func uniqueFieldStaysExactWhileItsColumnIsRebuilt() throws {
        let harness = try EngineHarness()
        try filled(
            harness,
            #"{"fields":{"n":{"type":"int"},"u":{"type":"keyword","unique":true,"index":true}}}"#)
        let id = try pausedWithin(harness, #"{"set":{"u":{"sort":true}}}"#)
        // Values go round: a stale holder would refuse the next document.
        for number in 5_000..<5_200 {
            #expect(try put(harness, "d\(number)", "{\"u\":\"new\(number)\"}").code == nil)
            #expect(try put(harness, "e\(number)", "{\"u\":\"u\(number)\"}").code == nil)
            #expect(try put(harness, "f", "{\"u\":\"u\(number)\"}").code == .duplicate)
        }
        #expect(end(harness, id, cancels: false) == .done)
        #expect(try put(harness, "f", #"{"u":"u5001"}"#).code == .duplicate)
        #expect(harness.write(.one(harness.remove("e5001"))).removedCount == 1)
        #expect(try put(harness, "f", #"{"u":"u5001"}"#).code == nil)
    }

    /// Duplicates come and go while the unique key is built: only those that are left count.
    @Test func uniqueKeyJudgesWhatIsThereAtTheEnd() throws {
        var random = TestRandom()
        for _ in 0..<4 {
            let harness = try EngineHarness()
            try filled(harness, #"{"fields":{"n":{"type":"int"},"u":{"type":"keyword"}}}"#)
            let id = try pausedWithin(harness, #"{"set":{"u":{"unique":true}}}"#)
            var values: [String: String] = [:]
            for number in 0..<Self.count { values["d\(number)"] = "u\(number)" }
            let jobs = harness.engine.shared.jobs
            func write(_ document: Int, _ value: Int) throws {
                let text = "{\"u\":\"u\(value)\"}"
                #expect(try put(harness, "d\(document)", text).code == nil)
                values["d\(document)"] = "u\(value)"
            }
            for _ in 0..<100 { try write(random.below(Self.count), random.below(Self.count)) }
            // All get a value of their own back, or most do.
            let mendsAll = random.one(in: 2)
            for (document, value) in values where "u" + document.dropFirst() != value {
                let number = Int(document.dropFirst()) ?? 0
                if mendsAll || !random.one(in: 10) { try write(number, number) }
            }
            _ = jobs.resume(id)
            // While it goes on, others move to values that nobody has.
            var fresh = Self.count
            while jobs.status(id)?.endedMilliseconds == 0 {
                try write(random.below(Self.count), fresh)
                fresh += 1
            }
            let status = harness.wait(for: id)
            let isUnique = Set(values.values).count == values.count
            #expect(status.state == (isUnique ? .done : .failed), "seed \(random.seed)")
            let held = values["d1"] ?? ""
            let free = try put(harness, "x", "{\"u\":\"\(held)\"}")
            #expect(free.code == (isUnique ? .duplicate : nil), "seed \(random.seed)")
        }
    }

    @Test func reshardWaitsForAChangeThatIsHalfDone() throws {
        let harness = try EngineHarness(partitions: 2)
        try filled(harness, #"{"fields":{"n":{"type":"int","index":true}}}"#)
        let id = try pausedWithin(harness, #"{"set":{"n":{"sort":true}}}"#)
        let job = ReshardJob(partitionCount: 3)
        let status = harness.run("RESHARD") { try job.run($0) }
        #expect(status.state == .failed && status.text.hasPrefix("BUSY c"))
        #expect(end(harness, id, cancels: false) == .done)
        #expect(harness.run("RESHARD") { try job.run($0) }.state == .done)
    }

    @Test func checkThatWasPausedGoesOnInOtherPartitions() throws {
        let harness = try EngineHarness(partitions: 2)
        try filled(harness, #"{"fields":{"n":{"type":"int"}}}"#)
        let jobs = harness.engine.shared.jobs
        let alter = AlterJob(
            collection: "c", change: try JSON(parsing: #"{"set":{"n":{"max":60}}}"#))
        let id = jobs.add(kind: "ALTER", collection: "c")
        _ = jobs.pause(id)
        harness.engine.run(Job(id: id) { try alter.run($0) })
        while jobs.status(id)?.state != .paused { usleep(100) }
        let job = ReshardJob(partitionCount: 3)
        #expect(harness.run("RESHARD") { try job.run($0) }.state == .done)
        #expect(try put(harness, "late", #"{"n":99}"#).code == nil)
        _ = jobs.resume(id)
        let status = harness.wait(for: id)
        #expect(status.state == .failed && status.text.contains("late"), "\(status.text)")
    }

    @Test func changedDefaultReachesRulesIndexesAndUniqueKeys() throws {
        let harness = try EngineHarness()
        try harness.create("c", #"{"fields":{"n":{"type":"int"}}}"#)
        harness.write(try (0..<20).map { .one(try harness.put("d\($0)", "{\"n\":\($0)}")) })
        harness.write(.one(try harness.put("own", #"{"s":9}"#)))
        #expect(
            try harness.alter(#"{"add":{"s":{"type":"int","default":7,"index":true}}}"#).state
                == .done)
        #expect(try harness.find(harness.request(#"{"s":7}"#)).total == 20)
        // The rule is about the new default and not about the one that it replaces.
        #expect(try harness.alter(#"{"set":{"s":{"default":9,"min":8}}}"#).state == .done)
        #expect(try harness.find(harness.request(#"{"s":9}"#)).total == 21)
        #expect(try harness.find(harness.request(#"{"s":7}"#)).total == 0)
        let unique = try harness.alter(#"{"set":{"s":{"unique":true}}}"#)
        #expect(unique.state == .failed && unique.text.hasPrefix("DUPLICATE s"))
        #expect(try harness.alter(#"{"set":{"s":{"default":5}}}"#).state == .failed)
        #expect(try harness.find(harness.request(#"{"s":9}"#)).total == 21)
    }

    /// A version that is held lets the change wait before its columns are used.
    @Test func whatTheNewSchemaAllowsIsTakenWhileEarlierLookupsEnd() throws {
        let harness = try EngineHarness(partitions: 2)
        try harness.create(
            "c",
            """
            {"fields":{"v":{"type":"vector","dimensions":3,"metric":"cosine",
            "index":{"kind":"flat"}}}}
            """)
        harness.write(
            try (0..<20).map {
                .one(try harness.put("d\($0)", "{\"n\":\($0 % 4),\"v\":[1,2,\($0)]}"))
            })
        let pins = PinSet(harness.engine.shared.pins)
        let held = pins.acquire()
        harness.write(.one(try harness.put("late", #"{"n":1,"v":[1,1,1]}"#)))
        #expect(try put(harness, "zero", #"{"n":1,"v":[0,0,0]}"#).code == .invalid)
        let change = """
            {"set":{"v":{"metric":"l2"}},"add":{"n":{"type":"int","index":true}}}
            """
        let jobs = harness.engine.shared.jobs
        let job = AlterJob(collection: "c", change: try JSON(parsing: change))
        let id = jobs.add(kind: "ALTER", collection: "c")
        harness.engine.run(Job(id: id) { try job.run($0) })
        while harness.view.schema.field(at: "n") == nil || harness.view.former != nil {
            try #require(jobs.status(id)?.endedMilliseconds == 0)
        }
        #expect(try put(harness, "zero", #"{"n":1,"v":[0,0,0]}"#).code == nil)
        #expect(try harness.find(harness.request(#"{"n":1}"#)).total == 7)
        try #require(jobs.status(id)?.endedMilliseconds == 0, "it did not wait")
        pins.release(held)
        #expect(harness.wait(for: id).state == .done)
        #expect(try harness.find(harness.request(#"{"n":1}"#)).total == 7)
    }
}
