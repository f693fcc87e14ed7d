package import GeoIndex
package import Schema

/// A field of places with an index, as lookups pass it on.
///
/// A ``Field`` holds a score of references, each counted when it is copied; this is one. What every
/// lookup asks for is read out of it once, when the collection's view is made.
package final class PlaceTarget: Sendable {
    package let field: Field
    package let number: FieldNumber
    package let path: String
    /// What distances are measured on.
    package let earth: EarthModel
    /// Whether the field holds points of the globe: neither shapes nor points of a plane.
    package let holdsPoints: Bool

    init(_ field: Field) {
        self.field = field
        number = field.number
        path = field.path
        earth = field.definition.place.earth
        holdsPoints = field.type == .geopoint && !field.definition.place.isFlat
    }
}
