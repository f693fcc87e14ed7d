import ArgumentParser
import Client
import Glibc

/// How a subcommand reaches the server.
struct ConnectionOptions: ParsableArguments {
    @Option(help: "The server's name or address.")
    var host = "127.0.0.1"

    @Option(help: "The server's port.")
    var port: UInt16 = 2475

    @Option(help: "The server's Unix socket, instead of host and port.")
    var unix: String?

    @Option(help: "The account.")
    var user: String?

    @Option(
        help: "The environment variable that holds the password.",
        transform: { $0 }
    )
    var passwordEnv: String?

    @Flag(help: "Encrypt the connection.")
    var tls = false

    @Option(help: "A PEM file of authorities to trust, instead of the system's.")
    var tlsCa: String?

    @Flag(help: "Take any certificate.")
    var tlsInsecure = false

    /// The client's configuration.
    func client() throws -> ClientConfiguration {
        var credentials: Credentials?
        if let name = passwordEnv {
            guard let password = getenv(name) else {
                throw Failure(status: .usage, text: "the environment has no variable \(name)")
            }
            credentials = Credentials(user: user, password: String(cString: password))
        } else if user != nil {
            throw Failure(status: .usage, text: "--user needs --password-env")
        }
        var configuration = ClientConfiguration(endpoint: endpoint, credentials: credentials)
        if tls {
            guard unix == nil else {
                throw Failure(status: .usage, text: "--tls goes with --host, not with --unix")
            }
            configuration.tls = TLSOptions(authorityPath: tlsCa, isInsecure: tlsInsecure)
        } else if tlsCa != nil || tlsInsecure {
            throw Failure(status: .usage, text: "--tls-ca and --tls-insecure need --tls")
        }
        return configuration
    }

    /// Where the server listens.
    var endpoint: Endpoint {
        if let unix { .unix(path: unix) } else { .tcp(host: host, port: port) }
    }
}
