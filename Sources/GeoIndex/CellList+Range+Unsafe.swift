extension CellList {
    /// The first pair whose id is at least `key`; the end of its zone if there is none in it.
    ///
    /// - Complexity: O(log n).
    @inline(__always) func lowerBound(_ key: UInt64) -> CellCursor {
        let zone = CellList.zone(of: key)
        if zones[zone].count == 0 { return CellCursor(zone: zone, group: 0, chunk: 0, index: 0) }
        let groupIndex = zones[zone].group(holding: key, 0)
        let group = zones[zone].groups[groupIndex]
        let chunkIndex = group.pointee.chunk(holding: key, 0)
        return CellCursor(
            zone: zone, group: groupIndex, chunk: chunkIndex,
            index: group.pointee.chunks[chunkIndex].lowerBound(key, 0))
    }

    /// Whether there is a pair at all with an id in a range; both ends count.
    @inline(__always) func hasAny(_ first: UInt64, _ last: UInt64) -> Bool {
        var reader = CellRangeReader(self, first, last)
        return reader.next()
    }

    /// How many pairs have an id in a range, counted up to `enough`; both ends count.
    ///
    /// - Complexity: O(log n + chunks of the range).
    func count(_ first: UInt64, _ last: UInt64, enough: Int) -> Int {
        var reader = CellRangeReader(self, first, last)
        var sum = 0
        while sum < enough && reader.next() { sum &+= reader.count }
        return sum
    }

    /// Traps if an invariant does not hold. - Complexity: O(n).
    func checkInvariants() {
        var total = 0
        var last: (UInt64, UInt32)?
        for zone in 0..<CellList.zoneCount {
            for index in 0..<zones[zone].count {
                let group = zones[zone].groups[index].pointee
                precondition(group.count > 0, "no group is empty")
                var entries = 0
                for number in 0..<group.count {
                    let chunk = group.chunks[number]
                    precondition(chunk.count > 0, "no chunk is empty")
                    precondition(chunk.count <= chunk.capacity, "pairs fit their chunk")
                    precondition(group.firstKeys[number] == chunk.keys[0], "first ids are right")
                    for place in 0..<Int(chunk.count) {
                        let pair = (chunk.keys[place], chunk.values[place])
                        precondition(CellList.zone(of: pair.0) == zone, "pairs are in their zone")
                        if let last { precondition(last < pair, "pairs ascend") }
                        last = pair
                    }
                    entries += Int(chunk.count)
                }
                precondition(entries == group.entryCount, "a group knows its count")
                total += entries
            }
        }
        precondition(total == count, "the list knows its count")
    }
}

/// Hands out the pairs with ids in a range, a run of one chunk at a time.
///
/// Valid while the list is not changed.
struct CellRangeReader {
    private let zones: UnsafeMutablePointer<CellZone>
    private var at: CellCursor
    private let last: UInt64
    private let lastZone: Int
    /// The run: ids and numbers of `count` pairs.
    private(set) var keys: UnsafePointer<UInt64>
    private(set) var values: UnsafePointer<UInt32>
    private(set) var count = 0

    /// From id `first` through id `last`, which are both valid.
    init(_ list: borrowing CellList, _ first: UInt64, _ last: UInt64) {
        zones = list.zones
        at = list.lowerBound(first)
        self.last = last
        lastZone = CellList.zone(of: last)
        // SAFETY: never read before `next` has set them, for the count is 0.
        keys = UnsafePointer(bitPattern: 8).unsafelyUnwrapped
        values = UnsafePointer(bitPattern: 8).unsafelyUnwrapped
    }

    /// Goes to the next run; false at the end.
    mutating func next() -> Bool {
        while at.zone <= lastZone {
            let zone = zones[at.zone]
            guard at.group < zone.count else {
                at = CellCursor(zone: at.zone + 1, group: 0, chunk: 0, index: 0)
                continue
            }
            let group = zone.groups[at.group]
            guard at.chunk < group.pointee.count else {
                at = CellCursor(zone: at.zone, group: at.group + 1, chunk: 0, index: 0)
                continue
            }
            let chunk = group.pointee.chunks + at.chunk
            let (start, end) = (at.index, Int(chunk.pointee.count))
            at.chunk += 1
            at.index = 0
            guard start < end else { continue }
            let run = chunk.pointee.keys + start
            guard run[0] <= last else { return false }
            var runCount = end - start
            if run[runCount - 1] > last {
                var (low, high) = (0, runCount)
                while low < high {
                    let middle = (low + high) / 2
                    if run[middle] <= last { low = middle + 1 } else { high = middle }
                }
                runCount = low
                // Nothing after this run: the next call ends.
                at.zone = lastZone + 1
            }
            keys = UnsafePointer(run)
            values = UnsafePointer(chunk.pointee.values + start)
            count = runCount
            return true
        }
        return false
    }
}
