import Foundation
import GeoIndex

/// Values computed with Google's S2 library; `AISLE_S2_GOLDEN` names a folder with more of them.
enum GoldenFiles {
    /// The rows of a file without its heading, split at tabs.
    static func rows(_ name: String) throws -> [[String]] {
        try lines(name).dropFirst().map { $0.components(separatedBy: "\t") }
    }

    static func lines(_ name: String) throws -> [String] {
        let own = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")
        let other = ProcessInfo.processInfo.environment["AISLE_S2_GOLDEN"]
        let folder = other.map { URL(filePath: $0) } ?? own
        let text = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
        return text.split(separator: "\n").map(String.init)
    }

    /// A polygon, its area and points with what S2 says about them.
    struct Polygon {
        var name: String
        var area: Double
        var rings: [[LatLng]] = []
        var points: [(LatLng, Bool)] = []
    }

    static func polygons() throws -> [Polygon] {
        var result: [Polygon] = []
        for line in try lines("polygons.txt") {
            let words = line.split(separator: " ")
            let numbers = words.dropFirst().map { Double($0) ?? .nan }
            switch words.first {
            case "polygon":
                result.append(Polygon(name: String(words[1]), area: numbers[1]))
            case "ring":
                result[result.count - 1].rings.append(
                    stride(from: 0, to: numbers.count, by: 2).map {
                        LatLng(latitude: numbers[$0 + 1], longitude: numbers[$0])
                    })
            case "point":
                result[result.count - 1].points.append(
                    (LatLng(latitude: numbers[1], longitude: numbers[0]), numbers[2] == 1))
            default: continue
            }
        }
        return result
    }
}
