package import Primitives

/// Why a snapshot cannot be written or read.
package enum SnapshotError: Error, Equatable, Sendable {
    /// A system call failed with this code.
    case io(code: Int32)
    /// No space is left on the disk, or would be.
    case full
    /// Not a snapshot: the file begins or ends with something else, or is cut off.
    case foreign
    /// Written by a newer program: its format and the newest that this one knows.
    case formatTooNew(found: UInt32, known: UInt32)
    /// A part of the file does not match its checksum or breaks a rule of the format.
    case damaged(Part)
    /// The library for compression has no memory.
    case outOfMemory
    /// There is no file of the snapshot that this one goes on from, or another under its name.
    case baseMissing(String)
    case baseOther(String)

    /// Parts of a file.
    package enum Part: Equatable, Sendable {
        case header
        case directory
        case trailer
        case section(SectionID)
    }
}

/// What a section holds. Raw values are on disk: never reuse one.
package enum SectionKind: UInt16, Sendable, CaseIterable {
    /// Rows of the meta table: schemas, aliases, accounts, options.
    case meta = 1
    /// What the committer keeps beside the partitions: superseded entries, times to live.
    case books = 2
    /// Documents, rows and the order of ids of one collection in one partition.
    case base = 3
    /// The column of one field.
    case column = 4
    /// The vector index of one field, its rows as they are in memory: read, no longer written.
    case vectors = 5
    /// The dictionary that entries are compressed with.
    case dictionary = 6
    /// Entries of the log.
    case entries = 7
    /// Vectors as they were written, by entry.
    case originals = 8
    /// The places of one field: points and zones.
    case places = 9
    /// The opening hours of one field.
    case hours = 10
    /// Which snapshot this one goes on from.
    case origin = 11
    /// The vector index of one field, its rows packed.
    case packedVectors = 12
}

/// Which section it is. Kinds that this program does not know are kept as numbers, and passed over.
package struct SectionID: Hashable, Sendable {
    package var kind: UInt16
    package var collection: UInt32
    package var partition: UInt32
    package var field: UInt32

    package init(
        _ kind: SectionKind, collection: UInt32 = 0, partition: Int = 0, field: UInt16 = 0
    ) {
        self.kind = kind.rawValue
        self.collection = collection
        self.partition = UInt32(partition)
        self.field = UInt32(field)
    }

    init(kind: UInt16, collection: UInt32, partition: UInt32, field: UInt32) {
        self.kind = kind
        self.collection = collection
        self.partition = partition
        self.field = field
    }
}

/// The fixed facts of a snapshot: its header.
package struct SnapshotHeader: Equatable, Sendable {
    /// The version that the snapshot holds.
    package var version: Version
    /// The newest entry of the log then, and that entry's checksum: they tell whether a log is the
    /// one that the snapshot was taken of.
    package var lastKey: LogKey
    package var lastChecksum: UInt32
    /// When it was taken, in milliseconds since 1970.
    package var createdMilliseconds: Int64
    /// The data directory's own number: the seed of its hashes of ids.
    package var identity: UInt64
    /// Partitions of each collection.
    package var partitionCount: UInt32
    /// Whether the file holds the log as well, so that it can stand alone.
    package var hasEntries: Bool
    /// Whether the file goes on from another one: it holds the log since then, and no indexes.
    package var hasBase: Bool

    package init(
        version: Version, lastKey: LogKey, lastChecksum: UInt32, createdMilliseconds: Int64,
        identity: UInt64, partitionCount: UInt32, hasEntries: Bool, hasBase: Bool = false
    ) {
        self.version = version
        self.lastKey = lastKey
        self.lastChecksum = lastChecksum
        self.createdMilliseconds = createdMilliseconds
        self.identity = identity
        self.partitionCount = partitionCount
        self.hasEntries = hasEntries
        self.hasBase = hasBase
    }
}

/// One section's row in the directory.
package struct SectionEntry: Equatable, Sendable, BitwiseCopyable {
    var kind: UInt16 = 0
    var collection: UInt32 = 0
    var partition: UInt32 = 0
    var field: UInt32 = 0
    /// Where its first block begins.
    package internal(set) var offset: UInt64 = 0
    /// Bytes in the file, with the blocks' heads, and bytes when they are read.
    package internal(set) var storedByteCount: UInt64 = 0
    package internal(set) var byteCount: UInt64 = 0
    package internal(set) var blockCount: UInt32 = 0
    /// A hash of what the section was written for, such as a field's declaration.
    package internal(set) var shape: UInt64 = 0

    init() {}

    package var id: SectionID {
        SectionID(kind: kind, collection: collection, partition: partition, field: field)
    }
}

/// The byte layout: see Snapshots/FORMAT.md.
enum Layout {
    static let format: UInt32 = 1
    static let magic: UInt64 = 0x3150_414E_5345_4941  // "AIESNAP1", little-endian
    static let endMagic: UInt64 = 0x3144_4E45_5345_4941  // "AIESEND1"
    static let headerByteCount = 96
    static let entryByteCount = 64
    static let trailerByteCount = 48
    static let blockHeadByteCount = 16
    /// Bytes of a block when it is read: all of a section's but its last have so many.
    static let blockByteCount = 256 << 10
    static let sectionCountMax = 1 << 24

    /// How a block is stored.
    enum Codec: UInt32 {
        case plain = 0
        case zstd = 1
        case zstdDictionary = 2
    }

    /// The checksum of a block: of its head without the checksum, of where it stands, of its bytes.
    static func checksum(
        head: UnsafeRawBufferPointer, offset: UInt64, _ stored: UnsafeRawBufferPointer
    ) -> UInt32 {
        var sum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: head[..<12]))
        sum = withUnsafeBytes(of: offset.littleEndian) { CRC32C.checksum($0, seed: sum) }
        return CRC32C.checksum(stored, seed: sum)
    }
}

/// Bytes that are put together or taken apart number by number.
struct Fields {
    var bytes: [UInt8] = []
    private var position = 0

    init() {}

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func add<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// The next number; zero behind the end.
    mutating func next<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type = T.self) -> T {
        let size = MemoryLayout<T>.size
        guard position + size <= bytes.count else { return 0 }
        defer { position += size }
        return bytes.withUnsafeBytes {
            T(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: T.self))
        }
    }

    /// Fills up with zeros and the checksum of all of it, to `count` bytes.
    mutating func seal(_ count: Int) {
        precondition(bytes.count + 4 <= count, "the fields leave room for the checksum")
        bytes.append(contentsOf: [UInt8](repeating: 0, count: count - 4 - bytes.count))
        add(bytes.withUnsafeBytes { CRC32C.checksum($0) })
    }

    /// Whether the last four bytes are the checksum of the others.
    var isSealed: Bool {
        guard bytes.count >= 4 else { return false }
        return bytes.withUnsafeBytes { all in
            let own = UnsafeRawBufferPointer(rebasing: all[..<(all.count - 4)])
            let sum = all.loadUnaligned(fromByteOffset: all.count - 4, as: UInt32.self)
            return CRC32C.checksum(own) == UInt32(littleEndian: sum)
        }
    }
}

extension SnapshotHeader {
    var bytes: [UInt8] {
        var fields = Fields()
        fields.add(Layout.magic)
        fields.add(Layout.format)
        fields.add(UInt32(Layout.headerByteCount))
        fields.add(version.rawValue)
        fields.add(lastKey.rawValue)
        fields.add(createdMilliseconds)
        fields.add(identity)
        fields.add(partitionCount)
        fields.add(lastChecksum)
        fields.add(UInt32(hasEntries ? 1 : 0) | UInt32(hasBase ? 2 : 0))
        fields.seal(Layout.headerByteCount)
        return fields.bytes
    }

    init(_ bytes: [UInt8]) throws(SnapshotError) {
        var fields = Fields(bytes)
        guard bytes.count == Layout.headerByteCount, fields.next(UInt64.self) == Layout.magic
        else { throw .foreign }
        let format = fields.next(UInt32.self)
        // What a later format says of the rest of its header is not known here.
        guard format <= Layout.format else {
            throw .formatTooNew(found: format, known: Layout.format)
        }
        guard fields.isSealed, format == Layout.format,
            fields.next(UInt32.self) == UInt32(Layout.headerByteCount)
        else { throw .damaged(.header) }
        version = Version(fields.next())
        lastKey = LogKey(rawValue: fields.next())
        createdMilliseconds = fields.next()
        identity = fields.next()
        partitionCount = fields.next()
        lastChecksum = fields.next()
        let flags = fields.next(UInt32.self)
        (hasEntries, hasBase) = (flags & 1 == 1, flags & 2 == 2)
    }
}

extension SectionEntry {
    func add(to fields: inout Fields) {
        let start = fields.bytes.count
        fields.add(kind)
        fields.add(UInt16(0))
        fields.add(collection)
        fields.add(partition)
        fields.add(field)
        fields.add(offset)
        fields.add(storedByteCount)
        fields.add(byteCount)
        fields.add(shape)
        fields.add(blockCount)
        let filled = fields.bytes.count - start
        fields.bytes.append(
            contentsOf: [UInt8](repeating: 0, count: Layout.entryByteCount - filled))
    }

    init(_ fields: inout Fields) {
        kind = fields.next()
        _ = fields.next(UInt16.self)
        collection = fields.next()
        partition = fields.next()
        field = fields.next()
        offset = fields.next()
        storedByteCount = fields.next()
        byteCount = fields.next()
        shape = fields.next()
        blockCount = fields.next()
        for _ in 0..<3 { _ = fields.next(UInt32.self) }
    }
}
