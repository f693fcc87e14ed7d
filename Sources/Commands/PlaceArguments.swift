import Engine
import GeoIndex
import RESP

/// Reads coordinates and distances of commands; every error names what is wrong and the bound.
enum PlaceArguments {
    /// Half the way around the sphere: no two places are further apart.
    static let metersMax = Sphere.meters(angle: Double.pi)

    /// A longitude and, behind it, a latitude, in degrees.
    static func place(_ frame: RequestFrame, at index: Int) throws(EngineError) -> LatLng {
        LatLng(
            latitude: try latitude(frame.string(index + 1), "latitude"),
            longitude: try longitude(frame.string(index), "longitude"))
    }

    static func longitude(_ text: String, _ name: String) throws(EngineError) -> Double {
        let value = try number(text, name)
        guard value.magnitude <= 180 else {
            throw EngineError(
                .invalid, name, "is from -180 to 180, got \(text.prefix(64))",
                hint: "longitude comes first, then latitude")
        }
        return value
    }

    static func latitude(_ text: String, _ name: String) throws(EngineError) -> Double {
        let value = try number(text, name)
        guard value.magnitude <= 90 else {
            throw EngineError(
                .invalid, name, "is from -90 to 90, got \(text.prefix(64))",
                hint: "longitude comes first, then latitude")
        }
        return value
    }

    private static func number(_ text: String, _ name: String) throws(EngineError) -> Double {
        guard let value = Double(text), value.isFinite else {
            throw EngineError(.invalid, name, "is a number of degrees, got \(text.prefix(64))")
        }
        return value
    }

    /// A distance with its unit: `250m`, `2.5km`, `3mi`; in metres.
    static func meters(_ text: String, _ name: String) throws(EngineError) -> Double {
        let digits = text.utf8.prefix { ($0 | 0x20) < 0x61 || ($0 | 0x20) > 0x7A }
        let factor: Double
        switch String(text.utf8.dropFirst(digits.count)) {
        case "m"?: factor = 1
        case "km"?: factor = 1_000
        case "mi"?: factor = 1_609.344
        default:
            throw EngineError(
                .invalid, name,
                "is a distance with its unit such as 250m, 5km or 3mi, got \(text.prefix(64))")
        }
        guard let value = String(digits).flatMap(Double.init), value.isFinite, value >= 0 else {
            throw EngineError(
                .invalid, name,
                "is a distance from 0m such as 250m, 5km or 3mi, got \(text.prefix(64))")
        }
        let meters = value * factor
        guard meters <= metersMax else {
            throw EngineError(
                .invalid, name,
                "is at most half the way around the globe, \(Int(metersMax))m, "
                    + "got \(text.prefix(64))")
        }
        return meters
    }
}
