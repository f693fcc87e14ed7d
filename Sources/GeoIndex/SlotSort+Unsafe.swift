import Primitives

/// Slots in ascending order: by insertion where few, else by their bytes from the lowest up.
///
/// For hundreds of slots several times as fast as a sort by comparison.
enum SlotSort {
    private static let insertionMax = 32

    // SAFETY: `slots.count` elements are initialised; the spare has room for as many, all written
    // before they are read.
    static func sort(_ slots: inout GrowingBuffer<Slot>, _ spare: inout GrowingBuffer<Slot>) {
        let count = slots.count
        if count <= insertionMax {
            insertionSort(slots.base, count)
            return
        }
        spare.reserve(count)
        var from = slots.base
        var to = spare.base
        var (union, intersection) = (Slot(0), Slot.max)
        for index in 0..<count {
            union |= from[index]
            intersection &= from[index]
        }
        // Bytes that all slots share need no pass.
        let varying = union ^ intersection
        for shift in stride(from: Slot(0), to: 32, by: 8) where (varying &>> shift) & 255 != 0 {
            pass(from, to, count, shift)
            swap(&from, &to)
        }
        if from != slots.base { slots.base.update(from: from, count: count) }
    }

    private static func pass(
        _ from: UnsafeMutablePointer<Slot>, _ to: UnsafeMutablePointer<Slot>, _ count: Int,
        _ shift: Slot
    ) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 256) { places in
            places.initialize(repeating: 0)
            for index in 0..<count { places[Int((from[index] &>> shift) & 255)] &+= 1 }
            var sum: UInt32 = 0
            for byte in 0..<256 {
                let own = places[byte]
                places[byte] = sum
                sum &+= own
            }
            for index in 0..<count {
                let byte = Int((from[index] &>> shift) & 255)
                to[Int(places[byte])] = from[index]
                places[byte] &+= 1
            }
        }
    }

    private static func insertionSort(_ slots: UnsafeMutablePointer<Slot>, _ count: Int) {
        guard count > 1 else { return }
        for index in 1..<count {
            let slot = slots[index]
            var place = index
            while place > 0 && slots[place &- 1] > slot {
                slots[place] = slots[place &- 1]
                place &-= 1
            }
            slots[place] = slot
        }
    }
}
