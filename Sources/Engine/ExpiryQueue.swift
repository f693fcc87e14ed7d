import Primitives

/// Documents with a time to live, soonest first: a binary heap.
///
/// Items are not removed when a document changes: whoever takes one looks whether the document's
/// newest entry is still the one that the item was made for.
struct ExpiryQueue {
    struct Item {
        var milliseconds: Int64
        var collection: UInt32
        var hash: UInt64
        var number: UInt32
        var key: LogKey
    }

    private var heap: [Item] = []

    init() {}

    /// Complexity: O(items · log items).
    init(_ items: [Item]) { for item in items { insert(item) } }

    /// All items, in no order.
    var items: [Item] { heap }

    /// When the soonest item is due.
    var nextMilliseconds: Int64? { heap.first?.milliseconds }

    /// Allocated bytes.
    var byteCount: Int { heap.capacity * MemoryLayout<Item>.stride }

    mutating func insert(_ item: Item) {
        heap.append(item)
        var index = heap.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            if heap[parent].milliseconds <= heap[index].milliseconds { break }
            heap.swapAt(parent, index)
            index = parent
        }
    }

    /// Takes the soonest item if it is due.
    mutating func takeDue(now: Int64) -> Item? {
        guard let first = heap.first, first.milliseconds <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
                if heap[child].milliseconds < heap[least].milliseconds { least = child }
            }
            if least == index { break }
            heap.swapAt(index, least)
            index = least
        }
        return first
    }

    /// Forgets all items of a collection.
    mutating func removeAll(collection: UInt32) {
        let kept = heap.filter { $0.collection != collection }
        heap = []
        for item in kept { insert(item) }
    }
}
