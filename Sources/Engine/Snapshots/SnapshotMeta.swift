import Documents
import Primitives
import Snapshot

/// What a snapshot says of its collections, and of how far back its log goes.
struct SnapshotMeta {
    var rows: [(key: [UInt8], value: [UInt8])]
    var collections: [String: CollectionRow] = [:]
    var aliases: [String: String] = [:]
    /// Nothing superseded at or before this version is promised to be in the log.
    var trimHorizon = Version.zero
    /// The last drop of a collection, or restore of all.
    var catalogHorizon: CatalogMoment?

    /// - Throws: `SectionError`; `CORRUPT` where a schema cannot be read.
    init(_ log: SnapshotLog, name: String) throws {
        rows = try log.metaRows()
        for (key, value) in rows {
            let key = String(decoding: key, as: UTF8.self)
            if key == MetaKey.trimHorizon {
                trimHorizon = Version(MetaKey.value(value) ?? 0)
            } else if key == MetaKey.catalogHorizon {
                catalogHorizon = MetaKey.moment(value)
            } else if key.hasPrefix(MetaKey.aliasPrefix) {
                aliases[String(key.dropFirst(MetaKey.aliasPrefix.count))] =
                    String(decoding: value, as: UTF8.self)
            } else if key.hasPrefix(MetaKey.collectionPrefix) {
                guard let row = CollectionRow(value) else {
                    throw EngineError(.corrupt, name, "a schema in it cannot be read")
                }
                collections[String(key.dropFirst(MetaKey.collectionPrefix.count))] = row
            }
        }
    }

    /// Refuses a moment that the snapshot does not hold. `only` names the collection that is
    /// wanted of it; nil for all.
    ///
    /// - Throws: `INVALID` for one behind its end; `GAP` for one before a collection was dropped or
    ///   restored: what was there then has left the log.
    func require(
        _ moment: SnapshotMoment, in header: SnapshotHeader, only: CollectionRow? = nil
    ) throws(EngineError) {
        switch moment {
        case .end: return
        case .version(let version) where version > header.version:
            throw EngineError(.invalid, "AT", "the snapshot ends at \(header.version.rawValue)")
        case .version(let version) where version < trimHorizon:
            throw Self.gap("its log reaches back to version \(trimHorizon.rawValue)")
        case .time(let milliseconds) where milliseconds > header.createdMilliseconds:
            throw EngineError(.invalid, "AT", "the snapshot was taken before")
        default: break
        }
        guard let catalogHorizon, moment.isBefore(catalogHorizon) else { return }
        if let born = only?.born, !moment.isBefore(born) { return }
        throw Self.gap(
            "at version \(catalogHorizon.version.rawValue) a collection was dropped or a snapshot "
                + "restored; what was there before has left the log")
    }

    /// Whether a collection was there already at a moment that ``require(_:in:only:)`` lets pass.
    func has(_ row: CollectionRow, at moment: SnapshotMoment) -> Bool {
        row.born.map { !moment.isBefore($0) } ?? true
    }

    /// Refuses what the walk over the log up to the moment has shown to be missing: the log goes
    /// not so far back, or nobody knows since when a collection without entries was there.
    ///
    /// - Parameters:
    ///   - last: the newest entry up to the moment.
    ///   - seen: collections with entries up to the moment.
    func require(
        _ moment: SnapshotMoment, last: LogKey, seen: Set<UInt32>,
        of wanted: [CollectionRow]
    ) throws(EngineError) {
        if case .end = moment { return }
        if case .time = moment, last.version < trimHorizon {
            throw Self.gap("its log reaches back to version \(trimHorizon.rawValue)")
        }
        if wanted.contains(where: { $0.born == nil && !seen.contains($0.id) }) {
            throw Self.gap("a collection has no entries so old, and when it was made is not known")
        }
    }

    private static func gap(_ text: String) -> EngineError {
        EngineError(.gap, "AT", text, hint: "take a later moment, or an older snapshot")
    }
}

extension SnapshotMoment {
    /// Reads `AT`: a version; a time as a datetime or as milliseconds since 1970, which a number is
    /// from 100,000,000,000 on, or with `ms` behind it.
    ///
    /// - Returns: nil for anything else.
    package init?(_ text: String) {
        if let number = UInt64(text) {
            // 1973 as a time; as a version a thousand years of writes.
            guard number >= 100_000_000_000 else {
                self = .version(Version(number))
                return
            }
            guard let milliseconds = Int64(exactly: number) else { return nil }
            self = .time(milliseconds)
        } else if text.hasSuffix("ms"), let milliseconds = Int64(text.dropLast(2)) {
            self = .time(milliseconds)
        } else if let time = try? DateTime.parse(text) {
            self = .time(time)
        } else {
            return nil
        }
    }

    /// Whether it comes before a change of the catalogue. A change behind a version counts as there
    /// at that version.
    func isBefore(_ change: CatalogMoment) -> Bool {
        switch self {
        case .end: false
        case .version(let version): version < change.version
        case .time(let milliseconds): milliseconds < change.milliseconds
        }
    }
}
