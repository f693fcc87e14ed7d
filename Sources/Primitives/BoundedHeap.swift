/// The k smallest of a stream of (key, payload) pairs, in O(log k) per pair that enters.
///
/// Pairs order by key, then by payload, so the outcome does not depend on the order of arrival. For
/// the k largest, push `~key` (which reverses Int64 order without overflow).
///
/// A binary max-heap: the root is the worst pair kept. Invariant: no child is after its parent.
package struct BoundedHeap {
    /// One pair.
    package struct Entry: Equatable, Sendable {
        package var key: Int64
        package var payload: UInt32

        @inlinable package init(key: Int64, payload: UInt32) {
            self.key = key
            self.payload = payload
        }

        @inlinable static func isBefore(_ a: Entry, _ b: Entry) -> Bool {
            a.key < b.key || (a.key == b.key && a.payload < b.payload)
        }
    }

    @usableFromInline var entries: [Entry] = []
    /// How many pairs are kept.
    package let capacity: Int

    /// A heap that keeps `capacity` pairs; 0 keeps none.
    package init(capacity: Int) {
        precondition(capacity >= 0, "a capacity is not negative")
        self.capacity = capacity
        entries.reserveCapacity(min(capacity, 4_096))
    }

    /// Pairs kept so far.
    @inlinable package var count: Int { entries.count }

    /// Once full, a key above this one cannot enter; nil before that.
    @inlinable package var worstKey: Int64? { entries.count == capacity ? entries.first?.key : nil }

    /// Offers a pair; false if it did not enter.
    ///
    /// - Complexity: O(log k) if it enters, else O(1).
    @inlinable @discardableResult
    package mutating func push(key: Int64, payload: UInt32) -> Bool {
        let entry = Entry(key: key, payload: payload)
        if entries.count < capacity {
            entries.append(entry)
            siftUp(entries.count &- 1)
            return true
        }
        guard capacity > 0, Entry.isBefore(entry, entries[0]) else { return false }
        entries[0] = entry
        siftDown()
        return true
    }

    @usableFromInline mutating func siftUp(_ start: Int) {
        var child = start
        let entry = entries[child]
        while child > 0 {
            let parent = (child &- 1) / 2
            if !Entry.isBefore(entries[parent], entry) { break }
            entries[child] = entries[parent]
            child = parent
        }
        entries[child] = entry
    }

    @usableFromInline mutating func siftDown() {
        let entry = entries[0]
        var parent = 0
        while true {
            var child = parent &* 2 &+ 1
            if child >= entries.count { break }
            if child &+ 1 < entries.count,
                Entry.isBefore(entries[child], entries[child &+ 1])
            {
                child &+= 1
            }
            if !Entry.isBefore(entry, entries[child]) { break }
            entries[parent] = entries[child]
            parent = child
        }
        entries[parent] = entry
    }

    /// The pairs kept, best first. - Complexity: O(k log k).
    package func sorted() -> [Entry] { entries.sorted(by: Entry.isBefore) }

    /// Empties the heap, keeping its memory. - Complexity: O(k).
    package mutating func removeAll() { entries.removeAll(keepingCapacity: true) }

    /// Traps if a child is after its parent. - Complexity: O(k).
    package func checkInvariants() {
        precondition(entries.count <= capacity, "a heap keeps at most its capacity")
        for child in entries.indices.dropFirst() {
            let parent = entries[(child - 1) / 2]
            precondition(!Entry.isBefore(parent, entries[child]), "no child is after its parent")
        }
    }
}
