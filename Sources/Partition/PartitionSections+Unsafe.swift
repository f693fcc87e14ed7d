// A partition as flat arrays: what a snapshot holds of it, in sections of its own for the rows, for
// each column and for each index of vectors.
//
// What follows from other parts is not written: tables of hashes, sets of live rows, how many rows
// share a node. Keys, slots, numbers and nodes that are read are checked against each other in one
// pass, so that nothing that is done with them later can leave an array.
//
// Thread rule: that of the partition. A child process that has a frozen copy needs no lock.

import ColumnIndex
package import Primitives
package import Schema
import VectorIndex

extension GrowableBuffer {
    func write(to sink: any SectionSink, from start: Int = 0) {
        sink.put(UInt64(count - start))
        // SAFETY: the first `count` elements are initialised.
        sink.put(UnsafePointer(base + start), count: count - start)
    }

    /// Fills an empty buffer. `most`: elements at most.
    func read(from source: any SectionSource, most: Int = .max) throws(SectionError) {
        let count = try source.count(ofStride: MemoryLayout<Element>.stride)
        try source.require(count <= most, "there are no more elements than rows")
        resize(to: count)
        try source.read(into: base, count: count)
    }
}

extension Heads {
    func write(to sink: any SectionSink) {
        hashes.write(to: sink)
        keys.write(to: sink)
        slots.write(to: sink)
        idHandles.write(to: sink)
        freeNumbers.write(to: sink)
        arena.write(to: sink)
    }

    /// - Parameter slotBound: slots are below it.
    func read(from source: any SectionSource, slotBound: Int) throws(SectionError) {
        try hashes.read(from: source, most: Int(UInt32.max) - 2)
        let bound = hashes.count
        try keys.read(from: source)
        try slots.read(from: source)
        try idHandles.read(from: source)
        try freeNumbers.read(from: source, most: bound)
        try arena.read(from: source)
        try source.require(
            keys.count == bound && slots.count == bound && idHandles.count == bound,
            "every document has all its parts")
        let free = Bitmap(capacity: bound)
        for place in 0..<freeNumbers.count {
            let number = freeNumbers[place]
            try source.require(
                Int(number) < bound && !free.test(number) && keys[Int(number)] == 0,
                "a free number is free once")
            free.set(number)
        }
        count = bound - freeNumbers.count
        var size = 16
        while count * 4 > size * 3 { size *= 2 }
        index.removeAll()
        index.resize(to: size)
        mask = size - 1
        // SAFETY: the loop stays below the count of all four buffers.
        let (key, slot, handle, hash) = (keys.base, slots.base, idHandles.base, hashes.base)
        for number in 0..<bound {
            if key[number] == 0 {
                try source.require(free.test(UInt32(number)), "a number without a key is free")
                continue
            }
            try source.require(
                slot[number] == Heads.noSlot || Int(slot[number]) < slotBound,
                "documents are in rows")
            try source.require(arena.holds(handle[number]), "ids are in the arena")
            place(UInt32(number), hash: hash[number])
        }
    }
}

extension RowTable {
    func write(to sink: any SectionSink) {
        born.write(to: sink)
        died.write(to: sink)
        numbers.write(to: sink)
        freeSlots.write(to: sink)
        sink.put(UInt64(births.count))
        for place in 0..<births.count {
            sink.put(births[place].key)
            sink.put(births[place].slot)
        }
        deaths.write(to: sink, from: deathsHead)
        sink.put(lastChange)
    }

    func read(from source: any SectionSource) throws(SectionError) {
        try born.read(from: source, most: Int(UInt32.max) - 1)
        let bound = born.count
        try died.read(from: source)
        try numbers.read(from: source)
        try freeSlots.read(from: source, most: bound)
        try source.require(
            died.count == bound && numbers.count == bound, "every row has all its parts")
        let birthCount = try source.count(ofStride: 12)
        for _ in 0..<birthCount {
            let key = try source.next(UInt64.self)
            let slot = try source.next(UInt32.self)
            try source.require(Int(slot) < bound, "births are of rows")
            births.append(Birth(key: key, slot: slot))
        }
        try deaths.read(from: source, most: bound)
        lastChange = try source.next()
        live.reserve(bound)
        var (used, dead) = (0, 0)
        for slot in 0..<bound where born[slot] != 0 {
            used += 1
            if died[slot] == 0 {
                live.set(UInt32(slot))
                liveCount += 1
            } else {
                dead += 1
            }
            try source.require(max(born[slot], died[slot]) <= lastChange, "no row is of later")
        }
        try source.require(used + freeSlots.count == bound, "a row is in use or free")
        let seen = Bitmap(capacity: bound)
        for place in 0..<freeSlots.count {
            let slot = freeSlots[place]
            try source.require(
                Int(slot) < bound && born[Int(slot)] == 0 && !seen.test(slot),
                "a free row is free once")
            seen.set(slot)
        }
        try source.require(deaths.count == dead, "dead rows are known")
        for place in 0..<deaths.count {
            let slot = deaths[place]
            try source.require(
                Int(slot) < bound && died[Int(slot)] != 0 && !seen.test(slot), "rows die once")
            seen.set(slot)
        }
    }
}

extension VectorGraph {
    func write(to sink: any SectionSink) {
        switch kind {
        case .hnsw(let index, _): index.write(to: sink)
        case .ivf(let index, _): index.write(to: sink)
        case .flat(let index): index.write(to: sink)
        }
    }

    func read(from source: any SectionSource) throws(SectionError) {
        switch kind {
        case .hnsw(let index, _): try index.read(from: source)
        case .ivf(let index, _): try index.read(from: source)
        case .flat(let index): try index.read(from: source)
        }
    }

    func isLive(_ node: UInt32) -> Bool {
        Int(node) < nodeCount && live[Int(node >> 6)] >> UInt64(node & 63) & 1 == 1
    }
}

extension VectorField {
    package func write(to sink: any SectionSink) {
        nodes.write(to: sink)
        rows.write(to: sink)
        sources.write(to: sink)
        index.write(to: sink)
    }

    /// Makes an empty field what it was when it was written down.
    ///
    /// - Parameter table: the partition's rows, which were read before.
    func read(from source: any SectionSource, table: RowTable) throws(SectionError) {
        try nodes.read(from: source, most: table.slotBound)
        try rows.read(from: source, most: VectorGraph.nodeCountMax)
        try sources.read(from: source, most: VectorGraph.nodeCountMax)
        try index.read(from: source)
        let nodeCount = rows.count
        try source.require(
            sources.count == nodeCount && index.nodeCount == nodeCount, "every node has all parts")
        uses.removeAll()
        uses.resize(to: nodeCount)
        strangers.clearAll()
        strangers.reserve(table.slotBound)
        for slot in 0..<table.slotBound {
            let node = slot < nodes.count ? nodes[slot] : Self.none
            guard table.born[slot] != 0 else {
                try source.require(node == Self.none, "a free row has no node")
                continue
            }
            if node != UInt32(slot) { strangers.set(UInt32(slot)) }
            guard node != Self.none else { continue }
            try source.require(Int(node) < nodeCount, "rows have nodes that there are")
            uses[Int(node)] += 1
        }
        var live = 0
        for node in 0..<nodeCount where uses[node] > 0 {
            let row = rows[node]
            try source.require(
                Int(row) < nodes.count && nodes[Int(row)] == UInt32(node), "nodes know their rows")
            let isLive = table.live.test(row)
            try source.require(
                index.isLive(UInt32(node)) == isLive, "a node lives while its newest row does")
            live += isLive ? 1 : 0
        }
        try source.require(live == index.liveCount, "every live node has a row")
    }
}

extension CollectionPartition {
    /// Writes down what all indexes lean on: documents, rows, the order of ids.
    package func writeBase(to sink: any SectionSink) {
        rows.write(to: sink)
        heads.write(to: sink)
        sink.put(UInt8(hasSeenID ? 1 : 0))
        sink.put(array: commonIDPrefix)
        idOrder.write(to: sink)
    }

    /// Makes an empty partition's rows what they were when they were written down.
    ///
    /// - Throws: as the source; `invalid`. The partition is of no use then.
    /// - Complexity: O(rows + documents).
    package func readBase(from source: any SectionSource) throws(SectionError) {
        try rows.read(from: source)
        try heads.read(from: source, slotBound: rows.slotBound)
        hasSeenID = try source.next(UInt8.self) != 0
        commonIDPrefix = try source.array()
        try source.require(
            commonIDPrefix.count <= ByteArena.lengthMax, "ids begin with parts of ids")
        try idOrder.read(from: source, most: rows.slotBound)
        try source.require(idOrder.slotCount <= rows.slotBound, "orders are of rows")
        try source.finish()
        var live = 0
        for number in 0..<UInt32(heads.numberBound) {
            let slot = heads.slot(number)
            if heads.key(number) == .none || slot == Heads.noSlot { continue }
            try source.require(
                rows.live.test(slot) && rows.number(slot) == number
                    && rows.key(slot) == heads.key(number), "documents and rows agree")
            live += 1
        }
        try source.require(live == rows.liveCount, "every live row has a document")
        for slot in 0..<Slot(rows.slotBound) where rows.key(slot) != .none {
            try source.require(Int(rows.number(slot)) < heads.numberBound, "rows have documents")
            try source.require(
                idOrder.state(slot) == .present, "every row has its place in the order")
        }
    }

    /// Makes a field's column, or index of vectors, places or hours, an empty one that queries do
    /// not use: what is applied from now on goes in, what is there already has to be brought.
    package func beginFilling(_ field: Field) {
        if field.hasEntries { addColumn(field, isReady: false) }
        if field.hasVectorIndex {
            dropVectors(field.number)
            addVectors(field, isReady: false)
        }
        if field.hasPlaceIndex {
            dropPlaces(field.number)
            addPlaces(field, isReady: false)
        }
        if field.hasHours {
            dropHours(field.number)
            addHours(field, isReady: false)
        }
    }

    /// Writes a column down.
    package func writeColumn(_ field: FieldNumber, to sink: any SectionSink) {
        guard let column = column(field) else { return }
        switch column.storage {
        case .numeric(let numeric): numeric.write(to: sink)
        case .keyword(let keyword): keyword.write(to: sink)
        }
    }

    /// Makes a field's column what it was. REQUIRES: the base was read.
    ///
    /// - Throws: as the source; `invalid`. The column is empty then, and must be filled anew.
    /// - Complexity: O(rows + values).
    package func readColumn(
        _ field: Field, from source: any SectionSource
    ) throws(SectionError) {
        beginFilling(field)
        guard let column = column(field.number) else { return }
        do throws(SectionError) {
            switch column.storage {
            case .numeric(let numeric): try numeric.read(from: source, most: rows.slotBound)
            case .keyword(let keyword): try keyword.read(from: source, most: rows.slotBound)
            }
            try source.finish()
            for slot in 0..<Slot(rows.slotBound) where rows.key(slot) == .none {
                try source.require(column.state(slot) == .absent, "a free row has no values")
            }
        } catch {
            beginFilling(field)
            throw error
        }
        markReady(field.number)
    }

    /// Makes the vectors of a field what they were. REQUIRES: the base was read.
    ///
    /// - Throws: as the source; `invalid`. The field has no vectors then.
    /// - Complexity: O(bytes).
    package func readVectors(
        _ field: Field, from source: any SectionSource
    ) throws(SectionError) {
        beginFilling(field)
        do throws(SectionError) {
            for vectors in vectorFields where vectors.field.number == field.number {
                try vectors.read(from: source, table: rows)
            }
            try source.finish()
        } catch {
            beginFilling(field)
            throw error
        }
        markVectorsReady(field.number)
    }
}
