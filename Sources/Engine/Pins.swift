package import Primitives
package import Synchronization

/// The versions that reads hold: no row or log entry that one of them may see is freed.
///
/// One cell per reader (an event loop, a background job), each the oldest version that the reader
/// holds or `UInt64.max`. A reader pins by publishing its version and then looking at `published`
/// again; the committer publishes first and then looks at the pins. All four operations are
/// sequentially consistent, so either the committer sees the pin or the reader sees the newer
/// version and pins again.
package final class Pins: Sendable {
    /// One reader's cell, on a cache line of its own.
    package final class Cell: Sendable {
        let oldest = Atomic<UInt64>(.max)
        // Cells are allocated apart; padding keeps the allocator from joining two on a line.
        let padding = (0, 0, 0, 0, 0, 0)
        init() {}
    }

    private let cells = Guarded<[Cell]>([])
    /// The highest version that every partition has applied.
    package let published = Atomic<UInt64>(0)

    package init() {}

    /// A new reader.
    package func makeCell() -> Cell {
        let cell = Cell()
        cells.withLock { $0.append(cell) }
        return cell
    }

    /// A reader that ends.
    package func remove(_ cell: Cell) {
        cells.withLock { $0.removeAll { $0 === cell } }
    }

    /// The oldest version that any reader holds, or `published` when none does.
    package func horizon() -> Version {
        var oldest = published.load(ordering: .sequentiallyConsistent)
        cells.withLock {
            for cell in $0 {
                oldest = min(oldest, cell.oldest.load(ordering: .sequentiallyConsistent))
            }
        }
        return Version(oldest)
    }
}

/// The pins of one thread: a small multiset whose oldest member is published in a ``Pins/Cell``.
///
/// Not Sendable: owned by one thread.
package final class PinSet {
    private let pins: Pins
    private let cell: Pins.Cell
    /// Pinned versions that outlive one slice, oldest first.
    private var held: [UInt64] = []

    package init(_ pins: Pins) {
        self.pins = pins
        cell = pins.makeCell()
    }

    deinit { pins.remove(cell) }

    /// Pins the newest published version and returns it. Balance with ``release(_:)``.
    package func acquire() -> Version {
        while true {
            let version = pins.published.load(ordering: .sequentiallyConsistent)
            let oldest = held.first.map { min($0, version) } ?? version
            cell.oldest.store(oldest, ordering: .sequentiallyConsistent)
            if pins.published.load(ordering: .sequentiallyConsistent) == version {
                insert(version)
                return Version(version)
            }
            cell.oldest.store(held.first ?? .max, ordering: .sequentiallyConsistent)
        }
    }

    package func release(_ version: Version) {
        guard let position = held.firstIndex(of: version.rawValue) else {
            preconditionFailure("a version that was acquired")
        }
        held.remove(at: position)
        if position == 0 {
            cell.oldest.store(held.first ?? .max, ordering: .sequentiallyConsistent)
        }
    }

    private func insert(_ version: UInt64) {
        var position = held.count
        while position > 0, held[position - 1] > version { position -= 1 }
        held.insert(version, at: position)
    }
}
