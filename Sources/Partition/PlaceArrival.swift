package import GeoIndex
package import GeoJSON
package import Schema

/// What an index of places takes of one document's field.
///
/// Made before the partition is locked: to cut a polygon into cells takes longer than anything that
/// is done under the lock.
package struct PlaceArrival: Sendable {
    package let field: FieldNumber
    /// Points of a geopoint.
    package var points: [LatLng] = []
    /// Points of a 2d field.
    package var flats: [FlatPoint] = []
    /// Shapes of a geoshape, or the circles around the points of a field with a radius.
    package var shapes: [Shape] = []
    /// For each shape the cells that a circle is indexed by; empty for those that are known.
    package var coverings: [[CellID]] = []

    /// The arrivals of a document, one for each field that it has places in.
    ///
    /// - Parameter known: the shapes that the field's row before had, to be taken over where they
    ///   are the same.
    /// - Complexity: O(edges · levels) for polygons that are not known.
    package static func all(
        of prepared: PreparedDocument, known: (FieldNumber) -> [Shape] = { _ in [] }
    ) -> [PlaceArrival] {
        if prepared.places.isEmpty { return [] }
        var arrivals: [PlaceArrival] = []
        for value in prepared.places {
            let index: Int
            if let found = arrivals.firstIndex(where: { $0.field == value.field }) {
                index = found
            } else {
                index = arrivals.count
                arrivals.append(PlaceArrival(field: value.field))
            }
            arrivals[index].add(value, known: known)
        }
        return arrivals
    }

    private init(field: FieldNumber) { self.field = field }

    private mutating func add(
        _ value: PreparedDocument.PlaceValue, known: (FieldNumber) -> [Shape]
    ) {
        switch value.place {
        case .point(let point):
            points.append(point)
            if let meters = value.radiusMeters {
                add(Cap(center: SpherePoint(point), radiusMeters: meters), known)
            }
        case .flat(let point): flats.append(point)
        case .shape(.point(let point)):
            add(Cap(center: SpherePoint(point), chord2: 0), known)
        case .shape(.multiPoint(let all)):
            for point in all { add(Cap(center: SpherePoint(point), chord2: 0), known) }
        // A line has no inside: it is stored, and no zone.
        case .shape(.lineString): return
        case .shape(.polygon(let polygon)):
            for case .polygon(let cells) in known(value.field)
            where cells.polygon.isSame(as: polygon) {
                shapes.append(.polygon(cells))
                coverings.append([])
                return
            }
            shapes.append(.polygon(PolygonCells(polygon)))
            coverings.append([])
        }
    }

    private mutating func add(_ cap: Cap, _ known: (FieldNumber) -> [Shape]) {
        let isKnown = known(field).contains { shape in
            if case .cap(let own) = shape { own == cap } else { false }
        }
        shapes.append(.cap(cap))
        coverings.append(isKnown ? [] : ShapeIndex.covering(of: .cap(cap)))
    }
}
