import GeoIndex
import Primitives
import Testing

@Suite struct PolygonErrorTests {
    private func error(_ rings: [[(Double, Double)]]) -> GeoError? {
        do throws(GeoError) {
            _ = try Polygon(rings: rings.map(Rings.ring))
            return nil
        } catch { return error }
    }

    private let square = [(0.0, 0.0), (10, 0), (10, 10), (0, 10), (0, 0)]

    @Test func eachMistakeHasItsOwnError() {
        #expect(error([square]) == nil)
        #expect(error([]) == .empty(polygon: 0))
        #expect(error([[]]) == .tooFewPositions(polygon: 0, ring: 0, count: 0))
        #expect(
            error([[(0, 0), (1, 1), (0, 0)]]) == .tooFewPositions(polygon: 0, ring: 0, count: 3))
        #expect(
            error([square, [(1, 1), (2, 1), (2, 2), (1, 2)]]) == .unclosedRing(polygon: 0, ring: 1))
        let place = GeoError.Place(polygon: 0, ring: 0, vertex: 1)
        if case .notFinite(place)? = error([[(0, 0), (.nan, 1), (2, 2), (0, 0)]]) {
        } else {
            Issue.record("NaN")
        }
        #expect(error([[(0, 0), (0, .infinity), (2, 2), (0, 0)]]) == .notFinite(place))
        #expect(
            error([[(0, 0), (1, 91), (2, 2), (0, 0)]]) == .latitudeOutOfRange(place, value: 91))
        #expect(
            error([[(0, 0), (-181, 9), (2, 2), (0, 0)]])
                == .longitudeOutOfRange(place, value: -181))
        // Swapped: a longitude where the latitude belongs.
        #expect(
            error([[(47, -12), (47, -122), (48, -12), (47, -12)]])
                == .latitudeOutOfRange(place, value: -122))
        #expect(
            error([[(0, 0), (1, 1), (2, 0), (1, 1), (0, 0)]])
                == .duplicateVertex(GeoError.Place(polygon: 0, ring: 0, vertex: 3), first: 1))
        #expect(
            error([[(0, 0), (180, 0), (90, 50), (0, 0)]])
                == .edgeTooLong(GeoError.Place(polygon: 0, ring: 0, vertex: 0)))
        #expect(error([[(0, 0), (10, 0), (20, 0), (0, 0)]]) == .noArea(polygon: 0, ring: 0))
    }

    @Test func crossingsAreNamedByTheirEdges() {
        func place(_ ring: Int, _ vertex: Int) -> GeoError.Place {
            GeoError.Place(polygon: 0, ring: ring, vertex: vertex)
        }
        // A bow tie: its first and third edges cross.
        switch error([[(0, 0), (10, 10), (10, 0), (0, 12), (0, 0)]]) {
        case .selfCrossing(let a, let b):
            #expect(Set([a.vertex, b.vertex]) == [0, 2])
        case let other: Issue.record("\(String(describing: other))")
        }
        switch error([square, [(5, 5), (15, 5), (15, 6), (5, 6), (5, 5)]]) {
        case .crossingRings(let a, let b):
            #expect(a.ring != b.ring)
            #expect(a.ring == 0 ? a.vertex == 1 : b.vertex == 1)
        case let other: Issue.record("\(String(describing: other))")
        }
        // Only at vertices, yet across: the hole's corner goes out through the shell's vertex.
        let across = [(5.0, 5.0), (10, 0), (15, -6), (16, -4), (10, 10), (5, 5)]
        if case .crossingRings? = error([square, across]) {
        } else {
            Issue.record("across a vertex: \(String(describing: error([square, across])))")
        }
    }

    @Test func holesLeaveSomeOfTheirShell() throws {
        let covers = GeoError.holeCoversShell(polygon: 0, ring: 1)
        #expect(error([square, square]) == covers)
        #expect(error([square, square.reversed()]) == covers)
        // From another vertex on, and with a point more on the equator and a meridian.
        #expect(error([square, [(10, 10), (0, 10), (0, 0), (10, 0), (10, 10)]]) == covers)
        let more = [(0.0, 0.0), (4, 0), (10, 0), (10, 10), (0, 10), (0, 5), (0, 0)]
        // Rounding says on which side of an edge its middle is: then the hole is not inside.
        let either: [GeoError?] = [covers, .holeOutsideShell(polygon: 0, ring: 1)]
        #expect(either.contains(error([square, more])) && either.contains(error([more, square])))
        // Two holes that cover it together: the second takes the last of it.
        let (lower, upper) = (
            [(0.0, 0.0), (10, 0), (10, 10), (0, 0)], [(0.0, 0.0), (10, 10), (0, 10), (0, 0)]
        )
        #expect(error([square, lower, upper]) == .holeCoversShell(polygon: 0, ring: 2))
        #expect(error([square, lower]) == nil)
        // A metre wide, and the border of a field that is all but a hole.
        let tiny = [(7.0, 50.0), (7.00001, 50), (7.00001, 50.00001), (7, 50.00001), (7, 50)]
        #expect(error([tiny, tiny]) == covers)
        let inner = [
            (7.00000001, 50.00000001), (7.00000999, 50.00000001), (7.00000999, 50.00000999),
            (7.00000001, 50.00000999), (7.00000001, 50.00000001),
        ]
        #expect(error([tiny, inner]) == nil)
    }

    @Test func ringsInTheWrongPlaceAreFound() throws {
        #expect(
            error([square, [(20, 20), (21, 20), (21, 21), (20, 20)]])
                == .holeOutsideShell(polygon: 0, ring: 1))
        #expect(
            error([[(1, 1), (2, 1), (2, 2), (1, 1)], square])
                == .holeOutsideShell(polygon: 0, ring: 1))
        #expect(
            error([
                square, [(1, 1), (9, 1), (9, 9), (1, 1)], [(6, 2), (7, 2), (7, 3), (6, 2)],
            ]) == .nestedHole(polygon: 0, ring: 2, inside: 1))
        func several(_ polygons: [[[(Double, Double)]]]) -> GeoError? {
            do throws(GeoError) {
                _ = try Polygon(polygons: polygons.map { $0.map(Rings.ring) })
                return nil
            } catch { return error }
        }
        let inner = [(1.0, 1.0), (9, 1), (9, 9), (1, 9), (1, 1)]
        let core = [(4.0, 4.0), (6, 4), (6, 6), (4, 6), (4, 4)]
        #expect(several([[square], [core]]) == .overlappingPolygons(first: 0, second: 1))
        #expect(several([[core], [square]]) == .overlappingPolygons(first: 0, second: 1))
        #expect(several([[square, inner], [core]]) == nil)
        #expect(
            several([[square], [[(5, 5), (15, 5), (15, 7), (5, 5)]]])
                == .overlappingPolygons(first: 0, second: 1))
        // Neighbours share an edge; a hole touches its shell at one vertex.
        #expect(several([[square], [[(10, 0), (20, 0), (20, 10), (10, 10), (10, 0)]]]) == nil)
        #expect(several([[square, [(0, 0), (5, 2), (2, 5), (0, 0)]]]) == nil)
        #expect(several([]) == .empty(polygon: 0))
        #expect(several([[square], []]) == .empty(polygon: 1))
    }

    @Test func positionsThatRepeatTheOneBeforeAreLeftOut() throws {
        let given = [(0.0, 0.0), (0, 0), (10, 0), (10, 0), (10, 10), (0, 10), (0, 0), (0, 0)]
        let polygon = try Polygon(rings: [Rings.ring(given)])
        let same = try Polygon(rings: [Rings.ring(square)])
        #expect(polygon.area == same.area && polygon.edgeCount == 4)
        #expect(
            error([[(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)]])
                == .tooFewPositions(polygon: 0, ring: 0, count: 3))
        // Places of mistakes count what was left out.
        switch error([[(0, 0), (0, 0), (0, 0), (10, 10), (10, 0), (0, 12), (0, 0)]]) {
        case .selfCrossing(let a, let b): #expect(Set([a.vertex, b.vertex]) == [0, 4])
        case let other: Issue.record("\(String(describing: other))")
        }
    }

    @Test func limitsHold() {
        #expect(
            throws: GeoError.tooManyVertices(count: 5, limit: 4),
            performing: { try Polygon(rings: [Rings.ring(square)], vertexCountMax: 4) })
    }

    @Test func randomStarsAreSoundAndCrossedStarsAreNot() throws {
        var random = SplitMix64(seed: 61)
        for round in 0..<200 {
            let count = 4 + Int(random.next() % 300)
            let width = [20.0, 1, 0.01, 0.0001][round % 4]
            let center = RandomPlaces.place(&random)
            var ring = Rings.star(
                around: center, degrees: width * 0.3...width, count: count, &random)
            _ = try Polygon(rings: [ring])
            // Two vertices far apart change places: their edges cross others.
            let a = 1 + Int(random.next() % UInt64(count / 2 - 1))
            ring.swapAt(a, a + count / 2 - 1)
            if count > 8 {
                #expect(throws: GeoError.self, "\(round)") { try Polygon(rings: [ring]) }
            }
        }
    }
}
