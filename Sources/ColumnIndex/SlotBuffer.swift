internal import CKernels
internal import Glibc

/// A growable array of fixed-width cells, one per row (or term), aligned to 64 bytes.
///
/// Cells come in whole blocks of 64, all zeroed before first use, so that kernels may read up to
/// the end of the last block. Memory past `cellCount` is reserved but not touched: it is not
/// counted.
///
/// Invariant: `cellCount % 64 == 0`, `cellCount <= cellCapacity`.
struct SlotBuffer: ~Copyable {
    private(set) var base: UnsafeMutableRawPointer
    let width: Int
    private(set) var cellCount = 0
    private var cellCapacity: Int

    /// An empty array of `width`-byte cells.
    init(width: Int) {
        self.width = width
        cellCapacity = 64
        base = SlotBuffer.allocate(64 * width)
    }

    deinit { ck_pages_free(base, cellCapacity * width) }

    private static func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
        guard let raw = ck_pages_allocate(byteCount) else {
            fatalError("out of memory: \(byteCount) bytes")
        }
        return raw
    }

    /// Makes cells `0..<count` usable; new ones are zero. - Complexity: O(1) amortised.
    @inline(__always) mutating func reserve(_ count: Int) {
        if count > cellCount { grow(count) }
    }

    @inline(never) private mutating func grow(_ count: Int) {
        let needed = (count + 63) / 64 * 64
        if needed > cellCapacity {
            let next = max(needed, (cellCapacity + cellCapacity / 2 + 63) / 64 * 64)
            // SAFETY: the block holds cellCapacity cells, of which cellCount are in use.
            guard
                let grown = ck_pages_grow(
                    base,
                    cellCapacity * width,
                    next * width,
                    cellCount * width
                )
            else { fatalError("out of memory: \(next * width) bytes") }
            base = grown
            cellCapacity = next
        }
        // Zero a little ahead, so that row-by-row growth does not come here for every block.
        let ahead = min(cellCapacity, (needed + needed / 64 + 63) / 64 * 64)
        memset(base + cellCount * width, 0, (ahead - cellCount) * width)
        cellCount = ahead
    }

    /// The cells as one type, whose stride must be `width`.
    @inline(__always) func cells<T: BitwiseCopyable>(_: T.Type) -> UnsafeMutablePointer<T> {
        assert(MemoryLayout<T>.stride == width, "cells are read at their own width")
        return base.assumingMemoryBound(to: T.self)
    }

    /// Bytes touched.
    var byteCount: Int { cellCount * width }
}

/// A block of scratch memory for one call.
struct Scratch<T: BitwiseCopyable>: ~Copyable {
    let base: UnsafeMutablePointer<T>

    /// Uninitialised room for `count` values.
    init(_ count: Int) { base = UnsafeMutablePointer<T>.allocate(capacity: max(count, 1)) }

    deinit { base.deallocate() }
}

/// The size class of a block: multiples of 8 bytes up to 128, then four classes per doubling.
func sizeClass(_ length: Int) -> (index: Int, byteCount: Int) {
    if length <= 128 { return ((length + 7) / 8, (length + 7) / 8 * 8) }
    let shift = Int.bitWidth - (length - 1).leadingZeroBitCount - 3
    let quarter = (length - 1) >> shift
    return (17 + (shift - 5) * 4 + (quarter - 4), (quarter + 1) << shift)
}
