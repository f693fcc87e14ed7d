import Client
import Glibc
import Histogram

/// What a run of requests measured. Times are nanoseconds.
struct LoadResult: Sendable {
    var latencies = Histogram<UInt64>(
        highestTrackableValue: 600_000_000_000,
        numberOfSignificantValueDigits: .three
    )
    var requestCount = 0
    var errorCount = 0
    /// The first error reply, for the report.
    var firstError: String?
    var seconds = 0.0

    var rate: Double { seconds > 0 ? Double(requestCount) / seconds : 0 }

    mutating func merge(_ other: LoadResult) {
        latencies.add(other.latencies)
        requestCount += other.requestCount
        errorCount += other.errorCount
        firstError = firstError ?? other.firstError
        seconds = max(seconds, other.seconds)
    }
}

/// How requests are sent.
struct LoadPlan: Sendable {
    /// Encoded requests; each connection walks through them from a place of its own.
    var requests: [[UInt8]]
    var connections = 1
    /// Requests under way on each connection.
    var pipeline = 1
    /// Requests per second in all; nil for as many as are answered.
    var rate: Double?
    var seconds = 3.0
    /// Not counted at the beginning.
    var warmupSeconds = 0.3
}

/// One connection of a run.
private final class Session {
    let connection: Connection
    var scanner = ReplyScanner()
    var next: Int
    /// When each request under way was sent, or was meant to be.
    var started: [UInt64] = []
    var firstStarted = 0

    init(_ connection: Connection, next: Int) {
        self.connection = connection
        self.next = next
    }

    var inFlightCount: Int { started.count - firstStarted }

    func push(_ plan: LoadPlan, at time: UInt64) {
        connection.output.append(plan.requests[next])
        next = next + 1 == plan.requests.count ? 0 : next + 1
        started.append(time)
    }

    func popStart() -> UInt64 {
        let time = started[firstStarted]
        firstStarted += 1
        if firstStarted == started.count {
            started.removeAll(keepingCapacity: true)
            firstStarted = 0
        }
        return time
    }
}

/// Sends requests over many connections from one thread and records latencies.
///
/// Closed loop: a connection sends its next batch when the last one is answered. Open loop:
/// requests are due at fixed times, and a latency counts from the time a request was *due*, so
/// that a stall of the server is not hidden by the client's waiting for it (coordinated omission).
final class LoadRun {
    private let plan: LoadPlan
    private var sessions: [Session] = []
    private var result = LoadResult()
    private var measuringFrom: UInt64 = 0

    /// Connects everything.
    init(_ plan: LoadPlan, client: ClientConfiguration, worker: Int) throws(ClientError) {
        precondition(!plan.requests.isEmpty, "a run needs a request")
        self.plan = plan
        for at in 0..<plan.connections {
            let place = (worker * 7_919 + at * 104_729) % plan.requests.count
            sessions.append(Session(try Connection(client), next: place))
        }
    }

    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// Runs to the plan's end.
    func run() throws(ClientError) -> LoadResult {
        let start = Self.now()
        measuringFrom = start + UInt64(plan.warmupSeconds * 1e9)
        let end = measuringFrom + UInt64(plan.seconds * 1e9)
        if let rate = plan.rate {
            try runOpen(start: start, end: end, rate: rate)
        } else if sessions.count == 1 {
            try runSingle(end: end)
        } else {
            try runClosed(end: end)
        }
        result.seconds = Double(Self.now() - measuringFrom) / 1e9
        return result
    }

    /// One connection needs no poller: it waits for its own socket.
    private func runSingle(end: UInt64) throws(ClientError) {
        let session = sessions[0]
        while Self.now() < end {
            fill(session)
            try session.connection.flush()
            while session.inFlightCount > 0 {
                if try session.connection.socket.receive(into: session.connection.input) == 0 {
                    try session.connection.socket.wait(for: .readable, timeout: .seconds(30))
                    continue
                }
                try collect(session)
            }
        }
    }

    private func fill(_ session: Session) {
        let time = Self.now()
        for _ in 0..<plan.pipeline { session.push(plan, at: time) }
    }

    private func runClosed(end: UInt64) throws(ClientError) {
        for session in sessions {
            fill(session)
            try session.connection.flush()
        }
        var entries = makePollEntries()
        while Self.now() < end {
            guard poll(&entries, nfds_t(entries.count), 1_000) > 0 else { continue }
            for at in 0..<entries.count where entries[at].revents != 0 {
                let session = sessions[at]
                _ = try session.connection.socket.receive(into: session.connection.input)
                try collect(session)
                if session.inFlightCount == 0 {
                    fill(session)
                    try session.connection.flush()
                }
            }
        }
    }

    private func runOpen(start: UInt64, end: UInt64, rate: Double) throws(ClientError) {
        var entries = makePollEntries()
        let interval = 1e9 / rate
        var sent = 0
        while true {
            let now = Self.now()
            if now >= end { break }
            while true {
                let due = start + UInt64(Double(sent) * interval)
                guard due <= now else { break }
                let session = sessions[sent % sessions.count]
                session.push(plan, at: due)
                try session.connection.flush()
                sent += 1
            }
            let due = start + UInt64(Double(sent) * interval)
            // A wait in whole milliseconds would be late, so short ones are turns of the loop.
            let wait = due > now + 2_000_000 ? CInt((due - now) / 1_000_000 - 1) : 0
            guard poll(&entries, nfds_t(entries.count), wait) > 0 else { continue }
            for at in 0..<entries.count where entries[at].revents != 0 {
                let session = sessions[at]
                _ = try session.connection.socket.receive(into: session.connection.input)
                try collect(session)
            }
        }
        for session in sessions { countUnanswered(session, at: Self.now()) }
    }

    /// What was due and never answered counts with the time that it has waited.
    private func countUnanswered(_ session: Session, at now: UInt64) {
        while session.inFlightCount > 0 {
            let started = session.popStart()
            guard now >= measuringFrom, now > started else { continue }
            _ = result.latencies.record(now - started)
        }
    }

    private func makePollEntries() -> [pollfd] {
        sessions.map {
            pollfd(fd: $0.connection.socket.descriptor, events: Int16(POLLIN), revents: 0)
        }
    }

    private func collect(_ session: Session) throws(ClientError) {
        let input = session.connection.input
        while let found = try session.scanner.next(in: input.bytes) {
            let now = Self.now()
            if found.kind != UInt8(ascii: ">"), session.inFlightCount > 0 {
                let started = session.popStart()
                if now >= measuringFrom {
                    result.requestCount += 1
                    _ = result.latencies.record(now > started ? now - started : 1)
                    if found.kind == UInt8(ascii: "-") {
                        result.errorCount += 1
                        if result.firstError == nil {
                            let bytes = input.bytes[..<found.byteCount]
                            let reply = try ReplyParser.parse(.init(rebasing: bytes))
                            result.firstError = reply.errorText
                        }
                    }
                }
            }
            input.take(found.byteCount)
        }
    }
}
