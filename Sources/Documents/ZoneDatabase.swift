import Glibc
import Synchronization

/// The time zones of the system: the compiled files of the package `tzdata`.
///
/// A zone is read when it is first asked for and kept until the process ends, so that answers do
/// not change under a running server; new rules need a restart. Any thread may ask.
package enum ZoneDatabase {
    /// Where zones are looked for, in this order.
    private static let folders = [
        "/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo",
    ]
    private static let fileByteCountMax = 1 << 20
    /// Zones that were asked for; names without a file are not kept, because clients choose them.
    private static let known = Mutex<[String: ZoneRules]>(["UTC": ZoneRules.utc])

    /// The rules of a zone by its name, such as `America/Chicago`; nil for one that the system does
    /// not know. UTC needs no files.
    ///
    /// - Complexity: O(1) but for the first time, which reads a file of about 2 KB.
    package static func rules(named name: String) -> ZoneRules? {
        if let rules = known.withLock({ $0[name] }) { return rules }
        guard isName(name), let rules = read(name) else { return nil }
        // Another thread may have been first; theirs are equal.
        known.withLock { $0[name] = rules }
        return rules
    }

    /// Whether a text has the form of a zone's name: no path can hide in one.
    static func isName(_ name: String) -> Bool {
        guard name.utf8.count <= 64 else { return false }
        // These mean other things on other machines.
        guard name != "localtime" && name != "posixrules" else { return false }
        return name.utf8.split(separator: 0x2F, omittingEmptySubsequences: false).allSatisfy {
            part in
            !part.isEmpty
                && part.allSatisfy { byte in
                    byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A || byte >= 0x30 && byte <= 0x39
                        || "_+-".utf8.contains(byte)
                }
        }
    }

    private static func read(_ name: String) -> ZoneRules? {
        for folder in folders {
            guard let bytes = contents(of: folder + "/" + name) else { continue }
            return try? ZoneRules(name: name, file: bytes)
        }
        return nil
    }

    private static func contents(of path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 16_384)
        var count = 0
        while count < fileByteCountMax {
            if count == bytes.count {
                bytes.append(contentsOf: [UInt8](repeating: 0, count: count))
            }
            let room = bytes.count - count
            // SAFETY: `room` bytes are there from `count` on. Directories read as errors.
            let got = bytes.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map { fread($0 + count, 1, room, file) } ?? 0
            }
            if got == 0 { break }
            count += got
        }
        return ferror(file) == 0 ? Array(bytes[..<count]) : nil
    }
}
