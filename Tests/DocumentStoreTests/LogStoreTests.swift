import Glibc
import Primitives
import Testing

@testable import DocumentStore

@Suite struct LogStoreTests {
    private func key(_ version: UInt64, _ index: Int = 0) -> LogKey {
        LogKey(version: Version(version), index: index)
    }

    @Test func newStoreIsEmpty() throws {
        let directory = TemporaryDirectory()
        let store = try LogStore(StoreOptions(directory: directory.file("deep")))
        defer { _ = unlinkAll(directory.file("deep")) }
        let reader = try store.makeReader()
        #expect(store.state == .writable)
        #expect(try reader.all().isEmpty)
        #expect(
            try reader.withTransaction { () throws(StoreError) in try reader.lastKey() } == .none
        )
        var status = stat()
        #expect(stat(directory.file("deep"), &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
    }

    private func unlinkAll(_ path: String) -> Bool {
        for name in ["data.mdb", "data.mdb-lock", "LOCK"] { unlink(path + "/" + name) }
        return rmdir(path) == 0
    }

    @Test func entriesComeBackAsTheyWereAndAfterReopening() throws {
        let directory = TemporaryDirectory()
        let options = StoreOptions(directory: directory.path)
        let reference = VectorReference(field: 4, dimensions: 3, key: key(1))
        let entries = [
            Entry(1, 0, id: "a", document: Array(#"{"x":1}"#.utf8), vectors: [reference]),
            Entry(1, 1, id: "b", document: [UInt8](repeating: 9, count: 100_000)),
            Entry(1, 65_535, id: "", operation: .note),
            Entry(2, 0, id: "a", operation: .remove, previous: key(1)),
        ]
        do {
            let store = try LogStore(options)
            let writer = try store.makeWriter()
            try writer.begin()
            for entry in entries { try writer.append(entry) }
            try withBytes([1, 2, 3]) { (bytes) throws(StoreError) in
                try writer.appendVector(key(1), field: 4, bytes)
            }
            try writer.commit()
            #expect(writer.lastKey == key(2))
            #expect(try store.makeReader().all() == entries)
        }
        let store = try LogStore(options)
        let reader = try store.makeReader()
        #expect(try reader.all() == entries)
        for entry in entries { #expect(try reader.entry(entry.key) == entry) }
        #expect(try reader.entry(key(1, 2)) == nil)
        try reader.begin()
        #expect(try reader.vector(reference).map(Array.init) == [1, 2, 3])
        #expect(try reader.vector(key(1), field: 5) == nil)
        #expect(try reader.lastKey() == key(2))
        let figures = try reader.statistics()
        #expect(figures.logEntryCount == 4)
        #expect(figures.vectorCount == 1)
        reader.end()
    }

    @Test func abortedTransactionLeavesNothing() throws {
        let directory = TemporaryDirectory()
        let store = try LogStore(StoreOptions(directory: directory.path))
        let writer = try store.makeWriter()
        try writer.begin()
        try writer.append(Entry(1))
        writer.abort()
        #expect(try store.makeReader().all().isEmpty)
        try writer.commit([Entry(1)])
        #expect(try store.makeReader().all().count == 1)
    }

    @Test func readerSeesOneStateUntilItRenews() throws {
        let directory = TemporaryDirectory()
        let store = try LogStore(StoreOptions(directory: directory.path))
        let writer = try store.makeWriter()
        let reader = try store.makeReader()
        try writer.commit([Entry(1)])
        try reader.begin()
        try writer.commit([Entry(2)])
        #expect(try reader.get(key(2)) == nil)
        #expect(try !reader.renewIfOlder(than: 60_000))
        usleep(2_000)
        #expect(try reader.renewIfOlder(than: 1))
        #expect(try reader.get(key(2)) != nil)
        reader.end()
    }

    @Test func scansAreOrderedBoundedAndResumable() throws {
        let directory = TemporaryDirectory()
        let store = try LogStore(StoreOptions(directory: directory.path))
        let writer = try store.makeWriter()
        for version in 1...20 {
            try writer.commit((0..<5).map { Entry(UInt64(version), $0 * 3) })
        }
        let reader = try store.makeReader()
        let keys = try reader.all().map(\.key)
        #expect(keys.count == 100)
        #expect(keys == keys.sorted())
        try reader.begin()
        var seen: [LogKey] = []
        var next: LogKey? = key(3, 1)
        while let from = next {
            next = try reader.scan(from: from, through: key(7), countMax: 4) {
                seen.append($0.key)
                return true
            }
        }
        reader.end()
        #expect(seen == keys.filter { $0 >= key(3, 1) && $0 <= key(7) })
        var count = 0
        try reader.forEach(batchCount: 3) { _ in
            count += 1
            return count < 10
        }
        #expect(count == 10)
    }

    @Test func newestKeyOutlivesItsEntry() throws {
        let directory = TemporaryDirectory()
        let options = StoreOptions(directory: directory.path)
        do {
            let writer = try LogStore(options).makeWriter()
            try writer.commit([Entry(1), Entry(2)])
            try writer.begin()
            #expect(try writer.delete(key(2)))
            #expect(try !writer.delete(key(9)))
            try writer.commit()
        }
        let store = try LogStore(options)
        #expect(try store.makeWriter().lastKey == key(2))
        #expect(try store.makeReader().all().map(\.key) == [key(1)])
    }

    @Test func metaEntriesAreSetReadWalkedAndDeleted() throws {
        let directory = TemporaryDirectory()
        let store = try LogStore(StoreOptions(directory: directory.path))
        let writer = try store.makeWriter()
        try writer.begin()
        try writer.putMeta("schema/b", [2])
        try writer.putMeta("schema/a", [1])
        try writer.putMeta("schema/a", [3, 4])
        try writer.putMeta("zone", [])
        try writer.putMeta("alias", [5])
        try writer.commit()
        let reader = try store.makeReader()
        try reader.begin()
        #expect(try reader.meta("schema/a") == [3, 4])
        #expect(try reader.meta("zone") == [])
        #expect(try reader.meta("none") == nil)
        var walked: [String] = []
        try reader.forEachMeta(prefix: "schema/") { key, _ in
            walked.append(String(decoding: key, as: UTF8.self))
            return true
        }
        #expect(walked == ["schema/a", "schema/b"])
        walked = []
        try reader.forEachMeta { key, _ in
            walked.append(String(decoding: key, as: UTF8.self))
            return true
        }
        #expect(walked == ["alias", "schema/a", "schema/b", "zone"])
        reader.end()
        try writer.begin()
        #expect(try writer.deleteMeta("zone"))
        #expect(try !writer.deleteMeta("zone"))
        try writer.commit()
    }

    @Test func directoryIsOpenedOnce() throws {
        let directory = TemporaryDirectory()
        let options = StoreOptions(directory: directory.path)
        let readOnly = StoreOptions(directory: directory.path, readOnly: true)
        do {
            let store = try LogStore(options)
            #expect(throws: StoreError.locked) { try LogStore(options) }
            #expect(throws: StoreError.locked) { try LogStore(readOnly) }
            _ = store
        }
        let first = try LogStore(readOnly)
        #expect(first.state == .readOnly)
        #expect(throws: StoreError.readOnly) { try first.makeWriter() }
        #expect(throws: StoreError.locked) { try LogStore(options) }
    }

    @Test func wrongPathsAreRefused() throws {
        let directory = TemporaryDirectory()
        #expect(throws: StoreError.invalidPath) { try LogStore(StoreOptions(directory: "")) }
        #expect(throws: StoreError.invalidPath) {
            try LogStore(StoreOptions(directory: directory.file("none/none")))
        }
        let file = directory.file("file")
        close(open(file, O_CREAT | O_WRONLY, 0o600))
        #expect(throws: StoreError.invalidPath) { try LogStore(StoreOptions(directory: file)) }
        #expect(throws: StoreError.notFound) {
            try LogStore(StoreOptions(directory: directory.path, readOnly: true))
        }
        #expect(throws: StoreError.notFound) {
            try LogStore(StoreOptions(directory: directory.file("none"), readOnly: true))
        }
    }

    @Test func foreignAndTornFilesAreRefused() throws {
        let directory = TemporaryDirectory()
        let options = StoreOptions(directory: directory.path, preallocationByteCount: 0)
        let path = directory.file("data.mdb")
        let foreign = open(path, O_CREAT | O_WRONLY, 0o600)
        let text = [UInt8](repeating: 0x41, count: 9_000)
        #expect(write(foreign, text, text.count) == text.count)
        close(foreign)
        #expect(throws: StoreError.self) { try LogStore(options) }
        unlink(path)
        do {
            let writer = try LogStore(options).makeWriter()
            try writer.commit((0..<50).map { Entry(1, $0, document: text) })
        }
        #expect(truncate(path, 100_000) == 0)
        do {
            _ = try LogStore(options)
            Issue.record("a torn file was opened")
        } catch StoreError.corrupt(.fileTooShort(_, let found)) {
            #expect(found == 100_000)
        }
    }

    @Test func newerFormatIsRefused() throws {
        let directory = TemporaryDirectory()
        let options = StoreOptions(directory: directory.path)
        do {
            let store = try LogStore(options)
            let transaction = try Environment.begin(store.environment, readOnly: false)
            var version: UInt32 = 9
            try LogStore.putMeta(
                transaction,
                store.tables.meta,
                LogStore.formatKey,
                &version
            )
            try Environment.commit(transaction)
        }
        #expect(throws: StoreError.formatTooNew(found: 9, known: 1)) { try LogStore(options) }
    }

    @Test func leftoversOfAnUnfinishedCreationGo() throws {
        let directory = TemporaryDirectory()
        let leftover = directory.file("data.mdb.new")
        close(open(leftover, O_CREAT | O_WRONLY, 0o600))
        let store = try LogStore(StoreOptions(directory: directory.path))
        #expect(access(leftover, F_OK) != 0)
        #expect(store.state == .writable)
    }

    @Test func fullMapIsAnErrorAndTheStoreGoesOn() throws {
        let directory = TemporaryDirectory()
        let store = try LogStore(
            StoreOptions(directory: directory.path, mapByteCount: 1 << 20)
        )
        let writer = try store.makeWriter()
        try writer.commit([Entry(1)])
        let large = [UInt8](repeating: 1, count: 900_000)
        #expect(throws: StoreError.full) {
            try writer.commit([Entry(2, document: large), Entry(3, document: large)])
        }
        #expect(writer.isFull)
        #expect(store.state == .full)
        try writer.commit([Entry(2)])
        #expect(store.state == .writable)
        #expect(try store.makeReader().all().map(\.key.version.rawValue) == [1, 2])
    }

    @Test func randomCommitsMatchAModel() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let directory = TemporaryDirectory()
        let options = StoreOptions(directory: directory.path, preallocationByteCount: 1 << 16)
        let store = try LogStore(options)
        let writer = try store.makeWriter()
        var model: [LogKey: Entry] = [:]
        for version in 1...150 as ClosedRange<UInt64> {
            try writer.begin()
            var changed = model
            for index in 0..<Int.random(in: 1...20, using: &random) {
                let size = Int.random(in: 0...10, using: &random) == 0 ? 9_000 : 300
                let entry = Entry(
                    version,
                    index,
                    id: "\(random.next())",
                    document: (0..<Int.random(in: 0...size, using: &random)).map {
                        UInt8(truncatingIfNeeded: $0)
                    }
                )
                try writer.append(entry)
                changed[entry.key] = entry
            }
            for victim in changed.keys.sorted().prefix(Int.random(in: 0...15, using: &random)) {
                #expect(try writer.delete(victim))
                changed[victim] = nil
            }
            if Int.random(in: 0..<10, using: &random) == 0 {
                writer.abort()
                continue
            }
            try writer.commit()
            model = changed
        }
        let expected = model.values.sorted { $0.key < $1.key }
        #expect(try store.makeReader().all() == expected, "seed \(seed)")
    }
}
