import Glibc

/// Byte strings in one block of memory, by handle, with freed places reused by size class.
///
///     handle: | offset in bytes : 48 | length : 16 |
///
/// Strings are rounded up to size classes: multiples of 8 bytes up to 128, then four per doubling.
/// A freed place holds the offset of the next free one of its class in its first 8 bytes. The block
/// grows by a quarter, so views are valid only until the next `add`.
///
/// Threads: one writer, or any number of readers.
package struct ByteArena: ~Copyable {
    @usableFromInline var base: UnsafeMutableRawPointer
    private var capacity: Int
    var used: Int
    var freeHeads: [UInt64]
    var freeBytes = 0

    /// Longest string, in bytes.
    package static let lengthMax = 65_535
    /// The handle of the empty string, which takes no place.
    package static let empty: UInt64 = 0
    static let none = UInt64.max

    /// An empty arena.
    package init() {
        capacity = 1_024
        used = 0
        base = ByteArena.allocate(capacity)
        freeHeads = Array(repeating: ByteArena.none, count: 64)
    }

    deinit { Glibc.free(base) }

    private static func allocate(_ count: Int) -> UnsafeMutableRawPointer {
        guard let raw = malloc(count) else { fatalError("out of memory: \(count) bytes") }
        return raw
    }

    /// The class of a length and the bytes of that class.
    static func sizeClass(_ length: Int) -> (index: Int, bytes: Int) {
        if length <= 128 { return ((length + 7) / 8, (length + 7) / 8 * 8) }
        let shift = Int.bitWidth - (length - 1).leadingZeroBitCount - 3
        let quarter = (length - 1) >> shift
        return (17 + (shift - 5) * 4 + (quarter - 4), (quarter + 1) << shift)
    }

    /// Copies a string in. At most ``lengthMax`` bytes.
    ///
    /// - Complexity: O(bytes) amortised.
    package mutating func add(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        precondition(bytes.count <= ByteArena.lengthMax, "a string is at most 65,535 bytes")
        guard let source = bytes.baseAddress, bytes.count > 0 else { return ByteArena.empty }
        let size = ByteArena.sizeClass(bytes.count)
        var offset = Int(truncatingIfNeeded: freeHeads[size.index])
        if freeHeads[size.index] != ByteArena.none {
            freeHeads[size.index] = base.load(fromByteOffset: offset, as: UInt64.self)
            freeBytes -= size.bytes
        } else {
            offset = used
            if used + size.bytes > capacity { grow(used + size.bytes) }
            used += size.bytes
        }
        // SAFETY: offset + size.bytes <= used <= capacity, and the source is the caller's memory.
        (base + offset).copyMemory(from: source, byteCount: bytes.count)
        // What a string does not fill is zero: equal histories give equal arenas.
        memset(base + offset + bytes.count, 0, size.bytes - bytes.count)
        return UInt64(offset) << 16 | UInt64(bytes.count)
    }

    /// Gives a string's place back. The handle must be live, and dies.
    ///
    /// - Complexity: O(1).
    package mutating func free(_ handle: UInt64) {
        let length = Int(handle & 0xFFFF)
        guard length > 0 else { return }
        let offset = Int(handle >> 16)
        let size = ByteArena.sizeClass(length)
        precondition(offset + size.bytes <= used, "a handle of this arena")
        base.storeBytes(of: freeHeads[size.index], toByteOffset: offset, as: UInt64.self)
        freeHeads[size.index] = UInt64(offset)
        freeBytes += size.bytes
    }

    /// The bytes of a live handle, valid until the next `add`. - Complexity: O(1).
    @inlinable package func view(_ handle: UInt64) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + Int(handle >> 16), count: Int(handle & 0xFFFF))
    }

    mutating func grow(_ needed: Int) {
        let next = max(needed, capacity + capacity / 4)
        guard let raw = realloc(base, next) else { fatalError("out of memory: \(next) bytes") }
        base = raw
        capacity = next
    }

    /// Bytes in use, with the freed places: what of the block has been touched.
    package var byteCount: Int { used + freeHeads.count * 8 }

    /// Bytes of the freed places.
    package var freeByteCount: Int { freeBytes }

    /// Traps if a free list leads outside or its bytes do not add up. - Complexity: O(free places).
    package func checkInvariants() {
        var total = 0
        for length in 1...65_536 where ByteArena.sizeClass(length).bytes == length {
            var head = freeHeads[ByteArena.sizeClass(length).index]
            while head != ByteArena.none {
                precondition(Int(head) + length <= used, "a free place lies in the used part")
                total += length
                head = base.load(fromByteOffset: Int(head), as: UInt64.self)
            }
        }
        precondition(total == freeBytes, "free places add up")
    }
}
