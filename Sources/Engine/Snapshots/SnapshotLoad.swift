import DocumentStore
import Partition
import Primitives
import Schema
import Snapshot

/// Takes partitions from a snapshot of the data directory.
struct SnapshotLoad {
    /// What came of it.
    struct Outcome {
        var header: SnapshotHeader
        /// The catalogue with partitions as of the snapshot's version; new ones, empty, for the
        /// collections in `missing`.
        var catalog: Catalog
        /// Collections that must be built from the log.
        var missing: Set<UInt32> = []
        /// Indexes that must be filled anew before anybody asks: by collection and partition. What
        /// lookups can do without is left to a job: see ``RebuildJob``.
        var unfilled: [(view: CollectionView, partition: Int, fields: [FieldNumber])] = []
        var books: SnapshotBooks
        /// Whether the books are of the collections that there are: else superseded entries have to
        /// be read from the log.
        var hasSameCollections: Bool
        /// What was wrong, for people.
        var notes: [String] = []
    }

    /// One partition to load.
    // SAFETY of `@unchecked Sendable`: one thread works on a task, and the others look at it when
    // that is done.
    final class Task: @unchecked Sendable {
        let view: CollectionView
        let index: Int
        /// The collection's number in the file.
        let section: UInt32
        var failure: SectionError?
        var unfilled: [FieldNumber] = []
        /// Whether something is left to a job.
        private var leavesSome = false
        var notes: [String] = []
        private var hasRun = false

        init(_ view: CollectionView, _ index: Int, section: UInt32? = nil) {
            self.view = view
            self.index = index
            self.section = section ?? view.id
        }

        /// Whether all of it was read.
        var isComplete: Bool {
            hasRun && failure == nil && unfilled.isEmpty && !leavesSome && notes.isEmpty
        }

        var partition: CollectionPartition { view.partitions[index] }

        /// What was wrong, for people; nil if nothing was.
        var problem: String? {
            let all = (failure.map { ["\($0)"] } ?? []) + notes
            if all.isEmpty { return nil }
            return "\(view.name), partition \(index): " + all.joined(separator: "; ")
        }

        func run(_ file: SnapshotFile, _ progress: StartProgress) {
            hasRun = true
            let room: SnapshotRoom
            do throws(SectionError) {
                room = try SnapshotRoom()
                let base = SectionID(.base, collection: section, partition: index)
                guard let entry = file.section(base) else { throw .length }
                try partition.readBase(from: file.source(entry, room: room))
                progress.didLoad(Int(entry.byteCount))
            } catch {
                failure = error
                return
            }
            for field in view.schema.fields {
                if field.hasEntries, !read(field, .column, file, room, progress) {
                    // The committer takes a row's unique values from its columns.
                    if field.definition.isUnique {
                        unfilled.append(field.number)
                    } else {
                        leavesSome = true
                    }
                }
                // Without it lookups compare stored vectors.
                if field.hasVectorIndex {
                    let kind = file.vectorKind(
                        collection: section, partition: index, field: field.number)
                    _ = read(field, kind, file, room, progress)
                }
                if field.hasPlaceIndex, !read(field, .places, file, room, progress) {
                    leavesSome = true
                }
                if field.hasHours, !read(field, .hours, file, room, progress) {
                    unfilled.append(field.number)
                }
            }
        }

        private func read(
            _ field: Field, _ kind: SectionKind, _ file: SnapshotFile, _ room: SnapshotRoom,
            _ progress: StartProgress
        ) -> Bool {
            let id = SectionID(
                kind, collection: section, partition: index, field: field.number)
            guard let entry = file.section(id), entry.shape == field.shape else {
                partition.beginFilling(field)
                // Files of before there were sections of places and hours have none.
                if file.section(id) != nil || kind == .column || kind == .vectors {
                    notes.append("\(field.path) is declared otherwise")
                }
                return false
            }
            do throws(SectionError) {
                let source = try file.source(entry, room: room)
                switch kind {
                case .column: try partition.readColumn(field, from: source)
                case .places: try partition.readPlaces(field, from: source)
                case .hours: try partition.readHours(field, from: source)
                default: try partition.readVectors(field, from: source)
                }
                progress.didLoad(Int(entry.byteCount))
                return true
            } catch {
                partition.beginFilling(field)
                notes.append("\(field.path): \(error)")
                return false
            }
        }
    }

    let file: SnapshotFile
    let meta: EngineMeta
    let threadCount: Int
    let progress: StartProgress

    /// - Returns: nil where the file is of no use: its books cannot be read.
    func run() -> Outcome? {
        guard let books = books() else { return nil }
        var collections: [String: CollectionView] = [:]
        var tasks: [Task] = []
        var missing: Set<UInt32> = []
        for view in meta.catalog.collections.values {
            let fresh = view.withEmptyPartitions()
            collections[view.name] = fresh
            let first = SectionID(.base, collection: view.id, partition: 0)
            if file.section(first) == nil {
                // Made since. All of its entries are behind the snapshot.
                continue
            }
            tasks += fresh.partitions.indices.map { Task(fresh, $0) }
        }
        let all = tasks
        progress.begin(byteCount: file.sections.reduce(0) { $0 + Int($1.byteCount) })
        Workers.forEach(tasks.count, threadCount: threadCount) { [file, progress] in
            all[$0].run(file, progress)
        }
        let hasSameCollections = file.sections.allSatisfy { section in
            section.id.kind != SectionKind.base.rawValue
                || meta.catalog.byID[section.id.collection] != nil
        }
        var outcome = Outcome(
            header: file.header, catalog: meta.catalog, books: books,
            hasSameCollections: hasSameCollections)
        for task in tasks {
            if let failure = task.failure {
                missing.insert(task.view.id)
                outcome.notes.append("\(task.view.name): \(failure)")
            }
        }
        for name in collections.keys {
            if let view = collections[name], missing.contains(view.id) {
                collections[name] = view.withEmptyPartitions()
            }
        }
        for task in tasks where !missing.contains(task.view.id) {
            if !task.unfilled.isEmpty {
                outcome.unfilled.append((task.view, task.index, task.unfilled))
            }
            guard !task.notes.isEmpty else { continue }
            outcome.notes.append(
                "\(task.view.name), partition \(task.index): "
                    + task.notes.joined(separator: "; "))
        }
        outcome.catalog = Catalog(
            collections: collections, aliases: meta.catalog.aliases,
            generation: meta.catalog.generation)
        outcome.missing = missing
        return outcome
    }

    private func books() -> SnapshotBooks? {
        guard let section = file.section(SectionID(.books)) else { return nil }
        do throws(SectionError) {
            return try SnapshotBooks(file.source(section))
        } catch {
            return nil
        }
    }
}

extension CollectionView {
    /// A copy with new partitions.
    func withEmptyPartitions() -> CollectionView {
        changed(partitions: makePartitions(partitions.count, schema: schema))
    }
}
