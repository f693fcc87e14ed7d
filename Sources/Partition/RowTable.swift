import Primitives

/// The rows of one collection in one partition, and which version sees which of them.
///
/// A row is one version of one document as the indexes hold it: made when a write is applied,
/// marked dead when a later write replaces it, freed when no read can still see it.
///
/// ```
/// born    [UInt64]  by slot: LogKey of the entry that the row indexes
/// died    [UInt64]  by slot: LogKey of the entry that replaced it, 0 = still the newest
/// number  [UInt32]  by slot: document number in `Heads`
/// live    bitmap    rows that are the newest version of their document
/// births  queue     (key, slot) of recent rows, oldest first
/// deaths  queue     slots of dead rows that are not freed, oldest death first
/// ```
/// Invariants:
/// 1. A row is visible at V exactly when born.version ≤ V and (died = 0 or died.version > V).
/// 2. `live` = rows with born ≠ 0 and died = 0. Keys in both queues never fall.
/// 3. A free slot has born = 0 and no value in any column.
final class RowTable {
    let born = GrowableBuffer<UInt64>(fill: 0)
    let died = GrowableBuffer<UInt64>(fill: 0)
    let numbers = GrowableBuffer<UInt32>(fill: 0)
    let live = Bitmap()
    let freeSlots = GrowableBuffer<Slot>(fill: 0)
    let births = GrowableBuffer<Birth>(fill: Birth(key: 0, slot: 0))
    let deaths = GrowableBuffer<Slot>(fill: 0)
    var deathsHead = 0
    /// The newest key that changed any row.
    var lastChange: UInt64 = 0

    struct Birth: BitwiseCopyable {
        var key: UInt64
        var slot: Slot
    }

    /// One past the largest slot ever used.
    var slotBound: Int { born.count }
    /// Rows that are the newest version of their document.
    var liveCount = 0
    /// Rows that are dead and not yet freed.
    var deadCount: Int { deaths.count - deathsHead }

    var byteCount: Int {
        born.byteCount + died.byteCount + numbers.byteCount + live.byteCount
            + freeSlots.byteCount + births.byteCount + deaths.byteCount
    }

    func key(_ slot: Slot) -> LogKey { LogKey(rawValue: born[Int(slot)]) }
    func number(_ slot: Slot) -> UInt32 { numbers[Int(slot)] }

    /// Makes a row. REQUIRES: `key` is above every key that was applied before.
    func insert(key: LogKey, number: UInt32) -> Slot {
        let slot: Slot
        if freeSlots.count > 0 {
            slot = freeSlots.removeLast()
        } else {
            slot = Slot(born.count)
            born.append(0)
            died.append(0)
            numbers.append(0)
        }
        born[Int(slot)] = key.rawValue
        died[Int(slot)] = 0
        numbers[Int(slot)] = number
        live.set(slot)
        liveCount += 1
        births.append(Birth(key: key.rawValue, slot: slot))
        lastChange = key.rawValue
        return slot
    }

    /// Marks a row dead as of `key`.
    func kill(_ slot: Slot, key: LogKey) {
        precondition(died[Int(slot)] == 0, "a row dies once")
        died[Int(slot)] = key.rawValue
        live.clear(slot)
        liveCount -= 1
        deaths.append(slot)
        lastChange = key.rawValue
    }

    /// Whether `live` is exactly what `version` sees.
    func isCurrent(at version: Version) -> Bool { lastChange >> 16 <= version.rawValue }

    /// Writes the rows that `version` sees into `bitmap`.
    ///
    /// - Complexity: O(slots / 64 + changes since `version`).
    func fillVisible(at version: Version, into bitmap: Bitmap) {
        bitmap.assign(live)
        if isCurrent(at: version) { return }
        let bound = (version.rawValue + 1) << 16
        var position = births.count
        while position > 0, births[position - 1].key >= bound {
            position -= 1
            bitmap.clear(births[position].slot)
        }
        position = deaths.count
        while position > deathsHead {
            position -= 1
            let slot = deaths[position]
            if died[Int(slot)] < bound { break }
            if born[Int(slot)] < bound { bitmap.set(slot) } else { bitmap.clear(slot) }
        }
    }

    /// Whether `version` sees the row.
    func isVisible(_ slot: Slot, at version: Version) -> Bool {
        let index = Int(slot)
        guard index < born.count, born[index] != 0 else { return false }
        let bound = (version.rawValue + 1) << 16
        return born[index] < bound && (died[index] == 0 || died[index] >= bound)
    }

    /// Whether `version` or a later one sees the row.
    func isSeen(_ slot: Slot, since version: Version) -> Bool {
        let death = died[Int(slot)]
        return death == 0 || death >> 16 > version.rawValue
    }

    /// Calls `body` with every row in use that `version` does not see.
    ///
    /// - Complexity: O(dead rows + births since `version`).
    func forEachInvisible(at version: Version, _ body: (Slot) -> Void) {
        let bound = (version.rawValue + 1) << 16
        var position = births.count
        while position > 0, births[position - 1].key >= bound {
            position -= 1
            // Freed and used again rows have a later birth of their own.
            let birth = births[position]
            if born[Int(birth.slot)] == birth.key { body(birth.slot) }
        }
        position = deathsHead
        while position < deaths.count, died[Int(deaths[position])] < bound {
            body(deaths[position])
            position += 1
        }
    }

    /// The dead row in which `version` sees a document. Complexity: O(deaths since `version`).
    func deadSlot(of number: UInt32, at version: Version) -> Slot? {
        let bound = (version.rawValue + 1) << 16
        var position = deaths.count
        while position > deathsHead {
            position -= 1
            let slot = deaths[position]
            if died[Int(slot)] < bound { return nil }
            if numbers[Int(slot)] == number, born[Int(slot)] < bound { return slot }
        }
        return nil
    }

    /// Frees up to `limit` rows that died at or before `horizon`; `clear` empties their columns.
    ///
    /// - Returns: how many were freed.
    func reclaim(horizon: Version, limit: Int, clear: (Slot) -> Void) -> Int {
        let bound = (horizon.rawValue + 1) << 16
        var freed = 0
        while freed < limit, deathsHead < deaths.count {
            let slot = deaths[deathsHead]
            if died[Int(slot)] >= bound { break }
            clear(slot)
            born[Int(slot)] = 0
            died[Int(slot)] = 0
            freeSlots.append(slot)
            deathsHead += 1
            freed += 1
        }
        if deathsHead > 1024, deathsHead * 2 > deaths.count { compactDeaths() }
        forgetBirths(upTo: bound)
        return freed
    }

    private func compactDeaths() {
        let remaining = deaths.count - deathsHead
        for position in 0..<remaining { deaths[position] = deaths[deathsHead + position] }
        deaths.resize(to: remaining)
        deathsHead = 0
    }

    /// Births at or before the horizon are seen by every read: nobody asks for them again.
    private func forgetBirths(upTo bound: UInt64) {
        guard births.count > 0 else { return }
        if births[births.count - 1].key < bound {
            births.removeAll()
        } else if births.count > 4096, births[births.count / 2].key < bound {
            let cut = births.count / 2
            for position in cut..<births.count { births[position - cut] = births[position] }
            births.resize(to: births.count - cut)
        }
    }
}
