package import Primitives

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// A snapshot's file, open for reading: header and directory are checked, sections are not yet.
///
/// The file is read by calls, not mapped: a disk that fails or a file that is cut off while it is
/// read must be an error, and a map would make it a signal.
///
/// Threads: any number may read sections, each with sources of its own.
// SAFETY of `@unchecked Sendable`: nothing changes after `init`; reads name their offsets.
package final class SnapshotFile: @unchecked Sendable {
    package let header: SnapshotHeader
    /// All sections, in the order of the file.
    package let sections: [SectionEntry]
    /// Bytes of the file.
    package let fileByteCount: Int
    let descriptor: Int32
    private let places: [SectionID: Int]

    /// Opens a file.
    ///
    /// - Throws: `io`; `foreign`, `formatTooNew`, `damaged` for what is not a whole snapshot.
    package init(path: String) throws(SnapshotError) {
        // A pipe would keep whoever opens it waiting; that it is no plain file shows below.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        // A socket cannot be opened at all.
        guard descriptor >= 0 else { throw errno == ENXIO ? .foreign : .io(code: errno) }
        do throws(SnapshotError) {
            (header, sections, fileByteCount) = try Self.read(descriptor)
        } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        places = Dictionary(
            sections.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    deinit { close(descriptor) }

    /// The section of that name; nil if there is none.
    package func section(_ id: SectionID) -> SectionEntry? { places[id].map { sections[$0] } }

    /// How a field's index of vectors is written down here: packed, if not in the way of before.
    package func vectorKind(
        collection: UInt32, partition: Int, field: UInt16
    ) -> SectionKind {
        let packed = SectionID(
            .packedVectors, collection: collection, partition: partition, field: field)
        return section(packed) == nil ? .vectors : .packedVectors
    }

    /// What to read a section with.
    ///
    /// - Parameters:
    ///   - dictionary: the one that it was compressed with, if it was.
    ///   - room: memory that no other source uses meanwhile; nil for some of its own.
    package func source(
        _ section: SectionEntry, dictionary: SnapshotDictionary? = nil,
        room: SnapshotRoom? = nil
    ) throws(SectionError) -> SnapshotSource {
        try SnapshotSource(self, section, dictionary, room)
    }

    /// Reads every section whole and compares all checksums; `progress` gets the bytes of the file
    /// that are checked.
    ///
    /// - Throws: `damaged` with the first section that is, `io`; what `progress` throws.
    package func verify(_ progress: (Int) throws -> Void = { _ in }) throws {
        let scratch = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Layout.blockByteCount, alignment: 64)
        defer { scratch.deallocate() }
        var dictionary: SnapshotDictionary?
        let room = try SnapshotRoom()
        for section in sections {
            do throws(SectionError) {
                let source = try SnapshotSource(self, section, dictionary, room)
                if section.id.kind == SectionKind.dictionary.rawValue {
                    dictionary = try SnapshotDictionary(source)
                    continue
                }
                while source.remaining > 0 {
                    let count = min(source.remaining, scratch.count)
                    try source.read(
                        into: UnsafeMutableRawBufferPointer(rebasing: scratch[..<count]))
                }
            } catch {
                if case .io(let code) = error { throw SnapshotError.io(code: code) }
                throw SnapshotError.damaged(.section(section.id))
            }
            try progress(Int(section.offset + section.storedByteCount))
        }
    }

    // MARK: - Opening

    private static func read(
        _ descriptor: Int32
    ) throws(SnapshotError) -> (SnapshotHeader, [SectionEntry], Int) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .io(code: errno) }
        let size = Int(status.st_size)
        guard status.st_mode & S_IFMT == S_IFREG,
            size >= Layout.headerByteCount + Layout.trailerByteCount
        else { throw .foreign }
        let header = try SnapshotHeader(bytes(descriptor, 0, Layout.headerByteCount))
        var trailer = Fields(
            try bytes(descriptor, size - Layout.trailerByteCount, Layout.trailerByteCount))
        let (start, length) = (trailer.next(UInt64.self), trailer.next(UInt64.self))
        let total = trailer.next(UInt64.self)
        let (count, sum) = (trailer.next(UInt32.self), trailer.next(UInt32.self))
        guard trailer.next(UInt64.self) == Layout.endMagic, trailer.isSealed,
            total == UInt64(size), Int(count) <= Layout.sectionCountMax,
            length == UInt64(count) * UInt64(Layout.entryByteCount),
            start <= total, start + length + UInt64(Layout.trailerByteCount) == total
        else { throw .damaged(.trailer) }
        var directory = Fields(try bytes(descriptor, Int(start), Int(length)))
        guard directory.bytes.withUnsafeBytes({ CRC32C.checksum($0) }) == sum else {
            throw .damaged(.directory)
        }
        var sections: [SectionEntry] = []
        var offset = UInt64(Layout.headerByteCount)
        for _ in 0..<count {
            let section = SectionEntry(&directory)
            // Sections fill the file without gaps, and no block is larger than it may be.
            guard section.offset == offset, section.storedByteCount <= start - offset,
                UInt64(section.blockCount) * UInt64(Layout.blockHeadByteCount)
                    <= section.storedByteCount,
                section.byteCount
                    <= UInt64(section.blockCount) * UInt64(Layout.blockByteCount)
            else { throw .damaged(.directory) }
            offset += section.storedByteCount
            sections.append(section)
        }
        guard offset == start else { throw .damaged(.directory) }
        return (header, sections, size)
    }

    private static func bytes(
        _ descriptor: Int32, _ offset: Int, _ count: Int
    ) throws(SnapshotError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let status = bytes.withUnsafeMutableBytes { readFully(descriptor, offset, $0) }
        guard status == 0 else { throw status < 0 ? .foreign : .io(code: status) }
        return bytes
    }
}

/// Fills `target` from a file.
///
/// - Returns: 0; -1 where the file ends before; else the system's error code.
func readFully(
    _ descriptor: Int32, _ offset: Int, _ target: UnsafeMutableRawBufferPointer
) -> Int32 {
    var done = 0
    while done < target.count {
        let rest = UnsafeMutableRawBufferPointer(rebasing: target[done...])
        let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
        if count < 0 {
            if errno == EINTR { continue }
            return errno
        }
        if count == 0 { return -1 }
        done += count
    }
    return 0
}
