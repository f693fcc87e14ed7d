import Documents
import Engine
import Primitives
import Query
import RESP
import Schema

/// One `EXPORT` under way: the matches of one version and how far they have been given out.
final class ExportCursor {
    enum Format {
        case jsonl, csv
    }

    let execution: FindExecution
    let format: Format
    let columns: [String]
    let wantsMeta: Bool
    var batch: Int
    var partition = 0
    var slot: Slot = 0
    var hasHeader = false
    /// A chunk is being written: the cursor is not closed meanwhile.
    var isGiving = false
    private(set) var lastUsed: UInt64
    let openedAt: UInt64

    init(
        _ execution: FindExecution, format: Format, columns: [String], wantsMeta: Bool, batch: Int
    ) {
        self.execution = execution
        self.format = format
        self.columns = columns
        self.wantsMeta = wantsMeta
        self.batch = batch
        openedAt = Clock.monotonicNanoseconds()
        lastUsed = openedAt
    }

    func noteUse() { lastUsed = Clock.monotonicNanoseconds() }

    /// Whether it has idled, or lived, for too long.
    func isOver(now: UInt64, _ limits: Limits) -> Bool {
        !isGiving
            && ((now - lastUsed) / 1_000_000 > UInt64(limits.cursorIdleMilliseconds)
                || (now - openedAt) / 1_000_000 > UInt64(limits.cursorLifeMilliseconds))
    }
}

/// The `MORE` cursors of one connection.
final class SessionCursors {
    private(set) var cursors: [UInt64: ExportCursor] = [:]
    private var next: UInt64 = 1

    func add(_ cursor: ExportCursor) -> UInt64 {
        defer { next += 1 }
        cursors[next] = cursor
        return next
    }

    var count: Int { cursors.count }

    func remove(_ number: UInt64) {
        cursors[number]?.execution.finish()
        cursors[number] = nil
    }

    func closeAll() {
        for cursor in cursors.values { cursor.execution.finish() }
        cursors = [:]
    }

    /// The cursor with this number, if it is not over.
    func cursor(_ number: UInt64, _ limits: Limits) -> ExportCursor? {
        guard let cursor = cursors[number] else { return nil }
        guard cursor.isOver(now: Clock.monotonicNanoseconds(), limits) else { return cursor }
        remove(number)
        return nil
    }

    /// Closes those whose collection is not there any more.
    func removeGone(_ catalog: Catalog) {
        for (number, cursor) in cursors
        where !cursor.isGiving && catalog.byID[cursor.execution.viewID] == nil {
            remove(number)
        }
    }

    /// Closes those that have idled, or lived, for too long.
    func expire(now: UInt64, _ limits: Limits) {
        for (number, cursor) in cursors where cursor.isOver(now: now, limits) { remove(number) }
    }
}

/// `EXPORT` and `MORE`.
extension DataHandler {
    private static let exportRules = [
        OptionRule("WHERE"), OptionRule("AS"), OptionRule("BATCH"), OptionRule("PARAMS"),
        OptionRule("BLOB", 2), OptionRule("TIMEOUT"), OptionRule("META", 0), OptionRule("AT"),
    ]
    private static let batchMax = 10_000

    func export(
        _ request: RequestFrame, _ session: Session, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        let view = try view(request)
        let options = try Options(request, from: 2, Self.exportRules)
        let cursors = self.cursors(of: session)
        if cursors.count >= limits.cursorCountMax {
            cursors.removeGone(engine.shared.catalog)
        }
        guard cursors.count < limits.cursorCountMax else {
            throw EngineError(
                .limit, "cursors", "at most \(limits.cursorCountMax) open cursors of one client")
        }
        let format: ExportCursor.Format
        switch try options.text("AS")?.lowercased() {
        case nil, "jsonl": format = .jsonl
        case "csv": format = .csv
        default: throw EngineError(.syntax, "AS", "is jsonl or csv")
        }
        let batch = try options.integer("BATCH", 1...Self.batchMax) ?? 1000
        let filter = try options.filter("WHERE", limits: limits) ?? .all
        var find = FindRequest(view: view, filter: try compile(filter, view), limit: 0)
        find.deadlineNanoseconds = try deadline(options)
        find.version = try options.version("AT")
        find.keepsHistoryKeys = true
        let execution = try FindExecution(find, context: context)
        let cursor = ExportCursor(
            execution, format: format, columns: Self.csvColumns(view.schema),
            wantsMeta: options.has("META"), batch: batch)
        let deferral = session.makeDeferral()
        addSlice(session) { [weak self] deadline in
            guard let self, !session.isClosed else { return false }
            do throws(EngineError) {
                guard try execution.run(until: deadline) else { return true }
                give(cursor, number: nil, session, deferral)
            } catch {
                execution.finish()
                session.fulfil(deferral) { $0.error(error) }
            }
            return false
        }
        return .deferredRead
    }

    func more(
        _ request: RequestFrame, _ session: Session, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        let cursors = self.cursors(of: session)
        guard let number = UInt64(request.string(1)),
            let cursor = cursors.cursor(number, limits)
        else {
            let idle = limits.cursorIdleMilliseconds / 1000
            let life = limits.cursorLifeMilliseconds / 1000
            throw EngineError(
                .notFound, "cursor", "no such cursor",
                hint:
                    "cursors end after \(idle) s without use, after \(life) s in all, when memory "
                    + "is short, and with their connection")
        }
        // A collection that was dropped, or replaced by a restore, takes its cursors with it.
        guard engine.shared.catalog.byID[cursor.execution.viewID] != nil else {
            let reason = cursor.execution.reasonForMissing
            cursors.remove(number)
            throw ended(cursor, by: reason)
        }
        if request.count > 2 {
            guard let batch = Int(request.string(2)), batch >= 1, batch <= Self.batchMax else {
                throw EngineError(.invalid, "n", "is between 1 and \(Self.batchMax)")
            }
            cursor.batch = batch
        }
        let deferral = session.makeDeferral()
        give(cursor, number: number, session, deferral)
        return .deferredRead
    }

    /// What ends a cursor, in its words: it does not begin anew where other lookups would.
    private func ended(_ cursor: ExportCursor, by error: EngineError) -> EngineError {
        let isGone = engine.shared.catalog.byID[cursor.execution.viewID] == nil
        guard isGone, error.isSchemaChange else { return error }
        return EngineError(
            .notFound, error.path,
            "the collection has been dropped, or a restore has put another in its place",
            hint: "EXPORT it again")
    }

    /// Writes one chunk in slices and answers with it.
    private func give(
        _ cursor: ExportCursor, number: UInt64?, _ session: Session, _ deferral: DeferralID
    ) {
        cursor.isGiving = true
        let writer = ExportWriter(cursor, context: context, limits: limits)
        addSlice(session) { [weak self] deadline in
            guard let self, !session.isClosed else { return false }
            do throws(EngineError) {
                guard try writer.run(until: deadline) else { return true }
            } catch {
                cursor.isGiving = false
                if let number { cursors(of: session).remove(number) }
                let error = ended(cursor, by: error)
                cursor.execution.finish()
                session.fulfil(deferral) { $0.error(error) }
                return false
            }
            finish(writer, cursor, number, session, deferral)
            return false
        }
    }

    private func finish(
        _ writer: ExportWriter, _ cursor: ExportCursor, _ number: UInt64?, _ session: Session,
        _ deferral: DeferralID
    ) {
        var next = number
        cursor.isGiving = false
        cursor.noteUse()
        if writer.isAtEnd {
            if let number { cursors(of: session).remove(number) }
            cursor.execution.finish()
            next = nil
        } else if next == nil {
            next = cursors(of: session).add(cursor)
        }
        let chunk = writer.chunk
        session.fulfil(deferral) { reply in
            reply.map(next == nil ? 1 : 2)
            reply.bulk("chunk")
            reply.bulk(chunk)
            if let next {
                reply.bulk("cursor")
                reply.bulk("\(next)")
            }
        }
    }

    private func cursors(of session: Session) -> SessionCursors {
        if let cursors = session.attachment as? SessionCursors { return cursors }
        let cursors = SessionCursors()
        session.attachment = cursors
        cursorOwners[session.id] = session
        return cursors
    }

    func expireCursors() {
        let now = Clock.monotonicNanoseconds()
        for session in cursorOwners.values {
            (session.attachment as? SessionCursors)?.expire(now: now, limits)
        }
        if engine.shared.isOverMemory { closeOldestCursors() }
    }

    /// Closes the older half of this loop's cursors: rows that only they see take memory.
    private func closeOldestCursors() {
        var open: [(owner: SessionCursors, number: UInt64, openedAt: UInt64)] = []
        for session in cursorOwners.values {
            guard let owner = session.attachment as? SessionCursors else { continue }
            for (number, cursor) in owner.cursors where !cursor.isGiving {
                open.append((owner, number, cursor.openedAt))
            }
        }
        open.sort { ($0.openedAt, $0.number) < ($1.openedAt, $1.number) }
        for one in open.prefix((open.count + 1) / 2) { one.owner.remove(one.number) }
    }

    /// The columns of a CSV export: the id, then every declared field that is no object, in order.
    private static func csvColumns(_ schema: Schema) -> [String] {
        schema.fields.filter { field in
            switch field.type {
            case .object, .vector: false
            default: !field.isInsideArray
            }
        }.map(\.path)
    }
}

/// Writes one chunk of an export in slices.
final class ExportWriter {
    private let cursor: ExportCursor
    private let context: ReadContext
    private let limits: Limits
    private(set) var chunk: [UInt8] = []
    private(set) var isAtEnd = false
    private var count = 0

    init(_ cursor: ExportCursor, context: ReadContext, limits: Limits) {
        self.cursor = cursor
        self.context = context
        self.limits = limits
    }

    /// - Returns: whether the chunk is complete.
    func run(until deadline: UInt64) throws(EngineError) -> Bool {
        if cursor.format == .csv, !cursor.hasHeader {
            cursor.hasHeader = true
            CSVRow.append((["_id"] + cursor.columns).map { [UInt8]($0.utf8) }, to: &chunk)
        }
        while count < cursor.batch {
            let rows = cursor.execution.matchingRows(
                partition: &cursor.partition, from: &cursor.slot,
                limit: min(64, cursor.batch - count))
            if rows.isEmpty {
                isAtEnd = true
                return true
            }
            do throws(EngineError) {
                for row in rows { try append(row) }
            } catch  where error.code == .corrupt {
                throw cursor.execution.reasonForMissing
            }
            count += rows.count
            if Clock.monotonicNanoseconds() >= deadline { return false }
        }
        isAtEnd = !cursor.execution.hasMatchingRows(
            partition: cursor.partition, from: cursor.slot)
        return true
    }

    private func append(_ key: LogKey) throws(EngineError) {
        let failure: EngineError? = try context.withRow(key) { id, bytes in
            switch cursor.format {
            case .jsonl:
                if cursor.wantsMeta {
                    chunk += Array("{\"id\":".utf8)
                    JSON.serialize(utf8: id, into: &chunk)
                    chunk += Array(",\"version\":\(key.version.rawValue),\"doc\":".utf8)
                }
                chunk.append(contentsOf: bytes)
                if cursor.wantsMeta { chunk.append(UInt8(ascii: "}")) }
                chunk.append(UInt8(ascii: "\n"))
                return nil
            case .csv:
                do {
                    let root = try context.parser.parse(
                        bytes, depthMax: limits.documentDepthMax + 1)
                    CSVRow.append(
                        [[UInt8](id)] + cursor.columns.map { CSVRow.cell(root, path: $0) },
                        to: &chunk)
                    return nil
                } catch {
                    return EngineError(.corrupt, "", "a stored document cannot be read")
                }
            }
        }
        if let failure { throw failure }
        if chunk.count > limits.replyByteCountMax {
            throw EngineError(.limit, "chunk", "at most \(limits.replyByteCountMax) bytes")
        }
    }
}

/// Rows of RFC 4180.
enum CSVRow {
    static func append(_ cells: [[UInt8]], to output: inout [UInt8]) {
        for (index, cell) in cells.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            let needsQuotes = cell.contains { byte in
                byte == UInt8(ascii: ",") || byte == UInt8(ascii: "\"") || byte == 10 || byte == 13
            }
            guard needsQuotes else {
                output += cell
                continue
            }
            output.append(UInt8(ascii: "\""))
            for byte in cell {
                if byte == UInt8(ascii: "\"") { output.append(byte) }
                output.append(byte)
            }
            output.append(UInt8(ascii: "\""))
        }
        output += [13, 10]
    }

    /// A value as a cell: strings as they are, arrays and objects as JSON, null and absent empty.
    static func cell(_ root: TapeValue, path: String) -> [UInt8] {
        var value = root
        for step in path.split(separator: ".") {
            guard let next = value.member(String(step)) else { return [] }
            value = next
        }
        switch value.kind {
        case .null: return []
        case .string: return [UInt8](value.stringBytes)
        case .bool, .number, .array, .object: return [UInt8](value.rawText)
        }
    }
}
