import DocumentStore
import Primitives

/// One log entry, whether it is in the log or still in the tail that waits for the disk.
///
/// Borrowed: valid while the reader's transaction is open, or during the closure that gave it.
struct EntryView {
    let header: LogEntryHeader
    let id: UnsafeRawBufferPointer
    private(set) var document: UnsafeRawBufferPointer
    /// Bytes of the entry and of the vectors that were stored with it.
    let storedByteCount: Int
    private let logged: LogEntryView?
    private let tailVectors: [VectorReference]

    init(_ view: LogEntryView) {
        header = view.header
        id = view.id
        document = view.document
        var count = view.bytes.count
        for index in 0..<view.vectorCount {
            let reference = view.vector(at: index)
            if reference.key == view.key { count += Int(reference.dimensions) * 4 }
        }
        storedByteCount = count
        logged = view
        tailVectors = []
    }

    fileprivate init(
        _ entry: TailEntry, id: UnsafeRawBufferPointer, document: UnsafeRawBufferPointer
    ) {
        header = entry.header
        self.id = id
        self.document = document
        storedByteCount = entry.storedByteCount
        logged = nil
        tailVectors = entry.vectors
    }

    /// The same entry with other document bytes, which are borrowed as well.
    func replacing(document: UnsafeRawBufferPointer) -> EntryView {
        var copy = self
        copy.document = document
        return copy
    }

    var isTombstone: Bool {
        header.operation == .remove || header.operation == .expire
    }

    var vectors: [VectorReference] {
        guard let logged else { return tailVectors }
        return (0..<logged.vectorCount).map { logged.vector(at: $0) }
    }
}

extension TailEntry {
    /// Runs `body` on the entry as if it were in the log.
    func withView<T>(_ body: (EntryView) -> T) -> T {
        id.withUnsafeBytes { idBytes in
            (document ?? []).withUnsafeBytes { documentBytes in
                body(EntryView(self, id: idBytes, document: documentBytes))
            }
        }
    }
}
