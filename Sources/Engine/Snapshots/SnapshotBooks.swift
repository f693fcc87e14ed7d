import DocumentStore
import Primitives
import Snapshot

/// What the committer keeps beside the partitions, read from a snapshot.
struct SnapshotBooks {
    var trimHorizon: UInt64 = 0
    var trimmer = LogTrimmer()
    var expiries: [ExpiryQueue.Item] = []

    /// - Throws: as the source; `invalid`.
    init(_ source: any SectionSource) throws(SectionError) {
        trimHorizon = try source.next()
        try trimmer.read(from: source)
        // Five numbers each.
        let count = try source.count(ofStride: 32)
        expiries.reserveCapacity(count)
        for _ in 0..<count {
            expiries.append(
                ExpiryQueue.Item(
                    milliseconds: try source.next(), collection: try source.next(),
                    hash: try source.next(), number: try source.next(),
                    key: LogKey(rawValue: try source.next())))
        }
        try source.finish()
    }
}
