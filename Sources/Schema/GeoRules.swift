import Documents

/// The structure of places: GeoJSON geometries and `[longitude, latitude]` pairs.
///
/// A third coordinate is altitude and is ignored; further ones are refused.
enum GeoRules {
    /// Positions of one shape, at most.
    static let positionCountMax = 100_000

    /// Which rule a geopoint breaks, nil if none.
    static func brokenPointRule(_ value: TapeValue) -> String? {
        switch value.kind {
        case .array: return brokenPositionRule(value)
        case .object:
            guard let type = value.member("type"), text(type, is: "Point"),
                let coordinates = value.member("coordinates")
            else { return "is a GeoJSON Point or [longitude, latitude]" }
            return brokenPositionRule(coordinates)
        case .null, .bool, .number, .string: return "is a GeoJSON Point or [longitude, latitude]"
        }
    }

    /// Which rule a geoshape breaks, nil if none.
    static func brokenShapeRule(_ value: TapeValue) -> String? {
        guard let type = value.member("type"), type.kind == .string,
            let coordinates = value.member("coordinates")
        else { return "is a GeoJSON geometry with type and coordinates" }
        if text(type, is: "Point") { return brokenPositionRule(coordinates) }
        if text(type, is: "MultiPoint") {
            return brokenRule(in: coordinates, atLeast: 1, brokenPositionRule)
        }
        if text(type, is: "LineString") {
            return brokenRule(in: coordinates, atLeast: 2, brokenPositionRule)
        }
        if text(type, is: "Polygon") { return brokenPolygonRule(coordinates) }
        if text(type, is: "MultiPolygon") {
            return brokenRule(in: coordinates, atLeast: 1, brokenPolygonRule)
        }
        return "geometry is Point, MultiPoint, LineString, Polygon or MultiPolygon"
    }

    private static func text(_ value: TapeValue, is expected: StaticString) -> Bool {
        let bytes = UnsafeRawBufferPointer(
            start: expected.utf8Start,
            count: expected.utf8CodeUnitCount
        )
        return value.kind == .string && bytesEqual(value.stringBytes, bytes)
    }

    private static func brokenPolygonRule(_ rings: TapeValue) -> String? {
        brokenRule(in: rings, atLeast: 1, brokenRingRule)
    }

    private static func brokenRingRule(_ ring: TapeValue) -> String? {
        if let rule = brokenRule(in: ring, atLeast: 4, brokenPositionRule) { return rule }
        guard let first = ring.element(0), let last = ring.element(ring.count - 1),
            first.element(0)?.double == last.element(0)?.double,
            first.element(1)?.double == last.element(1)?.double
        else { return "a ring ends where it begins" }
        return nil
    }

    private static func brokenRule(
        in list: TapeValue,
        atLeast minimum: Int,
        _ check: (TapeValue) -> String?
    ) -> String? {
        guard list.kind == .array, list.count >= minimum else {
            return "coordinates are an array of at least \(minimum)"
        }
        guard list.count <= positionCountMax else { return "at most \(positionCountMax) positions" }
        var children = list.children
        while let child = children.next() {
            if let rule = check(child.value) { return rule }
        }
        return nil
    }

    private static func brokenPositionRule(_ position: TapeValue) -> String? {
        guard position.kind == .array, position.count == 2 || position.count == 3 else {
            return "a position is [longitude, latitude]"
        }
        var children = position.children
        var index = 0
        while let child = children.next() {
            guard child.value.kind == .number else { return "a position holds numbers" }
            let number = child.value.double
            if index == 0 && !(number >= -180 && number <= 180) {
                return "longitude from -180 to 180"
            }
            if index == 1 && !(number >= -90 && number <= 90) { return "latitude from -90 to 90" }
            index += 1
        }
        return nil
    }
}
