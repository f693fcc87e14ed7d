/// What one step of the builder will change: rows of links, and parents. Kept between steps so that
/// its buffers are.
package final class HNSWPlan {
    /// The step that was planned.
    var operation: HNSWOperation?
    /// Rows in order: node, level and links, `stride` ids each.
    private(set) var rowNodes: [UInt32] = []
    private(set) var rowLevels: [UInt8] = []
    private(set) var rowLinks: [UInt32] = []
    let stride: Int
    /// Children and their new parents.
    var parents: [(child: UInt32, parent: UInt32)] = []
    /// The level of a node to be linked.
    var level = 0
    /// Where a sweep goes on.
    var cursor: UInt32 = 0
    /// The entry that a sweep chose: node and level.
    var entry: (node: UInt32, level: Int)?
    /// The node without a parent that a sweep chose.
    var root: UInt32?

    let scratch = SearchScratch()
    /// The links chosen last.
    var chosen: [UInt32] = []
    /// Candidates to choose from, ascending.
    var candidates: [UInt64] = []
    var distances: [Float]
    var floats: [Float]

    /// A plan for the steps of `graph`.
    package init(_ graph: HNSWGraph) {
        stride = graph.view.baseCapacity
        distances = [Float](repeating: 0, count: SearchScratch.batchCount)
        floats = [Float](repeating: 0, count: graph.configuration.dimensions)
    }

    func reset(_ operation: HNSWOperation) {
        self.operation = operation
        rowNodes.removeAll(keepingCapacity: true)
        rowLevels.removeAll(keepingCapacity: true)
        rowLinks.removeAll(keepingCapacity: true)
        parents.removeAll(keepingCapacity: true)
        (entry, root, level, cursor) = (nil, nil, 0, 0)
    }

    /// Whether a row of the base level is to change already.
    func changesBase(of node: UInt32) -> Bool {
        for i in rowNodes.indices where rowNodes[i] == node && rowLevels[i] == 0 { return true }
        return false
    }

    /// Adds a row that is to hold `links` and nothing else.
    func stage(_ node: UInt32, _ level: Int, _ links: [UInt32]) {
        rowNodes.append(node)
        rowLevels.append(UInt8(level))
        rowLinks.append(contentsOf: links)
        for _ in links.count..<stride { rowLinks.append(HNSWGraph.none) }
    }
}
