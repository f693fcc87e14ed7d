import Primitives
import Schema
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// The thread that measures recall behind the lookups: a little at a time, at low priority.
// SAFETY of `@unchecked Sendable`: `thread` belongs to whoever starts and stops; the rest is
// immutable or atomic.
final class RecallThread: @unchecked Sendable {
    private let stopping = Atomic<Bool>(false)
    private let shared: EngineShared
    private let makeContext: @Sendable () throws -> ReadContext
    private var thread: pthread_t?

    init(shared: EngineShared, makeContext: @escaping @Sendable () throws -> ReadContext) {
        self.shared = shared
        self.makeContext = makeContext
    }

    func start() {
        var handle = pthread_t()
        let status = pthread_create(
            &handle, nil, recallMain, Unmanaged.passRetained(self).toOpaque())
        precondition(status == 0, "a thread for recall")
        thread = handle
    }

    func stop() {
        stopping.store(true, ordering: .relaxed)
        if let thread { pthread_join(thread, nil) }
        thread = nil
    }

    /// How long the thread rests between looks, and between measurements as a multiple of what one
    /// took: a hundredth of a core is what they may cost.
    private static let pauseMicroseconds: UInt32 = 50_000
    private static let restFactor: UInt64 = 100
    /// How long one slice may hold a partition's lock.
    private static let sliceNanoseconds: UInt64 = 500_000

    fileprivate func run() {
        ThreadPriority.lower()
        var context: ReadContext?
        var turn = 0
        var restEnd: UInt64 = 0
        while !stopping.load(ordering: .relaxed) {
            usleep(Self.pauseMicroseconds)
            turn += 1
            // Its copy of the catalogue would keep partitions that were dealt out anew.
            _ = context?.catalog
            if turn % 200 == 0 { forget() }
            let started = Clock.monotonicNanoseconds()
            guard started >= restEnd, let sample = shared.recall.takeWaiting() else { continue }
            if context == nil { context = try? makeContext() }
            guard let context, let view = shared.catalog.byID[sample.key.collection],
                let request = sample.request(in: view)
            else { continue }
            measure(sample, request, context)
            context.endTransaction()
            let ended = Clock.monotonicNanoseconds()
            restEnd = ended + (ended - started) * Self.restFactor
        }
    }

    private func measure(
        _ sample: RecallSample, _ request: SimilarRequest, _ context: ReadContext
    ) {
        let execution = RecallExecution(request, context: context)
        defer { execution.finish() }
        do throws(EngineError) {
            while try !execution.run(until: Clock.monotonicNanoseconds() + Self.sliceNanoseconds) {
                if stopping.load(ordering: .relaxed) { return }
                context.endTransaction()
            }
        } catch {
            // Dropped or altered meanwhile: there is nothing to measure any more.
            return
        }
        for (index, band) in execution.bands.enumerated() where band.lookupCount > 0 {
            shared.recall.note(sample, band: index, found: band.foundCount, of: band.trueCount)
        }
    }

    private func forget() {
        let catalog = shared.catalog
        shared.recall.keep { key, options in
            catalog.byID[key.collection]?.vectorFields.contains {
                $0.number == key.field && $0.vectorOptions?.built == options
            } ?? false
        }
    }
}

private func recallMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<RecallThread>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
