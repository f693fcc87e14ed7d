package import Documents
package import Query
package import Schema

/// How the errors of the plain-value modules become the protocol's.
extension EngineError {
    package init(_ error: SchemaError) {
        switch error {
        case .limit(let name, let maximum):
            self.init(.limit, name, "at most \(maximum)")
        default:
            self.init(.invalid, "", error.message)
        }
    }

    package init(_ error: ValidationError) {
        let value = error.value.isEmpty ? "" : ", got \(error.value)"
        self.init(
            .invalid, error.path.isEmpty ? "document" : error.path, "\(error.rule)\(value)")
    }

    package init(_ error: QueryError) {
        switch error {
        case .syntax(let option, let rule): self.init(.syntax, option, rule)
        case .invalid(let path, let rule, let value):
            self.init(.invalid, path, value.isEmpty ? rule : "\(rule), got \(value)")
        case .limit(let name, let maximum): self.init(.limit, name, "at most \(maximum)")
        case .needsIndex(let path, let operation):
            self.init(
                .noIndex, path, "\(operation) needs an index that is not there",
                hint: "operators of places and words come with their indexes")
        }
    }

    package init(_ error: JSONError, path: String) {
        self.init(.invalid, path, "is not valid JSON (\(error.code) at byte \(error.offset))")
    }

    package init(_ error: UpdateError) {
        self.init(.invalid, "update", "\(error)")
    }
}
