package import GeoIndex

/// Why a value is not a place: where, which rule, and what stood there.
package struct GeoJSONError: Error, Equatable, Sendable {
    /// The rules of GeoJSON geometries; each mistake has its own.
    package enum Fault: Equatable, Sendable {
        /// A point field holds something that is neither a Point nor a position.
        case notPoint
        /// A flat field holds something else than a pair or a Point.
        case notFlatPoint
        /// No object with `type` and `coordinates`.
        case notGeometry
        /// A `type` that is no geometry's, or one that is not taken here.
        case unknownType
        /// A `crs` that is not the one GeoJSON has.
        case unknownReferenceSystem
        /// Something else than an array where one belongs.
        case notArray(of: Level)
        /// Fewer elements than the least.
        case tooFew(of: Level, minimum: Int)
        /// An array where a coordinate belongs: a level of brackets too many.
        case nestedTooDeep
        /// Numbers where arrays belong: a level of brackets is missing.
        case nestedTooShallow(Level)
        /// A position of one, or of more than three coordinates.
        case coordinateCount(Int)
        /// A coordinate that is no number.
        case notNumber
        /// A number beyond what a double holds.
        case notFinite
        /// A latitude outside of [-90, 90]; `looksSwapped` if the two would fit the other way
        /// round.
        case latitudeOutOfRange(looksSwapped: Bool)
        /// A longitude outside of [-180, 180].
        case longitudeOutOfRange
        /// A coordinate of a plane outside of [-180, 180].
        case flatOutOfRange
        /// Two positions of a line that follow each other are (nearly) antipodes.
        case lineTooLong
        /// More positions than the limit.
        case tooManyPositions(limit: Int)
        /// Rings that make no polygon.
        case rings(GeoError)
    }

    /// What an array of a geometry holds.
    package enum Level: Equatable, Sendable {
        case coordinates
        case positions
        case rings
        case polygons

        /// In words.
        var name: String {
            switch self {
            case .coordinates: "numbers, [longitude, latitude]"
            case .positions: "positions"
            case .rings: "rings, each an array of positions"
            case .polygons: "polygons, each an array of rings"
            }
        }
    }

    /// Dotted, below the value itself: `coordinates.0.3`; empty for the value.
    package let path: String
    package let fault: Fault
    /// JSON text of what stood there, cut to about 100 bytes; empty where the rule says it all.
    package let value: String

    package init(path: String, fault: Fault, value: String) {
        self.path = path
        self.fault = fault
        self.value = value
    }

    /// The rule in words, for people.
    package var rule: String {
        switch fault {
        case .notPoint: "is a GeoJSON Point or [longitude, latitude]"
        case .notFlatPoint: "is [x, y] or a GeoJSON Point"
        case .notGeometry: "is a GeoJSON geometry with type and coordinates"
        case .unknownType:
            "type is Point, MultiPoint, LineString, Polygon or MultiPolygon"
        case .unknownReferenceSystem:
            "is WGS 84, which needs no crs; a ring encloses the smaller area"
        case .notArray(let level): "is an array of \(level.name)"
        case .tooFew(let level, let minimum): "is an array of at least \(minimum) \(level.name)"
        case .nestedTooDeep:
            "is a number: a position is [longitude, latitude]; a level of brackets too many"
        case .nestedTooShallow(let level):
            "is an array of \(level.name); a level of brackets is missing"
        case .coordinateCount(let count):
            "a position is [longitude, latitude] and perhaps an altitude, not \(count) numbers"
        case .notNumber: "is a number: a position is [longitude, latitude]"
        case .notFinite: "is a finite number"
        case .latitudeOutOfRange(let looksSwapped):
            "latitude is from -90 to 90"
                + (looksSwapped ? "; looks swapped: longitude comes first" : "")
        case .longitudeOutOfRange: "longitude is from -180 to 180"
        case .flatOutOfRange: "a coordinate is from -180 to 180"
        case .lineTooLong: "the way to the next position is shorter than half around the globe"
        case .tooManyPositions(let limit): "at most \(limit) positions"
        case .rings(let error): error.rule
        }
    }

    /// Path and rule in one line.
    package var message: String {
        let text = path.isEmpty ? rule : "\(path): \(rule)"
        return value.isEmpty ? text : "\(text), got \(value)"
    }

    func prefixed(by step: String) -> GeoJSONError {
        GeoJSONError(path: path.isEmpty ? step : step + "." + path, fault: fault, value: value)
    }
}

extension GeoError {
    /// The rule in words, for people; second places are named by their counts.
    fileprivate var rule: String {
        switch self {
        case .empty: "a polygon has at least one ring"
        case .tooFewPositions(_, _, let count):
            "a ring has at least 4 positions, of which the last is the first; this has \(count)"
        case .unclosedRing: "a ring ends where it begins"
        case .notFinite: "is a finite number"
        case .latitudeOutOfRange: "latitude is from -90 to 90"
        case .longitudeOutOfRange: "longitude is from -180 to 180"
        case .duplicateVertex(_, let first):
            "a ring passes a position once; this is also position \(first)"
        case .edgeTooLong:
            "the way to the next position is shorter than half around the globe"
        case .noArea: "a ring encloses an area; all positions of this are on one line"
        case .selfCrossing(_, let other):
            "a ring does not cross itself; the edge from here crosses the one from position "
                + "\(other.vertex)"
        case .crossingRings(_, let other):
            "rings do not cross; the edge from here crosses the one from position "
                + "\(other.vertex) of ring \(other.ring)"
        case .holeOutsideShell: "a hole lies inside of the outer ring, which comes first"
        case .holeCoversShell:
            "holes leave some of the outer ring's area; with this one nothing is left"
        case .nestedHole(_, _, let inside): "a hole does not lie in another; this is in \(inside)"
        case .overlappingPolygons(let first, _): "polygons do not overlap; this covers \(first)"
        case .tooManyVertices(let count, let limit):
            "at most \(limit) positions, or fewer so close together; these are \(count)"
        case .tooManyRings(let count, let limit): "at most \(limit) rings; these are \(count)"
        }
    }

    /// Where the mistake is, below `coordinates` of a MultiPolygon: polygon, ring, vertex.
    var steps: [Int] {
        switch self {
        case .empty(let polygon): [polygon]
        case .tooFewPositions(let polygon, let ring, _), .unclosedRing(let polygon, let ring),
            .noArea(let polygon, let ring), .holeOutsideShell(let polygon, let ring),
            .holeCoversShell(let polygon, let ring), .nestedHole(let polygon, let ring, _):
            [polygon, ring]
        case .notFinite(let place), .latitudeOutOfRange(let place, _),
            .longitudeOutOfRange(let place, _), .duplicateVertex(let place, _),
            .edgeTooLong(let place), .selfCrossing(let place, _), .crossingRings(let place, _):
            [place.polygon, place.ring, place.vertex]
        case .overlappingPolygons(_, let second): [second]
        case .tooManyVertices, .tooManyRings: []
        }
    }
}
