internal import CKernels
internal import Glibc
internal import Primitives

/// Totals over a column's posting sets, kept as they change.
struct PostingTotals {
    /// Bytes allocated, with the allocator's own.
    var byteCount = 0
    /// Chunks held as bitmaps, and rows held in lists.
    var bitmapCount = 0
    var listedCount = 0
}

/// The rows of one term, in 16 bytes plus what they point to.
///
///     count 0         nothing
///     one             the row itself, inline
///     list            sorted UInt32, at most 512
///     chunks          per 65,536 rows: sorted UInt16, or 1,024 words of bitmap above 2,048 rows
///
/// No insertion moves more than 4 KiB, whatever the order of rows. The memory belongs to the set:
/// ``free(_:)`` must be called before the last copy goes.
struct PostingSet: BitwiseCopyable {
    private var payload: UInt = 0
    private(set) var count: UInt32 = 0
    /// Room of the list; 0 inline; ``chunked`` for chunks.
    private var room: UInt32 = 0

    private static let chunked = UInt32.max
    private static let listMax = 512
    static let chunkBits: UInt32 = 16
    static let wordsPerChunk = 1_024
    private static let chunkListMax = 2_048
    private static let chunkListMin = 1_024

    /// The rows of one chunk.
    private struct Chunk: BitwiseCopyable {
        var pointer: UInt = 0
        var count: UInt32 = 0
        /// Room of the list; `chunked` for a bitmap.
        var room: UInt32 = 0
    }

    init() {}

    // MARK: Memory
    // SAFETY: payload is a pointer that this set allocated, of the kind that `room` says.

    private var list: UnsafeMutablePointer<UInt32> {
        guard let pointer = UnsafeMutablePointer<UInt32>(bitPattern: payload) else {
            preconditionFailure("a list has memory")
        }
        return pointer
    }

    /// The chunks: cell 0 is a header whose count is their number.
    private var chunks: UnsafeMutablePointer<Chunk> {
        guard let pointer = UnsafeMutablePointer<Chunk>(bitPattern: payload) else {
            preconditionFailure("chunks have memory")
        }
        return pointer
    }

    private static func allocate(_ byteCount: Int, _ totals: inout PostingTotals) -> UInt {
        guard let raw = malloc(byteCount) else { fatalError("out of memory: \(byteCount) bytes") }
        totals.byteCount += ck_allocated_size(raw)
        return UInt(bitPattern: raw)
    }

    private static func release(_ payload: UInt, _ totals: inout PostingTotals) {
        guard let raw = UnsafeMutableRawPointer(bitPattern: payload) else { return }
        totals.byteCount -= ck_allocated_size(raw)
        Glibc.free(raw)
    }

    private static func rows(_ chunk: Chunk) -> UnsafeMutablePointer<UInt16> {
        guard let pointer = UnsafeMutablePointer<UInt16>(bitPattern: chunk.pointer) else {
            preconditionFailure("a chunk has memory")
        }
        return pointer
    }

    private static func words(_ chunk: Chunk) -> UnsafeMutablePointer<UInt64> {
        guard let pointer = UnsafeMutablePointer<UInt64>(bitPattern: chunk.pointer) else {
            preconditionFailure("a chunk has memory")
        }
        return pointer
    }

    // MARK: Writing

    /// Adds a row that is not in the set. - Complexity: O(1) for rising rows, else O(4 KiB moved).
    mutating func insert(_ slot: UInt32, _ totals: inout PostingTotals) {
        if room == PostingSet.chunked { return insertChunked(slot, &totals) }
        if count == 0 {
            (payload, count) = (UInt(slot), 1)
            totals.listedCount += 1
            return
        }
        if room == 0 {
            let first = UInt32(truncatingIfNeeded: payload)
            payload = PostingSet.allocate(4 * 4, &totals)
            room = 4
            list[0] = first
        }
        if count == room {
            if count >= PostingSet.listMax {
                toChunks(&totals)
                return insertChunked(slot, &totals)
            }
            let next = PostingSet.allocate(Int(room) * 8, &totals)
            UnsafeMutablePointer<UInt32>(bitPattern: next)?.update(from: list, count: Int(count))
            PostingSet.release(payload, &totals)
            payload = next
            room *= 2
        }
        let at = PostingSet.position(list, Int(count), slot)
        (list + at + 1).update(from: list + at, count: Int(count) - at)
        list[at] = slot
        count += 1
        totals.listedCount += 1
    }

    private mutating func insertChunked(_ slot: UInt32, _ totals: inout PostingTotals) {
        let index = Int(slot >> PostingSet.chunkBits)
        if index >= Int(chunks[0].count) { growChunks(index + 1, &totals) }
        let cell = chunks + index + 1
        var chunk = cell.pointee
        let low = UInt16(truncatingIfNeeded: slot)
        count += 1
        if chunk.room != PostingSet.chunked, Int(chunk.count) == PostingSet.chunkListMax {
            PostingSet.toBitmap(&chunk, &totals)
        }
        if chunk.room == PostingSet.chunked {
            PostingSet.words(chunk)[Int(low >> 6)] |= 1 << UInt64(low & 63)
        } else {
            if chunk.count == chunk.room {
                let room = max(4, chunk.room + chunk.room / 2)
                let next = PostingSet.allocate(Int(room) * 2, &totals)
                if chunk.count > 0 {
                    UnsafeMutablePointer<UInt16>(bitPattern: next)?
                        .update(from: PostingSet.rows(chunk), count: Int(chunk.count))
                }
                PostingSet.release(chunk.pointer, &totals)
                (chunk.pointer, chunk.room) = (next, room)
            }
            let rows = PostingSet.rows(chunk)
            let at = PostingSet.position(rows, Int(chunk.count), low)
            (rows + at + 1).update(from: rows + at, count: Int(chunk.count) - at)
            rows[at] = low
            totals.listedCount += 1
        }
        chunk.count += 1
        cell.pointee = chunk
    }

    /// Removes a row that is in the set. - Complexity: O(4 KiB moved).
    mutating func remove(_ slot: UInt32, _ totals: inout PostingTotals) {
        precondition(count > 0, "the row is in the set")
        count -= 1
        if room == PostingSet.chunked {
            removeChunked(slot, &totals)
            if Int(count) < PostingSet.listMax / 4 { toList(&totals) }
            return
        }
        totals.listedCount -= 1
        guard room > 0 else {
            precondition(payload == UInt(slot), "the row is in the set")
            payload = 0
            return
        }
        let at = PostingSet.position(list, Int(count) + 1, slot)
        precondition(at <= Int(count) && list[at] == slot, "the row is in the set")
        (list + at).update(from: list + at + 1, count: Int(count) - at)
        if count == 0 {
            PostingSet.release(payload, &totals)
            (payload, room) = (0, 0)
        }
    }

    private mutating func removeChunked(_ slot: UInt32, _ totals: inout PostingTotals) {
        let index = Int(slot >> PostingSet.chunkBits)
        precondition(index < Int(chunks[0].count), "the row is in the set")
        let cell = chunks + index + 1
        var chunk = cell.pointee
        let low = UInt16(truncatingIfNeeded: slot)
        chunk.count -= 1
        if chunk.room == PostingSet.chunked {
            PostingSet.words(chunk)[Int(low >> 6)] &= ~(1 << UInt64(low & 63))
            if Int(chunk.count) < PostingSet.chunkListMin { PostingSet.toRows(&chunk, &totals) }
        } else {
            let rows = PostingSet.rows(chunk)
            let at = PostingSet.position(rows, Int(chunk.count) + 1, low)
            precondition(at <= Int(chunk.count) && rows[at] == low, "the row is in the set")
            (rows + at).update(from: rows + at + 1, count: Int(chunk.count) - at)
            totals.listedCount -= 1
            if chunk.count == 0 {
                PostingSet.release(chunk.pointer, &totals)
                chunk = Chunk()
            }
        }
        cell.pointee = chunk
    }

    private mutating func growChunks(_ needed: Int, _ totals: inout PostingTotals) {
        let have = room == PostingSet.chunked ? Int(chunks[0].count) : 0
        let next = PostingSet.allocate((needed + 1) * 16, &totals)
        guard let cells = UnsafeMutablePointer<Chunk>(bitPattern: next) else { return }
        cells.initialize(repeating: Chunk(), count: needed + 1)
        if have > 0 {
            (cells + 1).update(from: chunks + 1, count: have)
            PostingSet.release(payload, &totals)
        }
        cells[0].count = UInt32(needed)
        (payload, room) = (next, PostingSet.chunked)
    }

    private mutating func toChunks(_ totals: inout PostingTotals) {
        let old = self
        totals.listedCount -= Int(count)
        self = PostingSet()
        growChunks(Int(old.list[Int(old.count) - 1] >> PostingSet.chunkBits) + 1, &totals)
        for i in 0..<Int(old.count) { insertChunked(old.list[i], &totals) }
        PostingSet.release(old.payload, &totals)
    }

    private mutating func toList(_ totals: inout PostingTotals) {
        var old = self
        self = PostingSet()
        old.forEach { insert($0, &totals) }
        old.free(&totals)
    }

    private static func toBitmap(_ chunk: inout Chunk, _ totals: inout PostingTotals) {
        let next = allocate(wordsPerChunk * 8, &totals)
        guard let words = UnsafeMutablePointer<UInt64>(bitPattern: next) else { return }
        words.initialize(repeating: 0, count: wordsPerChunk)
        let rows = rows(chunk)
        for i in 0..<Int(chunk.count) { words[Int(rows[i] >> 6)] |= 1 << UInt64(rows[i] & 63) }
        release(chunk.pointer, &totals)
        totals.bitmapCount += 1
        totals.listedCount -= Int(chunk.count)
        (chunk.pointer, chunk.room) = (next, chunked)
    }

    private static func toRows(_ chunk: inout Chunk, _ totals: inout PostingTotals) {
        let next = allocate(max(4, Int(chunk.count)) * 2, &totals)
        guard let rows = UnsafeMutablePointer<UInt16>(bitPattern: next) else { return }
        var at = 0
        let words = words(chunk)
        for index in 0..<wordsPerChunk {
            var word = words[index]
            while word != 0 {
                rows[at] = UInt16(index * 64 + word.trailingZeroBitCount)
                at += 1
                word &= word - 1
            }
        }
        release(chunk.pointer, &totals)
        totals.bitmapCount -= 1
        totals.listedCount += at
        (chunk.pointer, chunk.room) = (next, UInt32(max(4, at)))
    }

    /// Gives all memory back and leaves nothing. - Complexity: O(chunks).
    mutating func free(_ totals: inout PostingTotals) {
        if room == PostingSet.chunked {
            for index in 1...Int(chunks[0].count) {
                if chunks[index].room == PostingSet.chunked {
                    totals.bitmapCount -= 1
                } else {
                    totals.listedCount -= Int(chunks[index].count)
                }
                PostingSet.release(chunks[index].pointer, &totals)
            }
        } else {
            totals.listedCount -= Int(count)
        }
        if room > 0 { PostingSet.release(payload, &totals) }
        self = PostingSet()
    }

    /// Where `row` is or belongs; the end is tried first, since rows mostly rise.
    @inline(__always) private static func position<T: FixedWidthInteger>(
        _ rows: UnsafeMutablePointer<T>,
        _ count: Int,
        _ row: T
    ) -> Int {
        if count == 0 || rows[count &- 1] < row { return count }
        var (low, high) = (0, count)
        while low < high {
            let middle = (low &+ high) / 2
            if rows[middle] < row { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    // MARK: Reading

    /// The only row of a set of one. - Complexity: O(1).
    var single: UInt32? {
        guard count == 1 else { return nil }
        if room == 0 { return UInt32(truncatingIfNeeded: payload) }
        return room == PostingSet.chunked ? nil : list[0]
    }

    /// Is the row, which no row of the set is above, in the set? - Complexity: O(1).
    func ends(with slot: UInt32) -> Bool {
        if count == 0 { return false }
        if room == 0 { return payload == UInt(slot) }
        if room != PostingSet.chunked { return list[Int(count) - 1] == slot }
        let index = Int(slot >> PostingSet.chunkBits)
        guard index < Int(chunks[0].count) else { return false }
        let (chunk, low) = (chunks[index + 1], UInt16(truncatingIfNeeded: slot))
        if chunk.room == PostingSet.chunked {
            return PostingSet.words(chunk)[Int(low >> 6)] & (1 << UInt64(low & 63)) != 0
        }
        return chunk.count > 0 && PostingSet.rows(chunk)[Int(chunk.count) - 1] == low
    }

    /// Is the row in the set? - Complexity: O(log 2,048).
    func contains(_ slot: UInt32) -> Bool {
        if count == 0 { return false }
        if room == 0 { return payload == UInt(slot) }
        if room != PostingSet.chunked {
            let at = PostingSet.position(list, Int(count), slot)
            return at < Int(count) && list[at] == slot
        }
        let index = Int(slot >> PostingSet.chunkBits)
        guard index < Int(chunks[0].count) else { return false }
        let chunk = chunks[index + 1]
        let low = UInt16(truncatingIfNeeded: slot)
        if chunk.room == PostingSet.chunked {
            return PostingSet.words(chunk)[Int(low >> 6)] & (1 << UInt64(low & 63)) != 0
        }
        guard chunk.count > 0 else { return false }
        let at = PostingSet.position(PostingSet.rows(chunk), Int(chunk.count), low)
        return at < Int(chunk.count) && PostingSet.rows(chunk)[at] == low
    }

    /// Calls `body` with every row, ascending. - Complexity: O(rows + 1,024 per bitmap).
    func forEach(_ body: (UInt32) -> Void) {
        if count == 0 { return }
        if room == 0 { return body(UInt32(truncatingIfNeeded: payload)) }
        if room != PostingSet.chunked {
            for i in 0..<Int(count) { body(list[i]) }
            return
        }
        for index in 0..<Int(chunks[0].count) {
            let chunk = chunks[index + 1]
            let high = UInt32(index) << PostingSet.chunkBits
            if chunk.room != PostingSet.chunked {
                guard chunk.count > 0 else { continue }
                let rows = PostingSet.rows(chunk)
                for i in 0..<Int(chunk.count) { body(high | UInt32(rows[i])) }
                continue
            }
            let words = PostingSet.words(chunk)
            for at in 0..<PostingSet.wordsPerChunk {
                var word = words[at]
                while word != 0 {
                    body(high | UInt32(at * 64 + word.trailingZeroBitCount))
                    word &= word - 1
                }
            }
        }
    }

    /// Adds the rows to a bitmap that has room for all of them.
    ///
    /// - Complexity: O(rows in lists + 1,024 per bitmap).
    func union(into bitmap: Bitmap) {
        guard room == PostingSet.chunked else {
            return forEach { bitmap.set($0) }
        }
        for index in 0..<Int(chunks[0].count) {
            let chunk = chunks[index + 1]
            let target = bitmap.words + index * PostingSet.wordsPerChunk
            if chunk.room == PostingSet.chunked {
                let words = PostingSet.words(chunk)
                let room = min(
                    PostingSet.wordsPerChunk,
                    bitmap.wordCapacity - index * PostingSet.wordsPerChunk
                )
                if room > 0 { ck_scan().pointee.words_or(target, words, room) }
            } else if chunk.count > 0 {
                let rows = PostingSet.rows(chunk)
                for i in 0..<Int(chunk.count) {
                    target[Int(rows[i] >> 6)] |= 1 &<< UInt64(rows[i] & 63)
                }
            }
        }
    }

    /// Overwrites a bitmap that has room for all rows. - Complexity: O(capacity / 64 + rows in
    /// lists).
    func fill(_ bitmap: Bitmap) {
        guard room == PostingSet.chunked else {
            bitmap.clearAll()
            return forEach { bitmap.set($0) }
        }
        let perChunk = PostingSet.wordsPerChunk
        for index in 0..<Int(chunks[0].count) {
            let chunk = chunks[index + 1]
            let target = bitmap.words + index * perChunk
            let room = min(perChunk, bitmap.wordCapacity - index * perChunk)
            guard room > 0 else { break }
            if chunk.room == PostingSet.chunked {
                target.update(from: PostingSet.words(chunk), count: room)
                continue
            }
            target.update(repeating: 0, count: room)
            guard chunk.count > 0 else { continue }
            let rows = PostingSet.rows(chunk)
            for i in 0..<Int(chunk.count) {
                target[Int(rows[i] >> 6)] |= 1 &<< UInt64(rows[i] & 63)
            }
        }
        bitmap.clearWords(from: Int(chunks[0].count) * perChunk)
    }

    /// Keeps in a bitmap only the rows of the set. - Complexity: as ``fill(_:)``.
    func intersect(_ bitmap: Bitmap) {
        let perChunk = PostingSet.wordsPerChunk
        guard room == PostingSet.chunked else {
            let kept = Scratch<UInt32>(Int(count))
            var keptCount = 0
            forEach { slot in
                kept.base[keptCount] = slot
                if bitmap.test(slot) { keptCount += 1 }
            }
            bitmap.clearAll()
            for i in 0..<keptCount { bitmap.set(kept.base[i]) }
            return
        }
        let kept = Scratch<UInt16>(PostingSet.chunkListMax)
        for index in 0..<Int(chunks[0].count) {
            let chunk = chunks[index + 1]
            let target = bitmap.words + index * perChunk
            let room = min(perChunk, bitmap.wordCapacity - index * perChunk)
            guard room > 0 else { break }
            if chunk.room == PostingSet.chunked {
                ck_scan().pointee.words_and(target, PostingSet.words(chunk), room)
                continue
            }
            var keptCount = 0
            for i in 0..<Int(chunk.count) {
                let low = PostingSet.rows(chunk)[i]
                guard Int(low >> 6) < room else { break }
                kept.base[keptCount] = low
                keptCount += Int((target[Int(low >> 6)] >> UInt64(low & 63)) & 1)
            }
            target.update(repeating: 0, count: room)
            for i in 0..<keptCount {
                target[Int(kept.base[i] >> 6)] |= 1 << UInt64(kept.base[i] & 63)
            }
        }
        bitmap.clearWords(from: Int(chunks[0].count) * perChunk)
    }

    /// How many of the rows are in a bitmap. - Complexity: as ``fill(_:)``.
    func countIntersection(_ bitmap: Bitmap) -> Int {
        let perChunk = PostingSet.wordsPerChunk
        var total = 0
        guard room == PostingSet.chunked else {
            forEach { total += bitmap.test($0) ? 1 : 0 }
            return total
        }
        for index in 0..<Int(chunks[0].count) {
            let chunk = chunks[index + 1]
            let words = bitmap.words + index * perChunk
            let room = min(perChunk, bitmap.wordCapacity - index * perChunk)
            guard room > 0 else { break }
            if chunk.room == PostingSet.chunked {
                let both = ck_scan().pointee.words_and_popcount(
                    words,
                    PostingSet.words(chunk),
                    room
                )
                total += Int(both)
            } else if chunk.count > 0, room == perChunk {
                total += ck_u16_test(PostingSet.rows(chunk), Int(chunk.count), words)
            } else {
                for i in 0..<Int(chunk.count) {
                    let low = PostingSet.rows(chunk)[i]
                    guard Int(low >> 6) < room else { break }
                    total += Int((words[Int(low >> 6)] >> UInt64(low & 63)) & 1)
                }
            }
        }
        return total
    }
}
