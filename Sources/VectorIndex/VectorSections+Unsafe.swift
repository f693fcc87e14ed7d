// Vector indexes as flat arrays, so that what took hours to link comes back at the speed of a
// copy.
//
// Rows of codes and originals go with what pads them, packed (PackedRows); rows of slots that are
// free too. Sections of before there was packing have them as they are.
// What is read is checked as far as walks rely on it: links name nodes of the graph and of the
// level, so that no walk leaves the arrays or goes on without end. What a plan under way had
// worked out is not written: it is worked out again.

import CKernels
package import Primitives

extension ReservedArray {
    /// Fills elements `0..<count`.
    mutating func read(
        _ count: Int, from source: any SectionSource
    ) throws(SectionError) {
        do throws(VectorIndexError) { try grow(to: count) } catch {
            throw .invalid("there is memory for the vectors")
        }
        try source.read(into: base, count: count)
    }

    func write(_ count: Int, to sink: any SectionSink) {
        sink.put(UnsafePointer(base), count: count)
    }
}

extension VectorRows {
    func read(rowCount: Int, from source: any SectionSource) throws(SectionError) {
        let strides = (try source.next(UInt32.self), try source.next(UInt32.self))
        let isPacked = strides.1 & Self.packedMark != 0
        try source.require(
            Int(strides.0) == codeStride && Int(strides.1 & ~Self.packedMark) == exactStride,
            "rows are as long as their type says")
        try source.require(
            rowCount <= rowCountMax
                && rowCount <= source.remaining / max(1, codeStride + exactStride),
            "every row is there")
        if isPacked {
            try readPacked(rowCount: rowCount, from: source)
        } else {
            try codes.read(rowCount * codeStride, from: source)
            try exact.read(rowCount * exactStride, from: source)
        }
        // Walks and packing rely on it; what was packed beside codes was looked at on the way.
        if !(isPacked && storage == .int8) {
            try source.require(isFinite(rowCount), "vectors are of finite numbers")
        }
        guard storage == .int8 else { return }
        try factors.read(rowCount, from: source)
        for row in 0..<rowCount {
            let factor = factors.base[row]
            try source.require(
                factor.scale.isFinite && factor.offset.isFinite, "factors are numbers")
        }
    }
}

/// Ids below a bound, each once.
private func distinct(
    _ source: any SectionSource, below bound: Int
) throws(SectionError) -> [UInt32] {
    let ids = try source.array(UInt32.self)
    let seen = Bitmap(capacity: bound)
    for id in ids {
        try source.require(Int(id) < bound && !seen.test(id), "ids are of nodes, each once")
        seen.set(id)
    }
    return ids
}

/// Reads the bits of live nodes and counts them.
private func readLive(
    _ words: inout ReservedArray<UInt64>, _ nodeCount: Int, _ source: any SectionSource
) throws(SectionError) -> Int {
    let count = (nodeCount + 511) / 512 * 8
    try words.read(count, from: source)
    var live = 0
    for index in 0..<count {
        let first = index * 64
        let valid: UInt64 =
            first + 64 <= nodeCount
            ? ~0 : (first >= nodeCount ? 0 : (1 << UInt64(nodeCount - first)) - 1)
        try source.require(words.base[index] & ~valid == 0, "live nodes are nodes")
        live += words.base[index].nonzeroBitCount
    }
    return live
}

extension FlatNodes {
    func write(to sink: any SectionSink) {
        sink.put(UInt64(nodeCount))
        rows.writePacked(rowCount: nodeCount, to: sink)
        liveWords.write(FlatNodes.wordCount(nodeCount), to: sink)
        stateRows.write(nodeCount, to: sink)
        sink.put(array: free)
    }

    func read(from source: any SectionSource) throws(SectionError) {
        let count = try source.count(atMost: rows.rowCountMax)
        try rows.read(rowCount: count, from: source)
        liveCount = try readLive(&liveWords, count, source)
        try stateRows.read(count, from: source)
        free = try distinct(source, below: count)
        nodeCount = count
        var empty = 0
        for node in 0..<count {
            let state = states[node]
            try source.require(state < 8, "a slot's state is known")
            if state == 0 { empty += 1 }
            let used = state & FlatNodes.used != 0 && state & FlatNodes.released == 0
            try source.require(!isLive(UInt32(node)) || used, "live slots are used")
        }
        try source.require(
            empty == free.count && free.allSatisfy { states[Int($0)] == 0 }, "free slots are empty")
    }
}

extension FlatIndex {
    /// Writes the index down.
    package func write(to sink: any SectionSink) { nodes.write(to: sink) }

    /// Makes an empty index what it was when it was written down.
    ///
    /// - Throws: as the source; `invalid`. The index is of no use then.
    package func read(from source: any SectionSource) throws(SectionError) {
        try nodes.read(from: source)
    }
}

extension HNSWGraph {
    /// Writes the graph down.
    package func write(to sink: any SectionSink) {
        sink.put(UInt64(nodeCount))
        sink.put(UInt64(upperCount))
        rows.writePacked(rowCount: nodeCount, to: sink)
        links.write(nodeCount * view.baseCapacity, to: sink)
        upper.write(upperCount * view.upperCapacity, to: sink)
        upperRows.write(nodeCount, to: sink)
        parentRows.write(nodeCount, to: sink)
        levelRows.write(nodeCount, to: sink)
        stateRows.write(nodeCount, to: sink)
        liveWords.write((nodeCount + 511) / 512 * 8, to: sink)
        for node in 0..<nodeCount { sink.put(UInt8(releasedRows.base[node] ? 1 : 0)) }
        sink.put(sequence)
        sink.put(array: free)
        sink.put(UInt64(operations.count - operationHead))
        for operation in operations[operationHead...] {
            sink.put(operation.kind.rawValue)
            sink.put(operation.node)
            sink.put(operation.sequence)
        }
        tail[tailHead...].withUnsafeBufferPointer { sink.put(array: $0) }
        for word in [entry, root, UInt32(top), sweepCursor ?? Self.none] { sink.put(word) }
        sink.put(UInt8(sweepCursor == nil ? 0 : 1))
        sink.put(UInt64(linkedEnd))
        sink.put(array: deadNodes)
        for list in upperFree { sink.put(array: list) }
    }

    /// Makes an empty graph what it was when it was written down.
    ///
    /// - Throws: as the source; `invalid`. The graph is of no use then.
    /// - Complexity: O(bytes).
    package func read(from source: any SectionSource) throws(SectionError) {
        let count = try source.count(atMost: configuration.nodeCountMax)
        upperCount = try source.count(atMost: upper.capacity / view.upperCapacity)
        try rows.read(rowCount: count, from: source)
        try links.read(count * view.baseCapacity, from: source)
        try upper.read(upperCount * view.upperCapacity, from: source)
        try upperRows.read(count, from: source)
        try parentRows.read(count, from: source)
        try levelRows.read(count, from: source)
        try stateRows.read(count, from: source)
        liveCount = try readLive(&liveWords, count, source)
        var flags = [UInt8](repeating: 0, count: count)
        try flags.withUnsafeMutableBufferPointer { (flags) throws(SectionError) in
            try source.read(into: UnsafeMutableRawBufferPointer(flags))
        }
        do throws(VectorIndexError) { try releasedRows.grow(to: count) } catch {
            throw .invalid("there is memory for the vectors")
        }
        for node in 0..<count { releasedRows.base[node] = flags[node] != 0 }
        nodeCount = count
        sequence = try source.next()
        free = try distinct(source, below: count)
        try readOperations(source)
        entry = try source.next()
        root = try source.next()
        top = Int(try source.next(UInt32.self))
        let cursor = try source.next(UInt32.self)
        sweepCursor = try source.next(UInt8.self) == 0 ? nil : cursor
        linkedEnd = try source.count(atMost: count)
        deadNodes = try distinct(source, below: count)
        for level in upperFree.indices {
            upperFree[level] = try distinct(source, below: upperCount)
            try source.require(
                upperFree[level].allSatisfy { Int($0) + level <= upperCount }, "free rows are rows")
        }
        try checkNodes(source)
        try checkTree(source)
    }

    private func readOperations(_ source: any SectionSource) throws(SectionError) {
        // A kind, a node and a number each.
        let count = try source.count(ofStride: 13)
        operations.reserveCapacity(count)
        var waiting: [UInt32] = []
        for _ in 0..<count {
            let kind = HNSWOperation.Kind(rawValue: try source.next())
            let node = try source.next(UInt32.self)
            let number = try source.next(UInt64.self)
            guard let kind, kind != .sweep, Int(node) < nodeCount else {
                throw .invalid("operations are of nodes")
            }
            if kind == .link {
                waiting.append(node)
                upperPending += level(sequence: number)
            }
            operations.append(HNSWOperation(kind: kind, node: node, sequence: number))
        }
        tail = try source.array()
        try source.require(tail == waiting, "the tail is what waits for its link")
        let linked = Bitmap(capacity: nodeCount)
        for node in tail {
            try source.require(
                states[Int(node)] == 0 && !linked.test(node), "what waits is not linked")
            linked.set(node)
        }
        do throws(VectorIndexError) {
            try upper.grow(
                to: min(upper.capacity, (upperCount + upperPending) * view.upperCapacity))
        } catch {
            throw .invalid("there is memory for the vectors")
        }
    }

    /// Checks states, levels and links, and counts.
    private func checkNodes(_ source: any SectionSource) throws(SectionError) {
        (linkedCount, deadCount) = (0, 0)
        let bound = UInt32(nodeCount)
        for node in 0..<nodeCount {
            let state = states[node]
            let level = Int(levels[node])
            try source.require(state != State.dead && state < 4, "a node's state is known")
            if state == 0 {
                try source.require(
                    level == 0 || level == Int(Self.unlinkedLevel), "unlinked nodes have no level")
            } else {
                linkedCount += 1
                if state & State.dead != 0 { deadCount += 1 }
                try source.require(
                    node < linkedEnd && level <= 15
                        && Int(level == 0 ? 0 : view.upperRows[node]) + level <= upperCount,
                    "a node's levels have rows")
                try source.require(
                    state & State.dead == 0 || !isLive(UInt32(node)), "the dead do not live")
            }
            try source.require(
                parents[node] == Self.none || parents[node] < bound, "parents are nodes")
        }
        try source.require(
            deadNodes.count == deadCount
                && deadNodes.allSatisfy { states[Int($0)] & State.dead != 0 },
            "dead nodes are known")
        try source.require(
            free.allSatisfy {
                states[Int($0)] == 0 && levels[Int($0)] == Self.unlinkedLevel && !isLive($0)
                    && releasedRows.base[Int($0)]
            }, "free slots are empty")
        let hasEntry = entry != Self.none
        try source.require(
            !hasEntry
                || (entry < bound && states[Int(entry)] != 0 && Int(levels[Int(entry)]) == top),
            "searches start at a node")
        try source.require(root == Self.none || root < bound, "the root is a node")
        // The last steps of a sweep empty dead nodes one by one.
        try source.require(
            hasEntry || linkedCount == deadCount, "there is a way into the graph")
        try source.require(
            sweepCursor.map { Int($0) <= 2 * linkedEnd } ?? true, "a sweep is inside")
        try checkLinks(source, bound)
    }

    private func checkLinks(_ source: any SectionSource, _ bound: UInt32) throws(SectionError) {
        // Base rows first, all in one pass: a link is a node or none.
        var wrong = 0
        let all = view.links
        for index in 0..<nodeCount * view.baseCapacity {
            wrong &+= all[index] < bound || all[index] == Self.none ? 0 : 1
        }
        try source.require(wrong == 0, "links are of nodes")
        // By node: the row that named it last, and one.
        var named = [UInt32](repeating: 0, count: nodeCount)
        let twice = named.withUnsafeMutableBufferPointer { named in
            var twice = 0
            for row in 0..<nodeCount {
                let links = all + row * view.baseCapacity
                for j in 0..<view.baseCapacity where links[j] != Self.none {
                    twice &+= named[Int(links[j])] == UInt32(row) + 1 ? 1 : 0
                    named[Int(links[j])] = UInt32(row) + 1
                }
            }
            return twice
        }
        try source.require(twice == 0, "a row links to a node once")
        for node in 0..<UInt32(nodeCount) where states[Int(node)] != 0 {
            let level = Int(levels[Int(node)])
            if level == 0 { continue }
            for upper in 1...level {
                let row = view.row(node, upper)
                for j in 0..<view.capacity(upper) where row[j] != Self.none {
                    try source.require(
                        row[j] < bound && states[Int(row[j])] != 0
                            && Int(levels[Int(row[j])]) >= upper
                            && !(0..<j).contains { row[$0] == row[j] },
                        "links are of their level, each once")
                }
            }
        }
    }

    /// Checks that every chain of parents ends.
    private func checkTree(_ source: any SectionSource) throws(SectionError) {
        var state = [UInt8](repeating: 0, count: nodeCount)
        for start in 0..<nodeCount where state[start] == 0 {
            var at = UInt32(start)
            while at != Self.none, state[Int(at)] == 0 {
                state[Int(at)] = 1
                at = parents[Int(at)]
            }
            try source.require(at == Self.none || state[Int(at)] == 2, "parents form a tree")
            at = UInt32(start)
            while at != Self.none, state[Int(at)] == 1 {
                state[Int(at)] = 2
                at = parents[Int(at)]
            }
        }
    }
}

extension IVFIndex {
    /// Writes the index down.
    package func write(to sink: any SectionSink) {
        nodes.write(to: sink)
        sink.put(UInt32(lists.centroids == nil ? 0 : lists.count))
        if let centroids = lists.centroids {
            sink.put(UnsafePointer(centroids.rows.base), count: centroids.rows.count)
        }
        for list in 0..<lists.count { sink.put(array: lists.members(list)) }
        sink.put(UInt64(operations.count - operationHead))
        for operation in operations[operationHead...] {
            sink.put(operation.kind.rawValue)
            sink.put(operation.node)
        }
        tail[tailHead...].withUnsafeBufferPointer { sink.put(array: $0) }
        for number in [trainedCount, linksSince, unlinksSince, postponedUntil, trainingCount] {
            sink.put(UInt64(number))
        }
        sink.put(trainedDistance.bitPattern)
        sink.put(distanceSince.bitPattern)
    }

    /// Makes an empty index what it was when it was written down.
    ///
    /// - Throws: as the source; `invalid`. The index is of no use then.
    package func read(from source: any SectionSource) throws(SectionError) {
        try nodes.read(from: source)
        try readLists(source)
        let count = try source.count(ofStride: 5)
        var waiting: [UInt32] = []
        let members = Bitmap(capacity: nodeCount)
        for list in 0..<lists.count { for node in lists.members(list) { members.set(node) } }
        operations.reserveCapacity(count)
        for _ in 0..<count {
            let kind = IVFOperation.Kind(rawValue: try source.next())
            let node = try source.next(UInt32.self)
            guard let kind, kind != .train, Int(node) < nodeCount else {
                throw .invalid("operations are of nodes")
            }
            // Played through: each is of a node that is there to be linked, or to be let go.
            let held = nodes.states[Int(node)] & FlatNodes.held != 0
            try source.require(
                held && members.test(node) == (kind == .unlink), "operations follow each other")
            if kind == .link {
                waiting.append(node)
                members.set(node)
            } else {
                members.clear(node)
            }
            operations.append(IVFOperation(kind: kind, node: node))
        }
        tail = try source.array()
        try source.require(tail == waiting, "the tail is what waits for its link")
        trainedCount = try source.count(atMost: 1 << 31)
        linksSince = try source.count(atMost: 1 << 62)
        unlinksSince = try source.count(atMost: 1 << 62)
        postponedUntil = try source.count(atMost: 1 << 62)
        trainingCount = try source.count(atMost: 1 << 62)
        trainedDistance = Double(bitPattern: try source.next())
        distanceSince = Double(bitPattern: try source.next())
    }

    private func readLists(_ source: any SectionSource) throws(SectionError) {
        let listCount = Int(try source.next(UInt32.self))
        let dimensions = configuration.vectors.dimensions
        try source.require(
            listCount <= configuration.listCount
                && listCount <= source.remaining / (dimensions * 4),
            "no more lists than there may be")
        var centroids: IVFCentroids?
        if listCount > 0 {
            let made = IVFCentroids(
                count: listCount, dimensions: dimensions, metric: configuration.vectors.metric)
            try source.read(into: made.rows.base, count: listCount * dimensions)
            for index in 0..<listCount * dimensions {
                try source.require(made.rows.base[index].isFinite, "centres are numbers")
            }
            made.encode()
            centroids = made
        }
        do throws(VectorIndexError) {
            lists = try IVFLists(
                centroids: centroids, nodeCountMax: configuration.vectors.nodeCountMax)
            try lists.reserve(nodeCount: nodeCount)
        } catch {
            throw .invalid("there is memory for the vectors")
        }
        let seen = Bitmap(capacity: nodeCount)
        for list in 0..<max(listCount, 1) {
            for node in try source.array(UInt32.self) {
                try source.require(
                    Int(node) < nodeCount && !seen.test(node)
                        && nodes.states[Int(node)] & FlatNodes.held != 0,
                    "a node is in one list")
                seen.set(node)
                lists.insert(node, into: list)
            }
        }
    }
}
