// Our side of the vector benchmark: one index in a process of its own, which obeys commands, one
// line of JSON each, as the peers' processes do. The driver is bench.py; see README.md.

import Foundation
import VectorIndex

/// What a set of vectors says of itself.
private struct Meta: Decodable {
    var count: Int
    var dimensions: Int
    var metric: String
}

/// A command; which of the parts it has depends on `op`.
private struct Command: Decodable {
    var op: String
    var k: Int?
    var ef: Int?
    var `repeat`: Int?
    var least: Double?
    var latency: Bool?
    var queries: String?
    var filter: String?
    var match: Int?
    var ids: String?
    var rows: String?
    var vectors: String?
}

/// What the worker answers, and says when the index is built.
private struct Answer: Encodable {
    var name: String?
    var build_seconds: Double?
    var build_cpu_seconds: Double?
    var resident_growth: Int?
    var bytes: Int?
    var resident: Int?
    var seconds: Times?
    var cpu_seconds: [Double]?
    var queries: Int?
    var p50_us: Double?
    var p99_us: Double?
    var call_us: Double?

    /// A list for searches, a number for everything else.
    enum Times: Encodable {
        case list([Double])
        case one(Double)

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .list(let values): try container.encode(values)
            case .one(let value): try container.encode(value)
            }
        }
    }
}

@main
struct VectorBench {
    private let folder: String
    private let meta: Meta
    private let index: MeasuredIndex
    private let baseOfQueries: [Float]

    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 3 else {
            print("Usage: vector-bench INDEX SET-FOLDER, then commands on standard input")
            return
        }
        let bench = try VectorBench(name: arguments[1], folder: arguments[2])
        try bench.say(try bench.build(name: arguments[1]))
        while let line = readLine() {
            try bench.say(try bench.obey(line))
        }
    }

    private init(name: String, folder: String) throws {
        self.folder = folder
        let text: [UInt8] = try Machine.read(folder + "/meta.json")
        meta = try JSONDecoder().decode(Meta.self, from: Data(text))
        index = try MeasuredIndex(
            name: name,
            count: meta.count,
            dimensions: meta.dimensions,
            metric: meta.metric == "cosine" ? .cosine : .l2
        )
        baseOfQueries = try Machine.read(folder + "/query.f32")
    }

    private func say(_ answer: Answer) throws {
        let line = try JSONEncoder().encode(answer)
        print(String(decoding: line, as: UTF8.self))
        fflush(nil)
    }

    /// Adds every row, in order, each linked before the next comes.
    private func build(name: String) throws -> Answer {
        let (memory, start, used) = (Machine.resident, Machine.now, Machine.cpu)
        var first: Int32 = 0
        // A few at a time, so that what the process grows by is the index.
        try Machine.read(folder + "/base.f32", chunk: 512 * meta.dimensions) { (vectors: [Float]) in
            let next = first + Int32(vectors.count / meta.dimensions)
            try change(Array(first..<next), vectors, isReplacement: false)
            first = next
        }
        return Answer(
            name: name,
            build_seconds: Machine.now - start,
            build_cpu_seconds: Machine.cpu - used,
            resident_growth: Machine.resident - memory,
            bytes: index.byteCount
        )
    }

    private func change(_ rows: [Int32], _ vectors: [Float], isReplacement: Bool) throws {
        let width = meta.dimensions
        try vectors.withUnsafeBufferPointer { all in
            for (place, row) in rows.enumerated() {
                if isReplacement { index.remove(Int(row)) }
                let part = all[place * width..<(place + 1) * width]
                try index.append(Int(row), UnsafeBufferPointer(rebasing: part))
            }
        }
    }

    private func obey(_ line: String) throws -> Answer {
        let command = try JSONDecoder().decode(Command.self, from: Data(line.utf8))
        if command.op == "search" { return try search(command) }
        let rows: [Int32] = try Machine.read(command.rows ?? "")
        let start = Machine.now
        switch command.op {
        case "delete": for row in rows { index.remove(Int(row)) }
        case "replace", "restore":
            let vectors: [Float] = try Machine.read(command.vectors ?? "")
            try change(rows, vectors, isReplacement: command.op == "replace")
        default: throw WorkerError.noSuchCommand(command.op)
        }
        return Answer(
            bytes: index.byteCount,
            resident: Machine.resident,
            seconds: .one(Machine.now - start)
        )
    }

    // MARK: Searching

    private func search(_ command: Command) throws -> Answer {
        let queries: [Float] =
            try command.queries.map { path in try Machine.read(path) } ?? baseOfQueries
        let bits: [UInt64]? = try command.filter.map { path in
            index.nodeBits(try Machine.read(path))
        }
        let (k, ef) = (command.k ?? 10, command.ef ?? 64)
        let count = queries.count / meta.dimensions
        var rows = [Int32](repeating: -1, count: count * k)
        var answer = Answer(seconds: .list([]), cpu_seconds: [], queries: count)
        var (passes, cpu, times): ([Double], [Double], [Double]) = ([], [], [])
        let (turns, least, begun) = (command.repeat ?? 1, command.least ?? 0, Machine.cpu)
        while passes.count < turns || Machine.cpu - begun < least {
            let (start, used) = (Machine.now, Machine.cpu)
            try pass(queries, k, ef, bits, command.match, &rows, nil)
            passes.append(Machine.now - start)
            cpu.append(Machine.cpu - used)
        }
        if command.latency == true {
            times.reserveCapacity(count)
            try pass(queries, k, ef, bits, command.match, &rows) { times.append($0) }
            times.sort()
            answer.p50_us = times[count / 2] * 1e6
            answer.p99_us = times[min(count - 1, count * 99 / 100)] * 1e6
            answer.call_us = 0
        }
        try Machine.write(rows, to: command.ids ?? "")
        answer.seconds = .list(passes)
        answer.cpu_seconds = cpu
        return answer
    }

    /// Searches for every query; rows that are not there are left at -1.
    private func pass(
        _ queries: [Float],
        _ k: Int,
        _ ef: Int,
        _ bits: [UInt64]?,
        _ matchCount: Int?,
        _ rows: inout [Int32],
        _ timed: ((Double) -> Void)?
    ) throws {
        let width = meta.dimensions
        var hits = [VectorHit](repeating: VectorHit(node: 0, distance: 0), count: k)
        try queries.withUnsafeBufferPointer { all in
            try hits.withUnsafeMutableBufferPointer { out in
                for query in 0..<all.count / width {
                    let start = timed == nil ? 0 : Machine.now
                    let vector = UnsafeBufferPointer(
                        rebasing: all[query * width..<(query + 1) * width]
                    )
                    let found = try one(vector, k, ef, bits, matchCount, out)
                    timed?(Machine.now - start)
                    for place in 0..<k {
                        rows[query * k + place] =
                            place < found ? index.rowOfNode[Int(out[place].node)] : -1
                    }
                }
            }
        }
    }

    private func one(
        _ vector: UnsafeBufferPointer<Float>,
        _ k: Int,
        _ ef: Int,
        _ bits: [UInt64]?,
        _ matchCount: Int?,
        _ out: UnsafeMutableBufferPointer<VectorHit>
    ) throws -> Int {
        guard let bits else {
            return try index.search(vector, k: k, ef: ef, accept: nil, matchCount: nil, into: out)
        }
        return try bits.withUnsafeBufferPointer {
            try index.search(
                vector,
                k: k,
                ef: ef,
                accept: $0.baseAddress,
                matchCount: matchCount,
                into: out
            )
        }
    }
}
