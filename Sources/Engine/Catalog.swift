package import Partition
import Primitives
package import Schema

/// One collection as it is between two changes of the catalogue: immutable, shared by all threads.
///
/// A change of schema or of the partitioning makes a new view with a higher generation; a write
/// that was prepared against an older one is refused as retryable.
package final class CollectionView: Sendable {
    /// Number in log entries: never reused.
    package let id: UInt32
    package let name: String
    package let schema: Schema
    /// Rises with each change of this collection's schema or partitions.
    package let generation: UInt64
    /// Rises with each change of the schema alone.
    package let schemaGeneration: UInt64
    package let partitions: [CollectionPartition]
    private let hashSeed: UInt64
    /// Fields that are to be unique once an `ALTER` has found no duplicates.
    let unenforced: Set<FieldNumber>
    /// Numbers of the schema's unique fields.
    let uniqueFields: [FieldNumber]

    package init(
        id: UInt32, name: String, schema: Schema, generation: UInt64, schemaGeneration: UInt64,
        partitions: [CollectionPartition], hashSeed: UInt64, unenforced: Set<FieldNumber> = []
    ) {
        precondition(!partitions.isEmpty, "a collection has at least one partition")
        self.id = id
        self.name = name
        self.schema = schema
        self.generation = generation
        self.schemaGeneration = schemaGeneration
        self.partitions = partitions
        self.hashSeed = hashSeed
        self.unenforced = unenforced
        uniqueFields = schema.fields.filter {
            $0.definition.isUnique && !unenforced.contains($0.number)
        }.map(\.number)
    }

    /// The id's hash, seeded per data directory: the same in every partitioning.
    package func hash(_ id: UnsafeRawBufferPointer) -> UInt64 { Hash64.hash(id, seed: hashSeed) }

    /// Which partition holds ids with this hash. The high bits choose; the tables use the low ones.
    package func partitionIndex(hash: UInt64) -> Int {
        Int((hash >> 32) % UInt64(partitions.count))
    }

    package func partition(hash: UInt64) -> CollectionPartition {
        partitions[partitionIndex(hash: hash)]
    }

    /// A copy with another schema or other partitions, one generation on.
    func changed(
        schema: Schema? = nil, partitions: [CollectionPartition]? = nil,
        unenforced: Set<FieldNumber>? = nil
    ) -> CollectionView {
        CollectionView(
            id: id, name: name, schema: schema ?? self.schema, generation: generation + 1,
            schemaGeneration: schemaGeneration + (schema == nil ? 0 : 1),
            partitions: partitions ?? self.partitions, hashSeed: hashSeed,
            unenforced: unenforced ?? self.unenforced)
    }
}

/// All collections and aliases between two changes: immutable, swapped as a whole.
package final class Catalog: Sendable {
    package let collections: [String: CollectionView]
    package let aliases: [String: String]
    /// Rises with each swap, so that a loop can tell cheaply whether its copy is old.
    package let generation: UInt64
    let byID: [UInt32: CollectionView]
    /// Whether some collection's stored documents may lack defaults that reads fill in.
    let fillsReads: Bool

    init(collections: [String: CollectionView], aliases: [String: String], generation: UInt64) {
        self.collections = collections
        self.aliases = aliases
        self.generation = generation
        byID = Dictionary(uniqueKeysWithValues: collections.values.map { ($0.id, $0) })
        fillsReads = collections.values.contains { $0.schema.fillsReads }
    }

    /// The collection of that name, or the one that the alias points to.
    package func collection(named name: String) -> CollectionView? {
        if let view = collections[name] { return view }
        guard let target = aliases[name] else { return nil }
        return collections[target]
    }

    /// Names in order, aliases left out.
    package var sortedNames: [String] { collections.keys.sorted() }

    func replacing(_ view: CollectionView) -> Catalog {
        var changed = collections
        changed[view.name] = view
        return Catalog(collections: changed, aliases: aliases, generation: generation + 1)
    }

    func removing(_ name: String) -> Catalog {
        var changed = collections
        changed[name] = nil
        return Catalog(
            collections: changed, aliases: aliases.filter { $0.value != name },
            generation: generation + 1)
    }

    func settingAlias(_ alias: String, to name: String?) -> Catalog {
        var changed = aliases
        changed[alias] = name
        return Catalog(
            collections: collections, aliases: changed, generation: generation + 1)
    }
}
