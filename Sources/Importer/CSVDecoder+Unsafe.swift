package import Client
import Glibc

/// Makes JSON objects of CSV records (RFC 4180): quotes, doubled quotes, commas and line ends
/// within quotes.
///
/// A header such as `address.city` makes nested objects; an empty cell that is not quoted is
/// absent. Not `Sendable`.
package final class CSVDecoder {
    /// A step of the header's tree: a leaf has a column, an inner one has children.
    private struct Node {
        var name: [UInt8]
        var column: Int?
        var type: FieldType
        var children: [Int]
    }

    /// Columns of the header.
    package let columnCount: Int
    private var nodes: [Node] = [
        Node(name: [], column: nil, type: FieldType(kind: .json), children: [])
    ]
    private var cells: [(start: Int, end: Int, isQuoted: Bool)] = []
    /// The record's cells with their quotes undone, one after the other.
    private let text = ByteQueue(capacity: 64 << 10)

    /// Reads the header.
    ///
    /// - Throws: ``LoadError/header(reason:)`` for an empty or repeated name, or one that is both a
    ///   value and an object.
    package init(header: UnsafeRawBufferPointer, types: FieldTypes) throws(LoadError) {
        var names: [String] = []
        guard Self.split(header, into: text, cells: &cells) else {
            throw .header(reason: "a quote is not closed")
        }
        for cell in cells {
            let bytes = text.bytes[cell.start..<cell.end]
            names.append(String(decoding: bytes, as: UTF8.self))
        }
        columnCount = names.count
        for (column, name) in names.enumerated() {
            let steps = name.split(separator: ".", omittingEmptySubsequences: false)
            guard !steps.contains("") else {
                throw .header(reason: "column \(column + 1) has an empty name")
            }
            var at = 0
            for step in steps {
                guard nodes[at].column == nil else {
                    throw .header(reason: "`\(name)` lies within another column")
                }
                let bytes = Array(step.utf8)
                if let child = nodes[at].children.first(where: { nodes[$0].name == bytes }) {
                    at = child
                } else {
                    nodes.append(
                        Node(name: bytes, column: nil, type: types[name], children: [])
                    )
                    nodes[at].children.append(nodes.count - 1)
                    at = nodes.count - 1
                }
            }
            guard nodes[at].column == nil, nodes[at].children.isEmpty else {
                throw .header(reason: "`\(name)` is there twice")
            }
            nodes[at].column = column
        }
    }

    /// Adds the record as a JSON object to `output`.
    ///
    /// - Returns: why the record is wrong; nil when it is not.
    package func append(_ record: UnsafeRawBufferPointer, to output: ByteQueue) -> String? {
        guard Self.split(record, into: text, cells: &cells) else {
            return "a quote is not closed"
        }
        guard cells.count == columnCount else {
            return "\(cells.count) cells where the header has \(columnCount)"
        }
        if !appendObject(0, to: output) { output.append("{}") }
        return nil
    }

    /// Adds an object with the present children; nothing, and false, when none is.
    private func appendObject(_ index: Int, to output: ByteQueue) -> Bool {
        let start = output.count
        var isFirst = true
        for child in nodes[index].children {
            let before = output.count
            output.append(byte: isFirst ? 0x7B : 0x2C)
            nodes[child].name.withUnsafeBytes { JSONWriter.append(string: $0, to: output) }
            output.append(byte: 0x3A)
            let wrote =
                if let column = nodes[child].column {
                    appendCell(cells[column], nodes[child].type, to: output)
                } else { appendObject(child, to: output) }
            if wrote { isFirst = false } else { output.truncate(to: before) }
        }
        if isFirst {
            output.truncate(to: start)
            return false
        }
        output.append(byte: 0x7D)
        return true
    }

    private func appendCell(
        _ cell: (start: Int, end: Int, isQuoted: Bool),
        _ type: FieldType,
        to output: ByteQueue
    ) -> Bool {
        if cell.start == cell.end && (!cell.isQuoted || type.kind != .string || type.isArray) {
            return false
        }
        let value = UnsafeRawBufferPointer(rebasing: text.bytes[cell.start..<cell.end])
        guard type.isArray else {
            JSONWriter.append(value, as: type.kind, to: output)
            return true
        }
        if value.first == 0x5B {
            output.append(value)
            return true
        }
        output.append(byte: 0x5B)
        var start = 0
        for end in 0...value.count where end == value.count || value[end] == 0x7C {
            if start > 0 { output.append(byte: 0x2C) }
            let part = UnsafeRawBufferPointer(rebasing: value[start..<end])
            JSONWriter.append(part, as: type.kind, to: output)
            start = end + 1
        }
        output.append(byte: 0x5D)
        return true
    }

    /// Undoes the quotes of a record. False when a quote is not closed.
    private static func split(
        _ record: UnsafeRawBufferPointer,
        into text: ByteQueue,
        cells: inout [(start: Int, end: Int, isQuoted: Bool)]
    ) -> Bool {
        text.removeAll()
        cells.removeAll(keepingCapacity: true)
        let target = text.reserve(record.count + 1)
        var written = 0
        var start = 0
        var at = 0
        var isInside = false
        var isQuoted = false
        while at < record.count {
            let byte = record[at]
            at += 1
            if isInside {
                guard byte == 0x22 else {
                    target.storeBytes(of: byte, toByteOffset: written, as: UInt8.self)
                    written += 1
                    continue
                }
                guard at < record.count, record[at] == 0x22 else {
                    isInside = false
                    continue
                }
                at += 1
                target.storeBytes(of: 0x22, toByteOffset: written, as: UInt8.self)
                written += 1
            } else if byte == 0x22, written == start {
                isInside = true
                isQuoted = true
            } else if byte == 0x2C {
                cells.append((start, written, isQuoted))
                start = written
                isQuoted = false
            } else {
                target.storeBytes(of: byte, toByteOffset: written, as: UInt8.self)
                written += 1
            }
        }
        cells.append((start, written, isQuoted))
        text.wrote(written)
        return !isInside
    }
}
