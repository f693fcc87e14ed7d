import Documents
import GeoIndex
import Primitives
import Query
import Schema
import TestSupport
import Testing

@testable import Partition

/// Goal: at every version that is still kept, the nearest rows, their number within a radius and
/// the zones that hold a place are those of comparing all of that version's places, however rows
/// take each other's places, die, and are freed and used again.
@Suite struct PlaceFieldTests {
    private struct Document {
        var text: String
        var point: LatLng?
        var radiusMeters: Double = 0
    }

    private let schemaText = """
        {"fields":{"at":{"type":"geopoint","index":true,"radius":"km"},"km":{"type":"float"},
        "n":{"type":"int"}}}
        """

    @Test func everyKeptVersionFindsItsOwnPlaces() throws {
        var random = TestRandom()
        let schema = try TestData.schema(schemaText)
        let field = try #require(schema.field(at: "at"))
        let partition = CollectionPartition(schema: schema)
        let (preparer, parser) = (DocumentPreparer(), JSONParser())
        var history: [[String: Document]] = [[:]]
        var horizon = 0
        for version in 1...1_500 {
            var documents = history[version - 1]
            let id = "d\(random.below(60))"
            let key = LogKey(version: Version(UInt64(version)), index: 0)
            let document = random.one(in: 6) ? nil : makeDocument(documents[id], &random)
            documents[id] = document
            let prepared = try document.map {
                try preparer.prepare(
                    Array($0.text.utf8), schema: schema, parser: parser, nowMilliseconds: 0)
            }
            Array(id.utf8).withUnsafeBytes { bytes in
                partition.apply(
                    id: bytes, hash: Hash64.hash(bytes, seed: 3), key: key, prepared: prepared,
                    places: prepared.map { PlaceArrival.all(of: $0) } ?? [])
            }
            history.append(documents)
            if random.one(in: 16) { horizon = max(horizon, version - 40) }
            partition.reclaim(horizon: Version(UInt64(horizon)), limit: 4)
            guard random.one(in: 6) else { continue }
            let at = random.one(in: 2) ? version : horizon + random.below(version - horizon + 1)
            try checkNear(partition, field, history[at], at: at, &random)
            try checkZones(partition, schema, history[at], at: at, &random)
        }
        let places = try #require(partition.placeField(field.number))
        places.points.checkInvariants()
        places.zones.index.checkInvariants()
        // Dead rows came and went, or half of what is tested never happened: of those that a kept
        // version sees, one at most for each.
        #expect(partition.deadRowCount > 0, "seed \(random.seed)")
        partition.reclaim(horizon: Version(UInt64(horizon)), limit: .max)
        #expect(partition.deadRowCount <= 1_500 - horizon, "seed \(random.seed)")
        partition.reclaim(horizon: Version(1_500), limit: .max)
        #expect(partition.deadRowCount == 0, "seed \(random.seed)")
    }

    /// A document with its place as it was, moved a little, at one of few places, or without one.
    private func makeDocument(_ old: Document?, _ random: inout TestRandom) -> Document {
        if let old, random.one(in: 3) { return old }
        if random.one(in: 8) { return Document(text: "{}") }
        // Few places, so that many are equal.
        let point = LatLng(
            latitude: Double(random.below(5)) * 45 - 90,
            longitude: Double(random.below(9)) * 45 - 180)
        let kilometers = Double(random.below(4)) * 3_000
        return Document(
            text: """
                {"at":[\(point.longitude),\(point.latitude)],"km":\(kilometers),\
                "n":\(random.below(9))}
                """, point: point, radiusMeters: kilometers * 1_000)
    }

    private func checkNear(
        _ partition: CollectionPartition, _ field: Field, _ documents: [String: Document],
        at version: Int, _ random: inout TestRandom
    ) throws {
        let center = SpherePoint(
            LatLng(
                latitude: Double(random.below(5)) * 45 - 90,
                longitude: Double(random.below(17)) * 22.5 - 180))
        let radius = random.one(in: 2) ? Double(1 + random.below(20)) * 1e6 : nil
        let cap = Cap(center: center, chord2: radius.map { Sphere.chord2(meters: $0) } ?? 4)
        let pool = BitmapPool()
        let rows = Bitmap()
        let scratch = Bitmap()
        rows.assign(partition.visible(at: Version(UInt64(version)), scratch: scratch))
        var allowed = documents.filter { $0.value.point != nil }
        let isFiltered = random.one(in: 2)
        if isFiltered {
            rows.forEach { slot in
                if random.one(in: 3) { return }
                allowed[String(decoding: partition.id(slot), as: UTF8.self)] = nil
                rows.clear(slot)
            }
        }
        var expected: [(chord2: Double, id: String)] = []
        for (id, document) in allowed {
            guard let point = document.point else { continue }
            let chord2 = cap.chord2(to: SpherePoint(point))
            if chord2 <= cap.chord2 { expected.append((chord2, id)) }
        }
        expected.sort { $0 < $1 }
        // Page by page, each behind the last hit of the one before.
        var found: [(chord2: Double, id: String)] = []
        var after: PlaceAfter?
        while true {
            let search = PlaceSearch(
                partition: partition,
                query: PlaceQuery(
                    field: field.number, center: center, chord2Max: cap.chord2, after: after,
                    count: 4, wantsTotal: radius != nil),
                version: Version(UInt64(version)), match: isFiltered ? .rows(rows) : .all,
                pool: pool, scratch: GeoScratch())
            while !search.step() {}
            if radius != nil {
                #expect(search.total == expected.count, "version \(version), seed \(random.seed)")
            }
            let page = search.hits.map {
                ($0.chord2, String(decoding: partition.id($0.slot), as: UTF8.self))
            }.sorted { $0 < $1 }.prefix(4)
            found += page.map { (chord2: $0.0, id: $0.1) }
            guard let last = page.last, page.count == 4 else { break }
            after = PlaceAfter(chord2: last.0, id: Array(last.1.utf8))
        }
        #expect(
            found.map(\.id) == expected.map(\.id), "version \(version), seed \(random.seed)")
    }

    private func checkZones(
        _ partition: CollectionPartition, _ schema: Schema, _ documents: [String: Document],
        at version: Int, _ random: inout TestRandom
    ) throws {
        let place = LatLng(
            latitude: Double(random.below(160) - 80), longitude: Double(random.below(360) - 180))
        let condition = PlaceCondition(.zone(place), source: .null)
        let filter = try CompiledFilter(
            .field(path: "at", conditions: [.place(condition)]), schema: schema,
            nowMilliseconds: 0)
        var predicates: [Predicate] = []
        filter.root.placePredicates(into: &predicates)
        let collector = try #require(
            PlaceCollector(
                predicates[0], partition: partition, version: Version(UInt64(version)),
                pool: BitmapPool(), scratch: GeoScratch()))
        while !collector.step() {}
        var found: Set<String> = []
        collector.rows.forEach { slot in
            guard partition.isVisible(slot, at: Version(UInt64(version))) else { return }
            found.insert(String(decoding: partition.id(slot), as: UTF8.self))
        }
        let p = SpherePoint(place)
        let expected = documents.filter { _, document in
            guard let point = document.point else { return false }
            return Cap(center: SpherePoint(point), radiusMeters: document.radiusMeters).contains(p)
        }
        #expect(found == Set(expected.keys), "version \(version), seed \(random.seed)")
    }
}
