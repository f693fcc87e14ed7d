/// How near two vectors are. Smaller is nearer, for all of them.
package enum VectorMetric: UInt8, Sendable, CaseIterable {
    /// 1 − cosine of the angle: 0...2. Vectors are brought to unit length when they come in.
    case cosine
    /// The inner product, negated.
    case dot
    /// The squared Euclidean distance.
    case l2
}
