import Foundation
import GeoIndex
import Primitives
import Testing

@Suite struct GeodesicTests {
    private func meters(_ a: (Double, Double), _ b: (Double, Double)) -> Double {
        EarthModel.wgs84.meters(
            LatLng(latitude: a.0, longitude: a.1), LatLng(latitude: b.0, longitude: b.1))
    }

    private func own(_ name: String) throws -> [[Double]] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
        let text = try String(contentsOf: folder.appending(path: "Golden/\(name)"), encoding: .utf8)
        return text.split(separator: "\n").dropFirst().map { line in
            line.split(separator: "\t").map { Double($0) ?? .nan }
        }
    }

    @Test func distancesEqualTheDirectProblemIn40Digits() throws {
        let rows = try own("geodesics.tsv")
        #expect(rows.count == 60)
        for row in rows {
            let found = meters((row[0], row[1]), (row[2], row[3]))
            #expect((found - row[4]).magnitude < 2e-8, "\(row) \(found)")
        }
    }

    @Test func publishedDistancesAreMet() {
        // A quarter of a meridian, a degree of the equator, half a meridian between antipodes.
        #expect((meters((0, 7), (90, 50)) - 10_001_965.729).magnitude < 1e-3)
        #expect((meters((0, 0), (0, 1)) - 111_319.490_793).magnitude < 1e-6)
        #expect((meters((0, 0), (0, 180)) - 20_003_931.459).magnitude < 1e-3)
        #expect((meters((0, 0), (0.5, 179.5)) - 19_936_288.579).magnitude < 1e-3)
        // Nearly antipodes, where simpler iterations fail: Karney's paper, section 5.
        #expect((meters((-30, 0), (29.9, 179.8)) - 19_989_832.827_610).magnitude < 1e-5)
    }

    @Test func distancesAreSymmetricAndZeroOnlyBetweenEqualPlaces() {
        var random = SplitMix64(seed: 111)
        for _ in 0..<1_000 {
            let (a, b) = (RandomPlaces.place(&random), RandomPlaces.place(&random))
            let there = EarthModel.wgs84.meters(a, b)
            #expect((there - EarthModel.wgs84.meters(b, a)).magnitude < 2e-8, "\(a) \(b)")
            let sphere = EarthModel.sphere.meters(a, b)
            #expect((there - sphere).magnitude <= 0.0057 * sphere + 1e-6, "\(a) \(b)")
            #expect(sphere <= EarthModel.wgs84.sphereMeters(covering: there), "\(a) \(b)")
            #expect(EarthModel.wgs84.meters(a, a) < 1e-8)
        }
    }

    @Test func nearAntipodesTheBracketCloses() {
        var random = SplitMix64(seed: 112)
        for _ in 0..<500 {
            let a = RandomPlaces.place(&random)
            let spread = pow(10, -Double(random.next() % 10))
            let turned = a.longitude > 0 ? a.longitude - 180 : a.longitude + 180
            let b = LatLng(
                latitude: max(
                    -90, min(90, -a.latitude + (RandomPlaces.unit(&random) - 0.5) * spread)),
                longitude: max(-180, min(180, turned + (RandomPlaces.unit(&random) - 0.5) * spread))
            )
            let found = EarthModel.wgs84.meters(a, b)
            #expect(found > 1.98e7 && found < 20_003_932, "\(a) \(b) \(found)")
        }
    }
}
