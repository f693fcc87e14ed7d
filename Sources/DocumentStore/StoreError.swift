package import Primitives

/// What can go wrong in the store. Three kinds are kept apart: the caller's mistake (`invalidPath`,
/// `locked`, `notFound`, `readOnly`), the machine's trouble (`full`, `io`, `failed`, `tooLarge`)
/// and damage (`corrupt`, `formatTooNew`).
package enum StoreError: Error, Equatable, Sendable {
    /// No space on the disk, in the quota or in the map. Nothing of the transaction was kept; a
    /// later one may succeed once there is space.
    case full
    /// A system call failed with this `errno`; the store is as it was before.
    case io(code: Int32)
    /// A commit failed with this code, here or earlier: the store only reads until it is reopened.
    case failed(code: Int32)
    /// The transaction has more dirty pages than LMDB can hold: commit in smaller pieces.
    case tooLarge
    /// The bytes on disk break a rule of the format.
    case corrupt(Corruption)
    /// Opened for reading only.
    case readOnly
    /// There is no store in this directory (and it may not be created).
    case notFound
    /// The directory's path cannot be used: empty, too long, or names something else.
    case invalidPath
    /// Another process (or another part of this one) has the directory open.
    case locked
    /// Written by a newer program: its format and the newest that this one knows.
    case formatTooNew(found: UInt32, known: UInt32)
    /// Every reader's slot of the environment is taken.
    case tooManyReaders

    /// How bytes on disk can be wrong.
    package enum Corruption: Equatable, Sendable {
        /// LMDB found a broken page or file, with its own code.
        case environment(code: Int32)
        /// The data file is shorter than its own pages say.
        case fileTooShort(expected: UInt64, found: UInt64)
        /// The format key is missing or malformed.
        case format
        /// A log key is not 8 bytes, or a vector key not 10.
        case key
        /// An entry's lengths do not add up, or its format or operation is unknown.
        case entry(LogKey)
        /// An entry's bytes do not match its checksum.
        case checksum(LogKey)
    }
}
