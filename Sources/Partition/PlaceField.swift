package import GeoIndex
import Primitives
package import Schema

/// The places of one declared field in one partition, by row.
///
/// ```
/// geopoint             points, and with a radius the circles around them as zones
/// geoshape             zones
/// 2d                   flat points
/// ```
/// A row that takes another's place brings its points again: a pair more in the index until the
/// dead row is freed, at less than a microsecond. In return the rows that a version sees, or that a
/// filter let through, are what the index is asked about, without a map in between. Zones, whose
/// cells are many, are shared between rows: see ``ZoneTable``.
///
/// Thread rule: as for the partition, whose lock covers it.
package final class PlaceField {
    package let field: Field
    /// The field's number: every lookup asks for it, and copying `field` costs a score of counts.
    let number: FieldNumber
    /// False while an `ALTER` brings in the places of old rows: queries must not use it yet.
    package internal(set) var isReady: Bool
    package let points = PointIndex()
    let zones = ZoneTable()
    package let flats = FlatPoints()

    init(field: Field, isReady: Bool) {
        self.field = field
        number = field.number
        self.isReady = isReady
    }

    package var byteCount: Int { points.byteCount + zones.byteCount + flats.byteCount }

    /// Sets a row's places.
    ///
    /// - Parameter old: the row that it replaces.
    func set(_ slot: Slot, _ arrival: PlaceArrival, replacing old: Slot?) {
        if arrival.points.count == 1 {
            points.set(slot, arrival.points[0])
        } else if !arrival.points.isEmpty {
            points.set(slot, arrival.points)
        }
        if !arrival.flats.isEmpty { flats.set(slot, arrival.flats) }
        zones.assign(arrival.shapes, arrival.coverings, to: slot, replacing: old)
    }

    /// Whether the row has places already.
    func has(_ slot: Slot) -> Bool {
        points.position(of: slot) != nil || zones.set(of: slot) != nil
            || flats.hasPoint(slot) { _ in true }
    }

    /// A dead row is freed.
    func clear(_ slot: Slot) {
        points.remove(slot)
        zones.clear(slot)
        flats.clear(slot)
    }
}

extension AcceptedSlots {
    /// The rows of a bitmap, which must not change meanwhile.
    init(_ rows: Bitmap) {
        self.init(words: UnsafePointer(rows.words), wordCount: rows.wordCapacity)
    }
}
