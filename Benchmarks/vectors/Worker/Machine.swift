import Glibc

/// Clocks, memory and files, for measuring.
enum Machine {
    /// Seconds of a clock.
    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Seconds of wall-clock time since some moment.
    static var now: Double { seconds(CLOCK_MONOTONIC) }
    /// Seconds of processor time that this process has used.
    static var cpu: Double { seconds(CLOCK_PROCESS_CPUTIME_ID) }

    /// Resident bytes of this process that are not pages of files.
    static var resident: Int {
        guard let text: [UInt8] = try? read("/proc/self/statm") else { return 0 }
        let words = String(decoding: text, as: UTF8.self).split(separator: " ")
        guard words.count > 2, let all = Int(words[1]), let shared = Int(words[2]) else {
            return 0
        }
        return (all - shared) * Int(getpagesize())
    }

    /// A whole file as values of one type.
    static func read<Element: BitwiseCopyable>(_ path: String) throws -> [Element] {
        var all: [Element] = []
        try read(path, chunk: 1 << 14) { (part: [Element]) in all += part }
        return all
    }

    /// Calls `body` with a file's values in turn, `chunk` at a time, fewer at the end.
    static func read<Element: BitwiseCopyable>(
        _ path: String,
        chunk: Int,
        _ body: ([Element]) throws -> Void
    ) throws {
        guard let file = fopen(path, "rb") else {
            throw WorkerError.unreadable(path: path, errno: errno)
        }
        defer { fclose(file) }
        let width = MemoryLayout<Element>.stride
        while true {
            var count = 0
            // SAFETY: whole values are read, any bytes are values of a trivial type, and `count`
            // of them were read.
            let values = [Element](unsafeUninitializedCapacity: chunk) { room, initialized in
                count = fread(room.baseAddress, width, chunk, file)
                initialized = count
            }
            if count == 0 { return }
            try body(values)
        }
    }

    /// Writes values to a file as they lie in memory.
    static func write<Element: BitwiseCopyable>(_ values: [Element], to path: String) throws {
        guard let file = fopen(path, "wb") else {
            throw WorkerError.unreadable(path: path, errno: errno)
        }
        defer { fclose(file) }
        let written = values.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
        guard written == values.count * MemoryLayout<Element>.stride else {
            throw WorkerError.unreadable(path: path, errno: errno)
        }
    }
}
