// Places and opening hours of a partition as flat arrays: sections of a snapshot of their own.
//
// As with columns, what follows from other parts is not written, and what is read is checked
// against the partition's rows: a free row has no places and no hours.

import GeoIndex
import GeoJSON
import HoursIndex
package import Primitives
package import Schema

extension ZoneTable {
    func write(to sink: any SectionSink) {
        index.write(to: sink)
        sets.write(to: sink)
        sink.put(array: rows)
        for numbers in members { sink.put(array: numbers) }
        sink.put(array: freeSets)
        sink.put(array: freeShapes)
    }

    /// - Parameter most: slots are below it.
    func read(from source: any SectionSource, most: Int) throws(SectionError) {
        try index.read(from: source)
        try sets.read(from: source, most: most)
        rows = try source.array()
        owners = [UInt32](repeating: 0, count: index.slotBound)
        let owned = Bitmap(capacity: owners.count)
        var ownedCount = 0
        for set in rows.indices {
            let numbers = try source.array(UInt32.self)
            for number in numbers {
                try source.require(
                    Int(number) < owners.count && !owned.test(number), "a shape is of one set")
                owned.set(number)
                owners[Int(number)] = UInt32(set)
                try source.require(index.shape(of: number) != nil, "sets are of shapes")
            }
            ownedCount += numbers.count
            members.append(numbers)
        }
        try source.require(ownedCount == index.count, "every shape is of a set")
        uses = [UInt32](repeating: 0, count: rows.count)
        for slot in 0..<sets.count where sets[slot] != Self.none {
            try source.require(Int(sets[slot]) < rows.count, "rows have sets that there are")
            uses[Int(sets[slot])] += 1
            rowCount += 1
        }
        for set in rows.indices {
            try source.require(
                (uses[set] == 0) == members[set].isEmpty, "a set in use has shapes")
            try source.require(
                uses[set] == 0 || Int(rows[set]) < sets.count && sets[Int(rows[set])] == set,
                "sets know their rows")
        }
        freeSets = try source.array()
        freeShapes = try source.array()
        let idle = uses.count { $0 == 0 }
        let isFreeOnce =
            Self.areDistinct(freeSets) { Int($0) < rows.count && uses[Int($0)] == 0 }
            && Self.areDistinct(freeShapes) { Int($0) < owners.count && !owned.test($0) }
        try source.require(
            isFreeOnce && freeSets.count == idle && freeShapes.count + ownedCount == owners.count,
            "what is free is free once")
    }

    private static func areDistinct(_ numbers: [UInt32], where body: (UInt32) -> Bool) -> Bool {
        let seen = Bitmap()
        for number in numbers {
            guard body(number), !seen.test(number) else { return false }
            seen.set(number)
        }
        return true
    }
}

extension FlatPoints {
    func write(to sink: any SectionSink) {
        xs.write(to: sink)
        ys.write(to: sink)
        sink.put(UInt64(more.count))
        if more.isEmpty { return }
        for slot in 0..<Slot(xs.count) {
            guard let points = more[slot] else { continue }
            sink.put(slot)
            sink.put(UInt64(points.count))
            for point in points {
                sink.put(point.x.bitPattern)
                sink.put(point.y.bitPattern)
            }
        }
    }

    /// - Parameter most: slots are below it.
    func read(from source: any SectionSource, most: Int) throws(SectionError) {
        try xs.read(from: source, most: most)
        try ys.read(from: source, most: most)
        try source.require(xs.count == ys.count, "points have two numbers")
        for slot in 0..<xs.count where !xs[slot].isNaN {
            try source.require(xs[slot].isFinite && ys[slot].isFinite, "points are finite")
        }
        var last = -1
        for _ in 0..<(try source.count(ofStride: 12)) {
            let slot = try source.next(Slot.self)
            try source.require(
                Int(slot) > last && Int(slot) < xs.count && !xs[Int(slot)].isNaN,
                "rows with further points have a first one")
            last = Int(slot)
            let count = try source.count(ofStride: 16)
            try source.require(count > 0, "further points are some")
            var points: [FlatPoint] = []
            points.reserveCapacity(count)
            for _ in 0..<count {
                let point = FlatPoint(
                    x: Double(bitPattern: try source.next()),
                    y: Double(bitPattern: try source.next()))
                try source.require(point.x.isFinite && point.y.isFinite, "points are finite")
                points.append(point)
            }
            more[slot] = points
        }
    }
}

extension PlaceField {
    package func write(to sink: any SectionSink) {
        points.write(to: sink)
        zones.write(to: sink)
        flats.write(to: sink)
    }

    /// Makes an empty field what it was when it was written down.
    ///
    /// - Parameter table: the partition's rows, which were read before.
    func read(from source: any SectionSource, table: RowTable) throws(SectionError) {
        try points.read(from: source, most: table.slotBound)
        try zones.read(from: source, most: table.slotBound)
        try flats.read(from: source, most: table.slotBound)
        for slot in 0..<Slot(table.slotBound) where table.born[Int(slot)] == 0 {
            try source.require(!has(slot), "a free row has no places")
        }
    }
}

extension HoursField {
    package func write(to sink: any SectionSink) { table.write(to: sink) }

    func read(from source: any SectionSource, table rows: RowTable) throws(SectionError) {
        try table.read(from: source, most: rows.slotBound)
        for slot in 0..<Slot(rows.slotBound) where rows.born[Int(slot)] == 0 {
            try source.require(!table.hasHours(slot), "a free row has no hours")
        }
    }
}

extension CollectionPartition {
    /// Makes the places of a field what they were. REQUIRES: the base was read.
    ///
    /// - Throws: as the source; `invalid`. The field has no places then.
    /// - Complexity: O(bytes).
    package func readPlaces(
        _ field: Field, from source: any SectionSource
    ) throws(SectionError) {
        beginFilling(field)
        do throws(SectionError) {
            for places in placeFields where places.number == field.number {
                try places.read(from: source, table: rows)
            }
            try source.finish()
        } catch {
            beginFilling(field)
            throw error
        }
        markPlacesReady(field.number)
    }

    /// Makes the opening hours of a field what they were. REQUIRES: the base was read.
    ///
    /// - Throws: as the source; `invalid`. The field has no hours then.
    /// - Complexity: O(rows + patterns).
    package func readHours(
        _ field: Field, from source: any SectionSource
    ) throws(SectionError) {
        beginFilling(field)
        do throws(SectionError) {
            for hours in hoursFields where hours.field.number == field.number {
                try hours.read(from: source, table: rows)
            }
            try source.finish()
        } catch {
            beginFilling(field)
            throw error
        }
        markHoursReady(field.number)
    }
}
