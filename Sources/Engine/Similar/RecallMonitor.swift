import Primitives
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
        var recent: [SimilarRequest] = []
        var next = 0
        /// Lookups of `recent` that were not measured yet.
        var waiting: [SimilarRequest] = []
        var bands = RecallBand.all
    }

    private let entries = Guarded<[Key: Entry]>([:])
    private static let recentCount = 64
    private static let waitingCount = 16
    /// A loop offers each so-manieth of its lookups.
    static let every = 64

    init() {}

    /// Keeps a lookup whose target is a vector.
    func offer(_ request: SimilarRequest) {
        let key = Key(collection: request.view.id, field: request.field.number)
        entries.withLock { entries in
            var entry = entries[key] ?? Entry()
            if entry.recent.count < Self.recentCount {
                entry.recent.append(request)
            } else {
                entry.recent[entry.next] = request
            }
            entry.next = (entry.next + 1) % Self.recentCount
            if entry.waiting.count < Self.waitingCount { entry.waiting.append(request) }
            entries[key] = entry
        }
    }

    /// Recent lookups of a field.
    func recent(_ key: Key) -> [SimilarRequest] {
        entries.withLock { $0[key]?.recent ?? [] }
    }

    /// A lookup to be measured, or nil.
    func takeWaiting() -> SimilarRequest? {
        entries.withLock { entries in
            for (key, entry) in entries where !entry.waiting.isEmpty {
                var rest = entry
                let request = rest.waiting.removeFirst()
                entries[key] = rest
                return request
            }
            return nil
        }
    }

    /// Older measurements count half once there are this many in a band.
    private static let fullCount = 2_000

    /// Adds what one lookup has shown.
    func note(_ key: Key, band: Int, found: Int, of true: Int) {
        entries.withLock { entries in
            guard var entry = entries[key] else { return }
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

    /// Forgets what belongs to fields that are gone.
    func keep(_ isThere: (Key) -> Bool) {
        entries.withLock { entries in
            for key in entries.keys where !isThere(key) { entries[key] = nil }
        }
    }

    /// What was measured of a field so far; empty where nothing was.
    package func bands(collection: UInt32, field: UInt16) -> [RecallBand] {
        entries.withLock { entries in
            (entries[Key(collection: collection, field: field)]?.bands ?? []).filter {
                $0.lookupCount > 0
            }
        }
    }
}
