// A table of opening hours as flat arrays: what a snapshot holds of it.
//
// The rules of a zone are not written: they are the system's, and may be newer at the next start.
// Words of a pattern are read only within the bounds that they name: all of them are checked.

package import Primitives

extension HoursTable {
    package func write(to sink: any SectionSink) {
        var names = [[UInt8]](repeating: [], count: zones.count)
        for (name, number) in zoneNumbers { names[Int(number)] = Array(name.utf8) }
        sink.put(UInt64(names.count))
        for name in names { sink.put(array: name) }
        sink.put(UInt64(patternCount))
        for number in 0..<patternCount {
            guard let words = patterns[number].words else {
                sink.put(Int32(0))
                sink.put(UInt64(0))
                continue
            }
            sink.put(patterns[number].zone)
            sink.put(
                array: UnsafeBufferPointer(start: words, count: Int(patterns[number].wordCount)))
        }
        sink.put(array: free)
        var bound = slotCapacity
        while bound > 0, slots[bound - 1] == 0 { bound -= 1 }
        sink.put(array: UnsafeBufferPointer(start: UnsafePointer(slots), count: bound))
    }

    /// Makes an empty table what it was when it was written down.
    ///
    /// - Parameter most: slots are below it.
    /// - Throws: as the source; `invalid`. The table is of no use then.
    /// - Complexity: O(slots + patterns), and a file for each zone that was not read before.
    package func read(from source: any SectionSource, most: Int) throws(SectionError) {
        let zoneCount = try source.count(ofStride: 8)
        for number in 0..<zoneCount {
            let name = try source.array(UInt8.self)
            guard name.count <= 64, let text = String(validating: name, as: UTF8.self) else {
                throw .invalid("a zone's name is text of at most 64 bytes")
            }
            try source.require(Int(zone(named: text)) == number, "zones differ")
        }
        let count = try source.count(ofStride: 12)
        try source.require(count < Int(Int32.max), "patterns have numbers")
        for _ in 0..<count {
            let zone = try source.next(Int32.self)
            let words = try source.array(UInt32.self)
            let number = place()
            if words.isEmpty { continue }
            try source.require(
                zone >= 0 && Int(zone) < zoneCount && HoursTable.areWords(words),
                "a pattern is one of spans")
            fill(number, zone, words)
        }
        let unused = try source.array(Int32.self)
        try readSlots(from: source, most: most)
        for number in 0..<patternCount {
            try source.require(
                (patterns[number].words == nil) == (patterns[number].users == 0),
                "patterns have users")
        }
        let seen = Bitmap(capacity: patternCount)
        for number in unused {
            try source.require(
                number >= 0 && Int(number) < patternCount && !seen.test(UInt32(number))
                    && patterns[Int(number)].words == nil, "a free pattern is free once")
            seen.set(UInt32(number))
        }
        let idle = (0..<patternCount).count { patterns[$0].words == nil }
        try source.require(unused.count == idle, "every pattern is used or free")
        free = unused
    }

    private func readSlots(from source: any SectionSource, most: Int) throws(SectionError) {
        let bound = try source.count(ofStride: 4)
        try source.require(bound <= most, "hours are of rows")
        reserve(bound)
        // SAFETY: there is room for `bound` slots.
        try source.read(into: slots, count: bound)
        for slot in 0..<bound where slots[slot] != 0 {
            guard Int(slots[slot]) <= patternCount else {
                // Nothing may look at what is no pattern.
                for rest in slot..<bound { slots[rest] = 0 }
                throw .invalid("slots have patterns that there are")
            }
            patterns[Int(slots[slot]) - 1].users += 1
            self.count += 1
        }
    }

    private func fill(_ number: Int, _ zone: Int32, _ words: [UInt32]) {
        // SAFETY: as many words as there are; freed as those of any other pattern.
        let block = UnsafeMutablePointer<UInt32>.allocate(capacity: words.count)
        for (offset, word) in words.enumerated() { (block + offset).initialize(to: word) }
        wordByteCount += words.count * 4
        let hash = words.withUnsafeBytes { Hash64.hash($0, seed: UInt64(zone)) }
        patterns[number] = Pattern(
            words: block, wordCount: Int32(words.count), zone: zone, users: 0,
            next: index[hash] ?? -1)
        index[hash] = Int32(number)
    }

    /// Whether words lead to no others than themselves: see the head of the table's file.
    private static func areWords(_ words: [UInt32]) -> Bool {
        guard words.count >= 9, words.count < 1 << 20, words[0] == 9 else { return false }
        for day in 0..<7 where words[day] > words[day + 1] { return false }
        let (start, exceptionCount) = (Int(words[7]), Int(words[8]))
        var next = start + exceptionCount * 3
        guard next <= words.count else { return false }
        var last = Int64.min
        for exception in 0..<exceptionCount {
            let place = start + exception * 3
            let day = Int64(Int32(bitPattern: words[place]))
            guard day > last, Int(words[place + 1]) == next else { return false }
            last = day
            next += Int(words[place + 2])
            guard next <= words.count else { return false }
        }
        return next == words.count
    }
}
