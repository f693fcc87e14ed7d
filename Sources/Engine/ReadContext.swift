package import DocumentStore
package import Documents
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
    let tail: LogTail?
    private var cachedCatalog: Catalog

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

    // MARK: - Transactions

    /// Ends the log reader's transaction, if one is open: nothing borrowed may be used after it.
    package func endTransaction() {
        if reader.isActive { reader.end() }
    }

    /// Loads an entry, renewing the transaction if the entry is newer than it.
    ///
    /// - Throws: `CORRUPT` when the entry is nowhere.
    func withEntry<T>(_ key: LogKey, _ body: (EntryView) -> T) throws(EngineError) -> T {
        do {
            try reader.renewIfOlder(than: LogReader.ageMillisecondsMax)
            if let view = try reader.get(key) { return body(EntryView(view)) }
            if let entry = tail?.entry(key) { return entry.withView(body) }
            reader.end()
            try reader.begin()
            if let view = try reader.get(key) { return body(EntryView(view)) }
        } catch {
            throw shared.report(error)
        }
        throw EngineError(.corrupt, "", "a log entry is missing", hint: "run aisle verify")
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
            guard let bytes = try reader.vector(reference) else {
                throw EngineError(.noVector, "", "the vector is not in the log yet")
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
        while key != .none, key.version > version {
            let step = try withEntry(key) { $0.header.previous }
            key = step
            isPresent = true
            if key != .none {
                isPresent = try withEntry(key) { !$0.isTombstone }
            }
        }
        guard key != .none, isPresent else { return body(nil) }
        return try withEntry(key) { entry in
            body(
                PointView(
                    key: key, document: entry.document,
                    expiryMilliseconds: entry.header.expiryMilliseconds,
                    vectors: wantsVectors ? entry.vectors : []))
        }
    }

    /// Whether a read may ask for `version`.
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
