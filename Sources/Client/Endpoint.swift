/// Where a server listens.
package enum Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// A host name or address, and a port.
    case tcp(host: String, port: UInt16)
    /// The path of a Unix socket.
    case unix(path: String)

    /// The address that `aisle serve` takes when it is told nothing.
    package static let standard = Endpoint.tcp(host: "127.0.0.1", port: 2475)

    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }
}

/// Who a client says it is. Never printed.
package struct Credentials: Sendable {
    /// The account; nil means the default account.
    package var user: String?
    /// Its password.
    package var password: String

    /// An account and its password.
    package init(user: String?, password: String) {
        self.user = user
        self.password = password
    }
}

/// How to reach a server.
package struct ClientConfiguration: Sendable {
    /// Where it listens.
    package var endpoint: Endpoint
    /// Sent with `HELLO` when given.
    package var credentials: Credentials?
    /// Encrypts the connection; nil for none.
    package var tls: TLSOptions?
    /// 2 or 3.
    package var protocolVersion = 3
    /// The longest wait for a connection.
    package var connectTimeout: Duration = .seconds(5)
    /// The longest wait for bytes to move in one read or write.
    package var timeout: Duration = .seconds(60)

    /// The defaults, for one endpoint.
    package init(endpoint: Endpoint = .standard, credentials: Credentials? = nil) {
        self.endpoint = endpoint
        self.credentials = credentials
    }
}
