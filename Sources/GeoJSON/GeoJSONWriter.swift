package import Documents
package import GeoIndex

/// Writes a FeatureCollection: shapes with properties, one after another.
///
/// The text is valid GeoJSON after ``finish()`` only.
package struct GeoJSONWriter {
    /// The text so far, UTF-8.
    package private(set) var bytes: [UInt8] = []
    private var isEmpty = true

    package init() { text(#"{"type":"FeatureCollection","features":["#) }

    /// A place, with its numbers as they are.
    package mutating func add(_ place: LatLng, properties: JSONObject) {
        feature("Point", properties) { writer in writer.position(place) }
    }

    /// A shape's outline: a Polygon or a MultiPolygon. An empty one has no feature.
    package mutating func add(_ outline: Outline, properties: JSONObject) {
        guard let first = outline.polygons.first else { return }
        if outline.polygons.count == 1 {
            feature("Polygon", properties) { writer in writer.rings(first) }
        } else {
            feature("MultiPolygon", properties) { writer in
                writer.list(outline.polygons) { writer, polygon in writer.rings(polygon) }
            }
        }
    }

    /// A geometry. Points and lines keep their numbers, polygons are outlined.
    package mutating func add(_ geometry: Geometry, properties: JSONObject) {
        switch geometry {
        case .point(let place): add(place, properties: properties)
        case .multiPoint(let places):
            feature("MultiPoint", properties) { writer in
                writer.list(places) { writer, place in writer.position(place) }
            }
        case .lineString(let places):
            feature("LineString", properties) { writer in
                writer.list(places) { writer, place in writer.position(place) }
            }
        case .polygon(let polygon): add(Outline(polygon), properties: properties)
        }
    }

    /// Ends the collection. Nothing may be added afterwards.
    package mutating func finish() { text("]}") }

    private mutating func text(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func feature(
        _ type: String, _ properties: JSONObject, _ coordinates: (inout GeoJSONWriter) -> Void
    ) {
        if !isEmpty { text(",") }
        isEmpty = false
        text(#"{"type":"Feature","properties":"#)
        JSON.object(properties).serialize(into: &bytes)
        text(#","geometry":{"type":""# + type + #"","coordinates":"#)
        coordinates(&self)
        text("}}")
    }

    private mutating func list<Element>(
        _ elements: [Element], _ body: (inout GeoJSONWriter, Element) -> Void
    ) {
        text("[")
        for (index, element) in elements.enumerated() {
            if index > 0 { text(",") }
            body(&self, element)
        }
        text("]")
    }

    private mutating func rings(_ rings: [Outline.Ring]) {
        list(rings) { writer, ring in
            writer.list(ring) { writer, place in writer.position(place) }
        }
    }

    private mutating func position(_ place: LatLng) {
        text("[")
        JSON.double(place.longitude).serialize(into: &bytes)
        text(",")
        JSON.double(place.latitude).serialize(into: &bytes)
        text("]")
    }
}
