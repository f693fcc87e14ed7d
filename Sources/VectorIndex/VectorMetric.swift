/// How near two vectors are. Smaller is nearer, for all of them.
package enum VectorMetric: UInt8, Sendable, CaseIterable {
    /// 1 − cosine of the angle: 0...2. Vectors are brought to unit length when they come in.
    case cosine
    /// The inner product, negated.
    case dot
    /// The squared Euclidean distance.
    case l2
}

/// The form of the vectors that a search walks over.
package enum VectorStorage: UInt8, Sendable, CaseIterable {
    /// 4 bytes a component: exact.
    case f32
    /// 2 bytes a component.
    case f16
    /// 1 byte a component and 8 bytes a vector: each vector is scaled to its largest component.
    case int8
}

/// The form of the vectors that the last candidates are ranked by.
package enum VectorOriginals: UInt8, Sendable, CaseIterable {
    case f32
    case f16
    /// Not held here: results carry the storage's distances, or the caller ranks again.
    case none
}

/// What is wrong with a vector or an index's settings.
package enum VectorIndexError: Error, Equatable, Sendable {
    /// A vector of `received` components where the index has `expected`.
    case dimensions(expected: Int, received: Int)
    /// The component at `index` is infinite or not a number.
    case notFinite(index: Int)
    /// The component at `index` is larger than the stored form can hold.
    case outOfRange(index: Int)
    /// A vector without a direction, under cosine.
    case zeroVector
    /// The index holds as many vectors as it was made for.
    case full(nodeCountMax: Int)
    /// The system gave no memory.
    case outOfMemory(byteCount: Int)
    /// A setting outside its bounds, with the bounds.
    case setting(name: String, value: Int, lowest: Int, highest: Int)
}
