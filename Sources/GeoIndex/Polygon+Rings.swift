extension Polygon {
    /// The vertices of all rings: polygons, rings of each with the outer one first, and the
    /// vertices of a ring, the first again at its end. Outer rings run counterclockwise, holes
    /// clockwise.
    ///
    /// - Complexity: O(vertices).
    package var ringVertices: [[[SpherePoint]]] {
        var result = [[[SpherePoint]]](repeating: [], count: polygonCount)
        for ring in rings {
            let all = UnsafeBufferPointer(start: vertices + ring.start, count: ring.count + 1)
            result[ring.polygon].append(Array(all))
        }
        return result
    }
}
