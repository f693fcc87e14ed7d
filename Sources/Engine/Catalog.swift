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
    /// Since when there are documents of it; nil where an earlier version of the server made it.
    let born: CatalogMoment?
    /// Fields whose vectors are indexed, as lookups take them: while an `ALTER` builds another
    /// index of a field, the field is still the one of the index that is there.
    package let vectorFields: [Field]
    /// Fields whose places are indexed.
    package let placeTargets: [PlaceTarget]
    private let hashSeed: UInt64
    /// While an `ALTER` builds what `schema` needs: the schema that is still in force. Writes take
    /// their form from it and must obey both, so that the change can be taken back.
    let former: Schema?
    /// Fields that are to be unique once an `ALTER` has found no duplicates.
    let unenforced: Set<FieldNumber>
    /// Numbers of the schema's unique fields that are in force.
    let uniqueFields: [FieldNumber]
    /// Those and the ones that are being built.
    let trackedUniques: [FieldNumber]
    /// Fields of `former` whose values are unique until the change is done.
    let formerUniques: [FieldNumber]

    init(
        id: UInt32, name: String, schema: Schema, generation: UInt64, schemaGeneration: UInt64,
        partitions: [CollectionPartition], hashSeed: UInt64, unenforced: Set<FieldNumber> = [],
        former: Schema? = nil, born: CatalogMoment? = nil
    ) {
        precondition(!partitions.isEmpty, "a collection has at least one partition")
        self.id = id
        self.name = name
        self.schema = schema
        self.generation = generation
        self.schemaGeneration = schemaGeneration
        self.partitions = partitions
        self.born = born
        vectorFields = schema.fields.filter(\.hasVectorIndex).map { field in
            let before = former?.field(numbered: field.number)
            return before?.hasVectorIndex == true ? before ?? field : field
        }
        placeTargets = schema.fields.filter(\.hasPlaceIndex).map { PlaceTarget($0) }
        self.hashSeed = hashSeed
        self.unenforced = unenforced
        self.former = former
        let tracked = Self.uniques(of: schema)
        trackedUniques = tracked
        uniqueFields = tracked.filter { !unenforced.contains($0) }
        formerUniques = former.map { Self.uniques(of: $0).filter { !tracked.contains($0) } } ?? []
    }

    private static func uniques(of schema: Schema) -> [FieldNumber] {
        schema.fields.filter(\.definition.isUnique).map(\.number)
    }

    /// The schema that gives stored documents their form: defaults, stamps, undeclared members.
    package var writeSchema: Schema { former ?? schema }

    /// Whether the field's vectors get their first index just now: none is complete yet.
    func isBuildingFirstIndex(of field: Field) -> Bool {
        guard let former else { return false }
        return former.field(numbered: field.number)?.hasVectorIndex != true
    }

    /// Whether the committer keeps values of this collection apart.
    var hasUniques: Bool { !trackedUniques.isEmpty || !formerUniques.isEmpty }

    /// The key of a value's hash in the tables of unique values.
    func uniqueKey(_ field: FieldNumber, _ value: UInt64) -> UniqueKey {
        UniqueKey(field: field, key: Hash64.hash(value, seed: UInt64(id) << 16 | UInt64(field)))
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

    /// A copy with other partitions, one generation on.
    func changed(partitions: [CollectionPartition]) -> CollectionView {
        CollectionView(
            id: id, name: name, schema: schema, generation: generation + 1,
            schemaGeneration: schemaGeneration, partitions: partitions, hashSeed: hashSeed,
            unenforced: unenforced, former: former, born: born)
    }

    /// A copy with another schema; with `former` it is only being built.
    func changed(
        schema: Schema, unenforced: Set<FieldNumber> = [], former: Schema? = nil
    ) -> CollectionView {
        CollectionView(
            id: id, name: name, schema: schema, generation: generation + 1,
            schemaGeneration: schemaGeneration + 1, partitions: partitions, hashSeed: hashSeed,
            unenforced: unenforced, former: former, born: born)
    }
}

/// A point in the history of the catalogue, whose changes have no versions of their own: the newest
/// version of a document then, and the time.
struct CatalogMoment: Sendable, Equatable {
    var version: Version
    /// Milliseconds since 1970.
    var milliseconds: Int64

    /// Now, for a change that comes behind `version`.
    init(behind version: Version) { self.init(version, Clock.wallMilliseconds()) }

    init(_ version: Version, _ milliseconds: Int64) {
        self.version = version
        self.milliseconds = milliseconds
    }
}

/// All collections and aliases between two changes: immutable, swapped as a whole.
package final class Catalog: Sendable {
    package let collections: [String: CollectionView]
    package let aliases: [String: String]
    /// Rises with each swap, so that a loop can tell cheaply whether its copy is old.
    package let generation: UInt64
    package let byID: [UInt32: CollectionView]
    /// Whether some collection's stored documents may lack defaults that reads fill in.
    let fillsReads: Bool

    init(collections: [String: CollectionView], aliases: [String: String], generation: UInt64) {
        self.collections = collections
        self.aliases = aliases
        self.generation = generation
        byID = Dictionary(uniqueKeysWithValues: collections.values.map { ($0.id, $0) })
        fillsReads = collections.values.contains { $0.writeSchema.fillsReads }
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
