package import GeoIndex
import Primitives
package import Schema

/// The places of one declared field in one partition, by row.
///
/// A row that takes another's place brings its point again: a pair more in the index until the dead
/// row is freed, at less than a microsecond. In return the rows that a version sees, or that a
/// filter let through, are what the index is asked about, without a map in between.
///
/// Thread rule: as for the partition, whose lock covers it.
package final class PlaceField {
    package let field: Field
    /// False while an `ALTER` brings in the places of old rows: queries must not use it yet.
    package internal(set) var isReady: Bool
    package let points = PointIndex()

    init(field: Field, isReady: Bool) {
        self.field = field
        self.isReady = isReady
    }

    package var byteCount: Int { points.byteCount }

    /// Sets the row's places from a document's.
    func set(_ slot: Slot, _ prepared: PreparedDocument) {
        var first: LatLng?
        var all: [LatLng] = []
        for place in prepared.places where place.field == field.number {
            switch place.geometry {
            case .point(let point):
                if first == nil {
                    first = point
                } else {
                    all.append(point)
                }
            }
        }
        guard let first else { return }
        if all.isEmpty {
            points.set(slot, first)
        } else {
            points.set(slot, [first] + all)
        }
    }

    /// A dead row is freed.
    func clear(_ slot: Slot) { points.remove(slot) }
}

extension AcceptedSlots {
    /// The rows of a bitmap, which must not change meanwhile.
    init(_ rows: Bitmap) { self.init(words: UnsafePointer(rows.words), wordCount: rows.wordCapacity) }
}
