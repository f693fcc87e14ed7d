/// A commit sequence number: every acknowledged write has one, and they only rise.
///
/// An `EXEC` gives all of its writes one version, so a version alone does not name a log entry: see
/// ``LogKey``.
package struct Version: Hashable, Comparable, Sendable {
    package var rawValue: UInt64

    @inlinable package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Before the first write.
    package static let zero = Version(0)

    @inlinable package static func < (a: Version, b: Version) -> Bool { a.rawValue < b.rawValue }
}

/// The place of one entry in the log: `version << 16 | index within that version`.
///
/// Keys order as the log does. At most 65,536 entries share a version; 2^48 versions fit.
package struct LogKey: Hashable, Comparable, Sendable {
    package var rawValue: UInt64

    @inlinable package init(rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable package init(version: Version, index: Int) {
        precondition(
            index >= 0 && index < 1 << 16, "an entry's index within its version is 16 bits")
        precondition(version.rawValue < 1 << 48, "versions are 48 bits")
        rawValue = version.rawValue << 16 | UInt64(index)
    }

    @inlinable package var version: Version { Version(rawValue >> 16) }

    /// No entry: the `previous` of a document's first version.
    package static let none = LogKey(rawValue: 0)

    @inlinable package static func < (a: LogKey, b: LogKey) -> Bool { a.rawValue < b.rawValue }
}

/// A row of one partition's indexes: dense, reused after the row is freed.
package typealias Slot = UInt32
