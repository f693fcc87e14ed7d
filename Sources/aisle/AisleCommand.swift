import ArgumentParser
import Glibc

/// The `aisle` executable: every subcommand explains itself with `--help`.
///
/// Exit status: 0 done, 1 some rows or checks failed, 2 wrong usage, 3 could not reach or open.
@main
struct AisleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "aisle",
        abstract: "An in-memory index server for commerce documents, and its tools.",
        subcommands: [
            ServeCommand.self, LoadCommand.self, GenerateCommand.self, BenchCommand.self,
            CLICommand.self, SnapshotCommand.self, RestoreCommand.self, CompactCommand.self,
            VerifyCommand.self, HelpCommand.self,
        ]
    )

    static func main() {
        // A closed pipe ends a tool through the failed write, where it can be told.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as Failure {
            complain(failure.text)
            Glibc.exit(failure.status.rawValue)
        } catch {
            let code = exitCode(for: error)
            guard code != .success, !(error is ExitCode) else { exit(withError: error) }
            complain(fullMessage(for: error))
            Glibc.exit(Failure.Status.usage.rawValue)
        }
    }
}

/// Ends the process with a text and a status.
struct Failure: Error {
    /// What the shell is told.
    enum Status: Int32 {
        case partial = 1
        case usage = 2
        case unreachable = 3
    }

    let status: Status
    let text: String
}

/// Writes a line to standard error.
func complain(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(2, bytes, bytes.count)
}
