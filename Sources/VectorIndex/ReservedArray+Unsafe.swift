// An array whose elements never move.
//
// Address space for the largest size is reserved at once and costs nothing; memory comes as the
// array grows. So one thread may read elements that it knows of without any lock while another
// appends: neither growth nor anything else here moves or frees them before the owner goes.

import CKernels

/// Zeroed elements at a fixed address, up to a number that is set once.
///
/// Threads: growing and writing need the owner's lock; reading elements that were written before
/// needs none.
struct ReservedArray<Element: BitwiseCopyable>: ~Copyable {
    /// The first element: the same for the array's whole life.
    let base: UnsafeMutablePointer<Element>
    /// Elements that fit at most.
    let capacity: Int
    private let block: UnsafeMutableRawPointer
    private let blockByteCount: Int
    private let headByteCount: Int
    private var committedByteCount = 0

    private static var pageByteCount: Int { 1 << 16 }
    private static var largePageByteCount: Int { 1 << 21 }
    /// From here on large pages: before it they would waste more than they save.
    private static var largeFrom: Int { 2 << 20 }

    /// Room for `capacity` elements.
    ///
    /// - Throws: `outOfMemory` if the address space has no such room.
    init(capacity: Int) throws(VectorIndexError) {
        let size = max(capacity, 1) * MemoryLayout<Element>.stride + Self.pageByteCount
        blockByteCount = size + 2 * Self.largePageByteCount
        guard let block = ck_reserve(blockByteCount) else {
            throw .outOfMemory(byteCount: blockByteCount)
        }
        // SAFETY: the head is less than a large page, and two were added to the size.
        let address = UInt(bitPattern: block)
        let large = UInt(Self.largePageByteCount)
        headByteCount = Int((large - address % large) % large)
        self.block = block
        self.capacity = capacity
        base = (block + headByteCount).bindMemory(to: Element.self, capacity: capacity)
    }

    deinit { ck_reserve_free(block, blockByteCount) }

    /// Bytes of elements `0..<count`, in whole pages.
    func byteCount(of count: Int) -> Int {
        (count * MemoryLayout<Element>.stride + 4095) & ~4095
    }

    /// Makes elements `0..<count` usable; new ones are zero.
    ///
    /// - Throws: `outOfMemory`; the array is then as before.
    /// - Complexity: O(1) amortised.
    mutating func grow(to count: Int) throws(VectorIndexError) {
        precondition(count <= capacity, "the owner checks the capacity")
        let needed = count * MemoryLayout<Element>.stride
        guard needed > committedByteCount else { return }
        let wanted = max(needed, committedByteCount + committedByteCount / 8)
        let step = wanted >= Self.largeFrom ? Self.largePageByteCount : Self.pageByteCount
        // Two large pages beyond the size were reserved, so rounding up stays inside.
        let end = (wanted + step - 1) / step * step
        let status = ck_reserve_commit(
            block + headByteCount, committedByteCount, end, wanted >= Self.largeFrom ? 1 : 0)
        guard status == 0 else { throw .outOfMemory(byteCount: end) }
        committedByteCount = end
    }
}
