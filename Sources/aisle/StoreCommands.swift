import ArgumentParser
import DocumentStore
import Engine

/// `aisle compact`: shrinks the file of a data directory that no server has open.
struct CompactCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact",
        abstract: "Shrink a data directory's file while no server has it open.",
        discussion: "Example: aisle compact --data /var/lib/aisle"
    )

    @Option(help: "The data directory.")
    var data: String

    func run() throws {
        do {
            let result = try compactStore(data)
            print("\(result.byteCountBefore) bytes before, \(result.byteCountAfter) bytes after")
        } catch {
            throw Failure(
                status: .unreachable, text: "compact: \(StoreText.text(error, data))")
        }
    }
}

/// `aisle verify`: checks a data directory without a server.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every entry of a data directory.",
        discussion: "Exit status 1 when something is wrong. Example: aisle verify --data DIR"
    )

    @Option(help: "The data directory.")
    var data: String

    func run() throws {
        let report: StoreReport
        do {
            report = try verifyStore(data, collections: knownCollections)
        } catch {
            if case .corrupt = error {
                complain("verify: \(StoreText.text(error, data))")
                throw ExitCode(1)
            }
            throw Failure(status: .unreachable, text: "verify: \(StoreText.text(error, data))")
        }
        print(
            "\(report.entryCount) entries (\(report.tombstoneCount) tombstones), "
                + "\(report.vectorCount) vectors, \(report.metaCount) meta rows, "
                + "\(report.entryByteCount) bytes")
        if report.orphanCount > 0 {
            print(
                "\(report.orphanCount) entries of collections that are gone: a start deletes them")
        }
        for problem in report.problems { print("problem: \(problem)") }
        guard report.isClean else {
            complain("verify: \(report.problemCount) problems")
            throw ExitCode(1)
        }
        print("clean")
    }
}
