/// The settings of one inverted file: fixed for its life.
package struct IVFConfiguration: Sendable, Equatable {
    /// The vectors: their shape, metric, stored forms and number.
    package var vectors: FlatConfiguration
    /// Lists once there are vectors enough: 1...65,536.
    package var listCount: Int
    /// What training draws from.
    package var seed: UInt64
    /// Vectors from which on there are lists at all: 1...2^30. Fewer are scanned whole.
    package var trainingCountMin: Int

    /// Settings; the default number of lists suits 100,000 to a million vectors.
    package init(
        vectors: FlatConfiguration,
        listCount: Int = 1_024,
        seed: UInt64 = 0,
        trainingCountMin: Int = 2_048
    ) {
        self.vectors = vectors
        self.listCount = listCount
        self.seed = seed
        self.trainingCountMin = trainingCountMin
    }

    /// Vectors per list that the number of lists follows while it grows to `listCount`.
    static var vectorsPerList: Int { 32 }

    /// Lists for so many vectors.
    func lists(for vectorCount: Int) -> Int {
        min(listCount, max(vectorCount / IVFConfiguration.vectorsPerList, 1))
    }

    func check() throws(VectorIndexError) {
        try IVFConfiguration.check("listCount", listCount, 65_536)
        try IVFConfiguration.check("trainingCountMin", trainingCountMin, 1 << 30)
    }

    private static func check(
        _ name: String,
        _ value: Int,
        _ highest: Int
    ) throws(VectorIndexError) {
        guard (1...highest).contains(value) else {
            throw .setting(name: name, value: value, lowest: 1, highest: highest)
        }
    }
}
