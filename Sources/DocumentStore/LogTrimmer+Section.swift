package import Primitives

extension LogTrimmer {
    /// Writes the queue and its totals down.
    package func write(to sink: any SectionSink) {
        sink.put(UInt8(epochMilliseconds == nil ? 0 : 1))
        sink.put(epochMilliseconds ?? 0)
        sink.put(UInt64(liveByteCount))
        sink.put(UInt64(count))
        var start = firstRecord
        for chunk in chunks[firstChunk...] {
            chunk[start...].withUnsafeBytes { sink.put($0) }
            start = 0
        }
    }

    /// Makes an empty queue what it was when it was written down.
    ///
    /// - Throws: as the source; `invalid` where records are out of order.
    package mutating func read(from source: any SectionSource) throws(SectionError) {
        let hasEpoch = try source.next(UInt8.self) != 0
        let epoch = try source.next(Int64.self)
        epochMilliseconds = hasEpoch ? epoch : nil
        liveByteCount = try source.count(atMost: 1 << 60)
        var left = try source.count(ofStride: MemoryLayout<Record>.stride)
        try source.require(hasEpoch || left == 0, "times count from a moment")
        var last: UInt64 = 0
        while left > 0 {
            let size = min(left, Self.chunkCapacity)
            var chunk = [Record](
                repeating: Record(key: 0, successor: 0, ticks: 0, byteCount: 0), count: size)
            try chunk.withUnsafeMutableBufferPointer { (records) throws(SectionError) in
                try source.read(into: UnsafeMutableRawBufferPointer(records))
            }
            for record in chunk {
                try source.require(
                    record.key <= record.successor && record.successor >= last,
                    "entries are queued in the order of what superseded them")
                last = record.successor
                supersededByteCount += Int(record.byteCount)
            }
            chunk.reserveCapacity(Self.chunkCapacity)
            chunks.append(chunk)
            count += size
            left -= size
        }
    }

    /// Forgets the entries at the front of the queue that `isGone` says are not in the log.
    package mutating func dropFirst(
        while isGone: (LogKey) throws(StoreError) -> Bool
    ) throws(StoreError) {
        while count > 0 {
            let record = chunks[firstChunk][firstRecord]
            guard try isGone(LogKey(rawValue: record.key)) else { return }
            var batch = Batch()
            batch.entries = [
                Batch.Entry(
                    key: LogKey(rawValue: record.key),
                    successor: LogKey(rawValue: record.successor))
            ]
            batch.byteCount = Int(record.byteCount)
            confirm(batch)
        }
    }
}
