package import Client

/// Why a benchmark cannot be run.
package enum BenchError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The server cannot be reached or went away.
    case connection(ClientError)
    /// The server answered a set-up command with an error.
    case refused(command: String, reply: String)
    /// Loading failed.
    case load(String)
    /// There is no such scenario.
    case unknownScenario(String)
    /// A file cannot be written.
    case file(path: String, reason: String)
    /// A peer cannot be driven.
    case peer(String)

    package var description: String {
        switch self {
        case .connection(let error): "\(error)"
        case .refused(let command, let reply): "\(command) was answered \(reply)"
        case .load(let reason): "loading failed: \(reason)"
        case .unknownScenario(let name):
            "no scenario `\(name)`; there are \(Scenario.names.joined(separator: ", "))"
        case .file(let path, let reason): "\(path): \(reason)"
        case .peer(let reason): reason
        }
    }
}
