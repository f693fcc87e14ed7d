import CZlib
import CZstd
package import Client
import Glibc

/// Where bytes come from, a chunk at a time.
package protocol ByteSource: AnyObject {
    /// Adds the next chunk to `queue`.
    ///
    /// - Returns: false at the end.
    /// - Throws: ``LoadError/file(path:reason:)``, ``LoadError/compression(format:reason:)``.
    func read(into queue: ByteQueue) throws(LoadError) -> Bool
}

/// A file, pipe or standard input.
package final class DescriptorSource: ByteSource {
    private let descriptor: CInt
    private let path: String
    private let chunkByteCount = 256 << 10

    /// Reads `descriptor`, which stays its opener's to close.
    package init(descriptor: CInt, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    package func read(into queue: ByteQueue) throws(LoadError) -> Bool {
        while true {
            let count = Glibc.read(descriptor, queue.reserve(chunkByteCount), chunkByteCount)
            if count > 0 {
                queue.wrote(count)
                return true
            }
            if count == 0 { return false }
            if errno != EINTR {
                throw .file(path: path, reason: String(cString: strerror(errno)))
            }
        }
    }
}

/// Undoes gzip; members may follow each other, as `cat a.gz b.gz` makes them.
package final class GzipSource: ByteSource {
    private let source: any ByteSource
    private let packed = ByteQueue()
    private var stream = z_stream()
    private var isEnded = false
    private var isMemberOpen = false
    private let chunkByteCount = 256 << 10

    /// Unpacks what `source` gives.
    package init(_ source: any ByteSource) throws(LoadError) {
        self.source = source
        // 15 bits of window and 16 for gzip's own header, as zlib's manual has it.
        let code = inflateInit2_(
            &stream,
            15 + 16,
            ZLIB_VERSION,
            CInt(MemoryLayout<z_stream>.size)
        )
        guard code == Z_OK else { throw .compression(format: "gzip", reason: "zlib code \(code)") }
    }

    deinit { inflateEnd(&stream) }

    package func read(into queue: ByteQueue) throws(LoadError) -> Bool {
        while true {
            if packed.isEmpty, try !source.read(into: packed) {
                guard isMemberOpen else { return false }
                throw .compression(format: "gzip", reason: "it ends early")
            }
            isMemberOpen = true
            let target = queue.reserve(chunkByteCount)
            // SAFETY: zlib only reads the input, and both regions outlive the call.
            let input = UnsafeMutableRawPointer(mutating: packed.bytes.baseAddress)
            stream.next_in = input?.assumingMemoryBound(to: UInt8.self)
            stream.avail_in = UInt32(packed.count)
            stream.next_out = target.assumingMemoryBound(to: UInt8.self)
            stream.avail_out = UInt32(chunkByteCount)
            let code = inflate(&stream, Z_NO_FLUSH)
            packed.take(packed.count - Int(stream.avail_in))
            let made = chunkByteCount - Int(stream.avail_out)
            queue.wrote(made)
            switch code {
            case Z_STREAM_END:
                isMemberOpen = false
                inflateReset(&stream)
            case Z_OK, Z_BUF_ERROR: break
            default:
                let reason = stream.msg.map { String(cString: $0) } ?? "zlib code \(code)"
                throw .compression(format: "gzip", reason: reason)
            }
            if made > 0 { return true }
        }
    }
}

/// Undoes zstd; frames may follow each other.
package final class ZstdSource: ByteSource {
    private let source: any ByteSource
    private let packed = ByteQueue()
    private let stream: OpaquePointer
    private var isFrameOpen = false
    private let chunkByteCount = 256 << 10

    /// Unpacks what `source` gives.
    package init(_ source: any ByteSource) throws(LoadError) {
        self.source = source
        guard let stream = ZSTD_createDStream() else {
            throw .compression(format: "zstd", reason: "no memory")
        }
        self.stream = stream
    }

    deinit { ZSTD_freeDStream(stream) }

    package func read(into queue: ByteQueue) throws(LoadError) -> Bool {
        while true {
            if packed.isEmpty, try !source.read(into: packed) {
                guard isFrameOpen else { return false }
                throw .compression(format: "zstd", reason: "it ends early")
            }
            var input = ZSTD_inBuffer(
                src: packed.bytes.baseAddress,
                size: packed.count,
                pos: 0
            )
            var output = ZSTD_outBuffer(
                dst: queue.reserve(chunkByteCount),
                size: chunkByteCount,
                pos: 0
            )
            let code = ZSTD_decompressStream(stream, &output, &input)
            if ZSTD_isError(code) != 0 {
                let reason = String(cString: ZSTD_getErrorName(code))
                throw .compression(format: "zstd", reason: reason)
            }
            isFrameOpen = code != 0
            packed.take(input.pos)
            queue.wrote(output.pos)
            if output.pos > 0 { return true }
        }
    }
}

/// Gives the bytes that were read ahead before the rest.
package final class PrefixedSource: ByteSource {
    private let prefix: ByteQueue
    private let rest: any ByteSource
    private var isFirst = true

    /// First `prefix`, then `rest`.
    package init(prefix: ByteQueue, rest: any ByteSource) {
        self.prefix = prefix
        self.rest = rest
    }

    package func read(into queue: ByteQueue) throws(LoadError) -> Bool {
        guard isFirst else { return try rest.read(into: queue) }
        isFirst = false
        if prefix.isEmpty { return try rest.read(into: queue) }
        queue.append(prefix.bytes)
        return true
    }
}
