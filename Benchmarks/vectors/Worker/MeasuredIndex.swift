import VectorIndex

/// What is wrong with the worker's arguments or files.
enum WorkerError: Error {
    case noSuchIndex(String)
    case noSuchCommand(String)
    case unreadable(path: String, errno: Int32)
    case noVectors
}

/// One of our indexes, with the rows of the data set mapped to its nodes.
///
/// Names: `aisle-int8`, `-f16`, `-f32`: the graph over such codes, ranked again by f16 originals
/// (f32 by itself). `aisle-int8-alone`: without originals. `aisle-ivf-…`: the inverted file, where
/// `ef` of a search is the number of lists to look at. `aisle-flat-…`: every vector is compared.
final class MeasuredIndex {
    private enum Kind {
        case graph(HNSWGraph, HNSWPlan)
        case lists(IVFIndex, IVFPlan)
        case flat(FlatIndex)
    }

    private let kind: Kind
    let dimensions: Int
    let scratch = SearchScratch()
    private var nodeOfRow: [UInt32]
    private(set) var rowOfNode: [Int32] = []

    /// An empty index called `name` for `count` rows.
    init(name: String, count: Int, dimensions: Int, metric: VectorMetric) throws {
        var words = name.split(separator: "-").dropFirst()
        self.dimensions = dimensions
        nodeOfRow = [UInt32](repeating: .max, count: count)
        let isLists = words.first == "ivf"
        let isFlat = words.first == "flat"
        if isLists || isFlat { words = words.dropFirst() }
        let forms: [Substring: VectorStorage] = ["int8": .int8, "f16": .f16, "f32": .f32]
        guard let form = words.first, let storage = forms[form] else {
            throw WorkerError.noSuchIndex(name)
        }
        let originals: VectorOriginals = words.contains("alone") ? .none : .f16
        let vectors = FlatConfiguration(
            dimensions: dimensions,
            metric: metric,
            storage: storage,
            originals: originals,
            nodeCountMax: count * 2
        )
        if isLists {
            let lists = max(Int(Double(count).squareRoot() * 3), 1)
            let index = try IVFIndex(IVFConfiguration(vectors: vectors, listCount: lists))
            kind = .lists(index, IVFPlan(index))
        } else if isFlat {
            kind = .flat(try FlatIndex(vectors))
        } else {
            let configuration = HNSWConfiguration(
                dimensions: dimensions,
                metric: metric,
                storage: storage,
                originals: originals,
                nodeCountMax: count * 2
            )
            let graph = try HNSWGraph(configuration)
            kind = .graph(graph, HNSWPlan(graph))
        }
    }

    /// Adds a row's vector and builds until nothing waits.
    func append(_ row: Int, _ vector: UnsafeBufferPointer<Float>) throws {
        let node: UInt32
        switch kind {
        case .graph(let graph, let plan):
            node = try graph.append(vector)
            while graph.step(plan) {}
        case .lists(let index, let plan):
            node = try index.append(vector)
            while index.step(plan) {}
        case .flat(let index): node = try index.append(vector)
        }
        nodeOfRow[row] = node
        while rowOfNode.count <= Int(node) { rowOfNode.append(-1) }
        rowOfNode[Int(node)] = Int32(row)
    }

    /// Takes a row's vector out and builds until nothing waits.
    func remove(_ row: Int) {
        let node = nodeOfRow[row]
        switch kind {
        case .graph(let graph, let plan):
            graph.retire(node)
            graph.release(node)
            while graph.step(plan) {}
        case .lists(let index, let plan):
            index.retire(node)
            index.release(node)
            while index.step(plan) {}
        case .flat(let index):
            index.retire(node)
            index.release(node)
        }
        nodeOfRow[row] = .max
        rowOfNode[Int(node)] = -1
    }

    /// One bit per node for one bit per row, in words enough for any search.
    func nodeBits(_ rows: [UInt64]) -> [UInt64] {
        var bits = [UInt64](repeating: 0, count: (nodeCount + 511) / 512 * 8 + 8)
        for (row, node) in nodeOfRow.enumerated() where node != .max {
            if rows[row >> 6] >> UInt64(row & 63) & 1 == 1 {
                bits[Int(node >> 6)] |= 1 << UInt64(node & 63)
            }
        }
        return bits
    }

    /// The nearest nodes; returns how many.
    func search(
        _ query: UnsafeBufferPointer<Float>,
        k: Int,
        ef: Int,
        accept: UnsafePointer<UInt64>?,
        matchCount: Int?,
        into out: UnsafeMutableBufferPointer<VectorHit>
    ) throws -> Int {
        switch kind {
        case .graph(let graph, _):
            return try graph.search(
                query,
                k: k,
                ef: ef,
                accept: accept,
                matchCount: matchCount,
                scratch: scratch,
                into: out
            )
        case .lists(let index, _):
            return try index.search(
                query,
                k: k,
                probeCount: ef,
                accept: accept,
                scratch: scratch,
                into: out
            )
        case .flat(let index):
            return try index.search(
                query,
                k: k,
                ef: ef,
                accept: accept,
                scratch: scratch,
                into: out
            )
        }
    }

    /// Slots in use or free.
    var nodeCount: Int {
        switch kind {
        case .graph(let graph, _): graph.nodeCount
        case .lists(let index, _): index.nodeCount
        case .flat(let index): index.nodeCount
        }
    }

    /// Bytes that the index says it holds.
    var byteCount: Int {
        switch kind {
        case .graph(let graph, _): graph.byteCount
        case .lists(let index, _): index.byteCount
        case .flat(let index): index.byteCount
        }
    }
}
