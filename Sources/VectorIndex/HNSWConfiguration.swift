/// The settings of one graph: fixed for its life.
package struct HNSWConfiguration: Sendable, Equatable {
    /// Components of a vector: 1...65,536.
    package var dimensions: Int
    package var metric: VectorMetric
    /// Links that an insertion makes per level, and upper rows hold; rows of the base level hold
    /// twice as many. 2...100.
    package var m: Int
    /// Candidates that an insertion chooses its links from: 1...4,096.
    package var efConstruction: Int
    /// What the levels of nodes are drawn from.
    package var seed: UInt64
    /// What searches walk over.
    package var storage: VectorStorage
    /// What the last candidates are ranked by.
    package var originals: VectorOriginals
    /// Vectors at most; addresses are reserved for so many, memory is not.
    package var nodeCountMax: Int

    /// Settings with the defaults of the paper's authors where none are given.
    package init(
        dimensions: Int, metric: VectorMetric, m: Int = 16, efConstruction: Int = 200,
        seed: UInt64 = 0, storage: VectorStorage = .int8, originals: VectorOriginals = .f16,
        nodeCountMax: Int = 1 << 24
    ) {
        self.dimensions = dimensions
        self.metric = metric
        self.m = m
        self.efConstruction = efConstruction
        self.seed = seed
        self.storage = storage
        self.originals = originals
        self.nodeCountMax = nodeCountMax
    }

    func check() throws(VectorIndexError) {
        try Self.check("m", m, 2, 100)
        try Self.check("efConstruction", efConstruction, 1, 4096)
        try Self.check("nodeCountMax", nodeCountMax, 1, 1 << 30)
    }

    private static func check(
        _ name: String, _ value: Int, _ lowest: Int, _ highest: Int
    ) throws(VectorIndexError) {
        guard (lowest...highest).contains(value) else {
            throw .setting(name: name, value: value, lowest: lowest, highest: highest)
        }
    }
}
