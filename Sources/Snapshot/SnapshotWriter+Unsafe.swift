// Writes a snapshot's file front to back.
//
// The same writer serves two processes: a child forked from the server writes the index sections
// from its frozen image of the memory, then ends, and the parent goes on behind them. What both
// must know (how far the file goes, the directory so far, whether something failed) stands in
// memory that they share; everything else is a private buffer of whoever writes. Between `init` and
// `finish` nothing is allocated here but inside of zstd's context, which is made at once.
//
//   shared   | state | entry 0 | entry 1 | … |

import CKernels
import CZstd
import Primitives

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// A snapshot that is being written under a temporary name.
///
/// Threads: one owner at a time; figures may be read by any thread.
// SAFETY of `@unchecked Sendable`: the thread rule above; the figures are single words that only
// grow, in memory that lives as long as the writer.
package final class SnapshotWriter: SectionSink, @unchecked Sendable {
    /// What both processes see.
    private struct Shared: BitwiseCopyable {
        var offset: UInt64 = 0
        var sectionCount: UInt64 = 0
        /// Bytes taken in, of all sections.
        var byteCount: UInt64 = 0
        /// The code of the first call that failed; -1 for zstd.
        var failure: Int64 = 0
        var behind: UInt64 = 0
    }

    package let descriptor: Int32
    private let shared: UnsafeMutablePointer<Shared>
    private let entries: UnsafeMutablePointer<SectionEntry>
    private let sectionCountMax: Int
    private let sharedByteCount: Int
    private let context: OpaquePointer
    private let level: Int32
    /// A block as it came, and as it is stored behind its head.
    private let block: UnsafeMutableRawBufferPointer
    private let stored: UnsafeMutableRawBufferPointer
    /// How often each byte is in a sample.
    private let counts: UnsafeMutablePointer<UInt32>
    private var filled = 0
    private var section = SectionEntry()
    private var isOpen = false
    /// Blocks to store as they are, but for uneven ones, before compressing is tried again.
    private var plainCount = 0
    private var dictionary: OpaquePointer?

    /// Bytes after which the file is pushed towards the disk.
    private static var stride: UInt64 { 8 << 20 }
    /// Blocks that go untried, unless they are uneven, after one that would not shrink.
    private static var untriedCount: Int { 31 }

    /// Begins a file. Its descriptor stays the caller's.
    ///
    /// - Parameters:
    ///   - descriptor: of an empty file, open for writing.
    ///   - level: of zstd, 1...19; 0 stores everything as it is.
    ///   - sectionCountMax: sections at most.
    /// - Throws: `outOfMemory`.
    package init(
        descriptor: Int32, header: SnapshotHeader, level: Int, sectionCountMax: Int
    ) throws(SnapshotError) {
        precondition((0...19).contains(level), "a level of zstd")
        precondition((1...Layout.sectionCountMax).contains(sectionCountMax), "room for sections")
        sharedByteCount =
            MemoryLayout<Shared>.stride + sectionCountMax * MemoryLayout<SectionEntry>.stride
        guard let context = ZSTD_createCCtx() else { throw .outOfMemory }
        guard let raw = ck_shared_allocate(sharedByteCount) else {
            ZSTD_freeCCtx(context)
            throw .outOfMemory
        }
        // SAFETY: the block holds one state and the entries behind it, both aligned to 8.
        shared = raw.bindMemory(to: Shared.self, capacity: 1)
        shared.initialize(to: Shared())
        entries = (raw + MemoryLayout<Shared>.stride)
            .bindMemory(to: SectionEntry.self, capacity: sectionCountMax)
        self.descriptor = descriptor
        self.level = Int32(level)
        self.sectionCountMax = sectionCountMax
        self.context = context
        block = .allocate(byteCount: Layout.blockByteCount, alignment: 64)
        stored = .allocate(
            byteCount: Layout.blockHeadByteCount + ZSTD_compressBound(Layout.blockByteCount),
            alignment: 64)
        counts = .allocate(capacity: 256)
        counts.initialize(repeating: 0, count: 256)
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, self.level)
        warm()
        let bytes = header.bytes
        bytes.withUnsafeBytes { write($0) }
    }

    deinit {
        ZSTD_freeCDict(dictionary)
        ZSTD_freeCCtx(context)
        block.deallocate()
        stored.deallocate()
        counts.deallocate()
        ck_shared_free(shared, sharedByteCount)
    }

    /// Lets zstd allocate what it will need, before there is a child that should not.
    private func warm() {
        guard level > 0 else { return }
        block.initializeMemory(as: UInt8.self, repeating: 0)
        _ = compress(Layout.blockByteCount)
        _ = looksUneven(UnsafeRawBufferPointer(block))
    }

    // MARK: - Figures

    /// Bytes taken in so far.
    package var byteCount: Int { Int(shared.pointee.byteCount) }
    /// Bytes of the file so far.
    package var fileByteCount: Int { Int(shared.pointee.offset) }
    /// Sections that are complete.
    package var sectionCount: Int { Int(shared.pointee.sectionCount) }

    /// What failed, if anything did: nothing is written any more then.
    package var failure: SnapshotError? {
        switch shared.pointee.failure {
        case 0: nil
        case -1: .outOfMemory
        case let code where code == Int64(ENOSPC) || code == Int64(EDQUOT): .full
        case let code: .io(code: Int32(code))
        }
    }

    // MARK: - Sections

    /// Begins a section. REQUIRES: none is open.
    ///
    /// - Parameter shape: a hash of what it is written for; whoever reads it compares.
    package func begin(_ id: SectionID, shape: UInt64 = 0) {
        precondition(!isOpen, "one section at a time")
        precondition(sectionCount < sectionCountMax, "sections were counted before")
        section = SectionEntry()
        section.kind = id.kind
        section.collection = id.collection
        section.partition = id.partition
        section.field = id.field
        section.offset = shared.pointee.offset
        section.shape = shape
        (isOpen, filled, plainCount) = (true, 0, 0)
    }

    package func put(_ bytes: UnsafeRawBufferPointer) {
        precondition(isOpen, "bytes belong to a section")
        var left = bytes
        shared.pointee.byteCount += UInt64(bytes.count)
        while left.count > 0 {
            if filled == 0, left.count >= Layout.blockByteCount {
                // Whole blocks go without a copy.
                flush(left.head(Layout.blockByteCount))
                left = left.tail(from: Layout.blockByteCount)
                continue
            }
            let count = min(left.count, Layout.blockByteCount - filled)
            if let target = block.baseAddress, let source = left.baseAddress {
                // SAFETY: the block has room for what is missing to its end.
                (target + filled).copyMemory(from: source, byteCount: count)
            }
            filled += count
            left = left.tail(from: count)
            if filled == Layout.blockByteCount { flushBlock() }
        }
    }

    /// Ends the section.
    package func end() {
        precondition(isOpen, "a section is open")
        if filled > 0 { flushBlock() }
        isOpen = false
        section.storedByteCount = shared.pointee.offset - section.offset
        guard shared.pointee.failure == 0 else { return }
        entries[sectionCount] = section
        shared.pointee.sectionCount += 1
    }

    /// Compresses what follows with a dictionary; nil: without one.
    ///
    /// - Throws: `outOfMemory`.
    package func use(dictionary bytes: [UInt8]?) throws(SnapshotError) {
        ZSTD_freeCDict(dictionary)
        dictionary = nil
        guard let bytes, !bytes.isEmpty, level > 0 else { return }
        dictionary = bytes.withUnsafeBytes { ZSTD_createCDict($0.baseAddress, $0.count, level) }
        guard dictionary != nil else { throw .outOfMemory }
    }

    /// Writes directory and trailer and makes the file durable. Its name is the caller's business.
    ///
    /// - Throws: `full`, `io`: what failed here or before.
    package func finish() throws(SnapshotError) {
        precondition(!isOpen, "every section has ended")
        var directory = Fields()
        for index in 0..<sectionCount { entries[index].add(to: &directory) }
        let start = shared.pointee.offset
        let sum = directory.bytes.withUnsafeBytes { CRC32C.checksum($0) }
        directory.bytes.withUnsafeBytes { write($0) }
        var trailer = Fields()
        trailer.add(start)
        trailer.add(UInt64(directory.bytes.count))
        trailer.add(UInt64(shared.pointee.offset) + UInt64(Layout.trailerByteCount))
        trailer.add(UInt32(sectionCount))
        trailer.add(sum)
        trailer.add(Layout.endMagic)
        trailer.seal(Layout.trailerByteCount)
        trailer.bytes.withUnsafeBytes { write($0) }
        if shared.pointee.failure == 0, fsync(descriptor) != 0 { fail(Int64(errno)) }
        if let failure { throw failure }
    }

    /// Makes what is written durable: so that a child's errors show before it ends.
    package func sync() {
        if shared.pointee.failure == 0, fsync(descriptor) != 0 { fail(Int64(errno)) }
    }

    // MARK: - Blocks

    private func flushBlock() {
        flush(UnsafeRawBufferPointer(block).head(filled))
        filled = 0
    }

    /// Stores one block.
    private func flush(_ bytes: UnsafeRawBufferPointer) {
        section.byteCount += UInt64(bytes.count)
        section.blockCount += 1
        guard shared.pointee.failure == 0 else { return }
        if level > 0, plainCount == 0 || looksUneven(bytes) {
            let size = compress(bytes)
            if ZSTD_isError(size) != 0 { return fail(-1) }
            // Less than a sixteenth saved is not worth the time that reading takes.
            if size < bytes.count - bytes.count / 16 {
                let codec: Layout.Codec = dictionary == nil ? .zstd : .zstdDictionary
                return store(bytes.count, size, codec, nil)
            }
            plainCount = Self.untriedCount
        } else {
            plainCount = max(0, plainCount - 1)
        }
        store(bytes.count, bytes.count, .plain, bytes)
    }

    /// Whether some bytes are so much more frequent than others that a code for them saves
    /// something: whether two of a sample are alike half again as often as two of random bytes.
    ///
    /// - Complexity: O(4,096).
    private func looksUneven(_ bytes: UnsafeRawBufferPointer) -> Bool {
        counts.update(repeating: 0, count: 256)
        // Odd, so that all places of a number come by.
        let step = bytes.count / 4_096 | 1
        var (place, sampled, pairs) = (0, 0, 0)
        while place < bytes.count {
            // As many pairs as there were of that byte before.
            pairs += Int(counts[Int(bytes[place])])
            counts[Int(bytes[place])] += 1
            sampled += 1
            place += step
        }
        return 256 * 4 * pairs > 3 * sampled * (sampled - 1)
    }

    private func compress(_ count: Int) -> Int {
        compress(UnsafeRawBufferPointer(block).head(count))
    }

    private func compress(_ bytes: UnsafeRawBufferPointer) -> Int {
        // SAFETY: the place behind the head has room for the bound of a block.
        let target = stored.baseAddress.map { $0 + Layout.blockHeadByteCount }
        let room = stored.count - Layout.blockHeadByteCount
        if let dictionary {
            return ZSTD_compress_usingCDict(
                context, target, room, bytes.baseAddress, bytes.count, dictionary)
        }
        return ZSTD_compress2(context, target, room, bytes.baseAddress, bytes.count)
    }

    /// Writes a block's head and bytes: those given, or those behind the head's place.
    private func store(
        _ byteCount: Int, _ storedCount: Int, _ codec: Layout.Codec,
        _ bytes: UnsafeRawBufferPointer?
    ) {
        let head = UnsafeMutableRawBufferPointer(
            start: stored.baseAddress, count: Layout.blockHeadByteCount)
        head.storeBytes(of: UInt32(byteCount).littleEndian, toByteOffset: 0, as: UInt32.self)
        head.storeBytes(of: UInt32(storedCount).littleEndian, toByteOffset: 4, as: UInt32.self)
        head.storeBytes(of: codec.rawValue.littleEndian, toByteOffset: 8, as: UInt32.self)
        let whole = UnsafeRawBufferPointer(stored).head(Layout.blockHeadByteCount + storedCount)
        let payload = bytes ?? whole.tail(from: Layout.blockHeadByteCount)
        let sum = Layout.checksum(
            head: UnsafeRawBufferPointer(head), offset: shared.pointee.offset, payload)
        head.storeBytes(of: sum.littleEndian, toByteOffset: 12, as: UInt32.self)
        guard bytes != nil else { return write(whole) }
        write(UnsafeRawBufferPointer(head))
        write(payload)
    }

    private func write(_ bytes: UnsafeRawBufferPointer) {
        var left = bytes
        while left.count > 0, shared.pointee.failure == 0 {
            let count = pwrite(
                descriptor, left.baseAddress, left.count, off_t(shared.pointee.offset))
            if count < 0 {
                if errno == EINTR { continue }
                return fail(Int64(errno))
            }
            shared.pointee.offset += UInt64(count)
            left = left.tail(from: count)
        }
        let offset = shared.pointee.offset
        if offset - shared.pointee.behind >= Self.stride {
            ck_write_behind(descriptor, shared.pointee.behind, offset)
            shared.pointee.behind = offset
        }
    }

    private func fail(_ code: Int64) {
        if shared.pointee.failure == 0 { shared.pointee.failure = code }
    }
}

/// Parts of bytes, by what needs nothing of the language's runtime: a child forked while another
/// thread was in there would wait for that thread for ever.
extension UnsafeRawBufferPointer {
    /// The first `byteCount` bytes. REQUIRES: there are so many.
    fileprivate func head(_ byteCount: Int) -> UnsafeRawBufferPointer {
        assert(byteCount <= count, "a part is within the whole")
        return UnsafeRawBufferPointer(start: baseAddress, count: byteCount)
    }

    /// What follows the first `byteCount` bytes. REQUIRES: there are so many.
    fileprivate func tail(from byteCount: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: baseAddress.map { $0 + byteCount }, count: count - byteCount)
    }
}
