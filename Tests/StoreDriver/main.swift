// A process for the fault tests: it fills a store with entries that can be computed again from
// their keys, says what was acknowledged, and, run once more, checks that all of it is there.
//
//   StoreDriver append DIR SEED COMMITS     prints "ack VERSION" after each durable commit
//   StoreDriver check DIR SEED ACKED        exit status 1 and a line that says what is wrong
//   StoreDriver compact DIR                 prints "compacted BEFORE AFTER"
//
// Entry i of version v lives for 1 to 40 versions; the commit of the version at which its time is
// up deletes it. So the exact contents at every version are known.

import DocumentStore
import Glibc
import Primitives

let window: UInt64 = 40

func mix(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
}

func entryCount(_ seed: UInt64, _ version: UInt64) -> Int {
    Int(mix(seed ^ version &* 3) % 12) + 1
}

/// The version whose commit deletes the entry.
func end(_ seed: UInt64, _ key: LogKey) -> UInt64 {
    key.version.rawValue + 1 + mix(seed ^ key.rawValue) % window
}

func document(_ seed: UInt64, _ key: LogKey) -> [UInt8] {
    var state = mix(seed &+ key.rawValue)
    let count = state % 16 == 0 ? Int(state >> 8 % 9_000) % 9_000 : Int(state >> 8) % 900
    return (0..<abs(count)).map { _ in
        state = mix(state)
        return UInt8(truncatingIfNeeded: state)
    }
}

func keys(_ seed: UInt64, _ version: UInt64) -> [LogKey] {
    (0..<entryCount(seed, version)).map { LogKey(version: Version(version), index: $0) }
}

func fail(_ text: String, status: Int32 = 1) -> Never {
    print(text)
    fflush(nil)
    exit(status)
}

func write(_ writer: LogWriter, _ seed: UInt64, _ version: UInt64) throws(StoreError) {
    try writer.begin()
    for key in keys(seed, version) {
        let header = LogEntryHeader(
            operation: .put,
            collection: 1,
            timestampMilliseconds: Int64(version)
        )
        let bytes = document(seed, key)
        let result: Result<Void, StoreError> = bytes.withUnsafeBytes { document in
            Array("k\(key.rawValue)".utf8).withUnsafeBytes { id in
                do throws(StoreError) {
                    try writer.append(key, header, id: id, document: document)
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
        }
        try result.get()
    }
    for old in max(1, Int64(version) - Int64(window))..<max(2, Int64(version)) {
        for key in keys(seed, UInt64(old)) where end(seed, key) == version {
            try writer.delete(key)
        }
    }
    try writer.putMeta("version", Array("\(version)".utf8))
    try writer.commit()
}

/// Appends; a full disk is given space again (by the signal) and the commit is tried once more.
func append(_ directory: String, _ seed: UInt64, _ commits: UInt64) throws(StoreError) {
    let store = try LogStore(
        StoreOptions(directory: directory, preallocationByteCount: 1 << 16)
    )
    let writer = try store.makeWriter()
    let first = writer.lastKey.version.rawValue + 1
    for version in first..<first + commits {
        do {
            try write(writer, seed, version)
        } catch StoreError.full {
            print("full \(version)")
            guard writer.isFull else { fail("a full disk is not remembered") }
            raise(SIGUSR1)
            try write(writer, seed, version)
        }
        print("ack \(version)")
        fflush(nil)
    }
}

func check(_ directory: String, _ seed: UInt64, _ acknowledged: UInt64) throws(StoreError) {
    guard acknowledged > 0 || access(directory + "/data.mdb", F_OK) == 0 else { return }
    let store = try LogStore(StoreOptions(directory: directory))
    let reader = try store.makeReader()
    try reader.begin()
    let last = try reader.lastKey().version.rawValue
    let meta = try reader.meta("version").map { String(decoding: $0, as: UTF8.self) } ?? "0"
    guard last >= acknowledged else {
        fail("lost: \(last) is the last, \(acknowledged) was promised")
    }
    guard meta == "\(last)" else { fail("meta says \(meta), the log \(last)") }
    guard last == 0 || last <= acknowledged + 1 else {
        fail("\(last) is there, \(acknowledged) was the last acknowledged")
    }
    var expected: [LogKey] = []
    for version in max(1, Int64(last) - Int64(window))..<Int64(last) + 1 {
        expected += keys(seed, UInt64(version)).filter { end(seed, $0) > last }
    }
    var found: [LogKey] = []
    _ = try reader.scan(countMax: .max) { (view) throws(StoreError) -> Bool in
        try view.verify()
        found.append(view.key)
        guard view.document.elementsEqual(document(seed, view.key)) else {
            fail("\(view.key) holds other bytes")
        }
        return true
    }
    reader.end()
    guard found == expected else { fail("\(found.count) entries, not \(expected.count)") }
}

func run() throws(StoreError) {
    let words = CommandLine.arguments
    switch words.dropFirst().first {
    case "append" where words.count == 5:
        try append(words[2], UInt64(words[3]) ?? 0, UInt64(words[4]) ?? 0)
    case "check" where words.count == 5:
        try check(words[2], UInt64(words[3]) ?? 0, UInt64(words[4]) ?? 0)
        guard access(words[2] + "/data.mdb", F_OK) == 0 else { return }
        let report = try verifyStore(words[2])
        guard report.isClean else { fail("verify: \(report.problems)") }
    case "compact" where words.count == 3:
        let result = try compactStore(words[2])
        print("compacted \(result.byteCountBefore) \(result.byteCountAfter)")
    default:
        fail("usage: StoreDriver append|check|compact DIR ...", status: 2)
    }
}

do throws(StoreError) {
    try run()
} catch {
    fail("error \(error)", status: 3)
}
