package import DocumentStore
import Documents
import Partition
import Primitives
import Schema

/// What the meta table says when a data directory is opened.
struct EngineMeta {
    var options: EngineOptions
    var catalog: Catalog
    var hashSeed: UInt64
    var trimHorizon: UInt64
    /// See ``MetaKey``; nil where nothing was ever dropped.
    var catalogHorizon: CatalogMoment?
    var nextCollection: UInt32
    /// See ``Committer/noteUnclean()``; nil where nothing is to be cleaned up.
    var unclean: UInt64?
    /// Changes of schemas that were accepted but not finished: (collection, change as JSON).
    var pending: [(name: String, change: JSON)]

    /// Reads it all; a new directory gets its fixed choices first.
    static func load(
        writer: LogWriter, reader: LogReader, options: EngineOptions
    ) throws(StoreError) -> EngineMeta {
        var options = options
        try reader.begin()
        let partitions = MetaKey.value(try reader.meta(MetaKey.partitions))
        let seed = MetaKey.value(try reader.meta(MetaKey.hashSeed))
        let horizon = MetaKey.value(try reader.meta(MetaKey.trimHorizon)) ?? 0
        let catalogHorizon = MetaKey.moment(try reader.meta(MetaKey.catalogHorizon))
        let unclean = MetaKey.value(try reader.meta(MetaKey.unclean))
        let next = MetaKey.value(try reader.meta(MetaKey.nextCollection)) ?? 1
        reader.end()
        let hashSeed: UInt64
        if let partitions, let seed {
            options.partitionCount = Int(partitions)
            hashSeed = seed
        } else {
            hashSeed = randomSeed()
            try writer.begin()
            try writer.putMeta(
                MetaKey.partitions, MetaKey.bytes(UInt64(options.partitionCount)))
            try writer.putMeta(MetaKey.hashSeed, MetaKey.bytes(hashSeed))
            try writer.commit()
        }
        var meta = EngineMeta(
            options: options, catalog: Catalog(collections: [:], aliases: [:], generation: 1),
            hashSeed: hashSeed, trimHorizon: horizon, catalogHorizon: catalogHorizon,
            nextCollection: UInt32(next), unclean: unclean, pending: [])
        try meta.loadCatalog(reader)
        return meta
    }

    private mutating func loadCatalog(_ reader: LogReader) throws(StoreError) {
        var rows: [(key: String, value: [UInt8])] = []
        try reader.begin()
        defer { reader.end() }
        for prefix in [MetaKey.collectionPrefix, MetaKey.aliasPrefix] {
            try reader.forEachMeta(prefix: prefix) { key, value in
                rows.append((String(decoding: key, as: UTF8.self), [UInt8](value)))
                return true
            }
        }
        var collections: [String: CollectionView] = [:]
        var aliases: [String: String] = [:]
        for (key, value) in rows {
            if key.hasPrefix(MetaKey.aliasPrefix) {
                aliases[String(key.dropFirst(MetaKey.aliasPrefix.count))] =
                    String(decoding: value, as: UTF8.self)
                continue
            }
            let name = String(key.dropFirst(MetaKey.collectionPrefix.count))
            guard let row = CollectionRow(value) else { throw .corrupt(.format) }
            collections[name] = CollectionView(
                id: row.id, name: name, schema: row.schema, generation: 1, schemaGeneration: 1,
                partitions: makePartitions(options.partitionCount, schema: row.schema),
                hashSeed: hashSeed, born: row.born)
            if let change = row.pending { pending.append((name, change)) }
        }
        catalog = Catalog(collections: collections, aliases: aliases, generation: 1)
    }

    private static func randomSeed() -> UInt64 {
        var system = SystemRandomNumberGenerator()
        return system.next()
    }
}

/// The numbers of the collections that a store's meta table knows; nil where a row cannot be read.
///
/// - Throws: what the store says.
package func knownCollections(_ reader: LogReader) throws(StoreError) -> Set<UInt32>? {
    try reader.begin()
    defer { reader.end() }
    var known: Set<UInt32> = []
    var isReadable = true
    try reader.forEachMeta(prefix: MetaKey.collectionPrefix) { _, value in
        if let row = CollectionRow([UInt8](value)) {
            known.insert(row.id)
        } else {
            isReadable = false
        }
        return isReadable
    }
    return isReadable ? known : nil
}

/// Empty partitions for a collection with this schema.
func makePartitions(_ count: Int, schema: Schema) -> [CollectionPartition] {
    (0..<count).map { _ in CollectionPartition(schema: schema) }
}

/// A collection's row in the meta table.
struct CollectionRow {
    var id: UInt32
    var schema: Schema
    /// An `ALTER` that was accepted and is being carried out.
    var pending: JSON?
    /// Since when there are documents of it.
    var born: CatalogMoment?

    init(id: UInt32, schema: Schema, pending: JSON? = nil, born: CatalogMoment?) {
        self.id = id
        self.schema = schema
        self.pending = pending
        self.born = born
    }

    init(_ view: CollectionView, pending: JSON? = nil) {
        self.init(id: view.id, schema: view.schema, pending: pending, born: view.born)
    }

    init?(_ bytes: [UInt8]) {
        guard let json = try? JSON(parsing: bytes), case .object(let object) = json,
            case .number(let number)? = object["id"], let id = number.int64,
            let inner = object["schema"], let schema = try? Schema(internalJSON: inner)
        else { return nil }
        self.id = UInt32(truncatingIfNeeded: id)
        self.schema = schema
        pending = object["pending"]
        if case .array(let pair)? = object["born"], pair.count == 2,
            case .number(let version) = pair[0], case .number(let time) = pair[1],
            let version = version.int64, version >= 0, let time = time.int64
        {
            born = CatalogMoment(Version(UInt64(version)), time)
        }
    }

    var bytes: [UInt8] {
        var object = JSONObject()
        object["id"] = .number(JSONNumber(Int64(id)))
        object["schema"] = schema.internalJSON
        if let pending { object["pending"] = pending }
        if let born {
            object["born"] = .array([
                .number(JSONNumber(Int64(born.version.rawValue))),
                .number(JSONNumber(born.milliseconds)),
            ])
        }
        var bytes: [UInt8] = []
        JSON.object(object).serialize(into: &bytes)
        return bytes
    }
}
