import Glibc

/// Requests as bytes, made by the driver: a hand-shake for each connection, then what is asked.
///
/// ```
/// file    UInt32 replies to the hand-shake | record (the hand-shake) | record …
/// record  UInt32 byte count | bytes         integers are little-endian
/// ```
struct RequestFile {
    let handshake: ArraySlice<UInt8>
    let handshakeReplyCount: Int
    let requests: [ArraySlice<UInt8>]

    /// Reads a file. - Throws: `BenchFailure`.
    init(path: String) throws(BenchFailure) {
        guard let file = fopen(path, "rb") else { throw BenchFailure("\(path) cannot be opened") }
        defer { fclose(file) }
        fseek(file, 0, SEEK_END)
        let count = ftell(file)
        rewind(file)
        var bytes = [UInt8](repeating: 0, count: max(count, 0))
        // SAFETY: as many bytes are read as there are.
        let got = bytes.withUnsafeMutableBytes { fread($0.baseAddress, 1, $0.count, file) }
        guard got == count, count >= 8 else { throw BenchFailure("\(path) cannot be read") }
        var at = 0
        func integer() -> Int {
            defer { at += 4 }
            return (0..<4).reduce(0) { $0 | Int(bytes[at + $1]) << ($1 * 8) }
        }
        handshakeReplyCount = integer()
        var records: [ArraySlice<UInt8>] = []
        while at + 4 <= count {
            let length = integer()
            guard at + length <= count else { throw BenchFailure("\(path) is cut short") }
            records.append(bytes[at..<at + length])
            at += length
        }
        guard let first = records.first, records.count > 1 else {
            throw BenchFailure("\(path) holds no request")
        }
        handshake = first
        requests = Array(records.dropFirst())
    }
}

/// Why a run ended without figures.
struct BenchFailure: Error {
    let text: String

    init(_ text: String) { self.text = text }
}
