// Pairs that come in order, such as from a file: no place is searched for, nothing is split.

extension CellList {
    /// Pairs of a chunk and chunks of a group: room is left for those that come later.
    private static let fillCount = 48

    /// Adds a pair that is greater than all that are there; gives where it stands.
    ///
    /// - Complexity: O(1) amortised.
    mutating func append(_ key: UInt64, _ value: UInt32) -> CellCursor {
        let zone = CellList.zone(of: key)
        count += 1
        let isNew = zones[zone].count == 0 || isFull(zones[zone].groups[zones[zone].count - 1])
        if isNew { zones[zone].appendEmptyGroup() }
        let groupIndex = zones[zone].count - 1
        // SAFETY: the group was just seen or made.
        let group = zones[zone].groups[groupIndex]
        let last = group.pointee.count - 1
        if last < 0 || Int(group.pointee.chunks[last].count) == CellList.fillCount {
            var chunk = CellChunk(capacity: CellList.fillCount)
            chunk.insert(key, value, at: 0)
            group.pointee.insertChunk(chunk, at: last + 1)
        } else {
            let chunk = group.pointee.chunks + last
            chunk.pointee.insert(key, value, at: Int(chunk.pointee.count))
        }
        group.pointee.entryCount += 1
        let chunkIndex = group.pointee.count - 1
        return CellCursor(
            zone: zone, group: groupIndex, chunk: chunkIndex,
            index: Int(group.pointee.chunks[chunkIndex].count) - 1)
    }

    private func isFull(_ group: UnsafeMutablePointer<CellGroup>) -> Bool {
        group.pointee.count == CellList.fillCount
            && Int(group.pointee.chunks[group.pointee.count - 1].count) == CellList.fillCount
    }

    /// Calls `body` with the numbers of all pairs in order, some at a time.
    func forEachRun(_ body: (UnsafeBufferPointer<UInt32>) -> Void) {
        for zone in 0..<CellList.zoneCount {
            for index in 0..<zones[zone].count {
                let group = zones[zone].groups[index].pointee
                for number in 0..<group.count {
                    // SAFETY: the first `count` numbers of a chunk are initialised.
                    let chunk = group.chunks[number]
                    body(UnsafeBufferPointer(start: chunk.values, count: Int(chunk.count)))
                }
            }
        }
    }
}

extension CellZone {
    fileprivate mutating func appendEmptyGroup() { insertGroup(CellGroup(), at: count) }
}
