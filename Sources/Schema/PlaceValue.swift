package import Documents
package import GeoIndex

/// One place that a document names in a field with an index of places.
package struct PlaceValue: Sendable {
    /// What the index takes.
    package enum Geometry: Sendable {
        /// A point on the sphere; its latitude and longitude are in their ranges.
        case point(LatLng)
    }

    package let field: FieldNumber
    package let geometry: Geometry

    /// `geometry` for the field with this number.
    package init(field: FieldNumber, geometry: Geometry) {
        self.field = field
        self.geometry = geometry
    }

    /// Reads a value of a geopoint field: a GeoJSON Point or `[longitude, latitude]`; nil for
    /// anything else, and for coordinates out of range.
    package static func point(_ value: TapeValue) -> LatLng? {
        let position = value.kind == .object ? value.member("coordinates") : value
        guard let position, position.kind == .array else { return nil }
        var children = position.children
        guard let longitude = children.next()?.value, longitude.kind == .number,
            let latitude = children.next()?.value, latitude.kind == .number
        else { return nil }
        let place = LatLng(latitude: latitude.double, longitude: longitude.double)
        return place.isValid ? place : nil
    }
}

extension Field {
    /// Whether the field's places are indexed.
    package var hasPlaceIndex: Bool { definition.hasPlaceIndex }
}

extension FieldDefinition {
    /// Whether the field's places are indexed.
    var hasPlaceIndex: Bool {
        switch type {
        case .geopoint: isIndexed
        case .keyword, .text, .int, .float, .decimal, .bool, .datetime, .geoshape, .vector, .hours,
            .object, .json:
            false
        }
    }
}
