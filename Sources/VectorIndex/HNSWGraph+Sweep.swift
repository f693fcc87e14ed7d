// Unlinks and sweeps: dead nodes leave all rows, whose owners are given new links instead.
//
// A row of links does not know who links to it, so one dead node's links can only be found by
// reading all rows. Waiting for a share of the nodes to be dead makes that cheap: at 100,000 nodes
// a pass reads 13 MB for at least 1,500 of them. A sweep has two passes in steps, each of which
// reads a stretch of rows or changes a few: the first gives the children of dead nodes other
// parents, so that the tree joins all others without them; the second mends rows. Then an entry is
// picked, and the last steps empty the dead nodes' own rows. Every node can be reached throughout.
//
// Repair of a row: the links that are left stay. The neighbours of the dead ones are the candidates
// for their places, chosen by the same heuristic as for an insertion.
//
// Repair of the tree: a child of a dead parent takes for its parent the nearest of its links that
// has room and is not below it; failing that, its nearest ancestor that is not dead, or a node
// below that. If the root is dead, the first of its children that is met becomes the root.

extension HNSWGraph {
    /// Dead nodes that start a sweep.
    var deadCountMax: Int { max(32, linkedCount / 64) }

    /// Nodes whose rows one step of a sweep reads at most.
    private static var sliceNodeCount: Int { 16_384 }
    /// Rows that one step mends, nodes that it empties.
    private static var sliceRowCount: Int { 16 }

    func applyUnlink(_ operation: HNSWOperation) {
        states[Int(operation.node)] |= State.dead
        deadCount += 1
        deadNodes.append(operation.node)
        finishOperation()
        if deadCount >= deadCountMax || deadCount == linkedCount { sweepCursor = 0 }
    }

    /// Queues nothing, but starts a sweep now if any node is dead: for an index at rest.
    ///
    /// Part of the history: the same calls at the same operations give the same graph.
    package func sweepNow() {
        if sweepCursor == nil && deadCount > 0 { sweepCursor = 0 }
    }

    // MARK: Planning

    func planSweep(_ operation: HNSWOperation, _ plan: HNSWPlan) {
        // Positions below linkedEnd stand for the first pass, those from there on for the second.
        let first = Int(operation.node)
        let end = first < linkedEnd ? linkedEnd : 2 * linkedEnd
        let slice = min(first + Self.sliceNodeCount, end)
        var at = first
        while at < slice && plan.rowNodes.count < Self.sliceRowCount {
            let node = UInt32(first < linkedEnd ? at : at - linkedEnd)
            // Its row changes in this step already: it is looked at in the next.
            if plan.changesBase(of: node) { break }
            at += 1
            guard states[Int(node)] == State.linked else { continue }
            if first >= linkedEnd {
                mend(node, plan)
            } else if isOrphan(node) {
                // Reads and stages a row of another node too: alone in its step.
                reparent(node, plan)
                break
            }
        }
        plan.cursor = UInt32(at)
        if at == 2 * linkedEnd { plan.entry = highestLevel() }
    }

    private func isOrphan(_ node: UInt32) -> Bool {
        let parent = parents[Int(node)]
        return parent != Self.none && isDead(parent)
    }

    /// Stages what makes another node the parent of a dead one's child. Dead links stay for now.
    private func reparent(_ node: UInt32, _ plan: HNSWPlan) {
        chooseRepair(node, 0, plan)
        guard let parent = newParent(of: node, among: plan.chosen) else {
            plan.root = node
            plan.parents.append((node, Self.none))
            return
        }
        plan.parents.append((node, parent))
        if let links = linksWith(parent, node) { plan.stage(node, 0, links) }
        let row = view.row(parent, 0)
        for j in 0..<view.baseCapacity where row[j] == node { return }
        stageRow(of: parent, adding: node, 0, keeping: true, plan)
    }

    /// Stages the rows of `node` without dead links.
    private func mend(_ node: UInt32, _ plan: HNSWPlan) {
        for level in 0...Int(levels[Int(node)]) where hasDeadLinks(node, level) {
            let kept = chooseRepair(node, level, plan)
            plan.stage(node, level, plan.chosen)
            if level == 0, kept < plan.chosen.count { linkBack(node, plan.chosen[kept], plan) }
        }
    }

    /// Stages the row of a mended node's first new link with `node` in it, as after an insertion: a
    /// node whose neighbours went one after the other would lose all that lead to it otherwise.
    /// Measured at 100,000 x 384, every vector replaced three times: 0.99 of a fresh graph's rate
    /// at recall 0.99 (0.76 without); with all new links 1.12, and writes a sixth slower.
    private func linkBack(_ node: UInt32, _ link: UInt32, _ plan: HNSWPlan) {
        let row = view.row(link, 0)
        let isThere = (0..<view.baseCapacity).contains { row[$0] == node }
        if isThere || plan.changesBase(of: link) { return }
        stageRow(of: link, adding: node, 0, keeping: false, plan)
    }

    private func hasDeadLinks(_ node: UInt32, _ level: Int) -> Bool {
        let row = view.row(node, level)
        for j in 0..<view.capacity(level) {
            if row[j] == Self.none { return false }
            if isDead(row[j]) { return true }
        }
        return false
    }

    /// Leaves in the plan's `chosen` the links of a row that are not dead and the best of their
    /// dead neighbours' neighbours.
    ///
    /// - Returns: how many were there before: they come first.
    @discardableResult
    private func chooseRepair(_ node: UInt32, _ level: Int, _ plan: HNSWPlan) -> Int {
        let (row, capacity, scratch) = (view.row(node, level), view.capacity(level), plan.scratch)
        scratch.prepare(nodeCount: linkedEnd, ef: 1, dimensions: rows.dimensions)
        let s = scratch.view
        var (kept, lost): ([UInt32], [UInt32]) = ([], [])
        for j in 0..<capacity where row[j] != Self.none {
            if isDead(row[j]) { lost.append(row[j]) } else { kept.append(row[j]) }
        }
        for known in kept + lost + [node] {
            s.visited[Int(known >> 6)] |= 1 << UInt64(known & 63)
            s.touched[scratch.touchedCount] = known
            scratch.touchedCount += 1
        }
        var links: [UInt32] = []
        for dead in lost {
            let first = scratch.touchedCount
            let found = HNSWWalk.gather(view.row(dead, level), capacity, s, first)
            scratch.touchedCount += found
            for i in first..<first + found where !isDead(s.touched[i]) {
                links.append(s.touched[i])
            }
        }
        rank(links, from: node, plan)
        plan.chosen.removeAll(keepingCapacity: true)
        plan.chosen.append(contentsOf: kept)
        let limit = min(capacity, kept.count + lost.count)
        choose(count: plan.candidates.count, limit: limit, keeping: true, plan)
        // The rest of the places go to the nearest, diverse or not: rows would thin out otherwise.
        let least = limit
        for key in plan.candidates where plan.chosen.count < least {
            let link = Candidate.node(key)
            if !plan.chosen.contains(link) { plan.chosen.append(link) }
        }
        return kept.count
    }

    /// A parent for a child of a dead one, or nil if it is to be the root.
    private func newParent(of node: UInt32, among links: [UInt32]) -> UInt32? {
        for link in links where kinCount(link) < m && !isBelow(link, node) { return link }
        var ancestor = parents[Int(node)]
        while ancestor != Self.none && isDead(ancestor) { ancestor = parents[Int(ancestor)] }
        if ancestor == Self.none {
            if root == Self.none || isDead(root) { return nil }
            ancestor = root
        }
        // Down from there, where only children that are not dead are followed: never to `node`,
        // whose own parent is dead.
        while kinCount(ancestor) >= view.baseCapacity {
            guard let child = liveChild(of: ancestor) else { return ancestor }
            ancestor = child
        }
        return ancestor
    }

    private func liveChild(of node: UInt32) -> UInt32? {
        let row = view.row(node, 0)
        for j in 0..<view.baseCapacity where row[j] != Self.none {
            if parents[Int(row[j])] == node && !isDead(row[j]) { return row[j] }
        }
        return nil
    }

    private var m: Int { configuration.m }

    /// Whether `node` is `ancestor` or below it in the tree of parents.
    private func isBelow(_ node: UInt32, _ ancestor: UInt32) -> Bool {
        var at = node
        while at != Self.none {
            if at == ancestor { return true }
            at = parents[Int(at)]
        }
        return false
    }

    /// The links of `node` with `parent` among them, or nil if it is there already. If there is no
    /// room it takes the place of a link that is neither kin nor dead, if there is one.
    private func linksWith(_ parent: UInt32, _ node: UInt32) -> [UInt32]? {
        let row = view.row(node, 0)
        var links = (0..<view.baseCapacity).map { row[$0] }.filter { $0 != Self.none }
        if links.contains(parent) { return nil }
        if links.count >= view.baseCapacity {
            // The dead parent is one of the links, so one can always go.
            let last =
                links.lastIndex { !isKin(node, $0) && !isDead($0) }
                ?? links.lastIndex { !isKin(node, $0) } ?? links.lastIndex { isDead($0) }
            links.remove(at: last ?? 0)
        }
        links.append(parent)
        return links
    }

    /// The entry that the nodes that are not dead make: the first of the highest level.
    private func highestLevel() -> (node: UInt32, level: Int)? {
        if entry != Self.none && !isDead(entry) { return (entry, top) }
        var best: (node: UInt32, level: Int)?
        for node in 0..<linkedEnd where states[node] == State.linked {
            let level = Int(levels[node])
            if best == nil || level > best?.level ?? 0 { best = (UInt32(node), level) }
        }
        return best
    }

    // MARK: Applying

    func applySweep(_ plan: HNSWPlan) {
        if let root = plan.root { self.root = root }
        sweepCursor = plan.cursor
        guard Int(plan.cursor) == 2 * linkedEnd else { return }
        if let next = plan.entry {
            (entry, top) = (next.node, next.level)
        } else {
            (entry, top, root) = (Self.none, 0, Self.none)
        }
        for _ in 0..<min(Self.sliceRowCount, deadNodes.count) { vacate(deadNodes.removeLast()) }
        if deadNodes.isEmpty { sweepCursor = nil }
    }
}
