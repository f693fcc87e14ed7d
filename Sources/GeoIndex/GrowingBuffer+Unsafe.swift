// Memory that scratch objects and indexes grow by themselves.

/// A growing array without reference counts or copies; elements never move by themselves.
///
/// Invariant: `0 <= count <= capacity`, and elements `0..<count` are initialised.
struct GrowingBuffer<Element: BitwiseCopyable>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var capacity: Int
    var count = 0

    init(capacity: Int = 16) {
        self.capacity = max(capacity, 4)
        base = .allocate(capacity: self.capacity)
    }

    deinit { base.deallocate() }

    /// Bytes allocated.
    var byteCount: Int { capacity * MemoryLayout<Element>.stride }

    // SAFETY: as for an array of which the caller knows the count: `index` is in 0..<count.
    @inline(__always) subscript(index: Int) -> Element {
        get {
            assert(index >= 0 && index < count, "an index is within the count")
            return base[index]
        }
        nonmutating set {
            assert(index >= 0 && index < count, "an index is within the count")
            base[index] = newValue
        }
    }

    @inline(__always) mutating func append(_ element: Element) {
        if count == capacity { reserve(capacity * 2) }
        // SAFETY: there is room after the line above.
        (base + count).initialize(to: element)
        count &+= 1
    }

    /// Room for `needed` elements.
    @inline(never) mutating func reserve(_ needed: Int) {
        guard needed > capacity else { return }
        // SAFETY: `count` elements are initialised and fit into the larger block.
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: needed)
        larger.update(from: base, count: count)
        base.deallocate()
        base = larger
        capacity = needed
    }

    /// Makes the count `newCount`, new elements being `filler`; capacity grows by a 16th at
    /// least.
    mutating func grow(to newCount: Int, filler: Element) {
        guard newCount > count else { return }
        if newCount > capacity { reserve(max(newCount, capacity + capacity / 16)) }
        // SAFETY: room for `newCount` elements was made above.
        (base + count).initialize(repeating: filler, count: newCount - count)
        count = newCount
    }
}
