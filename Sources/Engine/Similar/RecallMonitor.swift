import Primitives
import Query
import Schema

/// How many of the true neighbours lookups find, by the share of documents that their filters let
/// through.
package struct RecallBand: Sendable, Equatable {
    /// The band's name: `all` without a filter, else the least share in percent.
    package var name: String
    /// Lookups that were measured.
    package var lookupCount = 0
    /// Neighbours that there were, and those of them that were found.
    package var trueCount = 0
    package var foundCount = 0

    /// Nothing measured yet.
    package init(name: String) { self.name = name }

    /// 1 where nothing was measured.
    package var recall: Double { trueCount == 0 ? 1 : Double(foundCount) / Double(trueCount) }

    /// The bands, widest filters first.
    package static var all: [RecallBand] {
        ["all", "30%", "3%", "0.3%", "0%"].map { RecallBand(name: $0) }
    }

    /// Where a lookup belongs.
    static func index(isFiltered: Bool, matching: Int, of total: Int) -> Int {
        guard isFiltered else { return 0 }
        let share = Double(matching) / Double(max(total, 1))
        if share >= 0.3 { return 1 }
        if share >= 0.03 { return 2 }
        return share >= 0.003 ? 3 : 4
    }
}

/// A lookup that is kept to be measured: what was asked, and not what answered it, which would keep
/// partitions alive that were dealt out anew.
struct RecallSample: Sendable {
    var key: RecallMonitor.Key
    /// Those of the field that the target was checked for.
    var options: VectorOptions
    var target: [Float]
    var filter: CompiledFilter?
    var count: Int
    var width: Int?

    /// The lookup as the collection is now; nil where it is another question by now.
    func request(in view: CollectionView) -> SimilarRequest? {
        guard view.id == key.collection,
            let field = view.vectorFields.first(where: { $0.number == key.field }),
            field.vectorOptions?.built == options.built
        else { return nil }
        var request = SimilarRequest(
            view: view, field: field, target: .vector(target), count: count)
        request.width = width
        if let filter {
            guard let bound = try? filter.rebound(to: view.schema) else { return nil }
            request.filter = bound
        }
        return request
    }
}

/// A sample of the recent lookups by nearness of each field, and what measuring them has shown.
///
/// Event loops offer one lookup in 64; a thread of low priority repeats it, approximately and
/// exactly, and compares. Bounded: 64 lookups a field.
package final class RecallMonitor: Sendable {
    /// What names a vector field.
    struct Key: Hashable, Sendable {
        var collection: UInt32
        var field: UInt16
    }

    private struct Entry {
        /// What the index was built with: lookups and figures of another one say nothing.
        var options: VectorOptions
        var recent: [RecallSample] = []
        var next = 0
        /// Lookups of `recent` that were not measured yet.
        var waiting: [RecallSample] = []
        var bands = RecallBand.all
    }

    private let entries = Guarded<[Key: Entry]>([:])
    private static let recentCount = 64
    private static let waitingCount = 16
    /// A loop offers each so-manieth of its lookups.
    static let every = 64

    init() {}

    /// Keeps a lookup.
    func offer(_ sample: RecallSample) {
        entries.withLock { entries in
            var entry = entries[sample.key] ?? Entry(options: sample.options.built)
            if entry.options != sample.options.built {
                entry = Entry(options: sample.options.built)
            }
            if entry.recent.count < Self.recentCount {
                entry.recent.append(sample)
            } else {
                entry.recent[entry.next] = sample
            }
            entry.next = (entry.next + 1) % Self.recentCount
            if entry.waiting.count < Self.waitingCount { entry.waiting.append(sample) }
            entries[sample.key] = entry
        }
    }

    /// Recent lookups of a field.
    func recent(_ key: Key) -> [RecallSample] {
        entries.withLock { $0[key]?.recent ?? [] }
    }

    /// A lookup to be measured, or nil.
    func takeWaiting() -> RecallSample? {
        entries.withLock { entries in
            for (key, entry) in entries where !entry.waiting.isEmpty {
                var rest = entry
                let sample = rest.waiting.removeFirst()
                entries[key] = rest
                return sample
            }
            return nil
        }
    }

    /// Older measurements count half once there are this many in a band.
    private static let fullCount = 2_000

    /// Adds what one lookup has shown.
    func note(_ sample: RecallSample, band: Int, found: Int, of true: Int) {
        let key = sample.key
        entries.withLock { entries in
            guard var entry = entries[key], entry.options == sample.options.built else { return }
            if entry.bands[band].lookupCount >= Self.fullCount {
                entry.bands[band].lookupCount /= 2
                entry.bands[band].trueCount /= 2
                entry.bands[band].foundCount /= 2
            }
            entry.bands[band].lookupCount += 1
            entry.bands[band].trueCount += `true`
            entry.bands[band].foundCount += found
            entries[key] = entry
        }
    }

    /// Forgets what belongs to fields that are gone or have another index.
    func keep(_ isThere: (Key, VectorOptions) -> Bool) {
        entries.withLock { entries in
            for (key, entry) in entries where !isThere(key, entry.options) { entries[key] = nil }
        }
    }

    /// What was measured of a field so far; empty where nothing was.
    func bands(of field: Field, collection: UInt32) -> [RecallBand] {
        entries.withLock { entries in
            guard let entry = entries[Key(collection: collection, field: field.number)],
                entry.options == field.vectorOptions?.built
            else { return [] }
            return entry.bands.filter { $0.lookupCount > 0 }
        }
    }
}
