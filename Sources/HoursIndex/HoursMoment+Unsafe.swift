import Documents

/// A moment as the clocks of a table's zones show it; scratch memory of one reader, to be reused.
package final class HoursMoment {
    /// What the clocks of one zone show.
    struct Local: BitwiseCopyable {
        var day: Int32
        /// Negative for a zone without rules.
        var minute: Int16
        var weekday: Int16
    }

    // SAFETY: `capacity` records, of which the first `count` are initialised; freed in deinit.
    private var locals: UnsafeMutablePointer<Local>
    private var capacity = 16
    private var count = 0
    // SAFETY: `verdictCapacity` words, all initialised; freed in deinit.
    private var verdictWords: UnsafeMutablePointer<UInt64>
    private var verdictCapacity = 64

    package init() {
        locals = .allocate(capacity: capacity)
        verdictWords = .allocate(capacity: verdictCapacity)
        verdictWords.initialize(repeating: 0, count: verdictCapacity)
    }

    deinit {
        locals.deallocate()
        verdictWords.deallocate()
    }

    /// Makes this a moment of the table, in milliseconds since 1970.
    ///
    /// REQUIRES: the years 0001 to 9999, and the reader's lock until the last question.
    /// Complexity: O(zones · log their changes); allocates where there are more zones than ever.
    package func set(milliseconds: Int64, for table: HoursTable) {
        let zones = table.zones
        if zones.count > capacity {
            locals.deallocate()
            capacity = zones.count * 2
            locals = .allocate(capacity: capacity)
        }
        count = zones.count
        for (index, rules) in zones.enumerated() {
            var local = Local(day: 0, minute: -1, weekday: 0)
            if let shown = rules?.local(atMilliseconds: milliseconds) {
                local = Local(
                    day: Int32(shown.day), minute: Int16(shown.minute),
                    weekday: Int16(shown.weekday))
            }
            (locals + index).initialize(to: local)
        }
    }

    @inline(__always) subscript(zone: Int) -> Local {
        assert(zone < count, "the moment was set for this table")
        return locals[zone]
    }

    /// Room for what is found about `count` things, with any contents; valid until the next call.
    func verdicts(_ count: Int) -> UnsafeMutablePointer<UInt64> {
        if count > verdictCapacity {
            verdictWords.deallocate()
            verdictCapacity = count * 2
            verdictWords = .allocate(capacity: verdictCapacity)
            verdictWords.initialize(repeating: 0, count: verdictCapacity)
        }
        return verdictWords
    }
}
