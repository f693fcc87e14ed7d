package import Primitives

/// The documents of one collection in one partition: id → newest version and its row.
///
/// ```
/// index    [UInt32]   open addressing, linear probing; document number + 1, 0 = free
/// hashes   [UInt64]   by document number; the whole hash, so that probing seldom reads an id
/// keys     [UInt64]   by document number; LogKey of the newest entry, 0 = number is free
/// slots    [UInt32]   by document number; row, or `noSlot` for a tombstone
/// ids      [UInt64]   by document number; handle into the id arena
/// ```
/// Invariants:
/// 1. Every number with a key ≠ 0 is found from the index by its hash and id.
/// 2. Tombstones stay until ``remove(_:)``: a read at an older version walks from them.
/// 3. A free number is in `freeNumbers` and its id handle is released.
///
/// Thread rule: that of ``PartitionLock``. The committer may read without the lock, being the only
/// writer.
package final class Heads {
    /// The row of a tombstone.
    package static let noSlot = Slot.max

    let index = GrowableBuffer<UInt32>(fill: 0, capacity: 16)
    var mask = 15
    let hashes = GrowableBuffer<UInt64>(fill: 0)
    let keys = GrowableBuffer<UInt64>(fill: 0)
    let slots = GrowableBuffer<Slot>(fill: Heads.noSlot)
    let idHandles = GrowableBuffer<UInt64>(fill: 0)
    let freeNumbers = GrowableBuffer<UInt32>(fill: 0)
    var arena = ByteArena()

    /// Document numbers with a head, tombstones among them.
    package internal(set) var count = 0

    package init() { index.resize(to: 16) }

    /// One past the largest document number ever used: the bound for iteration.
    package var numberBound: Int { keys.count }

    /// Allocated bytes, the ids among them.
    package var byteCount: Int {
        index.byteCount + hashes.byteCount + keys.byteCount + slots.byteCount
            + idHandles.byteCount + freeNumbers.byteCount + arena.byteCount
    }

    /// The document's number, or nil when the id was never seen (or was trimmed).
    ///
    /// - Complexity: O(1) expected.
    package func number(hash: UInt64, id: UnsafeRawBufferPointer) -> UInt32? {
        var position = Int(truncatingIfNeeded: hash) & mask
        let table = index.base
        while true {
            let entry = table[position]
            if entry == 0 { return nil }
            let number = Int(entry - 1)
            if hashes[number] == hash, isEqual(arena.view(idHandles[number]), id) {
                return entry - 1
            }
            position = (position + 1) & mask
        }
    }

    package func key(_ number: UInt32) -> LogKey { LogKey(rawValue: keys[Int(number)]) }
    package func slot(_ number: UInt32) -> Slot { slots[Int(number)] }
    package func hash(_ number: UInt32) -> UInt64 { hashes[Int(number)] }

    /// The id's bytes: valid while the lock is held.
    package func id(_ number: UInt32) -> UnsafeRawBufferPointer {
        arena.view(idHandles[Int(number)])
    }

    /// Adds a document. REQUIRES: the id is not there.
    package func insert(hash: UInt64, id: UnsafeRawBufferPointer) -> UInt32 {
        if (count + 1) * 4 > (mask + 1) * 3 { grow() }
        let number: UInt32
        if freeNumbers.count > 0 {
            number = freeNumbers.removeLast()
        } else {
            number = UInt32(keys.count)
            precondition(number < UInt32.max - 1, "document numbers are 32 bits")
            keys.append(0)
            hashes.append(0)
            slots.append(Heads.noSlot)
            idHandles.append(0)
        }
        hashes[Int(number)] = hash
        idHandles[Int(number)] = arena.add(id)
        place(number, hash: hash)
        count += 1
        return number
    }

    /// Moves a document's head to a newer entry.
    package func update(_ number: UInt32, key: LogKey, slot: Slot) {
        keys[Int(number)] = key.rawValue
        slots[Int(number)] = slot
    }

    /// Forgets a document altogether: its tombstone has been trimmed.
    package func remove(_ number: UInt32) {
        let hash = hashes[Int(number)]
        var position = Int(truncatingIfNeeded: hash) & mask
        while index[position] != number + 1 {
            precondition(index[position] != 0, "the index holds every document")
            position = (position + 1) & mask
        }
        // Backward shift keeps probe chains without tombstones in the index.
        var hole = position
        var next = (position + 1) & mask
        while index[next] != 0 {
            let home = Int(truncatingIfNeeded: hashes[Int(index[next] - 1)]) & mask
            if ((next - home) & mask) >= ((next - hole) & mask) {
                index[hole] = index[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        index[hole] = 0
        arena.free(idHandles[Int(number)])
        idHandles[Int(number)] = 0
        keys[Int(number)] = 0
        slots[Int(number)] = Heads.noSlot
        freeNumbers.append(number)
        count -= 1
    }

    func place(_ number: UInt32, hash: UInt64) {
        var position = Int(truncatingIfNeeded: hash) & mask
        let table = index.base
        while table[position] != 0 { position = (position + 1) & mask }
        table[position] = number + 1
    }

    private func grow() {
        let size = (mask + 1) * 2
        index.removeAll()
        index.resize(to: size)
        mask = size - 1
        for number in 0..<keys.count where keys[number] != 0 {
            place(UInt32(number), hash: hashes[number])
        }
    }
}

/// Whether two byte strings are equal.
@inline(__always)
func isEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    return compareBytes(a, b) == 0
}
