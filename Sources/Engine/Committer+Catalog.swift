import DocumentStore
import Documents
import Partition
import Primitives
package import Schema

/// Changes of the catalogue: made between two groups, in one transaction of the meta table each.
extension Committer {
    /// Carries out a change that may carry a `KEY`: the same key within ten minutes answers the
    /// first reply and changes nothing.
    package func once(_ key: [UInt8]?, _ body: () throws -> WriteResult) throws -> WriteResult {
        guard let key else { return try body() }
        let now = Clock.wallMilliseconds()
        if let first = replies.reply(key, now: now) { return first }
        let result = try body()
        replies.note(key, result)
        replies.keepPending(now: now)
        return result
    }

    /// The first reply under a key; nil if there was none.
    package func firstReply(_ key: [UInt8]) -> WriteResult? {
        replies.reply(key, now: Clock.wallMilliseconds())
    }

    package func create(_ name: String, schema: Schema) throws -> WriteResult {
        let catalog = shared.catalog
        if catalog.collections[name] != nil || catalog.aliases[name] != nil {
            throw EngineError(.duplicate, name, "the name is taken", hint: "DROP it first")
        }
        let id = nextCollection
        let born = CatalogMoment(behind: lastVersion)
        try writer.begin()
        try writer.putMeta(
            MetaKey.collectionPrefix + name,
            CollectionRow(id: id, schema: schema, born: born).bytes)
        try writer.putMeta(MetaKey.nextCollection, MetaKey.bytes(UInt64(id) + 1))
        try writer.commit()
        nextCollection = id + 1
        let view = CollectionView(
            id: id, name: name, schema: schema, generation: 1, schemaGeneration: 1,
            partitions: makePartitions(shared.partitionCount, schema: schema),
            hashSeed: shared.hashSeed, born: born)
        shared.setCatalog(catalog.replacing(view))
        return .done
    }

    package func drop(_ name: String) throws -> WriteResult {
        let catalog = shared.catalog
        guard let view = catalog.collections[name] else {
            let isAlias = catalog.aliases[name] != nil
            throw EngineError(
                .notFound, name, isAlias ? "is an alias" : "no such collection",
                hint: isAlias ? "DROP takes the collection's own name" : "")
        }
        try writer.begin()
        try writer.deleteMeta(MetaKey.collectionPrefix + name)
        for (alias, target) in catalog.aliases where target == name {
            try writer.deleteMeta(MetaKey.aliasPrefix + alias)
        }
        let horizon = CatalogMoment(behind: lastVersion)
        try writer.putMeta(MetaKey.catalogHorizon, MetaKey.bytes(horizon))
        try noteUnclean()
        try writer.commit()
        shared.noteCatalogHorizon(horizon)
        shared.setCatalog(catalog.removing(name))
        uniques[view.id] = nil
        expiries.removeAll(collection: view.id)
        return .done
    }

    package func setAlias(_ alias: String, to name: String) throws -> WriteResult {
        let catalog = shared.catalog
        guard catalog.collections[name] != nil else {
            throw EngineError(.notFound, name, "no such collection")
        }
        if catalog.collections[alias] != nil {
            throw EngineError(.duplicate, alias, "a collection has this name")
        }
        try writer.begin()
        try writer.putMeta(MetaKey.aliasPrefix + alias, [UInt8](name.utf8))
        try writer.commit()
        shared.setCatalog(catalog.settingAlias(alias, to: name))
        return .done
    }

    /// Keeps bytes of the server's own (accounts, settings) in the meta table; nil removes them.
    package func putSetting(_ name: String, _ bytes: [UInt8]?) throws -> WriteResult {
        try writer.begin()
        if let bytes {
            try writer.putMeta(MetaKey.settingPrefix + name, bytes)
        } else {
            try writer.deleteMeta(MetaKey.settingPrefix + name)
        }
        try writer.commit()
        return .done
    }

    /// Stores a collection's row and swaps its view.
    func replace(_ view: CollectionView, pending: JSON?) throws(StoreError) {
        try writer.begin()
        try writer.putMeta(
            MetaKey.collectionPrefix + view.name,
            CollectionRow(view, pending: pending).bytes)
        try writer.commit()
        shared.setCatalog(shared.catalog.replacing(view))
    }

    /// Notes an accepted change in the collection's row, so that a restart takes it up again.
    func notePending(_ view: CollectionView, _ change: JSON?) throws(StoreError) {
        try writer.begin()
        try writer.putMeta(
            MetaKey.collectionPrefix + view.name,
            CollectionRow(view, pending: change).bytes)
        try writer.commit()
    }
}
