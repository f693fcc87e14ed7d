// An ordered set of (cell id, number) pairs that takes and gives up pairs at any place.
//
//     zones: 128, by the top 7 bits of the id: a cell of level 2
//       └─ groups of a zone, in order: each up to 64 chunks, with the first id of each
//            └─ chunk: up to 64 pairs, ids then numbers in one block of just the size needed
//
// Estimate: 12 bytes a pair and at most 8 pairs of slack in a chunk of about 45, 48 bytes of header
// per chunk and 8 for its first id, a sixth of them unused: about 15 bytes a pair. Finding a place
// is three binary searches, about 60 ns in a cache; inserting moves at most 768 bytes.
//
// Chunks and groups have a box for their owner's use (see PointIndex). The list only says, by
// `isStale`, that pairs came or went otherwise than by the one insertion or removal asked for.
//
// Invariants:
// 1. Pairs ascend by (id, number) through a chunk, a group, a zone, and from zone to zone.
// 2. No chunk and no group is empty; `firstKeys[k]` is the first id of chunk k.
// 3. A group's `entryCount` is the sum of its chunks' counts, and the list's that of its groups'.
//
// Threads: one writer or many readers, by the owner's lock. Memory is freed by deinit.

/// The extent of points along the three axes of their zone's frame, rounded outwards.
struct ZoneBox: BitwiseCopyable {
    var low = SIMD4<Float>(repeating: 2)
    var high = SIMD4<Float>(repeating: -2)

    @inline(__always) mutating func extend(_ p: SIMD4<Float>) {
        low = pointwiseMin(low, p - ZoneBox.slack)
        high = pointwiseMax(high, p + ZoneBox.slack)
    }

    @inline(__always) mutating func extend(_ box: ZoneBox) {
        low = pointwiseMin(low, box.low)
        high = pointwiseMax(high, box.high)
    }

    /// More than the rounding to Float of a number up to 1 in the box and of one to compare it
    /// with.
    static var slack: SIMD4<Float> { SIMD4(repeating: 2.4e-7) }
}

/// Up to 64 pairs in order.
struct CellChunk: BitwiseCopyable {
    static let countMax = 64

    var box = ZoneBox()
    // SAFETY: `capacity` ids and right after them `capacity` numbers, one allocation; the first
    // `count` of each are initialised.
    var keys: UnsafeMutablePointer<UInt64>
    // With 16 bits each a header is 48 bytes, which is a multiple of what boxes are aligned to.
    var count: Int16 = 0
    var capacity: Int16 = 0
    var isStale = false

    /// Pairs by which a chunk grows and shrinks: 48 bytes.
    static let step = 4

    init(capacity: Int) {
        let block = UnsafeMutableRawPointer.allocate(byteCount: capacity * 12, alignment: 8)
        keys = block.bindMemory(to: UInt64.self, capacity: capacity)
        _ = (block + capacity * 8).bindMemory(to: UInt32.self, capacity: capacity)
        self.capacity = Int16(capacity)
    }

    /// The numbers.
    @inline(__always) var values: UnsafeMutablePointer<UInt32> {
        UnsafeMutableRawPointer(keys + Int(capacity)).assumingMemoryBound(to: UInt32.self)
    }

    func free() { UnsafeMutableRawPointer(keys).deallocate() }

    /// The first place whose pair is not before (key, value). - Complexity: O(log count).
    @inline(__always) func lowerBound(_ key: UInt64, _ value: UInt32) -> Int {
        var (low, high) = (0, Int(count))
        while low < high {
            let middle = (low &+ high) &>> 1
            if keys[middle] < key || (keys[middle] == key && values[middle] < value) {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        return low
    }

    mutating func insert(_ key: UInt64, _ value: UInt32, at place: Int) {
        if count == capacity { resize(to: Int(capacity) + Self.step) }
        // SAFETY: there is room for one more behind the last.
        let (rest, values) = (Int(count) - place, values)
        (keys + place + 1).update(from: keys + place, count: rest)
        (values + place + 1).update(from: values + place, count: rest)
        keys[place] = key
        values[place] = value
        count += 1
    }

    mutating func remove(at place: Int) {
        let (rest, values) = (Int(count) - place - 1, values)
        (keys + place).update(from: keys + place + 1, count: rest)
        (values + place).update(from: values + place + 1, count: rest)
        count -= 1
        if Int(capacity) - Int(count) >= 2 * Self.step {
            resize(to: Int(capacity) - Self.step)
        }
    }

    /// Appends the pairs of another from `start` on.
    mutating func append(_ other: CellChunk, from start: Int) {
        let moved = Int(other.count) - start
        let needed = (Int(count) + moved + Self.step - 1) / Self.step * Self.step
        if needed > Int(capacity) { resize(to: needed) }
        (keys + Int(count)).update(from: other.keys + start, count: moved)
        (values + Int(count)).update(from: other.values + start, count: moved)
        count += Int16(moved)
    }

    mutating func resize(to newCapacity: Int) {
        var larger = CellChunk(capacity: newCapacity)
        larger.keys.update(from: keys, count: Int(count))
        larger.values.update(from: values, count: Int(count))
        free()
        swap(&keys, &larger.keys)
        capacity = Int16(newCapacity)
    }
}

/// Up to 64 chunks in order.
struct CellGroup: BitwiseCopyable {
    static let countMax = 64

    var count = 0
    var entryCount = 0
    var isStale = false
    // SAFETY: `capacity` elements each, the first `count` initialised; owned by the group.
    var firstKeys: UnsafeMutablePointer<UInt64>
    var chunks: UnsafeMutablePointer<CellChunk>
    var capacity: Int

    init(capacity: Int = 4) {
        self.capacity = capacity
        firstKeys = .allocate(capacity: capacity)
        chunks = .allocate(capacity: capacity)
    }

    private mutating func grow() {
        let larger = CellGroup(capacity: capacity + max(4, capacity / 8))
        larger.firstKeys.update(from: firstKeys, count: count)
        larger.chunks.update(from: chunks, count: count)
        freeArrays()
        (firstKeys, chunks, capacity) = (larger.firstKeys, larger.chunks, larger.capacity)
    }

    func free() {
        for index in 0..<count { chunks[index].free() }
        freeArrays()
    }

    func freeArrays() {
        firstKeys.deallocate()
        chunks.deallocate()
    }

    /// The last chunk whose first pair is not after (key, value), or the first chunk.
    @inline(__always) func chunk(holding key: UInt64, _ value: UInt32) -> Int {
        var (low, high) = (0, count &- 1)
        while low < high {
            let middle = (low &+ high &+ 1) &>> 1
            if firstKeys[middle] < key
                || (firstKeys[middle] == key && chunks[middle].values[0] <= value)
            {
                low = middle
            } else {
                high = middle &- 1
            }
        }
        return low
    }

    mutating func insertChunk(_ chunk: CellChunk, at place: Int) {
        if count == capacity { grow() }
        let rest = count - place
        (firstKeys + place + 1).update(from: firstKeys + place, count: rest)
        (chunks + place + 1).update(from: chunks + place, count: rest)
        firstKeys[place] = chunk.keys[0]
        chunks[place] = chunk
        count += 1
    }

    mutating func removeChunk(at place: Int) {
        chunks[place].free()
        let rest = count - place - 1
        (firstKeys + place).update(from: firstKeys + place + 1, count: rest)
        (chunks + place).update(from: chunks + place + 1, count: rest)
        count -= 1
    }
}

/// The groups of one zone in order.
struct CellZone: BitwiseCopyable {
    // SAFETY: `capacity` elements each, the first `count` initialised; the groups are the zone's.
    var groups: UnsafeMutablePointer<UnsafeMutablePointer<CellGroup>>
    /// The box of each group: side by side, for every search looks at all of them.
    var boxes: UnsafeMutablePointer<ZoneBox>
    var count = 0
    var capacity = 4

    init() {
        groups = .allocate(capacity: capacity)
        boxes = .allocate(capacity: capacity)
    }

    func free() {
        for index in 0..<count {
            groups[index].pointee.free()
            groups[index].deallocate()
        }
        groups.deallocate()
        boxes.deallocate()
    }

    /// The last group whose first pair is not after (key, value), or the first group.
    @inline(__always) func group(holding key: UInt64, _ value: UInt32) -> Int {
        var (low, high) = (0, count &- 1)
        while low < high {
            let middle = (low &+ high &+ 1) &>> 1
            let first = groups[middle].pointee.firstKeys[0]
            if first < key
                || (first == key && groups[middle].pointee.chunks[0].values[0] <= value)
            {
                low = middle
            } else {
                high = middle &- 1
            }
        }
        return low
    }

    mutating func insertGroup(_ group: CellGroup, at place: Int) {
        if count == capacity {
            let larger = UnsafeMutablePointer<UnsafeMutablePointer<CellGroup>>
                .allocate(capacity: capacity * 2)
            larger.update(from: groups, count: count)
            groups.deallocate()
            groups = larger
            let largerBoxes = UnsafeMutablePointer<ZoneBox>.allocate(capacity: capacity * 2)
            largerBoxes.update(from: boxes, count: count)
            boxes.deallocate()
            boxes = largerBoxes
            capacity *= 2
        }
        (groups + place + 1).update(from: groups + place, count: count - place)
        (boxes + place + 1).update(from: boxes + place, count: count - place)
        boxes[place] = ZoneBox()
        groups[place] = .allocate(capacity: 1)
        groups[place].initialize(to: group)
        count += 1
    }

    mutating func removeGroup(at place: Int) {
        groups[place].pointee.freeArrays()
        groups[place].deallocate()
        (groups + place).update(from: groups + place + 1, count: count - place - 1)
        (boxes + place).update(from: boxes + place + 1, count: count - place - 1)
        count -= 1
    }
}

/// A place in the list: a pair, or the end of a zone.
struct CellCursor {
    var zone: Int
    var group: Int
    var chunk: Int
    var index: Int
}

/// See the head of this file.
struct CellList: ~Copyable {
    static let zoneCount = 96

    let zones: UnsafeMutablePointer<CellZone>
    var count = 0

    init() {
        zones = .allocate(capacity: CellList.zoneCount)
        for index in 0..<CellList.zoneCount { (zones + index).initialize(to: CellZone()) }
    }

    deinit {
        for index in 0..<CellList.zoneCount { zones[index].free() }
        zones.deallocate()
    }

    /// The zone of a valid id.
    @inline(__always) static func zone(of key: UInt64) -> Int { Int(key >> 57) }

    /// Adds a pair that is not there; gives where it stands.
    ///
    /// - Complexity: O(log n).
    @discardableResult
    mutating func insert(_ key: UInt64, _ value: UInt32) -> CellCursor {
        let zone = CellList.zone(of: key)
        count += 1
        if zones[zone].count == 0 {
            var group = CellGroup()
            var chunk = CellChunk(capacity: 8)
            chunk.insert(key, value, at: 0)
            group.insertChunk(chunk, at: 0)
            group.entryCount = 1
            zones[zone].insertGroup(group, at: 0)
            return CellCursor(zone: zone, group: 0, chunk: 0, index: 0)
        }
        var groupIndex = zones[zone].group(holding: key, value)
        if zones[zone].groups[groupIndex].pointee.count == CellGroup.countMax {
            splitGroup(zone, groupIndex)
            groupIndex = zones[zone].group(holding: key, value)
        }
        let group = zones[zone].groups[groupIndex]
        var chunkIndex = group.pointee.chunk(holding: key, value)
        if Int(group.pointee.chunks[chunkIndex].count) == CellChunk.countMax {
            let chunk = group.pointee.chunks[chunkIndex]
            // What comes in order, or to one place, leaves full chunks behind.
            let isLast = chunk.lowerBound(key, value) == CellChunk.countMax
            splitChunk(
                group, chunkIndex,
                at: isLast ? CellChunk.countMax - CellChunk.step : CellChunk.countMax / 2)
            chunkIndex = group.pointee.chunk(holding: key, value)
        }
        let chunk = group.pointee.chunks + chunkIndex
        let place = chunk.pointee.lowerBound(key, value)
        assert(
            place == Int(chunk.pointee.count) || chunk.pointee.keys[place] != key
                || chunk.pointee.values[place] != value, "a pair is inserted once")
        chunk.pointee.insert(key, value, at: place)
        group.pointee.firstKeys[chunkIndex] = chunk.pointee.keys[0]
        group.pointee.entryCount += 1
        return CellCursor(zone: zone, group: groupIndex, chunk: chunkIndex, index: place)
    }

    private func splitChunk(
        _ group: UnsafeMutablePointer<CellGroup>, _ index: Int, at half: Int
    ) {
        var upper = CellChunk(capacity: CellChunk.countMax - half + CellChunk.step)
        upper.append(group.pointee.chunks[index], from: half)
        upper.isStale = true
        group.pointee.chunks[index].count = Int16(half)
        group.pointee.chunks[index].resize(
            to: min(half + CellChunk.step, CellChunk.countMax))
        group.pointee.chunks[index].isStale = true
        group.pointee.insertChunk(upper, at: index + 1)
        group.pointee.isStale = true
    }

    private func splitGroup(_ zone: Int, _ index: Int) {
        let lower = zones[zone].groups[index]
        let half = lower.pointee.count / 2
        var upper = CellGroup(capacity: CellGroup.countMax - half + 4)
        upper.count = lower.pointee.count - half
        upper.firstKeys.update(from: lower.pointee.firstKeys + half, count: upper.count)
        upper.chunks.update(from: lower.pointee.chunks + half, count: upper.count)
        for chunk in 0..<upper.count { upper.entryCount += Int(upper.chunks[chunk].count) }
        upper.isStale = true
        lower.pointee.count = half
        lower.pointee.entryCount -= upper.entryCount
        lower.pointee.isStale = true
        zones[zone].insertGroup(upper, at: index + 1)
    }

    /// Takes a pair out; gives its chunk's place while that still exists, nil if the pair was not
    /// there.
    ///
    /// - Complexity: O(log n).
    @discardableResult
    mutating func remove(_ key: UInt64, _ value: UInt32) -> CellCursor? {
        let zone = CellList.zone(of: key)
        guard zones[zone].count > 0 else { return nil }
        let groupIndex = zones[zone].group(holding: key, value)
        let group = zones[zone].groups[groupIndex]
        let chunkIndex = group.pointee.chunk(holding: key, value)
        let chunk = group.pointee.chunks + chunkIndex
        let place = chunk.pointee.lowerBound(key, value)
        guard place < Int(chunk.pointee.count), chunk.pointee.keys[place] == key,
            chunk.pointee.values[place] == value
        else { return nil }
        chunk.pointee.remove(at: place)
        group.pointee.entryCount -= 1
        count -= 1
        if chunk.pointee.count == 0 {
            group.pointee.removeChunk(at: chunkIndex)
            group.pointee.isStale = true
            if group.pointee.count == 0 { zones[zone].removeGroup(at: groupIndex) }
        } else {
            group.pointee.firstKeys[chunkIndex] = chunk.pointee.keys[0]
            if chunk.pointee.count < 16 { mergeWithNext(group, chunkIndex) }
        }
        return CellCursor(zone: zone, group: groupIndex, chunk: chunkIndex, index: place)
    }

    /// Moves a small next chunk into this one.
    private func mergeWithNext(_ group: UnsafeMutablePointer<CellGroup>, _ index: Int) {
        guard index + 1 < group.pointee.count,
            group.pointee.chunks[index].count + group.pointee.chunks[index + 1].count <= 40
        else { return }
        group.pointee.chunks[index].append(group.pointee.chunks[index + 1], from: 0)
        group.pointee.chunks[index].isStale = true
        group.pointee.removeChunk(at: index + 1)
        group.pointee.isStale = true
    }

    /// Bytes allocated. - Complexity: O(chunks).
    var byteCount: Int {
        var sum = CellList.zoneCount * MemoryLayout<CellZone>.stride
        for zone in 0..<CellList.zoneCount {
            sum += zones[zone].capacity * (8 + MemoryLayout<ZoneBox>.stride)
            for index in 0..<zones[zone].count {
                let group = zones[zone].groups[index].pointee
                sum += MemoryLayout<CellGroup>.stride
                sum += group.capacity * (8 + MemoryLayout<CellChunk>.stride)
                for chunk in 0..<group.count { sum += Int(group.chunks[chunk].capacity) * 12 }
            }
        }
        return sum
    }
}
