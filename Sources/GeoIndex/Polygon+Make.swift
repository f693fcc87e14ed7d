import Glibc

extension Polygon {
    /// Positions of one ring as GeoJSON has them: the last is the first again.
    package typealias RingPositions = [LatLng]

    /// Vertices of one geometry at most, if the caller sets no other limit.
    package static let vertexCountMax = 1 << 20
    /// Rings of one shape at most: each is compared with each.
    package static let ringCountMax = 2_000

    /// One polygon: its outer ring and then its holes.
    package convenience init(
        rings: [RingPositions], vertexCountMax: Int = Polygon.vertexCountMax
    ) throws(GeoError) {
        try self.init(polygons: [rings], vertexCountMax: vertexCountMax)
    }

    /// Several polygons that may touch but not overlap, each an outer ring and its holes.
    ///
    /// A ring encloses the smaller area, whatever its direction. -180° and 180° are the same
    /// longitude, and all longitudes are the same at a pole.
    ///
    /// - Complexity: O(n log n) for n vertices that lie apart.
    /// - Throws: every case of `GeoError`, the first that is found: coordinates before crossings,
    ///   crossings before nesting.
    package convenience init(
        polygons: [[RingPositions]], vertexCountMax: Int = Polygon.vertexCountMax
    ) throws(GeoError) {
        var count = 0
        for polygon in polygons { for ring in polygon { count += ring.count } }
        guard count <= vertexCountMax else {
            throw .tooManyVertices(count: count, limit: vertexCountMax)
        }
        let ringCount = polygons.reduce(0) { $0 + $1.count }
        guard ringCount <= Polygon.ringCountMax else {
            throw .tooManyRings(count: ringCount, limit: Polygon.ringCountMax)
        }
        var builder = PolygonBuilder()
        if polygons.isEmpty { throw .empty(polygon: 0) }
        for (index, rings) in polygons.enumerated() {
            if rings.isEmpty { throw .empty(polygon: index) }
            for (ring, positions) in rings.enumerated() {
                try builder.add(positions, polygon: index, ring: ring)
            }
        }
        self.init(
            vertices: builder.vertices, rings: builder.rings, originInside: builder.originInside,
            area: builder.area)
        try checkCrossings()
        try checkNesting()
        try builder.checkAreasLeft()
    }
}

/// Collects checked rings.
struct PolygonBuilder {
    private(set) var vertices: [SpherePoint] = []
    private(set) var rings: [Polygon.Ring] = []
    private(set) var originInside = false
    private(set) var area = 0.0
    /// Steradians inside of each ring.
    private var areas: [Double] = []

    /// Checks a ring by itself and takes it.
    mutating func add(_ positions: [LatLng], polygon: Int, ring: Int) throws(GeoError) {
        let checked = try PolygonBuilder.corners(positions, polygon: polygon, ring: ring)
        var corners = checked.points
        if PolygonBuilder.isFlat(corners) { throw .noArea(polygon: polygon, ring: ring) }
        let turning = PolygonBuilder.turning(corners)
        // The angles to turn left on the way around make a full turn less the area on the left.
        let isClockwise = turning < 0
        if isClockwise { corners.reverse() }
        if PolygonBuilder.holdsOrigin(corners) { originInside.toggle() }
        let ringArea = PolygonBuilder.area(corners, turning: turning.magnitude)
        area += ring == 0 ? ringArea : -ringArea
        areas.append(ringArea)
        // The inside of the polygon stays on the left of its holes too.
        if ring > 0 { corners.reverse() }
        let start = vertices.count
        vertices += corners
        vertices.append(corners[0])
        rings.append(
            Polygon.Ring(
                start: start, count: corners.count, polygon: polygon, ring: ring,
                isReversed: isClockwise != (ring > 0), given: checked.given))
    }

    /// Checks that holes leave something of their outer rings: what is left is more than the
    /// rounding of coordinates, 6 nm along a border, can make. The rings are known to be nested.
    ///
    /// - Throws: `holeCoversShell` for the hole that takes the last of it.
    func checkAreasLeft() throws(GeoError) {
        var (shell, left) = (0.0, 0.0)
        for (ring, area) in zip(rings, areas) {
            if ring.ring == 0 {
                (shell, left) = (area, area)
                continue
            }
            left -= area
            if left <= 1e-12 * shell + 4e-15 * shell.squareRoot() {
                throw .holeCoversShell(polygon: ring.polygon, ring: ring.ring)
            }
        }
    }

    /// The vertices of a ring without those that repeat the one before, as the last does; and where
    /// each stands in the input, if that is not its own place.
    private static func corners(
        _ positions: [LatLng], polygon: Int, ring: Int
    ) throws(GeoError) -> (points: [SpherePoint], given: [Int]) {
        func place(_ vertex: Int) -> GeoError.Place {
            GeoError.Place(polygon: polygon, ring: ring, vertex: vertex)
        }
        for (index, position) in positions.enumerated() {
            guard position.latitude.isFinite && position.longitude.isFinite else {
                throw .notFinite(place(index))
            }
            guard position.latitude.magnitude <= 90 else {
                throw .latitudeOutOfRange(place(index), value: position.latitude)
            }
            guard position.longitude.magnitude <= 180 else {
                throw .longitudeOutOfRange(place(index), value: position.longitude)
            }
        }
        guard positions.count >= 4 else {
            throw .tooFewPositions(polygon: polygon, ring: ring, count: positions.count)
        }
        let points = positions.map { SpherePoint(canonical($0)) }
        guard points.first == points.last else {
            throw .unclosedRing(polygon: polygon, ring: ring)
        }
        var (kept, given) = ([SpherePoint](), [Int]())
        var seen: [SpherePoint: Int] = [:]
        seen.reserveCapacity(points.count)
        for (index, point) in points.enumerated() where point != kept.last {
            // 179.9°: beyond it rounding moves the middle of an edge by more than cells are padded.
            if let last = kept.last, last.dot(point) < -0.999_998_4 {
                throw .edgeTooLong(place(given[given.count - 1]))
            }
            if index > 0 && point == points[0] && isClosed(points, from: index) { break }
            if let first = seen.updateValue(index, forKey: point) {
                throw .duplicateVertex(place(index), first: first)
            }
            kept.append(point)
            given.append(index)
        }
        guard kept.count >= 3 else {
            throw .tooFewPositions(polygon: polygon, ring: ring, count: kept.count + 1)
        }
        return (kept, kept.count == points.count - 1 ? [] : given)
    }

    /// Whether all positions from one on are the first again.
    private static func isClosed(_ points: [SpherePoint], from index: Int) -> Bool {
        points[index...].allSatisfy { $0 == points[0] }
    }

    /// One of several names of the same place.
    private static func canonical(_ place: LatLng) -> LatLng {
        if place.latitude.magnitude == 90 { return LatLng(latitude: place.latitude, longitude: 0) }
        if place.longitude == -180 { return LatLng(latitude: place.latitude, longitude: 180) }
        return place
    }

    /// Whether all vertices lie on one great circle, exactly.
    private static func isFlat(_ corners: [SpherePoint]) -> Bool {
        for third in corners.dropFirst(2) {
            if Predicates.determinantSign(corners[0], corners[1], third) != 0 { return false }
        }
        return true
    }

    /// The sum of the angles to turn left at each vertex, in radians.
    private static func turning(_ corners: [SpherePoint]) -> Double {
        var sum = 0.0
        let count = corners.count
        for index in 0..<count {
            let a = corners[index == 0 ? count - 1 : index - 1]
            let b = corners[index]
            let c = corners[index == count - 1 ? 0 : index + 1]
            let before = SpherePoint.stableCross(a, b)
            let after = SpherePoint.stableCross(b, c)
            let across = before.cross(after)
            let angle = atan2(across.dot(across).squareRoot(), before.dot(after))
            sum += Predicates.sign(a, b, c) > 0 ? angle : -angle
        }
        return sum
    }

    /// Steradians inside of a ring that runs counterclockwise around the smaller area.
    private static func area(_ corners: [SpherePoint], turning: Double) -> Double {
        let first = corners[0]
        // A fan of triangles is precise for small rings; over a hemisphere its thin triangles are
        // not, and there the turning is.
        for corner in corners where first.chord2(to: corner) > 1 {
            return max(0, 2 * Double.pi - turning)
        }
        var sum = 0.0
        for index in 1..<corners.count - 1 {
            let (b, c) = (corners[index], corners[index + 1])
            let determinant = first.dot((b - first).cross(c - first))
            sum += 2 * atan2(determinant, 1 + first.dot(b) + b.dot(c) + c.dot(first))
        }
        return max(0, sum)
    }

    /// Whether a ring that runs counterclockwise holds `Polygon.origin`.
    private static func holdsOrigin(_ corners: [SpherePoint]) -> Bool {
        let bound = corners.withUnsafeBufferPointer { Cap.holding($0) }
        var (inside, place) = (false, bound.antipode)
        if bound.chord2 >= Cap.convexMax {
            // The corner says whether its vertex is inside; crossings on the way there say the
            // rest.
            inside = Predicates.cornerHolds(corners[0], corners[1], corners[2])
            place = corners[1]
        }
        for index in 0..<corners.count {
            let next = index + 1 == corners.count ? 0 : index + 1
            if Predicates.crosses(Polygon.origin, place, corners[index], corners[next]) {
                inside.toggle()
            }
        }
        return inside
    }
}
