import Client
import Documents

/// Turns texts in fields of type `hours` into values of that type, row by row, and keeps count.
///
/// The time zone of a row is, in this order: the name in its member `timezone` (the last word of
/// it, so that `GMT-05:00 America/New_York` will do) where tzdata has it, the one that the load was
/// told, that of its `state` in the United States with its position. A text that says nothing, or
/// whose row has no time zone, is left out, as is one that cannot be read: the server would refuse
/// the whole row for it, and a store without hours is better than no store.
package struct HoursConverter {
    /// What became of the texts.
    package struct Counts: Equatable, Sendable {
        /// Texts read into hours, those of one day included.
        package var readCount = 0
        /// Of those, texts about a day called today, taken for every day.
        package var todayCount = 0
        /// Texts that say that nothing is known.
        package var nothingCount = 0
        package var unreadableCount = 0
        package var zonelessCount = 0
        /// Rows whose `timezone` is none of tzdata's, with hours or without.
        package var unknownZoneCount = 0
        /// The first few of those: line and name.
        package var unknownZones: [(line: Int, text: String)] = []
        /// The first few that could not be read: line and text.
        package var unreadable: [(line: Int, text: String)] = []

        package init() {}

        package static func == (a: Counts, b: Counts) -> Bool {
            a.readCount == b.readCount && a.todayCount == b.todayCount
                && a.nothingCount == b.nothingCount && a.unreadableCount == b.unreadableCount
                && a.zonelessCount == b.zonelessCount
                && a.unknownZoneCount == b.unknownZoneCount
                && a.unreadable.elementsEqual(b.unreadable) { $0 == $1 }
                && a.unknownZones.elementsEqual(b.unknownZones) { $0 == $1 }
        }
    }

    private let fields: [[UInt8]]
    private let pointFields: [[UInt8]]
    private let zone: String?
    private let output = ByteQueue(capacity: 16 << 10)
    package private(set) var counts = Counts()

    private static let exampleCountMax = 5

    /// A converter for the `hours` fields at the top of a schema; nil if it has none.
    package init?(types: FieldTypes, zone: String?) {
        func paths(_ type: String) -> [[UInt8]] {
            types.names(of: type).filter { !$0.contains(".") }.sorted().map { Array($0.utf8) }
        }
        fields = paths("hours")
        pointFields = paths("geopoint")
        self.zone = zone
        if fields.isEmpty { return nil }
    }

    /// The row with its texts replaced, or left out; the row itself if it has none.
    ///
    /// The result is valid until the next call. Complexity: O(bytes).
    package mutating func convert(
        _ row: UnsafeRawBufferPointer, line: Int
    ) -> UnsafeRawBufferPointer {
        var row = row
        for field in fields {
            guard let found = JSONMember.find(field, in: row), found.kind == .string else {
                continue
            }
            let value = convert(found, in: row, line: line)
            // The second of two fields reads what the first one wrote.
            let source = Array(row)
            output.removeAll()
            source.withUnsafeBytes { source in
                if let value {
                    let place = (found.value.lowerBound - 1, found.value.upperBound + 1)
                    output.append(UnsafeRawBufferPointer(rebasing: source[..<place.0]))
                    output.append(value)
                    output.append(UnsafeRawBufferPointer(rebasing: source[place.1...]))
                } else {
                    found.appendRest(of: source, to: output)
                }
            }
            row = output.bytes
        }
        return row
    }

    private mutating func convert(
        _ found: JSONMember, in row: UnsafeRawBufferPointer, line: Int
    ) -> [UInt8]? {
        let text = String(decoding: JSONMember.unescape(row[found.value]), as: UTF8.self)
        let week: [[HoursText.Span]]
        let isToday: Bool
        switch HoursText(text) {
        case .week(let days): (week, isToday) = (days, false)
        case .today(let spans): (week, isToday) = (Array(repeating: spans, count: 7), true)
        case .nothing:
            counts.nothingCount += 1
            return nil
        case .unreadable:
            counts.unreadableCount += 1
            if counts.unreadable.count < HoursConverter.exampleCountMax {
                counts.unreadable.append((line, String(text.prefix(80))))
            }
            return nil
        }
        guard let zone = zone(of: row, line: line) else {
            counts.zonelessCount += 1
            return nil
        }
        counts.readCount += 1
        if isToday { counts.todayCount += 1 }
        return HoursConverter.json(week, zone: zone)
    }

    // MARK: Time zones

    /// Whether tzdata has a zone of that name; of a system without tzdata nothing is known, and the
    /// server decides.
    package static func isZone(_ name: String) -> Bool {
        ZoneDatabase.rules(named: name) != nil || ZoneDatabase.rules(named: "Etc/UTC") == nil
    }

    private mutating func zone(of row: UnsafeRawBufferPointer, line: Int) -> String? {
        if let text = string("timezone", in: row), let word = text.split(separator: " ").last {
            let name = String(word)
            if Self.isZone(name) { return name }
            counts.unknownZoneCount += 1
            if counts.unknownZones.count < HoursConverter.exampleCountMax {
                counts.unknownZones.append((line, String(text.prefix(80))))
            }
        }
        if let zone { return zone }
        let country = string("country", in: row) ?? "US"
        guard ["US", "USA", "United States"].contains(country), let state = string("state", in: row)
        else { return nil }
        return USTimeZones.zone(state: state, position: position(in: row))
    }

    private func string(_ name: String, in row: UnsafeRawBufferPointer) -> String? {
        guard let found = JSONMember.find(Array(name.utf8), in: row), found.kind == .string else {
            return nil
        }
        return String(decoding: JSONMember.unescape(row[found.value]), as: UTF8.self)
    }

    /// Longitude and latitude of the first point that the row has.
    private func position(in row: UnsafeRawBufferPointer) -> USTimeZones.Position? {
        for field in pointFields {
            guard var found = JSONMember.find(field, in: row) else { continue }
            var value = UnsafeRawBufferPointer(rebasing: row[found.value])
            if found.kind == .object {
                guard let inner = JSONMember.find(Array("coordinates".utf8), in: value) else {
                    continue
                }
                found = inner
                value = UnsafeRawBufferPointer(rebasing: value[inner.value])
            }
            let numbers = String(decoding: value, as: UTF8.self)
                .split { "[], ".contains($0) || $0.isNewline }.compactMap { Double($0) }
            if numbers.count >= 2 {
                return USTimeZones.Position(longitude: numbers[0], latitude: numbers[1])
            }
        }
        return nil
    }

    // MARK: Writing

    private static let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    private static func json(_ week: [[HoursText.Span]], zone: String) -> [UInt8] {
        let queue = ByteQueue(capacity: 512)
        queue.append("{\"timezone\":")
        JSONWriter.append(string: zone, to: queue)
        queue.append(",\"weekly\":{")
        var isFirst = true
        for (name, spans) in zip(days, week) where !spans.isEmpty {
            queue.append(isFirst ? "\"" : ",\"")
            queue.append(name)
            queue.append("\":[")
            for (index, span) in spans.enumerated() {
                if index > 0 { queue.append(byte: 0x2C) }
                queue.append("[\"")
                appendClock(span.start, to: queue)
                queue.append("\",\"")
                appendClock(span.end > 1_440 ? span.end - 1_440 : span.end, to: queue)
                queue.append("\"]")
            }
            queue.append(byte: 0x5D)
            isFirst = false
        }
        queue.append("}}")
        return Array(queue.bytes)
    }

    private static func appendClock(_ minutes: Int, to queue: ByteQueue) {
        queue.append(decimal: minutes / 60, width: 2)
        queue.append(byte: 0x3A)
        queue.append(decimal: minutes % 60, width: 2)
    }
}
