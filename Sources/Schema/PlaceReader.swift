import Documents
import GeoIndex
import GeoJSON

/// Places have their rules beside their own types: this only translates.
enum PlaceReader {
    /// A line holds no place, and no lookup would ever find it.
    static let lineIsNoZone = ValidationError(
        path: "type",
        rule: "is Point, MultiPoint, Polygon or MultiPolygon: lookups find no lines; a field of "
            + "type json keeps one",
        value: "\"LineString\"")

    /// The place of a geopoint, 2d or geoshape field, or which rule it breaks.
    static func place(
        _ value: TapeValue, _ node: PlanNode
    ) throws(ValidationError) -> PreparedDocument.PlaceValue.Place {
        do throws(GeoJSONError) {
            if node.kind == .geoshape { return .shape(try GeoJSON.shape(value)) }
            if node.flags.contains(.flat) { return .flat(try GeoJSON.flatPoint(value)) }
            return .point(try GeoJSON.point(value))
        } catch {
            throw ValidationError(path: error.path, rule: error.rule, value: error.value)
        }
    }
}

/// Where documents have the radius of a zone around the points of a field.
struct RadiusPath: Sendable {
    let field: FieldNumber
    let path: String
    let steps: [String]
    /// Kilometres where a document has none.
    let fallback: Double?

    init(field: FieldNumber, path: String, fallback: JSON?) {
        self.field = field
        self.path = path
        steps = path.split(separator: ".").map(String.init)
        self.fallback = fallback?.number?.double
    }

    /// Half around the globe: no two places are further apart.
    static let kilometersMax = Double.pi * Sphere.radiusMeters / 1_000

    /// Kilometres in a document: nil where it has none.
    func kilometers(in root: TapeValue) throws(ValidationError) -> Double? {
        var value = root
        for step in steps {
            guard let member = value.member(step) else { return fallback }
            value = member
        }
        if value.isNull { return nil }
        // Decimals may be strings.
        let number = value.kind == .string ? Double(value.string) ?? .nan : value.double
        guard number >= 0 && number <= RadiusPath.kilometersMax else {
            throw ValidationError(
                path: path, rule: "a radius is from 0 to 20015 kilometres", value: describe(value))
        }
        return number
    }
}

extension DocumentWalk {
    /// Gives points the radii of their zones.
    mutating func addRadii(_ root: TapeValue) throws(ValidationError) {
        guard isValidating || takesPlaces else { return }
        for radius in plan.radii {
            guard let kilometers = try radius.kilometers(in: root) else { continue }
            for index in places.indices where places[index].field == radius.field {
                places[index].radiusMeters = kilometers * 1_000
            }
        }
    }
}
