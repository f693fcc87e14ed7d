/// What a search for the nearest has still to open, nearest first: a binary min-heap.
enum SearchFrontier {
    /// A zone, group or chunk and the least squared chord of a point in it.
    struct Item: BitwiseCopyable {
        var nearest: Double
        var zone: UInt8
        /// 0 a zone, 1 a group, 2 a chunk.
        var kind: UInt8
        var chunk: UInt16
        var group: UInt32
    }

    // SAFETY: in all three, `buffer.count` items are initialised and `place` is one of them.
    @inline(__always)
    static func push(_ item: Item, _ buffer: inout GrowingBuffer<Item>) {
        buffer.append(item)
        let items = buffer.base
        var child = buffer.count &- 1
        while child > 0 {
            let parent = (child &- 1) &>> 1
            if items[parent].nearest <= item.nearest { break }
            items[child] = items[parent]
            child = parent
        }
        items[child] = item
    }

    /// Takes the nearest item. The buffer is not empty.
    @inline(__always)
    static func pop(_ buffer: inout GrowingBuffer<Item>) -> Item {
        let items = buffer.base
        let top = items[0]
        buffer.count &-= 1
        let count = buffer.count
        if count > 0 {
            let item = items[count]
            var parent = 0
            while true {
                var child = parent &* 2 &+ 1
                if child >= count { break }
                if child &+ 1 < count && items[child &+ 1].nearest < items[child].nearest {
                    child &+= 1
                }
                if item.nearest <= items[child].nearest { break }
                items[parent] = items[child]
                parent = child
            }
            items[parent] = item
        }
        return top
    }
}

/// The best hits so far: a binary heap with the worst on top.
enum HitHeap {
    // SAFETY: as above.
    @inline(__always)
    static func push(_ hit: GeoHit, _ buffer: inout GrowingBuffer<GeoHit>) {
        buffer.append(hit)
        let hits = buffer.base
        var child = buffer.count &- 1
        while child > 0 {
            let parent = (child &- 1) &>> 1
            if !GeoHit.isBefore(hits[parent], hit) { break }
            hits[child] = hits[parent]
            child = parent
        }
        hits[child] = hit
    }

    /// Puts a hit in the place of the worst and lets it sink among the first `count`.
    @inline(__always)
    static func replaceTop(
        _ hit: GeoHit, _ hits: UnsafeMutablePointer<GeoHit>, count: Int
    ) {
        var parent = 0
        while true {
            var child = parent &* 2 &+ 1
            if child >= count { break }
            if child &+ 1 < count && GeoHit.isBefore(hits[child], hits[child &+ 1]) {
                child &+= 1
            }
            if !GeoHit.isBefore(hit, hits[child]) { break }
            hits[parent] = hits[child]
            parent = child
        }
        hits[parent] = hit
    }

    /// Brings a heap into order, best first.
    static func sort(_ buffer: inout GrowingBuffer<GeoHit>) {
        let hits = buffer.base
        var count = buffer.count
        while count > 1 {
            count &-= 1
            let last = hits[count]
            hits[count] = hits[0]
            replaceTop(last, hits, count: count)
        }
    }
}
