/// How a store is opened. Durability is no option: every commit is synced before it returns.
package struct StoreOptions: Sendable {
    /// Path of the data directory. It is created with mode 0700 where it is missing.
    package var directory: String
    /// Address space reserved for the map, in bytes. Where the system refuses it, smaller
    /// reservations are tried, down to 1 GiB; the file only takes what it holds.
    package var mapByteCount: Int
    /// Open an existing directory without being able to change anything.
    package var readOnly: Bool
    /// Read transactions that may be open at once.
    package var readerCountMax: Int
    /// Disk space is claimed ahead, by writing zeros, in pieces of about this many bytes, so that a
    /// full disk is noticed before a commit writes anything and commits seldom grow the file; 0
    /// turns it off.
    package var preallocationByteCount: Int

    /// Options with the defaults for `directory`.
    package init(
        directory: String,
        mapByteCount: Int = 1 << 40,
        readOnly: Bool = false,
        readerCountMax: Int = 512,
        preallocationByteCount: Int = 2 << 20
    ) {
        precondition(mapByteCount >= 1 << 20, "the map holds at least 1 MiB")
        precondition(readerCountMax > 0, "a store has readers")
        precondition(preallocationByteCount >= 0, "a piece of disk is not negative")
        self.directory = directory
        self.mapByteCount = mapByteCount
        self.readOnly = readOnly
        self.readerCountMax = readerCountMax
        self.preallocationByteCount = preallocationByteCount
    }
}
