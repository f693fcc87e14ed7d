/// A growable array of trivial elements with explicit bounds and no exclusivity checks.
///
/// Hot tables of a partition (births, deaths, heads) live in these: a Swift array as a class
/// property would pay a dynamic exclusivity check and a uniqueness check for every access.
///
/// Thread rule: one writer under the partition's writer lock, readers under its reader lock.
final class GrowableBuffer<Element: BitwiseCopyable> {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var count: Int
    private(set) var capacity: Int
    private let fill: Element

    /// Starts empty; elements that `resize` adds equal `fill`.
    init(fill: Element, capacity: Int = 64) {
        self.fill = fill
        self.capacity = capacity
        count = 0
        base = .allocate(capacity: capacity)
    }

    deinit { base.deallocate() }

    /// The element at `index`. REQUIRES: index < count.
    subscript(index: Int) -> Element {
        get {
            precondition(index >= 0 && index < count, "index within the buffer")
            // SAFETY: checked on the line above; the first `count` elements are initialised.
            return base[index]
        }
        set {
            precondition(index >= 0 && index < count, "index within the buffer")
            // SAFETY: as above.
            base[index] = newValue
        }
    }

    /// Grows to `newCount` elements, or cuts to it. Complexity: amortised O(added).
    func resize(to newCount: Int) {
        if newCount > capacity {
            let grown = max(newCount, capacity + capacity / 2)
            let moved = UnsafeMutablePointer<Element>.allocate(capacity: grown)
            // SAFETY: both blocks hold at least `count` elements of a trivial type.
            moved.update(from: base, count: count)
            base.deallocate()
            base = moved
            capacity = grown
        }
        if newCount > count {
            // SAFETY: newCount ≤ capacity after the growth above.
            (base + count).initialize(repeating: fill, count: newCount - count)
        }
        count = newCount
    }

    func append(_ element: Element) {
        resize(to: count + 1)
        base[count - 1] = element
    }

    func removeLast() -> Element {
        precondition(count > 0, "an element to remove")
        count -= 1
        return base[count]
    }

    func removeAll() { count = 0 }

    /// Allocated bytes.
    var byteCount: Int { capacity * MemoryLayout<Element>.stride }
}
