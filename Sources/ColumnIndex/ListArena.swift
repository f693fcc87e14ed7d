internal import CKernels

/// Lists of UInt32 in one block of memory, with freed places reused by size class.
///
///     handle -> | element count | element 0 | element 1 | … |     (UInt32 each)
///
/// Handles are offsets in UInt32 units, so 16 GiB fit; 0 is no list. Int64 lists take two elements
/// per key. A freed place holds the handle of the next free one of its class.
struct ListArena: ~Copyable {
    private(set) var base: UnsafeMutablePointer<UInt32>
    private(set) var capacity: Int
    var used = 2
    var freeHeads = [UInt32](repeating: 0, count: 128)

    init() {
        capacity = 256
        guard let raw = ck_pages_allocate(capacity * 4) else { fatalError("out of memory") }
        base = raw.bindMemory(to: UInt32.self, capacity: capacity)
    }

    deinit { ck_pages_free(base, capacity * 4) }

    /// A new list of `count` elements, uninitialised. - Complexity: O(1) amortised.
    mutating func allocate(_ count: Int) -> UInt32 {
        let size = sizeClass((count + 1) * 4)
        let units = size.byteCount / 4
        var handle = Int(freeHeads[size.index])
        if handle != 0 {
            freeHeads[size.index] = base[handle]
        } else {
            handle = used
            precondition(used + units <= Int(UInt32.max), "list handles are 32 bits")
            if used + units > capacity { grow(used + units) }
            used += units
        }
        base[handle] = UInt32(count)
        // What a list does not fill is zero: equal histories give equal arenas.
        (base + handle + 1 + count).update(repeating: 0, count: units - 1 - count)
        return UInt32(handle)
    }

    mutating func grow(_ needed: Int) {
        let next = max(needed, capacity + capacity / 2)
        guard let raw = ck_pages_grow(base, capacity * 4, next * 4, used * 4) else {
            fatalError("out of memory: \(next * 4) bytes")
        }
        base = raw.bindMemory(to: UInt32.self, capacity: next)
        capacity = next
    }

    /// Gives a list's place back. - Complexity: O(1).
    mutating func free(_ handle: UInt32) {
        let size = sizeClass((Int(base[Int(handle)]) + 1) * 4)
        base[Int(handle)] = freeHeads[size.index]
        freeHeads[size.index] = handle
    }

    /// The elements, valid until the next `allocate`. - Complexity: O(1).
    @inline(__always) func list(_ handle: UInt32) -> UnsafeMutableBufferPointer<UInt32> {
        UnsafeMutableBufferPointer(start: base + Int(handle) + 1, count: Int(base[Int(handle)]))
    }

    /// A list of keys as stored by ``allocate(keys:)``.
    @inline(__always) func keys(_ handle: UInt32) -> KeyList {
        KeyList(base: UnsafeRawPointer(base + Int(handle) + 1), count: Int(base[Int(handle)]) / 2)
    }

    /// Stores keys. - Complexity: O(keys) amortised.
    mutating func allocate(keys: [Int64]) -> UInt32 {
        let handle = allocate(keys.count * 2)
        let target = UnsafeMutableRawPointer(base + Int(handle) + 1)
        for (i, key) in keys.enumerated() {
            target.storeBytes(of: key, toByteOffset: i * 8, as: Int64.self)
        }
        return handle
    }

    /// Bytes touched.
    var byteCount: Int { used * 4 + freeHeads.count * 4 }
}

/// The keys of one row, ascending; a view into an arena.
struct KeyList {
    let base: UnsafeRawPointer
    let count: Int

    @inline(__always) subscript(index: Int) -> Int64 {
        base.loadUnaligned(fromByteOffset: index &* 8, as: Int64.self)
    }

    /// Is any key in lo...hi? - Complexity: O(log keys).
    func intersects(_ lo: Int64, _ hi: Int64) -> Bool {
        // Keys ascend: the first that is not below lo decides.
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < lo { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low] <= hi
    }
}
