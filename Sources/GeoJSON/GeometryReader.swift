import Documents
import GeoIndex

/// Reads the arrays of one geometry and counts its positions.
struct GeometryReader {
    let positionCountMax: Int
    private var positionCount = 0

    init(positionCountMax: Int) { self.positionCountMax = positionCountMax }

    /// An array of positions.
    mutating func positions(
        _ value: TapeValue, atLeast minimum: Int
    ) throws(GeoJSONError) -> [LatLng] {
        try checkForm(value, .positions)
        positionCount += value.count
        guard positionCount <= positionCountMax else {
            throw GeoJSONError(
                path: "", fault: .tooManyPositions(limit: positionCountMax), value: "")
        }
        var result: [LatLng] = []
        result.reserveCapacity(value.count)
        var children = value.children
        while let child = children.next() {
            do throws(GeoJSONError) {
                result.append(try GeoJSON.position(child.value))
            } catch {
                throw error.prefixed(by: String(result.count))
            }
        }
        guard result.count >= minimum else {
            throw GeoJSON.fault(.tooFew(of: .positions, minimum: minimum), value)
        }
        return result
    }

    /// Refuses what is no array, and an array of numbers, which is one level too few.
    private func checkForm(
        _ value: TapeValue, _ level: GeoJSONError.Level
    ) throws(GeoJSONError) {
        guard value.kind == .array else { throw GeoJSON.fault(.notArray(of: level), value) }
        if value.element(0)?.kind == .number {
            throw GeoJSON.fault(.nestedTooShallow(level), value)
        }
    }

    /// The positions of a line.
    mutating func line(_ value: TapeValue) throws(GeoJSONError) -> [LatLng] {
        let positions = try positions(value, atLeast: 2)
        for index in 1..<positions.count {
            let angle = SpherePoint(positions[index - 1]).angle(to: SpherePoint(positions[index]))
            // As Polygon has it: nearer to the antipode an edge has no direction.
            guard angle < 179.9 * (Double.pi / 180) else {
                throw GeoJSONError(path: String(index - 1), fault: .lineTooLong, value: "")
            }
        }
        return positions
    }

    /// The rings of one polygon: an outer one and holes. How they lie is checked later.
    mutating func rings(_ value: TapeValue) throws(GeoJSONError) -> [[LatLng]] {
        try list(value, of: .rings) { reader, ring throws(GeoJSONError) in
            try reader.positions(ring, atLeast: 0)
        }
    }

    /// The polygons of a MultiPolygon.
    mutating func polygons(_ value: TapeValue) throws(GeoJSONError) -> [[[LatLng]]] {
        try list(value, of: .polygons) { reader, polygon throws(GeoJSONError) in
            try reader.rings(polygon)
        }
    }

    private mutating func list<Element>(
        _ value: TapeValue, of level: GeoJSONError.Level,
        _ body: (inout GeometryReader, TapeValue) throws(GeoJSONError) -> Element
    ) throws(GeoJSONError) -> [Element] {
        try checkForm(value, level)
        guard value.count <= positionCountMax else {
            throw GeoJSONError(
                path: "", fault: .tooManyPositions(limit: positionCountMax), value: "")
        }
        var result: [Element] = []
        result.reserveCapacity(value.count)
        var children = value.children
        while let child = children.next() {
            do throws(GeoJSONError) {
                result.append(try body(&self, child.value))
            } catch {
                throw error.prefixed(by: String(result.count))
            }
        }
        return result
    }

    /// Makes the polygon of rings and puts its errors where they belong in the text.
    func polygon(
        _ polygons: [[[LatLng]]], isMultiple: Bool
    ) throws(GeoJSONError) -> Geometry {
        do throws(GeoError) {
            return .polygon(
                try Polygon(polygons: polygons, vertexCountMax: positionCountMax))
        } catch {
            let steps = isMultiple ? error.steps[...] : error.steps.dropFirst()
            throw GeoJSONError(
                path: steps.map(String.init).joined(separator: "."), fault: .rings(error),
                value: "")
        }
    }
}
