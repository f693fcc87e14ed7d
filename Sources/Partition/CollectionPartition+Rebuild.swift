package import Schema

/// Indexes of vectors that are made anew behind the first lookups, because a snapshot's section of
/// them could not be read: they take what is applied, and lookups do without them.
extension CollectionPartition {
    /// The field's vectors in an index of these options that queries do not use yet.
    package func unreadyVectors(
        _ field: FieldNumber, built options: VectorOptions
    ) -> VectorField? {
        let wanted = options.built
        return vectorFields.first {
            !$0.isReady && $0.field.number == field && $0.options.built == wanted
        }
    }

    /// Lets queries use an index that was made anew.
    ///
    /// - Returns: false where it cannot hold all vectors, or is gone: nothing has changed then.
    package func finishRebuild(_ field: FieldNumber, built options: VectorOptions) -> Bool {
        guard let vectors = unreadyVectors(field, built: options), vectors.rejectedCount == 0
        else { return false }
        vectors.isReady = true
        return true
    }
}
