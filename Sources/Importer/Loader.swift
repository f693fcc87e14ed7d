import Client
import Glibc

/// Loads a file into a collection: reads, finds ids, sends `PUT`s on several connections and
/// counts the answers, all on the caller's thread.
///
/// Cost: a 600-byte line is found by one `memchr`, its id by a scan up to that member, and its
/// bytes are copied once, into the buffer that the socket sends from; well under a microsecond.
package final class Loader {
    private let options: LoadOptions
    private let reader: RowReader
    private let rejects: Rejects
    private var lanes: [Lane] = []
    private var csv: CSVDecoder?
    private var hours: HoursConverter?
    private var vectors: [(field: [UInt8], file: NPYFile, rows: VectorRows?)] = []
    private var summary = LoadSummary()
    private var progress = Progress()
    /// `*n $3 PUT $8 products` as bytes.
    private var prefix: [UInt8] = []
    private let scratch = ByteQueue(capacity: 64 << 10)
    private let document = ByteQueue(capacity: 64 << 10)
    private let remains = ByteQueue(capacity: 64 << 10)
    private let isProgressShown: Bool
    private var lastSaved = ContinuousClock.now
    private var lastLine = 0
    private let idKeys: [[UInt8]]
    private var rowIndex = 0

    /// Opens the files, connects, makes the collection if it has to, reads the types for CSV.
    ///
    /// - Throws: ``LoadError``.
    package init(_ options: LoadOptions, showProgress: Bool = true) throws(LoadError) {
        self.options = options
        isProgressShown = showProgress
        idKeys = options.idField.map { [Array($0.utf8)] } ?? [Array("id".utf8), Array("_id".utf8)]
        let format = options.effectiveFormat
        reader = try RowReader(path: options.input, isCSV: format == .csv)
        rejects = Rejects(path: options.rejectsPath, isAppending: options.resume)
        for vectors in options.vectors {
            let file = try NPYFile(path: vectors.path)
            let rows: VectorRows? =
                if let path = vectors.idsPath { try VectorRows(path: path) } else { nil }
            self.vectors.append((Array(vectors.field.utf8), file, rows))
        }
        for _ in 0..<max(options.connections, 1) {
            do {
                lanes.append(try Lane(options.client))
            } catch {
                throw .connection("\(error)")
            }
        }
        let schema = try prepareCollection(isCSV: format == .csv)
        hours = HoursConverter(types: FieldTypes(schema: schema), zone: options.timezone)
        if format == .csv, let header = try reader.next() {
            csv = try CSVDecoder(header: header.bytes, types: FieldTypes(schema: schema))
            lastLine = header.line
        }
    }

    /// Makes the collection when a schema is given and it is absent.
    ///
    /// - Returns: the schema's text; empty where nobody knows it.
    private func prepareCollection(isCSV: Bool) throws(LoadError) -> [UInt8] {
        var schema: [UInt8] = []
        if let path = options.schemaPath { schema = try MappedFile.contents(path: path) }
        do {
            let connection = lanes[0].connection
            let described = try connection.call("DESCRIBE", options.collection)
            guard let refusal = described.errorText else {
                if schema.isEmpty { schema = Self.schemaText(described) }
                return schema
            }
            // Without a schema rows of JSON need none: the first of them tells what is wrong.
            guard !schema.isEmpty || isCSV else { return [] }
            guard refusal.hasPrefix("NOTFOUND"), options.schemaPath != nil else {
                throw ClientError.refused(refusal)
            }
            let created = try connection.call(bytes: [
                Array("CREATE".utf8), Array(options.collection.utf8), schema,
            ])
            if let text = created.errorText { throw ClientError.refused(text) }
            return schema
        } catch ClientError.refused(let text) {
            throw .refused(reply: text)
        } catch {
            throw .connection("\(error)")
        }
    }

    /// The schema within `DESCRIBE`'s answer: its `schema`, or all of it when it is one string.
    private static func schemaText(_ described: Reply) -> [UInt8] {
        if let bytes = described.bytes { return bytes }
        for key in ["schema", "definition"] {
            if let bytes = described[key]?.bytes { return bytes }
        }
        return []
    }

    /// Runs the load to its end.
    ///
    /// - Throws: ``LoadError``; the place to resume from is saved first.
    package func run() throws(LoadError) -> LoadSummary {
        let started = ContinuousClock.now
        makePrefix()
        do {
            try skipToResume()
            while let row = try reader.next() {
                lastLine = row.line
                summary.rowCount += 1
                try add(row)
                rowIndex += 1
                if summary.rowCount & 255 == 0 { try tick() }
            }
            for lane in lanes { try drain(lane) }
        } catch {
            try? saveState(isForced: true)
            try? rejects.flush()
            progress.finish()
            throw error
        }
        progress.finish()
        try rejects.flush()
        if let path = options.statePath { unlink(path) }
        summary.rejectedCount = rejects.count
        summary.hours = hours?.counts
        summary.elapsed = ContinuousClock.now - started
        return summary
    }

    private func makePrefix() {
        let queue = ByteQueue(capacity: 1_024)
        queue.appendBulk("PUT")
        queue.appendBulk(options.collection)
        prefix = Array(queue.bytes)
    }

    private func skipToResume() throws(LoadError) {
        guard options.resume, let path = options.statePath,
            let state = try ResumeState.read(path: path)
        else { return }
        guard state.collection == options.collection else {
            throw .resume(reason: "\(path) is of collection \(state.collection)")
        }
        guard state.byteCount == ResumeState.fileByteCount(options.input) else {
            throw .resume(reason: "\(options.input) has changed since")
        }
        while lastLine < state.line, let row = try reader.next() {
            summary.skippedCount += 1
            rowIndex += 1
            lastLine = row.line
        }
    }

    private func tick() throws(LoadError) {
        if isProgressShown {
            progress.update(
                loaded: summary.loadedCount,
                rejected: rejects.count,
                consumed: reader.consumedByteCount,
                total: reader.totalByteCount
            )
        }
        try saveState(isForced: false)
    }

    private func saveState(isForced: Bool) throws(LoadError) {
        guard let path = options.statePath,
            let byteCount = ResumeState.fileByteCount(options.input)
        else { return }
        let now = ContinuousClock.now
        guard isForced || now - lastSaved > .seconds(1) else { return }
        lastSaved = now
        // Rejected rows are settled too, so they must be on file before the place moves on.
        try rejects.flush()
        let open = lanes.compactMap(\.firstOpenLine).min()
        let state = ResumeState(
            collection: options.collection,
            byteCount: byteCount,
            line: max((open ?? lastLine) - 1, 0)
        )
        try state.write(path: path)
    }

    // MARK: One row

    private func add(_ row: Row) throws(LoadError) {
        var bytes = row.bytes
        if let csv {
            document.removeAll()
            if let reason = csv.append(row.bytes, to: document) {
                return try rejects.add(
                    line: row.line,
                    reason: reason,
                    row: row.bytes,
                    isJSON: false
                )
            }
            bytes = document.bytes
        }
        if let converted = hours?.convert(bytes, line: row.line) { bytes = converted }
        for key in idKeys {
            guard let found = JSONMember.find(key, in: bytes) else { continue }
            guard let id = idBytes(found, bytes) else {
                return try rejects.add(
                    line: row.line,
                    reason: "the id must be a string or an integer",
                    row: bytes,
                    isJSON: csv != nil
                )
            }
            if options.idField == nil, key.first == UInt8(ascii: "_") {
                remains.removeAll()
                found.appendRest(of: bytes, to: remains)
                return try enqueue(line: row.line, id: id, document: remains.bytes)
            }
            return try enqueue(line: row.line, id: id, document: bytes)
        }
        let isObject = bytes.first == UInt8(ascii: "{")
        let wanted = options.idField ?? "id"
        try rejects.add(
            line: row.line,
            reason: isObject ? "no field `\(wanted)`" : "not a JSON object",
            row: bytes,
            isJSON: csv != nil
        )
    }

    /// The id's bytes: a string's text, an integer's digits, the text of MongoDB's `{"$oid":"…"}`.
    private func idBytes(_ found: JSONMember, _ bytes: UnsafeRawBufferPointer)
        -> UnsafeRawBufferPointer?
    {
        let value = UnsafeRawBufferPointer(rebasing: bytes[found.value])
        switch found.kind {
        case .string where !found.isEscaped: return value
        case .string:
            scratch.removeAll()
            scratch.append(JSONMember.unescape(value))
            return scratch.bytes
        case .number:
            let isInteger = value.allSatisfy { $0 &- 48 < 10 || $0 == 0x2D }
            return isInteger ? value : nil
        case .object:
            guard let inner = JSONMember.find(Array("$oid".utf8), in: value),
                inner.kind == .string
            else { return nil }
            return UnsafeRawBufferPointer(rebasing: value[inner.value])
        case .other: return nil
        }
    }

    private func enqueue(
        line: Int,
        id: UnsafeRawBufferPointer,
        document: UnsafeRawBufferPointer
    ) throws(LoadError) {
        let hash = hashBytes(id)
        let lane = lanes[Int(truncatingIfNeeded: hash >> 32) % lanes.count]
        if lane.inFlightCount >= options.batch || lane.isBackingOff { try makeRoom(lane) }
        let queue = lane.queue
        let start = queue.count
        var used: [(Int, Int)] = []
        for (index, vectors) in self.vectors.enumerated() {
            let at = vectors.rows.map { $0.row(of: id) } ?? rowIndex
            if let at, at < vectors.file.count { used.append((index, at)) }
        }
        queue.append(byte: 0x2A)
        queue.append(decimal: 4 + 3 * used.count)
        queue.append("\r\n")
        queue.append(prefix)
        queue.appendBulk(id)
        let documentEnd = queue.count
        queue.appendBulk(document)
        // The bulk's header stands before the document, two bytes of line end after it.
        let documentStart = queue.count - 2 - document.count
        precondition(documentStart > documentEnd, "a bulk has a header")
        for (index, at) in used {
            queue.appendBulk("VEC")
            queue.appendBulk(vectors[index].field)
            scratch.removeAll()
            vectors[index].file.append(row: at, to: scratch)
            queue.appendBulk(scratch.bytes)
        }
        lane.add(
            Lane.Entry(
                line: line,
                hash: hash,
                byteCount: Int32(queue.count - start),
                documentOffset: Int32(documentStart - start),
                documentByteCount: Int32(document.count)
            )
        )
        if lane.unsentByteCount >= 64 << 10 { try pump() }
    }

    // MARK: Sending and answers

    /// Moves bytes on all lanes without waiting. True when something moved.
    @discardableResult
    private func pump() throws(LoadError) -> Bool {
        var hasMoved = false
        for lane in lanes {
            do throws(ClientError) {
                if try lane.send() { hasMoved = true }
                if lane.inFlightCount > 0, try lane.receive() { hasMoved = true }
            } catch {
                try reconnect(lane, after: error)
            }
            while let outcome = try nextOutcome(lane) { try settle(outcome, lane) }
        }
        return hasMoved
    }

    private func nextOutcome(_ lane: Lane) throws(LoadError) -> Lane.Outcome? {
        do throws(ClientError) {
            return try lane.nextOutcome()
        } catch {
            throw .connection("\(error)")
        }
    }

    private func settle(_ outcome: Lane.Outcome, _ lane: Lane) throws(LoadError) {
        switch outcome {
        case .loaded(let entry):
            lane.settle(entry)
            lane.resetDelay()
            summary.loadedCount += 1
            summary.documentByteCount += Int(entry.documentByteCount)
        case .failed(let entry, let text):
            let code = text.prefix { $0 != " " }
            switch code {
            case "BUSY", "LOADING", "TIMEOUT":
                summary.loadedCount += lane.postpone(entry)
            case "NOAUTH", "WRONGPASS", "NOPERM", "READONLY", "FULL", "NOTFOUND", "CORRUPT":
                throw .refused(reply: text)
            case "ERR" where text.hasPrefix("ERR unknown command"):
                throw .refused(reply: text)
            default:
                // Text that the server could not read as JSON must not break our own file.
                let isJSON = csv != nil || !text.contains("JSON")
                try rejects.add(
                    line: entry.line,
                    reason: text,
                    row: lane.frontDocument(entry),
                    isJSON: isJSON
                )
                lane.settle(entry)
            }
        }
    }

    /// Waits until half of the lane's batch is answered, or everything when it was busy.
    private func makeRoom(_ lane: Lane) throws(LoadError) {
        if lane.isBackingOff { return try drain(lane) }
        while lane.inFlightCount > options.batch / 2 {
            if try !pump() { try wait() }
            if lane.isBackingOff { return try drain(lane) }
        }
    }

    /// Waits until everything on the lane is settled.
    private func drain(_ lane: Lane) throws(LoadError) {
        while !lane.isIdle {
            if try !pump(), lane.inFlightCount > 0 { try wait() }
            let (queued, superseded) = lane.retryPostponed()
            summary.retriedCount += queued
            summary.loadedCount += superseded.count
            if isProgressShown { try tick() }
        }
    }

    /// Waits for any lane to be ready.
    private func wait() throws(LoadError) {
        var entries = lanes.map { lane in
            let events = lane.unsentByteCount > 0 ? POLLIN | POLLOUT : POLLIN
            return pollfd(fd: lane.connection.socket.descriptor, events: Int16(events), revents: 0)
        }
        let milliseconds = Int(options.client.timeout.seconds * 1_000)
        let ready = poll(&entries, nfds_t(entries.count), CInt(clamping: milliseconds))
        if ready == 0 { throw .connection("\(ClientError.timedOut(milliseconds: milliseconds))") }
    }

    private func reconnect(_ lane: Lane, after error: ClientError) throws(LoadError) {
        let deadline = ContinuousClock.now + options.reconnectTimeout
        var delay: UInt32 = 50_000
        while true {
            do {
                return try lane.reconnect()
            } catch {
                guard ContinuousClock.now < deadline else {
                    throw .connection("\(error), and trying again did not help")
                }
            }
            usleep(delay)
            delay = min(delay * 2, 2_000_000)
        }
    }
}
