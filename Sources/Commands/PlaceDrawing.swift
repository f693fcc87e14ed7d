import Documents
import GeoIndex
import GeoJSON
import Query

/// How `EXPLAIN` is to answer.
enum Explanation {
    /// Not at all: the lookup's own reply.
    case none
    /// With its plan.
    case plan
    /// With a drawing.
    case drawing(DrawingFormat)

    var isPlan: Bool { if case .plan = self { true } else { false } }
    var isNone: Bool { if case .none = self { true } else { false } }
}

enum DrawingFormat {
    case geoJSON, svg
}

/// A picture of a lookup by place: what it asked for, the cells that cover it, and its hits.
struct PlaceDrawing {
    private struct Shape {
        var outline: Outline
        var kind: String
    }
    private struct Hit {
        var geometry: Geometry
        var id: String
        var meters: Double?
    }

    /// Cells of one region's covering, at most about.
    private static let cellCountMax = 24

    private var shapes: [Shape] = []
    private var centers: [LatLng] = []
    private var hits: [Hit] = []

    /// Adds what a condition of a filter asks for.
    mutating func add(_ test: PlaceTest) {
        switch test.kind {
        case .region(let region, _): add(region)
        case .degrees(let region), .flat(let region):
            let (low, high) = region.bounds
            func clamped(_ value: Double, _ bound: Double) -> Double {
                max(-bound, min(bound, value))
            }
            add(
                .box(
                    LatLngRect(
                        south: clamped(low.y, 90), west: clamped(low.x, 180),
                        north: clamped(high.y, 90), east: clamped(high.x, 180))))
        case .ellipsoid(let center, _, let to):
            add(.cap(Cap(center: SpherePoint(center), radiusMeters: min(to, 3e7)), from: 0))
        case .zone(let place, _, _): centers.append(place)
        }
    }

    /// Adds a region and the cells that cover it.
    mutating func add(_ region: PlaceRegion) {
        let outline: Outline
        switch region {
        case .point(let p): return centers.append(p.latLng)
        case .cap(let cap, _):
            centers.append(cap.center.latLng)
            outline = Outline(cap)
        case .box(let box): outline = Outline(box)
        case .polygon(let region): outline = Outline(region.polygon)
        }
        let cells = region.covering(cellCountMax: Self.cellCountMax)
        shapes.append(Shape(outline: Outline(cells), kind: "cells"))
        shapes.append(Shape(outline: outline, kind: "region"))
    }

    /// Adds the zone around a hit's point.
    mutating func add(zone cap: Cap) {
        shapes.append(Shape(outline: Outline(cap), kind: "region"))
    }

    mutating func add(center: LatLng) { centers.append(center) }

    mutating func add(hit id: [UInt8], _ geometry: Geometry, meters: Double? = nil) {
        hits.append(
            Hit(geometry: geometry, id: String(decoding: id, as: UTF8.self), meters: meters))
    }

    // MARK: - GeoJSON

    /// A FeatureCollection: each feature's `kind` is `region`, `cells`, `center` or `hit`.
    var geoJSON: [UInt8] {
        var writer = GeoJSONWriter()
        func kind(_ name: String) -> JSONObject {
            JSONObject([(key: "kind", value: .string(name))])
        }
        for shape in shapes { writer.add(shape.outline, properties: kind(shape.kind)) }
        for center in centers { writer.add(center, properties: kind("center")) }
        for hit in hits {
            var properties = kind("hit")
            properties["id"] = .string(hit.id)
            if let meters = hit.meters { properties["distance_m"] = .double(meters) }
            writer.add(hit.geometry, properties: properties)
        }
        writer.finish()
        return writer.bytes
    }

    // MARK: - SVG

    /// Longitudes to the right, latitudes upwards; a title on each hit names it.
    var svg: [UInt8] {
        let frame = SVGFrame(rings: allRings)
        var text = frame.head
        for shape in shapes where shape.kind == "cells" {
            text += frame.path(shape.outline, #"class="cells" fill="none" stroke="cadetblue""#)
        }
        for shape in shapes where shape.kind == "region" {
            text += frame.path(
                shape.outline,
                #"class="region" fill="steelblue" fill-opacity=".15" fill-rule="evenodd""#
            )
        }
        for hit in hits {
            let title = "<title>\(Self.escaped(hit.id))</title>"
            switch hit.geometry {
            case .point(let point):
                text += frame.dot(point, #"class="hit" fill="crimson""#, title)
            case .multiPoint(let points), .lineString(let points):
                for point in points {
                    text += frame.dot(point, #"class="hit" fill="crimson""#, title)
                }
            case .polygon(let polygon):
                text += frame.path(
                    Outline(polygon),
                    #"class="hit" fill="crimson" fill-opacity=".2" stroke="crimson""#,
                    title)
            }
        }
        for center in centers { text += frame.dot(center, #"class="center" fill="black""#, "") }
        return Array((text + "</svg>").utf8)
    }

    /// What has to be on the sheet, in rings and single places.
    private var allRings: [Outline.Ring] {
        var rings = centers.map { [$0] }
        for shape in shapes where shape.kind == "region" {
            rings += shape.outline.polygons.flatMap(\.self)
        }
        for hit in hits {
            switch hit.geometry {
            case .point(let point): rings.append([point])
            case .multiPoint(let all), .lineString(let all): rings += all.map { [$0] }
            case .polygon(let polygon): rings += Outline(polygon).polygons.flatMap(\.self)
            }
        }
        return rings
    }

    /// Ids are any text: what markup means something by is written out.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case _ where scalar.value < 0x20: result += " "
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// Where a drawing's places lie on the sheet.
private struct SVGFrame {
    private let west: Double
    private let north: Double
    private let width: Double
    private let height: Double
    private let scale: Double

    /// The sheet begins behind the widest gap between what is on it, so that what lies around the
    /// antimeridian is drawn together.
    ///
    /// - Parameter rings: each within the map, from longitude -180 to 180.
    init(rings: [Outline.Ring]) {
        var (south, north) = (90.0, -90.0)
        var spans: [(west: Double, east: Double)] = []
        for ring in rings {
            guard var (west, east) = ring.first.map({ ($0.longitude, $0.longitude) }) else {
                continue
            }
            for point in ring {
                west = min(west, point.longitude)
                east = max(east, point.longitude)
                south = min(south, point.latitude)
                north = max(north, point.latitude)
            }
            spans.append((west, east))
        }
        if spans.isEmpty { (spans, south, north) = ([(-180, 180)], -90, 90) }
        spans.sort { $0.west < $1.west }
        var (west, east) = (spans[0].west, spans[0].east)
        // The gap from the eastern end around to the western one, and those in between.
        var gap = west + 360 - (spans.map(\.east).max() ?? east)
        for span in spans.dropFirst() {
            if span.west - east > gap { (gap, west) = (span.west - east, span.west) }
            east = max(east, span.east)
        }
        east = west + 360 - gap
        let margin = max((east - west) * 0.05, (north - south) * 0.05, 1e-4)
        self.west = west - margin
        self.north = north + margin
        width = east - west + 2 * margin
        height = north - south + 2 * margin
        scale = 1_000 / max(width, height)
    }

    var head: String {
        let (w, h) = (number(width * scale), number(height * scale))
        return #"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 "# + "\(w) \(h)\">"
    }

    private func number(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }

    /// - Parameter turn: degrees further east.
    private func place(_ p: LatLng, turn: Double) -> (x: String, y: String) {
        let x = (p.longitude + turn - west) * scale
        return (number(x), number((north - p.latitude) * scale))
    }

    /// 0 or 360: by which of them a longitude comes nearer to the middle of the sheet. Cells reach
    /// beyond what the sheet was made for, to both sides.
    private func turn(_ longitude: Double) -> Double {
        let middle = west + width / 2
        return abs(longitude + 360 - middle) < abs(longitude - middle) ? 360 : 0
    }

    func path(_ outline: Outline, _ attributes: String, _ title: String = "") -> String {
        var data = ""
        for ring in outline.polygons.flatMap({ $0 }) {
            // A ring lies within the map and is drawn in one piece.
            let longitudes = ring.map(\.longitude)
            guard let low = longitudes.min(), let high = longitudes.max() else { continue }
            let turn = turn((low + high) / 2)
            for (index, point) in ring.enumerated() {
                let (x, y) = place(point, turn: turn)
                data += "\(index == 0 ? "M" : "L")\(x) \(y)"
            }
            data += "Z"
        }
        return "<path \(attributes) d=\"\(data)\">\(title)</path>"
    }

    func dot(_ point: LatLng, _ attributes: String, _ title: String) -> String {
        let (x, y) = place(point, turn: turn(point.longitude))
        return "<circle \(attributes) cx=\"\(x)\" cy=\"\(y)\" r=\"4\">\(title)</circle>"
    }
}
