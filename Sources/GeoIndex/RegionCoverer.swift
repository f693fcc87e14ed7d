// Coverings after the method published with S2: start with a few cells around the region and split
// the largest candidates, those first that gain most, until the limit is reached.

/// How to cover a region with cells.
package struct RegionCoverer: Sendable {
    package var levelMin: Int
    package var levelMax: Int
    /// Cells wanted at most. Three are always allowed, and more where `levelMin` forces it.
    package var cellCountMax: Int

    /// - Precondition: `0 <= levelMin <= levelMax <= 30`.
    package init(levelMin: Int = 0, levelMax: Int = CellID.levelMax, cellCountMax: Int = 8) {
        precondition(levelMin >= 0 && levelMin <= levelMax, "levels are in order")
        precondition(levelMax <= CellID.levelMax, "leaves are the deepest level")
        self.levelMin = levelMin
        self.levelMax = levelMax
        self.cellCountMax = cellCountMax
    }

    /// Cells that together hold the region: ascending, none within another.
    ///
    /// - Complexity: O(cellCountMax) comparisons of the region with cells, times levels.
    package func covering<R: Region>(of region: R) -> [CellID] {
        run(region, isInterior: false)
    }

    /// Cells within the region; may be empty, and is where the region is thin.
    package func interiorCovering<R: Region>(of region: R) -> [CellID] {
        run(region, isInterior: true)
    }

    /// A cell that may be split: its children that meet the region.
    private struct Candidate {
        var cell: CellID
        var children: [CellID]
        /// Which of the children need no splitting.
        var areDone: [Bool]
        /// Greater first: larger cells, then those with fewer children, then fewer done ones.
        var priority: Int
    }

    private struct State<R: Region> {
        let coverer: RegionCoverer
        let region: R
        let isInterior: Bool
        var result: [CellID] = []
        var queue: [Candidate] = []

        /// Nil: outside. Otherwise whether the cell needs no splitting.
        func judge(_ cell: CellID) -> Bool? {
            let outline = Cell(cell)
            guard region.mayIntersect(outline) else { return nil }
            let level = cell.level
            if level < coverer.levelMin { return false }
            if isInterior {
                if region.contains(outline) { return true }
                return level >= coverer.levelMax ? nil : false
            }
            return level >= coverer.levelMax || region.contains(outline)
        }

        mutating func add(_ cell: CellID, isDone: Bool) {
            if isDone {
                result.append(cell)
                return
            }
            var candidate = Candidate(cell: cell, children: [], areDone: [], priority: 0)
            for child in cell.children {
                guard let isDone = judge(child) else { continue }
                candidate.children.append(child)
                candidate.areDone.append(isDone)
            }
            let done = candidate.areDone.count { $0 }
            if candidate.children.isEmpty { return }
            if !isInterior && done == 4 && cell.level >= coverer.levelMin {
                result.append(cell)
                return
            }
            candidate.priority =
                -(((cell.level << 2) + candidate.children.count) << 2) - done
            push(candidate)
        }

        private mutating func push(_ candidate: Candidate) {
            queue.append(candidate)
            var child = queue.count - 1
            while child > 0 && queue[(child - 1) / 2].priority < queue[child].priority {
                queue.swapAt(child, (child - 1) / 2)
                child = (child - 1) / 2
            }
        }

        mutating func pop() -> Candidate {
            queue.swapAt(0, queue.count - 1)
            let top = queue.removeLast()
            var parent = 0
            while true {
                var child = parent * 2 + 1
                if child >= queue.count { break }
                if child + 1 < queue.count && queue[child + 1].priority > queue[child].priority {
                    child += 1
                }
                if queue[parent].priority >= queue[child].priority { break }
                queue.swapAt(parent, child)
                parent = child
            }
            return top
        }
    }

    private func run<R: Region>(_ region: R, isInterior: Bool) -> [CellID] {
        var state = State(coverer: self, region: region, isInterior: isInterior)
        for cell in RegionCoverer.start(region.capBound, levelMax: levelMax) {
            if let isDone = state.judge(cell) { state.add(cell, isDone: isDone) }
        }
        // A thin region has no interior cells, however many cells of its border are split.
        var splitsLeft = isInterior ? 500 + 20 * cellCountMax : Int.max
        while !state.queue.isEmpty && splitsLeft > 0
            && (!isInterior || state.result.count < cellCountMax)
        {
            splitsLeft -= 1
            let candidate = state.pop()
            let total = state.result.count + state.queue.count + candidate.children.count
            // Splitting into one costs nothing, and interior coverings only gain.
            if isInterior || candidate.cell.level < levelMin || candidate.children.count == 1
                || total <= cellCountMax
            {
                for (child, isDone) in zip(candidate.children, candidate.areDone) {
                    if isInterior && isDone && state.result.count >= cellCountMax { continue }
                    state.add(child, isDone: isDone)
                }
            } else {
                state.result.append(candidate.cell)
            }
        }
        return RegionCoverer.normalized(state.result, levelMin: levelMin)
    }

    /// At most four cells that hold a cap, or the faces.
    private static func start(_ cap: Cap, levelMax: Int) -> [CellID] {
        if cap.chord2 < 0 { return [] }
        let faces = (0..<6).map { CellID(face: $0) }
        // The cells of a level are nowhere narrower than 0.9428 · 2^-level. Around the corner
        // nearest to its centre, those as wide as the cap hold it.
        let width = 2 * cap.angle
        guard width > 0 else { return [CellID(cap.center).parent(level: levelMax)] }
        var level = -1
        while level < CellID.levelMax - 1
            && 0.942_809_041_582_063_2 * RegionCoverer.power(level + 1) >= width
        {
            level += 1
        }
        level = min(level - 1, levelMax)
        if level < 0 { return faces }
        return CellID(cap.center).vertexNeighbours(level: level)
    }

    private static func power(_ level: Int) -> Double {
        Double(sign: .plus, exponent: -level, significand: 1)
    }

    /// Ascending, without cells within others, and with four children made their parent.
    static func normalized(_ cells: [CellID], levelMin: Int = 0) -> [CellID] {
        var result: [CellID] = []
        // Larger cells before those within them.
        let ordered = cells.sorted {
            $0.rangeMin == $1.rangeMin ? $0 > $1 : $0.rangeMin < $1.rangeMin
        }
        for cell in ordered {
            if let last = result.last, last.contains(cell) { continue }
            result.append(cell)
            while result.count >= 4, let parent = result[result.count - 1].parent,
                parent.level >= levelMin,
                result.suffix(4).allSatisfy({ $0.parent == parent })
            {
                result.removeLast(4)
                result.append(parent)
            }
        }
        return result
    }
}
