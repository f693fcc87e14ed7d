import Foundation
import GeoIndex
import Primitives

/// Places for random tests: half of them where geometry is hard.
enum RandomPlaces {
    static func unit(_ random: inout SplitMix64) -> Double {
        Double(random.next() >> 11) * 0x1p-53
    }

    static func point(_ random: inout SplitMix64) -> SpherePoint {
        SpherePoint(place(&random))
    }

    /// Anywhere, near a pole, the antimeridian, an edge or corner of the cube, or in one city.
    static func place(_ random: inout SplitMix64) -> LatLng {
        func spread(_ width: Double) -> Double { (unit(&random) * 2 - 1) * width }
        // Distances from the special place over many orders of magnitude.
        let near = pow(10, -Double(random.next() % 9))
        func clamp(_ latitude: Double) -> Double { max(-90, min(90, latitude)) }
        func wrap(_ longitude: Double) -> Double {
            longitude > 180 ? longitude - 360 : longitude < -180 ? longitude + 360 : longitude
        }
        switch random.next() % 12 {
        case 0: return LatLng(latitude: clamp(90 - spread(near).magnitude), longitude: spread(180))
        case 1: return LatLng(latitude: clamp(-90 + spread(near).magnitude), longitude: spread(180))
        case 2: return LatLng(latitude: spread(90), longitude: wrap(180 + spread(near)))
        case 3: return LatLng(latitude: spread(45), longitude: 45 + spread(near))
        case 4:
            return LatLng(
                latitude: 35.264389682754654 + spread(near), longitude: -45 + spread(near))
        case 5: return LatLng(latitude: spread(near), longitude: spread(near))
        case 6: return LatLng(latitude: 47.6 + spread(0.1), longitude: -122.33 + spread(0.1))
        default:
            let z = spread(1)
            return LatLng(latitude: asin(z) * 180 / .pi, longitude: spread(180))
        }
    }
}
