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
        self.init(.invalid, path, "is to be JSON: \(error.reason)")
    }

    package init(_ error: UpdateError) {
        switch error {
        case .notAnObject: self.init(.invalid, "update", "is an object")
        case .mixed(let key):
            self.init(.invalid, key, "operators and plain members do not mix in an update")
        case .unknownOperator(let name): self.init(.invalid, name, "is no update operator")
        case .operandNotObject(let name):
            self.init(.invalid, name, "takes an object of paths and values")
        case .badPath(let name, _): self.init(.invalid, name, "names a path that cannot be")
        case .idIsImmutable(let path): self.init(.invalid, path, "the id cannot be changed")
        case .conflict(let path, let other):
            self.init(.invalid, path, "cannot be updated beside \(other)")
        case .badOperand(let path, let name, let rule):
            self.init(.invalid, path, "\(name): \(rule)")
        case .tooManyOperations(let maximum):
            self.init(.limit, "update", "at most \(maximum) operations")
        case .documentNotObject: self.init(.invalid, "document", "is an object")
        case .wrongKind(let path, let name, let kind):
            self.init(.invalid, path, "\(name) cannot be applied to a value of kind \(kind)")
        case .cannotCreate(let path, let place):
            self.init(.invalid, path, "cannot be made: \(place) is no object")
        case .indexTooLarge(let path, let maximum):
            self.init(.limit, path, "at most \(maximum) nulls may fill up an array")
        case .arithmetic(let path, let reason):
            self.init(.invalid, path, "the result is out of range (\(reason))")
        case .tooDeep(let maximum):
            self.init(.limit, "update", "nesting of at most \(maximum)")
        case .badCondition(let path, let reason): self.init(.invalid, path, reason)
        }
    }
}
