import Engine
import NIOCore
import Primitives
import RESP

/// A lookup that works in slices.
protocol LookupExecution: AnyObject {
    /// - Returns: whether it is finished.
    func run(until deadline: UInt64) throws(EngineError) -> Bool
    /// Gives back what it holds. May be called twice.
    func finish()
}

extension FindExecution: LookupExecution {}
extension NearbyExecution: LookupExecution {}
extension SimilarExecution: LookupExecution {}

/// A lookup's arguments, read.
protocol LookupArguments {
    /// When to give up, on the monotonic clock.
    var deadlineNanoseconds: UInt64 { get set }
}

/// What one verb of lookups adds to the way that all of them take.
protocol LookupVerb {
    associatedtype Arguments: LookupArguments
    associatedtype Execution: LookupExecution

    /// Reads the arguments, by the schema as it is now.
    func read(
        _ request: RequestFrame, _ handler: DataHandler
    ) throws(EngineError) -> Arguments

    /// Takes a version and prepares.
    func begin(
        _ arguments: Arguments, _ handler: DataHandler
    ) throws(EngineError) -> Execution

    /// Writes the reply of a finished execution.
    func answer(
        _ execution: Execution, _ arguments: Arguments, _ started: UInt64,
        _ handler: DataHandler, _ reply: inout ReplyWriter
    ) throws(EngineError)
}

/// The way of every lookup: read, begin, work in slices, answer; and begin anew where the schema
/// changes meanwhile.
extension DataHandler {
    /// How often a lookup begins anew.
    private static let restartCountMax = 16

    /// Carries out a lookup; what takes longer than a slice goes on behind other requests.
    func lookup<Verb: LookupVerb>(
        _ verb: Verb, _ request: RequestFrame, _ session: Session, _ reply: inout ReplyWriter
    ) throws(EngineError) -> Disposition {
        let started = Clock.monotonicNanoseconds()
        var restartCount = 0
        while true {
            do throws(EngineError) {
                let arguments = try verb.read(request, self)
                let execution = try verb.begin(arguments, self)
                guard try execution.run(until: started + Self.sliceNanoseconds) else {
                    goOn(verb, request.detached(), arguments, execution, session, started)
                    return .deferredRead
                }
                try verb.answer(execution, arguments, started, self, &reply)
                execution.finish()
                return .replied
            } catch {
                guard error.isSchemaChange, restartCount < Self.restartCountMax else {
                    throw error
                }
                restartCount += 1
            }
        }
    }

    /// - Parameter request: a frame of its own, from which the arguments are read once more.
    private func goOn<Verb: LookupVerb>(
        _ verb: Verb, _ request: RequestFrame, _ arguments: Verb.Arguments,
        _ execution: Verb.Execution, _ session: Session, _ started: UInt64
    ) {
        var arguments = arguments
        // Nil while it has to begin anew.
        var current: Verb.Execution? = execution
        var restartCount = 0
        deferLookup(
            session,
            run: { [weak self] (deadline) throws(EngineError) in
                guard let self else { throw .cancelled }
                do throws(EngineError) {
                    if let execution = current { return try execution.run(until: deadline) }
                    var again = try verb.read(request, self)
                    again.deadlineNanoseconds = arguments.deadlineNanoseconds
                    current = try verb.begin(again, self)
                    arguments = again
                    return false
                } catch {
                    guard error.isSchemaChange, restartCount < Self.restartCountMax else {
                        throw error
                    }
                    restartCount += 1
                    current?.finish()
                    current = nil
                    return false
                }
            },
            answer: { [weak self] (writer) throws(EngineError) in
                guard let self, let current else { throw .cancelled }
                try verb.answer(current, arguments, started, self, &writer)
            }, finish: { current?.finish() })
    }

    /// Goes on with a lookup in further slices, and answers when it is finished.
    func deferLookup(
        _ session: Session, run: @escaping (UInt64) throws(EngineError) -> Bool,
        answer: @escaping (inout ReplyWriter) throws(EngineError) -> Void,
        finish: @escaping () -> Void
    ) {
        let deferral = session.makeDeferral()
        addSlice(session) { deadline in
            guard !session.isClosed else { return false }
            do throws(EngineError) {
                guard try run(deadline) else { return true }
                session.fulfil(deferral) { writer in
                    let start = writer.buffer.writerIndex
                    do throws(EngineError) {
                        try answer(&writer)
                    } catch {
                        writer.buffer.moveWriterIndex(to: start)
                        writer.error(error)
                    }
                }
                finish()
            } catch {
                finish()
                session.fulfil(deferral) { $0.error(error) }
            }
            return false
        }
    }
}
