import Engine
import GeoIndex
import RESP

/// Reads coordinates and distances of commands; every error names what is wrong and the bound.
enum PlaceArguments {
    /// Half the way around the sphere: no two places are further apart.
    static let metersMax = Sphere.meters(angle: Double.pi)

    /// A longitude and, behind it, a latitude, in degrees.
    static func place(_ options: Options, at index: Int) throws(EngineError) -> LatLng {
        let frame = options.frame
        if let latitude = plainNumber(frame.bytes(index + 1)), latitude.magnitude <= 90,
            let longitude = plainNumber(frame.bytes(index)), longitude.magnitude <= 180
        {
            return LatLng(latitude: latitude, longitude: longitude)
        }
        return LatLng(
            latitude: try latitude(options.argument(index + 1), "latitude"),
            longitude: try longitude(options.argument(index), "longitude"))
    }

    // MARK: - Forms

    static let boxForm = EngineError(
        .syntax, "BOX", "takes west south east north, four numbers")
    static let circleForm = EngineError(
        .syntax, "CIRCLE", "takes a longitude, a latitude and a radius such as 5km")

    /// Refuses an option's name among the numbers behind `BOX` or `CIRCLE`: one of them is missing.
    static func checkForm(
        _ frame: RequestFrame, _ numbers: Range<Int>, _ rules: [OptionRule], isBox: Bool
    ) throws(EngineError) {
        let form = isBox ? boxForm : circleForm
        guard frame.count >= numbers.upperBound else { throw form }
        for index in numbers {
            guard let byte = frame.bytes(index).first, (byte | 0x20) &- 0x61 < 26,
                rules.contains(where: { frame.equals(index, text: $0.name) })
            else { continue }
            throw form
        }
    }

    // MARK: - Numbers

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

    /// - Parameter isFlat: for a plane, whose second coordinate goes as far as the first.
    static func latitude(
        _ text: String, _ name: String, isFlat: Bool = false
    ) throws(EngineError) -> Double {
        if isFlat { return try longitude(text, name) }
        let value = try number(text, name)
        guard value.magnitude <= 90 else {
            throw EngineError(
                .invalid, name, "is from -90 to 90, got \(text.prefix(64))",
                hint: "longitude comes first, then latitude")
        }
        return value
    }

    private static func number(_ text: String, _ name: String) throws(EngineError) -> Double {
        guard let value = Options.decimal(text), value.isFinite else {
            throw EngineError(.invalid, name, "is a number of degrees, got \(text.prefix(64))")
        }
        return value
    }

    /// The same of an option's bytes, which are its text unless they name a parameter.
    static func meters(
        _ bytes: UnsafeRawBufferPointer, _ options: Options, _ name: String
    ) throws(EngineError) -> Double {
        let unitCount = bytes.count > 2 && bytes[bytes.count - 2] == UInt8(ascii: "k") ? 2 : 1
        if bytes.count > unitCount, bytes[bytes.count - 1] == UInt8(ascii: "m"),
            let value = plainNumber(UnsafeRawBufferPointer(rebasing: bytes.dropLast(unitCount))),
            value >= 0
        {
            let meters = unitCount == 2 ? value * 1_000 : value
            if meters <= metersMax { return meters }
        }
        return try meters(try options.text(name) ?? "", name)
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
