import Engine
import GeoIndex
import RESP

/// Reads coordinates and distances of commands; every error names what is wrong and the bound.
enum PlaceArguments {
    /// Half the way around the sphere: no two places are further apart.
    static let metersMax = Sphere.meters(angle: Double.pi)

    /// A longitude and, behind it, a latitude, in degrees.
    static func place(_ frame: RequestFrame, at index: Int) throws(EngineError) -> LatLng {
        if let latitude = plainNumber(frame.bytes(index + 1)), latitude.magnitude <= 90,
            let longitude = plainNumber(frame.bytes(index)), longitude.magnitude <= 180
        {
            return LatLng(latitude: latitude, longitude: longitude)
        }
        return LatLng(
            latitude: try latitude(frame.string(index + 1), "latitude"),
            longitude: try longitude(frame.string(index), "longitude"))
    }

    /// 10^0 … 10^15: exact.
    private static let powersOfTen: [Double] = [
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ]

    /// A number of at most 15 digits without an exponent, as nearly all are; nil for all else.
    ///
    /// Both the digits as an integer and the power of ten are exact doubles, so that their quotient
    /// is the nearest to the decimal (W. D. Clinger, How to read floating point numbers, 1990).
    static func plainNumber(_ text: UnsafeRawBufferPointer) -> Double? {
        var digits: Int64 = 0
        var (digitCount, scale) = (0, -1)
        let start = text.first == UInt8(ascii: "-") ? 1 : 0
        for index in start..<text.count {
            let byte = text[index]
            if byte == UInt8(ascii: "."), scale < 0, digitCount > 0 {
                scale = 0
                continue
            }
            guard byte &- 0x30 < 10, digitCount < 15 else { return nil }
            digits = digits * 10 + Int64(byte &- 0x30)
            digitCount += 1
            if scale >= 0 { scale += 1 }
        }
        guard digitCount > 0, scale != 0 else { return nil }
        let value = scale > 0 ? Double(digits) / powersOfTen[scale] : Double(digits)
        return start == 1 ? -value : value
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
        let plain = text.utf8.prefix(digits.count).withContiguousStorageIfAvailable {
            plainNumber(UnsafeRawBufferPointer($0))
        }
        guard let value = plain.flatMap({ $0 }) ?? String(digits).flatMap(Double.init),
            value.isFinite, value >= 0
        else {
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
