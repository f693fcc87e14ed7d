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
/// collection/NAME         JSON     {"id", "schema", "pending"?}
/// alias/NAME              text     the collection's name
/// setting/NAME            bytes    accounts and options of the server
/// ```
enum MetaKey {
    static let partitions = "engine.partitions"
    static let hashSeed = "engine.hashSeed"
    static let nextCollection = "engine.nextCollection"
    static let trimHorizon = "engine.trimHorizon"
    static let collectionPrefix = "collection/"
    static let aliasPrefix = "alias/"
    static let settingPrefix = "setting/"

    static func bytes(_ value: UInt64) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
    }

    static func value(_ bytes: [UInt8]?) -> UInt64? {
        guard let bytes, bytes.count == 8 else { return nil }
        return bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    }
}
