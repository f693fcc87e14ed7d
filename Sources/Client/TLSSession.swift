import CTLS
import Glibc

/// Whether, and how, a connection is encrypted.
package struct TLSOptions: Sendable, Equatable {
    /// A PEM file of authorities to trust instead of the system's; nil for the system's.
    package var authorityPath: String?
    /// Takes any certificate: for trying things out.
    package var isInsecure: Bool

    /// The system's authorities, checked, unless told otherwise.
    package init(authorityPath: String? = nil, isInsecure: Bool = false) {
        self.authorityPath = authorityPath
        self.isInsecure = isInsecure
    }
}

/// The client's end of TLS on a socket that does not block. TLS 1.2 or newer.
///
/// The library writes with `write`, so the process should ignore `SIGPIPE`. Not `Sendable`.
final class TLSSession {
    /// What the library needs before it can go on.
    enum Step {
        case done(Int)
        case wantsRead, wantsWrite
        case closed
        case failed(String)
    }

    private let context: OpaquePointer
    private let session: OpaquePointer

    /// Prepares a session on `descriptor` for a server called `host`; nothing is sent yet.
    ///
    /// - Throws: ``ClientError/insecure(endpoint:reason:)`` when the authorities cannot be read.
    init(descriptor: CInt, host: String, endpoint: String, _ options: TLSOptions)
        throws(ClientError)
    {
        func failure(_ what: String) -> ClientError {
            .insecure(endpoint: endpoint, reason: Self.lastError(what))
        }
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw failure("no context") }
        guard let session = Self.configured(context, options) else {
            SSL_CTX_free(context)
            throw failure(options.authorityPath.map { "cannot read \($0)" } ?? "no session")
        }
        self.context = context
        self.session = session
        guard SSL_set_fd(session, descriptor) == 1 else { throw failure("no socket") }
        var address = in6_addr()
        if inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1 {
            _ = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host)
        } else {
            _ = ctls_set_host_name(session, host)
            _ = SSL_set1_host(session, host)
        }
    }

    deinit {
        SSL_free(session)
        SSL_CTX_free(context)
    }

    private static func configured(_ context: OpaquePointer, _ options: TLSOptions)
        -> OpaquePointer?
    {
        guard ctls_configure(context) == 1 else { return nil }
        if options.isInsecure {
            SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        } else {
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            if let path = options.authorityPath {
                guard SSL_CTX_load_verify_locations(context, path, nil) == 1 else { return nil }
            } else {
                guard SSL_CTX_set_default_verify_paths(context) == 1 else { return nil }
            }
        }
        return SSL_new(context)
    }

    /// One step of the handshake; `done` when it is over.
    func handshake() -> Step {
        ERR_clear_error()
        return step(SSL_connect(session)) {
            let code = SSL_get_verify_result(session)
            guard code != Int(X509_V_OK) else { return nil }
            return String(cString: X509_verify_cert_error_string(code))
        }
    }

    /// Sends what fits now.
    func send(_ bytes: UnsafeRawBufferPointer) -> Step {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return .done(0) }
        ERR_clear_error()
        return step(SSL_write(session, base, CInt(clamping: bytes.count)))
    }

    /// Receives at most `count` bytes of one record.
    func receive(_ target: UnsafeMutableRawPointer, _ count: Int) -> Step {
        ERR_clear_error()
        return step(SSL_read(session, target, CInt(clamping: count)))
    }

    /// Decrypted bytes that no poll of the socket tells of.
    var hasPending: Bool { SSL_pending(session) > 0 }

    private func step(_ result: CInt, reason: () -> String? = { nil }) -> Step {
        if result > 0 { return .done(Int(result)) }
        let systemError = errno
        switch SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ: return .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        case SSL_ERROR_ZERO_RETURN: return .closed
        case SSL_ERROR_SYSCALL:
            let isEnd = systemError == 0 || systemError == ECONNRESET || systemError == EPIPE
            return isEnd ? .closed : .failed(String(cString: strerror(systemError)))
        default: return .failed(reason() ?? Self.lastError("protocol error"))
        }
    }

    /// The library's reason for the last failure, or `what` if it has none.
    private static func lastError(_ what: String) -> String {
        let code = ERR_get_error()
        guard code != 0, let text = ERR_reason_error_string(code) else { return what }
        return what == "protocol error"
            ? String(cString: text) : "\(what): \(String(cString: text))"
    }
}
