/// Why a load cannot go on. A row that is wrong does not stop a load: it is rejected.
package enum LoadError: Error, Equatable, Sendable {
    /// A file cannot be opened or read.
    case file(path: String, reason: String)
    /// A compressed stream is damaged or ends early.
    case compression(format: String, reason: String)
    /// A `.npy` file is not what the loader reads.
    case vectors(path: String, reason: String)
    /// A schema is no JSON, or not of the expected form.
    case schema(reason: String)
    /// A CSV file's header cannot be used.
    case header(reason: String)
    /// The state file belongs to another load.
    case resume(reason: String)
    /// The server answered what every other row would be answered too.
    case refused(reply: String)
    /// The server cannot be reached, also after retries.
    case connection(String)
}

extension LoadError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .file(let path, let reason): "\(path): \(reason)"
        case .compression(let format, let reason): "the \(format) data is damaged: \(reason)"
        case .vectors(let path, let reason): "\(path): \(reason)"
        case .schema(let reason): "schema: \(reason)"
        case .header(let reason): "CSV header: \(reason)"
        case .resume(let reason): "cannot resume: \(reason)"
        case .refused(let reply): "the server refused: \(reply)"
        case .connection(let reason): reason
        }
    }
}
