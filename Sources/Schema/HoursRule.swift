import Documents

/// Opening hours have their rules beside their own type: this only translates.
enum HoursRule {
    /// The opening hours, or which rule they break.
    static func hours(_ value: TapeValue) throws(ValidationError) -> OpeningHours {
        guard value.kind == .object else {
            throw ValidationError(path: "", rule: "type hours", value: describe(value))
        }
        do {
            return try OpeningHours(value.json)
        } catch {
            throw ValidationError(path: error.path, rule: "\(error.rule.rawValue)", value: "")
        }
    }
}
