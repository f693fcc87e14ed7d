/// Time zones of the United States by state and, where a state has two, by position.
///
/// The borders between zones follow rivers and counties; here they are lines along meridians and
/// parallels that go wrong only within some 30 km of them.
package enum USTimeZones {
    /// A position in degrees.
    package struct Position: Equatable, Sendable {
        package var longitude: Double
        package var latitude: Double

        package init(longitude: Double, latitude: Double) {
            self.longitude = longitude
            self.latitude = latitude
        }
    }

    private static let byState: [String: String] = {
        let lists = [
            "America/New_York": "CT DC DE FL GA KY MA MD ME NC NH NJ NY OH PA RI SC VA VT WV",
            "America/Chicago": "AL AR IA IL KS LA MN MO MS ND NE OK SD TN TX WI",
            "America/Denver": "CO MT NM UT WY",
            "America/Los_Angeles": "CA NV OR WA",
            "America/Indiana/Indianapolis": "IN", "America/Detroit": "MI", "America/Boise": "ID",
            "America/Phoenix": "AZ", "America/Anchorage": "AK", "Pacific/Honolulu": "HI",
            "America/Puerto_Rico": "PR VI", "Pacific/Guam": "GU MP",
        ]
        var result: [String: String] = [:]
        for (zone, states) in lists {
            for state in states.split(separator: " ") { result[String(state)] = zone }
        }
        return result
    }()

    /// The zone of a place in a state, by its two letters; nil for what is no state.
    ///
    /// - Parameter position: without it the zone is that of most of the state's people.
    package static func zone(state: String, position: Position?) -> String? {
        guard let main = byState[state] else { return nil }
        guard let position, let other = second[state] else { return main }
        return other.holds(position.longitude, position.latitude) ? other.zone : main
    }

    /// The other zone of a state and where it is.
    private struct Second {
        let zone: String
        /// Of longitude (x) and latitude (y).
        let holds: @Sendable (Double, Double) -> Bool

        init(_ zone: String, _ holds: @escaping @Sendable (Double, Double) -> Bool) {
            self.zone = zone
            self.holds = holds
        }
    }

    private static let second: [String: Second] = [
        "FL": Second("America/Chicago") { x, y in x < -85.05 && y > 29.8 },
        "ID": Second("America/Los_Angeles") { _, y in y > 45.5 },
        "IN": Second("America/Chicago") { x, y in
            x < -86.5 && y > 40.91 || x < -86.46 && y < 38.25 || x < -87.32 && y < 38.55
        },
        "KS": Second("America/Denver") { x, y in x < -101.48 && y > 37.7 && y < 39.57 },
        "KY": Second("America/Chicago") { x, y in x < (y < 37.35 ? -85.03 : -86.27) },
        "MI": Second("America/Menominee") { x, y in x < -87.35 && y > 45 && y < 46.3 },
        "ND": Second("America/Denver") { x, y in x < -101.5 && y < 47.5 },
        "NE": Second("America/Denver") { x, _ in x < -101.3 },
        "NV": Second("America/Denver") { x, y in x > -114.1 && y > 40.6 && y < 40.85 },
        "OR": Second("America/Boise") { x, y in x > -118.2 && y < 44.45 },
        "SD": Second("America/Denver") { x, _ in x < -100.37 },
        "TN": Second("America/New_York") { x, y in x > (y < 35.6 ? -85.43 : -84.8) },
        "TX": Second("America/Denver") { x, _ in x < -104.9 },
    ]
}
