import CZstd
package import Primitives

/// Reads one section, a block at a time: each is checked before a byte of it is given out.
///
/// Whole blocks go straight to where they belong; only the ends of reads pass through a buffer.
///
/// Threads: one owner.
package final class SnapshotSource: SectionSource {
    private let file: SnapshotFile
    private let section: SectionEntry
    private let dictionary: SnapshotDictionary?
    private let room: SnapshotRoom
    /// Where the next block's head stands, and where the section ends.
    private var offset: UInt64
    private let end: UInt64
    private var blocksLeft: UInt32
    package private(set) var remaining: Int
    /// What of the room's block was not given out yet.
    private var blockRange = 0..<0

    init(
        _ file: SnapshotFile, _ section: SectionEntry, _ dictionary: SnapshotDictionary?,
        _ room: SnapshotRoom?
    ) throws(SectionError) {
        if let room { self.room = room } else { self.room = try SnapshotRoom() }
        (self.file, self.section, self.dictionary) = (file, section, dictionary)
        offset = section.offset
        end = section.offset + section.storedByteCount
        blocksLeft = section.blockCount
        remaining = Int(section.byteCount)
    }

    private var context: OpaquePointer { room.context }
    private var stored: UnsafeMutableRawBufferPointer { room.stored }
    private var block: UnsafeMutableRawBufferPointer { room.block }

    package func read(into target: UnsafeMutableRawBufferPointer) throws(SectionError) {
        guard target.count <= remaining else { throw .length }
        var done = 0
        while done < target.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: target[done...])
            if blockRange.isEmpty {
                let head = try head()
                if head.byteCount <= rest.count {
                    try decode(
                        head, UnsafeMutableRawBufferPointer(rebasing: rest[..<head.byteCount]))
                    done += head.byteCount
                    continue
                }
                try decode(
                    head, UnsafeMutableRawBufferPointer(rebasing: block[..<head.byteCount]))
                blockRange = 0..<head.byteCount
            }
            let count = min(rest.count, blockRange.count)
            let part = blockRange.lowerBound..<blockRange.lowerBound + count
            rest.copyMemory(from: UnsafeRawBufferPointer(rebasing: block[part]))
            blockRange = part.upperBound..<blockRange.upperBound
            done += count
        }
        remaining -= target.count
        // Nothing may stand in the section behind its last block.
        if remaining == 0, blocksLeft > 0 || offset != end { throw .length }
    }

    private struct Head {
        var byteCount: Int
        var storedCount: Int
        var codec: Layout.Codec
        var sum: UInt32
        /// The head's own bytes, for the checksum.
        var words: (UInt32, UInt32, UInt32, UInt32)
        var offset: UInt64
    }

    /// Reads the next block's head. Its lengths are bounded before anything is read by them.
    private func head() throws(SectionError) -> Head {
        guard blocksLeft > 0, end - offset >= UInt64(Layout.blockHeadByteCount) else {
            throw .length
        }
        var words: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        let status = withUnsafeMutableBytes(of: &words) {
            readFully(file.descriptor, Int(offset), $0)
        }
        guard status == 0 else { throw status < 0 ? .length : .io(code: status) }
        let (byteCount, storedCount) = (
            Int(UInt32(littleEndian: words.0)), Int(UInt32(littleEndian: words.1))
        )
        let isLast = blocksLeft == 1
        guard let codec = Layout.Codec(rawValue: UInt32(littleEndian: words.2)),
            byteCount > 0, byteCount <= Layout.blockByteCount,
            isLast || byteCount == Layout.blockByteCount,
            storedCount > 0, storedCount <= byteCount,
            codec != .plain || storedCount == byteCount,
            UInt64(storedCount) <= end - offset - UInt64(Layout.blockHeadByteCount)
        else { throw .checksum }
        let head = Head(
            byteCount: byteCount, storedCount: storedCount, codec: codec,
            sum: UInt32(littleEndian: words.3), words: words, offset: offset)
        offset += UInt64(Layout.blockHeadByteCount)
        return head
    }

    /// Reads a block's bytes, checks them and puts what they stand for into `target`, which is as
    /// long as the head says.
    private func decode(
        _ head: Head, _ target: UnsafeMutableRawBufferPointer
    ) throws(SectionError) {
        let bytes =
            head.codec == .plain
            ? target : UnsafeMutableRawBufferPointer(rebasing: stored[..<head.storedCount])
        let status = readFully(file.descriptor, Int(offset), bytes)
        guard status == 0 else { throw status < 0 ? .length : .io(code: status) }
        offset += UInt64(head.storedCount)
        blocksLeft -= 1
        let sum = withUnsafeBytes(of: head.words) {
            Layout.checksum(head: $0, offset: head.offset, UnsafeRawBufferPointer(bytes))
        }
        guard sum == head.sum else { throw .checksum }
        let size: Int
        switch head.codec {
        case .plain: return
        case .zstd:
            size = ZSTD_decompressDCtx(
                context, target.baseAddress, target.count, bytes.baseAddress, bytes.count)
        case .zstdDictionary:
            guard let dictionary else { throw .checksum }
            size = ZSTD_decompress_usingDDict(
                context, target.baseAddress, target.count, bytes.baseAddress, bytes.count,
                dictionary.raw)
        }
        guard ZSTD_isError(size) == 0, size == target.count else { throw .checksum }
    }
}

/// What reading a section needs. Lent to one source after the other, so that the memory is touched
/// once; only one of them may be in use.
package final class SnapshotRoom {
    let context: OpaquePointer
    /// A block as it is stored, and one of which only a part was wanted yet.
    let stored: UnsafeMutableRawBufferPointer
    let block: UnsafeMutableRawBufferPointer

    /// - Throws: `invalid` where there is no memory.
    package init() throws(SectionError) {
        guard let context = ZSTD_createDCtx() else { throw .invalid("zstd needs memory") }
        self.context = context
        stored = .allocate(
            byteCount: ZSTD_compressBound(Layout.blockByteCount), alignment: 64)
        block = .allocate(byteCount: Layout.blockByteCount, alignment: 64)
    }

    deinit {
        ZSTD_freeDCtx(context)
        stored.deallocate()
        block.deallocate()
    }
}

/// A dictionary that sections were compressed with.
// SAFETY of `@unchecked Sendable`: zstd's digested dictionaries are read only, by any thread.
package final class SnapshotDictionary: @unchecked Sendable {
    let raw: OpaquePointer

    /// Bytes of a dictionary at most.
    package static let byteCountMax = 1 << 20

    /// Reads the dictionary's section.
    ///
    /// - Throws: as the source; `invalid` for one that is too large.
    package init(_ source: any SectionSource) throws(SectionError) {
        guard source.remaining > 0, source.remaining <= Self.byteCountMax else {
            throw .invalid("a dictionary is at most 1 MiB")
        }
        var bytes = [UInt8](repeating: 0, count: source.remaining)
        try bytes.withUnsafeMutableBufferPointer { (target) throws(SectionError) in
            try source.read(into: UnsafeMutableRawBufferPointer(target))
        }
        guard let raw = bytes.withUnsafeBytes({ ZSTD_createDDict($0.baseAddress, $0.count) })
        else { throw .invalid("a dictionary needs memory") }
        self.raw = raw
    }

    deinit { ZSTD_freeDDict(raw) }
}
