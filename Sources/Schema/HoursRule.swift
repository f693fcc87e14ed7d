import Documents

/// Opening hours have their rules beside their own type: this only translates.
enum HoursRule {
    /// The opening hours, or which rule they break.
    static func hours(_ value: TapeValue) throws(ValidationError) -> OpeningHours {
        guard value.kind == .object else {
            throw ValidationError(path: "", rule: "type hours", value: describe(value))
        }
        let hours: OpeningHours
        do {
            hours = try OpeningHours(value.json)
        } catch {
            throw ValidationError(path: error.path, rule: "\(error.rule.rawValue)", value: "")
        }
        guard ZoneDatabase.rules(named: hours.timezone) != nil else {
            throw ValidationError(
                path: "timezone", rule: "names a time zone of the system's tzdata",
                value: JSON.string(hours.timezone).text)
        }
        return hours
    }
}
