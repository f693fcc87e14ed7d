import Documents
import Glibc
import Partition
import Primitives
import Schema
import Snapshot

// Snapshots: whole files, and the sections of one small partition behind their checksums.

/// A file's directory is refused or leads to sections that are refused or read to their end.
func feedSnapshot(_ bytes: [UInt8]) {
    let descriptor = memoryFile
    guard ftruncate(descriptor, 0) == 0 else { return }
    let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    precondition(written == bytes.count, "memory takes the bytes")
    guard let file = try? SnapshotFile(path: "/proc/self/fd/\(descriptor)") else { return }
    _ = try? file.origin()
    try? file.verify()
}

/// One file in memory, filled anew for each input.
private let memoryFile: Int32 = {
    let directory = getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir
    var name = Array("\(directory)/aisle-fuzz-XXXXXX".utf8CString)
    let descriptor = mkstemp(&name)
    precondition(descriptor >= 0, "a temporary file")
    unlink(name)
    return descriptor
}()

private let schema: Schema = {
    let text = """
        {"fields":{"n":{"type":"int","index":true,"sort":true},
        "k":{"type":"keyword","index":true,"sort":true,"facet":true},
        "tags":{"type":"keyword","array":true,"index":true,"facet":true},
        "nums":{"type":"int","array":true,"index":true,"sort":true},
        "h":{"type":"vector","dimensions":4,"metric":"cosine","index":{"kind":"hnsw","m":4}},
        "i":{"type":"vector","dimensions":4,"metric":"l2","index":{"kind":"ivf"}},
        "f":{"type":"vector","dimensions":4,"metric":"ip","index":{"kind":"flat"}},
        "at":{"type":"geopoint","array":true,"index":true},
        "area":{"type":"geoshape","index":true},"plan":{"type":"2d","array":true,"index":true},
        "open":{"type":"hours"}}}
        """
    guard let json = try? JSON(parsing: text), let schema = try? Schema(parsing: json) else {
        preconditionFailure("the schema is one")
    }
    return schema
}()

private let shapes = [
    #""Polygon","coordinates":[[[0,0],[9,0],[4,8],[0,0]]]"#, #""Point","coordinates":[3,4]"#,
]

/// Six documents, of which one was replaced and one removed.
private let base: [UInt8] = {
    let partition = CollectionPartition(schema: schema)
    let parser = JSONParser()
    for version in 1...8 {
        let id = Array("d\(version % 6)".utf8)
        let text = """
            {"n":\(version),"k":"k\(version % 3)","tags":["a","b"],"nums":[1,\(version)],
            "at":[[\(version),2],[3,\(version)]],"plan":[[1,2],[\(version),4]],
            "area":{"type":\(shapes[version % 2])},
            "open":{"timezone":"Europe/Berlin","weekly":{"mon":[["0\(version % 3):00","20:00"]]},
            "exceptions":{"2026-12-25":[]}}}
            """
        let prepared = try? DocumentPreparer().prepare(
            Array(text.utf8), schema: schema, parser: parser, nowMilliseconds: 0)
        let key = LogKey(version: Version(UInt64(version)), index: 0)
        let arrivals = ["h", "i", "f"].compactMap { name in
            schema.field(at: name).map {
                VectorArrival(
                    field: $0.number, source: key, values: [1, Float(version), 0.5, -1])
            }
        }
        id.withUnsafeBytes { bytes in
            partition.apply(
                id: bytes, hash: Hash64.hash(bytes), key: key,
                prepared: version == 8 ? nil : prepared, vectors: version == 8 ? [] : arrivals,
                places: version == 8 ? [] : prepared.map { PlaceArrival.all(of: $0) } ?? [])
        }
    }
    let sink = ByteSink()
    partition.writeBase(to: sink)
    writeSeeds(partition)
    return sink.bytes
}()

/// Writes the sections themselves where $AISLE_FUZZ_SEEDS names a folder: how the corpus was made.
private func writeSeeds(_ partition: CollectionPartition) {
    guard let folder = getenv("AISLE_FUZZ_SEEDS").map({ String(cString: $0) }) else { return }
    func write(_ name: String, _ choice: UInt8, _ body: (ByteSink) -> Void) {
        let sink = ByteSink()
        sink.put(choice)
        body(sink)
        guard let file = fopen("\(folder)/\(name)", "w") else { return }
        fwrite(sink.bytes, 1, sink.bytes.count, file)
        fclose(file)
    }
    write("base", 0) { partition.writeBase(to: $0) }
    for (index, field) in schema.fields.enumerated() {
        write(field.path, UInt8(index + 1)) { sink in
            if field.hasEntries { partition.writeColumn(field.number, to: sink) }
            partition.vectorField(field.number)?.write(to: sink)
            partition.placeField(field.number)?.write(to: sink)
            partition.hoursField(field.number)?.write(to: sink)
        }
    }
}

/// The first byte chooses what the rest is: the rows, or the index of one field. What is accepted
/// is written, read and written again: the same bytes.
func feedSection(_ bytes: [UInt8]) {
    let base = base
    guard let choice = bytes.first else { return }
    let rest = Array(bytes.dropFirst())
    guard let once = accepted(Int(choice), rest, base) else { return }
    guard let twice = accepted(Int(choice), once, base) else {
        preconditionFailure("what was written can be read")
    }
    precondition(once == twice, "what is read and written again is the same")
}

/// What a section that is read writes; nil if it is refused.
private func accepted(_ choice: Int, _ bytes: [UInt8], _ base: [UInt8]) -> [UInt8]? {
    let partition = CollectionPartition(schema: schema)
    let sink = ByteSink()
    if choice == 0 {
        guard (try? partition.readBase(from: ByteSource(bytes))) != nil else { return nil }
        partition.writeBase(to: sink)
        return sink.bytes
    }
    guard (try? partition.readBase(from: ByteSource(base))) != nil else {
        preconditionFailure("the partition's own rows can be read")
    }
    let field = schema.fields[(choice - 1) % schema.fields.count]
    if field.hasEntries {
        guard (try? partition.readColumn(field, from: ByteSource(bytes))) != nil else { return nil }
        partition.writeColumn(field.number, to: sink)
    } else if field.hasPlaceIndex {
        guard (try? partition.readPlaces(field, from: ByteSource(bytes))) != nil else {
            return nil
        }
        partition.placeField(field.number)?.write(to: sink)
    } else if field.hasHours {
        guard (try? partition.readHours(field, from: ByteSource(bytes))) != nil else { return nil }
        partition.hoursField(field.number)?.write(to: sink)
    } else {
        guard (try? partition.readVectors(field, from: ByteSource(bytes))) != nil else {
            return nil
        }
        partition.vectorField(field.number)?.write(to: sink)
    }
    return sink.bytes
}
