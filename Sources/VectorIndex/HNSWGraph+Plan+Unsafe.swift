// Planning and applying: a node's links, chosen without a lock and written under one.

extension HNSWGraph {
    /// Works out what `operation`, the graph's next, changes. Reads the graph without a lock.
    ///
    /// - Complexity: a link: O(efConstruction · m) distances; an unlink: O(1); a step of a sweep:
    ///   bounded by its slice.
    package func plan(_ operation: HNSWOperation, into plan: HNSWPlan) {
        plan.reset(operation)
        switch operation.kind {
        case .link: planLink(operation, plan)
        case .unlink: break
        case .sweep: planSweep(operation, plan)
        }
    }

    /// Does what was planned for the graph's next operation. Needs the writer lock.
    ///
    /// - Complexity: O(m) rows copied.
    package func apply(_ plan: HNSWPlan) {
        guard let operation = plan.operation, operation == nextOperation else {
            preconditionFailure("plans are applied in order, once")
        }
        plan.operation = nil
        if operation.kind == .link {
            allocateUpper(operation.node, levels: plan.level)
        }
        for (child, parent) in plan.parents { parents[Int(child)] = parent }
        plan.rowLinks.withUnsafeBufferPointer { links in
            guard let base = links.baseAddress else { return }
            for i in 0..<plan.rowNodes.count {
                let level = Int(plan.rowLevels[i])
                // SAFETY: a staged row holds `stride` ids, no fewer than any row has.
                view.row(plan.rowNodes[i], level).update(
                    from: base + i * plan.stride, count: view.capacity(level))
            }
        }
        switch operation.kind {
        case .link: applyLink(operation, plan)
        case .unlink: applyUnlink(operation)
        case .sweep: applySweep(plan)
        }
    }

    /// Takes one step if one waits: for a graph that no other thread uses.
    ///
    /// - Returns: whether there was one.
    package func step(_ plan: HNSWPlan) -> Bool {
        guard let operation = nextOperation else { return false }
        self.plan(operation, into: plan)
        apply(plan)
        return true
    }

    private func applyLink(_ operation: HNSWOperation, _ plan: HNSWPlan) {
        let node = operation.node
        states[Int(node)] = State.linked
        linkedCount += 1
        linkedEnd = max(linkedEnd, Int(node) + 1)
        if entry == Self.none { root = node }
        if entry == Self.none || plan.level > top { (entry, top) = (node, plan.level) }
        finishOperation()
    }

    // MARK: Links

    private func planLink(_ operation: HNSWOperation, _ plan: HNSWPlan) {
        let node = operation.node
        let level = self.level(sequence: operation.sequence)
        plan.level = level
        guard entry != Self.none else { return }
        let (scratch, ef) = (plan.scratch, configuration.efConstruction)
        scratch.prepare(
            nodeCount: max(linkedEnd, Int(node) + 1), ef: ef, dimensions: rows.dimensions)
        let query = rows.query(ofRow: node, scratch.view.floats)
        var nearest = descend(query, to: level, scratch)
        for at in stride(from: min(level, top), through: 0, by: -1) {
            let count = walk(query, level: at, ef: ef, from: nearest, scratch)
            nearest = scratch.view.pool[0] & ~1
            takeCandidates(count, plan)
            // Above the base links only lead to a start: half as many do it in fewer comparisons.
            choose(count: plan.candidates.count, limit: at == 0 ? m : (m + 1) / 2, plan)
            if at == 0 { adopt(node, plan) }
            plan.stage(node, at, plan.chosen)
            linkBack(node, query, at, plan)
        }
    }

    private var m: Int { configuration.m }

    /// The candidate that the levels above `bottom` lead to from the entry.
    func descend(
        _ query: borrowing QueryView, to bottom: Int, _ scratch: SearchScratch
    ) -> UInt64 {
        var count = 0
        let nearest = descend(query, to: bottom, ef: 0, scratch, &count)
        scratch.evaluatedCount += scratch.touchedCount
        scratch.clear()
        return nearest
    }

    /// The same; the best `ef` of what was compared on the way make the pool, and it all stays
    /// marked as visited.
    func descend(
        _ query: borrowing QueryView, to bottom: Int, ef: Int, _ scratch: SearchScratch,
        _ count: inout Int
    ) -> UInt64 {
        let (s, entry) = (scratch.view, entry)
        s.touched[0] = entry
        s.visited[Int(entry >> 6)] |= 1 << UInt64(entry & 63)
        scratch.touchedCount = 1
        view.codes.distances(query, s.touched, 1, s.distances)
        let start = Candidate.key(s.distances[0], entry)
        s.pool[0] = start
        count = 1
        return HNSWWalk.descend(
            view, query, from: start, top: top, bottom: bottom, ef: ef, s,
            &scratch.touchedCount, &count)
    }

    /// Walks one level from one candidate; the pool holds what it found.
    func walk(
        _ query: borrowing QueryView, level: Int, ef: Int, from start: UInt64,
        _ scratch: SearchScratch
    ) -> Int {
        scratch.clear()
        let (s, node) = (scratch.view, Candidate.node(start))
        s.pool[0] = start
        s.visited[Int(node >> 6)] |= 1 << UInt64(node & 63)
        s.touched[0] = node
        scratch.touchedCount = 1
        let count = HNSWWalk.expand(
            view, query, level: level, ef: ef, count: 1, s, &scratch.touchedCount)
        scratch.evaluatedCount += scratch.touchedCount
        return count
    }

    /// The pool without dead nodes; with them if there are no others.
    private func takeCandidates(_ count: Int, _ plan: HNSWPlan) {
        let pool = plan.scratch.view.pool
        plan.candidates.removeAll(keepingCapacity: true)
        for i in 0..<count where !isDead(Candidate.node(pool[i])) {
            plan.candidates.append(pool[i] & ~1)
        }
        if plan.candidates.isEmpty {
            for i in 0..<count { plan.candidates.append(pool[i] & ~1) }
        }
    }

    func isDead(_ node: UInt32) -> Bool { states[Int(node)] & State.dead != 0 }

    /// The heuristic: of the first `count` candidates, nearest first, those are chosen that are
    /// nearer to the node in question than to any chosen before, up to `limit`. Links already in
    /// `chosen` count as chosen before if `keeping` is set.
    ///
    /// - Complexity: O(count · limit) distances.
    func choose(count: Int, limit: Int, keeping: Bool = false, _ plan: HNSWPlan) {
        if !keeping { plan.chosen.removeAll(keepingCapacity: true) }
        plan.candidates.withUnsafeBufferPointer { candidates in
            plan.distances.withUnsafeMutableBufferPointer { room in
                guard let out = room.baseAddress else { return }
                for i in 0..<count {
                    if plan.chosen.count >= limit { break }
                    let node = Candidate.node(candidates[i])
                    let far = Candidate.distance(candidates[i])
                    if isDiverse(node, far, plan, out) { plan.chosen.append(node) }
                }
            }
        }
    }

    private func isDiverse(
        _ node: UInt32, _ distance: Float, _ plan: HNSWPlan, _ out: UnsafeMutablePointer<Float>
    ) -> Bool {
        plan.chosen.withUnsafeBufferPointer { chosen in
            plan.floats.withUnsafeMutableBufferPointer { floats in
                guard let ids = chosen.baseAddress, let room = floats.baseAddress else {
                    return true
                }
                let query = rows.query(ofRow: node, room)
                // Most are turned down by one of the nearest: a few at a time.
                var at = 0
                while at < chosen.count {
                    let batch = min(4, chosen.count - at)
                    view.codes.distances(query, ids + at, batch, out)
                    for j in 0..<batch where out[j] < distance { return false }
                    at += batch
                }
                return true
            }
        }
    }

    // MARK: Back links and parents

    /// How many links of a row of the base level are to the node's parent or children.
    func kinCount(_ node: UInt32) -> Int {
        let row = view.row(node, 0)
        var count = 0
        for j in 0..<view.baseCapacity where row[j] != Self.none {
            count += isKin(node, row[j]) ? 1 : 0
        }
        return count
    }

    func isKin(_ a: UInt32, _ b: UInt32) -> Bool {
        parents[Int(a)] == b || parents[Int(b)] == a
    }

    /// Makes the nearest chosen node that has room the parent of `node`; if none has, a
    /// descendant of the nearest, which then takes the place of the last chosen.
    private func adopt(_ node: UInt32, _ plan: HNSWPlan) {
        if let parent = plan.chosen.first(where: { kinCount($0) < m }) {
            plan.parents.append((node, parent))
            return
        }
        var parent = plan.chosen.first ?? entry
        while kinCount(parent) >= view.baseCapacity {
            // A row full of kin has children; the tree ends somewhere below.
            let row = view.row(parent, 0)
            for j in 0..<view.baseCapacity where row[j] != Self.none {
                if parents[Int(row[j])] == parent {
                    parent = row[j]
                    break
                }
            }
        }
        plan.parents.append((node, parent))
        if plan.chosen.contains(parent) { return }
        if plan.chosen.count >= m { plan.chosen.removeLast() }
        plan.chosen.append(parent)
    }

    /// Stages the rows of the chosen nodes with `node` in them.
    private func linkBack(
        _ node: UInt32, _ query: borrowing QueryView, _ level: Int, _ plan: HNSWPlan
    ) {
        let neighbours = plan.chosen
        for neighbour in neighbours {
            let child = level == 0 && plan.parents.last?.parent == neighbour
            stageRow(of: neighbour, adding: node, level, keeping: child, plan)
        }
    }

    /// Stages the row of `owner` with one more link; if it is full, the heuristic decides which
    /// stay. Links to kin always do, and so does the new one if `keeping` is set.
    func stageRow(
        of owner: UInt32, adding node: UInt32, _ level: Int, keeping: Bool, _ plan: HNSWPlan
    ) {
        let (row, capacity) = (view.row(owner, level), view.capacity(level))
        var links: [UInt32] = []
        links.reserveCapacity(capacity + 1)
        for j in 0..<capacity where row[j] != Self.none { links.append(row[j]) }
        links.append(node)
        if links.count <= capacity {
            plan.stage(owner, level, links)
            return
        }
        rank(links, from: owner, plan)
        plan.chosen.removeAll(keepingCapacity: true)
        if level == 0 {
            plan.candidates.removeAll { key in
                let link = Candidate.node(key)
                guard isKin(owner, link) || (keeping && link == node) else { return false }
                plan.chosen.append(link)
                return true
            }
        }
        choose(count: plan.candidates.count, limit: capacity, keeping: true, plan)
        plan.stage(owner, level, plan.chosen)
    }

    /// Makes `links` the candidates, by their distance from `owner`.
    func rank(_ links: [UInt32], from owner: UInt32, _ plan: HNSWPlan) {
        plan.candidates.removeAll(keepingCapacity: true)
        plan.floats.withUnsafeMutableBufferPointer { floats in
            plan.distances.withUnsafeMutableBufferPointer { out in
                guard let room = floats.baseAddress, let distances = out.baseAddress else {
                    return
                }
                let query = rows.query(ofRow: owner, room)
                var at = 0
                while at < links.count {
                    let batch = min(SearchScratch.batchCount, links.count - at)
                    links.withUnsafeBufferPointer {
                        guard let ids = $0.baseAddress else { return }
                        view.codes.distances(query, ids + at, batch, distances)
                    }
                    for i in 0..<batch {
                        plan.candidates.append(Candidate.key(distances[i], links[at + i]))
                    }
                    at += batch
                }
            }
        }
        plan.candidates.sort()
    }
}
