package import DocumentStore
package import Documents
import GeoIndex
import HoursIndex
import Partition
package import Primitives
import Query
import Schema
import Synchronization

/// What one event loop (or background job) reads with: a log reader, a parser, scratch bitmaps, its
/// pins and its copy of the catalogue.
///
/// Not Sendable: owned by one thread.
package final class ReadContext {
    package let shared: EngineShared
    package let loop: Int
    package let reader: LogReader
    package let parser = JSONParser()
    package let pins: PinSet
    package let bitmaps = BitmapPool()
    /// Lookups by nearness of this context, of which some are measured.
    var nearnessCount = 0
    let nearestScratch = NearestScratch()
    let geoScratch = GeoScratch()
    let hoursMoment = HoursMoment()
    let tail: LogTail?
    private var cachedCatalog: Catalog
    private let filler = DefaultFiller()

    init(shared: EngineShared, loop: Int, reader: LogReader, tail: LogTail?) {
        self.shared = shared
        self.loop = loop
        self.reader = reader
        self.tail = tail
        pins = PinSet(shared.pins)
        cachedCatalog = shared.catalog
    }

    /// The catalogue as it is now. Complexity: one atomic load unless it changed.
    package var catalog: Catalog {
        if shared.catalogGeneration.load(ordering: .acquiring) != cachedCatalog.generation {
            cachedCatalog = shared.catalog
        }
        return cachedCatalog
    }

    /// The collection of that name or alias.
    ///
    /// - Throws: `NOTFOUND`.
    package func collection(_ name: String) throws(EngineError) -> CollectionView {
        if let view = catalog.collection(named: name) { return view }
        throw EngineError(
            .notFound, name, "no such collection", hint: "COLLECTIONS lists them, CREATE makes one")
    }

    /// Pins the newest version, and gives the collection's view that holds for it.
    ///
    /// `RESHARD` puts other partitions in the place of those that a caller looked up a moment ago,
    /// and writes then go to the new ones alone. So the catalogue is read before and after the pin:
    /// if it is the same, a later swap cannot matter to this version.
    /// - Throws: `NOTFOUND` when the collection has been dropped, `BUSY` when its schema changed or
    ///   a restore has put another in its place.
    package func pin(_ view: CollectionView) throws(EngineError) -> (Version, CollectionView) {
        while true {
            let before = catalog
            let version = pins.acquire()
            guard before === catalog else {
                pins.release(version)
                continue
            }
            guard let current = before.byID[view.id] else {
                pins.release(version)
                throw .gone(view, in: before)
            }
            guard current.schemaGeneration == view.schemaGeneration else {
                pins.release(version)
                throw .schemaChanged(view.name)
            }
            return (version, current)
        }
    }

    // MARK: - Transactions

    /// Ends the log reader's transaction, if one is open: nothing borrowed may be used after it.
    package func endTransaction() {
        if reader.isActive { reader.end() }
    }

    /// Loads an entry, renewing the transaction if the entry is newer than it.
    ///
    /// - Throws: `CORRUPT` when the entry is nowhere.
    func withEntry<T>(_ key: LogKey, _ body: (EntryView) -> T) throws(EngineError) -> T {
        if let result = try withEntryIfThere(key, body) { return result }
        throw EngineError(.corrupt, "", "a log entry is missing", hint: "run aisle verify")
    }

    /// The same without the defaults that reads fill in.
    func withStoredEntry<T>(_ key: LogKey, _ body: (EntryView) -> T) throws(EngineError) -> T {
        if let result = try withEntryIfThere(key, fills: false, body) { return result }
        throw EngineError(.corrupt, "", "a log entry is missing", hint: "run aisle verify")
    }

    /// The same, with nil where the entry is nowhere; with or without such defaults.
    func withEntryIfThere<T>(
        _ key: LogKey, fills: Bool = true, _ body: (EntryView) -> T
    ) throws(EngineError) -> T? {
        do {
            try reader.renewIfOlder(than: LogReader.ageMillisecondsMax)
            let catalog = catalog
            if fills, catalog.fillsReads {
                if let found = try withFilledEntry(key, catalog, body) { return found }
            } else {
                if let view = try reader.get(key) { return body(EntryView(view)) }
                if let entry = tail?.entry(key) { return entry.withView(body) }
            }
            reader.end()
            try reader.begin()
            guard let view = try reader.get(key) else { return nil }
            return fills ? filler.with(EntryView(view), catalog, body) : body(EntryView(view))
        } catch {
            throw shared.report(error)
        }
    }

    /// The entry of a document that `version` sees, a tombstone too, looked for along the chain of
    /// previous entries from `newest` on; `.none` if there was none yet.
    ///
    /// - Complexity: O(changes since `version`).
    /// - Throws: `GAP` when the chain was trimmed beyond `version` meanwhile, `NOTFOUND` when the
    ///   collection was dropped.
    func key(
        from newest: LogKey, at version: Version, _ view: CollectionView
    ) throws(EngineError) -> LogKey {
        var key = newest
        while key != .none, key.version > version {
            guard let previous = try withEntryIfThere(key, { $0.header.previous }) else {
                throw missing(view, version)
            }
            key = previous
        }
        if key == .none || key == newest { return key }
        if try withEntryIfThere(key, { _ in true }) == true { return key }
        // A trimmed tombstone: what is put afterwards still names it as its previous entry.
        let horizon = shared.trimHorizon.load(ordering: .sequentiallyConsistent)
        if version.rawValue >= horizon, key.version.rawValue <= horizon { return .none }
        throw missing(view, version)
    }

    /// Why an entry that should be there is not.
    func missing(_ view: CollectionView, _ version: Version) -> EngineError {
        if shared.catalog.byID[view.id] == nil {
            return .gone(view, in: shared.catalog)
        }
        do throws(EngineError) { try check(version) } catch { return error }
        return EngineError(.corrupt, "", "a log entry is missing", hint: "run aisle verify")
    }

    private func withFilledEntry<T>(
        _ key: LogKey, _ catalog: Catalog, _ body: (EntryView) -> T
    ) throws(StoreError) -> T? {
        if let view = try reader.get(key) { return filler.with(EntryView(view), catalog, body) }
        return tail?.entry(key)?.withView { filler.with($0, catalog, body) }
    }

    /// Runs `body` on the document's bytes of an entry.
    package func withDocument<T>(
        _ key: LogKey, _ body: (UnsafeRawBufferPointer) -> T
    ) throws(EngineError) -> T {
        try withEntry(key) { body($0.document) }
    }

    /// The same with the entry's vector references.
    package func withDocument<T>(
        _ key: LogKey, wantsVectors: Bool,
        _ body: (UnsafeRawBufferPointer, [VectorReference]) -> T
    ) throws(EngineError) -> T {
        try withEntry(key) { body($0.document, wantsVectors ? $0.vectors : []) }
    }

    /// Runs `body` on the id and the document of an entry.
    package func withRow<T>(
        _ key: LogKey, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> T
    ) throws(EngineError) -> T {
        try withEntry(key) { body($0.id, $0.document) }
    }

    /// The components of a stored vector.
    package func vector(_ reference: VectorReference) throws(EngineError) -> [Float] {
        do {
            try reader.renewIfOlder(than: LogReader.ageMillisecondsMax)
            var found = try reader.vector(reference)
            if found == nil {
                if let waiting = tail?.vector(reference) { return waiting }
                // It may have reached the log since this transaction began.
                reader.end()
                try reader.begin()
                found = try reader.vector(reference)
            }
            guard let bytes = found else {
                throw EngineError(.corrupt, "", "a vector is missing", hint: "run aisle verify")
            }
            return (0..<bytes.count / 4).map {
                bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self)
            }
        } catch let error as StoreError {
            throw shared.report(error)
        } catch let error as EngineError {
            throw error
        } catch {
            throw EngineError(.corrupt, "", "a vector cannot be read")
        }
    }

    /// Runs `body` with the addresses of stored vectors' bytes, in the order of `references`.
    ///
    /// - Throws: as ``vector(_:)``.
    package func withVectors(
        _ references: [VectorReference], _ body: ([UnsafeRawPointer]) -> Void
    ) throws(EngineError) {
        var addresses: [UnsafeRawPointer] = []
        addresses.reserveCapacity(references.count)
        do {
            try reader.renewIfOlder(than: LogReader.ageMillisecondsMax)
            for reference in references {
                guard let bytes = try reader.vector(reference), let base = bytes.baseAddress,
                    bytes.count == 4 * Int(reference.dimensions)
                else { break }
                addresses.append(base)
            }
        } catch {
            throw shared.report(error)
        }
        // All are in the log as this transaction sees it, as a rule.
        if addresses.count == references.count { return body(addresses) }
        var copies: [Float] = []
        for reference in references {
            let values = try vector(reference)
            guard values.count == Int(reference.dimensions) else {
                throw EngineError(.corrupt, "", "a vector is damaged", hint: "run aisle verify")
            }
            copies += values
        }
        copies.withUnsafeBytes { bytes in
            var places: [UnsafeRawPointer] = []
            var offset = 0
            for reference in references {
                // SAFETY: the copies lie one after the other, each of its reference's dimensions.
                if let base = bytes.baseAddress { places.append(base + offset) }
                offset += 4 * Int(reference.dimensions)
            }
            body(places)
        }
    }

    // MARK: - Point reads

    /// One document as a point read sees it; borrowed during the closure.
    package struct PointView {
        package let key: LogKey
        package let document: UnsafeRawBufferPointer
        package let expiryMilliseconds: Int64
        package let vectors: [VectorReference]
    }

    /// Finds a document at `version` and runs `body` on it; with nil if it is not there.
    ///
    /// - Complexity: O(1) expected and one look-up in the log; O(changes since `version`) more.
    /// - Throws: `GAP` when `version` is older than what is kept.
    package func withPoint<T>(
        _ view: CollectionView, id: UnsafeRawBufferPointer, at version: Version,
        wantsVectors: Bool = false, _ body: (PointView?) -> T
    ) throws(EngineError) -> T {
        let hash = view.hash(id)
        let partition = view.partition(hash: hash)
        partition.lock.lockForReading()
        var key = LogKey.none
        var isPresent = false
        if let number = partition.heads.number(hash: hash, id: id) {
            key = partition.heads.key(number)
            isPresent = partition.heads.slot(number) != Heads.noSlot
        }
        partition.lock.unlock()
        if key.version > version {
            key = try self.key(from: key, at: version, view)
            isPresent = key != .none
        }
        guard key != .none, isPresent else {
            // It may have been trimmed with its tombstone a moment ago.
            try check(version)
            return body(nil)
        }
        let result: T? = try withEntryIfThere(key) { entry in
            if entry.isTombstone { return body(nil) }
            return body(
                PointView(
                    key: key, document: entry.document,
                    expiryMilliseconds: entry.header.expiryMilliseconds,
                    vectors: wantsVectors ? entry.vectors : []))
        }
        guard let result else { throw missing(view, version) }
        return result
    }

    /// Whether a read of a collection may ask for `version`.
    ///
    /// - Throws: `GAP` for one that is older than what is kept, `INVALID` for one that is not yet.
    package func check(_ version: Version, _ view: CollectionView) throws(EngineError) {
        try check(version)
        // Of the same name there may have been another one, which was dropped or replaced.
        let horizon = shared.catalogHorizon.load(ordering: .sequentiallyConsistent)
        if let born = view.born?.version, version < born, version.rawValue < horizon {
            throw EngineError(
                .gap, "AT", "version \(version.rawValue) is before the collection was made",
                hint: "its oldest readable version is \(born.rawValue)")
        }
    }

    /// Whether a read may ask for `version`, whatever the collection.
    ///
    /// - Throws: `GAP` for one that is older than what is kept, `INVALID` for one that is not yet.
    package func check(_ version: Version) throws(EngineError) {
        let horizon = shared.trimHorizon.load(ordering: .sequentiallyConsistent)
        let published = shared.pins.published.load(ordering: .sequentiallyConsistent)
        if version.rawValue > published {
            throw EngineError(
                .invalid, "AT", "version \(version.rawValue) is not yet; the newest is \(published)"
            )
        }
        if version.rawValue < horizon {
            throw EngineError(
                .gap, "AT", "version \(version.rawValue) is beyond the retention window",
                hint: "the oldest readable version is \(horizon)")
        }
    }
}
