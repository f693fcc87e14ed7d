package import Primitives

/// A slot and how far its point is.
package struct GeoHit: BitwiseCopyable, Equatable, Sendable {
    /// The squared chord to the centre of the search: rises with the distance.
    package var chord2: Double
    package var slot: Slot

    package init(chord2: Double, slot: Slot) {
        self.chord2 = chord2
        self.slot = slot
    }

    @inline(__always) static func isBefore(_ a: GeoHit, _ b: GeoHit) -> Bool {
        a.chord2 < b.chord2 || (a.chord2 == b.chord2 && a.slot < b.slot)
    }
}

/// The slots that a search may return: a bit per slot, or every slot.
///
/// The words must stay valid and unchanged during the search.
package struct AcceptedSlots {
    let words: UnsafePointer<UInt64>?
    let slotLimit: Int

    /// Every slot.
    package static var all: AcceptedSlots { AcceptedSlots(words: nil, slotLimit: Int.max) }

    /// The slots whose bit is set; those beyond the words are not accepted.
    package init(words: UnsafePointer<UInt64>, wordCount: Int) {
        self.words = words
        slotLimit = wordCount * 64
    }

    private init(words: UnsafePointer<UInt64>?, slotLimit: Int) {
        self.words = words
        self.slotLimit = slotLimit
    }

    @inline(__always) var acceptsAll: Bool { words == nil }

    @inline(__always) func accepts(_ slot: Slot) -> Bool {
        guard let words else { return true }
        return Int(slot) < slotLimit && words[Int(slot &>> 6)] &>> UInt64(slot & 63) & 1 != 0
    }
}

/// The memory of searches: made once per thread, used again and again, and where results are.
///
/// Results stay until the next search with the same scratch.
package final class GeoScratch {
    var hits = GrowingBuffer<GeoHit>(capacity: 64)
    var slots = GrowingBuffer<Slot>(capacity: 64)
    /// The other half of sorting slots.
    var spare = GrowingBuffer<Slot>(capacity: 64)
    var frontier = GrowingBuffer<SearchFrontier.Item>(capacity: 256)
    var walk = EdgeWalk()
    // SAFETY: as many numbers as a chunk has points at most, freed by deinit.
    let distances = UnsafeMutablePointer<Double>.allocate(capacity: CellChunk.countMax)

    package init() { distances.initialize(repeating: 0, count: CellChunk.countMax) }

    deinit { distances.deallocate() }

    /// Hits of the last search for the nearest, nearest first, ties by slot.
    package var hitCount: Int { hits.count }

    /// A hit by rank.
    package func hit(_ rank: Int) -> GeoHit {
        precondition(rank >= 0 && rank < hits.count, "a rank is within the hits")
        return hits[rank]
    }

    /// Slots of the last search of a region, ascending, each once.
    package var slotCount: Int { slots.count }

    /// A slot by place.
    package func slot(_ index: Int) -> Slot {
        precondition(index >= 0 && index < slots.count, "an index is within the slots")
        return slots[index]
    }

    /// The slots of the last search of a region; valid until the next.
    package var slotBuffer: UnsafeBufferPointer<Slot> {
        UnsafeBufferPointer(start: slots.base, count: slots.count)
    }

    /// Bytes allocated.
    package var byteCount: Int {
        hits.byteCount + slots.byteCount + spare.byteCount + frontier.byteCount + walk.byteCount
    }
}
