// The indexes of places as flat arrays: what a snapshot holds of them. See Snapshots/FORMAT.md.
//
// Points and shapes are written with the order of their cells, not with the cells of points: a
// point's cell follows from the point, and where the order does not fit, the bytes are refused.
// Nothing that is read is used before it was checked: a place is one on the sphere, numbers are of
// things that there are, rings close, cells are in order.

package import Primitives

extension SpherePoint {
    /// Whether it is a place, as they are made: of length 1, no component nearer to zero than the
    /// predicates bear.
    var isPlace: Bool {
        func isFlushed(_ value: Double) -> Bool { value == 0 || value.magnitude >= 0x1p-150 }
        return (dot(self) - 1).magnitude < 1e-14 && isFlushed(x) && isFlushed(y) && isFlushed(z)
    }
}

extension GrowingBuffer {
    /// Writes the count and the elements, which have no padding.
    func write(to sink: any SectionSink) {
        sink.put(UInt64(count))
        // SAFETY: the first `count` elements are initialised.
        sink.put(UnsafePointer(base), count: count)
    }

    /// Fills an empty buffer: of a type that any bits are one of.
    mutating func read(from source: any SectionSource, most: Int) throws(SectionError) {
        let stored = try source.count(ofStride: MemoryLayout<Element>.stride)
        try source.require(stored <= most, "there are no more elements than there may be")
        reserve(stored)
        // SAFETY: there is room for `stored` elements; the count is set once all are there.
        try source.read(into: base, count: stored)
        count = stored
    }
}

// MARK: - Points

extension PointIndex {
    package func write(to sink: any SectionSink) {
        positions.write(to: sink)
        extra.write(to: sink)
        sink.put(extraFree)
        sink.put(UInt64(extraHead.count))
        if !extraHead.isEmpty {
            for slot in 0..<Slot(positions.count) {
                guard let head = extraHead[slot] else { continue }
                sink.put(slot)
                sink.put(head)
            }
        }
        sink.put(UInt64(list.count))
        list.forEachRun { sink.put(UnsafeRawBufferPointer($0)) }
    }

    /// Makes an empty index what it was when it was written down.
    ///
    /// - Parameter most: slots are below it.
    /// - Throws: as the source; `invalid`. The index is of no use then.
    /// - Complexity: O(points).
    package func read(from source: any SectionSource, most: Int) throws(SectionError) {
        try positions.read(from: source, most: min(most, Int(PointIndex.slotMax)))
        for slot in 0..<positions.count where !positions[slot].x.isNaN {
            try source.require(positions[slot].isPlace, "points are places")
            slotCount += 1
        }
        let used = try readExtras(from: source)
        let pairCount = try source.count(ofStride: 4)
        try source.require(pairCount == slotCount + used.count, "every point is in the order")
        try readOrder(from: source, pairCount, used.bits)
    }

    /// Further points: those of slots, and those that are free.
    private func readExtras(
        from source: any SectionSource
    ) throws(SectionError) -> (bits: Bitmap, count: Int) {
        try extra.read(from: source, most: Int(PointIndex.slotMax))
        extraFree = try source.next()
        let headCount = try source.count(ofStride: 8)
        let bits = Bitmap(capacity: extra.count)
        var count = 0
        var last = -1
        extraHead.reserveCapacity(headCount)
        for _ in 0..<headCount {
            let slot = try source.next(UInt32.self)
            let head = try source.next(UInt32.self)
            try source.require(
                Int(slot) > last && position(of: slot) != nil && head != PointIndex.none,
                "slots with further points have a first one")
            last = Int(slot)
            extraHead[slot] = head
            var next = head
            while next != PointIndex.none {
                try source.require(
                    Int(next) < extra.count && !bits.test(next), "a further point is of one slot")
                let entry = extra[Int(next)]
                try source.require(
                    entry.slot == slot && entry.position.isPlace, "further points are places")
                bits.set(next)
                count += 1
                next = entry.next
            }
        }
        let free = Bitmap(capacity: extra.count)
        var freeCount = 0
        var next = extraFree
        while next != PointIndex.none {
            try source.require(
                Int(next) < extra.count && !bits.test(next) && !free.test(next),
                "what is free is free once")
            free.set(next)
            freeCount += 1
            next = extra[Int(next)].next
        }
        try source.require(count + freeCount == extra.count, "every further point is accounted for")
        return (bits, count)
    }

    /// The order of cells: as each pair's is greater than the one before, no point comes twice.
    private func readOrder(
        from source: any SectionSource, _ pairCount: Int, _ used: Bitmap
    ) throws(SectionError) {
        let block = 4_096
        var numbers = [UInt32](repeating: 0, count: block)
        var last: (key: UInt64, number: UInt32) = (0, 0)
        var left = pairCount
        while left > 0 {
            let count = min(left, block)
            try numbers.withUnsafeMutableBufferPointer { (all) throws(SectionError) in
                try source.read(
                    into: UnsafeMutableRawBufferPointer(
                        UnsafeMutableBufferPointer(rebasing: all[..<count])))
            }
            for number in numbers[..<count] {
                let isFirst = number & PointIndex.extraBit == 0
                try source.require(
                    isFirst
                        ? position(of: number) != nil
                        : Int(number & ~PointIndex.extraBit) < extra.count
                            && used.test(number & ~PointIndex.extraBit), "the order is of points")
                let p = point(number)
                let key = CellID(p).rawValue
                try source.require((key, number) > last, "points are in the order of their cells")
                last = (key, number)
                extend(list.append(key, number), p)
            }
            left -= count
        }
    }
}

// MARK: - Shapes

extension Polygon {
    fileprivate func write(to sink: any SectionSink) {
        sink.put(UInt64(rings.count))
        for ring in rings {
            sink.put(UInt32(ring.count))
            sink.put(UInt32(ring.polygon))
            sink.put(UInt32(ring.ring))
            sink.put(UInt8(ring.isReversed ? 1 : 0))
            sink.put(array: ring.given.map { UInt32(truncatingIfNeeded: $0) })
        }
        sink.put(area.bitPattern)
        sink.put(UInt8(originInside ? 1 : 0))
        sink.put(UInt64(vertexCount))
        sink.put(vertices, count: vertexCount)
    }

    fileprivate static func read(from source: any SectionSource) throws(SectionError) -> Polygon {
        let ringCount = try source.count(ofStride: 21)
        try source.require(
            ringCount > 0 && ringCount <= ringCountMax, "a polygon has rings within bounds")
        var rings: [Ring] = []
        var start = 0
        for _ in 0..<ringCount {
            let count = Int(try source.next(UInt32.self))
            let (polygon, number) = (
                Int(try source.next(UInt32.self)), Int(try source.next(UInt32.self))
            )
            let isReversed = try source.next(UInt8.self)
            let given = try source.array(UInt32.self).map(Int.init)
            let before = rings.last
            let isNext =
                before.map {
                    polygon == $0.polygon && number == $0.ring + 1
                        || polygon == $0.polygon + 1 && number == 0
                } ?? (polygon == 0 && number == 0)
            try source.require(
                count >= 3 && count < vertexCountMax && isNext && isReversed < 2
                    && (given.isEmpty || given.count == count), "rings follow each other")
            rings.append(
                Ring(
                    start: start, count: count, polygon: polygon, ring: number,
                    isReversed: isReversed == 1, given: given))
            start += count + 1
        }
        let area = Double(bitPattern: try source.next())
        let originInside = try source.next(UInt8.self)
        let vertexCount = try source.count(ofStride: MemoryLayout<SpherePoint>.stride)
        try source.require(
            area >= 0 && area <= 4 * Double.pi && originInside < 2 && vertexCount == start,
            "rings have all vertices")
        var vertices = [SpherePoint](
            repeating: SpherePoint(x: 1, y: 0, z: 0), count: vertexCount)
        try vertices.withUnsafeMutableBufferPointer { (all) throws(SectionError) in
            try source.read(into: UnsafeMutableRawBufferPointer(all))
        }
        for ring in rings {
            for index in ring.start..<ring.start + ring.count {
                let (a, b) = (vertices[index], vertices[index + 1])
                try source.require(
                    a.isPlace && b.isPlace && a != b && a.chord2(to: b) < 3.999_999,
                    "edges go from one place to another")
            }
            try source.require(
                vertices[ring.start] == vertices[ring.start + ring.count], "rings close")
        }
        return Polygon(
            vertices: vertices, rings: rings, originInside: originInside == 1, area: area)
    }
}

extension PolygonCells {
    fileprivate func write(to sink: any SectionSink) {
        polygon.write(to: sink)
        entryBuffer.write(to: sink)
        edgeBuffer.write(to: sink)
    }

    fileprivate static func read(
        from source: any SectionSource
    ) throws(SectionError) -> PolygonCells {
        let polygon = try Polygon.read(from: source)
        // Read as plain numbers: not all bits are a kind.
        var words = GrowingBuffer<UInt64>()
        let count = try source.count(ofStride: 16)
        words.reserve(count * 2)
        try source.read(into: words.base, count: count * 2)
        words.count = count * 2
        var edges = GrowingBuffer<UInt32>()
        try edges.read(from: source, most: Int(UInt32.max))
        let starts = Bitmap(capacity: polygon.vertexCount)
        for index in 0..<polygon.edgeCount { starts.set(polygon.edges[index]) }
        for index in 0..<edges.count {
            try source.require(
                Int(edges[index]) < polygon.vertexCount && starts.test(edges[index]),
                "cells have edges of their polygon")
        }
        var entries = GrowingBuffer<Entry>(capacity: count)
        var last: UInt64 = 0
        for index in 0..<count {
            let (cell, rest) = (CellID(rawValue: words[index * 2]), words[index * 2 + 1])
            let (start, edgeCount) = (UInt32(truncatingIfNeeded: rest), UInt16(rest >> 32 & 0xFFFF))
            let kind = Kind(rawValue: UInt8(rest >> 48 & 0xFF))
            guard let kind, rest >> 56 == 0 else { throw .invalid("a cell is of a kind") }
            try source.require(
                cell.isValid && cell.rangeMin.rawValue > last, "cells are in order and apart")
            try source.require(
                Int(start) + Int(edgeCount) <= edges.count, "cells have edges that there are")
            last = cell.rangeMax.rawValue
            entries.append(
                Entry(cell: cell.rawValue, edgeStart: start, edgeCount: edgeCount, kind: kind))
        }
        return PolygonCells(polygon, entries: entries, edges: edges)
    }
}

extension ShapeIndex {
    private enum Stored: UInt8 {
        case none
        case polygon
        case cap
    }

    /// One past the largest slot that ever had a shape.
    package var slotBound: Int { hot.count }

    package func write(to sink: any SectionSink) {
        sink.put(UInt64(hot.count))
        for slot in 0..<Slot(hot.count) {
            switch shapes[slot] {
            case nil: sink.put(Stored.none.rawValue)
            case .polygon(let cells)?:
                sink.put(Stored.polygon.rawValue)
                cells.write(to: sink)
            case .cap(let cap)?:
                sink.put(Stored.cap.rawValue)
                sink.put(cap.center.x.bitPattern)
                sink.put(cap.center.y.bitPattern)
                sink.put(cap.center.z.bitPattern)
                sink.put(cap.chord2.bitPattern)
                let cells = capCells[slot] ?? []
                sink.put(UInt64(cells.count))
                for cell in cells { sink.put(cell.rawValue) }
            }
        }
        sink.put(UInt64(list.count))
        list.forEachRun { sink.put(UnsafeRawBufferPointer($0)) }
    }

    /// Makes an empty index what it was when it was written down.
    ///
    /// - Throws: as the source; `invalid`. The index is of no use then.
    /// - Complexity: O(bytes).
    package func read(from source: any SectionSource) throws(SectionError) {
        let bound = try source.count(ofStride: 1)
        if bound > 0 { hot.grow(to: bound, filler: ShapeIndex.absent) }
        var cellCount = 0
        for slot in 0..<Slot(bound) {
            switch Stored(rawValue: try source.next()) {
            case .polygon?:
                let cells = try PolygonCells.read(from: source)
                keep(slot, .polygon(cells))
                cellCount += cells.count
            case .cap?: cellCount += try readCap(slot, from: source)
            case Stored.none?: continue
            case nil: throw .invalid("a shape is a polygon or a circle")
            }
        }
        let pairCount = try source.count(ofStride: 4)
        try source.require(pairCount == cellCount, "every cell is in the order")
        // The cells of a shape ascend: the nth pair with its number has its nth cell.
        var nexts = [Int32](repeating: 0, count: bound)
        var last: (key: UInt64, number: UInt32) = (0, 0)
        for _ in 0..<pairCount {
            let number = try source.next(UInt32.self)
            try source.require(Int(number) < bound, "the order is of shapes")
            guard let cell = cell(of: number, Int(nexts[Int(number)])) else {
                throw .invalid("the order has no more cells than the shapes")
            }
            nexts[Int(number)] += 1
            try source.require((cell.rawValue, number) > last, "cells are in order")
            last = (cell.rawValue, number)
            _ = list.append(cell.rawValue, number)
            count(cell)
        }
    }

    private func readCap(_ slot: Slot, from source: any SectionSource) throws(SectionError) -> Int {
        let center = SpherePoint(
            x: Double(bitPattern: try source.next()), y: Double(bitPattern: try source.next()),
            z: Double(bitPattern: try source.next()))
        let chord2 = Double(bitPattern: try source.next())
        try source.require(
            center.isPlace && chord2 >= -1 && chord2 <= 4, "a circle is one on the sphere")
        let words = try source.array(UInt64.self)
        var cells: [CellID] = []
        cells.reserveCapacity(words.count)
        for word in words {
            let cell = CellID(rawValue: word)
            try source.require(
                cell.isValid && cell.rangeMin.rawValue > cells.last?.rangeMax.rawValue ?? 0,
                "a circle's cells are in order and apart")
            cells.append(cell)
        }
        capCells[slot] = cells
        keep(slot, .cap(Cap(center: center, chord2: chord2)))
        return cells.count
    }

    /// A cell of a slot's shape by place, ascending; nil behind the last.
    private func cell(of slot: Slot, _ place: Int) -> CellID? {
        if let cells = hot[Int(slot)].cells {
            // SAFETY: `shapes` keeps the polygon alive.
            return cells._withUnsafeGuaranteedRef {
                place < $0.count ? CellID(rawValue: $0.entry(place).cell) : nil
            }
        }
        guard let cells = capCells[slot], place < cells.count else { return nil }
        return cells[place]
    }
}
