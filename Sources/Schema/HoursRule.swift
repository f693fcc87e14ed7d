import Documents

/// Opening hours have their rules beside their own type: this only translates.
enum HoursRule {
    static func check(_ value: TapeValue) throws(ValidationError) {
        guard value.kind == .object else {
            throw ValidationError(path: "", rule: "type hours", value: describe(value))
        }
        do {
            _ = try OpeningHours(value.json)
        } catch {
            throw ValidationError(path: error.path, rule: "\(error.rule.rawValue)", value: "")
        }
    }
}
