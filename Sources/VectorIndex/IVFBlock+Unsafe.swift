internal import Glibc

/// A fixed block of values, aligned to 64 bytes, freed with its owner.
///
/// Threads: as its owner says.
struct IVFBlock<Element: BitwiseCopyable>: ~Copyable {
    /// The first value; valid as long as the block.
    let base: UnsafeMutablePointer<Element>
    /// How many values there are.
    let count: Int

    /// `count` values, all equal to `value`.
    ///
    /// - Complexity: O(count). Traps when there is no memory.
    init(_ count: Int, filledWith value: Element) {
        precondition(count >= 0, "a count is not negative")
        var raw: UnsafeMutableRawPointer?
        let byteCount = max(count * MemoryLayout<Element>.stride, 64)
        let status = posix_memalign(&raw, 64, byteCount)
        guard status == 0, let raw else { fatalError("out of memory: \(byteCount) bytes") }
        // SAFETY: the memory holds `count` values, all initialised here, and is freed by deinit.
        base = raw.bindMemory(to: Element.self, capacity: count)
        base.initialize(repeating: value, count: count)
        self.count = count
    }

    deinit { Glibc.free(base) }

    /// The value at an index; REQUIRES: 0 <= index < count.
    @inline(__always) subscript(index: Int) -> Element {
        get {
            assert(index >= 0 && index < count, "an index is within its block")
            return base[index]
        }
        nonmutating set {
            assert(index >= 0 && index < count, "an index is within its block")
            base[index] = newValue
        }
    }

    /// Bytes allocated.
    var byteCount: Int { max(count * MemoryLayout<Element>.stride, 64) }
}
