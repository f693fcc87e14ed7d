extension ByteArena {
    /// Writes the arena down: its bytes, then the free places. Handles stay as they are.
    package func write(to sink: any SectionSink) {
        sink.put(UInt64(used))
        sink.put(UnsafeRawBufferPointer(start: base, count: used))
        sink.put(array: freeHeads)
        sink.put(UInt64(freeBytes))
    }

    /// Makes an empty arena what it was when it was written down.
    ///
    /// - Throws: as the source; `invalid` where a free place lies outside or they do not add up.
    /// - Complexity: O(bytes).
    package mutating func read(from source: any SectionSource) throws(SectionError) {
        let count = try source.count(ofStride: 1)
        if count > 0 { grow(count) }
        try source.read(into: UnsafeMutableRawBufferPointer(start: base, count: count))
        used = count
        let heads = try source.array(UInt64.self)
        try source.require(heads.count == freeHeads.count, "free places come by size")
        freeHeads = heads
        freeBytes = try source.count(atMost: count)
        try source.require(freePlacesAddUp, "free places lie in the arena and add up")
    }

    /// Whether every free place lies in the used part, and their bytes are counted.
    private var freePlacesAddUp: Bool {
        var total = 0
        for length in stride(from: 8, through: 65_536, by: 8)
        where ByteArena.sizeClass(length).bytes == length {
            var head = freeHeads[ByteArena.sizeClass(length).index]
            while head != ByteArena.none {
                guard head <= UInt64(used), Int(head) + length <= used else { return false }
                total += length
                // A ring of places would have no end.
                if total > freeBytes { return false }
                // SAFETY: the place of at least 8 bytes lies in the used part.
                head = base.loadUnaligned(fromByteOffset: Int(head), as: UInt64.self)
            }
        }
        return total == freeBytes
    }

    /// Whether a handle names bytes of the arena.
    @inlinable package func holds(_ handle: UInt64) -> Bool {
        Int(handle >> 16) + Int(handle & 0xFFFF) <= byteLimit
    }

    /// One past the last byte in use.
    @usableFromInline var byteLimit: Int { used }
}
