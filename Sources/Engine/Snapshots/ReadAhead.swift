import Primitives
import Snapshot

/// A section of a snapshot that another thread reads, checks and decompresses ahead of whoever
/// takes its bytes: both halves of a restore work at once.
///
/// ```
/// file ──> the reader's thread ──> up to 4 chunks of 1 MiB ──> read(into:)
///                  └────────────── used ones come back ──────────┘
/// ```
/// Threads: one owner. Where no thread is to be had, the owner's own reads the file.
final class ReadAhead: SectionSource {
    private struct Chunk {
        var bytes: [UInt8] = []
        var count = 0
    }

    private struct State {
        var ready: [Chunk] = []
        var used: [Chunk] = []
        /// Why no more chunks come.
        var failure: SectionError?
    }

    private static let chunkByteCount = 1 << 20
    /// A block of a section, or one that is the same length.
    private static let pieceByteCount = 256 << 10
    private static let chunkCountMax = 4

    private let state = Guarded(State())
    private let bell = Bell()
    private var work: SideWork?
    private var direct: SnapshotSource?
    private var chunk = Chunk()
    /// How much of the chunk was taken.
    private var place = 0
    private(set) var remaining: Int

    /// - Throws: as the source where it is read at once.
    init(
        _ file: SnapshotFile, _ section: SectionEntry, dictionary: SnapshotDictionary?
    ) throws(SectionError) {
        remaining = Int(section.byteCount)
        work = SideWork.ifThreaded { [state, bell] _ in
            do throws(SectionError) {
                try Self.readAll(try file.source(section, dictionary: dictionary), state, bell)
            } catch {
                state.withLock { $0.failure = error }
                bell.ring()
            }
        }
        if work == nil { direct = try file.source(section, dictionary: dictionary) }
    }

    deinit {
        bell.close()
        work?.cancel()
    }

    // MARK: - The reader's thread

    private static func readAll(
        _ source: SnapshotSource, _ state: Guarded<State>, _ bell: Bell
    ) throws(SectionError) {
        while source.remaining > 0 {
            guard var chunk = emptyChunk(state, bell) else { return }
            // What is good before a damaged block is given out.
            defer {
                state.withLock { $0.ready.append(chunk) }
                bell.ring()
            }
            try fill(&chunk, source)
        }
    }

    private static func fill(
        _ chunk: inout Chunk, _ source: SnapshotSource
    ) throws(SectionError) {
        let size = min(source.remaining, chunkByteCount)
        if chunk.bytes.count < size { chunk.bytes = [UInt8](repeating: 0, count: size) }
        chunk.count = 0
        while chunk.count < size {
            let part = chunk.count..<min(size, chunk.count + pieceByteCount)
            try chunk.bytes.withUnsafeMutableBufferPointer { (all) throws(SectionError) in
                try source.read(
                    into: UnsafeMutableRawBufferPointer(
                        UnsafeMutableBufferPointer(rebasing: all[part])))
            }
            chunk.count = part.upperBound
        }
    }

    /// Waits until few enough chunks are ready; nil if nobody wants more.
    private static func emptyChunk(_ state: Guarded<State>, _ bell: Bell) -> Chunk? {
        while !bell.mustStop {
            let seen = bell.rings
            let chunk: Chunk? = state.withLock { state in
                guard state.ready.count < chunkCountMax else { return nil }
                return state.used.popLast() ?? Chunk()
            }
            if let chunk { return chunk }
            bell.wait(since: seen)
        }
        return nil
    }

    // MARK: - The owner's thread

    func read(into target: UnsafeMutableRawBufferPointer) throws(SectionError) {
        guard target.count <= remaining else { throw .length }
        defer { remaining -= target.count }
        if let direct { return try direct.read(into: target) }
        var done = 0
        while done < target.count {
            if place == chunk.count { try nextChunk() }
            let count = min(target.count - done, chunk.count - place)
            let rest = UnsafeMutableRawBufferPointer(rebasing: target[done...])
            chunk.bytes.withUnsafeBytes { bytes in
                let part = bytes[place..<place + count]
                rest.copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
            }
            place += count
            done += count
        }
    }

    private func nextChunk() throws(SectionError) {
        while true {
            let seen = bell.rings
            let (next, failure): (Chunk?, SectionError?) = state.withLock { state in
                if state.ready.isEmpty { return (nil, state.failure) }
                if !chunk.bytes.isEmpty { state.used.append(chunk) }
                // Kept twice it would be copied when it is filled again.
                chunk = Chunk()
                return (state.ready.removeFirst(), nil)
            }
            if let next {
                (chunk, place) = (next, 0)
                return bell.ring()
            }
            if let failure { throw failure }
            bell.wait(since: seen)
        }
    }
}
