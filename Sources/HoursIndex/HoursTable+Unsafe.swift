// Opening hours by slot.
//
// Shops of a chain share their hours, so each different value is kept once, as a pattern, and a
// slot holds its number:
//
// ```
// slots      | 1 | 0 | 2 | 1 | …      number of the pattern + 1; 0 has no hours
// patterns   | zone, users, words |   words: a block of UInt32 of their own
// words      | d0 … d7 | e | spans of Monday … Sunday | e × (day, first, count) | their spans |
// ```
// d0…d7 say where the spans of each weekday begin (d7: where Sunday's end), e counts exceptions,
// which are ordered by day. A span is start | end << 16, in minutes from its day's midnight.
//
// To ask, a moment is first turned into what the clocks of each zone show (`HoursMoment`), once for
// a query; a slot then costs its pattern's two or three spans, and no allocation. 4 bytes for each
// slot, about 200 for each pattern.
//
// Invariants: there is room for a multiple of 64 slots; users counts the slots of a pattern; a
// pattern without users has no words, and its number is in `free`; `index` finds each used pattern
// by the hash of zone and words.

package import Documents
package import Primitives

/// Opening hours of rows: which are open at a moment.
///
/// Threads: one writer or many readers, by the owner's lock; each reader has its own `HoursMoment`.
package final class HoursTable {
    struct Pattern: BitwiseCopyable {
        // SAFETY: allocated by `make`, owned by this table, freed when the last user goes.
        var words: UnsafeMutablePointer<UInt32>?
        var wordCount: Int32
        var zone: Int32
        var users: Int32
        /// The next pattern with the same hash; -1 for none.
        var next: Int32
    }

    var slots: UnsafeMutablePointer<UInt32>
    var slotCapacity: Int
    var patterns: UnsafeMutablePointer<Pattern>
    var patternCount = 0
    var patternCapacity: Int
    var free: [Int32] = []
    var index: [UInt64: Int32] = [:]
    /// Rules by zone number; nil for a zone that this system does not know: never open.
    var zones: [ZoneRules?] = []
    var zoneNumbers: [String: Int32] = [:]
    var wordByteCount = 0
    /// Slots that have hours.
    package internal(set) var count = 0

    package init() {
        slotCapacity = 64
        slots = .allocate(capacity: slotCapacity)
        slots.initialize(repeating: 0, count: slotCapacity)
        patternCapacity = 8
        patterns = .allocate(capacity: patternCapacity)
    }

    deinit {
        for number in 0..<patternCount { patterns[number].words?.deallocate() }
        patterns.deallocate()
        slots.deallocate()
    }

    /// Bytes allocated.
    package var byteCount: Int {
        slotCapacity * 4 + patternCapacity * MemoryLayout<Pattern>.stride + wordByteCount
            + index.capacity * 16
    }

    /// Different values in use.
    package var patternsInUse: Int { patternCount - free.count }

    // MARK: Writing

    /// Gives a slot hours in place of what it had. - Complexity: O(spans).
    package func set(_ slot: Slot, _ hours: OpeningHours) {
        let number = number(of: hours)
        patterns[number].users += 1
        remove(slot)
        reserve(Int(slot) + 1)
        slots[Int(slot)] = UInt32(number + 1)
        count += 1
    }

    /// Takes the hours of a slot out; false if it had none. - Complexity: O(spans).
    @discardableResult
    package func remove(_ slot: Slot) -> Bool {
        guard Int(slot) < slotCapacity, slots[Int(slot)] != 0 else { return false }
        let number = Int(slots[Int(slot)]) - 1
        slots[Int(slot)] = 0
        count -= 1
        patterns[number].users -= 1
        if patterns[number].users == 0 { release(number) }
        return true
    }

    func reserve(_ needed: Int) {
        guard needed > slotCapacity else { return }
        let capacity = (max(needed, slotCapacity + slotCapacity / 2) + 63) / 64 * 64
        // SAFETY: all words are initialised: the old by copying, the rest with zeros.
        let larger = UnsafeMutablePointer<UInt32>.allocate(capacity: capacity)
        larger.initialize(from: slots, count: slotCapacity)
        (larger + slotCapacity).initialize(repeating: 0, count: capacity - slotCapacity)
        slots.deallocate()
        (slots, slotCapacity) = (larger, capacity)
    }

    /// The number of a zone, a new one if it has none yet.
    func zone(named name: String) -> Int32 {
        if let number = zoneNumbers[name] { return number }
        let number = Int32(zones.count)
        zones.append(ZoneDatabase.rules(named: name))
        zoneNumbers[name] = number
        return number
    }

    private func number(of hours: OpeningHours) -> Int {
        let zone = zone(named: hours.timezone)
        let words = HoursTable.words(of: hours)
        let hash = words.withUnsafeBytes { Hash64.hash($0, seed: UInt64(zone)) }
        var candidate = index[hash] ?? -1
        while candidate >= 0 {
            let pattern = patterns[Int(candidate)]
            if pattern.zone == zone, Int(pattern.wordCount) == words.count,
                let own = pattern.words,
                words.elementsEqual(UnsafeBufferPointer(start: own, count: words.count))
            {
                return Int(candidate)
            }
            candidate = pattern.next
        }
        // SAFETY: as many words as there are; freed by `release` or deinit.
        let block = UnsafeMutablePointer<UInt32>.allocate(capacity: words.count)
        for (offset, word) in words.enumerated() { (block + offset).initialize(to: word) }
        wordByteCount += words.count * 4
        let number = place()
        patterns[number] = Pattern(
            words: block, wordCount: Int32(words.count), zone: zone, users: 0,
            next: index[hash] ?? -1)
        index[hash] = Int32(number)
        return number
    }

    /// The number of a pattern that nobody uses; its record is initialised.
    func place() -> Int {
        if let number = free.popLast() { return Int(number) }
        if patternCount == patternCapacity {
            // SAFETY: `patternCount` records are initialised and moved.
            let larger = UnsafeMutablePointer<Pattern>.allocate(capacity: patternCapacity * 2)
            larger.moveInitialize(from: patterns, count: patternCount)
            patterns.deallocate()
            patterns = larger
            patternCapacity *= 2
        }
        (patterns + patternCount).initialize(
            to: Pattern(words: nil, wordCount: 0, zone: 0, users: 0, next: -1))
        patternCount += 1
        return patternCount - 1
    }

    private func release(_ number: Int) {
        let pattern = patterns[number]
        guard let words = pattern.words else { return }
        let bytes = UnsafeRawBufferPointer(start: words, count: Int(pattern.wordCount) * 4)
        let hash = Hash64.hash(bytes, seed: UInt64(pattern.zone))
        if index[hash] == Int32(number) {
            index[hash] = pattern.next >= 0 ? pattern.next : nil
        } else {
            var before = index[hash] ?? -1
            while before >= 0 && patterns[Int(before)].next != Int32(number) {
                before = patterns[Int(before)].next
            }
            if before >= 0 { patterns[Int(before)].next = pattern.next }
        }
        words.deallocate()
        wordByteCount -= bytes.count
        patterns[number].words = nil
        free.append(Int32(number))
    }

    private static func words(of hours: OpeningHours) -> [UInt32] {
        func word(_ span: OpeningHours.Span) -> UInt32 {
            UInt32(span.start) | UInt32(span.end) << 16
        }
        var words = [UInt32](repeating: 0, count: 9)
        for (day, spans) in hours.weekly.enumerated() {
            words[day] = UInt32(words.count)
            words += spans.map(word)
        }
        words[7] = UInt32(words.count)
        words[8] = UInt32(hours.exceptions.count)
        var first = words.count + hours.exceptions.count * 3
        for exception in hours.exceptions {
            words.append(UInt32(bitPattern: Int32(exception.day)))
            words.append(UInt32(first))
            words.append(UInt32(exception.spans.count))
            first += exception.spans.count
        }
        for exception in hours.exceptions { words += exception.spans.map(word) }
        return words
    }

    // MARK: Asking

    /// Whether a slot is open; false for one without hours.
    ///
    /// REQUIRES: the moment was set for this table as it is. Complexity: O(spans of two days + log
    /// exceptions), no allocation.
    @inline(__always)
    package func isOpen(_ slot: Slot, _ moment: HoursMoment) -> Bool {
        guard Int(slot) < slotCapacity else { return false }
        let number = slots[Int(slot)]
        return number != 0 && isOpen(pattern: Int(number) - 1, moment)
    }

    /// Whether a slot has hours.
    package func hasHours(_ slot: Slot) -> Bool {
        Int(slot) < slotCapacity && slots[Int(slot)] != 0
    }

    /// Slots that can be asked one by one while ``collectOpen(_:into:)`` asks all: a slot costs it
    /// a 64th of such a question, a pattern as much as one.
    package var costOfAll: Int { slotCapacity / 64 + patternCount }

    /// Makes a set the slots that are open.
    ///
    /// REQUIRES: the moment was set for this table as it is. Complexity: O(slots + patterns).
    package func collectOpen(_ moment: HoursMoment, into open: Bitmap) {
        open.reserve(slotCapacity)
        let verdicts = moment.verdicts(patternCount + 1)
        // Number 0 has no pattern: a row without hours.
        verdicts[0] = 0
        for number in 0..<patternCount {
            verdicts[number + 1] = isOpen(pattern: number, moment) ? 1 : 0
        }
        // SAFETY: the set has room for `slotCapacity` rows, which is a multiple of 64; slots hold
        // numbers of patterns, for each of which there is a verdict.
        let (words, slots) = (open.words, slots)
        for word in 0..<slotCapacity / 64 {
            var bits: UInt64 = 0
            for bit in 0..<64 {
                bits |= verdicts[Int(slots[word &* 64 &+ bit])] &<< UInt64(bit)
            }
            words[word] = bits
        }
        open.clearWords(from: slotCapacity / 64)
    }

    private func isOpen(pattern number: Int, _ moment: HoursMoment) -> Bool {
        assert(number < patternCount, "slots hold numbers of patterns")
        let pattern = patterns[number]
        guard let words = pattern.words else { return false }
        let local = moment[Int(pattern.zone)]
        // A zone without rules.
        guard local.minute >= 0 else { return false }
        let today = HoursTable.spans(words, day: local.day, weekday: Int(local.weekday))
        let minute = UInt32(local.minute)
        for index in today.first..<today.end
        where words[index] & 0xFFFF <= minute && minute < words[index] >> 16 {
            return true
        }
        let before = local.weekday == 0 ? 6 : Int(local.weekday) - 1
        let yesterday = HoursTable.spans(words, day: local.day - 1, weekday: before)
        for index in yesterday.first..<yesterday.end where minute + 1_440 < words[index] >> 16 {
            return true
        }
        return false
    }

    /// Where the spans lie that begin on a day: its exception's, else its weekday's.
    @inline(__always)
    private static func spans(
        _ words: UnsafeMutablePointer<UInt32>, day: Int32, weekday: Int
    ) -> (first: Int, end: Int) {
        let exceptionCount = Int(words[8])
        if exceptionCount > 0 {
            let exceptions = words + Int(words[7])
            var (low, high) = (0, exceptionCount)
            while low < high {
                let middle = (low + high) / 2
                if Int32(bitPattern: exceptions[middle * 3]) < day {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            if low < exceptionCount && Int32(bitPattern: exceptions[low * 3]) == day {
                let first = Int(exceptions[low * 3 + 1])
                return (first, first + Int(exceptions[low * 3 + 2]))
            }
        }
        return (Int(words[weekday]), Int(words[weekday + 1]))
    }

    /// Traps if an invariant does not hold. - Complexity: O(slots + patterns).
    package func checkInvariants() {
        precondition(slotCapacity % 64 == 0, "slots fill whole words")
        var users = [Int32](repeating: 0, count: patternCount)
        var held = 0
        for slot in 0..<slotCapacity where slots[slot] != 0 {
            users[Int(slots[slot]) - 1] += 1
            held += 1
        }
        precondition(held == count, "the count is that of slots with hours")
        for number in 0..<patternCount {
            precondition(patterns[number].users == users[number], "users are counted")
            precondition(
                (patterns[number].words == nil) == (users[number] == 0), "words are for users")
        }
        var found = 0
        for head in index.values {
            var number = head
            while number >= 0 {
                precondition(patterns[Int(number)].users > 0, "unused patterns are not found")
                found += 1
                number = patterns[Int(number)].next
            }
        }
        precondition(found == patternsInUse, "each used pattern is found once")
    }
}
