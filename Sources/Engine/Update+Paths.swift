import Documents

extension Update {
    /// The paths that the update writes or removes.
    var touchedPaths: [String] {
        switch content {
        case .merge(let object): object.members.map(\.key)
        case .operations(let operations): operations.map(\.path.text)
        }
    }
}
