package import GeoIndex
package import Primitives
package import Query
package import Schema

/// A lookup of the places nearest to one, parsed and compiled. It does not change once it is being
/// carried out; a class, so that nothing of it is copied.
package final class NearbyRequest {
    package var view: CollectionView
    /// A geopoint field with an index.
    package var target: PlaceTarget
    package var center: LatLng
    /// Nil for no radius: then matches are not counted.
    package var radiusMeters: Double?
    /// Nil for all documents that have a place.
    package var filter: CompiledFilter?
    /// Only what is open at a moment.
    package var opening: OpeningRequest?
    /// Only ids that another collection's documents name.
    package var stock: HistoryRequest?
    /// Hits at most.
    package var limit: Int
    /// The page behind this place.
    package var after: PlaceCursor?
    /// When to give up, on the monotonic clock.
    package var deadlineNanoseconds: UInt64 = .max
    /// Answer with what there is when the time is over.
    package var allowsPartial = false
    /// Whether hits say where their documents are.
    package var wantsKeys = true
    /// How it was carried out is wanted: `EXPLAIN`.
    package var isExplained = false

    package init(view: CollectionView, target: PlaceTarget, center: LatLng, limit: Int) {
        self.view = view
        self.target = target
        self.center = center
        self.limit = limit
    }
}

/// What is open at a moment, by a field of hours.
package struct OpeningRequest: Sendable {
    package var field: Field
    /// Since 1970.
    package var milliseconds: Int64

    package init(field: Field, milliseconds: Int64) {
        self.field = field
        self.milliseconds = milliseconds
    }
}

/// A place in the order of distances: the distance and, among equals, the id.
package struct PlaceCursor: Sendable {
    /// The squared chord on the sphere; metres on an ellipsoid.
    package var distance: Double
    package var id: [UInt8]

    package init(distance: Double, id: [UInt8]) {
        self.distance = distance
        self.id = id
    }
}

/// One hit of a lookup of near places.
package struct NearbyHit: Sendable {
    /// Where the document is; `.none` where the request has no need of documents.
    package var key: LogKey
    package var meters: Double
    /// Where the id begins in ``NearbyOutcome/ids``, and its bytes.
    var idStart: UInt32
    var idByteCount: UInt32
}

package struct NearbyOutcome: Sendable {
    package var version: Version
    /// Documents within the radius that match; nil without a radius.
    package var total: Int?
    package var isPartial = false
    package var hits: [NearbyHit] = []
    /// The ids of all hits, one behind another.
    package var ids: [UInt8] = []
    /// The place behind the last hit, if there is more.
    package var next: PlaceCursor?
    package var plan = FindPlan()

    /// A hit's id.
    package func id(_ hit: NearbyHit) -> [UInt8] {
        let start = Int(hit.idStart)
        return [UInt8](ids[start..<start + Int(hit.idByteCount)])
    }

    /// Runs `body` with the bytes of each hit's id, in order.
    package func forEachHit<Failure: Error>(
        _ body: (NearbyHit, UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let result = ids.withUnsafeBytes { bytes in
            Result { () throws(Failure) in
                for hit in hits {
                    let start = Int(hit.idStart)
                    try body(
                        hit,
                        UnsafeRawBufferPointer(
                            rebasing: bytes[start..<start + Int(hit.idByteCount)]))
                }
            }
        }
        try result.get()
    }

    mutating func append(key: LogKey, id: UnsafeRawBufferPointer, meters: Double) {
        hits.append(
            NearbyHit(
                key: key, meters: meters, idStart: UInt32(ids.count),
                idByteCount: UInt32(id.count)))
        ids.append(contentsOf: id)
    }
}
