#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// Orders two byte strings: negative, zero or positive, as `memcmp` and then by length.
package func compareBytes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
    let shared = min(a.count, b.count)
    if shared > 0, let left = a.baseAddress, let right = b.baseAddress {
        // SAFETY: both buffers hold at least `shared` bytes.
        let order = memcmp(left, right, shared)
        if order != 0 { return Int(order) }
    }
    return a.count - b.count
}

/// The 8 bytes of `bytes` from `start` on as a signed key that orders as they do, zero-padded.
func orderedPrefix(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int64 {
    var word: UInt64 = 0
    for position in start..<start + 8 {
        word = word << 8 | (position < bytes.count ? UInt64(bytes[position]) : 0)
    }
    return Int64(bitPattern: word ^ (1 << 63))
}
