package import NIOCore

/// The output buffers of one event loop. A buffer comes back as soon as the socket took its bytes,
/// so a busy loop works in the same few pages of memory.
package final class ReplyBufferPool {
    /// Capacity of a new buffer.
    package static let initialByteCount = 16 * 1_024
    /// A buffer that grew beyond this is given back to the system.
    package static let keptByteCountMax = 256 * 1_024

    private let allocator: ByteBufferAllocator
    private var free: [ByteBuffer] = []

    /// An empty pool.
    package init(allocator: ByteBufferAllocator = ByteBufferAllocator()) {
        self.allocator = allocator
        free.reserveCapacity(64)
    }

    /// An empty buffer with room for ``initialByteCount`` bytes or more.
    package func take() -> ByteBuffer {
        guard var buffer = free.popLast() else {
            return allocator.buffer(capacity: Self.initialByteCount)
        }
        // Allocates afresh if the socket still holds the bytes.
        buffer.clear()
        return buffer
    }

    /// Gives a buffer back, whether or not its bytes are still being sent.
    package func give(_ buffer: consuming ByteBuffer) {
        guard free.count < 64, buffer.capacity >= Self.initialByteCount,
            buffer.capacity <= Self.keptByteCountMax
        else { return }
        free.append(buffer)
    }
}
