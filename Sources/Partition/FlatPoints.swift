package import GeoJSON
package import Primitives

/// Points on a plane by row: for fields of type `2d`, compared one by one.
///
/// ```
/// xs, ys  [Double]  by row: the first point; x is NaN for none
/// more    further points of rows that have several
/// ```
package final class FlatPoints {
    let xs = GrowableBuffer<Double>(fill: .nan)
    let ys = GrowableBuffer<Double>(fill: .nan)
    var more: [Slot: [FlatPoint]] = [:]

    var byteCount: Int {
        xs.byteCount + ys.byteCount + more.values.reduce(0) { $0 + 32 + $1.count * 16 }
    }

    /// One past the last row that may have a point.
    var slotBound: Int { xs.count }

    func set(_ slot: Slot, _ points: [FlatPoint]) {
        guard let first = points.first else { return }
        if Int(slot) >= xs.count {
            xs.resize(to: Int(slot) + 1)
            ys.resize(to: Int(slot) + 1)
        }
        (xs[Int(slot)], ys[Int(slot)]) = (first.x, first.y)
        if points.count > 1 { more[slot] = Array(points.dropFirst()) }
    }

    func clear(_ slot: Slot) {
        guard Int(slot) < xs.count else { return }
        xs[Int(slot)] = .nan
        if !more.isEmpty { more[slot] = nil }
    }

    /// Calls `body` with the points of a row until it says true; whether it did.
    func hasPoint(_ slot: Slot, where body: (FlatPoint) -> Bool) -> Bool {
        guard Int(slot) < xs.count, !xs[Int(slot)].isNaN else { return false }
        if body(FlatPoint(x: xs[Int(slot)], y: ys[Int(slot)])) { return true }
        if more.isEmpty { return false }
        return more[slot]?.contains(where: body) ?? false
    }

    /// The least distance from a place to a row's points; nil if it has none.
    package func distance(of slot: Slot, to center: FlatPoint) -> Double? {
        var least: Double?
        _ = hasPoint(slot) { point in
            let distance = point.distance(to: center)
            least = min(least ?? distance, distance)
            return false
        }
        return least
    }
}

extension FlatPoint {
    /// The straight distance on the plane.
    package func distance(to other: FlatPoint) -> Double {
        let (dx, dy) = (x - other.x, y - other.y)
        return (dx * dx + dy * dy).squareRoot()
    }
}
