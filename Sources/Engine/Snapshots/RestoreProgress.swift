import DocumentStore
import Primitives
import Snapshot

/// How far a restore is, in bytes of the snapshot's log: it never falls.
///
/// ```
/// survey of the entries | entries appended | vectors appended | indexes built from both
/// ```
final class RestoreProgress {
    /// One step of a restore; each goes through so many bytes.
    enum Step: Int {
        case survey, entries, vectors, build
    }

    let context: JobContext
    private let sizes: [Int]
    private var done = 0

    init(_ log: SnapshotLog, _ context: JobContext) {
        self.context = context
        sizes = [log.entryByteCount, log.entryByteCount, log.vectorByteCount, log.byteCount]
    }

    /// Shows that `part` of `whole` of a step is done, the earlier steps being so.
    func show(_ step: Step, _ part: Int, of whole: Int) {
        let share = whole > 0 ? Double(min(part, whole)) / Double(whole) : 1
        let before = sizes[..<step.rawValue].reduce(0, +)
        done = max(done, before + Int(share * Double(sizes[step.rawValue])))
        context.progress(done, of: max(1, sizes.reduce(0, +)))
    }

    /// Shows a step's parts from any thread; the earlier steps are done.
    func reporter(_ step: Step) -> @Sendable (_ part: Int, _ whole: Int) -> Void {
        let before = sizes[..<step.rawValue].reduce(0, +)
        let (size, total) = (sizes[step.rawValue], max(1, sizes.reduce(0, +)))
        let highest = Guarded(before)
        let show = context.reporter
        return { part, whole in
            let share = whole > 0 ? Double(min(part, whole)) / Double(whole) : 1
            highest.withLock { done in
                done = max(done, before + Int(share * Double(size)))
                show(done, total)
            }
        }
    }

    /// Shows that `bytes` of the bytes of a step were read.
    func show(_ step: Step, bytes: Int) { show(step, bytes, of: sizes[step.rawValue]) }
}

/// How a snapshot's keys become keys of the log: moved as a whole, so that references between
/// entries and vectors stay as they were, and no further than they must. Versions are finite: were
/// each simply added to the newest one of now, they would double with every snapshot that is taken
/// and brought back.
struct KeyShift: Sendable {
    private let distance: UInt64

    /// The oldest key that moves gets the version behind `base`.
    init(from oldest: Version, behind base: Version) {
        // A snapshot from elsewhere may have newer versions than this log: then keys move back.
        distance = (base.rawValue &+ 1 &- oldest.rawValue) &<< 16
    }

    func callAsFunction(_ key: LogKey) -> LogKey { LogKey(rawValue: key.rawValue &+ distance) }
}

/// What a first walk over the entries of a restore finds.
struct RestoreSurvey {
    /// Keys that a later entry up to the moment supersedes.
    var superseded: Set<UInt64> = []
    /// The oldest and the newest version of an entry or a vector that may come back.
    var versions: ClosedRange<UInt64>?
    /// The newest entry up to the moment.
    var last = LogKey.none
    /// Collections with entries up to the moment.
    var collections: Set<UInt32> = []
    /// Bytes of what may come back as it lies in the log.
    var byteCount = 0

    mutating func note(_ key: LogKey) {
        let version = key.version.rawValue
        let range = versions ?? version...version
        versions = min(range.lowerBound, version)...max(range.upperBound, version)
    }

    /// How many versions it takes.
    var versionCount: UInt64 { versions.map { $0.upperBound - $0.lowerBound + 1 } ?? 0 }

    var shift: (Version) -> KeyShift {
        let oldest = Version(versions?.lowerBound ?? 1)
        return { base in KeyShift(from: oldest, behind: base) }
    }
}
