import Client
import Glibc

// Replays requests on a Unix socket and measures: see Benchmarks/places/README.md.
//
//     place-bench SOCKET resp|postgres REQUESTS CONNECTIONS PIPELINE SECONDS SHOWN
//
// One thread serves all connections. Each sends PIPELINE requests at once, waits for their replies
// and goes on with the next; requests are taken in turn, over and over until SECONDS are over, or
// each once if SECONDS is 0. Prints one line of JSON, with SHOWN replies in hexadecimal.

/// One connection.
final class Lane {
    let socket: Socket
    let input = ByteQueue(capacity: 1 << 20)
    var output: [UInt8] = []
    var sentCount = 0
    var counter: ReplyCounter
    var waiting = 0
    var began = ContinuousClock.now

    init(_ path: String, _ protocolName: String) throws {
        socket = try Socket.connect(to: .unix(path: path), timeout: .seconds(5))
        counter = try ReplyCounter(protocolName: protocolName)
    }

    func send() throws {
        while sentCount < output.count {
            let count = try output.withUnsafeBytes {
                try socket.send(UnsafeRawBufferPointer(rebasing: $0[sentCount...]))
            }
            if count == 0 { return }
            sentCount += count
        }
    }
}

/// Figures of a run.
struct Figures {
    var count = 0
    var errorCount = 0
    var byteCount = 0
    var latencies: [Double] = []
    var shown: [String] = []
}

/// Replays a file's requests.
struct Replay {
    let file: RequestFile
    let pipeline: Int
    let isOnce: Bool
    let shownCount: Int
    let deadline: ContinuousClock.Instant
    var next = 0
    var figures = Figures()

    /// Queues the next requests of a lane; false when all are over.
    mutating func fill(_ lane: Lane) -> Bool {
        let left = isOnce ? file.requests.count - next : .max
        let count = min(pipeline, left)
        guard count > 0, isOnce || ContinuousClock.now < deadline else { return false }
        lane.output.removeAll(keepingCapacity: true)
        lane.sentCount = 0
        for _ in 0..<count {
            lane.output += file.requests[next % file.requests.count]
            next += 1
        }
        lane.waiting = count
        lane.began = ContinuousClock.now
        return true
    }

    /// Takes what a lane received; true when nothing is under way on it any more.
    mutating func take(_ lane: Lane) throws -> Bool {
        while let found = try lane.counter.next(in: lane.input.bytes) {
            figures.count += 1
            figures.byteCount += found.byteCount
            if found.isError { figures.errorCount += 1 }
            if figures.shown.count < shownCount {
                figures.shown.append(hexadecimal(lane.input.bytes.prefix(found.byteCount)))
            }
            lane.input.take(found.byteCount)
            lane.waiting -= 1
        }
        if lane.waiting > 0 { return false }
        figures.latencies.append((ContinuousClock.now - lane.began).microseconds)
        return true
    }

    mutating func run(_ lanes: [Lane]) throws {
        var active = 0
        for lane in lanes where fill(lane) {
            active += 1
            try lane.send()
        }
        var entries = lanes.map { pollfd(fd: $0.socket.descriptor, events: 0, revents: 0) }
        while active > 0 {
            for (index, lane) in lanes.enumerated() {
                let isSending = lane.sentCount < lane.output.count
                let isBusy = lane.waiting > 0
                entries[index].events = Int16((isSending ? POLLOUT : 0) | (isBusy ? POLLIN : 0))
                entries[index].fd = isBusy ? lane.socket.descriptor : -1
            }
            guard poll(&entries, nfds_t(entries.count), 30_000) > 0 else {
                throw BenchFailure("no reply for 30 s")
            }
            for (index, lane) in lanes.enumerated() where entries[index].revents != 0 {
                if lane.sentCount < lane.output.count { try lane.send() }
                guard try lane.socket.receive(into: lane.input, atMost: 1 << 20) > 0 else {
                    continue
                }
                guard try take(lane) else { continue }
                if fill(lane) { try lane.send() } else { active -= 1 }
            }
        }
    }
}

private func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in bytes {
        text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    return text
}

extension Duration {
    fileprivate var microseconds: Double {
        Double(components.seconds) * 1e6 + Double(components.attoseconds) * 1e-12
    }
}

@main
struct PlaceBench {
    static func main() {
        do {
            try run(CommandLine.arguments)
        } catch let failure as BenchFailure {
            end(failure.text)
        } catch {
            end("\(error)")
        }
    }

    private static func end(_ text: String) -> Never {
        let line = Array("place-bench: \(text)\n".utf8)
        _ = write(2, line, line.count)
        exit(1)
    }

    private static func run(_ words: [String]) throws {
        guard words.count == 8, let connections = Int(words[4]), let pipeline = Int(words[5]),
            let seconds = Double(words[6]), let shown = Int(words[7]), connections > 0, pipeline > 0
        else {
            throw BenchFailure("SOCKET resp|postgres REQUESTS CONNECTIONS PIPELINE SECONDS SHOWN")
        }
        let file = try RequestFile(path: words[3])
        let lanes = try (0..<connections).map { _ in try Lane(words[1], words[2]) }
        for lane in lanes { try shakeHands(lane, file) }
        let start = ContinuousClock.now
        var replay = Replay(
            file: file, pipeline: pipeline, isOnce: seconds == 0, shownCount: shown,
            deadline: start + .seconds(seconds))
        try replay.run(lanes)
        report(replay.figures, (ContinuousClock.now - start).microseconds / 1e6)
    }

    private static func shakeHands(_ lane: Lane, _ file: RequestFile) throws {
        lane.output = Array(file.handshake)
        var missing = file.handshakeReplyCount
        try lane.send()
        while missing > 0 {
            try lane.socket.wait(for: .readable, timeout: .seconds(5))
            _ = try lane.socket.receive(into: lane.input)
            while missing > 0, let found = try lane.counter.next(in: lane.input.bytes) {
                if found.isError { throw BenchFailure("the hand-shake failed") }
                lane.input.take(found.byteCount)
                missing -= 1
            }
        }
    }

    private static func report(_ figures: Figures, _ seconds: Double) {
        let sorted = figures.latencies.sorted()
        func quantile(_ share: Double) -> Double {
            sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
        }
        let shown = figures.shown.map { "\"\($0)\"" }.joined(separator: ",")
        print(
            "{\"count\":\(figures.count),\"errors\":\(figures.errorCount),"
                + "\"bytes\":\(figures.byteCount),\"seconds\":\(seconds),"
                + "\"p50_us\":\(quantile(0.5)),\"p99_us\":\(quantile(0.99)),\"shown\":[\(shown)]}")
    }
}
