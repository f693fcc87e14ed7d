import DocumentStore
import Documents
import Partition
import Primitives
import Schema

/// Keys and values of the engine in the store's meta table.
///
/// ```
/// engine.partitions       UInt64   number of partitions
/// engine.hashSeed         UInt64   seed of id hashes
/// engine.nextCollection   UInt64   id of the next new collection
/// engine.trimHorizon      UInt64   version up to which superseded entries may be missing
/// engine.catalogHorizon   UInt64×2 version and time of the last DROP or RESTORE of all: what was
///                                  there before is not in the log
/// engine.unclean          UInt64   there while entries of gone collections are to be deleted
/// collection/NAME         JSON     {"id", "schema", "pending"?, "born"? [version, time]}
/// alias/NAME              text     the collection's name
/// setting/NAME            bytes    accounts and options of the server
/// ```
enum MetaKey {
    static let partitions = "engine.partitions"
    static let hashSeed = "engine.hashSeed"
    static let nextCollection = "engine.nextCollection"
    static let trimHorizon = "engine.trimHorizon"
    static let catalogHorizon = "engine.catalogHorizon"
    static let unclean = "engine.unclean"
    static let collectionPrefix = "collection/"
    static let aliasPrefix = "alias/"
    static let settingPrefix = "setting/"

    static func bytes(_ value: UInt64) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
    }

    static func bytes(_ moment: CatalogMoment) -> [UInt8] {
        bytes(moment.version.rawValue) + bytes(UInt64(bitPattern: moment.milliseconds))
    }

    static func moment(_ bytes: [UInt8]?) -> CatalogMoment? {
        guard let bytes, bytes.count == 16, let version = value(Array(bytes[..<8])),
            let time = value(Array(bytes[8...]))
        else { return nil }
        return CatalogMoment(Version(version), Int64(bitPattern: time))
    }

    static func value(_ bytes: [UInt8]?) -> UInt64? {
        guard let bytes, bytes.count == 8 else { return nil }
        return bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    }
}
