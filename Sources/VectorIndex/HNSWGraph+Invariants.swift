// Checks of the whole graph, for tests.

extension HNSWGraph {
    /// What is wrong with the graph, one line each; nothing if it is sound.
    ///
    /// Checks that rows are filled from the front, hold no node twice, only linked nodes of the
    /// level; that parents and children are linked both ways and form one tree; that every linked
    /// node is reached from the entry along the base level; that counts agree; that levels thin
    /// out as drawn.
    ///
    /// - Complexity: O(nodes · links).
    package func invariantViolations() -> [String] {
        var wrong: [String] = []
        var (linked, dead, atLevel) = (0, 0, [Int](repeating: 0, count: 17))
        for node in 0..<UInt32(nodeCount) where states[Int(node)] & State.linked != 0 {
            linked += 1
            dead += isDead(node) ? 1 : 0
            if isDead(node) && isLive(node) { wrong.append("\(node) is live and dead") }
            for level in 0...Int(levels[Int(node)]) {
                atLevel[level] += 1
                // The last steps of a sweep empty the dead one by one; nothing leads to them.
                if isDead(node) && sweepCursor != nil { continue }
                checkRow(node, level, &wrong)
            }
            checkParent(node, &wrong)
        }
        if linked != linkedCount { wrong.append("\(linked) linked, counted \(linkedCount)") }
        if dead != deadCount { wrong.append("\(dead) dead, counted \(deadCount)") }
        if entry == Self.none && linked > 0 { wrong.append("no entry") }
        if entry != Self.none {
            if Int(levels[Int(entry)]) != top { wrong.append("the entry is not of level \(top)") }
            if (top + 1..<17).contains(where: { level in atLevel[level] > dead }) {
                wrong.append("nodes above the entry")
            }
            let reached = reachedCount()
            if reached != linked { wrong.append("\(reached) of \(linked) reached") }
        }
        checkLevels(atLevel, &wrong)
        let live = (0..<UInt32(nodeCount)).count { isLive($0) }
        if live != liveCount { wrong.append("\(live) live, counted \(liveCount)") }
        return wrong
    }

    private func checkRow(_ node: UInt32, _ level: Int, _ wrong: inout [String]) {
        let (row, capacity) = (view.row(node, level), view.capacity(level))
        var (seen, ended): (Set<UInt32>, Bool) = ([], false)
        for j in 0..<capacity {
            let link = row[j]
            if link == Self.none {
                ended = true
                continue
            }
            let name = "\(node) at \(level) to \(link)"
            if ended { wrong.append("\(name): behind the end") }
            if link == node { wrong.append("\(name): itself") }
            if !seen.insert(link).inserted { wrong.append("\(name): twice") }
            guard Int(link) < nodeCount, states[Int(link)] & State.linked != 0 else {
                wrong.append("\(name): dangling")
                continue
            }
            if Int(levels[Int(link)]) < level { wrong.append("\(name): not of this level") }
        }
    }

    private func holds(_ node: UInt32, _ link: UInt32) -> Bool {
        let row = view.row(node, 0)
        return (0..<view.baseCapacity).contains { row[$0] == link }
    }

    private func checkParent(_ node: UInt32, _ wrong: inout [String]) {
        let parent = parents[Int(node)]
        if parent == Self.none {
            if node != root && !isDead(node) {
                wrong.append("\(node) has no parent, \(root) is the root")
            }
            return
        }
        // A mended node has left its dead neighbours, children among them.
        if isDead(node) || isDead(parent) { return }
        if !holds(node, parent) { wrong.append("\(node) is not linked to its parent \(parent)") }
        if !holds(parent, node) { wrong.append("\(parent) is not linked to its child \(node)") }
        var (at, steps) = (node, 0)
        while at != Self.none && steps <= linkedCount {
            (at, steps) = (parents[Int(at)], steps + 1)
        }
        if at != Self.none { wrong.append("\(node) is its own ancestor") }
    }

    /// Linked nodes that can be reached along the base level.
    private func reachedCount() -> Int {
        var (seen, open) = ([Bool](repeating: false, count: nodeCount), [entry])
        seen[Int(entry)] = true
        // During a sweep the dead may be cut off already.
        var count = (0..<nodeCount).count { states[$0] & State.dead != 0 }
        while let node = open.popLast() {
            if !isDead(node) { count += 1 }
            let row = view.row(node, 0)
            for j in 0..<view.baseCapacity where row[j] != Self.none {
                if !seen[Int(row[j])] {
                    seen[Int(row[j])] = true
                    open.append(row[j])
                }
            }
        }
        return count
    }

    /// Each level above the base holds a share of 1/m of the one below, within eight deviations.
    private func checkLevels(_ atLevel: [Int], _ wrong: inout [String]) {
        let share = 1 / Double(configuration.m)
        for level in 1..<atLevel.count {
            let below = Double(atLevel[level - 1])
            let spread = 8 * (below * share).squareRoot() + 8
            if abs(Double(atLevel[level]) - below * share) > spread {
                wrong.append("\(atLevel[level]) of \(below) nodes above level \(level - 1)")
            }
        }
    }

    /// The links of `node` at `level`, nothing if it is not of that level. For tests.
    package func links(of node: UInt32, level: Int) -> [UInt32] {
        guard states[Int(node)] & State.linked != 0, level <= Int(levels[Int(node)]) else {
            return []
        }
        let row = view.row(node, level)
        return (0..<view.capacity(level)).map { row[$0] }.filter { $0 != Self.none }
    }

    /// All of the graph but the vectors, as numbers: equal for equal graphs. For tests.
    package func fingerprint() -> [UInt32] {
        var out: [UInt32] = [entry, root, UInt32(top), UInt32(linkedCount)]
        for node in 0..<UInt32(nodeCount) {
            out.append(UInt32(states[Int(node)]))
            out.append(parents[Int(node)])
            if states[Int(node)] & State.linked == 0 { continue }
            for level in 0...Int(levels[Int(node)]) {
                out.append(contentsOf: links(of: node, level: level))
                out.append(Self.none)
            }
        }
        return out
    }
}
